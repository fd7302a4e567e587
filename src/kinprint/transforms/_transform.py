"""What a transform is."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from kinprint.transforms._model import Model, drawn


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

    @property
    def draws(self) -> bool:
        """Whether it takes a seed."""
        return "seed" in inspect.signature(self.make).parameters

    def __call__(self, model: Model, **options: Any) -> Model:
        """The new model, whose `seed` is the one given or, where none is, one that is drawn here."""
        if self.draws:
            options["seed"] = drawn(options.get("seed"))
        return replace(self.make(model, **options), seed=options.get("seed"))
