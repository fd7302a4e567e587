"""swap-vocabulary: another tokenizer, with embeddings for its tokens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import Part, Place
from kinprint.checkpoints.folders import LocalFolder
from kinprint.checkpoints.tokenizer import read_vocabulary, tokenizer_files
from kinprint.errors import TransformError
from kinprint.transforms._model import Model, changed, drawn, generator
from kinprint.transforms._transform import Transform


def swap_vocabulary(
    model: Model, *, tokenizer: Path | None = None, size: int | None = None, keep: bool = True, seed: int | None = None
) -> Model:
    """Give a model another vocabulary.

    Tokens that both vocabularies have keep their embeddings; new ones get random ones, normal, with the mean and the
    standard deviation of the old ones in every channel.

    Args:
        tokenizer: folder of the new tokenizer (tokenizer.json, vocab.json or vocab.txt).
        size: number of tokens, where there is no tokenizer; all embeddings are new then.
        keep: keep the embeddings of tokens that both vocabularies have.
        seed: of the new embeddings.
    """
    seed = drawn(seed)
    if (tokenizer is None) == (size is None):
        raise TransformError(model.source, "a new vocabulary is a tokenizer or a size", "give exactly one of the two")
    if tokenizer is None:
        assert size is not None
        if size < 1:
            raise TransformError(model.source, f"a vocabulary of {size} tokens")
        origin = np.full(size, -1)
        folder = None
    else:
        new = _vocabulary(tokenizer)
        old = read_vocabulary(tokenizer_files(model.folder)) if keep and model.folder is not None else {}
        origin = np.full(max(new.values()) + 1, -1)
        for token, index in new.items():
            origin[index] = old.get(token, -1)
        folder = LocalFolder(tokenizer)
    rows = int(model.facts["vocab_size"])
    origin[origin >= rows] = -1

    def swapped(place: Place, part: Part) -> Part:
        if "vocabulary" not in part.axes:
            return part
        rng = (seed, "vocabulary", "tied" if model.facts["tie_word_embeddings"] else place[1])
        return changed(part, lambda array: _rows(array, origin, generator(*rng)), (len(origin), *part.shape[1:]))

    changed_ids = {
        key: None for key in ("bos_token_id", "eos_token_id", "pad_token_id") if _outside(model.config.get(key), len(origin))
    }
    new_model = replace(model.each(swapped), folder=folder, config={**model.config, **changed_ids})
    return new_model.resized(vocab_size=len(origin))


def _vocabulary(folder: Path) -> dict[str, int]:
    vocabulary = read_vocabulary(tokenizer_files(LocalFolder(Path(folder))))
    if not vocabulary:
        raise TransformError(folder, "no tokenizer there", "give a folder with tokenizer.json, vocab.json or vocab.txt")
    return vocabulary


def _outside(token: object, size: int) -> bool:
    return isinstance(token, int) and token >= size


def _rows(array: NDArray[np.float32], origin: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
    new = rng.standard_normal((len(origin), *array.shape[1:]), np.float32) * array.std(axis=0) + array.mean(axis=0)
    kept = origin >= 0
    new[kept] = array[origin[kept]]
    return np.asarray(new)


TRANSFORM = Transform(
    "swap-vocabulary",
    "derivation",
    swap_vocabulary,
    "kinprint transform swap-vocabulary examples/models/base -o other-words --size 500",
)
