"""The text of a model card, where a tool wrote it: the sentences of transformers' Trainer, Unsloth, mergekit and of quantisers.

Only sentences of a fixed form are read. What people write in words of their own is not understood here.
"""

from __future__ import annotations

import re

from kinprint.checkpoints.card import read_text
from kinprint.checkpoints.folders import CARD, Location
from kinprint.library.declarations.declaration import Declaration, parsed
from kinprint.library.declarations.places._place import MAX_BASES, Place, Said

_NAME = r"(?:\[\s*)?\**`?(?:https?://(?:www\.)?(?:huggingface\.co|hf\.co)/)?(?P<name>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?![\w/-])"
SENTENCES = (
    (re.compile(rf"This model is a fine-?tuned version of {_NAME}", re.IGNORECASE), "finetune"),  # transformers, trl
    (re.compile(rf"Finetuned from model\s*:\s*\**\s*:?\s*{_NAME}", re.IGNORECASE), "finetune"),  # unsloth
    (re.compile(rf"Original model:?\**\s*:?\s*{_NAME}", re.IGNORECASE), "quantized"),  # of GGUF and GPTQ copies
    (re.compile(rf"merge method using {_NAME}", re.IGNORECASE), "merge"),  # mergekit: "... as a base"
)
_MERGED = re.compile(r"included in the merge:\s*\n(?P<list>(?:\s*\n|[*-] .*(?:\n|\Z))+)", re.IGNORECASE)
_ITEM = re.compile(rf"^[*-] {_NAME}", re.MULTILINE)


def said(text: str) -> Said:
    """What the sentences of tools say."""
    found: list[Declaration] = []
    for sentence, relation in SENTENCES:
        found += [parsed(_name(match), relation) for match in list(sentence.finditer(text))[:MAX_BASES]]
    for merged in list(_MERGED.finditer(text))[:1]:
        found += [parsed(_name(match), "merge") for match in list(_ITEM.finditer(merged["list"]))[:MAX_BASES]]
    return Said(tuple(found))


def _name(match: re.Match[str]) -> str:
    """A full stop behind a name ends the sentence."""
    return match["name"].rstrip(".")


def read(location: Location) -> Said:
    return said(read_text(location.folder.source(CARD))) if location.folder.there({CARD}) else Said()


PLACE = Place("text of the card", 60, read)
