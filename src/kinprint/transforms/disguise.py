"""disguise: every disguise that a model's architecture allows, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from kinprint.errors import ArchitectureError, TransformError
from kinprint.transforms._model import Model, drawn
from kinprint.transforms._transform import Transform
from kinprint.transforms.flip import flip
from kinprint.transforms.fold_gains import fold_gains
from kinprint.transforms.mix import mix
from kinprint.transforms.permute import permute
from kinprint.transforms.rotate import rotate
from kinprint.transforms.scale import scale
from kinprint.transforms.scale_stream import scale_stream
from kinprint.transforms.shift import shift
from kinprint.transforms.split import split
from kinprint.transforms.split_heads import split_heads

STEPS: Mapping[str, Callable[..., Model]] = {
    "fold-gains": fold_gains,
    "rotate": rotate,
    "shift": shift,
    "split": split,
    "split-heads": split_heads,
    "scale-stream": scale_stream,
    "scale": scale,
    "mix": mix,
    "flip": flip,
    "permute": permute,
}
"""Every disguise, in the order in which they are applied. Each keeps the function, so any order would do; steps that divide
units come before steps that make the two halves differ."""


def disguise(model: Model, *, seed: int | None = None, steps: str | Iterable[str] = tuple(STEPS)) -> Model:
    """Every other disguise, one after the other: a copy that computes the same and resembles nothing.

    Steps that the architecture does not allow are left out, and named.

    Args:
        seed: of everything random.
        steps: which disguises, separated by commas, in the order to apply them.
    """
    seed = drawn(seed)
    wanted = steps.split(",") if isinstance(steps, str) else list(steps)
    if not set(wanted) <= set(STEPS):
        raise TransformError(", ".join(wanted), "not all of these are disguises", f"choose from {', '.join(STEPS)}")
    for name in wanted:
        options = {} if name == "fold-gains" else {"seed": seed}
        try:
            model = STEPS[name](model, **options)
        except (TransformError, ArchitectureError) as error:
            model = model.noting(f"without {name}: {error.problem}")
    return model


TRANSFORM = Transform(
    "disguise", "disguise", disguise, "kinprint transform disguise examples/models/finetune -o disguised --seed 7"
)
