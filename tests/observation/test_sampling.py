"""What a loaded model writes: each text from its own seed, by the model's own probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from kinprint.blackbox import Asker
from kinprint.blackbox.head_span import head_span
from kinprint.blackbox.output_heads import output_head
from kinprint.observation.loaded import Loaded
from kinprint.observation.questions import Question
from kinprint.observation.sampling import written

for needed in ("torch", "transformers"):
    pytest.importorskip(needed)

MODELS = Path(__file__).parents[2] / "examples" / "models"
PROMPT = "def main("


@pytest.fixture(scope="module")
def base() -> Loaded:
    return Loaded(str(MODELS / "base"))


def test_a_text_depends_on_its_own_seed_alone(base: Loaded) -> None:
    alone = written(base.runner, PROMPT, 6, 1.0, [3])
    assert written(base.runner, PROMPT, 6, 1.0, [1, 3, 2])[1] == alone[0]
    assert len({tuple(row) for row in written(base.runner, PROMPT, 6, 1.0, range(20))}) > 10
    assert written(base.runner, PROMPT, 6, 1.0, [None]) != written(base.runner, PROMPT, 6, 1.0, [None])


def test_writing_ends_with_the_context_window(base: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that has no position for a token cannot be asked for it; the end of a long text is what it goes on with."""
    read = base.runner.encoded(PROMPT)
    whole = written(base.runner, PROMPT, 6, 1.0, [3])[0]
    monkeypatch.setattr(base.runner, "window", len(read) + 2)
    assert written(base.runner, PROMPT, 6, 1.0, [3])[0] == whole[:3]
    assert len(written(base.runner, PROMPT * 9, 6, 1.0, [3])[0]) == 1


def test_first_tokens_have_the_probabilities_of_the_model(base: Loaded) -> None:
    """H0: tokens are drawn from the model's distribution at this temperature. 2 000 seeds, the eight likeliest tokens."""
    (top,) = base.answer([Question("top", PROMPT, 1 << 20)])
    assert top is not None
    names = base.runner.tokenizer.convert_ids_to_tokens([row[0] for row in written(base.runner, PROMPT, 1, 0.7, range(2000))])
    logs = np.array(list(top.top.values())) / 0.7
    shares = np.exp(logs - np.logaddexp.reduce(logs))[:8]
    counts = [names.count(name) for name in list(top.top)[:8]]
    expected = 2000 * np.append(shares, 1 - shares.sum())
    assert stats.chisquare([*counts, 2000 - sum(counts)], expected).pvalue > 1e-3


def test_the_likeliest_token_is_that_of_greedy_writing(base: Loaded) -> None:
    """One token a question, all questions at once; temperature 0 is greedy, as transformers' own generation."""
    prompts = [PROMPT, "import os\n", "The sea is"]
    answers = base.answer([Question("writing", prompt, 1, temperature=0) for prompt in prompts])
    texts = [answer.text for answer in answers if answer is not None]
    longer = base.answer([Question("writing", prompt, 24, temperature=0) for prompt in prompts])
    assert [answer.text for answer in longer if answer is not None] == base.runner.answers(prompts)
    assert all(full.startswith(text) for full, text in zip(base.runner.answers(prompts), texts, strict=True))


def test_heads_of_shipped_models(base: Loaded) -> None:
    """A model has its own head; its fine-tune, whose head was trained on, and its twin have others."""
    head = output_head(MODELS / "base")
    verdicts = [
        head_span(head, Asker(model), [PROMPT, "import os\n"]).verdict
        for model in (base, *(Loaded(str(MODELS / name)) for name in ("finetune", "twin")))
    ]
    assert verdicts == ["same-head", "refuted", "refuted"]


def test_a_bias_moves_a_token_to_the_top(base: Loaded) -> None:
    plain, moved = base.answer([Question("top", PROMPT, 3), Question("top", PROMPT, 3, bias={"7": 100.0})])
    assert plain is not None
    assert moved is not None
    token = base.runner.tokenizer.convert_ids_to_tokens([7])[0]
    assert max(moved.top, key=lambda name: moved.top[name]) == token
    assert token not in plain.top
