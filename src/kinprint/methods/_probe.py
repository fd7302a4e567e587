"""What methods on observed models share: both must have been observed on the same probe set."""

from __future__ import annotations

from typing import Literal

from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint


def require_same_probe(reference: Fingerprint, suspect: Fingerprint, part: Literal["texts", "questions"]) -> None:
    """Raise NotApplicable unless both models were given the same texts, cut at the same length, or the same questions."""
    keys = ("probe_texts", "observed_tokens") if part == "texts" else ("probe_questions",)
    if any(reference.facts.get(key) is None or reference.facts.get(key) != suspect.facts.get(key) for key in keys):
        raise NotApplicable(f"the models were observed on different {part}; observe both with the same probe set")
