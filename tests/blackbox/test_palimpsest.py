"""palimpsest: exactness, transcripts that are not shuffled, servers that lie, budgets and reruns."""

from __future__ import annotations

import io
import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_completions import LogProbabilities, completions
from rich.console import Console
from scipy.stats import kstest

from kinprint.blackbox import Asker, BlackBoxResult
from kinprint.blackbox.control import REPEATED
from kinprint.blackbox.palimpsest import palimpsest, questions
from kinprint.blackbox.shuffling import checks, failed
from kinprint.blackbox.transcripts import Transcript, read_transcript
from kinprint.errors import ObservationError, ProbeError
from kinprint.observation.budget import Budget
from kinprint.observation.kept_answers import KeptAnswers
from kinprint.observation.questions import Answer, Question
from kinprint.observation.suspects import Served
from kinprint.reports import black_box_text

WORDS = ["the", "a", "sea", "bread", "calm", "early", "late", "boat", "tree", "stone", "runs", "sings", "of", "in", "to"]


def sentences(count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(8, 20))) + f" {number}" for number in rng.permutation(count)]


def written(path: Path, texts: list[str], **more: list[Any]) -> Transcript:
    """A transcript with the texts in this order."""
    rows = [{"text": text, "position": i, **{key: values[i] for key, values in more.items()}} for i, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_transcript(path)


def stranger(text: str, number: int = 0) -> list[float | None]:
    """Log-probabilities that depend on nothing but the text."""
    rng = np.random.default_rng(zlib.crc32(text.encode()))
    return [None, *(-3 * rng.random(len(text.split()) - 1) - 0.1)]


def child(texts: list[str], share: float = 1.0) -> LogProbabilities:
    """A model that remembers the order of texts."""
    places = {text: i / len(texts) for i, text in enumerate(texts)}
    return lambda text, number: [value if value is None else value * (1 - share * places[text] / 2) for value in stranger(text)]


class Said:
    """A suspect that is run here."""

    name, where, batch = "said", "", 64

    def __init__(self, likely: LogProbabilities) -> None:
        self._likely, self.budget = likely, Budget()

    def answer(self, asked: Any) -> list[Answer | None]:
        rows = [self._likely(question.text, 0) for question in asked]
        for question in asked:
            self.budget.reserve(question.most_tokens)
        return [
            Answer(tuple(float(v) for v in row if v is not None), tuple(question.text.split()[1:]))
            for question, row in zip(asked, rows, strict=True)
        ]


def served(server: Any, **more: Any) -> Asker:
    budget = Budget(**{key: more.pop(key) for key in ("most_requests", "most_tokens") if key in more})
    return Asker(Served(server.url, "m", 20, budget), **more)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def test_p_values_of_strangers_are_uniform(tmp_path: Path) -> None:
    """H0: the order is one of all orders with equal probability, whatever the texts and the suspect are."""
    texts = sentences(80)
    rng, asked = np.random.default_rng(0), Asker(Said(stranger))
    transcript = written(tmp_path / "t.jsonl", texts)
    asked.ask(questions(transcript, repeats=False))
    found = []
    for _ in range(150):
        positions = rng.permutation(len(texts)).astype(float)
        shuffled = Transcript("t", "0", transcript.texts, positions)
        result = palimpsest(shuffled, asked)
        if result.log10_p is not None:  # one in a thousand orders does not look shuffled
            found.append(10**result.log10_p)
    assert len(found) >= 147
    assert kstest(found, "uniform").pvalue > 1e-3
    assert min(found) > 1e-4


def test_a_model_that_knows_the_order(tmp_path: Path) -> None:
    """Found, by a server and here; the answer says what it rests on."""
    texts = sentences(400)
    transcript = written(tmp_path / "t.jsonl", texts)
    here = palimpsest(transcript, Asker(Said(child(texts))))
    with completions(child(texts)) as server:
        there = palimpsest(transcript, served(server))
    assert here.verdict == there.verdict == "descends"
    assert here.log10_p == there.log10_p
    assert there.log10_p is not None
    assert there.log10_p < -10
    assert (here.requests, there.requests) == (400, 400 + 2 * REPEATED)
    console = Console(record=True, file=io.StringIO())
    console.print(black_box_text(here))
    assert "Asked here: 400 questions" in console.export_text()
    assert there.evidence["transcript"]["sha256"] == transcript.sha256
    assert "before" in there.sentence
    assert there.to_json()["format"] == "kinprint-black-box/1"


def test_a_control_takes_out_what_both_find_likely(tmp_path: Path) -> None:
    """The same suspect, a smaller p-value."""
    texts = sentences(300)
    transcript = written(tmp_path / "t.jsonl", texts)
    alone = palimpsest(transcript, Asker(Said(child(texts, 0.15))))
    beside = palimpsest(transcript, Asker(Said(child(texts, 0.15))), [Asker(Said(stranger))])
    assert alone.log10_p is not None
    assert beside.log10_p is not None
    assert beside.log10_p < alone.log10_p - 3


def test_a_control_of_the_same_order_is_refused(tmp_path: Path) -> None:
    """It would take out what is looked for; and an order that a stranger follows is not shuffled."""
    texts = sentences(300)
    transcript = written(tmp_path / "t.jsonl", texts)
    found = palimpsest(transcript, Asker(Said(stranger)), [Asker(Said(child(texts)))])
    assert found.verdict == "untestable"
    assert "said finds likely" in found.sentence


SORTED: dict[str, Callable[[list[str]], tuple[list[str], dict[str, list[Any]]]]] = {
    "length": lambda texts: (sorted(texts, key=len), {}),
    "together": lambda texts: (sorted(texts, key=len)[::2] + sorted(texts, key=len)[1::2][::-1], {}),
    "dates": lambda texts: (texts, {"date": [f"2024-01-{1 + 28 * i // len(texts):02}" for i in range(len(texts))]}),
    "sources": lambda texts: (texts, {"source": ["web" if i < len(texts) / 2 else "books" for i in range(len(texts))]}),
}


@pytest.mark.parametrize("by", SORTED)
def test_an_order_that_is_not_shuffled_is_untestable(by: str, tmp_path: Path) -> None:
    """A transcript sorted by length would accuse strangers. Nothing is asked."""
    texts, more = SORTED[by](sentences(300))
    asked = Asker(Said(stranger))
    found = palimpsest(written(tmp_path / "t.jsonl", texts, **more), asked)
    assert (found.verdict, found.log10_p) == ("untestable", None)
    assert by in found.sentence


def test_shuffled_orders_pass_the_checks(tmp_path: Path) -> None:
    """H0: the order is one of all orders with equal probability; the checks together fail one in a thousand."""
    texts = sentences(200)
    rng = np.random.default_rng(3)
    more = {"source": ["web" if i % 3 else "books" for i in range(200)], "date": list(range(200))}
    bad = 0
    for _ in range(60):
        order = rng.permutation(200)
        transcript = written(
            tmp_path / "t.jsonl", [texts[i] for i in order], **{k: [v[i] for i in order] for k, v in more.items()}
        )
        bad += bool(failed(checks(transcript)))
    assert bad <= 2


def test_of_a_repeated_text_one_line_is_taken_by_chance(tmp_path: Path) -> None:
    """H0: as above. To take the last line would give texts that are read often, and are likely, late positions."""
    texts = sentences(100)
    late = []
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(150) % 100  # half of the texts twice
        transcript = written(tmp_path / "t.jsonl", [texts[i] for i in order])
        assert (len(transcript.texts), transcript.repeated) == (100, 50)
        twice = {text for text in transcript.texts if sum(texts[i] == text for i in order) == 2}
        late += [p for text, p in zip(transcript.texts, transcript.positions, strict=True) if text in twice]
    assert np.mean(late) == pytest.approx(74.5, abs=4 * 150 / math.sqrt(12 * len(late)))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]\n", "line 1 is no object"),
        ('{"text": "a"}\n', "line 1 is no object"),
        ('{"text": 3, "position": 1}\n', "line 1 holds no text"),
        ('{"text": "a", "position": "x"}\n', "line 1 has no number"),
        ('{"text": "a", "position": NaN}\n', "line 1 has no number"),
        ('{"text": "a", "position": 1}\n', "holds 1 different texts"),
        ("[" * 100_000, "line 1 is no object"),
        ("", "holds 0 different texts"),
    ],
)
def test_what_is_no_transcript(content: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(content)
    with pytest.raises(ProbeError, match=problem):
        read_transcript(tmp_path / "t.jsonl")


def constant(text: str, number: int) -> list[float | None]:
    return [None, *[-1.0] * (len(text.split()) - 1)]


def noisy(text: str, number: int) -> list[float | None]:
    return stranger(f"{text} {number} ")[:-1]


def another_after_100(text: str, number: int) -> list[float | None]:
    return stranger(text if number <= 100 else text.replace("e", "E"))


def renamed(number: int, request: Any, content: dict[str, Any]) -> Any:
    return 200, content | {"model": "m" if number <= 100 else "other"}, {}


def fewer_tokens(number: int, request: Any, content: dict[str, Any]) -> Any:
    choice = content["choices"][0]
    logs = choice["logprobs"]
    cut = {name: values[: len(values) - (number > 100)] for name, values in logs.items()}
    return 200, content | {"choices": [choice | {"logprobs": cut}]}, {}


@pytest.mark.parametrize(
    ("likely", "change", "word"),
    [
        (constant, None, "the same log-probability"),
        (noisy, None, "other log-probabilities"),
        (another_after_100, None, "at the end"),
        (stranger, renamed, "under 2 names"),
        (stranger, fewer_tokens, "another number of tokens"),
        (None, None, "gives no log-probabilities"),
    ],
    ids=["constant", "noise", "another model", "another name", "fewer tokens", "none"],
)
def test_a_server_that_lies_gets_no_verdict(likely: LogProbabilities | None, change: Any, word: str, tmp_path: Path) -> None:
    transcript = written(tmp_path / "t.jsonl", sentences(150))
    with completions(likely, change) as server:
        found = palimpsest(transcript, served(server))
    assert (found.verdict, found.log10_p) == ("untestable", None)
    assert word in found.sentence


def test_truncated_json_is_one_clear_error(tmp_path: Path) -> None:
    transcript = written(tmp_path / "t.jsonl", sentences(30))
    with (
        completions(stranger, lambda number, request, content: (200, json.dumps(content).encode()[:-9], {})) as server,
        pytest.raises(ObservationError, match="no JSON object"),
    ):
        palimpsest(transcript, served(server))


def test_a_budget_ends_cleanly_and_a_rerun_asks_the_rest(tmp_path: Path) -> None:
    """What was answered is tested; then the file holds it, and nothing is asked twice. The result is that of one run."""
    texts = sentences(200)
    transcript = written(tmp_path / "t.jsonl", texts)
    file = tmp_path / "answers.jsonl"
    with completions(child(texts)) as server:
        whole = palimpsest(transcript, served(server))
        before = len(server.requests)
        cut = served(server, most_requests=120, kept=KeptAnswers(file, "m", server.url))
        part = palimpsest(transcript, cut)
        assert len(server.requests) - before == 120
        assert cut.cut
        assert part.statistics["texts"] == 120 - REPEATED
        assert any("budget ended" in note for note in part.notes)
        with file.open("ab") as cut_off:
            cut_off.write(b'{"question": "ab')
        rest = served(server, kept=KeptAnswers(file, "m", server.url))
        assert rest.cost(questions(transcript, repeats=True)).requests == 200 + 2 * REPEATED - 120
        again = palimpsest(transcript, rest)
        assert len(server.requests) - before == 200 + 2 * REPEATED
    assert (again.log10_p, again.kept) == (whole.log10_p, 120)
    KeptAnswers(file, "m", server.url)  # and whole again


def test_a_token_budget_is_never_passed(tmp_path: Path) -> None:
    transcript = written(tmp_path / "t.jsonl", sentences(100))
    with completions(stranger) as server:
        asked = served(server, most_tokens=900)
        palimpsest(transcript, asked)
    assert 0 < asked.suspect.budget.tokens <= 900


def test_answers_of_another_model_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    KeptAnswers(file, "a").keep(Question("likelihood", "x"), Answer((-1.0,)))
    assert KeptAnswers(file, "a").get(Question("likelihood", "x")) == Answer((-1.0,))
    with pytest.raises(ObservationError, match="answers of a"):
        KeptAnswers(file, "b")
    file.write_text(file.read_text() + '{"question": 3}\n')
    with pytest.raises(ObservationError, match="line 3"):
        KeptAnswers(file, "a")
    file.write_text("hello\n")
    with pytest.raises(ObservationError, match="no file of answers"):
        KeptAnswers(file, "a")


def test_the_result_has_no_words_of_weights(tmp_path: Path) -> None:
    found = palimpsest(written(tmp_path / "t.jsonl", sentences(100)), Asker(Said(stranger)))
    assert isinstance(found, BlackBoxResult)
    assert found.verdict == "no-evidence"
    assert "related" not in json.dumps(found.to_json())
