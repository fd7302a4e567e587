"""What a model was put together from, as terminal text."""

from __future__ import annotations

import math

import numpy as np
from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from kinprint.errors import printable
from kinprint.library.merges.gather_result import Gathering, Parent
from kinprint.reports import looks
from kinprint.words import p_value

BARS = " ▁▂▃▄▅▆▇█"


def gathering_text(gathering: Gathering) -> RenderableType:
    """The whole report. Everything that comes from the models is shown as plain text, without markup."""
    style = {"untestable": looks.FAULT, "none": looks.NOTHING}.get(gathering.kind, looks.FOUND)
    head = Group(Text(gathering.kind.upper(), style=style), Text(printable(gathering.sentence(), 1000)))
    pieces: list[RenderableType] = [Panel(head, title=Text(printable(gathering.suspect.name)), box=box.ROUNDED, padding=(0, 1))]
    if gathering.parents:
        pieces += [_parents(gathering), _picture(gathering)]
        pieces += [_roles(gathering)] if gathering.tensors else []
        pieces += [Text(_measures(gathering))]
        pieces += [Text(_instead(parent)) for parent in gathering.parents if parent.instead]
    for title, models in (("Relatives that are no part", gathering.associated), ("Relatives elsewhere", gathering.elsewhere)):
        if models:
            listed = ", ".join(f"{printable(model.name, 60)} (p {p_value(p)})" for model, p in models)
            pieces.append(Text(f"{title}: {listed}"))
    for names in gathering.alternatives:
        pieces.append(Text(f"Explains it up to rounding as well: {', '.join(printable(name, 60) for name in names)}"))
    pieces += [Text(f"· {note}", style="dim") for note in gathering.notes]
    return Group(*pieces)


def _parents(gathering: Gathering) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("part", overflow="fold")
    layers = gathering.kind == "passthrough"
    for column in ("share of layers" if layers else "coefficient", "± (standard error)", "p"):
        table.add_column(column, justify="right")
    table.add_column("the same entries", overflow="fold")
    for parent in gathering.parents:
        base = " (base)" if gathering.base is not None and parent.model is gathering.base else ""
        table.add_row(
            Text(printable(parent.model.name) + base),
            "–" if math.isnan(parent.coefficient) else f"{parent.coefficient:.3f}",
            "" if parent.error is None or math.isnan(parent.error) else f"{parent.error:.4f}",
            p_value(parent.log10_p),
            Text(", ".join(printable(name, 60) for name in parent.same)),
        )
    return table


def _instead(parent: Parent) -> str:
    names = ", ".join(printable(name, 60) for name in parent.instead)
    return f"In the place of {printable(parent.model.name, 60)} as well: {names}"


def _roles(gathering: Gathering) -> Text:
    """Coefficients by role: mean over the layers and how far they scatter; JSON has every tensor and expert."""
    lines = ["Coefficients by role, mean and standard deviation over layers (--json has every tensor and expert)"]
    for name in dict.fromkeys(tensor.name for tensor in gathering.tensors):
        rows = np.array([tensor.coefficients for tensor in gathering.tensors if tensor.name == name])
        spread = rows.std(axis=0, ddof=1) if len(rows) > 1 else np.full(rows.shape[1], np.nan)
        shown = (f"{m:.3f}" if math.isnan(s) else f"{m:.3f} ± {s:.3f}" for m, s in zip(rows.mean(axis=0), spread, strict=True))
        lines.append(f"  {name:16} {'   '.join(shown)}")
    return Text("\n".join(lines))


def _picture(gathering: Gathering) -> Text:
    """Layer by layer: where each comes from, or a bar a parent whose height is the coefficient."""
    if any(layer.source for layer in gathering.layers):
        lines = ["Layers, from the first: model and its layer"]
        lines += [f"{printable(name, 60)}: {numbers}" for name, numbers in _runs(gathering)]
        return Text("\n".join(lines))
    rows = []
    for at, parent in enumerate(gathering.parents):
        heights = [layer.coefficients[at] if layer.coefficients else 0.0 for layer in gathering.layers]
        if heights:
            bars = "".join(BARS[round(min(max(height, 0), 1) * (len(BARS) - 1))] for height in heights)
            rows.append(f"{bars}  {printable(parent.model.name, 60)}, {min(heights):.3f} to {max(heights):.3f} by layer")
    return Text("\n".join(rows))


def _runs(gathering: Gathering) -> list[tuple[str, str]]:
    """Neighbouring layers of one source together."""
    runs: list[tuple[str, list[str]]] = []
    for number, layer in enumerate(gathering.layers):
        name, origin = (layer.source[0], f"{number}←{layer.source[1]}") if layer.source else ("unknown", str(number))
        if runs and runs[-1][0] == name:
            runs[-1][1].append(origin)
        else:
            runs.append((name, [origin]))
    return [(name, " ".join(numbers)) for name, numbers in runs]


def _measures(gathering: Gathering) -> str:
    measures = [f"{name} {value:.3f}" for name, value in gathering.details.items()]
    if gathering.explained is not None:
        measures.append(f"{gathering.explained:.4%} of the variance of its matrices explained")
    if gathering.beyond is not None:
        measures.append(f"{gathering.beyond:.2%} of what the nearest part alone leaves")
    if gathering.roundings is not None:
        measures.append(f"remainder: {gathering.roundings:.3g} roundings of its type (mean square)")
    searched = f"{gathering.searched[0]} models searched, {gathering.searched[1]} of its shape or with layers of it"
    return "; ".join([*measures, searched])
