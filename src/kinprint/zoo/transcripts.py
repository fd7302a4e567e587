"""The order in which a member of a zoo read its texts, made again from its recipe."""

from __future__ import annotations

import json
from pathlib import Path

from kinprint.checkpoints.files import replacing
from kinprint.errors import MissingExtraError, ZooError
from kinprint.zoo.families import SHAPES
from kinprint.zoo.lineage import Lineage
from kinprint.zoo.recipes import Recipe, Train, habitual
from kinprint.zoo.windows import starts, steps_of


def own_training(recipe: Recipe) -> Train | None:
    """The last training among the steps of a member itself."""
    return next((step for step in reversed(recipe.steps) if isinstance(step, Train)), None)


def write_transcript(zoo: Path, name: str, target: Path) -> int:
    """Write what a member read in its last training, as JSON lines: text, position (the step, from 0), source.

    Args:
        zoo: its folder.
        name: of the member.
        target: the file.

    Returns:
        how many texts.

    Raises:
        ZooError: there is no such member, it was not trained itself, or its tokenizer is missing.
    """
    try:
        from transformers import PreTrainedTokenizerFast
    except ImportError as error:
        raise MissingExtraError("zoo", "reads tokenizers with transformers", "pip install 'kinprint[behaviour]'") from error
    from kinprint.zoo.text import tokens

    lineage = Lineage.read(zoo)
    recipe = {each.member.name: each for each in habitual(lineage.size)}.get(name)
    if recipe is None:
        raise ZooError(name, "no member of this zoo", "see `kinprint zoo list`")
    step = own_training(recipe)
    if step is None:
        raise ZooError(name, "was not trained, only changed", f"take {' or '.join(recipe.member.parents)}")
    file = zoo / name / "tokenizer.json"
    if not file.exists():
        raise ZooError(file, "is missing", "finish the zoo: `kinprint zoo build`")
    shape = SHAPES[lineage.size]
    ids = tokens(step.text, lineage.size, file, zoo / "tokens")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(file))  # type: ignore[no-untyped-call]
    count = 0
    with replacing(target) as written:
        for position, batch in enumerate(starts(len(ids), shape, steps_of(step.length, shape), step.order)):
            for start in batch:
                text = tokenizer.decode(ids[start : start + shape.length].tolist(), clean_up_tokenization_spaces=False)
                written.write(json.dumps({"text": text, "position": position}).encode() + b"\n")
                count += 1
    return count
