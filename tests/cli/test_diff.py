"""kinprint diff, as a user meets it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from command_line import kinprint


def test_the_object_and_the_page(models: Path, tmp_path: Path) -> None:
    """JSON alone on stdout, one entry a tensor, whose numbers add up; a picture with a square for each layer and role. A name
    that is markup stays text."""
    page, evil = tmp_path / "page.html", tmp_path / "<script>alert(1)"
    shutil.copytree(models / "finetune", evil)
    done = kinprint("diff", models / "base", evil, "--json", "--html", page)
    assert (done.returncode, done.stderr) == (0, f"wrote {page}\n")
    found = json.loads(done.stdout)
    assert found["format"] == "kinprint-diff/1"
    assert (found["reading"]["word"], found["layer_map"]) == ("fine-tune", [0, 1, 2, 3])
    assert sum(each["changed"] for each in found["tensors"]) == found["changed"] <= found["entries"]
    assert all(each["relative_change"] is None or each["relative_change"] >= 0 for each in found["tensors"])
    text = page.read_text()
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text
    assert text.count("<rect") == len(found["tensors"]) == 38
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_the_report(models: Path) -> None:
    """The word, and a line for each role, in 80 columns."""
    done = kinprint("diff", models / "base", models / "base")
    assert done.returncode == 0
    assert "SAME" in done.stdout
    assert "gains.post_attention" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_strangers_and_what_cannot_be_read(models: Path, tmp_path: Path) -> None:
    """One line on stderr, and nothing on stdout."""
    for places in ((models / "base", models / "twin"), (models / "base", tmp_path / "nothing")):
        done = kinprint("diff", *places)
        assert (done.returncode, done.stdout) == (1, "")
        assert len(done.stderr.strip().splitlines()) == 1
