"""A comparison as an in-toto statement: about these files, this was measured. Made to be signed (docs/supply-chain.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from kinprint.checkpoints.hashes import FileHash
from kinprint.comparison import Comparison
from kinprint.library.declarations.in_toto import STATEMENT_TYPE
from kinprint.library.declarations.statements import PREDICATE_TYPE
from kinprint.reports.statement_predicate import predicate, require_files, resources


def in_toto_statement(comparison: Comparison, files: Mapping[str, Sequence[FileHash]], when: datetime | None = None) -> str:
    """The statement (in-toto Attestation Framework, Statement v1) as JSON, the same bytes for the same comparison.

    Args:
        comparison: what was found.
        files: "reference", "suspect" -> their files with digests; the suspect's are what the statement is about.
        when: of the comparison, if the statement shall say so.

    Raises:
        ReportError: the suspect's files, or the digest of one, are not known.
    """
    require_files(comparison.suspect.name, files["suspect"])
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": resources(files["suspect"]),
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate(comparison, files["reference"], when),
    }
    return json.dumps(statement, indent=2, allow_nan=False) + "\n"
