"""Making one member of a zoo: its steps one after the other, its folder moved into place when it is complete."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kinprint import transforms
from kinprint.checkpoints.files import replacing_folder
from kinprint.zoo import habits
from kinprint.zoo.families import SHAPES, configuration, settings
from kinprint.zoo.recipes import Fresh, Habit, Recipe, Train, Transform
from kinprint.zoo.text import make_tokenizer, tokens

MARK = "member.json"
TOKENIZERS = {"main": "code", "other": "prose"}
"""Name of a tokenizer -> the text it is trained on."""

Tell = Callable[[int, int, float], None]

CARD = """---
license: apache-2.0
{base}---

# {name}

A small {family} model. {text} Made by `kinprint zoo build` (size {size}); for measuring tools of provenance, not for
generating text.
"""


def digests(recipes: tuple[Recipe, ...], size: str) -> dict[str, str]:
    """member -> digest of what its weights depend on: steps, parents, size, and the Python whose library is read."""
    digests: dict[str, str] = {}
    for recipe in recipes:
        needed = [digests[name] for name in recipe.needs]
        fresh = [settings(step.family, SHAPES[size]) for step in recipe.steps if isinstance(step, Fresh)]
        content = repr((recipe.member, recipe.steps, SHAPES[size], fresh, sys.version_info[:2], needed))
        digests[recipe.member.name] = hashlib.sha256(content.encode()).hexdigest()
    return digests


def finished(folder: Path, digest: str) -> bool:
    """Whether the folder holds the member that the digest describes."""
    try:
        return bool(json.loads((folder / MARK).read_text())["digest"] == digest)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def prepare(zoo: Path, size: str) -> None:
    """The tokenizers of a zoo, made once."""
    for name, kind in TOKENIZERS.items():
        target = zoo / "tokenizers" / name
        if target.exists():
            continue
        with replacing_folder(target) as folder:
            make_tokenizer(kind, size, SHAPES[size].vocabulary, folder)


def make(recipe: Recipe, zoo: Path, size: str, device: str, digest: str, tell: Tell | None = None) -> None:
    """Make one member in `zoo / name`; its parents are there. Runs on one thread, so that the weights repeat.

    Args:
        device: "cpu" or "cuda", for training.
        digest: to recognise it by later.
        tell: called with steps done, steps in all and the loss.
    """
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    work = Path(tempfile.mkdtemp(prefix=f".{recipe.member.name}.", dir=zoo))
    try:
        at = zoo / recipe.member.parents[0] if recipe.member.parents else None
        for number, step in enumerate(recipe.steps):
            target = work / str(number)
            if isinstance(step, Transform):
                assert at is not None
                _transform(step, at, target, zoo)
            elif isinstance(step, Habit):
                assert at is not None
                transforms.write(habits.known()[step.name](transforms.read_model(at), step.seed), target)
            elif isinstance(step, Train):
                _train(step, at, target, zoo, size, device, tell)
            else:
                _fresh(step, target, zoo, size)
            at = target
        assert at is not None
        _label(recipe, at, size, digest)
        final = zoo / recipe.member.name
        shutil.rmtree(final, ignore_errors=True)
        at.replace(final)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _fresh(step: Fresh, target: Path, zoo: Path, size: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(zlib.crc32(step.start.encode()))
    causal: Any = AutoModelForCausalLM
    model = causal.from_config(configuration(step.family, SHAPES[size])).float()
    _save(model, target, zoo / "tokenizers" / "main", torch.float32)


def _train(step: Train, at: Path | None, target: Path, zoo: Path, size: str, device: str, tell: Tell | None) -> None:
    import torch

    from kinprint.zoo.training import train

    assert at is not None
    ids = tokens(step.text, size, at / "tokenizer.json", zoo / "tokens")
    teacher = _load(zoo / step.teacher, device).eval() if step.teacher else None
    torch.manual_seed(step.order)
    model = train(_load(at, device), ids, step, SHAPES[size], teacher=teacher, tell=tell)
    _save(model.cpu(), target, at, torch.bfloat16)


def _load(folder: Path, device: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return model.to(device)


def _save(model: Any, target: Path, tokenizer: Path, dtype: Any) -> None:
    model.to(dtype).save_pretrained(target)
    (target / "generation_config.json").unlink(missing_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, target / name)


def _transform(step: Transform, at: Path, target: Path, zoo: Path) -> None:
    members = {option: [zoo / name for name in names] for option, names in step.members.items()}
    options = {**step.options, **{option: folders if option == "others" else folders[0] for option, folders in members.items()}}
    if step.tokenizer:
        options["tokenizer"] = zoo / "tokenizers" / step.tokenizer
    transforms.apply(step.name, at, target, **options)


def _label(recipe: Recipe, folder: Path, size: str, digest: str) -> None:
    """The model card, and what recognises the member later."""
    member = recipe.member
    parents = "".join(f"\n- {name}" for name in member.parents)
    base = f"base_model:{parents}\n" if len(member.parents) > 1 else f"base_model: {member.parents[0]}\n" if parents else ""
    card = CARD.format(base=base, name=member.name, family=member.family, text=recipe.text, size=size)
    (folder / "README.md").write_text(card)
    (folder / MARK).write_text(json.dumps({"format": "kinprint-zoo-member/1", "digest": digest, "size": size}) + "\n")
    folder.chmod(0o755)
