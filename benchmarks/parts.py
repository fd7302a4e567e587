"""Which parts are shared? Models that share some parts and not others, of known truth: found, and called shared wrongly.

    python benchmarks/parts.py FOLDER [--parents 3] [--siblings 8] [--towers 4] [--json FILE]

From each parent, siblings are made in which one part (input embedding, attention, FFN) begins anew and learns beside the
frozen rest, and then everything learns on: the rest is shared, that part is not. That is the hard case, for the new part was
trained in the coordinates of the shared ones. Transplants hold one part of a stranger, as it is or trained on. Models that see
are made of copies of some language models and some vision towers, each trained on in another order. Models that are there are
kept.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from made_once import once, seed_of
from rich.console import Console
from rich.progress import track
from scipy.stats import kstest

from kinprint import Fingerprint, fingerprint
from kinprint.comparison import Comparison, examine
from kinprint.zoo.families import SHAPES, configuration
from kinprint.zoo.recipes import Train
from kinprint.zoo.text import make_tokenizer, tokens

SIZE, FAMILY = "tiny", "llama"
PARTS: Mapping[str, tuple[str, ...]] = {
    "input embedding": ("embed_tokens.",),
    "attention": (".self_attn.",),
    "FFN": (".mlp.",),
}
"""What a part is called in a report, and in the names of its tensors."""

REST = 0.3
"""Length of the training of everything after a part learned alone, in trainings of a base."""

TOWER = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 8, "image_size": 32}
PATCH, PICTURES = 8, 16
TOWER_STEPS = 150


@dataclass(frozen=True)
class Made:
    """A model, and where each of its parts comes from; "new" and a number where it began from nothing."""

    name: str
    kind: str
    origin: Mapping[str, str]


def build(folder: Path, parents: int, siblings: int, towers: int) -> list[Made]:
    """Everything, made where it is not there yet."""
    if not (folder / "tokenizer").exists():
        make_tokenizer("code", SIZE, SHAPES[SIZE].vocabulary, folder / "tokenizer")
    made: list[Made] = []
    for parent in range(parents):
        name = f"parent-{parent}"
        once(folder / name, lambda name=name: _text_model(folder, None, seed=seed_of(name)))
        made.append(Made(name, "parent", dict.fromkeys(PARTS, name)))
        for part, sibling in itertools.product(PARTS, range(siblings)):
            own = f"{name}-new-{part.split()[-1]}-{sibling}"
            once(folder / own, lambda own=own, name=name, part=part: _anew(folder, folder / name, part, seed_of(own)))
            made.append(Made(own, f"{part} anew", {each: own if each == part else name for each in PARTS}))
    for (parent, donor), part, trained in itertools.product(itertools.permutations(range(parents), 2), PARTS, (False, True)):
        own = f"parent-{parent}-with-{part.split()[-1]}-of-{donor}{'-trained' if trained else ''}"
        body, other = folder / f"parent-{parent}", folder / f"parent-{donor}"
        once(folder / own, lambda own=own, body=body, other=other, part=part, trained=trained: _transplant(
            folder, body, other, part, seed_of(own), trained=trained))  # fmt: skip
        origin = {each: f"parent-{donor}" if each == part else f"parent-{parent}" for each in PARTS}
        made.append(Made(own, f"{part} of another{', trained on' if trained else ''}", origin))
    for tower in range(towers):
        name = f"tower-{tower}"
        once(folder / name, lambda name=name: _tower(None, seed=seed_of(name)))
        made.append(Made(name, "tower", {"vision tower": name}))
    for parent, tower in itertools.product(range(parents), range(towers)):
        own = f"sees-{parent}-{tower}"
        once(folder / own, lambda own=own, parent=parent, tower=tower: _seeing(
            folder, folder / f"parent-{parent}", folder / f"tower-{tower}", seed_of(own)))  # fmt: skip
        made.append(Made(own, "sees", {**dict.fromkeys(PARTS, f"parent-{parent}"), "vision tower": f"tower-{tower}"}))
    return made


def _loaded(place: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    causal: Any = AutoModelForCausalLM
    return causal.from_pretrained(place, dtype=torch.float32, local_files_only=True)


def _text_model(folder: Path, start: Path | None, seed: int, length: float = 1.0) -> Any:
    """A language model, trained from nothing or on from another."""
    import torch
    from transformers import AutoModelForCausalLM

    from kinprint.zoo.training import train

    torch.manual_seed(seed)
    causal: Any = AutoModelForCausalLM
    model = _loaded(start) if start else causal.from_config(configuration(FAMILY, SHAPES[SIZE]))
    return _learns(folder, model, train, length, seed)


def _learns(folder: Path, model: Any, train: Any, length: float, seed: int) -> Any:
    ids = tokens("code", SIZE, folder / "tokenizer" / "tokenizer.json", folder / "tokens")
    return train(model, ids, Train("code", length, 2e-3 if length == 1 else 1e-3, seed % 1000), SHAPES[SIZE])


def _anew(folder: Path, parent: Path, part: str, seed: int) -> Any:
    """One part begins anew and learns beside the rest, then everything learns."""
    import torch

    from kinprint.zoo.training import train

    torch.manual_seed(seed)
    model = _loaded(parent)
    for name, parameter in model.named_parameters():
        mine = any(piece in name for piece in PARTS[part])
        parameter.requires_grad_(mine)
        if mine:
            torch.nn.init.normal_(parameter, std=0.02)
    model = _learns(folder, model, train, 1.0, seed)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return _learns(folder, model, train, REST, seed + 1)


def _transplant(folder: Path, body: Path, donor: Path, part: str, seed: int, *, trained: bool) -> Any:
    from kinprint.zoo.training import train

    model, other = _loaded(body), dict(_loaded(donor).named_parameters())
    for name, parameter in model.named_parameters():
        if any(piece in name for piece in PARTS[part]):
            parameter.data.copy_(other[name].data)
    return _learns(folder, model, train, REST, seed) if trained else model


def _tower(start: Path | None, seed: int, steps: int = TOWER_STEPS) -> Any:
    """A vision tower that learns to fill in patches of pictures, whose pixels are the bytes of source text."""
    import torch
    from transformers import SiglipVisionConfig, SiglipVisionModel

    from kinprint.zoo.text import text

    torch.manual_seed(seed)
    siglip: Any = SiglipVisionModel
    config = SiglipVisionConfig(**TOWER, patch_size=PATCH, num_channels=1, vision_use_head=False)
    tower = siglip.from_pretrained(start, dtype=torch.float32) if start else siglip(config)
    said = torch.nn.Linear(TOWER["hidden_size"], PATCH * PATCH)
    pixels = np.frombuffer(text("code", SIZE).encode("latin-1", "replace"), np.uint8).astype(np.float32) / 64 - 1
    rng, side = np.random.default_rng(seed), TOWER["image_size"]
    optimiser = torch.optim.AdamW([*tower.parameters(), *said.parameters()], lr=2e-3, weight_decay=0.1)
    for _ in range(steps):
        starts = rng.integers(0, len(pixels) - side * side, PICTURES)
        picture = torch.from_numpy(np.stack([pixels[s : s + side * side] for s in starts]).reshape(-1, 1, side, side))
        patches = picture.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH).reshape(PICTURES, -1, PATCH * PATCH)
        hidden = torch.rand(patches.shape[:2]) < 0.5
        shown = patches.clone()
        shown[hidden] = 0
        per_side = side // PATCH
        seen = shown.reshape(PICTURES, per_side, per_side, PATCH, PATCH).permute(0, 1, 3, 2, 4).reshape_as(picture)
        guess = said(tower(pixel_values=seen).last_hidden_state)
        loss = ((guess - patches)[hidden] ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return tower


def _seeing(folder: Path, parent: Path, tower: Path, seed: int) -> Any:
    """A language model and a vision tower, each trained on, in one checkpoint with a projector between them."""
    import torch
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    text_model = _text_model(folder, parent, seed, REST)
    seeing = _tower(tower, seed, TOWER_STEPS // 5)
    torch.manual_seed(seed)
    llava: Any = LlavaForConditionalGeneration
    model = llava(LlavaConfig(vision_config=seeing.config, text_config=text_model.config, image_token_index=0))
    model.model.language_model.load_state_dict(text_model.model.state_dict())
    model.model.vision_tower.load_state_dict(seeing.state_dict())
    return model


Claim = dict[str, Any]


def claims(one: Made, other: Made, found: Comparison) -> Iterator[Claim]:
    """What is said of every part that the truth is known of, and the p-values of its tests."""
    said = {part.part: part for part in found.parts}
    for part in one.origin.keys() & other.origin.keys():
        pieces = found.components[part].evidence if part in found.components else found.evidence
        tests = {
            item.method: item.log10_p for item in pieces if item.decides and (part in found.components or _of(item) == part)
        }
        yield {
            "pair": [one.name, other.name],
            "kinds": sorted({one.kind, other.kind}),
            "part": part,
            "shared": one.origin[part] == other.origin[part],
            "anything": any(one.origin[each] == other.origin[each] for each in one.origin.keys() & other.origin.keys()),
            "state": said[part].state if part in said else "no-evidence",
            "tests": tests,
        }


def _of(item: Any) -> str:
    from kinprint.methods import known

    return next((getattr(method, "of", "") for method in known() if method.name == item.method), "")


def pairs(made: list[Made]) -> list[tuple[Made, Made]]:
    """All pairs but those of one parent's children with another's: models that have nothing in common are asked elsewhere."""
    return [(a, b) for a, b in itertools.combinations(made, 2) if _one_of_a_kind(a, b)]


def _one_of_a_kind(a: Made, b: Made) -> bool:
    if "vision tower" in a.origin or "vision tower" in b.origin:
        return "vision tower" in a.origin and "vision tower" in b.origin
    both = {a.kind, b.kind}
    return bool(set(a.origin.values()) & set(b.origin.values())) and (len(both) == 1 or "parent" in both)


MADE = {"anew": "a part anew", "trained on": "a part of another, trained on", "of another": "a part of another", "sees": "sees"}
"""What kinds of models are called in the table, the first that fits."""


def table(rows: list[Claim]) -> str:
    """Claims by how the models were made and part."""
    groups: dict[tuple[str, str, bool], list[Claim]] = defaultdict(list)
    for row in rows:
        if row["anything"]:
            kind = next(name for word, name in MADE.items() if word in " ".join(row["kinds"]))
            groups[kind, row["part"], row["shared"]].append(row)
    lines = [
        "| models | part | truth | claims | shared or identical | carried over, or trained beside what was | no evidence |",
        "|---|---|---|---|---|---|---|",
    ]
    for (kind, part, shared), found in sorted(groups.items()):
        states = ("shared", "identical"), ("follows",), ("no-evidence",)
        counts = " | ".join(str(sum(row["state"] in each for row in found)) for each in states)
        truth = "shared" if shared else "not shared, though others are"
        lines.append(f"| {kind} | {part} | {truth} | {len(found)} | {counts} |")
    wrong = [row for row in rows if row["anything"] and not row["shared"] and row["state"] in ("shared", "identical")]
    asked = sum(row["anything"] and not row["shared"] for row in rows)
    return "\n".join(lines) + f"\n\nOf {asked} parts that are not shared, though others are, {len(wrong)} are called shared."


def uniform(rows: list[Claim]) -> str:
    """P-values of tests of parts that are not shared though others are; of new parts alone, for transplants repeat a pair."""
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        new = "anew" in "".join(row["kinds"]) or row["part"] == "vision tower"
        if new and row["anything"] and not row["shared"] and row["part"] != "input embedding":
            for test, log10_p in row["tests"].items():
                values[row["part"], test].append(min(10**log10_p, 1.0))
    lines = ["| part | test | pairs | KS p | smallest p | p <= 0.05 | p <= 0.01 |", "|---|---|---|---|---|---|---|"]
    for (part, test), found in sorted(values.items()):
        p = np.array(found)
        ks = kstest(p, "uniform", alternative="greater").pvalue
        lines.append(
            f"| {part} | `{test}` | {len(p)} | {ks:.2f} | {p.min():.1g} | {np.mean(p <= 0.05):.1%} | {np.mean(p <= 0.01):.1%} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parents", type=int, default=3)
    parser.add_argument("--siblings", type=int, default=8)
    parser.add_argument("--towers", type=int, default=4)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    made = build(arguments.folder, arguments.parents, arguments.siblings, arguments.towers)
    measured: dict[str, Fingerprint] = {each.name: fingerprint(arguments.folder / each.name) for each in made}
    rows: list[Claim] = []
    for one, other in track(pairs(made), "pairs", console=Console(stderr=True)):
        rows += claims(one, other, examine((measured[one.name], measured[other.name])))
    print(f"{len(made)} models, {len({tuple(row['pair']) for row in rows})} pairs.\n\n{table(rows)}\n\n{uniform(rows)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
