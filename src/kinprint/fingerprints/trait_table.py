"""What a fingerprint can hold: every trait, its shape and its meaning.

This table validates fingerprints, and `docs/fingerprint-format.md` is generated from it. An axis called by a word must
have the same length in every trait of a fingerprint that uses the word (all traits agree on "layers"); `n`, `rank` and
`k` are free; a number is that number. Traits not listed here are allowed (third parties may add theirs) and unchecked.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kinprint.fingerprints.form_columns import COLUMNS

TRAIT_VERSION = 4
"""Raised whenever a trait changes its meaning, so that old and new measurements are never compared."""

FREE_AXES = frozenset({"n", "rank", "k"})


@dataclass(frozen=True)
class Trait:
    """One line of the table.

    Attributes:
        pattern: name, with `*` for any role.
        shapes: the allowed shapes; an axis is a word (same length everywhere), a free letter or a number.
        meaning: one sentence; what a row and a column are.
        dtype: as measured; fingerprints built elsewhere may use any float width for a float trait.
        depends: names of the disguises that change it in some family beyond the order of its units
            (`kinprint.zoo.free_changes` measures them); () of what describes the function alone.
        for_scores: no test and no search uses it, scores alone do: measured where they are asked for (`--scores`).
    """

    pattern: str
    shapes: tuple[tuple[str | int, ...], ...]
    meaning: str
    dtype: str = "float32"
    depends: tuple[str, ...] = ()
    for_scores: bool = False


def _trait(
    pattern: str,
    *shapes: tuple[str | int, ...],
    meaning: str,
    dtype: str = "float32",
    depends: tuple[str, ...] = (),
    for_scores: bool = False,
) -> Trait:
    return Trait(pattern, shapes, meaning, dtype, depends, for_scores)


TRAITS: tuple[Trait, ...] = (
    _trait(
        "moments.embedding", (1, 6),
        meaning="As `moments.*`, of the input embedding.",
        depends=("rotate", "scale-stream", "shift"),
    ),
    _trait(
        "moments.head", (1, 6),
        meaning="As `moments.*`, of the output head where it is not the embedding.",
        depends=("fold-gains", "rotate", "shift"),
    ),
    _trait(
        "moments.*", ("layers", 6),
        meaning="Mean, standard deviation, skewness, kurtosis (a normal has 3), largest absolute value and share of "
        "zeros over all entries of a matrix (q, k, v, o, gate, up, down; latents, shared experts and output gates where there "
        "are any); experts pooled.",
        depends=("flip", "fold-gains", "mix", "rotate", "scale", "scale-stream", "shift", "split", "split-heads"),
    ),
    _trait(
        "channels.*", ("layers", "hidden"),
        meaning="Size per residual channel in folded form: root of the sum of squares over the columns of what reads the "
        "residual stream and the rows of what writes into it (q, k, v, o, gate, up, down; shared experts and output gates "
        "where there are any; router, around its mean row); experts pooled. Weighted by what else fixes the size: q by the "
        "keys of its head and k by the queries, v by o and o by v, up and down of gated neurons by each other's norm; behind "
        "an activation of degree d gate and up by all they are traded for. Not of latents. Quick fingerprints: estimates, of "
        "gate or of ungated up or down alone.",
        depends=("rotate", "scale-stream", "split", "split-heads"),
    ),
    _trait(
        "errors.*", ("layers", "hidden"),
        meaning="Quick fingerprints: standard errors of `channels.*`.",
        depends=("permute", "rotate", "scale-stream", "split"),
    ),
    _trait(
        "leading.*", ("layers", "hidden"),
        meaning="Quick fingerprints: mean per residual channel, in folded form, of the leading lines (one in a hundred, at "
        "least one) of gate, or of ungated up or down, if a stored line holds all channels; of experts the first. Behind an "
        "activation that is homogeneous of lines of length 1.",
        depends=("permute", "rotate", "scale-stream", "split"),
    ),
    _trait(
        "embedding.input", ("hidden",),
        meaning="L2 norm per column of the embedding, in folded form, after removing the mean over tokens.",
        depends=("rotate", "scale-stream"),
    ),
    _trait(
        "embedding.output", ("hidden",),
        meaning="The same of the output head where it is not the embedding.",
        depends=("rotate",),
    ),
    _trait(
        "columns.*", ("hidden", 16),
        meaning="Sums over the tokens of the embedding (head) in each of its columns, in folded form and around the mean "
        "token, each token with a fixed sign, over the column's norm: sixteen draws of signs.",
        depends=("rotate",),
    ),
    _trait(
        "neurons.norms", ("layers", "neurons", 3),
        meaning="L2 norms of each neuron's gate row, up row and down column, as stored: scales of single neurons and gains "
        "that are folded change them. Layers of experts: the first expert.",
        depends=("fold-gains", "permute", "rotate", "scale", "scale-stream", "shift", "split"),
    ),
    _trait(
        "neurons.invariants", ("layers", "neurons", 5),
        meaning="log ||gate||, log(||up|| ||down||), cos(gate, up), cos(gate, down), cos(up, down) of each neuron in folded "
        "form. Without a gate ||up|| stands for ||gate||; behind an activation of degree d (ReLU 1, squared ReLU 2) the first "
        "is absent and the second the log of ||gate||^d ||up|| ||down||, or ||up||^d ||down||. Layers of experts: the first "
        "expert.",
        depends=("flip", "permute", "scale-stream", "split"),
    ),
    _trait(
        "neurons.leading", ("layers", "n", 2),
        meaning="Quick fingerprints: the first and the third of `neurons.invariants`, of the leading neurons. Layers of "
        "experts: the first expert.",
        depends=("flip", "permute", "split"),
    ),
    _trait(
        "neurons.forms", ("layers", "n", len(COLUMNS)),
        meaning="Of each layer's heaviest neurons over all experts (at most 2048, and 4194304 / hidden), in order of weight, "
        "in folded form: expert, log ||gate||, log(||up|| ||down||), cos(gate, up), cos(gate, down), "
        "cos(up, down); then for what heads read as queries and as keys, write as outputs and read as values, the logs of "
        "g'Mg, u'Mu, d'Md, and g'Mu, g'Md, u'Md, of unit vectors.",
        depends=("flip", "permute", "scale-stream", "split", "split-heads"),
    ),
    _trait(
        "readings.*", ("n", "k"),
        meaning="Inner products of the gate (up) rows of the first layer's leading neurons, gains folded in, with the "
        "embeddings of the leading 64 tokens: at most 4096 neurons; in quick fingerprints fewer, about 0.24 % of the "
        "parameters, at least 256. Experts one after the other, an equal share of the neurons each.",
        depends=("flip", "scale", "scale-stream", "split"),
    ),
    _trait(
        "experts.norms", ("layers", "experts", 2),
        meaning="In folded form, L2 norm of each expert's router row around the mean row, and Frobenius norm of its gate "
        "(without one of its up; absent behind an activation that is homogeneous). Quick fingerprints: of the router row "
        "alone.",
        depends=("split",),
    ),
    _trait(
        "experts.profile", ("layers", "experts", 25),
        meaning="Quantiles .05, .25, .5, .75, .95 over the neurons of each expert of the five `neurons.invariants`, without "
        "the signs of cos(gate, up) and cos(gate, down).",
        depends=("scale-stream", "split"),
    ),
    _trait(
        "heads.qk_spectrum", ("layers", "heads", "rank"),
        meaning="Singular values of W_q,h^T W_k,g(h) in folded form, descending, a row for each query head. Where a norm "
        "stands behind queries and keys: its gains included, the size of what it norms divided out. Where they pass "
        "through latents: of the part that positions do not rotate, the gains of the latents' norms included.",
        depends=("split-heads",),
    ),
    _trait(
        "heads.vo_spectrum", ("layers", "heads", "rank"),
        meaning="Singular values of W_o,h W_v,g(h) in folded form, descending, a row for each query head. Where a norm "
        "stands behind the layer: divided by the root of the sum of all squares of the layer.",
        depends=("scale-stream", "split-heads"),
    ),
    _trait(
        "products.*_spectrum", ("layers", "k"),
        meaning="Singular values of W_q W_k^T (`qk`) and W_v W_o (`vo`) of a whole layer, K and V repeated to the query heads, "
        "descending: all of them where key-value heads x head size is at most 1024, else the leading 64 (GhostSpec). As "
        "stored: gains that are folded change them. Measured with `--scores` only.",
        depends=("fold-gains", "rotate", "scale-stream", "shift", "split-heads"),
        for_scores=True,
    ),
    _trait(
        "gains.*", ("layers", "n"), ("n",),
        meaning="Norm gains as the factor the model multiplies by; one row outside the layers (`gains.final`).",
        depends=("fold-gains", "rotate", "scale-stream", "shift"),
    ),
    _trait(
        "biases.*", ("layers", "n"), ("n",),
        meaning="Biases of linear maps.",
        depends=("mix", "rotate", "scale", "scale-stream", "shift", "split"),
    ),
    _trait(
        "norm_biases.*", ("layers", "n"), ("n",),
        meaning="Biases of LayerNorms.",
        depends=("fold-gains", "rotate", "scale-stream", "shift"),
    ),
    _trait(
        "sample.embedding", (1, 1024),
        meaning="As `sample.*`, of the input embedding.",
        depends=("permute", "rotate", "scale-stream", "shift"),
    ),
    _trait(
        "sample.head", (1, 1024),
        meaning="As `sample.*`, of the output head where it is not the embedding.",
        depends=("fold-gains", "permute", "rotate", "shift"),
    ),
    _trait(
        "sample.*", ("layers", 256),
        meaning="Entries at fixed pseudo-random positions of each matrix, the same in every layer.",
        depends=("flip", "fold-gains", "mix", "permute", "rotate", "scale", "scale-stream", "shift", "split", "split-heads"),
    ),
    _trait(
        "activations.norms", ("depth", 2),
        meaning="Mean and standard deviation, over all tokens of the probe texts, of hidden states' norms after each layer.",
    ),
    _trait(
        "hidden.grams", ("depth", "texts", "texts"),
        meaning="Inner products of the hidden states of the probe texts' last tokens after each layer, less their mean.",
    ),
    _trait(
        "logits.tokens", ("tokens",), dtype="uint64",
        meaning="64-bit BLAKE3 hashes of the token strings whose logits are kept, the 8192 smallest, ascending.",
    ),
    _trait(
        "logits.probe", ("texts", "tokens"),
        meaning="Logits of those tokens after each probe text.",
    ),
    _trait(
        "logits.outside", ("n", "k"),
        meaning="Orthonormal directions, 512 at most, of the space of the first k of those tokens that are orthogonal to the "
        "output head's columns: no logit vector of the model has a part in them.",
    ),
    _trait(
        "answers.yes", ("n", "k"),
        meaning="Probability of yes against no to each follow-up question (columns) after the answer to each question.",
    ),
    _trait(
        "tokenizer.sketch", ("n",), dtype="uint64",
        meaning="The 512 smallest 64-bit BLAKE3 hashes of the token strings: how far two vocabularies overlap.",
    ),
    _trait(
        "digests", ("parts", 32), dtype="uint8",
        meaning="BLAKE3 of each part's dtype, shape and entries, in the order of the fact `digest_parts`.",
        depends=("flip", "fold-gains", "mix", "permute", "rotate", "scale", "scale-stream", "shift", "split", "split-heads"),
    ),
    _trait(
        "others.digests", ("others", 32), dtype="uint8",
        meaning="BLAKE3 of dtype, shape and entries of each tensor without a role, in the order of the fact `others`.",
    ),
    _trait(
        "others.samples", ("others", 16), dtype="float64",
        meaning="Entries of each tensor without a role, evenly spread: to compare it with a copy in another type.",
    ),
)  # fmt: skip


COMPONENT = "component."
"""In front of the traits of a vision tower, an audio encoder: `component.vision_tower.channels.q`."""


def apart(name: str) -> tuple[str, str]:
    """The component that a trait belongs to, "" of the model itself, and the trait's name without it."""
    if not name.startswith(COMPONENT):
        return "", name
    component, _, own = name.removeprefix(COMPONENT).partition(".")
    return component, own


def describe(name: str) -> Trait | None:
    """The line of the table that a trait's name falls under, or None for a trait of someone else's."""
    return next((trait for trait in TRAITS if fnmatch.fnmatchcase(name, trait.pattern)), None)


def for_scores(name: str) -> bool:
    """Whether a trait is measured only where scores are asked for."""
    trait = describe(apart(name)[1])
    return trait is not None and trait.for_scores


def problem(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """What is wrong with the shapes of a fingerprint's traits, or None if they follow the table."""
    lengths: dict[tuple[str, str], tuple[int, str]] = {}
    for name, shape in shapes.items():
        component, own = apart(name)
        trait = describe(own)
        if trait is None:
            continue
        allowed = next((axes for axes in trait.shapes if len(axes) == len(shape)), None)
        if allowed is None:
            return f"trait {name} has shape {shape}, expected {' or '.join(map(_shown, trait.shapes))}"
        for axis, length in zip(allowed, shape, strict=True):
            if isinstance(axis, int) and axis != length:
                return f"trait {name} has shape {shape}, expected {_shown(allowed)}"
            if isinstance(axis, str) and axis not in FREE_AXES:
                known, other = lengths.setdefault((component, axis), (length, name))
                if known != length:
                    return f"trait {name} has {length} {axis}, but {other} has {known}"
    return None


def markdown_table(traits: Iterable[Trait] = TRAITS) -> str:
    """The table as it stands in the documentation."""
    rows = (
        (f"`{t.pattern}`", " or ".join(map(_shown, t.shapes)), t.dtype, _escaped(t.meaning), ", ".join(t.depends) or "-")
        for t in traits
    )
    lines = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join(["| trait | shape | dtype | meaning | changed by |", "|---|---|---|---|---|", *lines])


def _shown(axes: tuple[str | int, ...]) -> str:
    return f"({', '.join(map(str, axes))})"


def _escaped(text: str) -> str:
    return text.replace("|", r"\|")
