"""Findings as an in-toto Statement v1 about the files of the model that was examined. Made to be signed."""

from __future__ import annotations

import json

from kinprint._version import __version__
from kinprint.fingerprints.trait_table import TRAIT_VERSION
from kinprint.json_numbers import finite
from kinprint.library.declarations.in_toto import NAMESPACE, STATEMENT_TYPE
from kinprint.reports.findings.finding import Findings
from kinprint.reports.statement_predicate import require_files, resources

FORMAT = "kinprint-findings/1"


def render(found: Findings) -> str:
    """The statement, the same bytes for the same findings.

    Raises:
        ReportError: the findings are about several models, or files and their digests are not known.
    """
    model = found.about_one("a statement")
    files = found.files()
    require_files(model.name, files)
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": resources(files),
        "predicateType": f"urn:uuid:{NAMESPACE}#{FORMAT}",
        "predicate": {
            "format": FORMAT,
            "command": found.command,
            "sentence": found.sentence,
            "findings": [
                {
                    "other": None if finding.other is None else finding.other.name,
                    "other_fingerprint": finding.other.digest or None if finding.other is not None else None,
                    "finding": finding.word,
                    "log10_p": finite(finding.log10_p),
                    "sentence": finding.sentence,
                }
                for finding in found.findings
            ],
            "measured_with": {"kinprint": __version__, "traits": TRAIT_VERSION},
        },
    }
    return json.dumps(statement, indent=2, allow_nan=False) + "\n"
