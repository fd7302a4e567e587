"""Files that hold the text of a licence. A NOTICE counts where it holds one: most say other things."""

from __future__ import annotations

import re

from kinprint.checkpoints.folders import Location
from kinprint.library.declarations.licences import recognised
from kinprint.library.declarations.places._place import Place, Said

FILES = re.compile(r"(licen[sc]e|copying|notice|use[_-]?policy)([._-][\w.-]{0,40})?", re.IGNORECASE)
MAX_FILES = 8
MAX_BYTES = 400_000


def read(location: Location) -> Said:
    names = sorted(name for name in location.folder.names() if FILES.fullmatch(name))[:MAX_FILES]
    texts = [source.read(MAX_BYTES).decode("utf-8", errors="replace") for source in location.folder.sources(names)]
    told = [text for name, text in zip(names, texts, strict=True) if not name.lower().startswith("notice") or _is_one(text)]
    return Said(licences=tuple(told))


def _is_one(text: str) -> bool:
    return recognised(text).kind != "not recognised"


PLACE = Place("licence file", 50, read)
