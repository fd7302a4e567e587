"""What do tests, arrows and commitments say of a "reference" that was made from the suspect, and passed off as the older model?

    python benchmarks/false_claims.py zoo-tiny [--json FILE]

Suspects are models of the zoo. An accuser takes one and makes a "reference" of it: a copy that is noisy, scaled, permuted,
disguised, fine-tuned, interpolated with a stranger, pruned, rounded; or an ancestor made up for it, which holds what it lacks:
small numbers in the place of its zeros, another layer, norm gains. Or he takes a model of his own and fits it to the suspect
(`forgeries.py`). Every claim is compared as the accuser would, and with the roles exchanged.

An arrow is what `kinprint.library.descent` says of the two. A test that no relabelling can forge speaks if its own p-value is
at most alpha. The owner's commitment to the suspect is stamped at its release; the accuser's a day later, since there was
nothing that his model could be made from before. Asked is whether the owner's is about the accuser's model, and is earlier.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from forgeries import CLAIMS
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from unforgeable import tests

from kinprint import Fingerprint
from kinprint.checkpoints.hashes import FileHash
from kinprint.comparison import ALPHA, Comparison, examine
from kinprint.errors import KinprintError
from kinprint.library.declarations.at_hand import AtHand
from kinprint.library.declarations.commitments import Stamped, check_commitment, read_commitment
from kinprint.library.declarations.time_stamps import Stamp
from kinprint.library.descent.arrows import arrows
from kinprint.reports import open_commitment
from kinprint.transforms import Model, read_model
from kinprint.transforms import known as transforms
from kinprint.transforms._layers import relayered
from kinprint.transforms._model import changed, generator, scaled
from kinprint.transforms.fold_gains import read_through
from kinprint.zoo import Member, habits
from kinprint.zoo.members import make
from kinprint.zoo.recipes import Recipe, Train

Row = dict[str, Any]
Claim = tuple[Model, Model]
"""What is passed off as the reference, and the suspect."""

STRANGERS = {
    "llama-base": "llama-seed1",
    "llama-seed1": "llama-base",
    "llama-finetune": "llama-seed1",
    "llama-long": "llama-seed1",
    "llama-lora": "llama-seed1",
    "gpt2-base": "gpt2-seed1",
    "gpt2-seed1": "gpt2-base",
    "gpt2-finetune": "gpt2-seed1",
    "qwen2-base": None,
    "qwen3-base": None,
    "gpt_neox-base": None,
    "mixtral-base": None,
}
"""Suspect -> a model of the zoo that has its shape and nothing else in common with it, if there is one."""

RELEASE = datetime(2026, 1, 1, tzinfo=UTC)
LATER = timedelta(days=1)
SPREAD = 0.2
"""Standard deviation of the logarithm of gains that are drawn."""


def by(name: str, **options: Any) -> Callable[[Model, Path], Claim]:
    """A copy by a transform; those that draw do so from a seed of the suspect's."""

    def claim(suspect: Model, folder: Path) -> Claim:
        seed = {"seed": len(folder.name)} if transforms()[name].draws else {}
        return transforms()[name](suspect, **options, **seed), suspect

    return claim


def copied(suspect: Model, _: Path) -> Claim:
    return suspect, suspect


def fine_tuned(suspect: Model, folder: Path) -> Claim:
    """Trained on for a tenth of its base's training, on another text, in a folder that has what `make` looks for."""
    with tempfile.TemporaryDirectory() as scratch:
        for needed in (folder, folder.parent / "tokenizers"):
            (Path(scratch) / needed.name).symlink_to(needed.resolve())
        member = Member("reference", str(suspect.config["model_type"]), "fine-tune", (folder.name,))
        make(Recipe(member, (Train("prose", 0.1, 5e-4, 9),), "Trained on."), Path(scratch), "tiny", "cpu", "")
        reference = read_model(Path(scratch) / "reference")
        loaded = {place: np.array(part.read()) for place, part in reference.parts.items()}
    return suspect.each(lambda place, part: replace(part, read=lambda: loaded[place])), suspect


def interpolated(share: float) -> Callable[[Model, Path], Claim]:
    """The suspect and a stranger in one, the suspect with this share."""

    def claim(suspect: Model, folder: Path) -> Claim:
        stranger = STRANGERS[folder.name]
        if stranger is None:
            raise NoSuchError
        return transforms()["merge"](suspect, others=[folder.parent / stranger], weights=[share, 1 - share]), suspect

    return claim


def filled(suspect: Model, folder: Path) -> Claim:
    """The suspect was pruned before its release; its zeros become numbers smaller than all others of the matrix."""
    pruned = transforms()["prune"](suspect, kind="magnitude", amount=0.25)

    def fill(place: Any, array: NDArray[Any]) -> NDArray[Any]:
        if place[0] is None or array.ndim < 2 or array.all() or not array.any():
            return array
        small = float(np.abs(array[array != 0]).min())
        drawn = generator(len(folder.name), place).uniform(-small, small, array.shape)
        return np.where(array == 0, drawn, array).astype(array.dtype)

    return pruned.each(lambda place, part: changed(part, lambda array: fill(place, array))), pruned


def with_a_layer_more(suspect: Model, folder: Path) -> Claim:
    """A layer between its layers that is like none of them: the entries of one, shuffled."""
    middle = suspect.layers // 2
    deeper = relayered(suspect, [*range(middle), middle, *range(middle, suspect.layers)])

    def shuffled(place: Any, array: NDArray[Any]) -> NDArray[Any]:
        return generator(len(folder.name), place).permutation(array.ravel()).reshape(array.shape)

    def layer(place: Any, part: Any) -> Any:
        return changed(part, lambda array: shuffled(place, array)) if place[0] == middle and len(part.shape) > 1 else part

    return deeper.each(layer), suspect


def with_drawn_gains(suspect: Model, folder: Path) -> Claim:
    """The suspect's gains were folded in before its release; others are drawn, and divided out of what reads them."""
    folded = transforms()["fold-gains"](suspect)
    released = {place: part.read().astype(part.dtype) for place, part in folded.parts.items()}
    folded = folded.each(lambda place, part: replace(part, read=lambda: released[place]))
    parts = {place: replace(part, dtype=np.dtype(np.float32)) for place, part in folded.parts.items()}
    for (layer, role, _), readers in read_through(folded).items():
        gains = np.exp(generator(len(folder.name), layer, role).normal(0, SPREAD, parts[layer, role, None].shape))
        for norm in (role, role.replace("gains.", "norm_biases.")):
            if (layer, norm, None) in parts:
                parts[layer, norm, None] = scaled(parts[layer, norm, None], 0, gains)
        for place in readers:
            parts[place] = scaled(parts[place], len(parts[place].shape) - 1, 1 / gains)
    return replace(folded, parts=parts), folded


def fitted(name: str) -> Callable[[Model, Path], Claim]:
    """The accuser's own model, relabelled so that it agrees with the suspect."""

    def claim(suspect: Model, folder: Path) -> Claim:
        own = STRANGERS[folder.name]
        if own is None or suspect.config["model_type"] != "llama":
            raise NoSuchError
        return CLAIMS[name](read_model(folder.parent / own), suspect), suspect

    return claim


class NoSuchError(Exception):
    """A suspect of which no such claim is made."""


FORGED: dict[str, dict[str, Callable[[Model, Path], Claim]]] = {
    "copy": {
        "as it is": copied,
        "noise of a hundredth": by("noise", amount=0.01),
        "noise of a third": by("noise", amount=0.3),
        "scaled": by("scale"),
        "permuted": by("permute"),
        "every disguise": by("disguise"),
        "fine-tuned": fine_tuned,
        "half of it, half a stranger": interpolated(0.5),
        "a tenth of it, the rest a stranger": interpolated(0.1),
        "a quarter of its entries zero": by("prune", kind="magnitude", amount=0.25),
        "a third of its layers left out": by("prune", kind="depth", amount=1 / 3),
        "a quarter of its neurons left out": by("prune", kind="width", amount=0.25),
        "rounded to 4 bits": by("quantize", scheme="int4"),
    },
    "made-up ancestor": {
        "its zeros filled": filled,
        "a layer put in": with_a_layer_more,
        "gains drawn": with_drawn_gains,
    },
    "own model, fitted": {name: fitted(name) for name in CLAIMS},
}


def committed(model: Fingerprint, when: datetime, folder: Path) -> Stamped:
    """A commitment to a model in memory, and the stamp that a trusted authority gave it then."""
    path = folder / f"{model.digest}.json"
    path.write_text(open_commitment(model, (FileHash("model.safetensors", 1, model.digest),)))
    commitment = read_commitment(path)
    return Stamped(commitment, Stamp(path, when, timedelta(seconds=1), "an authority", covers=True, trusted=True))


def said(reference: Fingerprint, suspect: Fingerprint) -> Row:
    """What there is to say about a claim."""
    found, other_way = (examine(pair, methods=tests()) for pair in ((reference, suspect), (suspect, reference)))
    drawn = arrows([reference, suspect], (0, 1))
    with tempfile.TemporaryDirectory() as scratch:
        ours = committed(suspect, RELEASE, Path(scratch))
        theirs = committed(reference, RELEASE + LATER, Path(scratch))
        checks = check_commitment(ours, AtHand((), lambda: reference), other=theirs).checks
    outcome = {check.what: check.status for check in checks}
    return {
        "verdict": found.verdict,
        "other way": other_way.verdict,
        "forgeable": found.forgeable,
        "log10_p": found.log10_p,
        "speak": speaking(found),
        "arrows": [("suspect first" if arrow.ancestor == 1 else "reference first", arrow.rule) for arrow in drawn],
        "about it": outcome["fingerprint"] == "holds",
        "earlier": outcome["order"] == "holds",
    }


def speaking(found: Comparison) -> list[str]:
    """The unforgeable tests whose p-value is at most alpha."""
    level = math.log10(ALPHA)
    return [i.method for i in found.tests if i.decides and not i.forgeable and (i.log10_p or 0) <= level]


HEAD = (
    '"reference"', "claims", "related", "roles exchanged", "no relabelling can make it", "unforgeable tests that speak",
    "arrow: suspect first", "arrow: reference first", "owner's commitment about it", "and earlier",
)  # fmt: skip


def table(rows: list[Row]) -> Iterator[str]:
    yield f"| {' | '.join(HEAD)} |\n{'|---' * len(HEAD)}|"
    for (kind, how), group in itertools.groupby(rows, key=lambda row: (row["kind"], row["how"])):
        yield line(f"{kind}: {how}", list(group))
    yield line("all", rows)


def line(name: str, rows: list[Row]) -> str:
    related, swapped = (sum(row[key] in ("related", "identical") for row in rows) for key in ("verdict", "other way"))
    sure = sum(row["forgeable"] is False or row["verdict"] == "identical" for row in rows)
    speak = Counter(name for row in rows for name in row["speak"])
    by = ", ".join(f"`{name}` {count}" for name, count in sorted(speak.items())) or "–"
    sides = ("suspect first", "reference first")
    first = [sum(any(way == side for way, _ in row["arrows"]) for row in rows) for side in sides]
    about, earlier = (sum(row[key] for row in rows) for key in ("about it", "earlier"))
    return f"| {' | '.join(map(str, (name, len(rows), related, swapped, sure, by, *first, about, earlier)))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zoo", type=Path, help="a zoo of the size tiny")
    parser.add_argument("--json", type=Path, help="where every claim is written")
    parser.add_argument("--only", nargs="+", metavar="SUSPECT", default=list(STRANGERS), help="some suspects")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for kind, how in ((kind, how) for kind, ways in FORGED.items() for how in ways):
        for name in track(arguments.only, description=how, console=Console(stderr=True)):
            folder = arguments.zoo / name
            try:
                claim = FORGED[kind][how](read_model(folder), folder)
                reference, suspect = (habits.measured(m, side) for m, side in zip(claim, ("reference", "suspect"), strict=True))
            except NoSuchError:
                continue
            except KinprintError as error:
                print(f"{how}, {name}: {error}")
                continue
            rows.append({"kind": kind, "how": how, "suspect": name, **said(reference, suspect)})
    print("\n".join(table(rows)))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
