"""The terms of reports, each explained in a sentence or two: for their pages and for the documentation."""

from __future__ import annotations

TERMS = {
    "p-value": (
        "How often two models that were trained independently would agree at least as well as these two. p ≤ 1e-6: at "
        "most once in a million such pairs. It is not the probability that the models are unrelated."
    ),
    "≤": ("The true p-value is no larger than what is written. Without the sign it is the p-value itself."),
    "corrected": (
        "Whoever tries many tests, or many models, finds something by chance. A corrected p-value was multiplied by the "
        "number of tries."
    ),
    "alpha": ("The p-value up to which a pair is called related: 1e-6 unless somebody set another."),
    "null hypothesis": (
        "What a test tries to refute: that the two models were trained independently. Each test says what follows from that."
    ),
    "permutation": (
        "Putting the units of one model in another order. Independent training makes every order equally likely, so the "
        "agreement under many orders shows what chance alone gives."
    ),
    "z": (
        "How far the agreement of the two models lies above that of permuted ones, in standard deviations. For strangers "
        "it nearly always lies between -3 and 3."
    ),
    "unit": (
        "A part of a model that comes in many copies without names: a residual channel, an attention head, a neuron, an expert."
    ),
    "label": (
        "The number of a unit in its matrix, and the sign of its weights. Somebody may change both without changing what "
        "the model computes."
    ),
    "made by": ("What somebody could have changed on purpose so that strangers show such evidence: labels, or nothing."),
    "test": ("A method with a p-value. Only tests decide."),
    "score": (
        "A published measure of similarity without a p-value. It decides nothing: unrelated models reach high scores too."
    ),
    "disguise": (
        "A change of the weights that does not change what the model computes: units reordered, rotated, rescaled, split."
    ),
    "reference, suspect": (
        "The model that may be the ancestor, and the model that is examined. The tests are the same either way."
    ),
    "fingerprint": ("A small file with what kinprint measures of a model. The model cannot be rebuilt from it."),
    "digest": ("A number that changes if a single bit of a file changes (SHA-256, BLAKE3)."),
}


def glossary_markdown() -> str:
    """The page of the documentation."""
    rows = "\n".join(f"| {term} | {meaning} |" for term, meaning in TERMS.items())
    return (
        "# Glossary\n\nThe terms of kinprint's reports. Every page that it writes has them at its end. [How to read a p-value "
        "here](p-values.md) says more about the first ones.\n\n| term | means |\n|---|---|\n" + rows + "\n"
    )
