"""kinprint verify MODEL | --all DIR"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kinprint import engines
from kinprint.checkpoints.remote import address
from kinprint.cli._gates import require_alpha
from kinprint.cli._models import read
from kinprint.cli._statements import checked
from kinprint.comparison import ALPHA
from kinprint.errors import KinprintError, printable
from kinprint.fingerprints import Fingerprint, fingerprint
from kinprint.library.declarations.base_models import BaseModels, Few, Joined, Stored
from kinprint.library.declarations.declared import Declared, read_declared
from kinprint.library.declarations.verify import Options, Verification, circles, models_below, verify
from kinprint.library.store import Library
from kinprint.reports import statement_text, verification_text, verifications_text

NAME = "verify"
FORMAT_ALL = "kinprint-verifications/1"
FAILED, UNTESTED = 3, 4
"""Exit codes: a declaration is contradicted or a relative undeclared; with --strict, something declared was not tested."""


def command(
    model: Annotated[str | None, typer.Argument(help="Folder, file, hub id, BASE+ADAPTER or .kinprint file.")] = None,
    every: Annotated[Path | None, typer.Option("--all", help="Verify every model in this mirror of a hub.")] = None,
    models: Annotated[
        Path | None, typer.Option(help="Look here first for declared bases: folders org/name or name.", file_okay=False)
    ] = None,
    library: Annotated[
        str | None, typer.Option(help="Look in this library for declared bases, and for relatives that are not declared.")
    ] = None,
    against: Annotated[
        list[str] | None, typer.Option(help="Look among these models too, as in a library. Can be given several times.")
    ] = None,
    statement: Annotated[
        Path | None,
        typer.Option(help="Check this in-toto statement or CycloneDX document about MODEL instead.", metavar="FILE"),
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="With --statement: the reference it speaks of, to compare the two again.")
    ] = None,
    offline: Annotated[bool, typer.Option(help="Never ask the hub: what is not here is not found.")] = False,
    quick: Annotated[
        bool, typer.Option(help="Look at 1 % of the weights at most: enough to confirm, not to contradict.")
    ] = False,
    deep: Annotated[bool, typer.Option(help="Compare both checkpoints before contradicting, where both are at hand.")] = True,
    strict: Annotated[
        bool, typer.Option(help="Exit with 4 if something that is declared was not tested or not found.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    alpha: Annotated[float, typer.Option(help="Largest p-value that is called related.")] = ALPHA,
    engine: Annotated[str, typer.Option(help="With --all: where the work is done (threads, ...).")] = "threads",
    jobs: Annotated[int | None, typer.Option(min=1, help="With --all: models at the same time.")] = None,
    cache: Annotated[bool, typer.Option(help="Use fingerprints measured earlier and keep new ones.")] = True,
) -> None:
    """Say whether MODEL was made from what it says it was made from.

    Reads base_model of its card, the configuration, adapter_config.json and a CycloneDX pedigree beside it, finds the models
    that they name, compares, and says of each: confirmed, contradicted, not testable or not found. With a library it also looks
    for relatives that nobody declares. Exits with 0, with 3 if a declaration is contradicted or a relative is undeclared.

    With --statement it checks what `kinprint compare` wrote (--in-toto, --cyclonedx): whether it is about these very files,
    whether its verdict follows from its p-values, and with --reference whether it comes out again. Exits with 3 if not.

    Example: kinprint verify examples/models/finetune --models examples/models --offline
    """
    if (model is None) == (every is None):
        raise typer.BadParameter("give either a MODEL or --all DIR", param_hint="MODEL")
    require_alpha(alpha)
    places = [place for place in (model, *(against or ())) if place is not None]
    if offline and any(map(address.means_url, places)):
        raise typer.BadParameter("a URL needs the network: choose one", param_hint="--offline")
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"  # for models named by the user: what the caches hold of them
    if reference is not None and statement is None:
        raise typer.BadParameter("is the reference of a --statement", param_hint="--reference")
    if statement is not None and model is None:
        raise typer.BadParameter("is about one MODEL", param_hint="--statement")
    if statement is not None and model is not None:
        _statement(statement, model, reference, as_json, strict, cache)
        return
    options = Options(
        models or every, _shelf(library, against or (), cache), hub=not offline, quick=quick, deep=deep, alpha=alpha
    )
    if every is not None:
        _all(every, options, engine, jobs, cache, as_json, strict)
        return
    assert model is not None
    found = verify(model, options, open_model=lambda place, quick: read(place, quick=quick, cache=cache))
    if as_json:
        typer.echo(json.dumps(found.to_json(), allow_nan=False))
    else:
        Console().print(verification_text(found))
    _exit({found.conclusion}, strict, bool(found.notes))


def _statement(path: Path, model: str, reference: str | None, as_json: bool, strict: bool, cache: bool) -> None:
    found = checked(path, model, reference, cache=cache)
    if as_json:
        typer.echo(json.dumps(found.to_json(), allow_nan=False))
    else:
        Console().print(statement_text(found))
    _exit({found.conclusion}, strict, False)


def _shelf(library: str | None, against: Sequence[str], cache: bool) -> BaseModels:
    """What is at hand; a library that cannot be opened is an error now, not when the first model has been measured."""
    shelves: list[BaseModels] = [Few(tuple(read(place, cache=cache) for place in against))]
    if library is not None:
        Library.open(library)
        shelves.append(Stored(library))
    return Joined(shelves)


def _all(folder: Path, options: Options, engine: str, jobs: int | None, cache: bool, as_json: bool, strict: bool) -> None:
    """Every model of a mirror: one that cannot be read is named, and the others are verified."""
    names = list(models_below(folder))
    found: dict[str, Verification] = {}
    unreadable: dict[str, str] = {}
    columns = TextColumn("verifying"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("", total=len(names))
        for outcome in engines.named(engine).run(partial(_one, folder, options, cache), names, jobs):
            if outcome.error is not None:
                unreadable[outcome.item] = str(outcome.error)
            elif outcome.result is not None:
                found[outcome.item] = outcome.result
            bars.advance(bar)
    ordered = [found[name] for name in names if name in found]
    rounds = circles({name: _declared(folder / name) for name in found})
    if as_json:
        typer.echo(json.dumps(_as_json(folder, ordered, unreadable, rounds), allow_nan=False))
    else:
        Console().print(verifications_text(ordered, unreadable, rounds))
    _exit({one.conclusion for one in ordered}, strict, bool(unreadable) or any(one.notes for one in ordered))


def _one(folder: Path, options: Options, cache: bool, name: str) -> Verification:
    def open_model(place: str, quick: bool) -> Fingerprint:
        return fingerprint(place, quick=quick, cache=cache)

    return verify(str(folder / name), options, name=name, open_model=open_model)


def _declared(place: Path) -> Declared:
    try:
        return read_declared(str(place))
    except KinprintError:
        return Declared()


def _as_json(
    folder: Path, found: Sequence[Verification], unreadable: dict[str, str], rounds: Sequence[Sequence[str]]
) -> dict[str, Any]:
    return {
        "format": FORMAT_ALL,
        "folder": printable(folder),
        "models": [one.to_json() for one in found],
        "unreadable": [{"model": name, "problem": problem} for name, problem in sorted(unreadable.items())],
        "circles": [list(one) for one in rounds],
    }


def _exit(conclusions: Collection[str], strict: bool, damaged: bool) -> None:
    if not {"contradicted", "undeclared-relative"}.isdisjoint(conclusions):
        raise typer.Exit(FAILED)
    if strict and (damaged or "not-testable" in conclusions):
        raise typer.Exit(UNTESTED)
