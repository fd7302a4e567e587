"""What bills of materials by CycloneDX consist of: models, their files, the document around them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from kinprint._version import __version__
from kinprint.checkpoints.hashes import FileHash
from kinprint.errors import MissingExtraError, printable
from kinprint.library.declarations.in_toto import MAX_FILE_NAME, NAMESPACE

if TYPE_CHECKING:
    from cyclonedx.model.component import Component


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


def model_component(
    name: str, ref: str, files: Sequence[FileHash], properties: Mapping[str, str], revision: str = ""
) -> Component:
    """A model as a component, its files as components of it.

    Args:
        name: of the model; "org/name" gives a group.
        ref: by which the document names it.
        files: with their digests, as far as they are at hand.
        properties: what is said of it.
        revision: the hub's commit, which gives it a package URL; "" where there is none.
    """
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    group, _, own = name.rpartition("/")
    known = bool(revision and group and "+" not in name)
    return Component(
        name=own,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=ref,
        group=group or None,
        version=revision if known else None,
        purl=PackageURL("huggingface", group, own, revision) if known else None,
        components=[_file(file, f"{ref}/{number}") for number, file in enumerate(files)],
        properties=[Property(name=key, value=value) for key, value in properties.items()],
    )


def document(suspect: Component, cards: Mapping[str, Mapping[str, Any]], when: datetime | None = None) -> str:
    """The bill of materials (CycloneDX 1.6) of one component as JSON, the same bytes for the same component.

    Args:
        suspect: with its pedigree.
        cards: ref of a model -> its model card, which the schema wants of every model and the library does not know.
        when: the time that the document shall bear.
    """
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository
    from cyclonedx.output.json import JsonV1Dot6

    tool = Component(name="kinprint", type=ComponentType.APPLICATION, version=__version__, bom_ref="kinprint")
    bom = Bom(components=[suspect], metadata=BomMetaData(tools=ToolRepository(components=[tool])))
    bom.metadata.timestamp = when  # type: ignore[assignment]  # the library's default is now
    stated = json.loads(JsonV1Dot6(bom).output_as_string())
    main = stated["components"][0]
    pedigree = main.get("pedigree", {})
    for component in (
        main,
        *(model for where in ("ancestors", "descendants", "variants") for model in pedigree.get(where, ())),
    ):
        component["modelCard"] = cards.get(component["bom-ref"], {"modelParameters": {}})
    del stated["serialNumber"]
    stated["serialNumber"] = uuid5(UUID(NAMESPACE), json.dumps(stated, sort_keys=True)).urn
    return json.dumps(stated, indent=2, sort_keys=True, allow_nan=False) + "\n"


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
