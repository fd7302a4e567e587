"""MDIR against its formulas written out, its bound against Haar matrices, what it finds and what fools it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from methods import tiny_weights
from scipy.linalg import polar
from scipy.stats import ortho_group

from kinprint import transforms
from kinprint.architectures import open_model
from kinprint.architectures.weights import Weights
from kinprint.methods import mdir

ASSIGNED = "trace, channels assigned"
P, P_ASSIGNED = "log10 p under Haar", "log10 p under Haar, channels assigned"


def plain(seed: int, **shape: Any) -> Weights:
    """A model whose gains are 1, so that its residual stream may be rotated."""
    model = tiny_weights.model(seed, **shape)
    return tiny_weights.changed(
        model, {place: np.ones(part.shape) for place, part in model.parts.items() if len(part.shape) == 1}
    )


def moved(model: Weights, map_: np.ndarray) -> Weights:
    """The model with x @ map_ in the place of every vector x of its residual stream."""
    arrays = {
        place: part.read() @ map_ if part.axes.index("residual") else map_.T @ part.read()
        for place, part in model.parts.items()
        if len(part.shape) == 2
    }
    return tiny_weights.changed(model, arrays)


def signed_permutation(size: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.eye(size)[rng.permutation(size)] * rng.choice([-1, 1], size)


def inside_heads(model: Weights, seed: int) -> Weights:
    """Key-value groups in another order, query heads inside them too, queries and keys rotated inside each, so are values and
    outputs: the same function, without positions."""
    rng = np.random.default_rng(seed)
    groups, members, width = (model.facts[n] for n in ("num_key_value_heads", "num_attention_heads", "head_dim"))
    members //= groups
    arrays = {}
    for layer in range(model.layers):
        order = rng.permutation(groups)
        turns = ortho_group.rvs(width, size=2 * groups, random_state=rng).reshape(2, groups, width, width)
        inside = rng.permuted(np.tile(np.arange(members), (groups, 1)), axis=1)
        for role, turn in (("q", turns[0]), ("k", turns[0]), ("v", turns[1]), ("o", turns[1])):
            rows = model.stored(layer, role).T if role == "o" else model.stored(layer, role)
            heads = rows.reshape(groups, -1, width, model.hidden)[order]
            if role in "qo":
                heads = np.take_along_axis(heads, inside[:, :, None, None], axis=1)
            rows = np.einsum("gij,gmjn->gmin", turn, heads).reshape(rows.shape)
            arrays[layer, role, None] = rows.T if role == "o" else rows
    return tiny_weights.changed(model, arrays)


def best_trace(a: np.ndarray, b: np.ndarray) -> float:
    """Largest tr(R a b^T) over rotations R, attained at the polar factor, over both norms."""
    turn = polar(a @ b.T)[0]
    return float(np.trace(turn.T @ a @ b.T) / np.linalg.norm(a) / np.linalg.norm(b))


def test_the_formula() -> None:
    """The polar factor of E^T E' over the shared words, and the mean of the best traces after it, head by head."""
    a, b = (plain(0, heads=2, groups=1), plain(1, heads=2, groups=1))
    b = tiny_weights.changed(b, {(0, role, None): a.stored(0, role) for role in ("q", "k", "v", "o")})
    ids = list(range(2, 50))
    outer = polar(a.stored(None, "embedding")[ids].T.astype(float) @ b.stored(None, "embedding")[ids])[0]
    found = mdir.METHOD(a, b)
    assert found.parts["trace"] == pytest.approx(np.trace(outer) / 16)
    assert found.parts[P] == pytest.approx(min(0, -(max(np.trace(outer), 0) ** 2) / 2 / math.log(10)))
    for layer, value in enumerate(found.layers):
        each = []
        for role in ("q", "k", "v", "o"):
            x, y = (model.stored(i, role) for model, i in ((a, found.layer_map[layer]), (b, layer)))
            x, y = (side.T if role == "o" else side for side in (x, y))
            x, y = x.reshape(-1, 3, 16) @ outer, y.reshape(-1, 3, 16)
            table = np.array([[best_trace(one, other) for other in y] for one in x])
            each.append(max(np.diag(table).mean(), np.diag(table[:, ::-1]).mean()))
        assert value == pytest.approx(np.mean(each), abs=1e-5)
    assert found.statistic == pytest.approx(np.mean(found.layers), abs=1e-6)


@pytest.mark.parametrize("shape", [{}, {"heads": 6, "groups": 3, "head_dim": 2}, {"heads": 4, "groups": 4}])
def test_a_planted_map_is_recovered(shape: dict[str, int]) -> None:
    """A rotated copy with its heads permuted and rotated inside: the rotation itself, agreement 1, and no small p-value."""
    base = plain(0, **shape)
    rotation = ortho_group.rvs(16, random_state=np.random.default_rng(4))
    copy = inside_heads(moved(base, rotation), 5)
    np.testing.assert_allclose(mdir.outer_map(base, copy).matrix, rotation, atol=1e-5)
    found = mdir.METHOD(base, copy)
    assert found.statistic == pytest.approx(1, abs=1e-5)
    assert found.layer_map == (0, 1)
    assert found.parts[P_ASSIGNED] > -1


def test_a_planted_relabelling_is_recovered() -> None:
    """Channels in another order, some with the other sign: not in the trace as it is, but after the assignment."""
    base = plain(0, hidden=24)
    copy = tiny_weights.noisy(moved(base, signed_permutation(24, 1)), 0.05)
    found = mdir.METHOD(base, copy)
    assert found.parts[ASSIGNED] > 0.98
    assert abs(found.parts["trace"]) < 0.5
    expected = (math.lgamma(25) + 24 * math.log(2) - (24 * found.parts[ASSIGNED]) ** 2 / 2) / math.log(10)
    assert found.parts[P_ASSIGNED] == pytest.approx(expected)
    assert found.parts[P_ASSIGNED] < -80
    assert mdir.METHOD(base, plain(3, hidden=24)).parts[P_ASSIGNED] == 0


def test_what_it_says_of_a_pair_does_not_depend_on_the_bases_or_the_side() -> None:
    """Agreement is that of the function: after a rotation of either model, inside heads too, and the other way round."""
    a, b = plain(0), tiny_weights.noisy(plain(0), 0.5)
    rotation = ortho_group.rvs(16, random_state=np.random.default_rng(4))
    expected = mdir.METHOD(a, b).statistic
    assert 0.5 < expected < 0.95
    for pair in ((moved(a, rotation), b), (a, inside_heads(moved(b, rotation), 3)), (b, a)):
        assert mdir.METHOD(*pair).statistic == pytest.approx(expected, abs=1e-4)


def haar(size: int, draws: int, seed: int) -> np.ndarray:
    return np.asarray(ortho_group.rvs(size, size=draws, random_state=np.random.default_rng(seed)))


def traces(narrow: int, wide: int, rank: int, draws: int) -> np.ndarray:
    """Traces of left @ right.T, left fixed, right of uniform orthonormal columns."""
    right = haar(wide, draws, narrow + wide + rank)[:, :, :rank]
    left = np.eye(narrow)[:, :rank]
    return np.einsum("nr,dnr->d", left, right[:, :narrow])


@pytest.mark.parametrize(("narrow", "wide", "rank"), [(2, 2, 2), (3, 3, 3), (12, 12, 12), (4, 9, 4), (8, 8, 2), (6, 20, 3)])
def test_the_bound_holds_over_haar_matrices(narrow: int, wide: int, rank: int) -> None:
    """H0: the map is a Haar-random partial isometry. At every level no more of 40 000 traces reach p than p allows, up to four
    standard errors, and where p is moderate the bound is no more than ten times too large."""
    seen = np.sort(traces(narrow, wide, rank, 40_000))
    p = np.array([10 ** mdir.log10_p(t, rank, (narrow, wide), relabelled=False) for t in seen])
    for level in (0.5, 0.1, 0.02, 0.005):
        share = float((p <= level).mean())
        assert share <= level + 4 * math.sqrt(level / 40_000)
    if wide == rank > 2:
        assert (p <= 0.1).mean() > 0.1 / 10


@pytest.mark.parametrize("shape", [(6, 6), (5, 8)])
def test_the_bound_holds_after_assignment_and_needs_the_union(shape: tuple[int, int]) -> None:
    """H0: the map is Haar-random. After the best assignment p-values hold, and would not without the number of ways."""
    sums = []
    for matrix in haar(max(shape), 2000, 8)[:, : shape[0]]:
        magnitudes = np.abs(matrix)
        sums.append(magnitudes[mdir.linear_sum_assignment(magnitudes, maximize=True)].sum())
    p, naive = (
        np.array([10 ** mdir.log10_p(total, shape[0], shape, relabelled=relabelled) for total in sums])
        for relabelled in (True, False)
    )
    assert (p <= 0.05).mean() <= 0.05
    assert (naive <= 0.05).mean() > 0.5


def test_the_bound_in_closed_form() -> None:
    """Chernoff for a standard normal at full rank; exact small cases below it; nothing for a negative trace."""
    assert mdir.log10_p(10, 100, (100, 100), relabelled=False) == pytest.approx(-50 / math.log(10))
    ways = math.lgamma(101) + 100 * math.log(2)
    assert mdir.log10_p(80, 100, (100, 100), relabelled=True) == pytest.approx((ways - 3200) / math.log(10))
    assert mdir.log10_p(80, 100, (120, 100), relabelled=True) > mdir.log10_p(80, 100, (100, 100), relabelled=True)
    assert mdir.log10_p(-5, 100, (100, 100), relabelled=False) == 0
    assert 10 ** mdir.log10_p(1, 1, (1, 1), relabelled=False) >= 0.5
    for trace in np.linspace(0.01, 1.99, 30):  # of O(2): 2 cos of a uniform angle, or 0
        assert 10 ** mdir.log10_p(trace, 2, (2, 2), relabelled=False) >= math.acos(trace / 2) / (2 * math.pi)
    one = 10 ** mdir.log10_p(0.9, 1, (64, 64), relabelled=False)  # an entry of a Haar matrix has variance 1 / 64
    assert one == pytest.approx(math.exp(-(0.9**2) * 64 / 2))


def test_words_are_matched_whatever_the_tokenizers() -> None:
    """Another order of another vocabulary that has most words: the map is that of the words in common."""
    base, rotation = plain(0, vocabulary=80), ortho_group.rvs(16, random_state=np.random.default_rng(2))
    copy = moved(base, rotation)
    order = np.random.default_rng(1).permutation(80)
    tokens = {(f"other{i}" if i % 4 == 0 else token): int(np.argsort(order)[i]) for token, i in base.tokens.items()}
    embedding = copy.stored(None, "embedding")[order]
    embedding[[place for token, place in tokens.items() if token.startswith("other")]] = 7
    copy = replace(tiny_weights.changed(copy, {(None, "embedding", None): embedding}), tokens=tokens)
    found = mdir.METHOD(base, copy)
    assert found.statistic == pytest.approx(1, abs=1e-5)
    assert "59 shared tokens" in found.note


def test_fewer_words_than_channels_give_a_map_of_their_rank() -> None:
    """38 words in 48 channels: the trace is a share of the 38 dimensions that they span, and heads are seen in those alone."""
    base = plain(0, hidden=48, vocabulary=40)
    assert mdir.outer_map(base, base).left.shape == (48, 38)
    found = mdir.METHOD(base, base)
    assert found.parts["trace"] == pytest.approx(1)
    assert found.statistic == pytest.approx(1, abs=1e-5)
    assert found.parts[P] == pytest.approx(mdir.log10_p(38, 38, (48, 48), relabelled=False))


def test_fewer_channels_are_found_among_more() -> None:
    """A width-pruned copy, either way round."""
    base = moved(plain(0, hidden=24), signed_permutation(24, 3))
    kept = np.sort(np.random.default_rng(0).permutation(24)[:16])
    arrays = {place: np.take(part.read(), kept, part.axes.index("residual")) for place, part in base.parts.items()}
    small = tiny_weights.changed(plain(0), arrays)
    stranger = mdir.METHOD(base, plain(5)).statistic
    for pair in ((base, small), (small, base)):
        assert mdir.METHOD(*pair).statistic > stranger + 0.15


def test_every_layer_finds_its_source() -> None:
    """Layers dropped, repeated and reordered in a rotated copy."""
    deep = plain(0, layers=5)
    order = (4, 1, 1, 0)
    shallow = plain(9, layers=4)
    arrays = {(i, role, None): deep.stored(j, role) for i, j in enumerate(order) for role in ("q", "k", "v", "o")}
    arrays[None, "embedding", None] = deep.stored(None, "embedding")
    rotation = ortho_group.rvs(16, random_state=np.random.default_rng(2))
    found = mdir.METHOD(deep, moved(tiny_weights.changed(shallow, arrays), rotation))
    assert found.layer_map == order
    assert found.layers == pytest.approx((1, 1, 1, 1), abs=1e-5)


def test_a_free_rotation_gives_a_stranger_any_p_value() -> None:
    """Its outer map undone, which no output shows: the smallest p-values there are; agreement stays what it was."""
    base, stranger = plain(0), plain(1)
    before = mdir.METHOD(base, stranger)
    after = mdir.METHOD(base, moved(stranger, mdir.outer_map(base, stranger).matrix.T))
    assert before.parts[P] > -2
    assert after.parts["trace"] == pytest.approx(1, abs=1e-5)
    assert after.parts[P] == pytest.approx(-(16**2) / 2 / math.log(10), rel=1e-4)
    assert after.statistic == pytest.approx(before.statistic, abs=1e-4)


def test_what_it_finds_and_what_fools_it(models: Path, tmp_path: Path) -> None:
    """A fine-tune is found permuted, rotated and in every disguise; with new embeddings it is not. P-values see no rotation."""
    transforms.apply("permute", models / "finetune", tmp_path / "permuted", seed=0)
    transforms.apply("rotate", models / "finetune", tmp_path / "rotated", seed=0)
    transforms.apply("disguise", models / "finetune", tmp_path / "disguised", seed=0)
    transforms.apply(
        "swap-vocabulary", models / "finetune", tmp_path / "swapped", tokenizer=models / "finetune", keep=False, seed=0
    )
    base = open_model(models / "base").weights
    folders = [
        *(tmp_path / name for name in ("permuted", "rotated", "disguised", "swapped")),
        models / "finetune",
        models / "twin",
    ]
    permuted, rotated, disguised, swapped, finetune, twin = (
        mdir.METHOD(base, open_model(folder).weights) for folder in folders
    )
    assert finetune.statistic > 0.95
    assert [permuted.statistic, rotated.statistic] == pytest.approx([finetune.statistic] * 2, abs=2e-3)
    assert disguised.statistic > 0.9
    assert max(swapped.statistic, twin.statistic) < 0.5
    assert max(finetune.parts[P_ASSIGNED], permuted.parts[P_ASSIGNED]) < -1000
    assert min(found.parts[P_ASSIGNED] for found in (rotated, disguised, swapped, twin)) > -1


def test_when_it_does_not_apply() -> None:
    model = tiny_weights.model(0)
    embedding = model.stored(None, "embedding")
    silent = {
        "has no tokenizer": Weights("bare", "memory", model.facts, model.parts, {}),
        "has no token embedding": tiny_weights.changed(model, {(None, "embedding", None): None}),
        "share 0 ordinary tokens": Weights("other", "memory", model.facts, model.parts, {"<s>": 0, "else": 5}),
        "share 28 ordinary tokens": tiny_weights.model(0, vocabulary=30),
        "not as wide": tiny_weights.changed(model, {(None, "embedding", None): embedding[:, :8]}),
        "are zero": tiny_weights.changed(model, {(None, "embedding", None): 0 * embedding}),
        "not finite": tiny_weights.changed(model, {(None, "embedding", None): np.full(embedding.shape, np.nan)}),
        "no layer with heads": tiny_weights.changed(model, {(layer, "k", None): None for layer in range(2)}),
    }
    for reason, other in silent.items():
        for pair in ((model, other), (other, model)):
            found = mdir.METHOD(*pair)
            assert not found.applies
            assert reason in found.note


def test_a_layer_without_heads_is_left_out() -> None:
    model = tiny_weights.model(0)
    found = mdir.METHOD(model, tiny_weights.changed(model, {(0, "v", None): None}))
    assert np.isfinite(found.layers).tolist() == [False, True]
    assert found.layer_map is None
    assert found.statistic == pytest.approx(1, abs=1e-5)
