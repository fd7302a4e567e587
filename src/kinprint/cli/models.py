"""kinprint models"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kinprint.cli._options import JsonOption
from kinprint.cli._output import emit
from kinprint.errors import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from kinprint.library.on_this_disk import LocalModel


def command(as_json: JsonOption = False) -> None:
    """List the models that lie on this machine: in the hub's cache, Ollama's store, LM Studio's folders.

    Nothing is asked of these programs, and nothing is fetched. What is listed can be given to every command as it stands.
    HF_HUB_CACHE and OLLAMA_MODELS name other folders. `kinprint identify --all-local` looks for relatives of all of them.

    Example: kinprint models

    prints a line a model: its size, which program keeps it, what to type.
    """
    from kinprint.library.on_this_disk import local_models

    found = list(local_models())
    rows = [{"model": model.name, "kept_by": model.kept_by, "bytes": model.nbytes} for model in found]
    emit(as_json, lambda: {"format": "kinprint-models/1", "models": rows}, lambda: _shown(found))


def _shown(found: Sequence[LocalModel]) -> RenderableType:
    """A line a model, with what to type at its end: a name that breaks cannot be copied."""
    from rich.filesize import decimal
    from rich.text import Text

    from kinprint.checkpoints import ollama
    from kinprint.library.on_this_disk import hub_cache, lm_studio

    if not found:
        places = ", ".join(str(place) for place in (hub_cache(), ollama.store(), lm_studio()[0]))
        return Text(f"No models in {printable(places, 1000)}. A folder or a file elsewhere is given by its path.")
    return "\n".join(f"{decimal(model.nbytes):>9}  {model.kept_by:<9}  {printable(model.name, 1000)}" for model in found)
