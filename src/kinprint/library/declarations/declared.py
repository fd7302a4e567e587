"""What a model says it was made from: its card, its configuration, an adapter's configuration, a CycloneDX pedigree.

Every word of it is a stranger's. Names are only ever looked up as `org/name` or `name`; what has another form, a path above
all, is shown and never opened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from kinprint.checkpoints.adapters import is_alone, parts_of
from kinprint.checkpoints.card import read_card
from kinprint.checkpoints.folders import CARD as CARD_FILE
from kinprint.checkpoints.folders import CONFIG, Location, ModelFolder
from kinprint.checkpoints.json_text import parse_object
from kinprint.checkpoints.opening import located, read_config
from kinprint.checkpoints.source import ByteSource
from kinprint.checkpoints.weight_choice import ADAPTER_CONFIG
from kinprint.errors import CheckpointError, printable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.from_model import SUFFIX

CARD, CONFIGURATION, ADAPTER, PEDIGREE = "card", "configuration", "adapter configuration", "pedigree"
KEEPS_WEIGHTS = ("finetune", "adapter", "quantized", "merge")
"""The relations that cards state, and that a hub infers where a card states none. All of them keep weights of the base."""

MAX_BASES = 32
MAX_BOM = 16_000_000
MAX_BOMS = 8
MAX_COMPONENTS = 1000

_NAME = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?)(@(?P<revision>\w[\w.-]*))?", re.ASCII)
_LONGEST_NAME = 96
_PURL = re.compile(r"pkg:huggingface/(?P<name>[^@?#]+)(@(?P<revision>[^?#]+))?.*", re.DOTALL)
_PAGE = re.compile(r"https?://(www\.)?(huggingface\.co|hf\.co)/(?P<name>[^/?#]+/[^/?#]+)/?", re.ASCII)


@dataclass(frozen=True)
class Declaration:
    """One model that another one says it was made from.

    Attributes:
        text: how it is named, made printable.
        name: `org/name` or `name`; empty where `text` is no name of a model.
        revision: asked for with it, or empty.
        relation: how the model was made from it, as declared; empty where nothing is said.
        where: what says so.
    """

    text: str
    name: str
    revision: str = ""
    relation: str = ""
    where: tuple[str, ...] = ()

    @property
    def claims_weights(self) -> bool:
        """Whether it claims that the base's weights are in the model. A configuration alone only names what was loaded, and
        loading a configuration says nothing about weights."""
        return self.where != (CONFIGURATION,) and (not self.relation or self.relation in KEEPS_WEIGHTS)


@dataclass(frozen=True)
class Declared:
    """All that a model declares.

    Attributes:
        declarations: in the order card, adapter, pedigree, configuration; each base once.
        is_adapter: the model is an adapter without a base of its own.
        notes: what could not be read or is no declaration, for people.
    """

    declarations: tuple[Declaration, ...] = ()
    is_adapter: bool = False
    notes: tuple[str, ...] = field(default=())


def read_declared(model: str, *, offline: bool = False) -> Declared:
    """What the model that the user calls `model` declares. Damaged cards and pedigrees become notes.

    Raises:
        CheckpointError: the model cannot be found, or is not on this disk and `offline` is set.
        FingerprintError: it is a `.kinprint` file that cannot be read.
    """
    if Path(model).suffix == SUFFIX:
        return _together([(CARD, _of_card({"base_model": Fingerprint.load(model).provenance.get("base_model")}))], [])
    both = parts_of(model)
    location = located(model if both is None else both[1], offline=offline)
    folder, notes = location.folder, list[str]()

    def in_file(name: str, read: Callable[[ByteSource], dict[str, Any]]) -> dict[str, Any]:
        return read(folder.source(name)) if folder.there({name}) else {}

    by_place = [
        (CARD, _read(notes, lambda: _of_card(in_file(CARD_FILE, read_card)))),
        (ADAPTER, _read(notes, lambda: _of_field(in_file(ADAPTER_CONFIG, read_config), "base_model_name_or_path", "adapter"))),
        (PEDIGREE, _read(notes, lambda: list(_of_pedigrees(folder)))),
        (CONFIGURATION, _read(notes, lambda: _of_configuration(in_file(CONFIG, read_config)))),
    ]
    return replace(_together(by_place, notes), is_adapter=both is None and _is_adapter(location))


def parsed(written: object, relation: str = "") -> Declaration:
    """A declaration from what somebody wrote as the name of a model."""
    text = written.strip() if isinstance(written, str) else ""
    page = _PAGE.fullmatch(text)
    match = _NAME.fullmatch(page["name"] if page else text)
    if match is None or len(match["name"]) > _LONGEST_NAME or ".." in match["name"] or "--" in match["name"]:
        return Declaration(printable(written), "", "", relation)
    return Declaration(printable(text), match["name"], match["revision"] or "", relation)


def same_name(name: str, other: str) -> bool:
    """Whether two names may be of one model: equal, or one without the part before the slash that the other has."""
    if not name or not other:
        return False
    if "/" in name and "/" in other:
        return name == other
    return name.rpartition("/")[2] == other.rpartition("/")[2]


def _together(by_place: list[tuple[str, list[Declaration]]], notes: list[str]) -> Declared:
    """Each base once, with everything that names it; the first relation that is stated holds."""
    merged: dict[str, Declaration] = {}
    for place, declarations in by_place:
        for declaration in declarations:
            known = merged.get(declaration.name or declaration.text, replace(declaration, where=()))
            merged[declaration.name or declaration.text] = replace(
                known, relation=known.relation or declaration.relation, where=tuple(dict.fromkeys((*known.where, place)))
            )
    if len(merged) > MAX_BASES:
        notes = [*notes, f"{len(merged):,} models are declared; the first {MAX_BASES} are looked at"]
    return Declared(tuple(merged.values())[:MAX_BASES], notes=tuple(notes))


def _read(notes: list[str], read: Callable[[], list[Declaration]]) -> list[Declaration]:
    try:
        return read()
    except CheckpointError as error:
        notes.append(str(error))
        return []


def _is_adapter(location: Location) -> bool:
    """Whether there are no weights beside an adapter's."""
    try:
        return is_alone(location)
    except CheckpointError:
        return False


def _of_card(card: Mapping[str, Any]) -> list[Declaration]:
    """`base_model`, a name or a list of names, and `base_model_relation`."""
    relation = card.get("base_model_relation")
    base = card.get("base_model")
    names = base if isinstance(base, list) else [] if base in (None, "") else [base]
    word = printable(relation, 40).strip().lower() if isinstance(relation, str) else ""
    return [parsed(name, word) for name in names[: MAX_BASES + 1]]


def _of_field(config: Mapping[str, Any], key: str, relation: str) -> list[Declaration]:
    name = config.get(key)
    return [parsed(name, relation)] if isinstance(name, str) and name.strip() else []


def _of_configuration(config: Mapping[str, Any]) -> list[Declaration]:
    """`_name_or_path`, where it is an `org/name`: everything else is how somebody called a folder of theirs."""
    return [declaration for declaration in _of_field(config, "_name_or_path", "") if "/" in declaration.name]


def _of_pedigrees(folder: ModelFolder) -> Iterator[Declaration]:
    """The ancestors of the model that CycloneDX files beside it describe (CycloneDX 1.5 and later, component.pedigree)."""
    names = sorted(n for n in folder.names() if n == "bom.json" or (n.endswith(".cdx.json") and "/" not in n))
    for source in folder.sources(names[:MAX_BOMS]):
        bom = parse_object(source.read(MAX_BOM), source)
        component = _described(bom)
        pedigree = component.get("pedigree")
        ancestors = pedigree.get("ancestors") if isinstance(pedigree, dict) else None
        for ancestor in ancestors[: MAX_BASES + 1] if isinstance(ancestors, list) else ():
            if isinstance(ancestor, dict) and ancestor.get("type", "machine-learning-model") == "machine-learning-model":
                yield parsed(_component_name(ancestor))


def _described(bom: Mapping[str, Any]) -> Mapping[str, Any]:
    """The component that a bill of materials describes: the one in its metadata, else the only model in its list."""
    metadata = bom.get("metadata")
    component = metadata.get("component") if isinstance(metadata, dict) else None
    if isinstance(component, dict) and component.get("pedigree"):
        return component
    listed = bom.get("components")
    models = [
        item
        for item in (listed[:MAX_COMPONENTS] if isinstance(listed, list) else ())
        if isinstance(item, dict) and item.get("type") == "machine-learning-model" and item.get("pedigree")
    ]
    return models[0] if len(models) == 1 else {}


def _component_name(component: Mapping[str, Any]) -> str:
    """A component's package URL of a hub, else group/name."""
    purl = component.get("purl")
    match = _PURL.fullmatch(purl) if isinstance(purl, str) else None
    if match:
        return unquote(match["name"]) + (f"@{match['revision']}" if match["revision"] else "")
    group, name = component.get("group"), component.get("name")
    return f"{group}/{name}" if isinstance(group, str) and group else str(name)
