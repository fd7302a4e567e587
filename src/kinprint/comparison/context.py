"""What two models have in common besides weights: facts for the reader, never evidence."""

from __future__ import annotations

from typing import Any

import numpy as np

from kinprint.comparison.one_sided import NOTHING, gain_spread, zero_share
from kinprint.fingerprints import Fingerprint

SHOWN = (
    "model_type", "num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim",
    "intermediate_size", "num_experts", "vocab_size", "parameters",
)  # fmt: skip


def context(reference: Fingerprint, suspect: Fingerprint) -> dict[str, Any]:
    """Facts about the pair: which numbers agree, how far the vocabularies overlap, what the cards declare.

    Returns:
        same, different: facts by name (different: the pair of values); token_overlap: estimated Jaccard index of the two
        vocabularies or None; declared_base: what each model's card names as its base model; quantization: how the weights of
        each model are stored where that is not as floating-point numbers; non_finite: weights that are NaN or infinite, by
        model; quick: share of the bytes that were read, of models measured quickly; gain_spread: how far norm gains have spread
        from 1, where they begin, and zeros: share of weights of exactly 0, by model where they differ.
    """
    both = [fact for fact in SHOWN if fact in reference.facts and fact in suspect.facts]
    return {
        "same": {f: reference.facts[f] for f in both if reference.facts[f] == suspect.facts[f]},
        "different": {f: [reference.facts[f], suspect.facts[f]] for f in both if reference.facts[f] != suspect.facts[f]},
        "token_overlap": _overlap(reference, suspect),
        "declared_base": {
            side: model.provenance.get("base_model") for side, model in (("reference", reference), ("suspect", suspect))
        },
        "quantization": {
            side: model.stated.quantization
            for side, model in (("reference", reference), ("suspect", suspect))
            if model.stated.quantization
        },
        "non_finite": {
            side: sum(model.stated.non_finite.values())
            for side, model in (("reference", reference), ("suspect", suspect))
            if model.stated.non_finite
        },
        "quick": {
            side: model.quick for side, model in (("reference", reference), ("suspect", suspect)) if model.quick is not None
        },
        "gain_spread": _apart(gain_spread(reference), gain_spread(suspect)),
        "zeros": _apart(zero_share(reference), zero_share(suspect)),
    }


def _apart(reference: float | None, suspect: float | None) -> dict[str, float]:
    """Both values, where both are known and differ."""
    if reference is None or suspect is None or abs(reference - suspect) <= NOTHING * max(abs(reference), abs(suspect)):
        return {}
    return {"reference": reference, "suspect": suspect}


def _overlap(reference: Fingerprint, suspect: Fingerprint) -> float | None:
    """Jaccard index of two vocabularies from their sketches (the smallest hashes of the union; Broder, 1997)."""
    a, b = (model.traits.get("tokenizer.sketch") for model in (reference, suspect))
    if a is None or b is None:
        return None
    union = np.union1d(a, b)[: max(len(a), len(b))]
    return float(np.isin(union, np.intersect1d(a, b)).mean())
