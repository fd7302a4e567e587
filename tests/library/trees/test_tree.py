"""Trees of known histories, made of arrays that drift along their branches."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from library.pairs_tested import pairs_tested_by

from kinprint import Fingerprint
from kinprint.library.descent import arrows as arrows_module
from kinprint.library.descent.arrows import MERGED
from kinprint.library.trees import families as families_module
from kinprint.library.trees import tree as tree_module
from kinprint.library.trees.closer import FREQUENCIES, LENGTH
from kinprint.library.trees.distances import Sampled
from kinprint.library.trees.families import families
from kinprint.library.trees.joining import Branch, neighbour_joining
from kinprint.library.trees.nearness import EVERY_PAIR, MOST_ALIKE, NEAR, NEAR_UNSEEN, near
from kinprint.library.trees.tree import Family, tree
from kinprint.library.vectors import vectors
from kinprint.methods import Method
from kinprint.reports import tree_text
from kinprint.reports.tree_svg import tree_svg
from kinprint.reports.tree_terminal import OPEN, foot, rows
from kinprint.reports.tree_terminal import start as start_words

pytest.importorskip("skbio")

LAYERS, HIDDEN, POSITIONS = 4, 96, 256
ROLES = ("q", "k", "v", "o", "gate", "up", "down")
EVIL = "]('<script>&\"),(:; [/bold] x"


def start(seed: int) -> dict[str, Any]:
    """A model trained from scratch: nothing in common with those of other seeds."""
    random = np.random.default_rng(seed)
    traits: dict[str, Any] = {f"sample.{role}": random.standard_normal((LAYERS, POSITIONS)) for role in ROLES}
    traits |= {f"channels.{role}": np.exp(random.normal(0, 0.3, (LAYERS, HIDDEN))) for role in ROLES}
    return traits | {"gains.input": 1 + random.normal(0, 0.1, (LAYERS, HIDDEN))}


def trained(traits: dict[str, Any], amount: float, seed: int) -> dict[str, Any]:
    """Trained on: samples move by `amount` of their size, channels by as much, gains away from one."""
    random = np.random.default_rng(seed)
    found = {}
    for name, values in traits.items():
        if name.startswith("gains."):
            found[name] = 1 + (values - 1) * (1 + amount)
        else:
            found[name] = values + amount * np.std(values) * random.standard_normal(values.shape)
    return {name: np.abs(values) if name.startswith("channels.") else values for name, values in found.items()}


def model(name: str, traits: dict[str, Any]) -> Fingerprint:
    shapes = {role: [[1, HIDDEN, HIDDEN]] * LAYERS for role in ROLES}
    return Fingerprint(name, {k: v.astype(np.float32) for k, v in traits.items()}, {"shapes": shapes, "hidden_size": HIDDEN})


def history() -> list[Fingerprint]:
    """A base; one line of it with two descendants, another with two; and two strangers."""
    base = start(1)
    left, right = trained(base, 0.3, 2), trained(base, 0.3, 3)
    made = {"base": base, "a": trained(left, 0.15, 4), "b": trained(left, 0.15, 5)}
    made |= {"c": trained(right, 0.15, 6), "d": trained(right, 0.15, 7), "x": start(8), "y": start(9)}
    return [model(name, traits) for name, traits in made.items()]


def sides(family: Family, names: Sequence[str]) -> set[frozenset[str]]:
    """How the branches of a tree divide the models."""
    found = set()
    for cut in family.edges:
        reached, waiting = {cut.a}, [cut.a]
        while waiting:
            node = waiting.pop()
            for edge in family.edges:
                for here, there in ((edge.a, edge.b), (edge.b, edge.a)):
                    if edge is not cut and here == node and there not in reached:
                        reached.add(there)
                        waiting.append(there)
        found.add(frozenset(names[n] for n in reached if n >= 0))
    return found


def test_a_known_history() -> None:
    """The two lines of the base come out as two branches, the base between them, strangers alone."""
    models = history()
    forest = tree(models)
    assert [forest.labels[model] for model in forest.singletons] == ["x", "y"]
    (family,) = forest.families
    divided = sides(family, forest.labels)
    everyone = frozenset("abcd") | {"base"}
    for line in (frozenset("ab"), frozenset("cd")):
        assert line in divided or everyone - line in divided
    assert not family.merges
    lengths = {frozenset((n.a, n.b)): n.distance for n in family.neighbours}
    assert len(lengths) == 4
    assert min(lengths.values()) > 0


def test_two_unnamed_ancestors_remain() -> None:
    """Neither line's first model was given: the tree has a node for each that is no model."""
    (family,) = tree(history()).families
    assert sum(node < 0 for node in family.nodes) == 2


def test_strangers_are_never_joined() -> None:
    """H0: all models are trained independently. A run errs if any of its pairs is joined, with probability 0.05 at most; more
    than three of ten runs do once in a thousand."""
    wrong = 0
    for run in range(10):
        found = families([model(str(n), start(1000 * run + n)) for n in range(5)], alpha=0.05)
        assert found.tested <= found.pairs == 10
        wrong += len(found.groups) < 5
    assert wrong <= 3


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Names of the pairs that are tested."""
    return pairs_tested_by(families_module, monkeypatch)


def test_pairs_that_are_joined_already_are_not_tested(counted: list[tuple[str, str]]) -> None:
    """Of the history's 21 pairs, 4 join the family at once, and only those of strangers remain: 11."""
    found = families(history(), workers=1)
    assert found.tested == len(counted) == 4 + 11
    assert found.pairs == 21
    assert [len(group) for group in found.groups] == [5, 1, 1]


def test_any_number_of_threads_gives_the_same(counted: list[tuple[str, str]]) -> None:
    """Pairs that are tested ahead and turn out to be joined are not looked at."""
    alone = families(history(), workers=1)
    once = len(counted)
    assert families(history(), workers=4) == alone
    assert once <= len(counted) - once <= 21


def test_models_of_the_same_weights_are_tested_once(counted: list[tuple[str, str]]) -> None:
    """The copies are joined by the weights' digest alone, and one of them is tested for all; alpha is corrected for all."""
    first, second, third = (start(seed) for seed in (1, 2, 3))
    digests = {"digests": np.ones((1, 32), np.uint8)}
    facts = {"digest_parts": ["0.q"], "content": "one", "others": []}

    def copy(name: str, **more: Any) -> Fingerprint:
        plain = model(name, first)
        return Fingerprint(name, {**plain.traits, **digests}, {**plain.facts, **facts, **more})

    models = [copy("a"), model("x", second), copy("b", model_type="llama"), model("y", third), copy("c")]
    found = families(models, workers=1)
    assert counted == [("x", "b"), ("x", "y"), ("b", "y")]
    assert found.groups == ((0, 2, 4), (1,), (3,))
    assert found.links == ((0, 2, None), (2, 4, None))
    assert (found.pairs, found.tested) == (10, 3)


def test_the_same_weights_beside_other_buffers_are_no_copies(counted: list[tuple[str, str]]) -> None:
    """The digest of the weights alone is no answer: such models are tested, and each for itself."""
    buffer = {"name": "inv_freq", "what": "buffers", "bytes": 4, "dtype": "float32", "buffer": True}
    base = model("a", start(1))

    def beside(name: str, number: int) -> Fingerprint:
        held = {"others.digests": np.full((1, 32), number, np.uint8), "others.samples": np.full((1, 16), float(number))}
        return Fingerprint(name, {**base.traits, **held}, {**base.facts, "content": "one", "others": [buffer]})

    found = families([beside("a", 1), beside("b", 2)], workers=1)
    assert counted == [("a", "b")]
    assert found.groups == ((0, 1),)


def test_of_many_models_only_near_pairs_are_tested(monkeypatch: pytest.MonkeyPatch, counted: list[tuple[str, str]]) -> None:
    """The family comes out all the same, alpha is corrected for every pair, and what was not tested is said; --all tests it."""
    monkeypatch.setattr(tree_module, "EVERY_PAIR", 6)
    models = history()
    forest = tree(models, workers=1)
    tested = len(counted)
    said = forest.to_json()
    assert forest.relations.pairs == 21
    assert (forest.relations.tested, said["apart"]) == (tested, 15 - tested)
    assert tested < 15
    assert "were not tested (--all tests them)" in foot(forest)
    everything = tree(models, test_all=True, workers=1)
    assert len(counted) - tested == 15
    assert everything.relations.groups == forest.relations.groups
    assert "apart" not in everything.to_json()
    assert "not tested" not in foot(everything)


def test_stored_vectors_are_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "EVERY_PAIR", 1)
    models = history()
    stored = {each.digest: vectors(each) for each in models[1:]}
    computed = list[str]()

    def counting(each: Fingerprint) -> Any:
        computed.append(each.name)
        return vectors(each)

    monkeypatch.setattr(tree_module, "vectors", counting)
    forest = tree(models, stored=stored)
    assert computed == ["base"]
    assert len(forest.families[0].models) == 5


def test_near_pairs() -> None:
    """By the best of the spaces that both have, in standard deviations of strangers' cosines; without such a space, near."""
    unit = np.eye(256, dtype=np.float32)
    at = NEAR_UNSEEN / np.sqrt(256) + 0.01
    beside = at * unit[0] + np.sqrt(1 - at**2) * unit[1]
    channels = np.eye(128, dtype=np.float32)
    given = [
        {"forms": unit[0], "channels": channels[0]},
        {"forms": unit[1], "channels": channels[1]},
        {"forms": beside, "channels": channels[2]},
        {"forms": unit[2]},
        {"channels": channels[0]},
        {},
    ]
    found = near(given, [None] * 6)
    assert [(a, b) for a, b in itertools.combinations(range(6), 2) if not found[a, b]] == [
        (0, 1), (0, 3), (1, 3), (1, 4), (2, 3), (2, 4),
    ]  # fmt: skip
    assert (found == found.T).all()
    assert NEAR_UNSEEN + 0.16 < NEAR
    looked: list[Any] = [None] * 6
    looked[0], looked[2] = (np.tile(row, (len(FREQUENCIES), 1)) for row in np.eye(2, LENGTH, dtype=np.float32))
    assert not near(given, looked)[0, 2]  # seen closer, and not alike


def test_what_a_closer_look_finds_alike_is_near_for_the_few_most_alike() -> None:
    """Each model with its most alike; of strangers none, however few they are."""
    base, *strangers = np.eye(8, LENGTH, dtype=np.float32)
    amounts = np.linspace(0.3, 0.9, MOST_ALIKE + 2)
    copies = [amount * base + np.sqrt(1 - amount**2) * other for amount, other in zip(amounts, strangers, strict=False)]
    looked = [base, *copies, strangers[-1]]
    channels = [{"channels": row} for row in np.eye(len(looked), 128, dtype=np.float32)]
    found = near(channels, [np.tile(row, (len(FREQUENCIES), 1)) for row in looked])
    assert not found[-1, :-1].any()
    alike = np.array(looked[:-1]) @ np.array(looked[:-1]).T
    nearest = np.argsort(-alike, axis=1)[:, 1 : MOST_ALIKE + 1]
    wanted = np.zeros_like(alike, bool)
    np.put_along_axis(wanted, nearest, True, 1)
    assert (found[:-1, :-1] | np.eye(len(alike), dtype=bool) == wanted | wanted.T | np.eye(len(alike), dtype=bool)).all()


def test_models_of_a_recipe_that_are_all_alike_are_not_all_tested() -> None:
    """A common part in every vector: only the copy, which is more alike than is usual, is tested beside its original."""
    rng = np.random.default_rng(1)
    common, *own = rng.standard_normal((EVERY_PAIR + 8, LENGTH)) / np.sqrt(LENGTH)
    own[1] = 0.8 * own[0] + 0.6 * own[1]
    looked = [((0.6 * common + 0.8 * each) / np.linalg.norm(0.6 * common + 0.8 * each)).astype(np.float32) for each in own]
    channels = [{"channels": row} for row in np.eye(len(own), 128, dtype=np.float32)]
    found = near(channels, [np.tile(row, (len(FREQUENCIES), 1)) for row in looked])
    assert found[0, 1]
    assert np.triu(found, 1).sum() == 1


def test_strangers_are_rarely_near_and_relatives_always() -> None:
    """H0: independent models. At most one pair of strangers in ten is tested, and every pair of the family is."""
    models = [*history()[:5], *(model(str(seed), start(seed)) for seed in range(100, 140))]
    found = near([vectors(each) for each in models], [None] * len(models))
    assert found[:5, :5].all()
    strangers = np.triu(np.ones_like(found), 1)
    strangers[:5, :5] = False
    assert found[strangers].mean() < 0.1


def test_a_second_tree_tests_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KINPRINT_CACHE", str(tmp_path))
    first = tree(history(), cache=True, workers=1)  # which pairs of a family are asked depends on who is first
    monkeypatch.setattr(Method, "__call__", lambda *_: pytest.fail("a method was asked"))
    assert tree(history(), cache=True, workers=1).to_json() == first.to_json()


def test_what_belongs_to_one_model_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries for the distances of a family: prepared once a model, not once a pair."""
    prepared = list[str]()
    of = Sampled.of

    def counting(prepares: Fingerprint) -> Sampled:
        prepared.append(prepares.name)
        return of(prepares)

    monkeypatch.setattr(Sampled, "of", counting)
    tree(history())
    assert sorted(prepared) == ["a", "b", "base", "c", "d"]


def test_additive_distances_give_back_their_tree() -> None:
    """Saitou and Nei's theorem: from path lengths of a tree neighbour joining finds it. An item without a branch of its own is
    the branching point."""
    lengths = {(0, 5): 0.0, (1, 5): 2.0, (2, 5): 3.0, (3, 6): 1.0, (4, 6): 2.5, (5, 6): 4.0}
    paths = np.full((7, 7), np.inf)
    np.fill_diagonal(paths, 0)
    for (a, b), length in lengths.items():
        paths[a, b] = paths[b, a] = length
    for k, i, j in itertools.product(range(7), repeat=3):
        paths[i, j] = min(paths[i, j], paths[i, k] + paths[k, j])
    branches = neighbour_joining(paths[:5, :5])
    hidden = next(min(b.a, b.b) for b in branches if min(b.a, b.b) < 0)
    found = {frozenset((b.a, b.b)): b.length for b in branches}
    expected = {(0, 1): 2.0, (0, 2): 3.0, (3, hidden): 1.0, (4, hidden): 2.5, (0, hidden): 4.0}
    assert found == {frozenset(pair): pytest.approx(length) for pair, length in expected.items()}


def test_branches_that_resampling_does_not_have_are_collapsed() -> None:
    """A star with a little noise: no branch between unnamed nodes is in half of the replicates."""
    random = np.random.default_rng(0)

    def noisy() -> np.ndarray:
        noise = random.normal(0, 0.01, (8, 8))
        return np.where(np.eye(8) > 0, 0.0, 1 + (noise + noise.T))

    branches = neighbour_joining(noisy(), [noisy() for _ in range(50)])
    assert len(branches) == 8
    assert all(branch.support is None for branch in branches)


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, []), (2, [Branch(0, 1, 0.5)])])
def test_few_items(count: int, expected: list[Branch]) -> None:
    assert neighbour_joining(np.full((count, count), 0.5) * (1 - np.eye(count))) == expected


def test_hostile_names() -> None:
    """Newick is read back with the same names, the picture is well-formed and holds no element of a stranger's, and what is
    called alike is told apart."""
    from skbio import TreeNode

    base = start(1)
    models = [model(EVIL, base), model(EVIL, trained(base, 0.1, 2)), model("plain", trained(base, 0.1, 3))]
    forest = tree(models)
    assert len(set(forest.labels)) == 3
    read = TreeNode.read(io.StringIO(forest.newick()))
    assert {node.name for node in read.traverse() if node.name} == set(forest.labels)
    picture = ElementTree.fromstring(tree_svg(forest))
    assert not [element for element in picture.iter() if element.tag.endswith("script")]
    assert tree_text(forest) is not None


def test_what_a_program_reads() -> None:
    """Every model is a node or a singleton, branches end at nodes, and of trained models no arrow and no root is said."""
    said = tree(history()).to_json()
    assert said["format"] == "kinprint-tree/1"
    (family,) = said["families"]
    nodes = {node["id"] for node in family["nodes"]}
    assert all(end in nodes for edge in family["edges"] for end in edge["nodes"])
    assert sorted([n["model"] for n in family["nodes"] if n["model"]] + said["singletons"]) == [
        "a",
        "b",
        "base",
        "c",
        "d",
        "x",
        "y",
    ]
    assert family["arrows"] == []
    assert family["root"] is None
    assert family["drawn_from"] in nodes
    assert any("base is nearer the start" in fact for pair in family["neighbours"] for fact in pair["facts"])


def zeroed(traits: dict[str, Any]) -> dict[str, Any]:
    """The smaller half of all sampled entries set to zero."""
    return {k: np.where(np.abs(v) < 0.6, 0, v) if k.startswith("sample.") else v for k, v in traits.items()}


@pytest.fixture
def half_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrows_module, "measured", lambda: {"entries set to zero": (50, 50)})


@pytest.mark.usefixtures("half_true")
def test_an_arrow_and_the_root_that_it_supports() -> None:
    """Of a model and its zeroed copy alone the model is the root; beside a sister of which nothing is known none is named."""
    base = start(1)
    models = [model("copy", zeroed(base)), model("base", base), model("sister", trained(base, 0.3, 2))]
    (family,) = tree(models[:2]).families
    assert [(arrow.ancestor, arrow.descendant) for arrow in family.arrows] == [(1, 0)]
    assert family.root == family.drawn_from == 1
    forest = tree(models)
    (family,) = forest.families
    assert len(family.arrows) == 1
    assert family.root is None
    (said,) = forest.to_json()["families"]
    assert [(arrow["from"], arrow["to"], arrow["true"], arrow["drawn"]) for arrow in said["arrows"]] == [
        ("base", "copy", 50, 50)
    ]
    shown = rows(forest, family)
    assert [row.arrow for row in shown] == ["→", "–"]
    assert OPEN in shown[1].why
    assert start_words(forest, family).startswith("No root is known")
    picture = tree_svg(forest)
    assert picture.count('class="arrow"') == picture.count('class="head"') == 1


@pytest.mark.usefixtures("half_true")
def test_a_model_that_only_shares_the_start_is_no_root() -> None:
    """It is nearer the start than all others, and stays without an arrow."""
    begun = start(1)
    base = trained(begun, 0.8, 2)
    models = [model("other", trained(begun, 0.7, 3)), model("base", base), model("copy", zeroed(base))]
    (family,) = tree(models).families
    assert [(arrow.ancestor, arrow.descendant) for arrow in family.arrows] == [(1, 2)]
    assert family.root is None


def test_a_mean_has_arrows_and_a_sum_of_differences_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of b + c - a each part is a sum of the others, so nothing says which was made."""
    monkeypatch.setattr(arrows_module, "measured", lambda: {MERGED: (50, 50)})
    base = start(1)
    left, right = trained(base, 0.3, 2), trained(base, 0.3, 3)
    mean = {name: (left[name] + right[name]) / 2 for name in base}
    summed = {name: left[name] + right[name] - base[name] for name in base}
    (family,) = tree([model("mean", mean), model("left", left), model("right", right)]).families
    assert {(arrow.ancestor, arrow.descendant) for arrow in family.arrows} == {(1, 0), (2, 0)}
    grown = tree([model("summed", summed), model("left", left), model("right", right), model("base", base)])
    assert not any(merge.told for family in grown.families for merge in family.merges)
    assert not any(family.arrows for family in grown.families)
