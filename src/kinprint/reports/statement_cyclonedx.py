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
from uuid import UUID, uuid5

from kinprint._version import __version__
from kinprint.checkpoints.hashes import FileHash
from kinprint.comparison import Comparison
from kinprint.comparison.context import SHOWN
from kinprint.errors import MissingExtraError, printable
from kinprint.fingerprints import Fingerprint
from kinprint.library.declarations.in_toto import MAX_FILE_NAME, NAMESPACE
from kinprint.library.declarations.statements import EVIDENCE
from kinprint.reports.statement_predicate import DIRECTIONS, place, predicate

if TYPE_CHECKING:
    from cyclonedx.model.component import Component, Pedigree

NOTES = (
    "Found by comparing weights, with kinprint. Which of the two came first: {direction}. Sharing weights does not say whether "
    "using them was allowed; shared initial weights count too. The evidence is the component's property kinprint:evidence."
)


def require_cyclonedx() -> None:
    """To be called before hours of work.

    Raises:
        MissingExtraError: cyclonedx-python-lib is not installed.
    """
    try:
        import cyclonedx.model.component  # noqa: F401
    except ImportError as error:
        problem = "writing CycloneDX takes cyclonedx-python-lib"
        raise MissingExtraError("--cyclonedx", problem, "pip install 'kinprint[supply-chain]'") from error


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
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository
    from cyclonedx.output.json import JsonV1Dot6

    evidence = json.dumps(predicate(comparison, files["reference"], when), separators=(",", ":"), allow_nan=False)
    properties = {**_said(comparison), EVIDENCE: evidence}
    suspect = _model(comparison.suspect, "suspect", files["suspect"], properties)
    suspect.pedigree = _pedigree(comparison, files["reference"])
    tool = Component(name="kinprint", type=ComponentType.APPLICATION, version=__version__, bom_ref="kinprint")
    bom = Bom(components=[suspect], metadata=BomMetaData(tools=ToolRepository(components=[tool])))
    bom.metadata.timestamp = when  # type: ignore[assignment]  # the library's default is now
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    _add_cards(document["components"][0], comparison)
    del document["serialNumber"]
    document["serialNumber"] = uuid5(UUID(NAMESPACE), json.dumps(document, sort_keys=True)).urn
    return json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n"


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
    """A model as a component, its files as components of it."""
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    group, _, name = model.name.rpartition("/")
    revision = model.provenance.get("revision")
    known = isinstance(revision, str) and revision and group and "+" not in model.name
    properties = {**stated, "kinprint:fingerprint:blake3": model.digest}
    if model.quick is not None:
        properties["kinprint:quick"] = f"{model.quick:.4f}"
    return Component(
        name=name,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=ref,
        group=group or None,
        version=str(revision) if known else None,
        purl=PackageURL("huggingface", group, name, str(revision)) if known else None,
        components=[_file(file, f"{ref}/{number}") for number, file in enumerate(files)],
        properties=[Property(name=key, value=value) for key, value in properties.items()],
    )


def _file(file: FileHash, ref: str) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        name=printable(file.name, MAX_FILE_NAME),
        type=ComponentType.FILE,
        bom_ref=ref,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)] if file.sha256 else [],
        properties=[Property(name="kinprint:note", value=printable(file.note))] if file.note else [],
    )


def _add_cards(suspect: dict[str, Any], comparison: Comparison) -> None:
    """Model cards, which the schema wants of every model and the library does not know."""
    pedigree = suspect.get("pedigree", {})
    related = [model for where in ("ancestors", "descendants", "variants") for model in pedigree.get(where, ())]
    for component, model in ((suspect, comparison.suspect), *((other, comparison.reference) for other in related)):
        component["modelCard"] = _card(model)


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
