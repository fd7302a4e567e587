"""Trees of models as one SVG picture: a family below the other, branches as long as their distances, drawn from the root on.

Small enough to be drawn here; it works without network and follows the reader's light or dark scheme. All text is escaped.
"""

from __future__ import annotations

import math
from html import escape

from kinprint.library.trees.tree import Edge, Family, Forest
from kinprint.reports.tree_terminal import merges, words

WIDTH, LEFT, ROW, LETTER = 560.0, 20.0, 22.0, 7.2
"""Pixels: of the branches, of the margin, of a model's row, and of a letter."""

NAME = 48
"""Letters of a name."""

STYLE = """
.sheet{fill:#fff} text{fill:#222;font:13px system-ui,sans-serif} .title{font-weight:600;font-size:15px} .small{font-size:11px}
.branch{stroke:#2274a5;stroke-width:1.6;fill:none} .neurons{stroke-dasharray:5 3} .stem{stroke:#2274a5;stroke-width:1.6}
.merge{stroke:#d1495b;stroke-width:1.4;fill:none;stroke-dasharray:2 3} .model{fill:#2274a5} .unnamed{fill:#8888}
@media (prefers-color-scheme:dark){.sheet{fill:#16181c} text{fill:#e4e4e4}}
"""


def tree_svg(forest: Forest) -> str:
    """All families, then the models that are related to none of the others."""
    body: list[str] = []
    y, longest = 60.0, 0
    for number, family in enumerate(forest.families, 1):
        body.append(_text(LEFT, y, f"Family {number}: {len(family.models)} models", "title"))
        drawn = _Drawn(forest, family, y + 20)
        body += drawn.body
        y = drawn.bottom + 14
        for line in merges(forest, family):
            body.append(_text(LEFT, y, f"Merged: {_cut(line, 110)}", "small"))
            y += 16
        y += 16
        longest = max(longest, drawn.longest)
    if forest.singletons:
        body.append(_text(LEFT, y, "Related to none of the others", "title"))
        for model in forest.singletons:
            y += ROW
            body.append(_text(LEFT, y, _cut(forest.labels[model], NAME), ""))
        y += 2 * ROW
    hint = "Branches: square root of 1 − cosine of weights; dashed: 1 − correlation of matched neurons, another unit."
    body.append(_text(LEFT, y, hint, "small"))
    body.append(_text(LEFT, y + 16, "Arrows: descends from, where a mark says so; hover for how often it is right.", "small"))
    return _svg("Families of models", body, LEFT + WIDTH + LETTER * longest + 60, y + 34)


class _Drawn:
    """One family: the root at the left, a row for every model."""

    def __init__(self, forest: Forest, family: Family, top: float) -> None:
        self.forest, self.family = forest, family
        self.below = family.rooted()
        self.body: list[str] = []
        self.x: dict[int, float] = {family.root: 0.0}
        for node, children in self.below.items():
            for child, edge in children:
                self.x[child] = self.x[node] + math.sqrt(edge.length) + 0.004
        scale = (WIDTH - 40) / max(*self.x.values(), 1e-9)
        self.x = {node: LEFT + 10 + scale * x for node, x in self.x.items()}
        self.y = self._rows(top)
        self.bottom = max(self.y.values()) + ROW
        self.longest = max(len(_cut(forest.labels[model], NAME)) for model in family.models)
        for node, children in self.below.items():
            for child, edge in children:
                self._branch(node, child, edge)
        for node in self.below:
            self._node(node)
        for merge in family.merges:
            for parent in merge.parents:
                self._merge(parent, merge.model)

    def _rows(self, top: float) -> dict[int, float]:
        """A row for every model, depth first; unnamed ancestors in the middle of their children."""
        found: dict[int, float] = {}
        rows = 0
        waiting = [self.family.root]
        order = []
        while waiting:
            node = waiting.pop()
            order.append(node)
            if node >= 0:
                found[node] = top + ROW * rows
                rows += 1
            waiting += [child for child, _ in sorted(self.below[node], key=lambda item: -len(self.below[item[0]]))]
        for node in reversed(order):
            if node < 0:
                children = [found[child] for child, _ in self.below[node]]
                found[node] = sum(children) / len(children) if children else top
        return found

    def _branch(self, node: int, child: int, edge: Edge) -> None:
        kind = "branch neurons" if edge.by == "neurons" else "branch"
        title = f"{edge.length:.3g} by {edge.by}" + ("" if edge.support is None else f", in {edge.support:.0%} of replicates")
        path = f"M{self.x[node]:.1f},{self.y[node]:.1f}V{self.y[child]:.1f}H{self.x[child]:.1f}"
        self.body.append(f'<path class="{kind}" d="{path}"><title>{escape(title)}</title></path>')

    def _node(self, node: int) -> None:
        x, y = self.x[node], self.y[node]
        if node < 0:
            self.body.append(f'<circle class="unnamed" cx="{x:.1f}" cy="{y:.1f}" r="2.5"><title>unnamed</title></circle>')
            return
        self.body.append(f'<circle class="model" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
        self.body.append(_text(x + 9, y + 4, _cut(self.forest.labels[node], NAME), "", self._parents(node)))

    def _parents(self, node: int) -> str:
        """For whom hovers: from whom the model descends, and why."""
        lines = [self.forest.labels[node]]
        for pair in self.family.neighbours:
            if pair.direction is not None and node == (pair.b if pair.direction.forward else pair.a):
                parent = pair.a if pair.direction.forward else pair.b
                lines.append(f"descends from {self.forest.labels[parent]} ({words(pair.direction)})")
        return "\n".join(lines)

    def _merge(self, parent: int, child: int) -> None:
        x, y, u, v = self.x[parent], self.y[parent], self.x[child], self.y[child]
        bend = max(x, u) + 60
        self.body.append(f'<path class="merge" d="M{x:.1f},{y:.1f}C{bend:.1f},{y:.1f} {bend:.1f},{v:.1f} {u:.1f},{v:.1f}"/>')


def _svg(title: str, body: list[str], width: float, height: float) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img">'
    pieces = [head, f"<title>{escape(title)}</title><style>{STYLE}</style>", '<rect class="sheet" width="100%" height="100%"/>']
    return "\n".join([*pieces, _text(LEFT, 26, title, "title"), *body, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, name: str, title: str = "") -> str:
    hover = f"<title>{escape(title)}</title>" if title else ""
    return f'<text class="{name}" x="{x:.1f}" y="{y:.1f}">{hover}{escape(text)}</text>'


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
