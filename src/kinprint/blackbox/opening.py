"""A suspect opened: a model behind a server, or one that is run here, with its budget and the file of its answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypedDict

from kinprint.blackbox.asking import Asker, Progress
from kinprint.observation.budget import Budget
from kinprint.observation.kept_answers import KeptAnswers
from kinprint.observation.suspects import Served, Suspect


class Asked(TypedDict, total=False):
    """How a suspect is asked.

    Attributes:
        api: URL of an OpenAI-compatible server, as `http://localhost:8000/v1`; without it the suspect is run here.
        timeout: seconds that one request to the server may take (60).
        max_requests, max_tokens: what may be spent; no limit by default. A question to a model that runs here is one request.
        answers: file in which its answers are kept as they come, so that a rerun asks the rest.
        device, batch: of a suspect that is run here: cpu, cuda or auto; texts at a time (8).
        progress: called with questions answered and questions in all.
    """

    api: str | None
    timeout: float
    max_requests: int | None
    max_tokens: int | None
    answers: str | os.PathLike[str] | None
    device: str
    batch: int
    progress: Progress


def opened(suspect: str, asked: Asked) -> Asker:
    """What asks a suspect.

    Args:
        suspect: a folder or a hub id; with `api` what the server calls the model.
        asked: how.

    Raises:
        MissingExtraError: it is run here, and torch or transformers is not installed.
        ObservationError: it cannot be loaded, or its kept answers are of another suspect.
    """
    budget = Budget(asked.get("max_requests"), asked.get("max_tokens"))
    model: Suspect
    if (api := asked.get("api")) is not None:
        model = Served(api, suspect, asked.get("timeout", 60.0), budget)
    else:
        from kinprint.observation.loaded import Loaded

        model = Loaded(suspect, device=asked.get("device", "cpu"), batch=asked.get("batch", 8), budget=budget)
    answers = asked.get("answers")
    kept = KeptAnswers(None if answers is None else Path(answers), model.name, model.where)
    return Asker(model, kept, asked.get("progress", lambda done, total: None))
