"""Every pair of some models."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from command_line import kinprint as command

import kinprint
from kinprint import Fingerprint
from kinprint.library.matrix import Cell, Matrix, darkness, matrix
from kinprint.reports.matrix_html import matrix_html
from kinprint.reports.matrix_svg import matrix_svg


@pytest.fixture(scope="module")
def three() -> list[Fingerprint]:
    folder = Path(__file__).parents[2] / "examples" / "models"
    return [kinprint.fingerprint(folder / name) for name in ("twin", "base", "finetune")]


def test_p_values_are_corrected_for_the_number_of_pairs(three: list[Fingerprint]) -> None:
    """H0 for two pairs, H1 for one: its p-value is that of the comparison times three; order of models changes nothing."""
    found = matrix(three)
    assert [(cell.a, cell.b, cell.verdict) for cell in found.cells] == [
        (0, 1, "no-evidence"), (0, 2, "no-evidence"), (1, 2, "related"),
    ]  # fmt: skip
    alone = kinprint.compare(three[1], three[2]).log10_p
    assert alone is not None
    assert found.cells[2].log10_p == pytest.approx(alone + 0.4771, abs=1e-4)
    assert found.families == ((1, 2), (0,))
    assert found.order == (1, 2, 0)
    turned = matrix(three[::-1])
    assert sorted(cell.verdict for cell in turned.cells) == sorted(cell.verdict for cell in found.cells)


def test_forms(three: list[Fingerprint], tmp_path: Path) -> None:
    """Terminal, JSON, CSV, picture and page say the same; names of strangers stay text and no formula."""
    evil = Fingerprint("=cmd|' /C calc'!A0<script>", three[0].traits, three[0].facts, three[0].provenance)
    found = matrix([evil, *three])
    assert found.cells[0].verdict == "identical"
    rows = list(csv.reader(io.StringIO(found.csv())))
    assert rows[0] == ["model", "other", "verdict", "log10_p"]
    assert rows[1][0].startswith("'=cmd")
    assert len(rows) == 7
    page = matrix_html(found, command="kinprint matrix")
    assert page.count("<script>") == 1
    assert matrix_svg(found).count("<rect") > 16
    assert found.to_json()["families"][0] == ["=cmd|' /C calc'!A0<script>", "twin"]


def test_the_command(models: Path, tmp_path: Path) -> None:
    """A square, the pairs, the sentence last; files are written; too few models are wrong use."""
    places = [models / name for name in ("base", "finetune", "twin")]
    done = command("matrix", *places, "--csv", tmp_path / "pairs.csv", "--html", tmp_path / "pairs.html")
    assert done.stdout.splitlines()[-2].startswith("1 of 3 pairs of 3 models share weights, in 1 family.")
    assert " 1     R  ·  base" in done.stdout
    assert "base and finetune: related, p < 1e-100" in done.stdout
    assert (tmp_path / "pairs.csv").read_text().count("\n") == 4
    assert json.loads(command("matrix", *places, "--json").stdout)["pairs"][0]["verdict"] == "related"
    assert command("matrix", places[0]).returncode == 2
    assert command("matrix").returncode == 2


def test_darkness_grows_with_evidence() -> None:
    cells = [Cell(0, 1, "related", -log10_p) for log10_p in (6, 12, 100, 1000, 20000)]
    strengths = [darkness(cell) for cell in cells]
    assert strengths == sorted(strengths)
    assert 0.25 <= strengths[0] < strengths[3] <= 1


def test_a_large_square_is_cut() -> None:
    """Of many models the largest families are drawn, and the sentence speaks of all."""
    count = 200
    cells = tuple(
        Cell(a, b, "related" if b == a + 1 else "no-evidence", -7.0) for a in range(count) for b in range(a + 1, count)
    )
    found = Matrix(tuple(map(str, range(count))), ("",) * count, cells)
    assert len(found.families) == 1
    assert matrix_svg(found).count('class="self"') == 150
    assert "199 of 19,900 pairs" in found.sentence()
