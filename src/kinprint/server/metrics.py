"""What the server counts, in Prometheus' text format 0.0.4.

Labels are routes, methods, states and kinds of the server's own, so that no request adds one, and no model is named.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from threading import Lock

from kinprint._version import __version__
from kinprint.fingerprints.trait_table import TRAIT_VERSION
from kinprint.server.jobs import ENDS, KINDS, Kind, State

TYPE = "text/plain; version=0.0.4; charset=utf-8"

METHODS = ("GET", "HEAD", "POST", "DELETE")
"""Others are counted together."""

NOW: tuple[State, ...] = ("waiting", "running")

Labels = Mapping[str, str | int]
Value = tuple[Labels, int]


class Metrics:
    """Counts since the start; safe to use from threads."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._uploads = self._uploaded = 0
        self._lock = Lock()

    def request(self, method: str, route: str, status: int) -> None:
        """Count an answer.

        Args:
            route: as the server declares it, with names for what varies; empty for what it does not know.
        """
        with self._lock:
            self._requests[method if method in METHODS else "other", route or "none", status] += 1

    def upload(self, size: int) -> None:
        """Count a file of so many bytes that was received, whatever it turned out to be."""
        with self._lock:
            self._uploads += 1
            self._uploaded += size

    def text(self, jobs: Mapping[tuple[Kind, State], int], models: int) -> str:
        """All of them.

        Args:
            jobs: (kind, state) -> how many (`Jobs.counts`).
            models: in the library.
        """
        with self._lock:
            requests, uploads, uploaded = sorted(self._requests.items()), self._uploads, self._uploaded
        answers: list[Value] = [({"method": m, "route": r, "status": s}, count) for (m, r, s), count in requests]
        queued: list[Value] = [({"kind": kind, "state": state}, jobs.get((kind, state), 0)) for kind in KINDS for state in NOW]
        ended: list[Value] = [({"kind": kind, "state": state}, jobs.get((kind, state), 0)) for kind in KINDS for state in ENDS]
        built: Labels = {"version": __version__, "traits": TRAIT_VERSION, "python": platform.python_version()}
        return "".join((
            _metric("http_requests_total", "counter", "Requests answered since the start.", answers),
            _metric("jobs", "gauge", "Jobs that wait or run now.", queued),
            _metric("jobs_ended_total", "counter", "Jobs that have ended since the start.", ended),
            _metric("uploads_total", "counter", "Files received, fingerprints or not.", [({}, uploads)]),
            _metric("upload_bytes_total", "counter", "Bytes of the files received.", [({}, uploaded)]),
            _metric("library_models", "gauge", "Models in the library.", [({}, models)]),
            _metric("build_info", "gauge", "Versions of what runs.", [(built, 1)]),
        ))  # fmt: skip


def _metric(name: str, kind: str, about: str, values: Iterable[Value]) -> str:
    full = f"kinprint_{name}"
    lines = [f"# HELP {full} {about}", f"# TYPE {full} {kind}", *(f"{full}{_labels(labels)} {n}" for labels, n in values)]
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
