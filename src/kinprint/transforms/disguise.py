"""disguise: every disguise that a model's architecture allows, one after the other."""

from __future__ import annotations

from kinprint.errors import ArchitectureError, TransformError
from kinprint.transforms._model import Model
from kinprint.transforms._transform import Transform
from kinprint.transforms.fold_gains import fold_gains
from kinprint.transforms.mix import mix
from kinprint.transforms.permute import permute
from kinprint.transforms.rotate import rotate
from kinprint.transforms.scale import scale
from kinprint.transforms.split import split


def disguise(model: Model, *, seed: int = 0) -> Model:
    """Fold gains, rotate, scale, mix, split and permute: a copy that computes the same and resembles nothing.

    Steps that the architecture does not allow are left out, and named.

    Args:
        seed: of everything random.
    """
    for step in (fold_gains, rotate, scale, mix, split, permute):
        options = {} if step is fold_gains else {"seed": seed}
        try:
            model = step(model, **options)
        except (TransformError, ArchitectureError) as error:
            model = model.noting(f"without {step.__name__.replace('_', '-')}: {error.problem}")
    return model


TRANSFORM = Transform(
    "disguise", "disguise", disguise, "kinprint transform disguise examples/models/finetune -o disguised --seed 7"
)
