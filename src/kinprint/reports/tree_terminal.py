"""Trees of models as terminal text."""

from __future__ import annotations

from typing import NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from kinprint.library.trees.directions import Direction
from kinprint.library.trees.tree import Edge, Family, Forest

UNNAMED = "·"
"""An ancestor that is none of the models."""


class Row(NamedTuple):
    """Two neighbours in words; the arrow points from ancestor to descendant, where that is said."""

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
    return (
        f"Families by tests of {split.tested} of {split.pairs} pairs at {split.alpha:g} / {split.pairs}; pairs joined already "
        f"through others, or by the same weights, were left out.{apart}{untestable} Lengths: 1 - cosine of weights; "
        "~ 1 - correlation of matched neurons, another unit."
    )


def merges(forest: Forest, family: Family) -> list[str]:
    """A line for each model that is a combination of others."""
    lines = []
    for merge in family.merges:
        rows = zip(merge.parents, merge.coefficients, strict=True)
        parents = (forest.labels[p] if c is None else f"{c:.2f} {forest.labels[p]}" for p, c in rows)
        lines.append(f"{forest.labels[merge.model]} = {' + '.join(parents)} ({merge.kind})")
    return lines


def words(direction: Direction) -> str:
    """The mark, and how often it was right where that is known."""
    low, high = direction.interval
    return f"{direction.mark}: right in {direction.right} of {direction.total}, {low:.0%} to {high:.0%}"


def length_text(edge: Edge) -> str:
    return f"{'~' if edge.by == 'neurons' else ''}{edge.length:.2g}"


def _drawn(forest: Forest, family: Family) -> Tree:
    below = family.rooted()
    shown = {family.root: Tree(Text(forest.name(family.root) or UNNAMED, style="bold"), guide_style="dim")}
    for node, children in below.items():
        for child, edge in sorted(children, key=lambda item: (len(below[item[0]]), item[1].length)):
            label = Text.assemble(forest.name(child) or UNNAMED, (f"  {length_text(edge)}", "dim"))
            shown[child] = shown[node].add(label)
    return shown[family.root]


def rows(forest: Forest, family: Family) -> list[Row]:
    """A line for each pair of neighbours."""
    lines = []
    for pair in family.neighbours:
        a, b = (pair.a, pair.b) if pair.direction is None or pair.direction.forward else (pair.b, pair.a)
        distance = f"{'~' if pair.by == 'neurons' else ''}{pair.distance:.2g}"
        arrow, why = ("–", "not said") if pair.direction is None else ("→", words(pair.direction))
        lines.append(Row(forest.labels[a], arrow, forest.labels[b], distance, why))
    return lines


def _neighbours(forest: Forest, family: Family) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Nearest models, and which descends from which", title_justify="left")
    for column in ("", "", "distance", "why, and how often that is right"):
        table.add_column(column, overflow="fold")
    for row in rows(forest, family):
        table.add_row(Text(row.first), Text(f"{row.arrow} {row.second}"), row.distance, Text(row.why))
    return table
