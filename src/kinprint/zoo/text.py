"""Text to train on that every Python has: the source of its library, and its documentation topics."""

from __future__ import annotations

import hashlib
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.checkpoints.files import replacing

CHARACTERS = {"tiny": 1_000_000, "small": 4_000_000, "medium": 40_000_000}
"""At most so much of the library's source."""


def text(kind: str, size: str) -> str:
    """The text of a kind.

    "code": the library's modules in the order of their names (and its packages, where more is wanted than `small` takes);
    "prose": the topics.
    """
    if kind == "prose":
        import pydoc_data.topics

        return "\n".join(topic for _, topic in sorted(pydoc_data.topics.topics.items()))
    folder = Path(sysconfig.get_path("stdlib"))
    files = sorted(folder.rglob("*.py") if CHARACTERS[size] > CHARACTERS["small"] else folder.glob("*.py"))
    texts, total = [], 0
    for path in files:
        if "site-packages" in path.parts:
            continue
        texts.append(path.read_text(encoding="utf-8", errors="replace"))
        total += len(texts[-1])
        if total >= CHARACTERS[size]:
            break
    return "\n".join(texts)[: CHARACTERS[size]]


def make_tokenizer(kind: str, size: str, vocabulary: int, folder: Path) -> None:
    """Train a byte-level BPE on "code" or "prose" and save it as `transformers` does."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(text(kind, size).splitlines(keepends=True)[:50_000], trainer)
    fast: Any = PreTrainedTokenizerFast
    fast(tokenizer_object=tokenizer).save_pretrained(folder)


def tokens(kind: str, size: str, tokenizer_file: Path, cache: Path) -> NDArray[np.int64]:
    """The text as token ids, computed once for every tokenizer.

    Args:
        tokenizer_file: a tokenizer.json.
        cache: folder that keeps the ids.
    """
    from tokenizers import Tokenizer

    mark = hashlib.sha256(tokenizer_file.read_bytes()).hexdigest()[:16]
    path = cache / f"{kind}-{mark}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        lines = text(kind, size).splitlines(keepends=True)
        tokenizer: Any = Tokenizer.from_file(str(tokenizer_file))
        ids = np.concatenate([np.asarray(line.ids, np.int64) for line in tokenizer.encode_batch(lines)])
        with replacing(path) as file:
            np.save(file, ids)
    return np.asarray(np.load(path))
