"""kinprint black-box head-span REFERENCE SUSPECT"""

from __future__ import annotations

from typing import Annotated

import typer

from kinprint.checkpoints.places import require_there
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
    reference: Annotated[str, typer.Argument(help="The model whose output head it is: folder, file, hub id. It is not run.")],
    suspect: Annotated[str, typer.Argument(help="A folder or a hub id; with --api what the server calls the model.")],
    api: ApiOption = None,
    prompts: PromptsOption = 4,
    texts: TextsOption = None,
    order: Annotated[bool, typer.Option("--order", help="Use the order of tokens alone, not their probabilities.")] = False,
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
    """Test whether SUSPECT answers with REFERENCE's output head.

    The server must list log-probabilities of likely tokens: more of them than the hidden size, or few and biases on logits
    (`logit_bias`) that change which. REFERENCE's head is read from its weights. A fine-tune whose head was trained on has
    another head (docs/black-box-heads.md). OPENAI_API_KEY is sent to --api if it is set.

    Example: kinprint black-box head-span examples/models/base examples/models/twin

    prints REFUTED, and how much the head leaves unexplained.
    """
    form = chosen(form, as_json, untested="black-box head-span")
    require_there(reference)
    require_suspect(suspect, api)
    from kinprint.blackbox.head_span import head_span
    from kinprint.blackbox.output_heads import output_head
    from kinprint.reports import black_box_text
    from kinprint.reports.findings import of_black_box

    head = output_head(reference)
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
        result = head_span(
            head,
            asking,
            prompts_of(texts, prompts),
            order_alone=order,
            alpha=alpha,
            tell=lambda questions: say_cost(asking, questions) if api is not None else None,
        )
    publish(of_black_box(result, "" if api is not None else suspect), form, lambda: black_box_text(result))
