"""The first hour of somebody who has just installed kinprint: what they type, in order, and what they read.

One home, one terminal of 80 columns; the models are those of the repository, kept as other programs keep them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from browser import browser
from command_line import Done, kinprint
from ollama_store import keep
from waiting import PATIENCE

EXAMPLES = Path(__file__).parents[1] / "examples" / "models"
WIDTH, HEIGHT = 80, 40


@dataclass(frozen=True)
class Desk:
    """Where the user sits.

    Attributes:
        folder: with the three models of the repository in `models`, and base as GGUF.
    """

    folder: Path

    def type(self, line: str) -> Done:
        """Type a line after `kinprint`; whatever is printed fits into the terminal, and nothing is a traceback."""
        done = kinprint(*line.split(), folder=self.folder)
        assert "Traceback" not in done.stderr
        for printed in (*done.stdout.splitlines(), *done.stderr.splitlines()):
            broken = max(map(len, printed.split()), default=0) < WIDTH // 2  # a long path stays whole, to be copied
            assert len(printed) <= WIDTH or printed.startswith("kinprint: ") or not broken, printed
        return done

    def read(self, line: str, *said: str, code: int = 0, most: int = HEIGHT) -> str:
        """Type a line and read all of this, within the height of a terminal; gives what was printed on stdout."""
        done = self.type(line)
        assert done.returncode == code, done.stderr
        both = " ".join((done.stdout + done.stderr).split())
        for words in said:
            assert words in both, both
        assert len(done.stdout.splitlines()) <= most
        return done.stdout


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    gguf_files = pytest.importorskip("gguf_files")
    folder = tmp_path_factory.mktemp("desk")
    home = folder / "home"
    home.mkdir()
    shutil.copytree(EXAMPLES, folder / "models")
    gguf_files.convert(gguf_files.Kind.BF16, EXAMPLES / "base", folder)
    keep(folder / "ollama", "registry.ollama.ai/library/kin/latest", model=(folder / "model.gguf").read_bytes())
    snapshot = folder / "hub" / "models--org--twin" / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    for file in (EXAMPLES / "twin").iterdir():
        (snapshot / file.name).symlink_to(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("COLUMNS", str(WIDTH))
        patch.setenv("OLLAMA_MODELS", str(folder / "ollama"))
        patch.setenv("HF_HUB_CACHE", str(folder / "hub"))
        patch.setenv("KINPRINT_CACHE", str(folder / "cache"))
        yield Desk(folder)


def test_what_is_there(desk: Desk) -> None:
    desk.read("--help", "compare", "identify", most=60)
    desk.read("doctor --offline", "optional part", "Cache:", "Settings: no file", "not asked")
    desk.read("models", "ollama:kin:latest", "org--twin")


def test_the_first_answers_end_with_the_verdict(desk: Desk) -> None:
    related = desk.read("compare models/base models/finetune", "finetune and base share initial or trained weights")
    assert "RELATED" in " ".join(related.split())[-600:]
    strangers = desk.read("compare models/base models/twin", "No evidence that twin shares weights", "in half of all cases")
    assert "RELATED" not in strangers
    assert desk.read("compare models/base models/finetune -q").count("\n") == 1


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("compare models/bse models/finetune", 1, "did you mean models/base?"),
        ("compare twin models/finetune", 1, "did you mean models/twin?"),
        ("comapre models/base models/finetune", 2, "compare"),
        ("compare models/base models/finetune --ful", 2, "No such option"),
        ("compare models/base models/finetune --html nowhere/report.html", 1, "nowhere/report.html: cannot be written"),
        ("identify models/finetune --library none.lib", 1, "none.lib"),
        ("inspect models", 1, "models"),
    ],
)
def test_what_goes_wrong_is_one_line_with_a_remedy(desk: Desk, line: str, code: int, said: str) -> None:
    done = desk.type(line)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1


def test_models_where_other_programs_keep_them(desk: Desk) -> None:
    desk.read("compare models/base model.gguf", "IDENTICAL")
    desk.read("compare ollama:kin models/finetune", "RELATED", "finetune and kin")
    desk.read("compare models/twin hub/models--org--twin", "IDENTICAL", "org/twin")


def test_a_library_and_its_answers(desk: Desk) -> None:
    desk.read("library add --library kept.lib models/base models/twin", "2 new")
    desk.read("identify models/finetune --library kept.lib", "base", "shares initial or trained weights")
    desk.read("identify models/base --library kept.lib", "is in this library as base")
    desk.read("verify models/finetune --models models --offline", "CONFIRMED")
    desk.read("tree models/base models/finetune models/twin", "twin")


def test_a_terminal_of_another_country(desk: Desk) -> None:
    """cp1252 has neither arrows nor frames: they become other signs, and nothing is lost."""
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "COLUMNS": str(WIDTH)}
    command = [sys.executable, "-m", "kinprint", "compare", "models/base", "models/finetune", "-v"]
    done = subprocess.run(command, cwd=desk.folder, env=environment, capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "RELATED" in done.stdout.decode("cp1252")


def test_a_report_on_a_telephone(desk: Desk) -> None:
    desk.read("compare models/base models/finetune --html report.html -q", "wrote report.html")
    with browser(viewport={"width": 390, "height": 800}, offline=True) as watched:
        watched.page.goto((desk.folder / "report.html").as_uri())
        assert watched.page.evaluate("document.scrollingElement.scrollWidth") <= 390
        assert "related" in watched.page.inner_text(".verdict").lower()
        assert watched.complaints == []
