"""The tables of docs/error-rates.md: what each test assumes, and the rates that other pages of the documentation measured.

Counts are taken from the pages themselves: a page that says something else than the pattern of its row, or a table that has
other columns, fails the build.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from scipy.stats import beta

from kinprint.blackbox import controls, head_span, palimpsest, same_endpoint
from kinprint.methods import Test, known

DOCS = Path(__file__).parent
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Measured:
    """A place of the documentation that counts pairs.

    Attributes:
        what: which pairs.
        page: where it stands.
        figures: its entry in benchmarks/figures.toml.
        pattern: finds the counts, as `accused`, `strangers` and, where relatives were counted too, `found`, `relatives`.
    """

    what: str
    page: str
    figures: str
    pattern: str


COUNT = r"[\d ]+"
MEASURED = (
    Measured(
        "all pairs of 62 small models, `--deep`",
        "benchmark.md",
        "benchmark",
        rf"\| kinprint \| verdict \|(?:[^|]*\|){{5}} (?P<found>{COUNT}) of (?P<relatives>{COUNT}) \([^|]*\|[^|]*\|"
        rf" (?P<accused>{COUNT}) of (?P<strangers>{COUNT}) \(",
    ),
    Measured(
        "the same, fingerprints alone",
        "benchmark.md",
        "benchmark",
        rf"\| fingerprints alone \| verdict \|(?:[^|]*\|){{5}} (?P<found>{COUNT}) of (?P<relatives>{COUNT}) \([^|]*\|[^|]*\|"
        rf" (?P<accused>{COUNT}) of (?P<strangers>{COUNT}) \(",
    ),
    Measured(
        "released models and their descendants",
        "released.md",
        "released",
        rf"(?P<found>{COUNT}) of (?P<relatives>{COUNT}) descendants found;"
        rf" (?P<accused>{COUNT}) of (?P<strangers>{COUNT}) pairs of strangers",
    ),
    Measured(
        "released models converted beyond their neurons, fingerprints alone",
        "released.md",
        "released-conversions",
        rf"- fingerprints: (?P<found>{COUNT}) of (?P<relatives>{COUNT}) found;"
        rf" (?P<accused>{COUNT}) of (?P<strangers>{COUNT}) pairs of strangers",
    ),
    Measured(
        "models of 10 million parameters, `matched-neurons`",
        "larger.md",
        "larger",
        rf"\| strangers \| (?P<strangers>{COUNT}) \|[^|]*\|[^|]*\| (?P<accused>{COUNT}) \|",
    ),
    Measured(
        "models trained ten times as long on one text in one order",
        "methods.md",
        "unforgeable",
        rf"All tests together accuse (?P<accused>{COUNT}) of (?P<strangers>{COUNT}) pairs",
    ),
    Measured(
        "strangers that share a habit of labels, random weights",
        "labels.md",
        "hard-negatives-every-test",
        rf"accuses (?P<accused>{COUNT}) of (?P<strangers>{COUNT}) pairs of random models[^)]*\),\s+and finds"
        rf" (?P<found>{COUNT}) of (?P<relatives>{COUNT}) noisy copies",
    ),
)


def null_table() -> str:
    """Every test with its null hypothesis and whether its p-value is exact under it."""
    rows = ["| test | null hypothesis | p-value |", "|---|---|---|"]
    for method in known():
        if isinstance(method, Test):
            name = f"[`{method.name}`](methods/{method.name}.md){' (`--deep`)' if method.deep else ''}"
            rows.append(f"| {name} | {method.null} | {_exactness(method)} |")
    return "\n".join(rows)


def _exactness(method: Test) -> str:
    if "Approximate" in method.null:
        return "approximate; [measured on strangers](methods.md#matched-writes)"
    return "exact for signs; approximate for writes" if method.deep else "exact"


def rate_table() -> str:
    """Accused and found, with the one-sided bound of each rate, and when it was counted."""
    lock = json.loads((DOCS.parent / "benchmarks" / "figures.lock.json").read_text(encoding="utf-8"))
    rows = [
        "| pairs | strangers called related | rate at most | relatives found | rate at least | measured |",
        "|---|---|---|---|---|---|",
    ]
    for row in MEASURED:
        found = re.search(row.pattern, (DOCS / row.page).read_text(encoding="utf-8"))
        if found is None:
            raise ValueError(f"docs/{row.page} no longer counts {row.what}: see docs/error_rates.py")
        counts = {name: int(text.replace(" ", "")) for name, text in found.groupdict().items()}
        cells = [
            f"{counts['accused']} of {counts['strangers']}",
            f"{100 * at_most(counts['accused'], counts['strangers']):.2g} %",
        ]
        if "relatives" in counts:
            cells += [f"{counts['found']} of {counts['relatives']}"]
            cells += [f"{100 * at_least(counts['found'], counts['relatives']):.1f} %"]
        else:
            cells += ["–", "–"]
        made = lock[row.figures]
        when = date.fromisoformat(made["date"])
        cells.append(f"{when.day} {when:%B %Y}, at {made['commit'][:7]}")
        rows.append(f"| [{row.what}]({row.page}) | {' | '.join(cells)} |")
    return "\n".join(rows)


# --- suspects that only answer

ASKING = (
    (
        "palimpsest",
        "black-box.md#palimpsest-does-it-know-the-order-of-your-training",
        "`descends`",
        palimpsest.NULL,
        "exact, if the order was drawn at random, before anybody could ask the suspect",
    ),
    (
        "head-span",
        "black-box-heads.md#head-span-is-this-the-output-head",
        "`same-head`",
        head_span.NULL,
        "bounded from above; the floor of 1 % is part of the hypothesis, and measured on strangers",
    ),
    (
        "same-endpoint",
        "black-box-heads.md#same-endpoint-does-it-serve-the-model-that-it-says",
        "`refuted` (by texts)",
        same_endpoint.NULL_TEXTS,
        "exact or bounded from above, for texts that are drawn independently",
    ),
    (
        "same-endpoint",
        "black-box-heads.md#same-endpoint-does-it-serve-the-model-that-it-says",
        "`same-deployment`",
        same_endpoint.NULL_VALUES,
        "bounded from above; the floor of 1 % is part of the hypothesis",
    ),
    (
        "controls",
        "black-box-heads.md#controls-closer-than-others",
        "`closer-than-controls`",
        controls.NULL,
        "exact, for prompts that are drawn independently; the hypothesis is false for some strangers",
    ),
)
"""Test of `kinprint black-box`, where it is explained, the verdict, its null hypothesis, and what its p-value is under it."""


def asking_null_table() -> str:
    """The tests of `kinprint black-box`, with null hypotheses."""
    rows = ["| test | verdict | null hypothesis | p-value |", "|---|---|---|---|"]
    for name, page, verdict, null, exactness in ASKING:
        rows.append(f"| [`{name}`]({page}) | {verdict} | {null[0].upper()}{null[1:]} | {exactness} |")
    return "\n".join(rows)


@dataclass(frozen=True)
class Counted:
    """What a page counts of one test.

    Attributes:
        what: test and pairs.
        figures: their entry in benchmarks/figures.toml; its page is where they stand.
        early: strangers with p <= 0.01, of those that were counted; None where that was not printed.
        called: strangers that were called something, at 1e-6, of all.
        found: relatives of which the verdict is the true one, of all; None where there are none.
    """

    what: str
    figures: str
    page: str
    early: tuple[int, int] | None
    called: tuple[int, int]
    found: tuple[int, int] | None = None


def asking_rate_table() -> str:
    """How often the tests of `kinprint black-box` said something of strangers, and what they saw of relatives."""
    lock = json.loads((DOCS.parent / "benchmarks" / "figures.lock.json").read_text(encoding="utf-8"))
    rows = [
        "| test, and of what | strangers at p ≤ 0.01 | rate, 95 % interval | strangers called so | rate at most | found "
        "| rate at least | measured |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in (*_of_palimpsest(), *_of_heads(), *_of_endpoints(), *_of_controls()):
        cells = ["–", "–"]
        if row.early is not None:
            low, high = 1 - at_most(row.early[1] - row.early[0], row.early[1], 0.975), at_most(*row.early, 0.975)
            cells = [f"{row.early[0]} of {row.early[1]}", f"{100 * low:.2g} to {100 * high:.2g} %"]
        cells += [f"{row.called[0]} of {row.called[1]}", f"{100 * at_most(*row.called):.2g} %"]
        found = row.found
        cells += ["–", "–"] if found is None else [f"{found[0]} of {found[1]}", f"{100 * at_least(*found):.1f} %"]
        when = date.fromisoformat(lock[row.figures]["date"])
        cells.append(f"{when.day} {when:%B %Y}, at {lock[row.figures]['commit'][:7]}")
        rows.append(f"| [{row.what}]({row.page}) | {' | '.join(cells)} |")
    return "\n".join(rows)


def _of_palimpsest() -> list[Counted]:
    page, found = "black-box.md", []
    for number, what in ((1, "random orders"), (2, "transcripts and models that never read their order")):
        (row,) = _table(page, f"palimpsest {number}")
        total = _count(row["p-values of"])
        early = round(float(row["p <= 0.01"].rstrip("%")) / 100 * total)
        found.append(
            Counted(f"`palimpsest`, {what}", "palimpsest", page, (early, total), (int(float(row["smallest"]) <= 1e-6), total))
        )
    relatives = [row for row in _table(page, "palimpsest 3") if row["how it was made"] != "stranger"]
    column = list(relatives[0])[-1]
    seen = sum(_surely_small(row[column]) for row in relatives)
    found[-1] = replace(found[-1], found=(seen, len(relatives)))
    return found


def _of_heads() -> list[Counted]:
    page, rows = "black-box-heads.md", _table("black-box-heads.md", "endpoints 1")
    strangers = [row for row in rows if row["kind"].startswith("unrelated")]
    same = [row for row in rows if row["kind"].rpartition(": ")[2] in ("itself", "disguise", "lora", "permute", "quantised")]
    called = sum(int(row["same-head"]) for row in strangers), sum(int(row["pairs"]) for row in strangers)
    found = sum(int(row["same-head"]) for row in same), sum(int(row["pairs"]) for row in same)
    return [
        Counted(
            "`head-span` calls a head the same; found: heads that were frozen or copied", "endpoints", page, None, called, found
        )
    ]


def _of_endpoints() -> list[Counted]:
    page, found = "black-box-heads.md", []
    for row in _table(page, "endpoints 4"):
        total = int(row["pairs"])
        early, refuted = round(float(row["p ≤ 0.01"]) * total), int(float(row["smallest"]) <= 1e-6)
        found.append(
            Counted(
                f"`same-endpoint` refutes a model by its own texts, {row['test']}",
                "endpoints",
                page,
                (early, total),
                (refuted, total),
            )
        )
    served = _table(page, "endpoints 5")
    name = next(iter(served[0]))
    own = ("the same", "in bfloat16", "temperature")
    others = [row for row in served if not row[name].startswith(own)]
    confirmed = sum(row["verdict"] == "same-deployment" for row in others)
    refuted = sum(row["verdict"] == "refuted" for row in others)
    what = "`same-endpoint` calls another model the same; found: other models that are refuted"
    return [*found, Counted(what, "endpoints", page, None, (confirmed, len(others)), (refuted, len(others)))]


def _of_controls() -> list[Counted]:
    page, rows = "black-box-heads.md", _table("black-box-heads.md", "endpoints 6")
    strangers = [row for row in rows if row["kind"].startswith("unrelated")]
    related = [row for row in rows if row["kind"].startswith("related") and not row["kind"].endswith("relatives")]

    def counted(rows: list[dict[str, str]]) -> tuple[int, int]:
        return sum(int(row["closer at 1e-6"]) for row in rows), sum(int(row["pairs"]) for row in rows)

    what = "`controls` calls a stranger closer; found: descendants that are"
    return [Counted(what, "endpoints", page, None, counted(strangers), counted(related))]


def _table(page: str, name: str) -> list[dict[str, str]]:
    """The rows of a printed table, by their columns."""
    text = (DOCS / page).read_text(encoding="utf-8").partition(f"<!-- printed: {name} -->\n")[2].partition("<!-- end -->")[0]
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in text.strip().splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


def _count(text: str) -> int:
    """The number at the beginning."""
    found = re.match(r"[\d,]+", text)
    if found is None:
        raise ValueError(f"{text!r} begins with no number: see docs/error_rates.py")
    return int(found[0].replace(",", ""))


def _surely_small(p: str) -> bool:
    """Whether a p-value is at most 1e-6, as it stands in a table, where exponents are rounded: 1e-6 itself may be either."""
    found = re.fullmatch(r"1e-(\d+)", p)
    return found is not None and int(found[1]) >= 7


def at_most(count: int, total: int, confidence: float = CONFIDENCE) -> float:
    """One-sided upper bound of a rate (Clopper and Pearson, Biometrika 1934), were pairs independent."""
    return 1.0 if count == total else float(beta.ppf(confidence, count + 1, total - count))


def at_least(count: int, total: int) -> float:
    """One-sided lower bound of a rate."""
    return 1 - at_most(total - count, total)
