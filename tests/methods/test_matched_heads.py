"""Heads matched by queries and keys, tested by values and outputs: strangers are nothing, copies are found in disguise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from families import random_model
from scipy.stats import kstest

from kinprint import Fingerprint, fingerprint, transforms
from kinprint.methods import matched_heads
from kinprint.statistics import RelabellingGroup, partners_test

METHOD = matched_heads.METHOD


def fake(rng: np.random.Generator, layers: int = 6, groups: int = 8, members: int = 1, rank: int = 16) -> Fingerprint:
    """A fingerprint of heads whose values depend on their queries, the same way in every model, on a trend over layers."""
    kind = rng.normal(size=(layers, groups * members, 2)) + np.linspace(0, 2, layers)[:, None, None]
    slopes = np.linspace(0.2, 2, rank)
    spectra = {}
    for name, own in (("qk", 1.0), ("vo", 1.5)):
        size = kind[..., :1] + own * rng.normal(size=kind[..., :1].shape)
        fall = np.exp(0.3 * kind[..., 1:] + own * 0.3 * rng.normal(size=kind[..., 1:].shape))
        logs = size - fall * slopes + 0.05 * rng.normal(size=(*kind.shape[:2], rank))
        spectra[f"heads.{name}_spectrum"] = -np.sort(-np.exp(logs), axis=-1)
    return Fingerprint("fake", spectra, {"num_key_value_heads": groups})


def relabelled(model: Fingerprint, rng: np.random.Generator, noise: float = 0.05) -> Fingerprint:
    """A copy with other labels, in which heads stay with their group, and noise on every singular value."""
    groups = int(model.facts["num_key_value_heads"])
    first = model.traits["heads.qk_spectrum"]
    layers, heads = first.shape[:2]
    members = heads // groups
    orders = [np.concatenate([g * members + rng.permutation(members) for g in rng.permutation(groups)]) for _ in range(layers)]
    traits = {
        name: np.stack([layer[order] for layer, order in zip(values, orders, strict=True)])
        * np.exp(noise * rng.normal(size=values.shape))
        for name, values in model.traits.items()
    }
    return Fingerprint("copy", traits, model.facts)


@pytest.mark.parametrize("members", [1, 3])
def test_values_of_strangers_are_nothing(members: int) -> None:
    """H0: independent models whose values depend on queries. 200 pairs: none small, and close to uniform from above."""
    rng = np.random.default_rng(5)
    p = np.array([10 ** (METHOD(fake(rng, members=members), fake(rng, members=members)).log10_p or 0.0) for _ in range(200)])
    print(f"heads of strangers: smallest {p.min():.4f}, KS against smaller p {kstest(p, 'uniform', alternative='greater')}")
    assert kstest(p, "uniform", alternative="greater").pvalue > 1e-3  # the tolerance makes p-values larger, never smaller
    assert p.min() > 1e-4


def test_partners_of_nothing_are_uniform() -> None:
    """H0: features of partners are independent. 400 pairs without tolerance: uniform."""
    rng = np.random.default_rng(6)
    p = [
        10 ** partners_test(*rng.normal(size=(2, 4, 12, 3)), RelabellingGroup(6, 2), 0.0).log10_p  # type: ignore[misc]
        for _ in range(400)
    ]
    print(f"partners of nothing: KS {kstest(p, 'uniform')}")
    assert kstest(p, "uniform").pvalue > 1e-3


def test_a_tolerance_is_taken_from_partners_alone() -> None:
    """Features that agree by half the tolerance are nothing, by ten times the tolerance are found."""
    rng = np.random.default_rng(7)
    x, noise = rng.normal(size=(2, 8, 64, 4))
    for correlation, found in ((0.05, False), (0.9, True)):
        y = correlation * x + np.sqrt(1 - correlation**2) * noise
        assert (partners_test(x, y, RelabellingGroup(64), 0.1).log10_p < -6) == found


@pytest.mark.parametrize("members", [1, 3])
def test_copies_in_another_order_are_found(members: int) -> None:
    """Heads and groups of every layer in another order, with noise."""
    rng = np.random.default_rng(8)
    parent = fake(rng, members=members)
    evidence = METHOD(parent, relabelled(parent, rng))
    assert evidence.log10_p is not None
    assert evidence.log10_p < -9
    assert evidence.layer_map == tuple(range(6))


def test_dropped_layers_are_aligned() -> None:
    """Layers 0, 2, 3 and 5 of six: found, and the map says which they are."""
    rng = np.random.default_rng(9)
    parent = fake(rng)
    kept = [0, 2, 3, 5]
    child = Fingerprint("child", {name: values[kept] for name, values in parent.traits.items()}, parent.facts)
    evidence = METHOD(parent, relabelled(child, rng))
    assert evidence.log10_p is not None
    assert evidence.log10_p < -6
    assert evidence.layer_map == tuple(kept)


def test_strangers_that_repeat_layers_or_heads_share_one_fact() -> None:
    """H0: strangers of one layer stored six times, and strangers whose heads are stored four times: none small in 60 pairs."""
    rng = np.random.default_rng(10)

    def looped() -> Fingerprint:
        one = fake(rng, layers=2)
        return Fingerprint("looped", {k: np.tile(v, (3, 1, 1)) for k, v in one.traits.items()}, one.facts)

    def cloned() -> Fingerprint:
        one = fake(rng, groups=4)
        return Fingerprint("cloned", {k: np.tile(v, (1, 4, 1)) for k, v in one.traits.items()}, {"num_key_value_heads": 16})

    for make in (looped, cloned):
        found = [METHOD(make(), make()).log10_p for _ in range(60)]
        assert min(value for value in (*found, 0.0) if value is not None) > -4.5


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2", "gpt_neox", "mixtral"])
def test_no_disguise_changes_what_heads_say(family: str, tmp_path: Path) -> None:
    """Flipped, folded, rotated, scaled, mixed and permuted: the test says of the copy what it says of the model itself."""
    random_model(family).save_pretrained(tmp_path / "model")
    transforms.apply("disguise", tmp_path / "model", tmp_path / "copy", seed=3)
    models = [fingerprint(tmp_path / name) for name in ("model", "copy")]
    sides = [matched_heads.Side.of(model, matched_heads.structure(model).members) for model in models]
    for i in range(len(sides[0].match)):
        itself = matched_heads.mean_agreements(sides[0], sides[0], [i], i)
        assert matched_heads.mean_agreements(sides[0], sides[1], [i], i) == pytest.approx(itself, rel=0.02)


@pytest.mark.parametrize("members", [1, 3])
def test_pairs_of_layers_are_assigned_as_if_each_were_alone(members: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pairs at once, in parts or not, one layer against all too; a group that is not there has no partner."""
    rng = np.random.default_rng(12)
    x, y = rng.normal(size=(7, 5, members, 8)), rng.normal(size=(7, 4, members, 8))
    x[2, 1] = np.nan
    alone = [matched_heads.assigned(one[None], other[None])[0] for one, other in zip(x, y, strict=True)]
    against = [matched_heads.assigned(one[None], y[:1])[0] for one in x]
    assert 1 not in alone[2].ours[..., 0]
    for at_once in (1 << 20, 1):
        monkeypatch.setattr(matched_heads, "AT_ONCE", at_once)
        for found, expected in ((matched_heads.assigned(x, y), alone), (matched_heads.assigned(x, y[:1]), against)):
            for one, other in zip(found, expected, strict=True):
                assert one.distance == other.distance
                assert np.array_equal(one.ours, other.ours)
                assert np.array_equal(one.theirs, other.theirs)


def test_what_is_not_there_is_said() -> None:
    """Too few heads, and heads that are not finite: the reason, and no p-value."""
    rng = np.random.default_rng(11)
    few = fake(rng, layers=1, groups=4)
    assert "too few heads" in METHOD(few, few).note
    nothing = Fingerprint("nan", {k: np.full_like(v, np.nan) for k, v in few.traits.items()}, few.facts)
    assert "finite" in METHOD(few, nothing).note
