"""benchmarks/peers.py: thresholds and answers -> tables, a run that goes on, and the protocol of its workers."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from benchmark import runs
from safetensors import safe_open

from kinprint.benchmark import Pair, Pairs

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
KIN, HIDDEN, START, STRANGERS, OTHERS = PAIRS = (
    Pair("a", "kin", "related", "fine-tune"),
    Pair("a", "hidden", "related", "fine-tune + disguise", True),
    Pair("a", "start", "shared-initialisation", "shared initialisation"),
    Pair("a", "stranger", "unrelated", "same family"),
    Pair("a", "other", "unrelated", "other family"),
)
FAKE = """
import os, sys
sys.path.insert(0, {protocol!r})
from protocol import NoAnswerError, serve

def answer(reference, suspect):
    print("what peers print does not get between the lines")
    os.write(1, b"nor does this")
    with open({asked!r}, "a") as lines:
        lines.write(os.path.basename(suspect) + "\\n")
    if suspect.endswith("dies"):
        os._exit(9)
    if suspect.endswith("other"):
        raise NoAnswerError("cannot read " + suspect)
    if suspect.endswith("hidden"):
        raise ValueError("no\\nweights")
    return {{"score": 0.9 if suspect.endswith("kin") else 0.5}}

serve("1", answer)
"""


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import peers

    return peers


@pytest.fixture
def worker(tmp_path: Path) -> list[str]:
    """The command of a peer that writes down what it is asked, into `asked`."""
    file = tmp_path / "fake.py"
    file.write_text(FAKE.format(protocol=str(BENCHMARKS / "peer_workers"), asked=str(tmp_path / "asked")))
    return [sys.executable, str(file)]


def asked(peers: ModuleType, pairs: tuple[Pair, ...] = PAIRS) -> Any:
    models = {name: f"/models/{name}" for pair in pairs for name in (pair.reference, pair.suspect)}
    return peers.Asked("set", Pairs("set", pairs, models), {pair: pair.kind for pair in pairs}, "Five pairs.")


def rows(said: Mapping[Pair, Mapping[str, Any] | str]) -> dict[Pair, dict[str, Any]]:
    """Rows as workers give them; a text is the reason for no answer."""
    about = {"version": "1", "seconds": 2.0, "memory": 0.5, "imports": 0.25}
    return {
        pair: about | ({"no_answer": value} if isinstance(value, str) else {"said": dict(value)})
        for pair, value in said.items()
    }


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_score_accuses_above_its_threshold_and_a_word_if_it_is_listed(peers: ModuleType) -> None:
    score = peers.Rule("s", "s > 0.65", "s", "s", 0.65)
    assert [score.accuses({"s": value}) for value in (0.65, 0.66, None)] == [False, True, False]
    word = peers.Rule("w", "w", "s", "w", words=frozenset({"related"}))
    assert [word.accuses({"w": value}) for value in ("related", "no-evidence")] == [True, False]
    assert not word.accuses({})


def test_counts_of_the_first_table(peers: ModuleType) -> None:
    """Kin 0.9, strangers 0.7 and 0.1, a disguised copy without an answer: it is neither found nor accused. A shared start
    counts nowhere."""
    tool = peers.Tool("T", "", (peers.Rule("T", "s > 0.65", "s", "s", 0.65), peers.Rule("T2", "s > 0.8", "s", "s", 0.8)))
    said = {KIN: {"s": 0.9}, HIDDEN: "unreadable", START: {"s": 1.0}, STRANGERS: {"s": 0.7}, OTHERS: {"s": 0.1}}
    first, second = map(cells, peers.standing(tool, rows(said)))
    assert first == ["T", "s > 0.65", "1 of 2", "1 of 2", "1 of 2", "1", "2", "0.50 (0.25)"]
    assert second == ["", "s > 0.8", "1 of 2", "1 of 2", "0 of 2", "", "", ""]


def test_nothing_is_found_at_zero_accusations_if_a_stranger_scores_highest(peers: ModuleType) -> None:
    tool = peers.Tool("T", "", (peers.Rule("T", "s > 0", "s", "s", 0.0),))
    said = {KIN: {"s": 1.0}, HIDDEN: {"s": 0.9}, START: {"s": 0.0}, STRANGERS: {"s": 1.0}, OTHERS: "no"}
    assert cells(peers.standing(tool, rows(said))[0])[2:5] == ["0 of 2", "2 of 2", "1 of 2"]


def test_the_report_counts_groups_and_says_what_is_missing(peers: ModuleType) -> None:
    tool = peers.Tool("T", "", (peers.Rule("T", "s > 0.65", "s", "s", 0.65),))
    said = {KIN: {"s": 0.9}, HIDDEN: {"s": 0.7}, START: {"s": 0.9}, STRANGERS: "unreadable", OTHERS: "unreadable"}
    text = peers.report(asked(peers), {tool: rows(said)}, ["AWM"])
    lines = text.splitlines()
    assert lines[0] == "Five pairs. 2 related, 2 unrelated, 1 with a random start in common (in the second table only)."
    assert "| fine-tune | 1 | 1 |" in lines
    assert "| same family | 1 | 0 |" in lines
    assert "- T, no answer: 2 × unreadable" in lines
    assert "- Left out: AWM" in lines


def test_both_codes_of_awm_are_compared_where_both_answer(peers: ModuleType) -> None:
    """GPT-NeoX apart."""
    fused = Pair("a", "gpt_neox-base", "unrelated", "other family")
    theirs, ours = (next(tool for tool in peers.TOOLS if tool.name == name) for name in ("AWM", "AWM's method in kinprint"))
    published = rows({KIN: {"similarity": 0.9}, STRANGERS: {"similarity": 0.5}, fused: {"similarity": 0.4}, OTHERS: "no"})
    here = rows({KIN: {"similarity": 0.90004}, STRANGERS: "no", fused: {"similarity": 0.41}, OTHERS: {"similarity": 0.1}})
    assert peers.agreement({theirs: published, ours: here}) == [
        "- AWM, both codes: 1 pairs, largest difference 0.00004",
        "- AWM, both codes with GPT-NeoX models: 1 pairs, largest difference 0.01000",
    ]
    assert peers.agreement({theirs: published}) == []


def test_a_worker_answers_refuses_and_fails(peers: ModuleType, worker: list[str]) -> None:
    """A refusal is its reason, an error its type; places of models are in neither."""
    started = peers.Worker(worker)
    try:
        assert started.version == "1"
        answered = started.ask("/models/a", "/models/kin")
        assert answered["said"] == {"score": 0.9}
        assert answered["memory"] >= started.memory > 0
        assert started.ask("/models/a", "/models/other")["no_answer"] == "cannot read MODEL"
        assert started.ask("/models/a", "/models/hidden")["no_answer"] == "ValueError: no weights"
    finally:
        started.close()


def test_a_worker_that_ends_is_started_again(peers: ModuleType, worker: list[str]) -> None:
    started = peers.Worker(worker)
    try:
        assert started.ask("/models/a", "/models/dies") == {"no_answer": "the process ended (9)"}
        assert started.ask("/models/a", "/models/kin")["said"] == {"score": 0.9}
    finally:
        started.close()


def test_a_run_that_was_stopped_goes_on(peers: ModuleType, worker: list[str], tmp_path: Path) -> None:
    """What was answered is not asked again, a line that was cut is dropped, and another version is asked about everything."""
    file = tmp_path / "run" / "answers.jsonl"
    started = peers.Worker(worker)
    try:
        peers.answers("T", started, asked(peers, PAIRS[:2]), peers.Kept(file))
        whole = file.read_text()
        file.write_text(whole + '{"tool": "T", "vers')
        found = peers.answers("T", started, asked(peers), peers.Kept(file))
        assert (tmp_path / "asked").read_text().split() == [pair.suspect for pair in PAIRS]
        assert file.read_text().startswith(whole)
        assert len(file.read_text().splitlines()) == len(found) == len(PAIRS)
        assert peers.answers("T", started, asked(peers), peers.Kept(file)) == found
        started.version = "2"
        peers.answers("T", started, asked(peers, PAIRS[:1]), peers.Kept(file))
        assert (tmp_path / "asked").read_text().split()[len(PAIRS) :] == ["kin"]
    finally:
        started.close()


def test_figures_are_written_between_the_marks(peers: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{peers.MARK}old\n<!-- end -->\nbehind\n")
    peers.marked(page, peers.MARK, "new")
    assert page.read_text() == f"before\n{peers.MARK}new\n<!-- end -->\nbehind\n"


def test_every_nth_pair_of_a_zoo_is_taken_from_the_first(peers: ModuleType, tmp_path: Path) -> None:
    runs.lineage().write(tmp_path)
    every, third = (peers.of_zoo(tmp_path, n, tmp_path / "in-order") for n in (1, 3))
    assert third.pairs.pairs == every.pairs.pairs[::3]
    assert f"one in 3, from the first, of {len(every.pairs.pairs)} pairs" in third.of
    assert set(third.group) == set(third.pairs.pairs)


def test_pairs_of_released_models(peers: ModuleType, models: Path, tmp_path: Path) -> None:
    """An original and its descendants are related; originals, and copies made alike, are strangers. Models are made once."""
    from peer_pairs import CHILDREN

    originals = [models / "base", models / "twin"]
    found = peers.of_released(tmp_path, originals, 1)
    made = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir() if path.name != "in-order"}
    assert {pair.reference for pair in found.pairs.pairs if pair.truth == "related"} == {"base", "twin"}
    strangers = [(pair.reference, pair.suspect) for pair in found.pairs.pairs if pair.truth == "unrelated"]
    assert strangers == [("base", "twin"), *((f"base, {kind}", f"twin, {kind}") for kind in CHILDREN)]
    assert {Path(place).name for place in found.pairs.models.values()} == made.keys()
    again = peers.of_released(tmp_path, originals, 3)
    assert again.pairs.pairs == found.pairs.pairs[::3]
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in made} == made
    assert again.pairs.models == found.pairs.models


def test_tensors_are_handed_over_in_the_order_of_their_names(peers: ModuleType, models: Path, tmp_path: Path) -> None:
    """A noisy copy, which kinprint writes in another order; its values stay."""
    found = peers.of_released(tmp_path, [models / "base"], 1)
    place = Path(found.pairs.models["base, noisy"]) / "model.safetensors"
    with safe_open(place, "pt") as ordered, safe_open(tmp_path / "base-noisy" / "model.safetensors", "pt") as written:
        assert ordered.offset_keys() == sorted(written.keys()) != written.offset_keys()
        assert all(ordered.get_tensor(name).equal(written.get_tensor(name)) for name in written.keys())  # noqa: SIM118
