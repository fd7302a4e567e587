"""A comparison as a CycloneDX bill of materials: the suspect as a component, with what is known of its pedigree.

The pedigree says no more than what was measured. Related models stand under `variants`, CycloneDX's word for "related, but
it is unclear if one is derived from the other, or if they share a common ancestor"; under `ancestors` only where the
suspect's own card says so too. Models without evidence are in no pedigree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kinprint.checkpoints.hashes import FileHash
from kinprint.comparison import Comparison
from kinprint.comparison.context import SHOWN
from kinprint.errors import printable
from kinprint.fingerprints import Fingerprint
from kinprint.library.declarations.statements import EVIDENCE
from kinprint.reports.cyclonedx_parts import document, model_component, require_cyclonedx
from kinprint.reports.statement_predicate import DIRECTIONS, place, predicate

if TYPE_CHECKING:
    from cyclonedx.model.component import Component, Pedigree

NOTES = (
    "Found by comparing weights, with kinprint. Which of the two came first: {direction}. Sharing weights does not say whether "
    "using them was allowed; shared initial weights count too. The evidence is the component's property kinprint:evidence."
)


def cyclonedx_bom(comparison: Comparison, files: Mapping[str, Sequence[FileHash]], when: datetime | None = None) -> str:
    """The bill of materials (CycloneDX 1.6) as JSON, the same bytes for the same comparison.

    Args:
        comparison: what was found.
        files: "reference", "suspect" -> their files with digests, as far as they are at hand.
        when: of the comparison, if the document shall say so.

    Raises:
        MissingExtraError: cyclonedx-python-lib is not installed.
    """
    require_cyclonedx()
    evidence = json.dumps(predicate(comparison, files["reference"], when), separators=(",", ":"), allow_nan=False)
    suspect = _model(comparison.suspect, "suspect", files["suspect"], {**_said(comparison), EVIDENCE: evidence})
    suspect.pedigree = _pedigree(comparison, files["reference"])
    cards = {"suspect": _card(comparison.suspect), "reference": _card(comparison.reference)}
    return document(suspect, cards, when)


def _said(comparison: Comparison) -> dict[str, str]:
    """What programs look for, as properties of the component."""
    related = comparison.verdict in ("related", "identical")
    return {
        "kinprint:verdict": comparison.verdict,
        "kinprint:sentence": comparison.sentence(),
        "kinprint:log10_p": json.dumps(comparison.log10_p),
        "kinprint:alpha": json.dumps(comparison.alpha),
        **({"kinprint:direction": DIRECTIONS[place(comparison)]} if related else {}),
    }


def _pedigree(comparison: Comparison, files: Sequence[FileHash]) -> Pedigree | None:
    from cyclonedx.model.component import Pedigree

    if comparison.verdict not in ("related", "identical"):
        return None
    where = place(comparison)
    other = [_model(comparison.reference, "reference", files, {})]
    pedigree = Pedigree(notes=NOTES.format(direction=DIRECTIONS[where]))
    setattr(pedigree, where, other)
    return pedigree


def _model(model: Fingerprint, ref: str, files: Sequence[FileHash], stated: Mapping[str, str]) -> Component:
    revision = model.provenance.get("revision")
    properties = {**stated, "kinprint:fingerprint:blake3": model.digest}
    if model.quick is not None:
        properties["kinprint:quick"] = f"{model.quick:.4f}"
    return model_component(model.name, ref, files, properties, revision if isinstance(revision, str) else "")


def _card(model: Fingerprint) -> dict[str, Any]:
    architecture = model.stated.model_type
    return {
        "modelParameters": {"modelArchitecture": printable(architecture, 100)} if architecture else {},
        "properties": [
            {"name": f"kinprint:{fact}", "value": printable(model.facts[fact], 100)}
            for fact in SHOWN
            if fact in model.facts and fact != "model_type"
        ],
    }
