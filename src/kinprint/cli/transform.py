"""kinprint transform NAME MODEL -o DIR: one command a transform, its options those of the function."""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from kinprint.checkpoints.places import require_there
from kinprint.cli._groups import Commands, group, single
from kinprint.cli._models import announce
from kinprint.cli._options import AsOption, TableOption, given_tables
from kinprint.cli._progress import byte_bar
from kinprint.errors import printable

if TYPE_CHECKING:
    from kinprint.transforms import Transform

NAME = "transform"
CHECK = Annotated[
    bool,
    typer.Option("--check/--no-check", help="Run both over a few tokens, where transformers is there."),
]
PANELS = {"disguise": "Disguises (the function stays)", "derivation": "Derivations (descendants)"}
LISTS = {Sequence[int]: int, Sequence[float]: float}


def _command(transform: Transform) -> Callable[..., None]:
    """A function with the transform's own options, as typer wants it."""
    hints = typing.get_type_hints(transform.make)
    text, helps = _documentation(transform)
    if transform.draws:
        helps["seed"] = f"{helps.get('seed', '').rstrip('.')}; drawn and printed if not given."
    options, readers = [], {}
    for name, parameter in list(inspect.signature(transform.make).parameters.items())[1:]:
        kind, readers[name], settings = _option(hints[name])
        required = parameter.default is inspect.Parameter.empty
        default = ... if required else _shown(parameter.default)
        option = Annotated[kind, typer.Option(f"--{name}", help=helps.get(name, ""), **settings)]  # type: ignore[valid-type]
        options.append(
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if required else default,
                annotation=option,
            )
        )

    def run(model: str, output: Path, **chosen: Any) -> None:
        tables, check = given_tables(chosen.pop("as_type"), chosen.pop("table")), chosen.pop("check", False)
        require_there(model)
        announce(model)
        from kinprint.transforms import apply

        given = {name: readers[name](value) for name, value in chosen.items() if value is not None}
        with byte_bar(output) as progress:
            made = apply(transform.name, model, output, given=tables, check=check, progress=progress, **given)
        if made.check:
            typer.echo(f"note: {printable(made.check, 300)}", err=True)
        for note in made.notes:
            typer.echo(f"note: {printable(note)}", err=True)
        if made.seed is not None and "seed" not in given:
            typer.echo(f"seed {made.seed} (--seed {made.seed} makes the same again)", err=True)
        typer.echo(f"{printable(output)}: {transform.name} of {printable(model)}, {made.layers} layers")

    fixed = [
        inspect.Parameter(
            "model",
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[str, typer.Argument(help="A folder with config.json and weights.")],
        ),
        inspect.Parameter(
            "output",
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[Path, typer.Option("-o", "--output", help="The folder to make.")],
        ),
    ]
    options += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
        for name, option in (("as_type", AsOption), ("table", TableOption))
    ]
    if transform.kind == "disguise":
        options.append(inspect.Parameter("check", inspect.Parameter.KEYWORD_ONLY, default=True, annotation=CHECK))
    run.__signature__ = inspect.Signature([*fixed, *options])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*fixed, *options]}
    run.__doc__ = f"{text}\n\nExample: {transform.example}"
    return run


def _option(hint: Any) -> tuple[Any, Callable[[Any], Any], dict[str, Any]]:
    """The type of an option, what turns its value into the function's, and settings of typer."""
    variants = [kind for kind in get_args(hint) if kind is not type(None)] if get_origin(hint) is types.UnionType else [hint]
    optional = type(None) in get_args(hint)
    kind = variants[0]
    if kind in LISTS:
        return str | None, lambda text: _listed(text, LISTS[kind]), {"metavar": "A,B,..."}
    if kind == Sequence[Path]:
        return list[Path], list, {"metavar": "MODEL"}
    if get_origin(kind) is Literal:
        return enum.StrEnum("Choice", {choice: choice for choice in get_args(kind)}), str, {}
    return (kind | None if optional else kind), lambda value: value, {}


def _listed(text: str, kind: type) -> list[Any]:
    try:
        return [kind(item) for item in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 0,1,3") from None


def _shown(default: Any) -> Any:
    return ",".join(default) if isinstance(default, Iterable) and not isinstance(default, str) else default


def _documentation(transform: Transform) -> tuple[str, dict[str, str]]:
    """What the docstring says before its arguments, and of each of them."""
    text, _, arguments = (inspect.getdoc(transform.make) or "").partition("\nArgs:\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", arguments, re.MULTILINE)
    return text.strip(), {name: " ".join(help_text.split()) for name, help_text in entries}


def _names() -> list[str]:
    from kinprint.transforms import known

    return list(known())


def _made(name: str) -> Any:
    from kinprint.transforms import known

    transform = known()[name]
    return single(name, _command(transform), PANELS[transform.kind])


app = group(
    Commands(_names, _made),
    "transform",
    "Make a model from a model: disguised copies that compute the same, and descendants of every kind.",
)
