"""An audit as an in-toto statement about the release's files. Made to be signed (docs/supply-chain.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from kinprint._version import __version__
from kinprint.auditing.findings import FORMAT, Audit
from kinprint.checkpoints.hashes import FileHash
from kinprint.errors import ReportError
from kinprint.fingerprints.trait_table import TRAIT_VERSION
from kinprint.library.declarations.in_toto import NAMESPACE, STATEMENT_TYPE
from kinprint.reports.statement_predicate import resources, timestamp

PREDICATE_TYPE = f"urn:uuid:{NAMESPACE}#{FORMAT}"


def audit_statement(audit: Audit, files: Sequence[Sequence[FileHash]], when: datetime | None = None) -> str:
    """The statement (in-toto Attestation Framework, Statement v1) as JSON, the same bytes for the same audit.

    Args:
        audit: what was found.
        files: of every checkpoint with digests, in the order of the chain; the release's are what the statement is about.
        when: of the audit, if the statement shall say so.

    Raises:
        ReportError: the digest of a file of the release is not known.
    """
    release = resources(files[-1])
    if not release:
        problem = "a statement is about files, and the digest of one is not known"
        raise ReportError(audit.stages[-1].name, problem, "download the release first")
    stated = audit.to_json()
    for stage, own in zip(stated["chain"], files, strict=True):
        stage["files"] = resources(own)
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": release,
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "audit": stated,
            "measured_with": {"kinprint": __version__, "traits": TRAIT_VERSION},
            **({} if when is None else {"made": timestamp(when)}),
        },
    }
    return json.dumps(statement, indent=2, allow_nan=False) + "\n"
