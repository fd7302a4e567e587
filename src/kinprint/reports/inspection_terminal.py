"""How a model was read, as terminal text. Every name is shown as plain text, without markup."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from kinprint.errors import printable
from kinprint.families import family_name
from kinprint.fingerprints.inspection import Inspection, OtherLine, RoleLine


def inspection_text(found: Inspection) -> RenderableType:
    """How it was read and why, its sizes, a line a role, and what has none."""
    pieces: list[RenderableType] = [
        Panel(Group(*_head(found)), title=Text(printable(found.name)), box=box.ROUNDED, padding=(0, 1)),
        _roles(found.roles),
    ]
    if found.others:
        pieces.append(_others(found.others))
    if found.buffers:
        pieces.append(Text(f"Computed by the model itself: {len(found.buffers)} tensors", style="dim"))
    pieces.extend(Text(f"Note: {printable(note, 300)}", style="yellow") for note in found.notes)
    return Group(*pieces)


def _head(found: Inspection) -> list[Text]:
    guess = {True: ("a guess", "bold yellow"), False: ("known", "bold green"), None: ("not said", "dim")}[found.guessed]
    why = f": {printable(found.why, 200)}" if found.why else ""
    lines = [
        Text.assemble("read as ", (_family(found), "bold"), " (", guess, f"){why}"),
        Text(", ".join(f"{name.removeprefix('num_').replace('_', ' ')} {value:,}" for name, value in found.sizes.items())),
        Text(f"positions: {printable(found.positions)}"),
    ]
    lines += [Text(f"named {space}: the model {printable(why, 300)}") for space, why in found.named.items()]
    lines += [Text(f"layers: {_layers(found.layer_kinds)}")] if found.layer_kinds else []
    lines += [Text(f"{what}: {_component(said)}") for what, said in found.components.items()]
    lines += [Text(f"stored as {printable(found.quantization)}")] if found.quantization else []
    lines += [Text(f"declares as its base: {printable(found.base_model)}")] if found.base_model else []
    return lines


def _component(said: Mapping[str, Any]) -> str:
    """What stands beside the language model and is compared as a model."""
    sizes = said["sizes"]
    shape = f", {sizes['num_hidden_layers']} layers of {sizes['hidden_size']} channels" if "hidden_size" in sizes else ""
    return f"read as {printable(family_name(said['family']))}{shape}, compared as a model"


def _layers(kinds: tuple[str, ...]) -> str:
    """Runs of layers of one kind, a few at most."""
    runs = [(kind, len(list(run))) for kind, run in groupby(kinds)]
    if len(runs) <= 4:
        return ", ".join(f"{count} x {printable(kind, 60)}" for kind, count in runs)
    return ", ".join(f"{kinds.count(kind)} x {printable(kind, 60)}" for kind in dict.fromkeys(kinds))


def _roles(roles: tuple[RoleLine, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Tensors by role", title_justify="left")
    for column in ("role", "shape", "spaces", "layers", "tensors", "type"):
        table.add_column(column, overflow="fold", justify="right" if column == "tensors" else "left")
    for line in roles:
        shape, spaces = " x ".join(map(str, line.shape)), ", ".join(line.spaces)
        cells = (line.role, shape, spaces, line.layers or "–", f"{line.parts:,}", line.dtype)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _others(others: tuple[OtherLine, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Beside the language model: compared bit for bit", title_justify="left")
    for column in ("what", "tensors", "MB", "such as"):
        table.add_column(column, overflow="fold", justify="right" if column in ("tensors", "MB") else "left")
    for line in others:
        cells = (line.what, f"{line.tensors:,}", f"{line.nbytes / 1e6:.1f}", printable(line.example, 60))
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _family(found: Inspection) -> str:
    """The family whose table read the model, by its published name; of a GGUF file, what the file says that it holds."""
    if not found.family.startswith("gguf"):
        return printable(family_name(found.family))
    name = printable(family_name(found.family, found.model_type), 60)
    return name if name == found.family else f"{name} in GGUF"
