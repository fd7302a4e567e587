"""Models are taken apart into what they were made of, and into nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest
from library.merges.gathered import LAYERS, Entries, base, child, combined, fingerprint
from scipy import stats

from kinprint.library.merges.combination import Data, added, fit
from kinprint.library.merges.gather import gather
from kinprint.library.merges.gather_result import Gathering
from kinprint.library.merges.relatives import relatives
from kinprint.library.merges.sampled_entries import matrix_of, places, spacing, values
from kinprint.transforms.merge import slerp, ties

Family = dict[str, Entries]


@pytest.fixture(scope="module")
def family() -> Family:
    """A base, four children of it, and three strangers."""
    rng = np.random.default_rng(1)
    origin = base(rng)
    return {
        "base": origin,
        **{f"child{n}": child(rng, origin, 0.3) for n in range(4)},
        **{f"stranger{n}": base(rng) for n in range(3)},
    }


def taken_apart(family: Family, made: Entries, without: tuple[str, ...] = (), dtype: str = "bfloat16") -> Gathering:
    known = [fingerprint(name, entries) for name, entries in family.items() if name not in without]
    return gather(fingerprint("suspect", made, dtype), known)


def stored(entries: Entries) -> Entries:
    """As they are read from a file of bfloat16."""
    return {name: value.astype(np.dtype("bfloat16")).astype(np.float64) for name, value in entries.items()}


def found(gathering: Gathering) -> dict[str, float]:
    return {parent.model.name: parent.coefficient for parent in gathering.parents}


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.7, 0.3), (0.9, 0.1), (0.2, 0.3, 0.5), (0.1, 0.2, 0.3, 0.4)])
def test_coefficients_of_weighted_means(family: Family, shares: tuple[float, ...]) -> None:
    """Within 0.005 of the truth and 5 standard errors, from samples of models stored in bfloat16."""
    made = combined([(share, stored(family[f"child{n}"])) for n, share in enumerate(shares)])
    gathering = taken_apart(family, made)
    truth = {f"child{n}": share for n, share in enumerate(shares)}
    assert gathering.kind == "linear"
    assert gathering.exact
    assert found(gathering).keys() == truth.keys()
    for parent in gathering.parents:
        wrong = abs(parent.coefficient - truth[parent.model.name])
        assert wrong < 0.005
        assert parent.error is not None
        assert wrong < 5 * parent.error + 1e-9
        assert parent.log10_p < -6


def test_task_arithmetic(family: Family) -> None:
    """The base has what is missing to one."""
    one, other, origin = (stored(family[name]) for name in ("child0", "child1", "base"))
    gathering = taken_apart(family, combined([(0.8, one), (0.6, other), (-0.4, origin)]))
    assert gathering.kind == "task-arithmetic"
    assert found(gathering) == pytest.approx({"child0": 0.8, "child1": 0.6, "base": -0.4}, abs=0.005)
    assert gathering.base is not None
    assert gathering.base.name == "base"


def test_slerp(family: Family) -> None:
    """What the coefficients add up to beyond one follows the angle of the tensors."""
    one, other = stored(family["child0"]), stored(family["child1"])
    made = {
        key: np.stack([slerp([a, b], [0.4, 0.6]) for a, b in zip(one[key], other[key], strict=True)])  # type: ignore[list-item]
        for key in one
    }
    gathering = taken_apart(family, made)
    assert gathering.kind == "slerp"
    assert found(gathering) == pytest.approx({"child0": 0.4, "child1": 0.6}, abs=0.01)
    assert gathering.details["arc"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("density", [0.3, 0.5, 0.8])
def test_ties(family: Family, density: float) -> None:
    """The two models and the base, the shares and how much was trimmed."""
    one, other, origin = (stored(family[name]) for name in ("child0", "child1", "base"))
    made = {
        key: origin[key] + ties([(m[key] - origin[key]).astype(np.float32) for m in (one, other)], [0.6, 0.4], density)
        for key in one
    }
    gathering = taken_apart(family, made)
    assert gathering.kind == "ties"
    assert gathering.base is not None
    assert gathering.base.name == "base"
    coefficients = found(gathering)
    assert {"child0": coefficients["child0"], "child1": coefficients["child1"]} == pytest.approx(
        {"child0": 0.6, "child1": 0.4}, abs=0.03
    )
    assert gathering.details["density"] == pytest.approx(density, abs=0.05)


def test_ties_among_near_copies_of_the_base() -> None:
    """Of siblings of which one lies far from the base; among models that differ from the base in next to nothing."""
    rng = np.random.default_rng(2)
    origin = stored(base(rng))
    near, far = (stored(child(rng, origin, size)) for size in (0.1, 1.0))
    family = {"base": origin, "near": near, "far": far}
    for number in range(4):
        family[f"adapter{number}"] = origin | {"sample.q": stored(child(rng, origin, 0.1))["sample.q"]}
    deltas = {key: [(model[key] - origin[key]).astype(np.float32) for model in (near, far)] for key in origin}
    made = {key: origin[key] + ties(of_both, [0.6, 0.4], 0.3) for key, of_both in deltas.items()}
    gathering = taken_apart(family, made)
    assert gathering.kind == "ties"
    assert gathering.base is not None
    assert gathering.base.name == "base"
    coefficients = found(gathering)
    assert [coefficients["near"], coefficients["far"]] == pytest.approx([0.6, 0.4], abs=0.03)


def test_layers_of_two_models_in_place(family: Family) -> None:
    made = {key: value.copy() for key, value in family["child0"].items()}
    for value, other in zip(made.values(), family["child1"].values(), strict=True):
        value[2:] = other[2:]
    gathering = taken_apart(family, made)
    assert gathering.kind == "passthrough"
    sources = [layer.source for layer in gathering.layers]
    assert [source[:2] for source in sources if source] == [("child0", 0), ("child0", 1), ("child1", 2), ("child1", 3)]


def test_layers_of_two_models_in_another_order(family: Family) -> None:
    """Also where the suspect is deeper than all of its parts."""
    order = [("child0", 0), ("child0", 1), ("child0", 2), ("child2", 1), ("child2", 2), ("child2", 3)]
    made = {key: np.stack([family[name][key][layer] for name, layer in order]) for key in family["base"]}
    gathering = taken_apart(family, made)
    assert gathering.kind == "passthrough"
    assert gathering.exact
    assert [layer.source[:2] for layer in gathering.layers if layer.source] == order


def test_a_layer_of_nobody_has_no_source(family: Family) -> None:
    made = {key: np.concatenate([value, stranger[:1]]) for (key, value), stranger in zip(
        family["child0"].items(), base(np.random.default_rng(9)).values(), strict=True)}  # fmt: skip
    gathering = taken_apart(family, made)
    assert [layer.source is None for layer in gathering.layers] == [False] * LAYERS + [True]
    assert not gathering.exact


def test_coefficients_by_layer(family: Family) -> None:
    """A mean whose weights change with depth."""
    share = np.linspace(0.1, 0.9, LAYERS)[:, None]
    one, other = stored(family["child0"]), stored(family["child1"])
    gathering = taken_apart(family, {key: (1 - share) * one[key] + share * other[key] for key in one})
    assert gathering.kind == "varying"
    at = [parent.model.name for parent in gathering.parents].index("child1")
    assert [layer.coefficients[at] for layer in gathering.layers] == pytest.approx(share[:, 0].tolist(), abs=0.01)


def test_training_after_a_merge(family: Family) -> None:
    """The parts are found still, with larger errors, and it is said that something is left."""
    rng = np.random.default_rng(3)
    made = child(rng, combined([(0.5, family["child0"]), (0.5, family["child1"])]), 0.05)
    gathering = taken_apart(family, made)
    assert found(gathering) == pytest.approx({"child0": 0.5, "child1": 0.5}, abs=0.02)
    assert not gathering.exact
    assert any("More than rounding" in note for note in gathering.notes)


@pytest.mark.parametrize("name", ["base", "child0"])
def test_relatives_are_not_taken_for_parts(family: Family, name: str) -> None:
    """An origin lies between its children, and a sister beside them; neither is a mixture of the others."""
    assert taken_apart(family, family[name], without=(name,)).kind == "single"


def test_sisters_that_were_trained_alike() -> None:
    """Differences from the base that correlate at 0.5 are no part of each other."""
    rng = np.random.default_rng(5)
    origin = base(rng)
    shared = child(rng, origin, 0.2)
    sisters = {f"sister{n}": child(rng, shared, 0.2) for n in range(4)}
    gathering = taken_apart({"base": origin, **sisters}, sisters["sister3"], without=("sister3",))
    assert gathering.kind == "single"
    assert gathering.associated


def test_strangers_are_no_part(family: Family) -> None:
    gathering = taken_apart({name: family[name] for name in family if name.startswith("stranger")}, family["child0"])
    assert gathering.kind in ("none", "untestable")
    assert not gathering.parents


def _data(suspect: Entries, others: list[Entries]) -> Data:
    model = fingerprint("suspect", suspect)
    where, entries = places(model), values(model, model)
    known = [fingerprint(str(number), other) for number, other in enumerate(others)]
    return Data(entries, matrix_of(known, model), where, spacing(model, where, entries))


def test_p_values_of_strangers_are_uniform() -> None:
    """Null hypothesis: trained apart. 300 candidates, one p-value each (before the correction)."""
    rng = np.random.default_rng(11)
    _, p = relatives(_data(base(rng), [base(rng) for _ in range(300)]), 1e-6)
    log10_p = p[p < 0] - np.log10(len(p))
    assert len(log10_p) <= 5  # corrected for 300, next to nothing is left
    single = [10 ** float(relatives(_data(base(rng), [base(rng)]), 1e-6)[1][0]) for _ in range(200)]
    assert stats.kstest(single, "uniform").pvalue > 0.01


def test_p_values_of_further_parts_are_uniform() -> None:
    """Null hypothesis: of the remainder of a mean that was trained on, a further child of the base says nothing."""
    rng = np.random.default_rng(13)
    origin = base(rng)
    children = [child(rng, origin, 0.3) for _ in range(2)]
    p = []
    for _ in range(8):
        made = child(rng, combined([(0.6, children[0]), (0.4, children[1])]), 0.1)
        data = _data(made, [*children, *(child(rng, origin, 0.3) for _ in range(25))])
        whole = fit(data, [0, 1])
        p += [10**value for value in added(data, whole, range(2, 27))]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_errors_cover_the_truth() -> None:
    """95 % intervals of coefficients hold the truth about as often, of means that were trained on."""
    rng = np.random.default_rng(17)
    origin = base(rng)
    children = [child(rng, origin, 0.3) for _ in range(2)]
    inside = 0
    for _ in range(100):
        whole = fit(_data(child(rng, combined([(0.6, children[0]), (0.4, children[1])]), 0.1), children), [0, 1])
        inside += abs(whole.coefficients[0] - 0.6) < 1.96 * whole.errors[0]
    assert 85 <= inside <= 100


def test_json(family: Family) -> None:
    made = combined([(0.5, family["child0"]), (0.5, family["child1"])])
    content = json.loads(json.dumps(taken_apart(family, made).to_json(), allow_nan=False))
    assert content["format"] == "kinprint-gathering/1"
    assert {"name", "coefficient", "standard_error", "log10_p"} <= content["parents"][0].keys()
    assert len(content["layers"]) == LAYERS


def test_no_candidates(family: Family) -> None:
    gathering = taken_apart({}, family["base"])
    assert gathering.kind == "none"
    json.dumps(gathering.to_json(), allow_nan=False)


def test_a_fingerprint_without_samples() -> None:
    from kinprint.fingerprints import Fingerprint

    bare = Fingerprint("bare", {"gains.final": np.ones(8)})
    other = Fingerprint("other", {"gains.final": np.full(8, 2.0)})
    assert gather(bare, [other]).kind == "none"


def test_other_sums_of_the_same_are_named(family: Family) -> None:
    """A library that holds another merge of the same models explains the suspect in several ways; all are said."""
    one, other = (stored(family[name]) for name in ("child0", "child1"))
    more = {**family, "merge": combined([(0.25, one), (0.75, other)])}
    gathering = taken_apart(more, combined([(0.5, one), (0.5, other)]))
    sets = [set(found(gathering)), *map(set, gathering.alternatives)]
    assert {"child0", "child1"} in sets
    assert {"child0", "merge"} in sets


def test_p_values_are_corrected_for_the_library(family: Family) -> None:
    """Candidates that were chosen from many count as many."""
    known = [fingerprint("child0", family["child0"])]
    suspect = fingerprint("suspect", family["base"])
    alone, chosen = (gather(suspect, known, size=size).parents[0].log10_p for size in (1, 1000))
    assert chosen == pytest.approx(alone + 3)
