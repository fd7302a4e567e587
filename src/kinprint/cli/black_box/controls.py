"""kinprint black-box controls REFERENCE SUSPECT CONTROL..."""

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
    TextsOption,
    TimeoutOption,
)
from kinprint.cli._suspects import asker, prompts_of, require_suspect, say_cost
from kinprint.terms import ALPHA


def command(
    reference: Annotated[str, typer.Argument(help="The model that may be the ancestor: a folder or a hub id; it is run here.")],
    suspect: Annotated[str, typer.Argument(help="A folder or a hub id; with --api what the server calls the model.")],
    control: Annotated[list[str], typer.Argument(help="Models like SUSPECT that it does not come from; they are run here.")],
    api: ApiOption = None,
    prompts: PromptsOption = 1000,
    texts: TextsOption = None,
    genes: Annotated[
        int, typer.Option(min=0, help="Texts to each of 128 beginnings for PhyloLM's score, shown beside; the source takes 32.")
    ] = 0,
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
    """Test whether SUSPECT says what REFERENCE says more often than what any CONTROL says.

    All go on with beginnings of texts by their likeliest token. The p-value is relative to the controls: another reason than
    descent may make REFERENCE the closest (docs/black-box-heads.md). OPENAI_API_KEY is sent to --api if it is set.

    Example: kinprint black-box controls examples/models/base examples/models/finetune examples/models/twin --prompts 60

    prints the verdict, and how often SUSPECT agrees with each.
    """
    form = chosen(form, as_json, untested="black-box controls")
    for model in (reference, *control):
        require_suspect(model, None)
    require_suspect(suspect, api)
    from kinprint.blackbox.asking import Asker
    from kinprint.blackbox.beginnings import beginnings
    from kinprint.blackbox.controls import controls, questions
    from kinprint.blackbox.controls import genes as writing
    from kinprint.observation.loaded import Loaded
    from kinprint.reports import black_box_text
    from kinprint.reports.findings import of_black_box

    begun = beginnings(prompts_of(texts, prompts))
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
            say_cost(asking, [*questions(begun), *writing(begun, genes)])
        first, *others = (Asker(Loaded(model, device=device, batch=batch)) for model in (reference, *control))
        result = controls(first, asking, others, begun, samples=genes, alpha=alpha)
    publish(of_black_box(result, "" if api is not None else suspect), form, lambda: black_box_text(result))
