"""What a loaded model writes: several continuations of one text at once, each from a seed of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kinprint.observation.running import Runner


def written(runner: Runner, text: str, count: int, temperature: float, seeds: Sequence[int | None]) -> list[list[int]]:
    """Tokens behind a text, one list a seed; a list ends before an end token of the model, and where its context window ends.

    Each token is the one at which the cumulated probabilities pass a number drawn from the seed, so that a continuation depends
    on its own seed alone. Seed None draws anew in every run; temperature 0 takes the likeliest token.
    """
    torch = runner.torch
    draws = torch.as_tensor(np.stack([np.random.default_rng(seed).random(count) for seed in seeds]))
    begun = runner.encoded(text)[-runner.window :]
    ids = torch.as_tensor([begun], device=runner.model.device).expand(len(seeds), -1)
    rows: list[list[int]] = [[] for _ in seeds]
    ends, past = _ends(runner), None
    open_rows = set(range(len(seeds)))
    with torch.inference_mode():
        for step in range(min(count, runner.window - len(begun) + 1)):
            output = runner.model(input_ids=ids, past_key_values=past, use_cache=True)
            past = output.past_key_values
            chosen = _next(torch, output.logits[:, -1].double().cpu(), temperature, draws[:, step])
            for row in sorted(open_rows):
                if chosen[row] in ends:
                    open_rows.discard(row)
                else:
                    rows[row].append(chosen[row])
            if not open_rows:
                break
            ids = torch.as_tensor(chosen, device=runner.model.device)[:, None]
    return rows


def _next(torch: Any, logits: Any, temperature: float, draws: Any) -> list[int]:
    if temperature <= 0:
        return [int(token) for token in logits.argmax(dim=-1)]
    passed = (logits / temperature).softmax(dim=-1).cumsum(dim=-1)
    found = torch.searchsorted(passed, (draws * passed[:, -1])[:, None], right=True)[:, 0]
    return [min(int(token), logits.shape[1] - 1) for token in found]


def _ends(runner: Runner) -> set[int]:
    """Tokens that end a text, by the model's own settings."""
    ends = getattr(runner.model.generation_config, "eos_token_id", None)
    return set() if ends is None else {ends} if isinstance(ends, int) else set(ends)
