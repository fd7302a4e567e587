"""What a worker says: one line of JSON about itself, then one for every pair of model folders that it is given.

A worker runs under the interpreter of its peer, so this file needs nothing but the standard library. What the peer prints goes
where errors go, so that it cannot get between the lines.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

Answer = dict[str, "float | str | None"]
"""What a peer says of a pair: its scores and its words, by name."""


class NoAnswerError(Exception):
    """The peer says nothing about a pair; the text says why."""


def serve(version: str, answer: Callable[[str, str], Answer]) -> None:
    """Answer the pairs that come in, until the input ends.

    Seconds are processor time of this process: other programs do not count, and neither do imports.

    Args:
        version: of the peer.
        answer: what it says of two folders, the reference first; raises NoAnswerError, or whatever the peer raises.
    """
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _send(out, {"version": version, "memory": _peak()})
    for line in sys.stdin:
        pair = json.loads(line)
        begun = time.process_time()
        try:
            row: dict[str, object] = {"said": answer(pair["reference"], pair["suspect"])}
        except Exception as error:  # whatever a peer cannot do with one pair, it is asked about the next
            row = {"no_answer": _reason(error, pair.values())}
        _send(out, {**row, "seconds": time.process_time() - begun, "memory": _peak()})


def commit(checkout: str | Path, under: str = ".") -> str:
    """The last commit of a checkout that changed something in a folder of it, short."""
    told = ["git", "-C", str(checkout), "log", "-1", "--format=%h", "--", under]
    return subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()


def _send(out: TextIO, row: dict[str, object]) -> None:
    out.write(json.dumps(row) + "\n")
    out.flush()


def _peak() -> float:
    """The largest resident memory of this program so far, in GiB (Linux). `getrusage` would count the parent's as well."""
    found = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 2**20 if found else 0.0


def _reason(error: Exception, folders: Iterable[str]) -> str:
    """One line, without the places of models."""
    text = str(error) if isinstance(error, NoAnswerError) else f"{type(error).__name__}: {error}"
    for folder in folders:
        text = text.replace(folder, "MODEL")
    return " ".join(text.split())[:160]
