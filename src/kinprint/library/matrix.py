"""Every pair of some models: verdict and p-value of each, corrected for all of them, the models ordered by family."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

from scipy.cluster.hierarchy import DisjointSet

from kinprint import methods
from kinprint.comparison import ALPHA, Verdict, examine
from kinprint.comparison.identity import sameness
from kinprint.comparison.in_order import in_order
from kinprint.fingerprints import Fingerprint
from kinprint.json_numbers import finite
from kinprint.library.labels import labels
from kinprint.notebook import Shown
from kinprint.statistics import alpha_of_each, bonferroni
from kinprint.words import spreadsheet_cell

FORMAT = "kinprint-matrix/1"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Cell:
    """One pair.

    Attributes:
        a, b: the models, a before b as they were given.
        verdict: of the pair, at the corrected alpha.
        log10_p: corrected for the tests and for the number of pairs; None of identical models, or where no test applies.
    """

    a: int
    b: int
    verdict: Verdict
    log10_p: float | None

    @property
    def related(self) -> bool:
        return self.verdict in ("identical", "related")


@dataclass(frozen=True)
class Matrix(Shown):
    """All pairs.

    Attributes:
        names: of the models, unique.
        digests: of their fingerprints.
        cells: one a pair.
        alpha: the chance, at most, that any pair of models of independent training is called related.
    """

    names: tuple[str, ...]
    digests: tuple[str, ...]
    cells: tuple[Cell, ...]
    alpha: float = ALPHA

    @cached_property
    def families(self) -> tuple[tuple[int, ...], ...]:
        """Models that are related, directly or through others; the largest family first, each in the order given."""
        groups = DisjointSet(range(len(self.names)))
        for cell in self.cells:
            if cell.related:
                groups.merge(cell.a, cell.b)
        return tuple(sorted((tuple(sorted(group)) for group in groups.subsets()), key=lambda group: (-len(group), group)))

    @property
    def order(self) -> tuple[int, ...]:
        """The models family by family."""
        return tuple(model for family in self.families for model in family)

    @property
    def kin(self) -> list[Cell]:
        """The related pairs: identical ones, then by their p-values."""
        return sorted((cell for cell in self.cells if cell.related), key=lambda cell: cell.log10_p or -math.inf)

    def counts(self) -> dict[str, int]:
        """Verdict -> pairs."""
        found: dict[str, int] = defaultdict(int)
        for cell in self.cells:
            found[cell.verdict] += 1
        return dict(found)

    def sentence(self) -> str:
        """What was found, in plain words."""
        counts, pairs = self.counts(), len(self.cells)
        kin = counts.get("related", 0) + counts.get("identical", 0)
        families = sum(len(family) > 1 for family in self.families)
        untestable = f"; no test applies to {counts['untestable']}" if counts.get("untestable") else ""
        return (
            f"{kin} of {pairs:,} pairs of {len(self.names)} models share weights, in {families} "
            f"{'family' if families == 1 else 'families'}{untestable}. P-values are multiplied by the number of pairs."
        )

    def headline(self) -> str:
        return f"{len(self.names)} models, {len(self.cells):,} pairs"

    def summary(self) -> str:
        return self.sentence()

    def rows(self) -> list[dict[str, Any]]:
        """One row a pair, related ones first: model, other, verdict, corrected log10_p."""
        cells = sorted(self.cells, key=lambda cell: (not cell.related, cell.log10_p or 0.0))
        return [{"model": self.names[c.a], "other": self.names[c.b], "verdict": c.verdict, "log10_p": c.log10_p} for c in cells]

    def to_json(self) -> dict[str, Any]:
        """The object that `kinprint matrix --json` prints."""
        return {
            "format": FORMAT,
            "alpha": self.alpha,
            "sentence": self.sentence(),
            "models": [{"name": name, "digest": digest} for name, digest in zip(self.names, self.digests, strict=True)],
            "families": [[self.names[model] for model in family] for family in self.families],
            "pairs": [
                {"models": [self.names[c.a], self.names[c.b]], "verdict": c.verdict, "log10_p": finite(c.log10_p)}
                for c in self.cells
            ],
        }

    def csv(self) -> str:
        """One pair a line: names, verdict, log10 p (empty where there is none)."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(("model", "other", "verdict", "log10_p"))
        for cell in self.cells:
            p = "" if cell.log10_p is None else f"{cell.log10_p:.6g}"
            rows.writerow((spreadsheet_cell(self.names[cell.a]), spreadsheet_cell(self.names[cell.b]), cell.verdict, p))
        return text.getvalue()


def matrix(
    models: Sequence[Fingerprint],
    *,
    alpha: float = ALPHA,
    cache: bool = False,
    workers: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Matrix:
    """Compare every pair of models.

    Args:
        models: two or more.
        alpha: of all pairs together: each is tested at alpha / number of pairs (Bonferroni).
        cache: use what tests said about a pair earlier, and keep what they say now: a run that was stopped goes on.
        workers: pairs tested at once (`in_order`); the result is the same.
        progress: called with what is done, how many pairs were compared, and how many there are.
    """
    pairs = list(combinations(range(len(models)), 2))

    def cell(pair: tuple[int, int]) -> Cell:
        a, b = pair
        if sameness(models[a], models[b]).identical is not None:
            return Cell(a, b, "identical", None)
        each = alpha_of_each(alpha, len(pairs))
        found = examine((models[a], models[b]), alpha=each, methods=methods.tests(), cache=cache)
        return Cell(a, b, found.verdict, None if found.log10_p is None else bonferroni(found.log10_p, len(pairs)))

    cells = []
    with closing(in_order(cell, pairs, workers)) as compared:
        for number, found in enumerate(compared):
            progress("comparing", number, len(pairs))
            cells.append(found)
    return Matrix(labels(models), tuple(model.digest for model in models), tuple(cells), alpha)


def darkness(cell: Cell) -> float:
    """How strongly a picture shows a related pair, from 0.25 to 1: by log10 of -log10 p, full at p = 1e-1000."""
    if cell.log10_p is None:
        return 1.0
    magnitude = math.log10(max(-cell.log10_p, 1.0))
    return min(0.25 * max(magnitude + 0.25, 1.0), 1.0)
