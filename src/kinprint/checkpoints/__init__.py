"""Checkpoints on disk as named tensors, read without executing anything of them.

`open_checkpoint` finds the files (`weights`), asks a format for their tensors (`formats`, one file each) and adds what
lies beside them: configuration, tokenizer (`tokenizer`), model card (`card`). Tensors are mapped when they are read
(`mapped`). Every file is untrusted: whatever is wrong with one is a `CheckpointError`.
"""

from kinprint.checkpoints.checkpoint import Checkpoint, Tensor
from kinprint.checkpoints.opening import open_checkpoint

__all__ = ["Checkpoint", "Tensor", "open_checkpoint"]
