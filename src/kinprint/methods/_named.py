"""What tests by index must not test: units that have names, in either model."""

from __future__ import annotations

from kinprint.architectures.named import why_named
from kinprint.errors import NotApplicable
from kinprint.fingerprints import Fingerprint


def require_unnamed(space: str, *models: Fingerprint) -> None:
    """Raise NotApplicable, with the reason, if one of the models names the units of a space by construction.

    Args:
        space: one of `kinprint.architectures.named.SPACES`.
    """
    for model in models:
        if (why := why_named(model.facts, space)) is not None:
            raise NotApplicable(f"{model.name} {why}")
