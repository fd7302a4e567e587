"""kinprint black-box limits SUSPECT"""

from __future__ import annotations

from typing import Annotated

import typer

from kinprint.cli._options import ApiOption, JsonOption, MaxRequestsOption, MaxTokensOption, TimeoutOption
from kinprint.cli._output import emit
from kinprint.cli._suspects import asker, require_suspect


def command(
    suspect: Annotated[str, typer.Argument(help="A folder or a hub id; with --api what the server calls the model.")],
    api: ApiOption = None,
    max_requests: MaxRequestsOption = None,
    max_tokens: MaxTokensOption = None,
    timeout: TimeoutOption = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Find out what SUSPECT gives: log-probabilities of a text, likely tokens, samples; by about a dozen short requests.

    Example: kinprint black-box limits examples/models/base
    """
    require_suspect(suspect, api)
    from kinprint.observation.limits import limits

    with asker(suspect, api=api, timeout=timeout, max_requests=max_requests, max_tokens=max_tokens, answers=None) as asking:
        found = limits(asking.suspect)
    emit(as_json, found.to_json, lambda: "\n".join(f"{asking.name} {sentence}" for sentence in found.sentences()))
