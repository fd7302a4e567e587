"""Drift along chains of fingerprints, and the gaps in their steps."""

from __future__ import annotations

import numpy as np
import pytest

from kinprint import Fingerprint
from kinprint.auditing.chain import Stage
from kinprint.auditing.drift import Drift, drift_findings
from kinprint.auditing.findings import AuditFinding
from kinprint.auditing.intervals import interval_findings

LAYERS, ROLES, LINKS = 3, ("q", "o", "up", "down"), 5
Traits = dict[str, np.ndarray]


def walk(seed: int, sizes: tuple[float, ...] = (0.1,) * LINKS) -> list[Traits]:
    """Sampled entries along a chain: each link adds so much of the norm."""
    rng = np.random.default_rng(seed)
    now = {f"sample.{role}": rng.normal(size=(LAYERS, 256)) for role in ROLES} | {
        "sample.embedding": rng.normal(size=(1, 1024))
    }
    chain = [now]
    for size in sizes:
        now = {name: values + size * rng.normal(size=values.shape) for name, values in now.items()}
        chain.append(now)
    return chain


def found(chain: list[Traits], steps: list[int] | None = None) -> list[AuditFinding]:
    stages = [Stage(str(i), str(i), None if steps is None else steps[i]) for i in range(len(chain))]
    return drift_findings(stages, [Fingerprint("model", traits) for traits in chain])


def places(findings: list[AuditFinding]) -> list[tuple[str, str, str]]:
    return [(each.state, each.where, each.words.partition(" changed")[0]) for each in findings]


def test_a_steady_walk_holds() -> None:
    (finding,) = found(walk(1))
    assert (finding.state, finding.where) == ("holds", "")
    assert "0.095 to 0.1 of the norm a link" in finding.words


def test_change_and_cosine_are_measured() -> None:
    before = np.tile([3.0, 4.0], (1, 128))
    drift = Drift.of([Fingerprint("m", {"sample.q": values}) for values in (before, 2 * before)])
    assert drift.places == ((0, "q"),)
    assert (drift.change[0, 0], drift.cosine[0, 0]) == (pytest.approx(1), pytest.approx(1))


def mixed(seed: int, names: tuple[str, ...], layers: slice, share: float) -> list[Traits]:
    """A walk into which a stranger's entries come at the third checkpoint, and stay."""
    own, other = walk(seed), walk(seed + 1)
    for ours, theirs in zip(own[2:], other[2:], strict=True):
        for name in names:
            ours[name] = ours[name].copy()
            ours[name][layers] = (1 - share) * ours[name][layers] + share * theirs[name][layers]
    return own


ALL = tuple(f"sample.{role}" for role in ROLES)


@pytest.mark.parametrize(
    ("names", "layers", "share", "words"),
    [
        (ALL, slice(1, 2), 1.0, "layer 1"),
        (("sample.up",), slice(None), 1.0, "up of all layers"),
        (("sample.embedding",), slice(None), 1.0, "embedding"),
        (("sample.up", "sample.down"), slice(2, 3), 1.0, "up of layer 2, down of layer 2"),
        (ALL, slice(1, 2), 0.5, "layer 1"),
    ],
)
def test_a_part_that_comes_in_is_named(names: tuple[str, ...], layers: slice, share: float, words: str) -> None:
    assert places(found(mixed(3, names, layers, share))) == [("broken", "1 to 2", words)]


def test_a_link_that_moves_is_named() -> None:
    """All matrices move three times as far in one link; if that link has three times the steps, nothing is said."""
    chain = walk(5, (0.1, 0.1, 0.3, 0.1, 0.1))
    assert places(found(chain)) == [("broken", "2 to 3", "everything")]
    assert places(found(chain, [0, 10, 20, 50, 60, 70]))[0][0] == "holds"
    assert places(found(chain, [0, 10, 20, 30, 40, 50]))[0][0] == "broken"


def test_a_rate_that_falls_is_no_jump() -> None:
    assert places(found(walk(6, (0.16, 0.12, 0.08, 0.04, 0.02))))[0][0] == "holds"


def test_the_same_weights_at_two_steps_are_named() -> None:
    chain = walk(7)
    chain[3] = chain[2]
    assert places(found(chain)) == [("broken", "2 to 3", "nothing")]


def test_checkpoints_far_apart_tell_nothing() -> None:
    states = {state for state, _, _ in places(found(walk(8, (1.5,) * LINKS)))}
    assert states == {"not-testable"}


def test_what_has_no_counterpart_tells_nothing() -> None:
    """Fingerprints without samples, or with another number of layers in common places."""
    assert places(found([{"gains.final": np.ones(8)}] * 2))[0][0] == "not-testable"
    chain = walk(9)
    chain[2] = {name.replace("sample.", "channels."): np.ones((LAYERS, 8)) for name in ALL}
    assert [(each.state, each.where) for each in found(chain)] == [("not-testable", "1 to 2"), ("not-testable", "2 to 3")]


def test_two_checkpoints_are_enough_to_see_a_stranger() -> None:
    own = mixed(10, ("sample.up",), slice(None), 1.0)
    assert places(found(own[1:3])) == [("broken", "0 to 1", "up of all layers")]


def intervals(steps: list[int | None]) -> list[tuple[str, str]]:
    return [(each.state, each.where) for each in interval_findings([Stage("a", "a", step) for step in steps])]


def test_a_gap_in_regular_steps_is_named() -> None:
    assert intervals([0, 10, 20, 40, 50]) == [("not-testable", "step 20 to step 40")]
    assert intervals([0, 10, 20, 30]) == [("holds", "")]


def test_steps_without_a_rule_say_nothing() -> None:
    """Checkpoints that come ever later, or whose steps are not all stated."""
    assert intervals([0, 1, 2, 4, 8, 16, 32]) == []
    assert intervals([0, 10, None, 40]) == []
