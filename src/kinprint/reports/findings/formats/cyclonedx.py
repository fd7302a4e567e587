"""Findings as a CycloneDX bill of materials: the model that was examined, and in its pedigree those that share weights with it.

They stand under `variants`, CycloneDX's word for "related, but it is unclear if one is derived from the other".
"""

from __future__ import annotations

import json

from kinprint.json_numbers import finite
from kinprint.reports.cyclonedx_parts import document, model_component, require_cyclonedx
from kinprint.reports.findings.finding import Finding, Findings
from kinprint.reports.statement_cyclonedx import NOTES
from kinprint.reports.statement_predicate import DIRECTIONS

SHARING = ("identical", "related", "confirmed", "undeclared-relative", "part")
"""Words of findings by which two models share weights."""


def render(found: Findings) -> str:
    """The bill of materials (CycloneDX 1.6) as JSON, the same bytes for the same findings.

    Raises:
        MissingExtraError: cyclonedx-python-lib is not installed.
        ReportError: the findings are about several models.
    """
    require_cyclonedx()
    from cyclonedx.model.component import Pedigree

    model = found.about_one("a bill of materials")
    stated = {"kinprint:sentence": found.sentence}
    if model.digest:
        stated["kinprint:fingerprint:blake3"] = model.digest
    suspect = model_component(model.name, "suspect", found.files(), stated)
    relatives = [finding for finding in found.findings if finding.word in SHARING and finding.other is not None]
    if relatives:
        variants = [
            model_component(finding.other.name, f"relative/{number}", (), _said(finding))
            for number, finding in enumerate(relatives)
            if finding.other is not None
        ]
        suspect.pedigree = Pedigree(notes=NOTES.format(direction=DIRECTIONS["variants"]), variants=variants)
    return document(suspect, {})


def _said(finding: Finding) -> dict[str, str]:
    """What was found of a relative, as properties of it."""
    stated = {"kinprint:verdict": finding.word, "kinprint:log10_p": json.dumps(finite(finding.log10_p))}
    if finding.other is not None and finding.other.digest:
        stated["kinprint:fingerprint:blake3"] = finding.other.digest
    return stated
