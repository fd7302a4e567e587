"""The front matter of a model card: `base_model`, `base_model_relation`, `license`, and how else people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kinprint.checkpoints.card import read_card
from kinprint.checkpoints.folders import CARD, Location
from kinprint.library.declarations.declaration import parsed, relation
from kinprint.library.declarations.places._place import Place, Said, in_file, strings

BASES = ("basemodel", "basemodels", "basemodelname", "basemodelnameorpath", "finetunedfrom", "parentmodel", "parentmodels")
RELATIONS = ("basemodelrelation", "relation")
LICENCES = ("license", "licence", "licensename", "licencename")


def said(card: Mapping[str, Any]) -> Said:
    """What a front matter says, whatever the spelling of its keys: without hyphens, underscores and capitals they are one."""
    by_key = {re.sub(r"[-_ ]", "", key).lower(): value for key, value in reversed(list(card.items()))}
    word = next((word for key in RELATIONS if (word := relation(by_key.get(key)))), "")
    names = [name for key in BASES for written in _listed(by_key.get(key)) for name in strings(written)]
    unreadable = [value for key in BASES for value in _listed(by_key.get(key)) if not strings(value)]
    licences = [name for key in LICENCES for name in strings(by_key.get(key)) if name.lower() != "other"]
    bases = [parsed(name.strip(), word) for written in names for name in written.split(",")]
    return Said((*bases, *(parsed(value, word) for value in unreadable)), tuple(licences))


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def read(location: Location) -> Said:
    return said(in_file(location, CARD, read_card))


PLACE = Place("card", 0, read)
