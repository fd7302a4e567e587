"""Options that several commands share: each has the same names, environment variable and text wherever it is offered."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from kinprint.terms import COMPONENTS, FORMATS, PARTS, Verdict

if TYPE_CHECKING:
    from kinprint.architectures import Table

LONGEST_NAME = 300
"""Characters of a model's name, as fingerprints hold it."""

PLACES = "folder, file, hub id, ollama:NAME, BASE+ADAPTER or .kinprint file"
"""What a model may be named by."""


def _probability(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise typer.BadParameter("must lie between 0 and 1")
    return alpha


def _verdict(name: str | None) -> str | None:
    if name is not None and name not in get_args(Verdict):
        raise unknown(name, "verdict", get_args(Verdict))
    return name


def unknown(name: str, what: str, known: Sequence[str], hint: str | None = None) -> typer.BadParameter:
    """The error that a name is none of those that there are: which was meant, perhaps, and all of them."""
    near = get_close_matches(name.casefold(), known, 1)
    meant = f": did you mean {near[0]!r}?" if near else "."
    return typer.BadParameter(f"{name!r} is no {what}{meant} {what.capitalize()}s: {', '.join(known)}", param_hint=hint)


def _called(name: str | None) -> str | None:
    if name is not None and not (0 < len(name) <= LONGEST_NAME and name.isprintable()):
        raise typer.BadParameter(f"takes 1 to {LONGEST_NAME} printable characters")
    return name


def _format(name: str) -> str:
    if name not in FORMATS:
        raise unknown(name, "format", FORMATS)
    return name


def _part(name: str | None) -> str | None:
    if name is None:
        return None
    known = (*PARTS, *COMPONENTS)
    found = {part.casefold(): part for part in known}.get(name.casefold().replace("-", " ").replace("_", " "))
    if found is None:
        raise unknown(name, "part", known)
    return found


_LIBRARY = typer.Option("--library", "-l", envvar="KINPRINT_LIBRARY", help="The library: a folder, or a URL (s3://, gs://).")
_JOBS = typer.Option("--jobs", min=1, help="How many models, or pairs of models, to work on at once.")

ReferenceNameOption = Annotated[
    str | None, typer.Option("--reference-name", metavar="NAME", callback=_called, help="What to call the reference.")
]

SuspectArgument = Annotated[str, typer.Argument(help=f"The model that is examined: {PLACES}.")]

NameOption = Annotated[
    str | None, typer.Option("--name", metavar="NAME", callback=_called, help="What to call the model (of two: the suspect).")
]

LibraryOption = Annotated[str, _LIBRARY]
"""Of commands that use a library."""

OptionalLibraryOption = Annotated[str | None, _LIBRARY]
"""Of commands that may use one."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]

FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="FORMAT",
        callback=_format,
        autocompletion=lambda: list(FORMATS),
        help=f"Print findings as {', '.join(FORMATS)}.",
    ),
]

AcceptedOption = Annotated[
    Path | None,
    typer.Option(
        "--accepted",
        metavar="FILE",
        envvar="KINPRINT_ACCEPTED",
        help="Relatives that are known and accepted, with reason and last day (TOML): they set no exit code.",
    ),
]

HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write the report as one page that needs no network.")
]

CaseOption = Annotated[
    str, typer.Option("--case", metavar="TEXT", help="With --html: the number or name of a case, on its top.")
]

AuthorOption = Annotated[str, typer.Option("--author", metavar="TEXT", help="With --html: who made the report, on its top.")]

InTotoOption = Annotated[
    Path | None,
    typer.Option("--in-toto", metavar="FILE", help="Write an in-toto statement about the examined files, ready to be signed."),
]

AgainstOption = Annotated[
    list[str] | None,
    typer.Option("--against", help="Look among these models too, as in a library; can be given several times."),
]

StrictOption = Annotated[
    bool, typer.Option("--strict", help="Exit with 4 if something could not be tested, or a declared base was not found.")
]

SvgOption = Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write the picture alone.")]

VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say everything: what each test compared, scores, context.", show_default=False)
]

QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print one line.", show_default=False)]

OfflineOption = Annotated[bool, typer.Option(help="Never ask the hub: only what is on this disk is found.")]

CacheOption = Annotated[bool, typer.Option(help="Use fingerprints and tests of earlier runs and keep new ones.")]

QuickOption = Annotated[
    bool,
    typer.Option(help="Read about 1 % of the weights; misses heads, and disguised copies of models without gated neurons."),
]

DeepOption = Annotated[
    bool,
    typer.Option(help="Also run the methods that need both checkpoints: they see copies that were disguised and trained on."),
]

ScoresOption = Annotated[
    bool,
    typer.Option(help="Also measure and show what only published scores need, and no test: takes longer."),
]

ApiOption = Annotated[
    str | None, typer.Option("--api", metavar="URL", help="An OpenAI-compatible server, as http://localhost:8000/v1.")
]
TimeoutOption = Annotated[float, typer.Option(min=0.1, help="Seconds that one request to the server may take.")]
MaxRequestsOption = Annotated[
    int | None, typer.Option("--max-requests", min=0, help="Stop before more requests than this are sent to the suspect.")
]
MaxTokensOption = Annotated[
    int | None,
    typer.Option("--max-tokens", min=0, help="Stop before more tokens than this are read or written by the suspect."),
]
AnswersOption = Annotated[
    Path | None,
    typer.Option("--answers", metavar="FILE", help="Keep the suspect's answers here as they come; a rerun asks the rest."),
]
PromptsOption = Annotated[int, typer.Option("--prompts", min=1, help="Ask about so many of the texts.")]
TextsOption = Annotated[
    Path | None,
    typer.Option(
        "--texts", help="Texts to read instead of the shipped ones: .txt (one a line), .jsonl or .parquet with `text`."
    ),
]
TemperatureOption = Annotated[float, typer.Option("--temperature", min=0.01, help="At which texts are asked for.")]
TsaCertificateOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Root certificates (PEM) of the time-stamp authorities that you trust."),
]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, or auto: GPUs first, then memory, then disk.")]
BatchOption = Annotated[int, typer.Option(min=1, help="Texts at a time.")]

AlphaOption = Annotated[
    float,
    typer.Option(callback=_probability, help="Call models related up to this p-value, corrected for all that was tried."),
]

FailOnOption = Annotated[
    str | None,
    typer.Option(
        callback=_verdict,
        autocompletion=lambda: list(get_args(Verdict)),
        help="Exit with 3 on this verdict: related (or identical), identical, no-evidence, untestable.",
    ),
]

PartOption = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="PART",
        callback=_part,
        autocompletion=lambda: [*PARTS, *COMPONENTS],
        help=f"Judge one part alone: {', '.join((*PARTS, *COMPONENTS))}.",
    ),
]


def component(part: str | None) -> str | None:
    """The component that --part names, where only a component will do."""
    if part is not None and part not in COMPONENTS:
        raise typer.BadParameter(f"takes a component here: {', '.join(COMPONENTS)}", param_hint="--part")
    return part


EngineOption = Annotated[str, typer.Option(help="Where models are measured: threads, processes, ray.")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Models measured at once.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Threads that measure one model; the result is the same.")]

JobsOption = Annotated[int, _JOBS]
OptionalJobsOption = Annotated[int | None, _JOBS]
"""Where the default depends on the machine."""

FingerprintOption = Annotated[
    Path | None, typer.Option("-o", "--output", help="The fingerprint to write; NAME.kinprint by default.")
]

AsOption = Annotated[
    str | None, typer.Option("--as", metavar="TYPE", help="Read the model as this model type, whatever its configuration says.")
]
TableOption = Annotated[
    Path | None, typer.Option("--table", metavar="FILE", help="Read the model by this table (docs/architectures.md).")
]


def require_all_weights(quick: bool, *, deep: bool = False, scores: bool = False) -> None:
    """Refuse --quick beside an option that reads all weights."""
    for option, given in (("--deep", deep), ("--scores", scores)):
        if quick and given:
            raise typer.BadParameter("reads all weights, --quick about 1 %: choose one", param_hint=option)


def given_tables(model_type: str | None, table: Path | None) -> tuple[Table, ...]:
    """The tables that --as and --table allow; none where neither is given."""
    if model_type is not None and table is not None:
        raise typer.BadParameter("give --as or --table, not both", param_hint="--as")
    if model_type is None and table is None:
        return ()
    from kinprint.architectures.given import table_from, tables_of

    return table_from(table) if table is not None else tables_of(model_type or "")


QuestionsOption = Annotated[
    int, typer.Option(min=0, help="How many of the 60 questions of the probe set to ask a model; 0 for none.")
]
