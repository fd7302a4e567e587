"""A model that is open: its checkpoint, and what its architecture makes of it, worked out once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from kinprint.architectures.anatomy import Anatomy
from kinprint.architectures.components import components
from kinprint.architectures.recognise import recognise
from kinprint.architectures.table import Table
from kinprint.architectures.weights import Weights, weights_of
from kinprint.checkpoints import Checkpoint, open_checkpoint
from kinprint.errors import ArchitectureError


@dataclass(frozen=True, eq=False)
class OpenModel:
    """What `open_model` gives: headers are read, weights are not yet.

    Attributes:
        checkpoint: its tensors, configuration, tokenizer and card.
        given: the tables that the user allows; all of them where there are none.
        component: what it is known to be, where it is a component of a larger model.
    """

    checkpoint: Checkpoint
    given: tuple[Table, ...] = ()
    component: str = ""

    @cached_property
    def anatomy(self) -> Anatomy:
        """Which tensor plays which role.

        Raises:
            ArchitectureError: the model is of no known architecture.
        """
        return recognise(self.checkpoint, self.given, self.component)

    @cached_property
    def components(self) -> Mapping[str, OpenModel]:
        """What stands beside the language model and can be read as a model, by what it is: "vision tower", "audio encoder".

        Raises:
            ArchitectureError: as `anatomy`.
        """
        beside = components(self.checkpoint, self.anatomy)
        opened = {what: OpenModel(found, component=what) for what, found in beside.items()}
        return {what: each for what, each in opened.items() if each._readable}

    @property
    def _readable(self) -> bool:
        try:
            return bool(self.anatomy.parts)
        except ArchitectureError:
            return False

    @cached_property
    def weights(self) -> Weights:
        """Its weights by place, read when they are asked for."""
        return weights_of(self.checkpoint, self.anatomy)


def open_model(place: str | os.PathLike[str], *, offline: bool = False, given: Sequence[Table] = ()) -> OpenModel:
    """Open what `kinprint.checkpoints.open_checkpoint` opens, which says what `offline` means.

    Args:
        given: the tables that it may be read by; all known ones by default.

    Raises:
        CheckpointError: it cannot be read.
    """
    return OpenModel(open_checkpoint(place, offline=offline), tuple(given))
