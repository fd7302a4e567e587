"""Where each expert of a mixture comes from, each with a p-value of its own.

Of an expert a fingerprint knows some neurons, with the signs that independent training makes as random as coin flips. Each
expert is asked about one layer of the reference, all its experts at once: the one that the expert's layer comes from
(`layers`), or is mapped to. That layer was found by looking at the same neurons, so the p-value counts for all layers of the
reference; then Holm's procedure over all experts.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kinprint.comparison.layers import CLEAR, LayerOrigin, holm
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint
from kinprint.json_numbers import finite
from kinprint.methods import Evidence, FromExpert, Method, SingleExperts, Test
from kinprint.statistics import alpha_of_each, bonferroni

State = Literal["shared", "new", "no-evidence"]


@dataclass(frozen=True)
class ExpertOrigin:
    """What is known of one expert of the suspect.

    Attributes:
        layer, expert: which it is.
        state: "shared", "new" (nothing was found by a test that found the sources of other experts with a wide margin),
            "no-evidence".
        source: layer and expert of the reference; None if none is known.
        log10_p: corrected for all layers of the reference and all experts of the suspect.
    """

    layer: int
    expert: int
    state: State
    source: tuple[int, int] | None
    log10_p: float

    def to_json(self) -> dict[str, Any]:
        return {
            "layer": self.layer,
            "expert": self.expert,
            "state": self.state,
            "source": None if self.source is None else {"layer": self.source[0], "expert": self.source[1]},
            "log10_p": finite(self.log10_p),
        }


def expert_origins(
    models: tuple[Fingerprint, Fingerprint],
    said: tuple[Sequence[Method], Sequence[Evidence]],
    layers: Sequence[LayerOrigin],
    layer_map: Sequence[int] | None,
    alpha: float,
) -> tuple[ExpertOrigin, ...]:
    """Every expert of the suspect in a layer whose source is known; () where the suspect has no experts, none of them is known
    by enough neurons, or nothing tells of any of them where it comes from.

    Args:
        models: reference and suspect.
        said: methods, and what they said of the two models; a test that is set aside is not asked.
        layers: where the layers of the suspect come from.
        layer_map: reference layer of each suspect layer, for those of which nothing else is known.
        alpha: probability with which any expert may be said to come from one that it has nothing in common with.
    """
    test, above = _test(models, said), models[0].layers or 0
    if test is None or not above:
        return ()
    sources = dict(enumerate(layer_map or ())) | {origin.layer: origin.sources[0] for origin in layers if origin.sources}
    every = [(layer, expert, n) for layer, known in sorted(test.units.items()) for expert, n in sorted(known.items())]
    if not any(expert for _, expert, _ in every):
        return ()
    of_each = alpha_of_each(alpha, above * len(every))
    level = math.log10(of_each)
    asked: dict[tuple[int, int], tuple[int, FromExpert]] = {
        (layer, expert): (sources[layer], test.test(sources[layer], layer, expert))
        for layer, expert, n in every
        if layer in sources and -test.bits * n <= level
    }
    places = list(asked)
    ps = holm({k: bonferroni(asked[place][1].log10_p, above) for k, place in enumerate(places)}, len(every))
    found = [log10_p for _, (log10_p, _) in asked.values() if log10_p <= level]
    if not found:
        return ()
    clear, origins = statistics.median(found) <= CLEAR * level, []
    for k, (layer, expert) in enumerate(places):
        from_layer, (_, source) = asked[layer, expert]
        shared = ps[k] <= math.log10(alpha)
        state: State = "shared" if shared else "new" if clear else "no-evidence"
        origins.append(ExpertOrigin(layer, expert, state, (from_layer, source) if shared else None, ps[k]))
    return tuple(origins)


def _test(models: tuple[Fingerprint, Fingerprint], said: tuple[Sequence[Method], Sequence[Evidence]]) -> SingleExperts | None:
    """The test of single experts that says most of all layers together, if any decides."""
    ask = {method.name: method.single_experts for method in said[0] if isinstance(method, Test) and method.single_experts}
    for item in said[1]:
        if item.decides and item.method in ask:
            try:
                return ask[item.method](*models)
            except NotApplicable:
                continue
    return None
