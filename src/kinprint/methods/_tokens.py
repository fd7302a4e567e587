"""Tokens that two models have in common, and their embeddings."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from kinprint.architectures.weights import Weights
from kinprint.arrays import Float32s, Int64s
from kinprint.errors import NotApplicable

FEWEST = 32
"""Shared tokens below which embeddings say nothing about channels."""

SPECIAL = re.compile(r"<.+>|\[.+\]", re.DOTALL)
"""Control tokens, reserved places and raw bytes, as tokenizers write them: no words, and often never trained."""

PIECE = 4096
"""Tokens whose embeddings are held at one time."""


def shared_tokens(reference: Weights, suspect: Weights) -> tuple[Int64s, Int64s]:
    """Ids of the ordinary tokens that both have, in either model, by ascending id in the reference.

    Raises:
        NotApplicable: there is no tokenizer or embedding, or too few tokens are shared.
    """
    for model in (reference, suspect):
        if not model.tokens:
            raise NotApplicable(f"{model.name} has no tokenizer beside its weights")
        if (None, "embedding", None) not in model.parts:
            raise NotApplicable(f"{model.name} has no token embedding")
    sizes = [model.parts[None, "embedding", None].shape[0] for model in (reference, suspect)]
    pairs = sorted(
        (index, suspect.tokens[token])
        for token, index in reference.tokens.items()
        if index < sizes[0] and suspect.tokens.get(token, sizes[1]) < sizes[1] and not SPECIAL.fullmatch(token)
    )
    if len(pairs) < FEWEST:
        raise NotApplicable(f"the two vocabularies share {len(pairs)} ordinary tokens, and it takes {FEWEST}")
    ids = np.array(pairs, dtype=np.int64)
    return ids[:, 0], ids[:, 1]


def embeddings(model: Weights, ids: Int64s) -> Float32s:
    """(ids, hidden) float32 the embeddings of some tokens; only those are converted."""
    return np.asarray(model.parts[None, "embedding", None].read()[ids], dtype=np.float32)


def in_pieces(reference: Weights, suspect: Weights, ids: tuple[Int64s, Int64s]) -> Iterator[tuple[Float32s, Float32s]]:
    """Embeddings of shared tokens in both models, `PIECE` tokens at a time."""
    for start in range(0, len(ids[0]), PIECE):
        part = slice(start, start + PIECE)
        yield embeddings(reference, ids[0][part]), embeddings(suspect, ids[1][part])
