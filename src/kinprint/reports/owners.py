"""Where the parts of a model come from: its parts side by side, a colour for each model of a library that shares some."""

from __future__ import annotations

from markupsafe import Markup

from kinprint.comparison.parts import parameters
from kinprint.library.identify import Identification
from kinprint.reports.comparison_figures import Share, composition
from kinprint.terms import PARTS

COLOURS = 6
"""Colours that the style sheet has for owners (`.part.from0` ...); more than so many models share them in turn."""


def several_owners(identification: Identification) -> bool:
    """Whether there is something to say that a single name does not say."""
    return len({finding.digest for finding in identification.owners.values()}) > 1


def owners_picture(identification: Identification) -> Markup | None:
    """The parts of the suspect as wide as they have parameters; None where they do not come from several models."""
    if not several_owners(identification):
        return None
    suspect, owners = identification.suspect, identification.owners
    colours: dict[str, str] = {}
    pieces = []
    for part in (*PARTS, *suspect.components):
        component = suspect.components.get(part)
        size = parameters(suspect, part) if component is None else component.stated.parameters or 0
        finding = owners.get(part)
        if finding is not None:
            look = colours.setdefault(finding.digest, f"from{len(colours) % COLOURS}")
            pieces.append(Share(part, float(size), look, f"shared most clearly with {finding.name}"))
        elif size:
            pieces.append(Share(part, float(size), "no-evidence", "no relative here shares it"))
    return composition("Parts of the suspect, by the models that share them", pieces)
