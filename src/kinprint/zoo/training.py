"""Training a small model: one loop for pretraining, fine-tuning, distillation and low-rank additions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import kl_div, log_softmax
from torch.nn.utils import parametrize

from kinprint.zoo.families import Shape
from kinprint.zoo.recipes import Train
from kinprint.zoo.windows import starts, steps_of

Tell = Callable[[int, int, float], None]
"""Called with steps done, steps in all and the loss."""

RANK = 8
WARM_UP = 20


def train(
    model: Any, ids: NDArray[np.int64], step: Train, shape: Shape, *, teacher: Any = None, tell: Tell | None = None
) -> Any:
    """Train a causal model of `transformers` in place: AdamW, warm-up, cosine to a tenth of the rate.

    Args:
        ids: the text as tokens.
        step: text, length, rate and order.
        teacher: a model whose logits are learned instead of the text.
        tell: progress.

    Returns:
        the same model; low-rank additions are merged into its weights.
    """
    steps = steps_of(step.length, shape)
    adapted = _adapt(model, step.order) if step.lora else []
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=step.rate, betas=(0.9, 0.95), weight_decay=0.1)
    model.train()
    for done, batch in enumerate(_batches(ids, shape, steps, step.order, model.device)):
        for group in optimiser.param_groups:
            group["lr"] = step.rate * _schedule(done, steps)
        loss: Any = _loss(model, batch, teacher)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if tell is not None and ((done + 1) % 10 == 0 or done + 1 == steps):
            tell(done + 1, steps, loss.item())
    for module in adapted:
        parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return model.eval()


def _schedule(done: int, steps: int) -> float:
    return min((done + 1) / min(WARM_UP, steps), 0.1 + 0.45 * (1 + math.cos(math.pi * done / steps)))


def _batches(ids: NDArray[np.int64], shape: Shape, steps: int, order: int, device: Any) -> Iterator[torch.Tensor]:
    """Random windows of the text; the same order gives the same batches."""
    for batch in starts(len(ids), shape, steps, order):
        yield torch.from_numpy(np.stack([ids[start : start + shape.length] for start in batch])).to(device)


def _loss(model: Any, batch: torch.Tensor, teacher: Any) -> torch.Tensor:
    if teacher is None:
        loss: torch.Tensor = model(input_ids=batch, labels=batch).loss
        return loss
    with torch.no_grad():
        wanted = log_softmax(teacher(input_ids=batch).logits, -1)
    return (
        kl_div(log_softmax(model(input_ids=batch).logits, -1), wanted, reduction="batchmean", log_target=True) / batch.shape[1]
    )


class _LowRank(torch.nn.Module):
    """W + B A, with A random and B zero at the start (LoRA, arXiv 2106.09685, section 4.1)."""

    def __init__(self, outputs: int, inputs: int, generator: torch.Generator) -> None:
        super().__init__()
        self.a = torch.nn.Parameter(torch.randn(RANK, inputs, generator=generator) * inputs**-0.5)
        self.b = torch.nn.Parameter(torch.zeros(outputs, RANK))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + self.b @ self.a


def _adapt(model: Any, seed: int) -> list[Any]:
    """Freeze a model and give its queries and values low-rank additions; returns the modules that got one."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    chosen = [module for name, module in model.named_modules() if name.endswith(("q_proj", "v_proj"))]
    for module in chosen:
        outputs, inputs = module.weight.shape
        addition = _LowRank(outputs, inputs, generator).to(module.weight.device)
        parametrize.register_parametrization(module, "weight", addition)
    return chosen
