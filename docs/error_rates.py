"""The tables of docs/error-rates.md: what each test assumes, and the rates that other pages of the documentation measured.

Counts are taken from the pages themselves: a page that says something else than the pattern of its row fails the build.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from scipy.stats import beta

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


def at_most(count: int, total: int) -> float:
    """One-sided upper bound of a rate (Clopper and Pearson, Biometrika 1934), were pairs independent."""
    return 1.0 if count == total else float(beta.ppf(CONFIDENCE, count + 1, total - count))


def at_least(count: int, total: int) -> float:
    """One-sided lower bound of a rate."""
    return 1 - at_most(total - count, total)
