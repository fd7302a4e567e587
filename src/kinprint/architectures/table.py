"""An architecture as a table: one TOML file a family, and nothing about any family in Python.

See docs/architectures.md for the vocabulary.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

from kinprint.architectures import named, roles
from kinprint.errors import ArchitectureError
from kinprint.families import family_name, raw_tables

LAYOUTS = ("stacked", "grouped", "alternating", "by_head", "blocks", "interleaved", "tiled")
KEYS = {
    *("like", "without", "model_types", "prefixes", "config", "tensors", "skipped", "ignored", "untracked"),
    *("norm", "norm_first", "positions", "named", "rotary_pairs", "rotary_share", "qk_norm", "free_signs", "upcycled"),
    *("softmax_router", "free_head", "gaps", "essential", "written_as", "component", "titles"),
}
ROTARY_SHARE = ("rope_parameters.partial_rotary_factor", "partial_rotary_factor", {"value": 1.0})


INDICES = ("block", "layer", "second", "expert")
DIGITS = re.compile(r"\d+", re.ASCII)


@dataclass(frozen=True)
class Pattern:
    """Names of tensors, as `pattern` says. The regular expression is compiled once a name begins as the pattern does: there are
    thousands, of all tables together, and any model needs a few."""

    name: str

    @cached_property
    def text(self) -> str:
        """What all names without `*` are, with 0 in the place of every number."""
        return DIGITS.sub("0", re.sub(f"{{(?:{'|'.join(INDICES)})}}", "0", self.name))

    @cached_property
    def _beginning(self) -> str:
        return re.split(r"[*{]", self.name, maxsplit=1)[0]

    def fullmatch(self, name: str) -> re.Match[str] | None:
        return _expression(self.name).fullmatch(name) if name.startswith(self._beginning) else None


@dataclass(frozen=True)
class Entry:
    """What one tensor of the file holds.

    Attributes:
        roles: one role, or those that are fused in it, in order.
        layout: how fused roles lie on the output axis: "stacked" one after the other, or "grouped" by key-value group,
            each with its query heads, then its key, then its value head (one head a group: interleaved q, k, v);
            "alternating": one row of each role in turn; "by_head": of each head the rows of every role; "blocks": in each
            of `blocks` equal parts some rows of every role. For one role, "interleaved": rows of a head that rotate
            together are neighbours, half a head apart in the order of parts; "tiled": of queries, heads of one group do
            not follow each other, but groups take turns (of outputs: columns).
        sizes: facts that say how many rows each role has (of one head, if by_head); an equal share of what these leave where
            it is "rest". Without sizes, roles other than queries, keys and values have an equal share of all.
        blocks: how many, if the layout is that.
        transposed: the file holds (input, output).
        stacked_experts: the first axis is the expert.
        add: what the model adds to a gain before it multiplies (Gemma: 1).
        flat: a matrix has more than two axes in the file; those behind the first are one, last index fastest.
        heads: the fact that counts the heads, if by_head.
        beside: names of tensors, and what this one holds in layers that have one of them; without roles of its own it is
            known in no other layer.
    """

    roles: tuple[str, ...]
    layout: str = "stacked"
    sizes: tuple[str, ...] = ()
    blocks: int = 1
    transposed: bool = False
    stacked_experts: bool = False
    add: float = 0.0
    flat: bool = False
    heads: str = "num_attention_heads"
    beside: tuple[tuple[str, Entry], ...] = ()

    @property
    def matrix(self) -> bool:
        return self.roles[0] in roles.MATRICES

    @property
    def columns(self) -> bool:
        """Whether it is the input axis that lies in another order."""
        return self.layout == "tiled" and self.roles == ("o",)

    @property
    def plain(self) -> bool:
        """Whether the tensor is its one part, as it is."""
        other = self.transposed or self.stacked_experts or self.flat or self.add or self.layout in ("interleaved", "tiled")
        return len(self.roles) == 1 and not other


@dataclass(frozen=True)
class Skip:
    """What tensors that are known but not measured belong to.

    Attributes:
        what: in words ("mamba mixer").
        layer: the whole layer that such a tensor stands in is left out.
        shared: layers have one in common, so that a file may hold it once or several times.
    """

    what: str
    layer: bool = False
    shared: bool = False


@dataclass(frozen=True)
class Table:
    """One family. `config` gives for each fact the alternatives to try, in order; see `facts.lookup`.

    docs/architectures.md says what the other keys mean.
    """

    family: str
    model_types: tuple[str, ...]
    norm: str
    positions: Any
    prefixes: tuple[str, ...]
    config: Mapping[str, Any]
    tensors: Mapping[str, Entry]
    ignored: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    norm_first: Any = ({"value": True},)
    rotary_pairs: Any = ({"value": "halves"},)
    rotary_share: Any = ROTARY_SHARE
    qk_norm: Any = ({"value": False},)
    free_signs: bool = True
    softmax_router: bool = False
    free_head: bool = True
    gaps: bool = False
    named: Mapping[str, Any] = field(default_factory=dict)
    upcycled: Mapping[str, Any] = field(default_factory=dict)
    essential: tuple[str, ...] = roles.ESSENTIAL
    written_as: Mapping[str, str] = field(default_factory=dict)
    like: str = ""
    component: str = ""
    patterns: tuple[tuple[str, Pattern, Entry], ...] = field(default=(), repr=False)
    skipped: tuple[tuple[Pattern, Skip], ...] = field(default=(), repr=False)

    @property
    def title(self) -> str:
        """What people call the family."""
        return family_name(self.family)

    def likely(self, name: str) -> list[tuple[str, Pattern, Entry]]:
        """The patterns that a name may match: those whose text is the same but for numbers, then those with `*`."""
        return self._by_text.get(DIGITS.sub("0", name), self._with_anything)

    @cached_property
    def _by_text(self) -> dict[str, list[tuple[str, Pattern, Entry]]]:
        found: dict[str, list[tuple[str, Pattern, Entry]]] = {}
        for known in self.patterns:
            found.setdefault(known[1].text, []).append(known)
        return {text: [*some, *self._with_anything] for text, some in found.items()}

    @cached_property
    def _with_anything(self) -> list[tuple[str, Pattern, Entry]]:
        return [known for known in self.patterns if "*" in known[0]]


@cache
def known() -> tuple[Table, ...]:
    """Every table: ours and those of installed packages (entry points `kinprint.architectures`: a path), by family."""
    raw = raw_tables()
    return tuple(parse(family, inherited(family, raw)) for family in sorted(raw))


def inherited(family: str, raw: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """A table with what the table it is `like` says and it does not; `without` lists tensors it does not inherit."""
    own = raw[family]
    if "like" not in own:
        return own
    parent = {key: value for key, value in inherited(own["like"], raw).items() if key != "upcycled"}
    kept = {name: entry for name, entry in parent["tensors"].items() if name not in own.get("without", ())}
    return {
        **parent,
        **own,
        "config": {**parent.get("config", {}), **own.get("config", {})},
        "tensors": {**kept, **own.get("tensors", {})},
        "skipped": {**parent.get("skipped", {}), **own.get("skipped", {})},
    }


def parse(family: str, raw: Mapping[str, Any]) -> Table:
    """Check a table and compile its patterns.

    Raises:
        ArchitectureError: a key, a role, positions or a named space that the vocabulary does not know.
    """
    unknown = set(raw) - KEYS
    if unknown:
        raise ArchitectureError(family, f"unknown keys {sorted(unknown)} in the architecture table")
    if wrong := named.problem(raw):
        raise ArchitectureError(family, f"{wrong} in the architecture table")
    tensors = {name: _entry(family, value) for name, value in raw["tensors"].items()}
    return Table(
        family=family,
        model_types=tuple(raw["model_types"]),
        norm=raw["norm"],
        positions=raw["positions"],
        prefixes=tuple(raw["prefixes"]),
        config=raw.get("config", {}),
        tensors=tensors,
        ignored=tuple(raw.get("ignored", ())),
        untracked=tuple(raw.get("untracked", ())),
        norm_first=raw.get("norm_first", Table.norm_first),
        rotary_pairs=_alternatives(raw.get("rotary_pairs", Table.rotary_pairs)),
        rotary_share=raw.get("rotary_share", ROTARY_SHARE),
        qk_norm=raw.get("qk_norm", Table.qk_norm),
        free_signs=raw.get("free_signs", True),
        softmax_router=raw.get("softmax_router", False),
        free_head=raw.get("free_head", True),
        gaps=raw.get("gaps", False),
        named={space: _alternatives(why) for space, why in raw.get("named", {}).items()},
        upcycled=raw.get("upcycled", {}),
        essential=tuple(raw.get("essential", roles.ESSENTIAL)),
        written_as=raw.get("written_as", {}),
        like=raw.get("like", ""),
        component=raw.get("component", ""),
        skipped=tuple((pattern(name), _skip(value)) for name, value in raw.get("skipped", {}).items()),
        patterns=_patterns(tensors),
    )


def _alternatives(value: Any) -> Any:
    """A word is the only alternative."""
    return [{"value": value}] if isinstance(value, str) else value


def compiled(table: Table) -> Table:
    """A table that was not parsed, with the patterns of its names."""
    return replace(table, patterns=_patterns(table.tensors))


def _patterns(tensors: Mapping[str, Entry]) -> tuple[tuple[str, Pattern, Entry], ...]:
    return tuple((name, pattern(name), entry) for name, entry in tensors.items())


def markdown_table() -> str:
    """The families as they stand in the documentation: model types, and what of such models is not measured."""
    rows = [
        f"| `{table.family}` | {table.title} | {', '.join(f'`{name}`' for name in table.model_types)} | "
        f"{', '.join(dict.fromkeys(skip.what for _, skip in table.skipped))} |"
        for table in known()
    ]
    return "\n".join(["| table | family | model types | known, not measured |", "|---|---|---|---|", *rows])


def _entry(family: str, value: Any) -> Entry:
    fields: dict[str, Any] = {"roles": value} if isinstance(value, str) else dict(value)
    names, sizes = fields.pop("roles", ()), tuple(fields.pop("sizes", ()))
    beside = tuple((name, _entry(family, other)) for name, other in fields.pop("beside", {}).items())
    entry = Entry(roles=(names,) if isinstance(names, str) else tuple(names), sizes=sizes, beside=beside, **fields)
    try:
        for role in entry.roles:
            roles.axes(role)
    except KeyError as error:
        raise ArchitectureError(family, f"unknown role {error} in the architecture table") from None
    if entry.layout not in LAYOUTS:
        raise ArchitectureError(family, f"unknown layout {entry.layout!r} in the architecture table")
    return entry


def _skip(value: Any) -> Skip:
    return Skip(value) if isinstance(value, str) else Skip(**value)


def pattern(name: str) -> Pattern:
    """`layers.{layer}.mlp.experts.{expert}.w1`: at most five digits an index, `*` is anything. Where layers stand in blocks,
    `{block}` counts these."""
    return Pattern(name)


@cache
def _expression(name: str) -> re.Pattern[str]:
    text = re.escape(name).replace(re.escape("*"), ".*")
    for index in INDICES:
        text = text.replace(re.escape(f"{{{index}}}"), rf"(?P<{index}>0|[1-9]\d{{0,4}})", 1)
    return re.compile(text, re.ASCII)
