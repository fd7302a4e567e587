"""Checkpoints as named tensors, read without executing anything of them.

`open_checkpoint` takes the folder that the user names (`places`), here (`folders`) or elsewhere (`remote`), chooses its weights
by their names (`weight_choice`), asks a format for their tensors (`weight_files`, `formats`) and adds what lies beside them:
configuration, tokenizer, model card. All of it is read through sources of bytes (`source`); tensors are mapped when they are
read (`mapped`). Every file is untrusted: whatever is wrong with one is a `CheckpointError`.
"""

from typing import TYPE_CHECKING

from kinprint.exports import lazily

if TYPE_CHECKING:
    from kinprint.checkpoints.checkpoint import Checkpoint, Tensor
    from kinprint.checkpoints.opening import open_checkpoint

__all__ = ["Checkpoint", "Tensor", "open_checkpoint"]

__getattr__ = lazily(__name__, {"Checkpoint": "checkpoint", "Tensor": "checkpoint", "open_checkpoint": "opening"})
