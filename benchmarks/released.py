"""Two released models, cut to their most important neurons: what a test by label makes of the order in which these are kept.

    python benchmarks/released.py ONE OTHER [--neurons 1024]

Pruning tools sort neurons by importance (norm of up times norm of down) before they cut. Both fingerprints are cut to the same
number of neurons a layer, once in their own order and once in order of importance, and compared by `neurons`; so is each with
itself after noise of a fiftieth. Printed are log10 p and what the labels of each whole model show.

Layers of one model were trained for themselves, so each model is also a stranger to itself with its layers in another place:
what the tests that no relabelling can make say of that, for every distance of layers.
"""

from __future__ import annotations

import argparse

import numpy as np

from kinprint import Fingerprint, fingerprint
from kinprint.comparison import examine
from kinprint.methods import known

NOISE = 0.02
NEURONS = next(method for method in known() if method.name == "neurons")


def cut(model: Fingerprint, count: int, *, ordered: bool) -> Fingerprint:
    """The most important neurons of every layer, in order of importance or in their own."""
    norms = np.asarray(model.traits["neurons.norms"], dtype=np.float64)
    chosen = np.argsort(-norms[..., 1] * norms[..., 2], axis=1)[:, :count]
    chosen = chosen if ordered else np.sort(chosen, axis=1)
    traits = {
        name: np.take_along_axis(np.asarray(model.traits[name], dtype=np.float64), chosen[..., None], axis=1)
        for name in ("neurons.norms", "neurons.invariants")
    }
    return Fingerprint(model.name, traits, model.facts)


def changed(model: Fingerprint) -> Fingerprint:
    """A copy with noise."""
    rng = np.random.default_rng(1)
    norms, invariants = model.traits["neurons.norms"], model.traits["neurons.invariants"]
    traits = {
        "neurons.norms": norms * np.exp(NOISE * rng.standard_normal(norms.shape)),
        "neurons.invariants": invariants + NOISE * rng.standard_normal(invariants.shape),
    }
    return Fingerprint("copy", traits, model.facts)


def moved(model: Fingerprint, distance: int) -> Fingerprint:
    """The model with every layer's traits in the place of those so many layers further."""
    names = ("heads.qk_spectrum", "heads.vo_spectrum", "neurons.forms")
    traits = {name: np.roll(model.traits[name], distance, axis=0) for name in names if name in model.traits}
    return Fingerprint("moved", traits, model.facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("one")
    parser.add_argument("other")
    parser.add_argument("--neurons", type=int, default=1024)
    arguments = parser.parse_args()
    models = [fingerprint(place) for place in (arguments.one, arguments.other)]
    for ordered in (False, True):
        one, other = (cut(model, arguments.neurons, ordered=ordered) for model in models)
        told = [f"against each other {NEURONS(one, other).log10_p:.2f}"]
        told += [f"{model.name} against its copy {NEURONS(model, changed(model)).log10_p:.0f}" for model in (one, other)]
        print(f"{'in order of importance' if ordered else 'in their own order'}: {'; '.join(told)}")
    for name in ("matched-heads", "matched-writes"):
        test = next(method for method in known() if method.name == name)
        for model in models:
            found = [test(model, moved(model, distance)) for distance in range(1, model.layers or 1)]
            z = [item.statistic for item in found if item.statistic is not None]
            if z:
                p = min(item.log10_p for item in found if item.log10_p is not None)
                print(
                    f"{name}, {model.name} against its own layers elsewhere: {len(z)} distances, mean z {np.mean(z):.2f}, "
                    f"standard deviation {np.std(z):.2f}, largest {max(z):.1f}, smallest log10 p {p:.1f}"
                )
    whole = examine((models[0], models[1]))
    print(f"whole: {whole.verdict}, log10 p {whole.log10_p:.2f}")
    for evidence in whole.tests:
        for side, checks in evidence.labels.items():
            shown = ", ".join(f"{check.order} {check.log10_p:.1f}" for check in checks if check.log10_p is not None)
            print(f"  {evidence.method}, {side}: {shown}")


if __name__ == "__main__":
    main()
