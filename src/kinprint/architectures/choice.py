"""Which table a model is read by: what its tensors say comes first, then its configuration, its type last.

Names and shapes of tensors cannot be changed without changing what opens the file; a type is a word that everybody may
change. So a type only chooses among tables that explain the layers equally well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinprint.architectures import roles
from kinprint.architectures.facts import lookup
from kinprint.architectures.fit import Fit, examples, fit, kind
from kinprint.architectures.table import Skip, Table, compiled, known, pattern
from kinprint.checkpoints import Checkpoint, Tensor

GAINS_READ, ENTRIES_READ = 6, 1 << 16
"""Stored gains that are looked at, of layers all over the depth, and how many entries of each at most."""

NORMS = {"gains.input", "gains.post_attention"}
"""Gains of the norms in front of blocks, as wide as the residual stream."""


@dataclass(frozen=True)
class Choice:
    """A table that a model may be read by.

    Attributes:
        table: the table.
        why: a clause for people about how it was chosen.
        guessed: whether nothing but names and values speaks for it: other architectures may have tensors of the same names.
        whole: whether it knows every tensor of the layers.
        nbytes: bytes of the gains that were read to choose it.
    """

    table: Table
    why: str
    guessed: bool
    whole: bool = True
    nbytes: int = 0


@dataclass(frozen=True)
class _Candidate:
    table: Table
    explained: Fit
    named: bool

    @property
    def adds(self) -> bool:
        return any(match.entry.add for match in self.explained.matches)

    @property
    def missing(self) -> int:
        """How many of the norms in front of its blocks have no gain in the file."""
        own = {role for name, entry in self.table.tensors.items() if "{layer}" in name for role in entry.roles}
        return len(own & NORMS - self._roles)

    @property
    def halved(self) -> bool:
        """Whether the file has the norm in front of attention alone, where models of the table have one for the FFN too."""
        return "gains.input" in self._roles and self.missing > 0

    @property
    def turned(self) -> bool:
        """Whether matrices lie the other way round than the table says: GPT-2 has Conv1D where others of its names have Linear.

        Their other axis is as long as the gains of the residual stream.
        """
        matches = self.explained.matches
        widths = {match.tensor.shape[-1] for match in matches if match.entry.roles[0] in NORMS and match.tensor.shape}
        for match in matches if len(widths) == 1 else ():
            axes = roles.MATRICES.get(match.entry.roles[0], ())
            stored = match.tensor.shape[1:] if match.entry.stacked_experts else match.tensor.shape
            shape = stored[::-1] if match.entry.transposed else stored
            if match.layer is not None and len(shape) == 2 and "residual" in axes:
                stream = axes.index("residual")
                if shape[stream] not in widths and shape[1 - stream] in widths:
                    return True
        return False

    @property
    def usual(self) -> bool:
        """Whether norms stand in front of blocks, as nearly everywhere: names alone do not tell them from norms behind."""
        return "gains.post_attention" in self._roles or "gains.attention_output" not in self._roles

    @property
    def gainless(self) -> bool:
        """Whether the file has no gain in any layer, where models of the table have."""
        return self.missing > 0 and not any(role.startswith("gains.") for role in self._roles)

    @cached_property
    def _roles(self) -> set[str]:
        return {role for match in self.explained.matches if match.layer is not None for role in match.entry.roles}


def choices(
    checkpoint: Checkpoint, config: Mapping[str, Any], given: Sequence[Table] = (), component: str = ""
) -> Iterator[Choice]:
    """The tables by which the layers of a model can be read, the most likely first.

    Args:
        config: of the language model, or of the component.
        given: tables that the user allows; only these are tried.
        component: what the checkpoint is known to be: "vision tower", ...; only tables of such are tried.

    Raises:
        CheckpointError: a gain cannot be read, where values have to decide.
    """
    model_type = config.get("model_type")
    kinds = examples(checkpoint.tensors)
    allowed = given or [table for table in known() if component in ("", table.component)]
    fits = [_Candidate(table, fit(table, kinds), bool(given) or model_type in table.model_types) for table in allowed]
    fits = [one for one in fits if complete(one.table, one.explained) and (one.named or not one.explained.strangers)]
    if not given and any(not one.table.component for one in fits):  # a language model with a tower is not read as the tower
        fits = [one for one in fits if one.named or not one.table.component]
    most = max((one.explained.inside for one in fits), default=0)
    best = [one for one in fits if one.explained.inside == most]
    if len({one.adds for one in best}) > 1:
        stored, nbytes = _stored_gains([name for one in best for name in _added_to(one.explained)], checkpoint.tensors)
    elif not given and all(one.explained.strangers for one in best):  # a type alone speaks for them, and may be false
        stored, nbytes = _stored_gains([name for one in best for name in _gains(one)], checkpoint.tensors)
        fits = [one for one in fits if one.explained.inside < most or stored in (None, one.adds)]
    else:
        stored, nbytes = None, 0
    ranked = sorted(fits, key=lambda one: _rank(one, stored))
    for one in ranked:
        whole = not one.explained.strangers
        if given:
            yield Choice(one.table, "the user said so", False, whole, nbytes)
        elif one.named:
            why = f"its type is {model_type}, and its tensors are those of such a model"
            yield Choice(one.table, why, False, whole, nbytes)
        elif one.explained.inside == ranked[0].explained.inside:
            why = "the table that fits its tensors best; its type says nothing known"
            table, more = _unsaid(one.table, one.explained, checkpoint.tensors)
            yield Choice(table, why, True, whole, nbytes + more)


def _rank(one: _Candidate, stored: bool | None) -> tuple[Any, ...]:
    """What has the right shapes, then the most tensors of layers explained, then of all tensors; then what gains say, there or
    not, and by their values; then whether both its norms are there; then the type, then the plainest."""
    contradicted = stored is not None and one.adds != stored
    plain = (
        not one.usual,
        one.missing,
        one.adds and stored is None,
        lookup(one.table.rotary_pairs, {}) != "halves",
        len(one.table.tensors),
        one.table.like != "",
    )
    return (
        one.turned,
        -one.explained.inside,
        -len(one.explained.matches),
        one.gainless,
        contradicted,
        one.halved,
        not one.named,
        *plain,
    )


def complete(table: Table, explained: Fit) -> bool:
    """Whether some layer has every role without which the table's models are none."""
    present = {role for match in explained.matches if match.layer is not None for role in match.entry.roles}
    return all(role in present or (role in roles.LATENT and roles.LATENT[role].up in present) for role in table.essential)


def _stored_gains(names: Iterable[str], tensors: Mapping[str, Tensor]) -> tuple[bool | None, int]:
    """Whether gains are stored less one: True if values say so, False if they say the contrary, None if they do not say; and
    how many bytes were read for it. LayerNorms, told by their biases, may be either, and are not asked."""
    values, nbytes = _values([name for name in dict.fromkeys(names) if not _has_bias(name, tensors)], tensors)
    return _less_one(values), nbytes


def _gains(one: _Candidate) -> list[str]:
    """Names of the gains in layers that all have one way to be stored in a table: of those to which it adds, or of the norms in
    front of its blocks."""
    added = _added_to(one.explained)
    return added or [m.name for m in one.explained.matches if m.layer is not None and m.entry.roles[0] in NORMS]


def _unsaid(table: Table, explained: Fit, tensors: Mapping[str, Tensor]) -> tuple[Table, int]:
    """A table that was guessed, and how many bytes were read for it. If it adds one to the gains of LayerNorms, and those look
    as if nothing were added, it does not say what they are."""
    names = [name for name in _added_to(explained) if _has_bias(name, tensors)]
    values, nbytes = _values(names, tensors)
    if not names or _less_one(values) is not False:
        return table, nbytes
    added = [name for name, entry in table.tensors.items() if entry.add]
    kept = {name: entry for name, entry in table.tensors.items() if not entry.add}
    skipped = (*table.skipped, *((pattern(name), Skip("")) for name in added))
    return compiled(replace(table, tensors=kept, skipped=skipped)), nbytes


def _added_to(explained: Fit) -> list[str]:
    """Names of the gains in layers to which a table adds something."""
    return [match.name for match in explained.matches if match.entry.add and match.layer is not None]


def _has_bias(name: str, tensors: Mapping[str, Tensor]) -> bool:
    return name.removesuffix("weight") + "bias" in tensors


def _values(names: Sequence[str], tensors: Mapping[str, Tensor]) -> tuple[list[NDArray[np.float32]], int]:
    """Finite entries of gains of these kinds, in layers all over the depth, and how many bytes were read."""
    of_kind: dict[str, list[str]] = {kind(name): [] for name in names}
    for name in tensors if of_kind else ():
        if (own := of_kind.get(kind(name))) is not None:
            own.append(name)
    each = max(GAINS_READ // max(len(of_kind), 1), 1)
    spread = [same[round(place)] for same in of_kind.values() for place in np.linspace(0, len(same) - 1, min(each, len(same)))]
    read = [tensors[name] for name in spread[:GAINS_READ]]
    vectors = [tensor.read().reshape(-1)[:ENTRIES_READ].astype(np.float32) for tensor in read if tensor.dtype.kind in "fV"]
    nbytes = sum(int(np.prod(tensor.shape)) * tensor.dtype.itemsize for tensor in read)
    return [finite for vector in vectors if len(finite := vector[np.isfinite(vector)])], nbytes


def _less_one(gains: Sequence[NDArray[np.float32]]) -> bool | None:
    """Whether these are gains less one; None if they do not say.

    The factors of most trained norms are positive: if most vectors that are stored have both signs, something is added to them.
    One vector may have them for itself: the first norm of SmolLM2-135M decayed to numbers about zero. And anybody may turn the
    sign of a factor, with that of the columns that read it: then no number lies near zero, where those of both signs meet.
    """
    if not gains:
        return None
    negative = float(np.median([np.mean(values < 0) for values in gains]))
    if not any(values.any() for values in gains):
        return True
    if negative > 0.05:
        near_zero = [np.mean(np.abs(values) <= np.sqrt(np.mean(np.square(values))) / 4) for values in gains]
        return True if np.median(near_zero) > 0.05 else None
    near_one = abs(float(np.median([values.mean() for values in gains])) - 1) < 0.5
    return False if negative < 0.01 and near_one else None
