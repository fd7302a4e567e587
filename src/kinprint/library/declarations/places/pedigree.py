"""The ancestors and licences of the model that CycloneDX files beside it describe (CycloneDX 1.5 and later)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from kinprint.checkpoints.folders import Location
from kinprint.checkpoints.json_text import parse_object
from kinprint.library.declarations.declaration import parsed
from kinprint.library.declarations.places._place import MAX_BASES, Place, Said

MAX_BOM = 16_000_000
MAX_BOMS = 8
MAX_COMPONENTS = 1000
_PURL = re.compile(r"pkg:huggingface/(?P<name>[^@?#]+)(@(?P<revision>[^?#]+))?.*", re.DOTALL)


def read(location: Location) -> Said:
    folder = location.folder
    names = sorted(n for n in folder.names() if n == "bom.json" or (n.endswith(".cdx.json") and "/" not in n))
    described = [_described(parse_object(source.read(MAX_BOM), source)) for source in folder.sources(names[:MAX_BOMS])]
    bases = tuple(parsed(name) for component in described for name in _ancestors(component))
    return Said(bases, tuple(licence for component in described for licence in _licences(component)))


def _described(bom: Mapping[str, Any]) -> Mapping[str, Any]:
    """The component that a bill of materials describes: the one in its metadata, else the only model in its list."""
    metadata = bom.get("metadata")
    component = metadata.get("component") if isinstance(metadata, dict) else None
    if isinstance(component, dict) and (component.get("pedigree") or component.get("licenses")):
        return component
    listed = bom.get("components")
    models = [
        item
        for item in (listed[:MAX_COMPONENTS] if isinstance(listed, list) else ())
        if isinstance(item, dict) and item.get("type") == "machine-learning-model" and item.get("pedigree")
    ]
    return models[0] if len(models) == 1 else {}


def _ancestors(component: Mapping[str, Any]) -> Iterator[str]:
    pedigree = component.get("pedigree")
    ancestors = pedigree.get("ancestors") if isinstance(pedigree, dict) else None
    for ancestor in ancestors[: MAX_BASES + 1] if isinstance(ancestors, list) else ():
        if isinstance(ancestor, dict) and ancestor.get("type", "machine-learning-model") == "machine-learning-model":
            yield _component_name(ancestor)


def _licences(component: Mapping[str, Any]) -> Iterator[str]:
    listed = component.get("licenses")
    for item in listed[:MAX_BASES] if isinstance(listed, list) else ():
        licence = item.get("license") if isinstance(item, dict) else None
        named = licence.get("id") or licence.get("name") if isinstance(licence, dict) else None
        if isinstance(named, str):
            yield named


def _component_name(component: Mapping[str, Any]) -> str:
    """A component's package URL of a hub, else group/name."""
    purl = component.get("purl")
    match = _PURL.fullmatch(purl) if isinstance(purl, str) else None
    if match:
        return unquote(match["name"]) + (f"@{match['revision']}" if match["revision"] else "")
    group, name = component.get("group"), component.get("name")
    return f"{group}/{name}" if isinstance(group, str) and group else str(name)


PLACE = Place("pedigree", 20, read)
