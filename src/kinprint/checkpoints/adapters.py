"""LoRA adapters as `peft` writes them: a base model and the small matrices that are added to its weights, as one model.

`BASE+ADAPTER` names both. A weight W of the base becomes W + s B A when it is read, with s = lora_alpha / r, or with
lora_alpha / sqrt(r) (rsLoRA, arXiv 2312.03732); DoRA (arXiv 2402.09353) scales the rows of that to the lengths it has learned.
Which base belongs to an adapter is a stranger's word: it is shown, never opened.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.checkpoints.checkpoint import Tensor, read_rows
from kinprint.checkpoints.folders import Location, ModelFolder
from kinprint.checkpoints.formats import open_file
from kinprint.checkpoints.json_text import parse_object
from kinprint.checkpoints.places import means_url
from kinprint.checkpoints.remote import hub
from kinprint.checkpoints.source import ByteSource
from kinprint.checkpoints.weight_choice import ADAPTER_CONFIG, ADAPTER_WEIGHTS, adapter_weights, choose_weights
from kinprint.errors import CheckpointError, printable

MAX_CONFIG = 16_000_000
MAX_PATTERNS = 1000

TRAINED_ON = "give the base that it was trained on"
MERGE = "merge it with peft (merge_and_unload) where you trust it, and save the result"
CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Values of init_lora_weights for which the weights of the base are changed before training starts."""
UNSUPPORTED = ("target_parameters", "layer_replication", "use_qalora", "use_bdlora", "arrow_config",
               "alora_invocation_tokens", "kasa_config", "velora_config", "monteclora_config", "megatron_config")  # fmt: skip
_PREFIX = "base_model.model."
_PART = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_embedding_[AB]|lora_[AB]|lora_magnitude_vector|token_adapter\.trainable_tokens_delta)"
    r"(?:\.(?P<adapter>(?!weight$|bias$)\w+))?(?:\.weight)?",
    re.DOTALL | re.ASCII,
)
_KINDS = {
    "lora_A": "A",
    "lora_B": "B",
    "lora_embedding_A": "embedding A",
    "lora_embedding_B": "embedding B",
    "lora_magnitude_vector": "lengths",
    "token_adapter.trainable_tokens_delta": "tokens",
}
_WHOLE = re.compile(r"\.modules_to_save\.(?:\w+\.(?=.*\.|weight$|bias$))?", re.ASCII)
_LOOSE = re.compile(r"\.lora_(up|down|A|B|a|b)(\.|$)|\.alpha$|^lora_(unet|te)", re.ASCII)
HEADS = ("lm_head.weight", "embed_out.weight", "output.weight")
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight", "tok_embeddings.weight")
"""Names of the head, and of the embedding that is the head where there is none of its own."""

_LITERAL = re.compile(r"\^?[\w.\\-]+", re.ASCII)


@dataclass(frozen=True)
class Adapter:
    """An adapter on disk.

    Attributes:
        settings: its adapter_config.json.
        weights: the file of its tensors.
        config: what `settings` holds.
        tensors: as `weights` names them.
    """

    settings: ByteSource
    weights: ByteSource
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    @property
    def files(self) -> tuple[ByteSource, ...]:
        return self.settings, self.weights

    @cached_property
    def alphas(self) -> Mapping[str, tuple[int, Any]]:
        """What its alpha_pattern says, as `_alphas` reads it; CheckpointError if it is not to be read."""
        return _alphas(self.config.get("alpha_pattern") or {}, self.settings)


def parts_of(model: str) -> tuple[str, str] | None:
    """Base and adapter of `BASE+ADAPTER`; None for what means one model, such as anything on disk of that name.

    The last sign divides behind which something lies on disk, or that is followed by a hub id or a URL: BASE+FIRST+SECOND is
    BASE+FIRST with SECOND added.
    """
    if os.path.lexists(model):
        return None
    places = (at for at in range(len(model) - 2, 0, -1) if model[at] == "+")
    return next(((model[:at], model[at + 1 :]) for at in places if _means_model(model[:at], model[at + 1 :])), None)


def _means_model(base: str, adapter: str) -> bool:
    if os.path.lexists(adapter) or means_url(adapter):
        return True
    return hub.means_repository(adapter) and not means_url(base)  # a URL goes on as far as it can


def is_alone(location: Location) -> bool:
    """Whether what the user has named is an adapter: its weights file, or a folder without weights of a model.

    Raises:
        CheckpointError: the folder cannot be listed, or its weights cannot be chosen.
    """
    folder, only = location.folder, location.only
    if only and only not in ADAPTER_WEIGHTS:
        return False
    names = folder.names()
    adapter = adapter_weights(names)
    return adapter != "" and only in ("", adapter) and choose_weights(names, folder).adapter


def refuse_alone(location: Location) -> None:
    """Raise CheckpointError if what the user has named is an adapter, which is no model by itself."""
    if is_alone(location):
        base = _config(location.folder.source(ADAPTER_CONFIG)).get("base_model_name_or_path")
        base, adapter = printable(base or "a model that it does not name", 100), printable(location.folder, 100)
        raise CheckpointError(location.folder, f"an adapter of {base}, not a model", f"write {base}+{adapter}")


def refuse_loose(location: Location, tensors: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError if a file holds nothing but an adapter, whatever it is called."""
    if not tensors or not all(_PART.fullmatch(name) or _LOOSE.search(name) for name in tensors):
        return
    folder = location.folder
    configured = folder.there({ADAPTER_CONFIG})
    base = _config(folder.source(ADAPTER_CONFIG)).get("base_model_name_or_path") if configured else None
    told = f" of {printable(base, 100)}" if base else ""
    remedy = f"call the file {ADAPTER_WEIGHTS[0]}, put its {ADAPTER_CONFIG} beside it, and write BASE+FOLDER"
    raise CheckpointError(location.source, f"a LoRA adapter{told} alone, not a model", remedy)


def open_adapter(folder: ModelFolder) -> Adapter:
    """The adapter in a folder, headers only.

    Raises:
        CheckpointError: there is none, it is damaged, or of a kind that cannot be added to weights.
    """
    name = adapter_weights(folder.there({ADAPTER_CONFIG, *ADAPTER_WEIGHTS}))
    if not name:
        problem = f"no adapter: {ADAPTER_CONFIG} and {ADAPTER_WEIGHTS[0]} are not both there"
        raise CheckpointError(folder, problem, "give the folder that peft has written")
    settings, weights = folder.sources((ADAPTER_CONFIG, name))
    config = _config(settings)
    _require_plain_lora(settings, config)
    return Adapter(settings, weights, config, open_file(weights))


def _config(source: ByteSource) -> dict[str, Any]:
    return parse_object(source.read(MAX_CONFIG), source)


def _require_plain_lora(source: ByteSource, config: Mapping[str, Any]) -> None:
    kind = config.get("peft_type")
    if kind not in ("LORA", "TRAINABLE_TOKENS"):
        raise CheckpointError(source, f"an adapter of type {printable(kind, 40)}; only LORA is read", MERGE)
    initial = config.get("init_lora_weights")
    if isinstance(initial, str) and initial.lower().startswith(CHANGES_BASE):
        raise CheckpointError(source, f"its base is not the original ({printable(initial, 40)} changes it)", MERGE)
    used = next((key for key in UNSUPPORTED if config.get(key)), None)
    if used:
        raise CheckpointError(source, f"uses {used}, which is not read", MERGE)


# --- base and adapter together


@dataclass(frozen=True, slots=True)
class Change:
    """What is added to one matrix: scale * left @ right, of its shape; as the file has them, or transposed.

    Attributes:
        left, right: the stored factors.
        transposed: whether the matrix of the base is (input, output): then it is right^T @ left^T that is added.
        scale: their factor.
        lengths: DoRA's length of each output, or None.
    """

    left: Tensor
    right: Tensor
    transposed: bool
    scale: float
    lengths: Tensor | None = None

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows of what is added, float32."""
        left, right = self.left.read().astype(np.float32), self.right.read().astype(np.float32)
        if self.transposed:
            left, right = right.T, left.T
        return np.float32(self.scale) * (left[start:stop] @ right)


@dataclass(frozen=True, slots=True)
class _Changed:
    """A tensor of the base, changed: float32, or float64 where the base is.

    Attributes:
        base: as it is without the adapter.
    """

    base: Tensor

    @property
    def name(self) -> str:
        return self.base.name

    @property
    def shape(self) -> tuple[int, ...]:
        return self.base.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.result_type(np.float32, np.float64 if self.base.dtype == np.float64 else np.float32)

    def read(self) -> NDArray[Any]:
        return self.read_rows(0, self.shape[0])

    def read_rows(self, start: int, stop: int) -> NDArray[Any]:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class AdaptedTensor(_Changed):
    """A matrix of the base with what an adapter adds.

    Attributes:
        change: what is added.
    """

    change: Change

    @property
    def spans(self) -> tuple[Any, ...]:
        """The bytes that `read` needs, where the tensors it is made of know theirs."""
        made_of = (self.base, self.change.left, self.change.right, self.change.lengths)
        return tuple(span for tensor in made_of for span in getattr(tensor, "spans", ()))

    def read_rows(self, start: int, stop: int) -> NDArray[Any]:
        """Some rows; of the base no more than that, unless DoRA's lengths are those of columns."""
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        if self.change.lengths is not None and self.change.transposed:
            array = self._scaled(0, self.shape[0], axis=0)[start:stop]
        elif self.change.lengths is not None:
            array = self._scaled(start, stop, axis=1)
        else:
            array = self._sum(start, stop)
        array.flags.writeable = False
        return array

    def _sum(self, start: int, stop: int) -> NDArray[Any]:
        found: NDArray[Any] = read_rows(self.base, start, stop).astype(self.dtype)
        found += self.change.rows(start, stop)
        return found

    def _scaled(self, start: int, stop: int, axis: int) -> NDArray[Any]:
        """Rows whose outputs, along the other axis than `axis`, have DoRA's lengths."""
        assert self.change.lengths is not None
        found = self._sum(start, stop)
        lengths = self.change.lengths.read().astype(self.dtype).reshape(-1)
        norms = np.linalg.norm(found, axis=axis)
        wanted = lengths[start:stop] if axis == 1 else lengths
        factors = np.divide(wanted, norms, out=np.zeros_like(norms), where=norms > 0)
        return np.asarray(found * (factors[:, None] if axis == 1 else factors))


def adapted(base: Mapping[str, Tensor], adapter: Adapter) -> dict[str, Tensor]:
    """The tensors of the base with those of an adapter added, or in their place where it has saved whole ones.

    Raises:
        CheckpointError: a tensor of the adapter has no place in the base, or another shape.
    """
    weights = adapter.weights
    names = _Names(base, weights)
    tensors, parts, called = dict(base), dict[str, dict[str, Tensor]](), set[str | None]()
    for key, tensor in adapter.tensors.items():
        stem = key.removeprefix(_PREFIX)
        found = _PART.fullmatch(stem)
        if found:
            called.add(found["adapter"])
            mine = parts.setdefault(found["module"], {})
            if mine.setdefault(_KINDS[found["part"]], tensor) is not tensor:
                raise CheckpointError(weights, f"holds several adapters of {printable(found['module'], 120)}", MERGE)
        elif ".lora_" in stem or ".token_adapter." in stem:
            raise CheckpointError(weights, f"holds {printable(key, 120)}, which is not read", MERGE)
        elif ".original_module." not in stem:  # the base's own, beside a module that was trained whole
            plain = _WHOLE.sub(".", stem.replace(".base_layer.", "."))
            tensors[names.find(plain) or plain] = tensor
    if len(called) > 1:
        listed = ", ".join(sorted(printable(name, 40) for name in called))
        raise CheckpointError(weights, f"holds several adapters ({listed})", MERGE)
    for module, mine in parts.items():
        plain = f"{module}.weight"
        name = names.find(plain) or (plain if plain in tensors else None)
        stored = tensors[name] if name is not None else _tied(plain, tensors, names)
        if stored is None:
            problem = f"changes {printable(module, 120)}, which the base does not have"
            raise CheckpointError(weights, problem, TRAINED_ON)
        if tokens := mine.pop("tokens", None):
            stored = _with_rows(stored, tokens, module, adapter)
        tensors[name or plain] = AdaptedTensor(stored, _change(stored, mine, module, adapter)) if mine else stored
    return {name: tensors[name] for name in sorted(tensors)}


def unties(base: Mapping[str, Tensor], adapted: Mapping[str, Tensor]) -> bool:
    """Whether the adapter gives a head of its own to a base whose embedding is the head."""
    return any(name in adapted and name not in base for name in HEADS)


def _tied(head: str, tensors: Mapping[str, Tensor], names: _Names) -> Tensor | None:
    """The embedding, which stands for a head that the base does not have: the adapter changes the head alone."""
    if not head.endswith(HEADS):
        return None
    embedding = next((name for ending in EMBEDDINGS if (name := names.find(ending))), None)
    return None if embedding is None else tensors[embedding]


@dataclass(frozen=True, slots=True)
class ReplacedRows(_Changed):
    """A matrix some of whose rows were trained alone.

    Attributes:
        rows: the new ones.
        places: of each in the matrix.
    """

    rows: Tensor
    places: tuple[int, ...]

    @property
    def spans(self) -> tuple[Any, ...]:
        return tuple(span for tensor in (self.base, self.rows) for span in getattr(tensor, "spans", ()))

    def read_rows(self, start: int, stop: int) -> NDArray[Any]:
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        found = read_rows(self.base, start, stop).astype(self.dtype)
        new = self.rows.read()
        for index, place in enumerate(self.places):
            if start <= place < stop:
                found[place - start] = new[index]
        found.flags.writeable = False
        return found


def _with_rows(base: Tensor, rows: Tensor, module: str, adapter: Adapter) -> Tensor:
    """A matrix with the rows of the tokens that were trained alone; which tokens, the settings say."""
    said = adapter.config.get("trainable_token_indices") or adapter.config.get("token_indices")
    if isinstance(said, dict):
        said = next((value for name, value in said.items() if module == name or module.endswith(f".{name}")), None)
    if not isinstance(said, list) or not all(type(index) is int and 0 <= index < base.shape[0] for index in said):
        raise CheckpointError(
            adapter.weights, f"nothing beside it says which tokens of {printable(module, 120)} were trained", MERGE
        )
    if len(base.shape) != 2 or rows.shape != (len(said), base.shape[1]) or len(set(said)) != len(said):
        problem = f"rows of {len(said)} tokens of {printable(module, 120)} have shape {rows.shape}, its weight {base.shape}"
        raise CheckpointError(adapter.weights, problem, TRAINED_ON)
    if any(tensor.dtype.kind not in "fV" for tensor in (base, rows)):
        raise CheckpointError(adapter.weights, f"the weights of {printable(module, 120)} are not floating-point numbers", MERGE)
    return ReplacedRows(base, rows, tuple(said))


class _Names:
    """How the base calls what the adapter calls by the name that a module has in memory, with more or less in front."""

    def __init__(self, base: Mapping[str, Tensor], source: ByteSource) -> None:
        self.base, self.source = base, source
        self.by_ending: dict[str, list[str]] = {}
        for name in base:
            for ending in _endings(name):
                self.by_ending.setdefault(ending, []).append(name)

    def find(self, name: str) -> str | None:
        """The one tensor of the base whose name is `name`, ends with it, or is its end; None if there is none."""
        if name in self.base:
            return name
        near = self.by_ending.get(name) or [ending for ending in _endings(name) if ending in self.base]
        if len(near) > 1:
            raise CheckpointError(self.source, f"{printable(name, 120)} may be any of {len(near)} tensors of the base", MERGE)
        return near[0] if near else None


def _endings(name: str) -> list[str]:
    """What remains of a name without its first steps, one to four of them, but two at least."""
    steps = name.split(".", 5)
    return [".".join(steps[first:]) for first in range(1, min(5, len(steps) - 1))]


def _change(base: Tensor, parts: Mapping[str, Tensor], module: str, adapter: Adapter) -> Change:
    """The change of one matrix from its parts, every shape checked."""
    source = adapter.weights
    shapes = {kind: tensor.shape for kind, tensor in parts.items()}
    embedding = "embedding A" in parts
    pair = ("embedding B", "embedding A") if embedding else ("B", "A")
    allowed = set(pair) if embedding else {*pair, "lengths"}
    if not set(pair) <= parts.keys() <= allowed:
        raise CheckpointError(source, f"of {printable(module, 120)} it holds {' and '.join(sorted(parts))}, not A and B", MERGE)
    left, right = (parts[kind] for kind in pair)
    if any(tensor.dtype.kind not in "fV" for tensor in (base, *parts.values())):
        raise CheckpointError(source, f"the weights of {printable(module, 120)} are not floating-point numbers", MERGE)
    fits = len(left.shape) == len(right.shape) == 2 and left.shape[1] == right.shape[0] > 0
    whole = (left.shape[0], right.shape[1]) if fits else ()
    straight, turned = whole == base.shape, whole[::-1] == base.shape
    if not fits or not (straight or turned):
        problem = f"the parts of {printable(module, 120)} have shapes {shapes}, its weight in the base {base.shape}"
        raise CheckpointError(source, problem, TRAINED_ON)
    transposed = turned and (not straight or embedding or bool(adapter.config.get("fan_in_fan_out")))
    lengths = parts.get("lengths")
    if lengths is not None and math.prod(lengths.shape) != left.shape[0]:
        raise CheckpointError(source, f"the lengths of {printable(module, 120)} are not one an output", MERGE)
    return Change(left, right, transposed, _scale(adapter, module, right.shape[0]), lengths)


def _scale(adapter: Adapter, module: str, rank: int) -> float:
    config = adapter.config
    alpha = _alpha_of(module, adapter.alphas, config.get("lora_alpha"))
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not abs(alpha) < 1e30:
        problem = f"its lora_alpha is {printable(alpha, 40)}, not a number"
        raise CheckpointError(adapter.settings, problem, "use the adapter's own file")
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _alpha_of(module: str, alphas: Mapping[str, tuple[int, Any]], otherwise: Any) -> Any:
    """The value of the first key of alpha_pattern that is a module or the end of its name; `otherwise` where none is."""
    steps = module.split(".")
    ends = (".".join(steps[first:]) for first in range(1, len(steps)))
    meant = [alphas[name] for name in ("^" + module, module, *ends) if name in alphas]
    return min(meant, key=lambda place: place[0])[1] if meant else otherwise


def _alphas(patterns: Any, source: ByteSource) -> dict[str, tuple[int, Any]]:
    """Name -> place and value of the first key of alpha_pattern that means it, "^" in front where it means the whole name only.

    peft takes keys as regular expressions; one from a stranger may run for ever, so only names are read.
    """
    if not isinstance(patterns, dict) or len(patterns) > MAX_PATTERNS:
        raise CheckpointError(source, f"its alpha_pattern is not a table of at most {MAX_PATTERNS:,} names", MERGE)
    names: dict[str, tuple[int, Any]] = {}
    for index, (pattern, alpha) in enumerate(patterns.items()):
        if not _LITERAL.fullmatch(pattern):
            raise CheckpointError(source, f"the expression {printable(pattern, 60)} in alpha_pattern is no name", MERGE)
        names.setdefault(pattern.replace("\\.", "."), (index, alpha))
    return names
