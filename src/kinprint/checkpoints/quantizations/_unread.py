"""Schemes that are not read, told by the names of their tensors: refused by the name of their tool."""

from __future__ import annotations

import re

from kinprint.checkpoints.quantizations._quantization import Tensors
from kinprint.errors import CheckpointError, printable

UNREAD = (
    ("ExLlamaV3 (exl3)", r".*\.trellis"),
    ("ExLlamaV2 (exl2)", r".*\.q_(weight|scale|groups|invperm|scale_max)"),
    ("HQQ", r".*\.W_q"),
    ("quanto", r".*\.weight\._(data|scale|shift)(\.\w+)?"),
    ("torchao", r".*[:_.]?(_weight_qdata|:qdata|:_data|tensor_impl)(\.\w+)?"),
    ("AQLM", r".*\.codebooks"),
    ("QuIP#", r".*\.Qidxs(_\d+)?"),
    ("VPTQ", r".*\.centroids\..*|.*\.res_centroids\..*"),
    ("SpQR", r".*\.dense_weights"),
    ("EETQ", r".*\.weight_scales"),
    ("FP-Quant", r".*\.dqweight"),
)
"""Tool, and what a tensor of it is called."""

_PATTERNS = tuple((tool, re.compile(pattern, re.ASCII)) for tool, pattern in UNREAD)


def refuse_unread(tensors: Tensors, source: object) -> None:
    """Raise CheckpointError if tensors are named as those of a scheme that is not read."""
    for name in tensors:
        tool = next((tool for tool, pattern in _PATTERNS if pattern.fullmatch(name)), None)
        if tool:
            problem = f"quantised by {tool}, a form that is not read (tensor {printable(name, 100)})"
            raise CheckpointError(source, problem, "use the unquantised original")
