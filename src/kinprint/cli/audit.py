"""kinprint audit START ... END"""

from __future__ import annotations

from functools import cache as once
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kinprint.checkpoints.places import require_there
from kinprint.cli._findings import chosen, publish
from kinprint.cli._models import epoch, hash_of_fingerprint, hashed, read, retyped
from kinprint.cli._options import (
    PLACES,
    AgainstOption,
    AlphaOption,
    AuthorOption,
    CacheOption,
    CaseOption,
    FormatOption,
    HtmlOption,
    InTotoOption,
    JsonOption,
    OptionalLibraryOption,
    StrictOption,
)
from kinprint.cli._output import require_writable, write
from kinprint.cli._progress import step_bar
from kinprint.terms import ALPHA

if TYPE_CHECKING:
    from kinprint.checkpoints.hashes import FileHash

BROKEN, UNTESTED = 3, 4
"""Exit codes: the chain is broken; with --strict, something could not be tested."""


def command(
    checkpoints: Annotated[
        list[str] | None,
        typer.Argument(help=f"The random start, checkpoints in order, the release; each a {PLACES}.", show_default=False),
    ] = None,
    chain: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="TOML or JSON that states the chain, with steps and dates, instead of CHECKPOINTS."),
    ] = None,
    library: OptionalLibraryOption = None,
    against: AgainstOption = None,
    strict: StrictOption = False,
    form: FormatOption = "table",
    as_json: JsonOption = False,
    html: HtmlOption = None,
    case: CaseOption = "",
    author: AuthorOption = "",
    in_toto: InTotoOption = None,
    alpha: AlphaOption = ALPHA,
    cache: CacheOption = True,
) -> None:
    """Say whether CHECKPOINTS, from a random start to a release, are one training and nobody else's.

    Tests, with p-values, that each checkpoint is kin to the next and that the first shows no training; measures how far weights
    move from one to the next, and names jumps where other weights could have come in, and gaps. With a library, or --against,
    looks for models of others that an end is kin to. The report says what no audit shows. Fingerprints will do
    (`kinprint fingerprint`), but for the spectra of the start. Exits with 0, with 3 if the chain is broken.

    Example: kinprint audit runs/step0 runs/step1000 runs/step2000 release --html audit.html

    prints HOLDS, "All 4 checkpoints are kin, each to the next ...", or what is broken and where. --chain names a file that
    states steps and dates: docs/audit.md has an example.
    """
    if bool(checkpoints) == (chain is not None):
        raise typer.BadParameter("give either CHECKPOINTS or --chain FILE", param_hint="CHECKPOINTS")
    form = chosen(form, as_json)
    made = epoch()
    require_there(*(checkpoints or ()), *(against or ()))
    require_writable(html, in_toto)
    from kinprint.auditing.audit import audit_chain
    from kinprint.auditing.chain import named, read_chain, require_order
    from kinprint.library import Library
    from kinprint.reports.audit_html import audit_html
    from kinprint.reports.audit_in_toto import audit_statement
    from kinprint.reports.audit_terminal import audit_text
    from kinprint.reports.findings import of_audit
    from kinprint.verbs import weights_at

    stages = read_chain(chain) if chain is not None else named(checkpoints or [])
    require_order(stages)
    opened = None if library is None else Library.open(library)
    models = [read(stage.place, cache=cache) for stage in stages]
    others = [read(place, cache=cache) for place in against or ()]
    start = weights_at(stages[0].place)
    with step_bar() as progress:
        audit = audit_chain(
            stages, models, start=start, against=others, library=opened, alpha=alpha, cache=cache, progress=progress
        )
    files = once(lambda: [_files(stage.place) for stage in stages])

    def statement() -> str:
        return audit_statement(audit, files(), made)

    found = of_audit(audit, stages[-1].place, lambda: files()[-1], {"in-toto": statement})
    publish(found, form, lambda: audit_text(audit))
    write(html, lambda: audit_html(audit, files=files(), **retyped(case, author)))
    write(in_toto, statement)
    if audit.conclusion == "broken":
        raise typer.Exit(BROKEN)
    if strict and audit.conclusion == "not-testable":
        raise typer.Exit(UNTESTED)


def _files(place: str) -> tuple[FileHash, ...]:
    """The files of a checkpoint with their SHA-256; of a `.kinprint` file itself, where weights stay at home."""
    from kinprint.fingerprints.from_model import SUFFIX

    path = Path(place)
    if path.suffix != SUFFIX:
        return hashed(place)
    return (hash_of_fingerprint(path, "a fingerprint; the weights were not at hand"),)
