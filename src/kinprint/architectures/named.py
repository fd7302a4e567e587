"""Which units an architecture names by construction: units with names agree by index between any two models that have them.

Tests by index ask how often randomly relabelled units would agree as well (docs/how-it-works.md). A unit has a name where the
architecture treats it unlike the others of its space before anything is trained: a head with a slope of its own (ALiBi), a
channel with a frequency of its own (sinusoidal positions). Two unrelated models then agree about it. What has names is not
tested by index.

The names stand in two places: in `POSITIONS`, for every way to tell positions apart, and under the key `named` of an
architecture's table, for everything else. A fingerprint holds them as its fact `named_spaces`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kinprint.errors import printable

SPACES = ("channels", "heads", "neurons", "experts")
"""What is tested by index."""

POSITIONS: Mapping[str, Mapping[str, str]] = {
    "rope": {},
    "learned": {},
    "none": {},
    "bias": {},
    "relative": {},
    "alibi": {"heads": "uses ALiBi, whose slopes tell heads apart by index in any model"},
    "decay": {"heads": "gives every head a fixed decay, which tells heads apart by index in any model"},
    "shared_bias": {
        "heads": "shares the position biases of its heads among all layers, which ties their labels together",
    },
    "sinusoidal": {"channels": "has sinusoidal positions, whose frequencies tell channels apart by index in any model"},
    "unknown": {
        "heads": "does not say how it tells positions apart, and ALiBi would tell heads apart by index in any model",
        "channels": "does not say how it tells positions apart, and sinusoidal positions would tell channels apart by index "
        "in any model",
    },
}
"""Values of the fact `positions` -> the spaces that they name, each with the reason: a clause for people about the model."""

UNSAID = "tells them apart by index, as its fingerprint says without a reason"


def spaces(positions: str, remedy: str) -> dict[str, str]:
    """The spaces that a way to tell positions apart names, each with the reason: a clause for people about the model.

    Args:
        positions: a key of `POSITIONS`.
        remedy: what to do where they are unknown.
    """
    named = POSITIONS[positions]
    return {space: f"{why}: {remedy}" for space, why in named.items()} if positions == "unknown" else dict(named)


def why_named(facts: Mapping[str, Any], space: str) -> str | None:
    """Why the units of a space have names in a model with these facts, as a clause for people; None where they have none.

    Facts come from strangers and may be anything. Where they do not say `named_spaces` (fingerprints of older versions, or made
    elsewhere), what they say of `positions` counts; where they do not say that either, no unit has a name.

    Args:
        space: one of `SPACES`.
    """
    names = facts.get("named_spaces")
    if isinstance(names, Mapping):
        if space not in names:
            return None
        reason = names[space]
        return printable(reason) if isinstance(reason, str) and reason.strip() else UNSAID
    positions = facts.get("positions")
    return POSITIONS.get(positions, {}).get(space) if isinstance(positions, str) else None


def problem(raw: Mapping[str, Any]) -> str | None:
    """What is wrong with the keys `positions` and `named` of a table; None if nothing is."""
    values = [rule["value"] for rule in raw["positions"] if isinstance(rule, Mapping) and "value" in rule]
    if wrong := next((value for value in values if value not in POSITIONS), None):
        return f"unknown positions {wrong!r}"
    named = raw.get("named", {})
    if wrong := next((space for space in named if space not in SPACES), None):
        return f"names given to the unknown space {wrong!r}"
    return None


def markdown_table() -> str:
    """The vocabulary as it stands in the documentation."""
    rows = [
        f"| `{positions}` | {', '.join(named) or 'nothing'} | {'; '.join(f'the model {why}' for why in named.values())} |"
        for positions, named in POSITIONS.items()
    ]
    return "\n".join(["| positions | names | why |", "|---|---|---|", *rows])
