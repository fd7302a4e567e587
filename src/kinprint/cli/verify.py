"""kinprint verify MODEL | --all DIR"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kinprint.checkpoints.places import means_url, require_there
from kinprint.cli._findings import acceptances, chosen, publish
from kinprint.cli._models import hashed, read, say_deep
from kinprint.cli._options import (
    PLACES,
    AcceptedOption,
    AgainstOption,
    AlphaOption,
    CacheOption,
    DeepOption,
    EngineOption,
    FormatOption,
    JsonOption,
    OfflineOption,
    OptionalJobsOption,
    OptionalLibraryOption,
    PartOption,
    QuickOption,
    StrictOption,
    TsaCertificateOption,
)
from kinprint.cli._output import emit
from kinprint.terms import ALPHA

if TYPE_CHECKING:
    from kinprint.cli._statements import CommitmentOptions
    from kinprint.reports.findings import Findings

FAILED, UNTESTED = 3, 4
"""Exit codes: a declaration is contradicted or a relative undeclared; with --strict, something declared was not tested."""


def command(
    model: Annotated[str | None, typer.Argument(help=f"The model that is verified: {PLACES}.", show_default=False)] = None,
    every: Annotated[Path | None, typer.Option("--all", help="Verify every model in this mirror of a hub.")] = None,
    models: Annotated[
        Path | None, typer.Option(help="Look here first for declared bases: folders org/name or name.", file_okay=False)
    ] = None,
    library: OptionalLibraryOption = None,
    against: AgainstOption = None,
    statement: Annotated[
        Path | None,
        typer.Option(help="Check this in-toto statement or CycloneDX document about MODEL instead.", metavar="FILE"),
    ] = None,
    opening: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --statement: what opens a hidden commitment.")
    ] = None,
    timestamp: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --statement: the time stamp (RFC 3161) of a commitment or an audit."),
    ] = None,
    against_commitment: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --statement: ask whether it was there before this commitment.")
    ] = None,
    against_timestamp: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The time stamp of that other commitment.")
    ] = None,
    tsa_certificate: TsaCertificateOption = None,
    reference: Annotated[
        str | None, typer.Option(help="With --statement: the reference model, to compare the two again.")
    ] = None,
    offline: OfflineOption = False,
    quick: QuickOption = False,
    deep: DeepOption = True,
    part: PartOption = None,
    strict: StrictOption = False,
    form: FormatOption = "table",
    as_json: JsonOption = False,
    accepted: AcceptedOption = None,
    alpha: AlphaOption = ALPHA,
    engine: EngineOption = "threads",
    jobs: OptionalJobsOption = None,
    cache: CacheOption = True,
) -> None:
    """Say whether MODEL was made from what it says it was made from.

    Reads what its card, merge recipe, adapter, weights file, CycloneDX pedigree and configuration say, finds the models that
    they name, compares, and says of each: confirmed, contradicted, not testable or not found. Shows the licences of both. With
    a library it looks there too for declared bases, and for relatives that nobody declares. Before it contradicts, it compares
    both checkpoints if it has both (--deep); --quick can confirm, not contradict. Exits with 0, with 3 if a declaration is
    contradicted or a relative is undeclared. --part "vision tower" judges that part alone. --engine and --jobs are for --all.

    With --statement it checks a document of `kinprint compare` (--in-toto, --cyclonedx): whether it is about these very files,
    whether its verdict follows from its p-values and, with --reference, whether a new comparison gives the same verdict. Of a
    `kinprint commit` it checks opening, time stamp, and which of two was there first; of a `kinprint audit` whether MODEL is
    the end of the chain and the conclusion follows from its findings, which it shows. Exits with 3 if not.

    Example: kinprint verify examples/models/finetune --models examples/models --offline
    """
    beside = {
        "opening": opening,
        "timestamp": timestamp,
        "against_commitment": against_commitment,
        "against_timestamp": against_timestamp,
        "tsa_certificate": tsa_certificate,
    }
    form = chosen(form, as_json, several="" if every is None else "verify --all")
    if statement is not None and form not in ("table", "json"):
        raise typer.BadParameter("the check of a document is a table or json", param_hint="--format")
    _require_use(model, every, statement, reference, {name for name, file in beside.items() if file is not None})
    places = [place for place in (model, *(against or ())) if place is not None]
    if offline and any(map(means_url, places)):
        raise typer.BadParameter("a URL needs the network: choose one", param_hint="--offline")
    require_there(*places)
    reasons = acceptances(accepted)
    from kinprint.auditing.statements import is_audit
    from kinprint.cli._mirror import verify_mirror
    from kinprint.cli._statements import CommitmentOptions, checked, checked_audit, checked_commitment
    from kinprint.library.declarations.base_models import at_hand
    from kinprint.library.declarations.commitments import is_commitment
    from kinprint.library.declarations.verify import Options, verify
    from kinprint.reports import audit_check_text, commitment_text, statement_text, verification_text, verifications_text
    from kinprint.reports.findings import Model, of_verifications

    given = CommitmentOptions(**beside)
    if statement is not None and model is not None and is_audit(statement):
        _require_audit_use(reference, given)
        audit = checked_audit(statement, model, given, cache=cache, offline=offline)
        emit(form == "json", audit.to_json, lambda: audit_check_text(audit))
        _stop({audit.conclusion}, strict, damaged=False)
        return
    if statement is not None and model is not None and (given.any or is_commitment(statement)):
        commitment = checked_commitment(statement, model, given, cache=cache, offline=offline)
        emit(form == "json", commitment.to_json, lambda: commitment_text(commitment))
        _stop({commitment.conclusion}, strict, damaged=False)
        return
    if statement is not None and model is not None:
        check = checked(statement, model, reference, cache=cache, offline=offline)
        emit(form == "json", check.to_json, lambda: statement_text(check))
        _stop({check.conclusion}, strict, damaged=False)
        return
    known = at_hand([read(place, cache=cache, offline=offline) for place in against or ()], library)
    options = Options(models or every, known, offline=offline, quick=quick, deep=deep, alpha=alpha, part=part)
    if every is not None:
        mirror = verify_mirror(every, options, engine=engine, jobs=jobs, cache=cache)
        each = {Model(one.model, place=str(every / one.model)): one for one in mirror.verifications}
        broken = {Model(name, place=str(every / name)): why for name, why in mirror.unreadable.items()}
        found = of_verifications(each, mirror.to_json, tuple, broken)
        found = publish(
            found, form, lambda: verifications_text(mirror.verifications, mirror.unreadable, mirror.circles), reasons
        )
        damaged = bool(mirror.unreadable) or any(verified.notes for verified in mirror.verifications)
        _stop(_open(found), strict, damaged)
    elif model is not None:
        verification = verify(
            model,
            options,
            open_model=lambda place, quick: read(place, quick=quick, cache=cache, offline=offline),
            ahead=say_deep,
        )
        named = Model(Path(model).resolve().name if Path(model).exists() else verification.model, place=model)
        found = of_verifications({named: verification}, verification.to_json, lambda: hashed(model, offline=offline))
        found = publish(found, form, lambda: verification_text(verification), reasons)
        _stop(_open(found), strict, bool(verification.notes))


def _require_use(
    model: str | None, every: Path | None, statement: Path | None, reference: str | None, beside: Collection[str]
) -> None:
    """Wrong use, unless what was given goes together; `beside` names what was given for a commitment."""
    if (model is None) == (every is None):
        raise typer.BadParameter("give either a MODEL or --all DIR", param_hint="MODEL")
    if reference is not None and statement is None:
        raise typer.BadParameter("goes with --statement only", param_hint="--reference")
    if statement is not None and model is None:
        raise typer.BadParameter("needs one MODEL", param_hint="--statement")
    for name in beside:
        hint = f"--{name.replace('_', '-')}"
        if statement is None:
            raise typer.BadParameter("goes with --statement only", param_hint=hint)
        if reference is not None:
            raise typer.BadParameter("goes with a commitment, --reference with a comparison: choose one", param_hint=hint)
    if "tsa_certificate" in beside and not {"timestamp", "against_timestamp"} & set(beside):
        raise typer.BadParameter("goes with --timestamp only", param_hint="--tsa-certificate")
    if "against_timestamp" in beside and "against_commitment" not in beside:
        raise typer.BadParameter("goes with --against-commitment only", param_hint="--against-timestamp")


def _open(found: Findings) -> set[str]:
    """The words of findings that are not accepted."""
    words = {finding.word for finding in found.findings if finding.accepted is None}
    return {"not-testable" if word == "not-found" else word for word in words}


def _require_audit_use(reference: str | None, given: CommitmentOptions) -> None:
    """Wrong use of what was given beside an audit."""
    if reference is not None:
        why = "goes with a comparison, and this is an audit: `kinprint audit` looks at its checkpoints again"
        raise typer.BadParameter(why, param_hint="--reference")
    for hint, file in (("--opening", given.opening), ("--against-commitment", given.against_commitment)):
        if file is not None:
            raise typer.BadParameter("goes with a commitment, and this is an audit", param_hint=hint)


def _stop(conclusions: Collection[str], strict: bool, damaged: bool) -> None:
    """End with the exit code of the worst conclusion."""
    if not {"contradicted", "undeclared-relative"}.isdisjoint(conclusions):
        raise typer.Exit(FAILED)
    if strict and (damaged or "not-testable" in conclusions):
        raise typer.Exit(UNTESTED)
