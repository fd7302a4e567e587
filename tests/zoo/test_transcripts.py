"""The order in which a member read its texts, made again from its recipe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import kinprint

from kinprint.zoo.families import SHAPES
from kinprint.zoo.recipes import Train
from kinprint.zoo.windows import starts, steps_of

pytest.importorskip("torch")
pytest.importorskip("transformers")


def test_windows_are_those_of_the_training() -> None:
    """What training reads, batch by batch."""
    from kinprint.zoo.training import _batches

    shape, ids = SHAPES["tiny"], np.arange(5000)
    read = [batch[:, 0].tolist() for batch in _batches(ids, shape, 4, 7, "cpu")]
    assert read == [batch.tolist() for batch in starts(len(ids), shape, 4, 7)]
    assert steps_of(Train(length=0.3).length, shape) == 36


def test_a_transcript_of_a_member(tiny_zoo: Path, tmp_path: Path) -> None:
    """One line a window with its step; the model that read it finds it likely, and the test can be asked."""
    file = tmp_path / "t.jsonl"
    done = kinprint("zoo", "transcript", tiny_zoo, "llama-finetune", "-o", file)
    assert done.stdout == f"{file}: 288 texts in the order in which llama-finetune read them\n"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["position"] for row in rows] == [step for step in range(36) for _ in range(8)]
    answers = tmp_path / "answers.jsonl"
    done = kinprint("observe", tiny_zoo / "llama-int4", "--transcript", file, "-o", answers)
    assert done.returncode == 0, done.stderr
    tested = kinprint("black-box", "palimpsest", file, tiny_zoo / "llama-int4", "--answers", answers, "--json")
    found = json.loads(tested.stdout)
    assert found["verdict"] == "no-evidence"
    assert found["asked"]["kept"] == found["statistics"]["texts"] >= 280
    shown = kinprint("black-box", "palimpsest", file, tiny_zoo / "llama-int4", "--answers", answers)
    assert "NO-EVIDENCE" in shown.stdout
    assert "What this cannot show" in shown.stdout


@pytest.mark.parametrize(("member", "problem"), [("nobody", "no member"), ("llama-int4", "take llama-base")])
def test_what_has_no_transcript(member: str, problem: str, tiny_zoo: Path, tmp_path: Path) -> None:
    done = kinprint("zoo", "transcript", tiny_zoo, member, "-o", tmp_path / "t.jsonl")
    assert done.returncode == 1
    assert problem in done.stderr
