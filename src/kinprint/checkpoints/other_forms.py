"""Files that are no weights that kinprint reads, told by their first bytes or their names: what they are, and the way out.

None of them is opened further than that. What stands first counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from kinprint.checkpoints.source import ByteSource
from kinprint.errors import CheckpointError, printable

START = 512
"""Bytes at the start of a file that tell what it is."""

_SAVE = "where you trust it, load it with its own library and save its state dict with safetensors"
_TRANSFORMERS_4 = "and save_pretrained the result (transformers 5 no longer can; transformers 4 does)"


@dataclass(frozen=True)
class OtherForm:
    """One form.

    Attributes:
        what: in words.
        remedy: what to do.
        names: of its files; None where names do not tell.
        starts: how its files begin; None where their bytes do not tell.
    """

    what: str
    remedy: str
    names: re.Pattern[str] | None = None
    starts: re.Pattern[bytes] | None = None


def _form(what: str, remedy: str, names: str = "", starts: bytes = b"") -> OtherForm:
    return OtherForm(
        what,
        remedy,
        re.compile(names, re.IGNORECASE | re.ASCII) if names else None,
        re.compile(starts, re.DOTALL | re.IGNORECASE) if starts else None,
    )


IN_PLACE = (
    _form("a Git LFS pointer, not the weights", "run `git lfs pull` in its repository", starts=rb"version https://git-lfs"),
    _form(
        "an HTML page, not the weights",
        "download the file itself: a page came in its place, often one to log in or accept terms",
        starts=rb"\s*(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)?<(!doctype html|html|head|body)\b",
    ),
    _form(
        "the message of a server, not the weights",
        "read it, and download the file again",
        starts=rb"\s*(entry not found|invalid (username|credentials)|access to model|repository not found|unauthorized"
        rb'|\{\s*"(error|message)"\s*:|<\?xml[^>]*>\s*<error)',
    ),
)
"""What comes in place of a file when it is downloaded wrongly."""

OTHERS = (
    _form(
        "weights of TensorFlow or Keras",
        f"load them with transformers (from_tf=True) {_TRANSFORMERS_4}",
        r".*\.(h5|hdf5|keras)|saved_model\.pb|.*\.ckpt\.(index|meta|data-\d{5}-of-\d{5})|model\.ckpt-\d+\.\w.*",
        rb"\x89HDF\r\n\x1a\n",
    ),
    _form("weights of Flax", f"load them with transformers (from_flax=True) {_TRANSFORMERS_4}", r".*\.msgpack"),
    _form(
        "a checkpoint of JAX (Orbax)",
        "restore it with its own library, and save the arrays with safetensors",
        r"_CHECKPOINT_METADATA|_METADATA|manifest\.ocdbt|.*\.orbax.*",
    ),
    _form("a model of Core ML", "give the model that it was converted from", r".*\.ml(package|model|modelc)"),
    _form("a model of OpenVINO", "give the model that it was converted from", r"openvino.*\.(xml|bin)|.*\.xml"),
    _form(
        "an archive of NeMo",
        "convert it to Hugging Face with NeMo's script, or unpack it (tar -xf) and give the weights inside",
        r".*\.nemo",
    ),
    _form(
        "a model of TensorFlow Lite", "give the model that it was converted from", r".*\.(tflite|litertlm|task)", rb".{4}TFL3"
    ),
    _form("a program of ExecuTorch", "give the model that it was converted from", r".*\.pte", rb".{4}ET1\d"),
    _form("an engine of TensorRT", "give the model that it was built from", r".*\.(engine|plan|trt)"),
    _form(
        "a model of CTranslate2",
        "give the model that it was converted from",
        starts=rb".{3}\0.{2}\w*(Transformer|Whisper|Wav2Vec2)\w*Spec",
    ),
    _form(
        "a model of MLC",
        "give the model that it was converted from",
        r"(ndarray|tensor)-cache.*\.json|params_shard_\d+\.bin|mlc-chat-config\.json",
    ),
    _form(
        "a file of GGML from before GGUF",
        "convert it with llama.cpp's convert_llama_ggml_to_gguf.py",
        r".*ggml.*\.bin|.*\.ggml",
        rb"(lmgg|fmgg|tjgg|algg)",
    ),
    _form("a llamafile", "unzip it, and give the GGUF inside", r".*\.llamafile"),
    _form(
        "a distributed checkpoint of PyTorch",
        "join it: python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER FILE",
        r".*\.distcp",
    ),
    _form(
        "a partitioned checkpoint of DeepSpeed (ZeRO)",
        "join it with the zero_to_fp32.py beside it, and give the result",
        r"(bf16_)?zero_pp_rank_.*\.pt|.*_optim_states\.pt",
    ),
    _form("arrays of numpy", "save them with safetensors", r".*\.np[zy]", rb"\x93NUMPY"),
    _form("a pickle", _SAVE, r".*\.(pkl|pickle|joblib|mar)"),
    _form("an archive", "unpack it, and give what is in it", r".*\.(tar|tgz|zip|7z|rar)|.*\.tar\.\w+", rb"\x1f\x8b|7z\xbc\xaf"),
)
"""Forms of other tools."""

OLLAMA = re.compile(rb'"application/vnd\.ollama\.image\.model"[^}]*?"digest"\s*:\s*"sha256:([0-9a-f]{64})"')
"""Where a manifest of Ollama names the file of its model."""

BESIDE = re.compile(
    r".*\bmmproj\b.*|.*_mmproj.*|mmproj.*|.*imatrix.*"  # a vision part, and statistics for quantising
    r"|training_args\.bin|(.*[-_])?optim(izer)?([-_.]\w+)*\.(bin|pt|pth)|.*_optim_states\.pt"
    r"|(lr_)?scheduler\.(bin|pt|pth)|rng_state.*\.(pt|pth)|scaler\.(pt|pth)|random_states.*"
    r"|openvino.*\.bin|ggml-vocab-.*\.gguf|tokenizer\.(bin|pt)|.*\.lora\.(safetensors|bin)",
    re.IGNORECASE | re.ASCII,
)
"""Names of files that end as weights do, and that lie beside those of a model."""


def refuse_in_place(source: ByteSource, start: bytes) -> None:
    """Raise CheckpointError for what came in place of the file."""
    for form in IN_PLACE:
        if form.starts is not None and form.starts.match(start):
            raise CheckpointError(source, form.what, form.remedy)


def refuse_other(source: ByteSource, start: bytes) -> None:
    """Raise CheckpointError for a file of another tool, by its first bytes, else by its name."""
    if found := OLLAMA.search(start):
        problem = "a manifest of Ollama, not the weights"
        raise CheckpointError(source, problem, f"give the file that it names: blobs/sha256-{found[1].decode()}")
    told = next((form for form in OTHERS if form.starts is not None and form.starts.match(start)), None)
    if form := told or named([source.name])[0]:
        raise CheckpointError(source, f"{form.what}, which is not read", form.remedy)


def named(names: Iterable[str]) -> tuple[OtherForm | None, str]:
    """The first form that has a file of one of these names, and that file; None and "" if none has."""
    names = sorted(names)
    for form in OTHERS:
        if form.names is not None and (name := next((name for name in names if form.names.fullmatch(name)), "")):
            return form, printable(name, 80)
    return None, ""
