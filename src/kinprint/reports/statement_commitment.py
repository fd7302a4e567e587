"""A commitment to a model as an in-toto statement, open or hidden behind a digest. Made to be signed and stamped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from kinprint._version import __version__
from kinprint.checkpoints.hashes import FileHash
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.trait_table import TRAIT_VERSION
from kinprint.library.declarations.commitments import FORMAT, OPENING, PREDICATE_TYPE
from kinprint.library.declarations.in_toto import STATEMENT_TYPE
from kinprint.reports.statement_predicate import require_files, resources


def open_commitment(model: Fingerprint, files: Sequence[FileHash], salt: bytes = b"") -> str:
    """The statement (in-toto Attestation Framework, Statement v1) as JSON, the same bytes for the same model and salt.

    Args:
        model: the fingerprint that is committed to.
        files: those of the model, or that of the fingerprint, each with its digest.
        salt: random bytes, which make it what opens a hidden commitment: nobody who has the model can guess its digest.

    Raises:
        ReportError: there are no files, or the digest of one is not known.
    """
    require_files(model.name, files)
    predicate: dict[str, Any] = {
        "format": FORMAT,
        "model": model.name,
        "fingerprint": {"blake3": model.digest},
        "measured_with": {"kinprint": __version__, "traits": TRAIT_VERSION},
        **({"salt": salt.hex()} if salt else {}),
    }
    return _statement(resources(files), predicate)


def hidden_commitment(opening: str) -> str:
    """The statement that shows nothing of what it commits to but the digest of a file.

    Args:
        opening: an open commitment with a salt; its file, kept byte for byte, opens the hidden one.
    """
    digest = hashlib.sha256(opening.encode()).hexdigest()
    return _statement([{"name": OPENING, "digest": {"sha256": digest}}], {"format": FORMAT, "hidden": True})


def _statement(subjects: Sequence[Mapping[str, Any]], predicate: Mapping[str, Any]) -> str:
    statement = {"_type": STATEMENT_TYPE, "subject": subjects, "predicateType": PREDICATE_TYPE, "predicate": predicate}
    return json.dumps(statement, indent=2, allow_nan=False) + "\n"
