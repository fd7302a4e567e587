"""Trees of models as one SVG picture: a family below the other, branches as long as their distances.

A branch is no arrow. Arrows are drawn beside the branches, from each model to those that were made from it.
"""

from __future__ import annotations

import math

from kinprint.library.descent.arrows import Arrow
from kinprint.library.trees.tree import Edge, Family, Forest
from kinprint.reports import svg
from kinprint.reports.tree_terminal import merges, start

WIDTH, LEFT, ROW, LETTER = 560.0, 20.0, 22.0, 7.2
"""Pixels: of the branches, of the margin, of a model's row, and of a letter."""

NAME = 48
"""Letters of a name."""

STYLE = "\n".join((
    "",
    svg.SHEET + " .small{font-size:11px}",
    ".branch{stroke:#2274a5;stroke-width:1.6;fill:none} .neurons{stroke-dasharray:5 3} .stem{stroke:#2274a5;stroke-width:1.6}",
    ".arrow{stroke:#d1495b;stroke-width:1.4;fill:none} .head{fill:#d1495b} .model{fill:#2274a5} .unnamed{fill:#8888}",
    svg.DARK,
    "",
))  # fmt: skip


def tree_svg(forest: Forest) -> str:
    """All families, then the models that are related to none of the others."""
    body = [svg.text(LEFT, 26.0, "Families of models", look="title")]
    y, longest = 60.0, 0
    for number, family in enumerate(forest.families, 1):
        body.append(svg.text(LEFT, y, f"Family {number}: {len(family.models)} models", look="title"))
        drawn = _Drawn(forest, family, y + 20)
        body += drawn.body
        y = drawn.bottom + 14
        for line in (start(forest, family), *(f"Merged: {merge}" for merge in merges(forest, family))):
            body.append(svg.text(LEFT, y, svg.shortened(line, 118), look="small"))
            y += 16
        y += 16
        longest = max(longest, drawn.longest)
    if forest.singletons:
        body.append(svg.text(LEFT, y, "Related to none of the others", look="title"))
        for model in forest.singletons:
            y += ROW
            body.append(svg.text(LEFT, y, svg.shortened(forest.labels[model], NAME), look=""))
        y += 2 * ROW
    hint = "Branches: square root of 1 − cosine of weights; dashed: 1 − correlation of matched neurons, another unit."
    body.append(svg.text(LEFT, y, hint, look="small"))
    hint = (
        "Arrows: made from the weights of; hover for why, and for how often such arrows are true. No arrow: it cannot be told."
    )
    body.append(svg.text(LEFT, y + 16, hint, look="small"))
    return svg.picture("Families of models", body, LEFT + WIDTH + LETTER * longest + 60, y + 34, STYLE)


class _Drawn:
    """One family: where it is drawn from at the left, a row for every model."""

    def __init__(self, forest: Forest, family: Family, top: float) -> None:
        self.forest, self.family = forest, family
        self.below = family.rooted()
        self.body: list[str] = []
        self.x: dict[int, float] = {family.drawn_from: 0.0}
        for node, children in self.below.items():
            for child, edge in children:
                self.x[child] = self.x[node] + math.sqrt(edge.length) + 0.004
        scale = (WIDTH - 40) / max(*self.x.values(), 1e-9)
        self.x = {node: LEFT + 10 + scale * x for node, x in self.x.items()}
        self.y = self._rows(top)
        self.bottom = max(self.y.values()) + ROW
        self.longest = max(len(svg.shortened(forest.labels[model], NAME)) for model in family.models)
        for node, children in self.below.items():
            for child, edge in children:
                self._branch(node, child, edge)
        for node in self.below:
            self._node(node)
        for arrow in family.arrows:
            self._arrow(arrow)

    def _rows(self, top: float) -> dict[int, float]:
        """A row for every model, depth first; unnamed ancestors in the middle of their children."""
        heights: dict[int, float] = {}
        rows = 0
        waiting = [self.family.drawn_from]
        order = []
        while waiting:
            node = waiting.pop()
            order.append(node)
            if node >= 0:
                heights[node] = top + ROW * rows
                rows += 1
            waiting += [child for child, _ in sorted(self.below[node], key=lambda item: -len(self.below[item[0]]))]
        for node in reversed(order):
            if node < 0:
                children = [heights[child] for child, _ in self.below[node]]
                heights[node] = sum(children) / len(children) if children else top
        return heights

    def _branch(self, node: int, child: int, edge: Edge) -> None:
        kind = "branch neurons" if edge.by == "neurons" else "branch"
        title = f"{edge.length:.3g} by {edge.by}" + ("" if edge.support is None else f", in {edge.support:.0%} of replicates")
        path = f"M{self.x[node]:.1f},{self.y[node]:.1f}V{self.y[child]:.1f}H{self.x[child]:.1f}"
        self.body.append(svg.element("path", look=kind, d=path, hover=title))

    def _node(self, node: int) -> None:
        x, y = self.x[node], self.y[node]
        if node < 0:
            self.body.append(svg.element("circle", look="unnamed", cx=x, cy=y, r=2.5, hover="unnamed"))
            return
        self.body.append(svg.element("circle", look="model", cx=x, cy=y, r=4))
        name = svg.shortened(self.forest.labels[node], NAME)
        self.body.append(svg.text(x + 9, y + 4, name, look="", hover=self._parents(node)))

    def _parents(self, node: int) -> str:
        """For whom hovers: from whom the model was made, and why."""
        lines = [self.forest.labels[node]]
        for arrow in self.family.arrows:
            if node == arrow.descendant:
                lines.append(f"made from {self.forest.labels[arrow.ancestor]} ({arrow.words()})")
        return "\n".join(lines)

    def _arrow(self, arrow: Arrow) -> None:
        """From the left of the ancestor's point, in a bow, to the left of the descendant's, which the head touches."""
        x, y = self.x[arrow.ancestor] - 5, self.y[arrow.ancestor]
        u, v = self.x[arrow.descendant] - 5, self.y[arrow.descendant]
        bend = min(x, u) - 14
        path = f"M{x:.1f},{y:.1f}C{bend:.1f},{y:.1f} {bend:.1f},{v:.1f} {u - 6:.1f},{v:.1f}"
        self.body.append(svg.element("path", look="arrow", d=path, hover=arrow.words()))
        head = f"M{u:.1f},{v:.1f}l-8,-4v8z"
        self.body.append(svg.element("path", look="head", d=head))
