"""`kinprint black-box palimpsest` and `observe --transcript` on a server: what they say, before and after asking."""

from __future__ import annotations

import csv
import io
import json
import zlib
from pathlib import Path

import numpy as np
from command_line import kinprint
from fake_completions import completions


def likely(text: str, number: int) -> list[float | None]:
    return [None, *(-3 * np.random.default_rng(zlib.crc32(text.encode())).random(len(text.split()) - 1))]


def transcript(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    rows = [
        {"text": " ".join(rng.choice(list("abcdefgh"), 12)) + f" {i}", "position": int(at)}
        for i, at in enumerate(rng.permutation(60))
    ]
    (folder / "run.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "run.jsonl"


def test_what_is_asked_is_said_before(tmp_path: Path) -> None:
    """The cost stands on stderr, the result alone on stdout; a rerun asks nothing."""
    run, answers = transcript(tmp_path), tmp_path / "a.jsonl"
    with completions(likely) as server:
        arguments = ("black-box", "palimpsest", run, "m", "--api", server.url, "--answers", answers, "--json")
        first = kinprint(*arguments, "--max-requests", 40)
        assert first.stderr.startswith("kinprint: at most 72 requests and ")
        assert json.loads(first.stdout)["asked"]["requests"] == 40
        second = kinprint(*arguments)
        assert "at most 32 requests" in second.stderr
        assert "40 answers are there already" in second.stderr
        third = json.loads(kinprint(*arguments).stdout)
        assert len(server.requests) == 72
    assert third["verdict"] == "no-evidence"
    assert third["asked"] == {"requests": 0, "tokens": 0, "kept": 72}
    assert third["suspect"] == {"name": "m", "where": server.url}


def test_observed_now_and_tested_later(tmp_path: Path) -> None:
    run, answers = transcript(tmp_path), tmp_path / "m.answers.jsonl"
    with completions(likely) as server:
        done = kinprint("observe", "m", "--api", server.url, "--transcript", run, folder=tmp_path)
        assert done.stdout == "m.answers.jsonl: log-likelihoods of 60 texts\n"
        asked = len(server.requests)
        tested = kinprint("black-box", "palimpsest", run, "m", "--api", server.url, "--answers", answers)
        assert len(server.requests) == asked
    assert "NO-EVIDENCE" in tested.stdout
    assert "no time stamp shows when the order was fixed" in " ".join(tested.stdout.split())


def test_a_server_without_log_probabilities(tmp_path: Path) -> None:
    """`untestable` of the test, and one line of error where nothing but these was asked for."""
    run = transcript(tmp_path)
    with completions(None) as server:
        tested = kinprint("black-box", "palimpsest", run, "m", "--api", server.url, "--json")
        done = kinprint("observe", "m", "--api", server.url, "--transcript", run, folder=tmp_path)
    assert json.loads(tested.stdout)["verdict"] == "untestable"
    assert done.returncode == 1
    assert "gives no log-probabilities" in done.stderr


def test_findings_for_other_programs(tmp_path: Path) -> None:
    """A test of answers has one finding; no place of the server's is anybody's file."""
    run, answers = transcript(tmp_path), tmp_path / "a.jsonl"
    with completions(likely) as server:
        arguments = ("black-box", "palimpsest", run, "m", "--api", server.url, "--answers", answers, "--format")
        (row,) = csv.DictReader(io.StringIO(kinprint(*arguments, "csv").stdout))
        log = json.loads(kinprint(*arguments, "sarif").stdout)["runs"][0]
        table = kinprint(*arguments, "markdown").stdout
    assert (row["model"], row["finding"]) == ("m", "no-evidence")
    assert float(row["log10_p"]) > -6
    assert log["automationDetails"]["id"] == "kinprint/black-box palimpsest/"
    assert log["results"][0]["kind"] == "pass"
    assert log["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "m"
    assert "| m | " in table


def test_wrong_use(tmp_path: Path) -> None:
    run = transcript(tmp_path)
    assert "no such file" in kinprint("black-box", "palimpsest", tmp_path / "none", run).stderr
    assert "no such file" in kinprint("black-box", "palimpsest", run, tmp_path / "none").stderr
    assert "no such file" in kinprint("black-box", "palimpsest", run, "m", "--control", tmp_path / "none").stderr
    assert kinprint("black-box", "palimpsest", run, "m", "--max-requests", "-1").returncode == 2
