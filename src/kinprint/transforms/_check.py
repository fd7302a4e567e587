"""Does a disguised copy still compute what the original does? Both are run over a few tokens, where transformers is there."""

from __future__ import annotations

import contextlib
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.errors import TransformError

TOKENS = 8
LARGEST = 4_000_000_000
"""Bytes of weights up to which a model is run: it is loaded twice, as float32."""

ALLOWED = {"float32": 0.01, "float64": 0.01}
ROUNDED = 0.25
"""Largest difference of an output, as a share of the largest output, that counts as rounding: of weights stored with 24 bits or
more, and of others, which are rounded again in every layer. What was destroyed differs by about 1."""


@dataclass(frozen=True)
class Check:
    """What running both has shown.

    Attributes:
        difference: largest difference of an output; None if they were not run.
        largest: the largest output.
        why_not: they were not run; "" if they were.
    """

    difference: float | None
    largest: float = 0.0
    why_not: str = ""

    def words(self) -> str:
        """A sentence for people."""
        if self.difference is None:
            return f"that the function stayed was not checked: {self.why_not}"
        differ = f"the outputs differ by {self.difference:.1e}, the largest is {self.largest:.1f}"
        return f"both were run over {TOKENS} tokens: {differ}"


def check(source: Path, made: Path, dtype: str) -> Check:
    """Run the model in a folder and its copy, and compare the outputs at every token.

    Args:
        dtype: of the stored weights.

    Raises:
        TransformError: they do not compute the same.
    """
    if any(importlib.util.find_spec(package) is None for package in ("torch", "transformers")):
        return Check(None, why_not="torch and transformers are not installed (pip install 'kinprint[behaviour]')")
    if not source.is_dir():
        return Check(None, why_not="the source is not a folder that transformers opens")
    if sum(file.stat().st_size for file in made.glob("*.safetensors")) > LARGEST:
        return Check(None, why_not=f"the model has more than {LARGEST / 1e9:.0f} GB")
    try:
        with _quiet():
            before, after = _outputs(source), _outputs(made)
    except Exception as error:  # whatever another library raises: a model that it cannot run is not checked
        return Check(None, why_not=f"transformers does not run it ({type(error).__name__})")
    if before.shape != after.shape:
        return Check(None, why_not="the two have outputs of different shapes")
    largest, difference = float(np.abs(before).max()), float(np.abs(after - before).max())
    allowed = ALLOWED.get(dtype, ROUNDED) * largest
    if not difference <= allowed:
        raise TransformError(
            source, f"the copy does not compute the same: outputs differ by {difference:.2g} of {largest:.2g}",
            "nothing was written; please report the model's type",
        )  # fmt: skip
    return Check(difference, largest)


def _outputs(folder: Path) -> NDArray[np.float64]:
    """(tokens, vocabulary or width) outputs; logits less their mean over the vocabulary, which the softmax takes out."""
    import torch
    import transformers

    config: Any = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    named = str((config.architectures or [""])[0])  # another class may have a head that is not in the file
    stored = getattr(transformers, named, None)
    kinds = (transformers.AutoModelForCausalLM, transformers.AutoModelForMaskedLM, transformers.AutoModel)
    kind: Any = stored or next(kind for kind in kinds if type(config) in kind._model_mapping)
    model = kind.from_pretrained(folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False).eval()
    vocabulary = json.loads(json.dumps(getattr(config.get_text_config(), "vocab_size", 2)))
    tokens = np.random.default_rng(0).integers(min(4, vocabulary - 1), vocabulary, TOKENS)
    with torch.no_grad():
        found = model(input_ids=torch.tensor(tokens)[None])
    outputs = found.logits if hasattr(found, "logits") else found.last_hidden_state
    values = outputs[0].double().numpy()
    return np.asarray(values - values.mean(axis=1, keepdims=True) if hasattr(found, "logits") else values)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars of transformers."""
    from transformers.utils import logging

    bars: Any = logging
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bars.enable_progress_bar()
