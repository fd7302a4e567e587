"""Trees of models as terminal text."""

from __future__ import annotations

from typing import NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from kinprint.library.descent.arrows import MADE_UP
from kinprint.library.trees.tree import Edge, Family, Forest, NeighbourPair

UNNAMED = "·"
"""An ancestor that is none of the models."""


OPEN = "one may descend from the other, or both from a third"
"""What is said of neighbours without an arrow."""


class Row(NamedTuple):
    """Two models in words; the arrow points from ancestor to descendant, where that is said."""

    first: str
    arrow: str
    second: str
    distance: str
    why: str


def tree_text(forest: Forest) -> RenderableType:
    """Every family's tree, then what is known of neighbours, then who is related to nobody. Names are shown as plain text."""
    pieces: list[RenderableType] = []
    for number, family in enumerate(forest.families, 1):
        pieces.append(Text(f"Family {number}: {len(family.models)} models", style="bold"))
        pieces.append(Text(start(forest, family), style="dim"))
        pieces.append(_drawn(forest, family))
        pieces.append(_neighbours(forest, family))
        pieces += [Text("Merged: " + merge) for merge in merges(forest, family)]
    if forest.singletons:
        names = ", ".join(forest.labels[model] for model in forest.singletons)
        pieces.append(Text(f"Related to none of the others ({len(forest.singletons)}): {names}"))
    pieces.append(Text(foot(forest), style="dim"))
    return Group(*pieces)


def foot(forest: Forest) -> str:
    """How families were separated, and what the lengths are."""
    split = forest.relations
    untestable = f" To {len(split.untestable)} of them no test applies." if split.untestable else ""
    apart = f" {split.apart:,} pairs lie apart by their vectors and were not tested (--all tests them)." if split.apart else ""
    arrows = f" {MADE_UP}" if any(family.arrows for family in forest.families) else ""
    return (
        f"Families by tests of {split.tested} of {split.pairs} pairs at {split.alpha:g} / {split.pairs}; pairs joined already "
        f"through others, or by the same weights, were left out.{apart}{untestable} Lengths: 1 - cosine of weights; "
        f"~ 1 - correlation of matched neurons, another unit.{arrows}"
    )


def merges(forest: Forest, family: Family) -> list[str]:
    """A line for each model that is a combination of others."""
    lines = []
    for merge in family.merges:
        rows = zip(merge.parents, merge.coefficients, strict=True)
        parents = (forest.labels[p] if c is None else f"{c:.2f} {forest.labels[p]}" for p, c in rows)
        kind = merge.kind if merge.told else f"{merge.kind}; or one of those is the sum"
        lines.append(f"{forest.labels[merge.model]} = {' + '.join(parents)} ({kind})")
    return lines


def start(forest: Forest, family: Family) -> str:
    """What the tree is drawn from, and whether that is an ancestor."""
    if family.root is not None:
        return f"All others were made from {forest.labels[family.root]}."
    return "No root is known: the tree is drawn from its middle, and branches are no arrows."


def length_text(edge: Edge) -> str:
    return f"{'~' if edge.by == 'neurons' else ''}{edge.length:.2g}"


def _drawn(forest: Forest, family: Family) -> Tree:
    below = family.rooted()
    shown = {family.drawn_from: Tree(Text(forest.name(family.drawn_from) or UNNAMED, style="bold"), guide_style="dim")}
    for node, children in below.items():
        for child, edge in sorted(children, key=lambda item: (len(below[item[0]]), item[1].length)):
            label = Text.assemble(forest.name(child) or UNNAMED, (f"  {length_text(edge)}", "dim"))
            shown[child] = shown[node].add(label)
    return shown[family.drawn_from]


def rows(forest: Forest, family: Family) -> list[Row]:
    """A line for each arrow, then one for each pair of neighbours without."""
    distances = {frozenset((pair.a, pair.b)): pair for pair in family.neighbours}
    lines = []
    for arrow in family.arrows:
        pair = distances.get(frozenset((arrow.ancestor, arrow.descendant)))
        distance = "" if pair is None else _distance(pair)
        lines.append(Row(forest.labels[arrow.ancestor], "→", forest.labels[arrow.descendant], distance, arrow.words()))
    for pair in family.neighbours:
        if family.arrow(pair.a, pair.b) is None:
            why = "; ".join((OPEN, *pair.facts))
            lines.append(Row(forest.labels[pair.a], "–", forest.labels[pair.b], _distance(pair), why))
    return lines


def _distance(pair: NeighbourPair) -> str:
    return f"{'~' if pair.by == 'neurons' else ''}{pair.distance:.2g}"


def _neighbours(forest: Forest, family: Family) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Which was made from which, and nearest models", title_justify="left")
    for column in ("", "", "distance", "why, and how often such arrows are true"):
        table.add_column(column, overflow="fold")
    for row in rows(forest, family):
        table.add_row(Text(row.first), Text(f"{row.arrow} {row.second}"), row.distance, Text(row.why))
    return table
