"""What a transform is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from kinprint.transforms._model import Model


@dataclass(frozen=True)
class Transform:
    """A way to make a checkpoint from a checkpoint.

    Attributes:
        name: as on the command line.
        kind: a "disguise" changes the form of the weights and keeps the function they compute; a "derivation" makes a
            descendant.
        make: takes the model and keyword options, gives the new model; its docstring is the help text, its annotations
            and defaults are the options. Raises TransformError where it does not apply.
        example: a command line.
    """

    name: str
    kind: Literal["disguise", "derivation"]
    make: Callable[..., Model]
    example: str

    def __call__(self, model: Model, **options: Any) -> Model:
        return self.make(model, **options)
