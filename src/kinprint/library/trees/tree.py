"""Trees of relatives: who stands between whom, how far apart, and where it can be told, who descends from whom.

Families are separated by tests first (`kinprint.library.trees.families`). Inside a family models whose weights can be compared
position by position are joined by neighbour joining (Saitou and Nei, 1987) on distances that add up along lines of descent
(`kinprint.library.trees.distances`). Copies in another form are then hung beside the model whose neurons are nearest to theirs,
as query sequences are placed on a reference tree (Matsen et al., 2010). Models that turn out to be combinations of others are
left out of all this and shown with their parents.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import DisjointSet
from scipy.sparse.csgraph import csgraph_from_dense, shortest_path

from kinprint.arrays import Float32s, Float64s
from kinprint.comparison import ALPHA
from kinprint.comparison.in_order import in_order
from kinprint.comparison.one_sided import one_sided
from kinprint.fingerprints import Fingerprint
from kinprint.library.descent.arrows import Arrow, arrows
from kinprint.library.labels import labels
from kinprint.library.trees.closer import closer
from kinprint.library.trees.distances import NeuronDistances, Positions, Sampled, compared_by_position, draws
from kinprint.library.trees.families import Families, Progress, families
from kinprint.library.trees.joining import neighbour_joining, require_scikit_bio
from kinprint.library.trees.merged import Merge, merged
from kinprint.library.trees.nearness import EVERY_PAIR, near
from kinprint.library.vectors import Vector, vectors
from kinprint.notebook import Shown

FORMAT = "kinprint-tree/1"

REPLICATES = 100
"""Of the bootstrap: a share of a half is then known to within 0.1."""

FARTHEST = 1.0
"""Length of a branch between two models of a family that cannot be compared with each other."""

Means = Literal["weights", "neurons"]
Near = tuple[float, int, int, Means]
"""Distance of two models, the models, and what it was measured by."""


@dataclass(frozen=True)
class Edge:
    """A branch of the tree.

    Attributes:
        a, b: nodes.
        length: in 1 - cosine (weights), or 1 - correlation (neurons), which is another unit.
        by: what it was estimated from.
        support: share of bootstrap replicates that have the branch; None where it leads to a leaf or is by neurons.
    """

    a: int
    b: int
    length: float
    by: Means
    support: float | None = None


@dataclass(frozen=True)
class NeighbourPair:
    """Two models with no third between them: an edge of the shortest tree that has models alone for nodes.

    Attributes:
        a, b: models.
        distance, by: as of a branch.
        facts: clauses about what one of them has more of (`kinprint.comparison.one_sided`).
    """

    a: int
    b: int
    distance: float
    by: Means
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """A tree of models and unnamed ancestors; combinations hang on their first parent.

    Attributes:
        models: indices; a model is the node of its index, unnamed ancestors have negative numbers.
        edges: of the tree.
        neighbours: of the models; combinations have none of their own form.
        merges: the combinations.
        arrows: which model was made from which, as far as that can be told.
        root: the model that arrows lead from to all others; None where there is none.
    """

    models: tuple[int, ...]
    edges: tuple[Edge, ...]
    neighbours: tuple[NeighbourPair, ...]
    merges: tuple[Merge, ...]
    arrows: tuple[Arrow, ...]

    @property
    def root(self) -> int | None:
        below: dict[int, set[int]] = {model: {model} for model in self.models}
        for _ in self.models:
            for arrow in self.arrows:
                below[arrow.ancestor] |= below[arrow.descendant]
        return next((model for model in self.models if len(below[model]) == len(self.models)), None)

    @property
    def drawn_from(self) -> int:
        """Where the tree is drawn from: its root, or else its middle, from which the farthest node is nearest."""
        if self.root is not None:
            return self.root
        index = {node: number for number, node in enumerate(self.nodes)}
        lengths = np.full((len(index), len(index)), np.inf)
        for edge in self.edges:
            ends = index[edge.a], index[edge.b]
            lengths[ends] = lengths[ends[::-1]] = edge.length + 1e-9  # scipy takes a length of zero for no edge
        ways = shortest_path(csgraph_from_dense(lengths, null_value=np.inf), directed=False)
        return min(index, key=lambda node: (float(ways[index[node]].max()), abs(node)))

    def arrow(self, a: int, b: int) -> Arrow | None:
        """The arrow between two models, whichever way it points."""
        return next((arrow for arrow in self.arrows if {arrow.ancestor, arrow.descendant} == {a, b}), None)

    @property
    def nodes(self) -> tuple[int, ...]:
        return tuple(sorted({*self.models, *(end for edge in self.edges for end in (edge.a, edge.b))}))

    def rooted(self) -> dict[int, list[tuple[int, Edge]]]:
        """Node -> its children and the branches to them, seen from where it is drawn from; nodes before their children."""
        beside: dict[int, list[tuple[int, Edge]]] = {node: [] for node in self.nodes}
        for edge in self.edges:
            beside[edge.a].append((edge.b, edge))
            beside[edge.b].append((edge.a, edge))
        children: dict[int, list[tuple[int, Edge]]] = {}
        waiting: list[tuple[int, int | None]] = [(self.drawn_from, None)]
        while waiting:
            node, above = waiting.pop()
            children[node] = [(end, edge) for end, edge in beside[node] if end != above]
            waiting += [(end, node) for end, _ in children[node]]
        return children


@dataclass(frozen=True)
class Forest(Shown):
    """One tree a family.

    Attributes:
        labels: of all models, unique, harmless to show.
        digests: of their fingerprints.
        families: of two models and more, the largest first.
        singletons: models that the tests relate to no other.
        relations: which models the tests related.
    """

    measure = "distance"

    labels: tuple[str, ...]
    digests: tuple[str, ...]
    families: tuple[Family, ...]
    singletons: tuple[int, ...]
    relations: Families

    def name(self, node: int) -> str | None:
        """The label of a model; None of an unnamed ancestor."""
        return self.labels[node] if node >= 0 else None

    def newick(self) -> str:
        """One tree a line, in Newick format with named inner nodes where a model is the branching point."""
        return "".join(f"{_newick(self, family)}\n" for family in self.families)

    def headline(self) -> str:
        return f"{len(self.labels)} models, {len(self.families)} {'family' if len(self.families) == 1 else 'families'}"

    def summary(self) -> str:
        alone = ", ".join(self.labels[model] for model in self.singletons)
        return f"Related to none of the others: {alone}." if alone else "Every model has a relative among the others."

    def rows(self) -> list[dict[str, Any]]:
        """Pairs of neighbours: family, the two models, their distance, which was made from which where that is known."""
        found = []
        for number, family in enumerate(self.families, 1):
            for pair in family.neighbours:
                arrow = family.arrow(pair.a, pair.b)
                row = {"family": number, "model": self.labels[pair.a], "neighbour": self.labels[pair.b]}
                made = None if arrow is None else f"{self.labels[arrow.descendant]} from {self.labels[arrow.ancestor]}"
                found.append({**row, "distance": pair.distance, "made": made})
        return found

    def to_json(self) -> dict[str, Any]:
        """The object that `kinprint tree --json` prints."""
        return {
            "format": FORMAT,
            "alpha": self.relations.alpha,
            "pairs": self.relations.pairs,
            **({} if self.relations.apart is None else {"apart": self.relations.apart}),
            "models": [{"name": n, "digest": d} for n, d in zip(self.labels, self.digests, strict=True)],
            "families": [self._family(family) for family in self.families],
            "singletons": [self.labels[model] for model in self.singletons],
            "untestable": [[self.labels[a], self.labels[b]] for a, b in self.relations.untestable],
        }

    def _family(self, family: Family) -> dict[str, Any]:
        members = set(family.models)
        links = [link for link in self.relations.links if link[0] in members]
        return {
            "newick": _newick(self, family),
            "nodes": [{"id": node, "model": self.name(node)} for node in family.nodes],
            "root": family.root,
            "drawn_from": family.drawn_from,
            "edges": [{"nodes": [e.a, e.b], "length": e.length, "by": e.by, "support": e.support} for e in family.edges],
            "neighbours": [
                {"models": [self.labels[n.a], self.labels[n.b]], "distance": n.distance, "by": n.by, "facts": list(n.facts)}
                for n in family.neighbours
            ],
            "arrows": [{"from": self.labels[a.ancestor], "to": self.labels[a.descendant]} | a.to_json() for a in family.arrows],
            "merges": [self._merge(merge) for merge in family.merges],
            "links": [{"models": [self.labels[a], self.labels[b]], "log10_p": p} for a, b, p in links],
        }

    def _merge(self, merge: Merge) -> dict[str, Any]:
        rows = zip(merge.parents, merge.coefficients, merge.errors, strict=True)
        parents = [{"model": self.labels[p], "coefficient": c, "standard_error": e} for p, c, e in rows]
        return {"model": self.labels[merge.model], "kind": merge.kind, "parents": parents}


def tree(
    models: Sequence[Fingerprint],
    *,
    alpha: float = ALPHA,
    test_all: bool = False,
    stored: Mapping[str, Mapping[str, Vector]] = MappingProxyType({}),
    cache: bool = False,
    workers: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Forest:
    """Families by tests, a tree of each.

    Args:
        alpha: chance, at most, that any two models of independent training are joined.
        test_all: test every pair, also of very many models (`kinprint.library.trees.nearness`).
        stored: digest of a fingerprint -> its vectors, where they are at hand.
        cache: use what tests said about a pair earlier, and keep what they say now.
        workers: pairs tested at once; the result is the same.
        progress: called with what is being done, how much is done and how much there is.

    Raises:
        MissingExtraError: scikit-bio is not installed.
    """
    require_scikit_bio()
    chosen = None if test_all or len(models) <= EVERY_PAIR else _near(models, stored, workers, progress)
    tested = families(models, alpha=alpha, near=chosen, cache=cache, workers=workers, progress=progress)
    grown = [grown_from(models, group, progress, workers) for group in tested.groups if len(group) > 1]
    alone = tuple(group[0] for group in tested.groups if len(group) == 1)
    return Forest(labels(models), tuple(model.digest for model in models), tuple(grown), alone, tested)


def _near(
    models: Sequence[Fingerprint], stored: Mapping[str, Mapping[str, Vector]], workers: int | None, progress: Progress
) -> NDArray[np.bool_]:
    """Which pairs are to be tested, by vectors that are at hand or computed now."""

    def of_model(model: Fingerprint) -> tuple[Mapping[str, Vector], Float32s | None]:
        return stored[model.digest] if model.digest in stored else vectors(model), closer(model)

    found = []
    for number, own in enumerate(in_order(of_model, models, workers)):
        progress("vectors", number, len(models))
        found.append(own)
    return near([of_spaces for of_spaces, _ in found], [looked for _, looked in found])


def grown_from(models: Sequence[Fingerprint], group: tuple[int, ...], progress: Progress, workers: int | None = None) -> Family:
    """The tree of one family.

    Args:
        models: all of them.
        group: indices of the related ones.
        workers: as of `tree`.
    """
    positions = _positions(models, group, progress)
    near: list[Near] = [(measured.distance, a, b, "weights") for (a, b), measured in positions.items()]
    near += _between_forms(models, group, positions, progress)
    merges = _merges(models, _forms(group, positions), progress, workers)
    made = {merge.model for merge in merges}
    kept = [model for model in group if model not in made]
    hung = [(merge.parents[0], merge.model) for merge in merges]
    near = [item for item in near if item[3] == "neurons" or not made & {item[1], item[2]}]
    neighbours = _neighbours(models, _shortest_tree(group, near, hung))
    edges = [Edge(pair.a, pair.b, pair.distance, pair.by) for pair in neighbours if pair.by == "neurons"]
    edges += [Edge(a, b, _known(positions, a, b).distance, "weights") for a, b in hung]
    fresh = itertools.count(-1, -1)
    for form in _forms(kept, positions):
        edges += _of_one_form(form, positions, fresh)
    drawn = arrows(models, group, [(merge.model, merge.parents) for merge in merges if merge.told])
    return Family(group, tuple(edges), tuple(neighbours), tuple(merges), drawn)


def _merges(
    models: Sequence[Fingerprint], forms: Sequence[Sequence[int]], progress: Progress, workers: int | None
) -> list[Merge]:
    """The combinations of models that are none themselves."""
    combinations = [merge for form in forms for merge in merged(models, form, progress, workers)]
    made = {merge.model for merge in combinations}
    return [merge for merge in combinations if not made & set(merge.parents)]


def _known(positions: Mapping[tuple[int, int], Positions], a: int, b: int) -> Positions:
    return positions[min(a, b), max(a, b)]


def _neighbours(models: Sequence[Fingerprint], shortest: Sequence[Near]) -> list[NeighbourPair]:
    names = labels(models)
    facts = [one_sided(models[a], models[b], (names[a], names[b])) for _, a, b, _ in shortest]
    return [NeighbourPair(a, b, d, by, said) for (d, a, b, by), said in zip(shortest, facts, strict=True)]


def _positions(models: Sequence[Fingerprint], group: Sequence[int], progress: Progress) -> dict[tuple[int, int], Positions]:
    """Every pair whose weights can be compared position by position."""
    pairs = list(itertools.combinations(group, 2))
    sampled = {model: Sampled.of(models[model]) for model in group}
    positions = {}
    for number, (a, b) in enumerate(pairs):
        progress("weights", number, len(pairs))
        compared = compared_by_position(sampled[a], sampled[b])
        if compared is not None:
            positions[a, b] = compared
    return positions


def _forms(group: Sequence[int], positions: Mapping[tuple[int, int], Positions]) -> list[list[int]]:
    """Models that can be compared position by position, directly or through others; a disguised copy is a form of its own."""
    joined = DisjointSet(group)
    for a, b in positions:
        if a in joined and b in joined:
            joined.merge(a, b)
    return sorted(sorted(form) for form in joined.subsets())


def _between_forms(
    models: Sequence[Fingerprint], group: Sequence[int], positions: Mapping[tuple[int, int], Positions], progress: Progress
) -> list[Near]:
    """Distances by neurons of every two models of different form."""
    form = {model: number for number, members in enumerate(_forms(group, positions)) for model in members}
    pairs = [pair for pair in itertools.combinations(range(len(group)), 2) if form[group[pair[0]]] != form[group[pair[1]]]]
    if not pairs:
        return []
    neurons = NeuronDistances([models[model] for model in group])
    distances: list[Near] = []
    for number, (i, j) in enumerate(pairs):
        progress("neurons", number, len(pairs))
        distance = neurons.distance(i, j)
        distances.append((FARTHEST if distance is None else distance, group[i], group[j], "neurons"))
    return distances


def _shortest_tree(group: Sequence[int], near: Sequence[Near], hung: Sequence[tuple[int, int]]) -> list[Near]:
    """The minimum spanning tree (Kruskal, 1956) of models, those of one form first.

    Args:
        hung: pairs that are joined beforehand, and not in the result.
    """
    joined = DisjointSet(group)
    for a, b in hung:
        joined.merge(a, b)
    branches = []
    for item in sorted(near, key=lambda item: (item[3] == "neurons", item)):
        if not joined.connected(item[1], item[2]):
            joined.merge(item[1], item[2])
            branches.append(item)
    return branches


def _of_one_form(form: Sequence[int], positions: Mapping[tuple[int, int], Positions], fresh: Iterator[int]) -> list[Edge]:
    """Neighbour joining of models whose weights stand at the same places, with bootstrap over the places."""
    index = {model: number for number, model in enumerate(form)}
    measured = {(index[a], index[b]): sums for (a, b), sums in positions.items() if a in index and b in index}
    whole = _matrix(len(form), {pair: sums.distance for pair, sums in measured.items()})
    names: dict[int, int] = dict(enumerate(form))

    def name(node: int) -> int:
        if node not in names:
            names[node] = next(fresh)
        return names[node]

    branches = neighbour_joining(whole, _replicates(len(form), measured))
    return [Edge(name(branch.a), name(branch.b), branch.length, "weights", branch.support) for branch in branches]


def _replicates(count: int, measured: Mapping[tuple[int, int], Positions]) -> Iterator[Float64s]:
    """The matrix of distances, from places drawn with replacement."""
    sizes = {role: len(role_sums) for pair_sums in measured.values() for role, role_sums in pair_sums.sums.items()}
    drawn = draws(sizes, REPLICATES)
    values = {pair: pair_sums.resampled(drawn) for pair, pair_sums in measured.items()}
    for number in range(REPLICATES):
        yield _matrix(count, {pair: float(distances[number]) for pair, distances in values.items()})


def _matrix(count: int, known: Mapping[tuple[int, int], float]) -> Float64s:
    """(count, count) distances; between models that cannot be compared, the shortest way over others."""
    distances = np.full((count, count), np.inf)
    np.fill_diagonal(distances, 0.0)
    for (a, b), value in known.items():
        distances[a, b] = distances[b, a] = value
    if np.isfinite(distances).all():
        return distances
    ways = shortest_path(csgraph_from_dense(distances, null_value=np.inf), directed=False)
    return np.asarray(np.minimum(ways, ways.T))  # sums to and fro may differ in their last digit


def _newick(forest: Forest, family: Family) -> str:
    from skbio import TreeNode

    below = family.rooted()
    made = {node: TreeNode(forest.name(node)) for node in below}
    for node, children in below.items():
        for child, edge in children:
            made[child].length = round(edge.length, 9)
            made[node].append(made[child])
    return str(made[family.drawn_from]).strip()
