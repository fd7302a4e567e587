"""What a fingerprint states about its model, as far as it can be used: fingerprints come from strangers.

A fact that is missing, of another kind than it should be or beyond any model counts as not stated. `Fingerprint.facts` is for
showing to people; what is computed with is taken from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kinprint.families import family_name

LARGEST = 1 << 31
"""Above any length of an axis."""

MOST = 1 << 63
"""Above any number of parameters."""

FLOATS = ("float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")

Shape = tuple[int, ...]

MOST_OTHERS = 1 << 20


@dataclass(frozen=True)
class Other:
    """A tensor without a role.

    Attributes:
        name: without what stands in front of all names.
        what: it belongs to, in words.
        nbytes: of its entries.
        dtype: as stored.
        buffer: whether the model computes it itself, so that a file may leave it out.
        tied: whether the model may have it under several names, of which a file may leave out all but one.
    """

    name: str
    what: str
    nbytes: int
    dtype: str
    buffer: bool
    tied: bool = False

    @classmethod
    def of(cls, value: Any) -> Other | None:
        """None where something is missing, or of another kind."""
        table = _table(value)
        name, nbytes = table.get("name"), _count(table.get("bytes"), MOST)
        if not isinstance(name, str) or nbytes is None:
            return None
        buffer, tied = (table.get(key) is True for key in ("buffer", "tied"))
        return cls(name, _word(table.get("what")), nbytes, _word(table.get("dtype")), buffer, tied)


@dataclass(frozen=True)
class Facts:
    """Facts by name, None (or nothing) where they are not stated.

    Attributes:
        hidden_size, vocab_size, head_dim, intermediate_size, num_attention_heads, num_key_value_heads, num_experts,
            expert_groups: numbers as configurations name them, below LARGEST.
        parameters, tokens: counts.
        family, model_type, component, quantization: words; "" where not stated. A component is a vision tower, ...
        free_signs: False where gated neurons have no free sign.
        quick: share of the weights' bytes that were read, of a quick fingerprint.
        dtypes: role -> floating type, one of FLOATS.
        shapes: role -> for every layer (how many there are, rows, columns), None where the layer has none.
        digest_parts: names of the parts in the order of the trait `digests`.
        non_finite: part -> entries that are not finite.
        content: digest of every tensor and its name, buffers apart; None where not stated.
        others: tensors without a role, in the order of the trait `others.digests`; None where not stated.
        stored_bytes: of all tensors, each counted once.
    """

    hidden_size: int | None = None
    vocab_size: int | None = None
    head_dim: int | None = None
    intermediate_size: int | None = None
    num_attention_heads: int | None = None
    num_key_value_heads: int | None = None
    num_experts: int | None = None
    expert_groups: int | None = None
    parameters: int | None = None
    tokens: int | None = None
    family: str = ""
    model_type: str = ""
    component: str = ""
    quantization: str = ""
    free_signs: bool = True
    quick: float | None = None
    dtypes: Mapping[str, str] = field(default_factory=dict)
    shapes: Mapping[str, tuple[Shape | None, ...]] = field(default_factory=dict)
    digest_parts: tuple[str, ...] | None = None
    non_finite: Mapping[str, int] = field(default_factory=dict)
    content: str | None = None
    others: tuple[Other, ...] | None = None
    stored_bytes: int | None = None

    @property
    def family_name(self) -> str:
        """What people call the family."""
        return family_name(self.family, self.model_type)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Facts:
        """The facts of a fingerprint, each checked by itself."""
        sizes = (
            *("hidden_size", "vocab_size", "head_dim", "intermediate_size"),
            *("num_attention_heads", "num_key_value_heads", "num_experts", "expert_groups"),
        )
        share, parts = facts.get("quick"), facts.get("digest_parts")
        return cls(
            **{name: _count(facts.get(name), LARGEST) for name in sizes},
            parameters=_count(facts.get("parameters"), MOST),
            tokens=_count(facts.get("tokens"), MOST),
            family=_word(facts.get("family")),
            model_type=_word(facts.get("model_type")),
            component=_word(facts.get("component")),
            quantization=_word(facts.get("quantization")),
            free_signs=facts.get("free_signs") is not False,
            quick=float(share) if isinstance(share, int | float) and 0 < share <= 1 else None,
            dtypes={role: dtype for role, dtype in _table(facts.get("dtypes")).items() if dtype in FLOATS},
            shapes={
                role: tuple(map(_shape, layers))
                for role, layers in _table(facts.get("shapes")).items()
                if isinstance(layers, list)
            },
            digest_parts=tuple(map(str, parts)) if isinstance(parts, list) else None,
            non_finite={
                part: count
                for part, number in _table(facts.get("non_finite")).items()
                if (count := _count(number, MOST)) is not None
            },
            content=content if isinstance(content := facts.get("content"), str) and content else None,
            others=_others(facts.get("others")),
            stored_bytes=_count(facts.get("stored_bytes"), MOST),
        )

    def matrix(self, role: str, layer: int | None) -> tuple[int, int] | None:
        """Rows and columns of a matrix: of one expert where there are several."""
        if role in ("embedding", "head"):
            shape: Shape | None = (self.vocab_size or 0, self.hidden_size or 0)
        else:
            layers = self.shapes.get(role, ())
            shape = layers[layer] if layer is not None and layer < len(layers) else None
        if shape is None or not all(size > 0 for size in shape[-2:]):
            return None
        return shape[-2], shape[-1]


def _others(value: Any) -> tuple[Other, ...] | None:
    if not isinstance(value, list) or len(value) > MOST_OTHERS:
        return None
    others = [Other.of(each) for each in value]
    return None if None in others else tuple(other for other in others if other is not None)


def _count(value: Any, limit: int) -> int | None:
    return value if type(value) is int and 0 <= value < limit else None


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _shape(value: Any) -> Shape | None:
    if not isinstance(value, list) or not 2 <= len(value) <= 3:
        return None
    sizes = [_count(size, LARGEST) for size in value]
    return None if None in sizes else tuple(size for size in sizes if size is not None)
