"""A comparison made again, from what its JSON says of how it was made, and what comes out otherwise.

The models are named by whoever repeats it: no place that a file names is opened.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kinprint._version import __version__
from kinprint.comparison.comparison import FORMAT, Comparison
from kinprint.errors import CheckpointError, printable
from kinprint.fingerprints.trait_table import TRAIT_VERSION
from kinprint.json_numbers import finite
from kinprint.statistics.relabelling import SEED
from kinprint.statistics.tails import DRAWS
from kinprint.terms import COMPONENTS, PARTS

CLOSE = 1e-6
"""log10 p-values, and statistics in relation to their size, may differ by so much between machines."""


@dataclass(frozen=True)
class Options:
    """What a comparison was asked for."""

    deep: bool = False
    quick: bool = False
    scores: bool = False
    alpha: float = 1e-6
    part: str | None = None


@dataclass(frozen=True)
class Difference:
    """What came out otherwise: of what, then and now."""

    what: str
    then: str
    now: str

    def to_json(self) -> dict[str, str]:
        return asdict(self)


def record(comparison: Comparison, options: Options, when: str) -> dict[str, Any]:
    """How a comparison was made: enough to make it again.

    Args:
        comparison: the result.
        options: what was asked for.
        when: date and time, for people.
    """
    return {
        "kinprint": __version__,
        "traits": TRAIT_VERSION,
        "when": when,
        "options": asdict(options),
        "seed": SEED,
        "draws": DRAWS,
        "counted": [item.method for item in comparison.everything if item.decides],
        "content": {"reference": comparison.reference.stated.content, "suspect": comparison.suspect.stated.content},
    }


def options_of(data: Mapping[str, Any], source: object) -> Options:
    """The options of the comparison that `kinprint compare --json` wrote.

    Raises:
        CheckpointError: it is none, or does not say how it was made.
    """
    made = data.get("made")
    said = made.get("options") if isinstance(made, dict) else None
    if data.get("format") != FORMAT or not isinstance(said, dict) or not isinstance(data.get("evidence"), list):
        raise CheckpointError(source, "not a comparison that says how it was made", "give a file of `kinprint compare --json`")
    alpha, part = said.get("alpha"), said.get("part")
    flags = {name: said.get(name) for name in ("deep", "quick", "scores")}
    sane = isinstance(alpha, float) and 0 < alpha < 1 and part in (None, *PARTS, *COMPONENTS)
    if not sane or not all(isinstance(flag, bool) for flag in flags.values()):
        raise CheckpointError(source, "states options that kinprint does not have", "give the file as it was written")
    return Options(alpha=float(alpha), part=part, **flags)  # type: ignore[arg-type]  # looked at above


def differences(data: Mapping[str, Any], again: Comparison) -> list[Difference]:
    """What differs between a comparison's JSON and the same one made again, models and versions first; none if nothing does."""
    found = []
    for side, model in (("reference", again.reference), ("suspect", again.suspect)):
        said = data.get(side)
        then = said.get("digest") if isinstance(said, dict) else None
        if then != model.digest:
            found.append(Difference(f"fingerprint of the {side}", _shown(then), model.digest))
    made = data.get("made")
    then = made.get("kinprint") if isinstance(made, dict) else None
    if then != __version__:
        found.append(Difference("version of kinprint", _shown(then), __version__))
    if data.get("verdict") != again.verdict:
        found.append(Difference("verdict", _shown(data.get("verdict")), again.verdict))
    if not _same(data.get("log10_p"), finite(again.log10_p)):
        found.append(Difference("log10 p", _shown(data.get("log10_p")), _shown(finite(again.log10_p))))
    return found + _of_methods(data["evidence"], again)


def _of_methods(evidence: list[Any], again: Comparison) -> list[Difference]:
    """Statistics and p-values of single methods, and methods that only one of the two has."""
    then = {item["method"]: item for item in evidence if isinstance(item, dict) and isinstance(item.get("method"), str)}
    now = {item.method: item.to_json() for item in again.evidence}
    found = [Difference(_shown(name), "asked", "not asked") for name in then.keys() - now.keys()]
    found += [Difference(name, "not asked", "asked") for name in now.keys() - then.keys()]
    for name in sorted(then.keys() & now.keys()):
        for value in ("statistic", "log10_p"):
            ours, theirs = then[name].get(value), now[name].get(value)
            if not _same(ours, theirs):
                found.append(Difference(f"{name}, {value}", _shown(ours), _shown(theirs)))
    return found


def _same(then: object, now: object) -> bool:
    """Equal, or numbers that differ by what machines do."""
    if isinstance(then, int | float) and isinstance(now, int | float) and not isinstance(then, bool):
        return math.isclose(then, now, rel_tol=CLOSE, abs_tol=CLOSE)
    return then == now


def _shown(value: object) -> str:
    return "–" if value is None else printable(f"{value:.6g}" if isinstance(value, float) else value, 80)
