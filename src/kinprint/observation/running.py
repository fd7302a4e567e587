"""A checkpoint run by transformers: hidden states, norms, logits and answers. Code of a checkpoint is never run."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.arrays import Float64s
from kinprint.errors import MissingExtraError, ObservationError
from kinprint.observation.answers import ANSWER_TOKENS, NO, YES

ROOM = ANSWER_TOKENS + 8
"""Tokens of a context window that are left free for what is generated."""


@dataclass(frozen=True)
class Read:
    """What a model does while it reads some texts.

    Attributes:
        states: (layers, texts, hidden) float32 hidden state of each text's last token after every layer.
        norm_sums: (layers, 2) sums over tokens of the L2 norm of the hidden state and of its square.
        logits: (texts, tokens) float32 logits after the last token, of the tokens asked for.
        tokens: how many were read.
    """

    states: NDArray[np.float32]
    norm_sums: Float64s
    logits: NDArray[np.float32]
    tokens: int


class Runner:
    """A causal language model and its tokenizer, loaded by transformers.

    Args:
        model: a folder or a hub id.
        revision: of a hub id.
        device: "cpu", "cuda", ... or "auto": accelerate places layers on what there is, and on disk what does not fit.
        dtype: a torch dtype by name, or "auto": the checkpoint's own, but float32 on a CPU, where narrower ones are slower.
        longest: tokens of a text that are read at most.
        memory: with "auto", what weights may take of the main memory, as "8GB"; all there is if it is empty.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        ObservationError: transformers cannot load it without running code of it, or it has no tokenizer.
    """

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        device: str = "cpu",
        dtype: str = "auto",
        longest: int = 256,
        memory: str = "",
    ) -> None:
        try:
            import torch
            import transformers
        except ImportError as error:
            raise MissingExtraError("observe", "runs models with transformers", "pip install 'kinprint[behaviour]'") from error
        if dtype != "auto" and not isinstance(getattr(torch, dtype, None), torch.dtype):
            raise ObservationError(dtype, "no dtype of torch", "give auto, float32, bfloat16 or float16")
        self.torch = torch
        if dtype == "auto" and device == "cpu":
            dtype = "float32"
        options: dict[str, Any] = {"trust_remote_code": False, "revision": revision}
        local = Path(model).is_dir()
        with quiet(), _clear_errors(model):
            self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model, local_files_only=local, **options)
            placed = self._placed(memory) if device == "auto" else {}
            loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
                model, dtype=dtype, local_files_only=local, **placed, **options
            )
            self.model: Any = (loaded if device == "auto" else loaded.to(device)).eval()
        self.window = min(int(getattr(self.model.config.get_text_config(), "max_position_embeddings", 0) or 1 << 30), 1 << 30)
        self.longest = min(longest, self.window)
        self.dtype = str(self.model.dtype).removeprefix("torch.")
        self.forward_tokens = 0
        self.shortened = 0
        """Prompts that did not fit the context window and lost their beginning."""

    def _placed(self, memory: str) -> dict[str, Any]:
        """What makes accelerate place layers on GPUs, in memory and, what does not fit, on disk."""
        from accelerate.utils import get_max_memory

        self._offloaded = tempfile.TemporaryDirectory(prefix="kinprint-")
        limits = {**get_max_memory(), "cpu": memory} if memory else None
        return {"device_map": "auto", "offload_folder": self._offloaded.name, "max_memory": limits}

    @property
    def vocabulary(self) -> Mapping[str, int]:
        return dict(self.tokenizer.get_vocab())

    def head(self, tokens: NDArray[np.int64]) -> NDArray[np.float32] | None:
        """(tokens, hidden) rows of the output head; None if the model has none, or one with biases, which is no linear map."""
        layer = self.model.get_output_embeddings()
        weight = getattr(layer, "weight", None)
        if weight is None or getattr(layer, "bias", None) is not None or weight.shape[0] <= int(tokens.max(initial=0)):
            return None
        return np.asarray(weight.detach()[self.torch.as_tensor(tokens, device=weight.device)].float().cpu().numpy())

    def head_size(self) -> int:
        """Rows of the output head: how many tokens have logits."""
        layer = self.model.get_output_embeddings()
        return int(layer.weight.shape[0]) if layer is not None else int(self.model.config.get_text_config().vocab_size)

    def read(self, texts: Sequence[str], tokens: NDArray[np.int64], batch: int, progress: Callable[[int], None]) -> Read:
        """Run the model over texts.

        Args:
            tokens: ids whose logits are kept.
            batch: texts at a time.
            progress: called with how many texts have been read since it was last called.
        """
        encoded = [self.encoded(text)[: self.longest] for text in texts]
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))  # texts of one length together: little padding
        states: list[Any] = [None] * len(texts)
        logits: list[Any] = [None] * len(texts)
        sums: Float64s | None = None
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            output, mask = self._forward([encoded[i] for i in chosen], hidden=True)
            last = mask.sum(1) - 1
            rows = self.torch.arange(len(chosen))
            layers = [layer.float().cpu() for layer in output.hidden_states[1:]]
            mask = mask.cpu()
            norms = [layer.norm(dim=-1)[mask.bool()].double() for layer in layers]
            layer_sums = np.array([[float(norm.sum()), float((norm**2).sum())] for norm in norms])
            sums = layer_sums if sums is None else sums + layer_sums
            kept = output.logits.float().cpu()[rows, last.cpu()][:, self.torch.as_tensor(tokens)]
            for place, i in enumerate(chosen):
                states[i] = np.stack([layer[place, int(last[place])].numpy() for layer in layers])
                logits[i] = kept[place].numpy()
            progress(len(chosen))
        assert sums is not None
        return Read(np.stack(states, axis=1), sums, np.stack(logits), sum(map(len, encoded)))

    def log_probabilities(self, texts: Sequence[str], batch: int) -> list[tuple[list[int], list[float]]]:
        """Ids and natural log-probabilities of the tokens of each text, without its first; what does not fit is left out."""
        torch, encoded = self.torch, [self.encoded(text)[: self.longest] for text in texts]
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
        found: list[list[float]] = [[] for _ in texts]
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            output, _ = self._forward([encoded[i] for i in chosen], hidden=False)
            logs = output.logits.float().log_softmax(-1)
            for place, i in enumerate(chosen):
                following = torch.as_tensor(encoded[i][1:], device=logs.device)[:, None]
                found[i] = logs[place, : len(following)].gather(-1, following)[:, 0].double().cpu().tolist()
        return [(ids[1:], row) for ids, row in zip(encoded, found, strict=True)]

    def likeliest(self, texts: Sequence[str], batch: int) -> list[list[int]]:
        """The likeliest token behind each text, as a list of one."""
        encoded = [self.encoded(text)[-self.longest :] for text in texts]
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
        found: list[list[int]] = [[] for _ in texts]
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            output, mask = self._forward([encoded[i] for i in chosen], hidden=False)
            last = output.logits[self.torch.arange(len(chosen), device=mask.device), mask.sum(1) - 1]
            for i, token in zip(chosen, last.argmax(-1).tolist(), strict=True):
                found[i] = [int(token)]
        return found

    def answers(self, prompts: list[str]) -> list[str]:
        """Greedy continuations, one prompt at a time: padding would change what some models say."""
        texts = []
        for prompt in prompts:
            ids = self.torch.as_tensor([self._fitting(prompt)], device=self.model.device)
            with self.torch.inference_mode(), quiet():
                generated = self.model.generate(
                    ids, attention_mask=self.torch.ones_like(ids), max_new_tokens=ANSWER_TOKENS, do_sample=False,
                    num_beams=1, pad_token_id=0, temperature=None, top_p=None, top_k=None,
                )[0, ids.shape[1] :]  # fmt: skip
            self.forward_tokens += int(ids.shape[1]) + len(generated)
            texts.append(self.tokenizer.decode(generated, skip_special_tokens=True))
        return texts

    def yes(self, prompts: list[str]) -> Float64s:
        yes, no = self._first_tokens(YES), self._first_tokens(NO)
        yes, no = yes - no, no - yes
        if not yes or not no:
            return np.full(len(prompts), np.nan)
        output, mask = self._forward([self._fitting(prompt) for prompt in prompts], hidden=False)
        rows = self.torch.arange(len(prompts), device=mask.device)
        logits = output.logits.float().to(mask.device)[rows, mask.sum(1) - 1].double()
        masses = [logits[:, sorted(ids)].logsumexp(1) for ids in (yes, no)]
        return np.asarray((masses[0] - masses[1]).sigmoid().cpu().numpy())

    def _first_tokens(self, word: str) -> set[int]:
        """Ids that the word may begin with, with and without a space, capital or not."""
        forms = (word, word.capitalize(), f" {word}", f" {word.capitalize()}")
        return {ids[0] for form in forms if (ids := self.tokenizer.encode(form, add_special_tokens=False))}

    def encoded(self, text: str) -> list[int]:
        """Ids of the tokens of a text, at least one."""
        ids = list(self.tokenizer.encode(text)) or [0]
        size = int(self.model.get_input_embeddings().weight.shape[0])
        if max(ids) >= size:
            raise ObservationError(
                self.model.name_or_path, f"its tokenizer gives token {max(ids)}, its embedding has {size}",
                "use the tokenizer that belongs to the weights",
            )  # fmt: skip
        return ids

    def _fitting(self, prompt: str) -> list[int]:
        """The end of the prompt that leaves room for an answer in the context window."""
        ids, room = self.encoded(prompt), max(self.window - ROOM, 1)
        self.shortened += len(ids) > room
        return ids[-room:]

    def _forward(self, encoded: list[list[int]], *, hidden: bool) -> tuple[Any, Any]:
        """Output of the model and mask (texts, length) of the tokens that are no padding, which stands on the right."""
        torch, length = self.torch, max(map(len, encoded))
        ids = torch.zeros((len(encoded), length), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(encoded):
            ids[row, : len(tokens)] = torch.as_tensor(tokens)
            mask[row, : len(tokens)] = 1
        ids, mask = ids.to(self.model.device), mask.to(self.model.device)
        with torch.inference_mode():
            output = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=hidden, use_cache=False)
        self.forward_tokens += sum(map(len, encoded))
        return output, mask


@contextlib.contextmanager
def _clear_errors(model: str) -> Iterator[None]:
    """Whatever transformers raises about a checkpoint, as one line; code of the checkpoint asks for trust, and gets none."""
    try:
        yield
    except Exception as error:
        line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        if "trust_remote_code" in str(error):
            line = "it brings code of its own, which is not run"
        raise ObservationError(
            model, f"transformers cannot load it: {line}", "a model that cannot run can still be compared"
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and advice of transformers: kinprint has its own."""
    from transformers.utils import logging as library

    logging: Any = library
    before, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if shown:
            logging.enable_progress_bar()
