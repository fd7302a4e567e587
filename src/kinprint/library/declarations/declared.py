"""All that a model says it was made from, read from every place that there is (`places`)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from kinprint.checkpoints.adapters import is_alone, parts_of
from kinprint.checkpoints.folders import Location
from kinprint.checkpoints.opening import located
from kinprint.errors import CheckpointError, printable
from kinprint.fingerprints import Fingerprint
from kinprint.fingerprints.from_model import SUFFIX
from kinprint.library.declarations.declaration import Declaration
from kinprint.library.declarations.licences import Licence, recognised
from kinprint.library.declarations.places import Place, Said, card, places
from kinprint.library.declarations.places._place import MAX_BASES


@dataclass(frozen=True)
class Declared:
    """All that a model declares.

    Attributes:
        declarations: in the order of the places; each base once.
        licences: that it is said to be under; each once.
        called: what its weights file calls it, printable; empty where it says nothing.
        is_adapter: the model is an adapter without a base of its own.
        notes: what could not be read or is no declaration, for people.
    """

    declarations: tuple[Declaration, ...] = ()
    licences: tuple[Licence, ...] = ()
    called: str = ""
    is_adapter: bool = False
    notes: tuple[str, ...] = field(default=())


def read_declared(model: str, *, offline: bool = False) -> Declared:
    """What the model that the user calls `model` declares. Damaged cards and pedigrees become notes.

    Raises:
        CheckpointError: the model cannot be found, or is not on this disk and `offline` is set.
        FingerprintError: it is a `.kinprint` file that cannot be read.
    """
    if Path(model).suffix == SUFFIX:
        return of_fingerprint(Fingerprint.load(model))
    both = parts_of(model)
    location = located(model if both is None else both[1], offline=offline)
    notes: list[str] = []
    said = [(place, _read(place, location, notes)) for place in places()]
    return replace(_together(said, notes), is_adapter=both is None and _is_adapter(location))


def of_fingerprint(model: Fingerprint) -> Declared:
    """What the card said when the model was measured."""
    kept = {key: model.provenance.get(key) for key in ("base_model", "license", "license_name")}
    return _together([(card.PLACE, card.said(kept))], [])


def _read(place: Place, location: Location, notes: list[str]) -> Said:
    try:
        return place.read(location)
    except CheckpointError as error:
        notes.append(str(error))
        return Said()


def _together(said: list[tuple[Place, Said]], notes: list[str]) -> Declared:
    """Each base once, with everything that names it; the first relation that is stated holds."""
    merged: dict[str, Declaration] = {}
    for place, content in said:
        for base in content.bases:
            key = base.name or base.text
            known = merged.get(key, replace(base, where=(), of_weights=False))
            merged[key] = replace(
                known,
                relation=known.relation or base.relation,
                revision=known.revision or base.revision,
                where=tuple(dict.fromkeys((*known.where, place.name))),
                of_weights=known.of_weights or place.of_weights,
            )
    if len(merged) > MAX_BASES:
        notes = [*notes, f"{len(merged):,} models are declared; the first {MAX_BASES} are looked at"]
    licences = [recognised(written, place.name) for place, content in said for written in content.licences]
    called = next((printable(content.called, 100) for _, content in said if content.called), "")
    once = {licence.id: licence for licence in reversed(licences)}
    return Declared(tuple(merged.values())[:MAX_BASES], tuple(reversed(once.values())), called, notes=tuple(notes))


def _is_adapter(location: Location) -> bool:
    """Whether there are no weights beside an adapter's."""
    try:
        return is_alone(location)
    except CheckpointError:
        return False
