"""One model that another says it was made from, and what counts as the name of a model.

Every word is a stranger's. Names are only ever looked up as `org/name` or `name`; what has another form, a path above all, is
shown and never opened.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kinprint.errors import printable

KEEPS_WEIGHTS = ("finetune", "adapter", "quantized", "merge")
"""The relations that cards state, and that a hub infers where a card states none. All of them keep weights of the base."""

SPELLINGS = {
    "fine-tune": "finetune", "finetuned": "finetune", "fine-tuned": "finetune", "fine-tuning": "finetune",
    "quantised": "quantized", "quantization": "quantized", "quantisation": "quantized", "gguf": "quantized",
    "merged": "merge", "lora": "adapter", "peft": "adapter", "adapters": "adapter",
}  # fmt: skip
"""How else the relations are written."""

_NAME = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?)(@(?P<revision>\w[\w.-]*))?", re.ASCII)
_LONGEST_NAME = 96
_PAGE = re.compile(
    r"https?://(www\.)?(huggingface\.co|hf\.co)/(?P<name>[^/?#]+/[^/?#]+?)(/(tree|blob|resolve)/(?P<revision>[^/?#]+)[^?#]*)?/?",
    re.ASCII,
)


@dataclass(frozen=True)
class Declaration:
    """One model that another one says it was made from.

    Attributes:
        text: how it is named, made printable.
        name: `org/name` or `name`; empty where `text` is no name of a model.
        revision: asked for with it, or empty.
        relation: how the model was made from it, as declared; empty where nothing is said.
        where: what says so.
        of_weights: whether one of these speaks of weights. A configuration names what was loaded, which may have been nothing
            but a configuration.
    """

    text: str
    name: str
    revision: str = ""
    relation: str = ""
    where: tuple[str, ...] = ()
    of_weights: bool = True

    @property
    def claims_weights(self) -> bool:
        """Whether it claims that the base's weights are in the model."""
        return self.of_weights and (not self.relation or self.relation in KEEPS_WEIGHTS)


def parsed(written: object, relation: str = "") -> Declaration:
    """A declaration from what somebody wrote as the name of a model."""
    text = written.strip() if isinstance(written, str) else ""
    page = _PAGE.fullmatch(text)
    match = _NAME.fullmatch(page["name"] if page else text)
    if match is None or len(match["name"]) > _LONGEST_NAME or ".." in match["name"] or "--" in match["name"]:
        return Declaration(printable(written), "", "", relation)
    revision = match["revision"] or (page["revision"] if page else "") or ""
    return Declaration(printable(text), match["name"], "" if revision == "main" else revision, relation)


def relation(written: object) -> str:
    """A relation in the word that hubs have for it; another word as it is; "" for what is no word."""
    word = printable(written, 40).strip().lower() if isinstance(written, str) else ""
    return SPELLINGS.get(word, word)


def same_name(name: str, other: str) -> bool:
    """Whether two names may be of one model: equal, or one without the part before the slash that the other has."""
    if not name or not other:
        return False
    if "/" in name and "/" in other:
        return name == other
    return name.rpartition("/")[2] == other.rpartition("/")[2]
