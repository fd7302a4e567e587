"""kinprint black-box same-endpoint REFERENCE SUSPECT"""

from __future__ import annotations

from typing import Annotated

import typer

from kinprint.cli._findings import chosen, publish
from kinprint.cli._options import (
    AlphaOption,
    AnswersOption,
    ApiOption,
    BatchOption,
    DeviceOption,
    FormatOption,
    JsonOption,
    MaxRequestsOption,
    MaxTokensOption,
    PromptsOption,
    TemperatureOption,
    TextsOption,
    TimeoutOption,
)
from kinprint.cli._suspects import asker, prompts_of, require_suspect, say_cost
from kinprint.terms import ALPHA


def command(
    reference: Annotated[str, typer.Argument(help="The model that it says it is: a folder or a hub id; it is run here.")],
    suspect: Annotated[str, typer.Argument(help="A folder or a hub id; with --api what the server calls the model.")],
    api: ApiOption = None,
    prompts: PromptsOption = 40,
    samples: Annotated[int, typer.Option(min=2, help="Texts that either model writes to each.")] = 10,
    length: Annotated[int, typer.Option("--length", min=1, help="Tokens of each at most.")] = 24,
    temperature: TemperatureOption = 1.0,
    texts: TextsOption = None,
    max_requests: MaxRequestsOption = None,
    max_tokens: MaxTokensOption = None,
    answers: AnswersOption = None,
    timeout: TimeoutOption = 60.0,
    device: DeviceOption = "cpu",
    batch: BatchOption = 8,
    alpha: AlphaOption = ALPHA,
    form: FormatOption = "table",
    as_json: JsonOption = False,
) -> None:
    """Test whether SUSPECT still serves REFERENCE: whether it writes texts of the same distribution.

    Texts can refute that and never show it. Where the server also gives log-probabilities of a text that it is sent, they can
    show it (docs/black-box-heads.md). OPENAI_API_KEY is sent to --api if it is set.

    Example: kinprint black-box same-endpoint examples/models/base examples/models/base --prompts 10 --samples 4 --length 8

    prints SAME-DEPLOYMENT.
    """
    form = chosen(form, as_json, untested="black-box same-endpoint")
    require_suspect(reference, None)
    require_suspect(suspect, api)
    from kinprint.blackbox.asking import Asker
    from kinprint.blackbox.same_endpoint import plan, same_endpoint
    from kinprint.observation.loaded import Loaded
    from kinprint.reports import black_box_text
    from kinprint.reports.findings import of_black_box

    begun = prompts_of(texts, prompts)
    asked = plan(begun, samples=samples, tokens=length, temperature=temperature)
    with asker(
        suspect,
        api=api,
        timeout=timeout,
        max_requests=max_requests,
        max_tokens=max_tokens,
        answers=answers,
        device=device,
        batch=batch,
    ) as asking:
        if api is not None:
            say_cost(asking, asked.of_suspect)
        result = same_endpoint(Asker(Loaded(reference, device=device, batch=batch)), asking, asked, alpha=alpha)
    publish(of_black_box(result, "" if api is not None else suspect), form, lambda: black_box_text(result))
