"""Train the three models shipped in examples/models, from nothing but Python's own library.

    python examples/train_models.py --out examples/models

base       a Llama of 0.65 million parameters, trained on the source of the standard library
finetune   base, trained on with other text (the documentation topics of Python)
twin       as base in architecture, tokenizer, data and data order, from another seed: unrelated by descent

The text is the library of the Python that runs this, so other versions of Python or torch, and other processors, give other
weights; the verdicts are meant to be the same. Needs the extra `behaviour`; about four minutes on two cores.
"""

from __future__ import annotations

import argparse
import math
import pydoc_data.topics
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

VOCABULARY = 448
BATCH, LENGTH = 16, 128

CARD = """---
license: apache-2.0
{base}---

# {name}

{text} Made by `examples/train_models.py` of kinprint; for trying the tool, not for generating text.
"""
TEXTS = {
    "base": "A Llama of 0.65 million parameters, trained from seed 1 on the source of Python's standard library.",
    "finetune": "`base`, trained on with the documentation topics of Python.",
    "twin": "As `base` in architecture, tokenizer, data and data order, but from seed 2: it shares no weights with it.",
}


def library_source() -> str:
    """The source of the standard library's top-level modules, in the order of their names."""
    folder = Path(sysconfig.get_path("stdlib"))
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("*.py")))


def documentation() -> str:
    return "\n".join(text for _, text in sorted(pydoc_data.topics.topics.items()))


def train_tokenizer(text: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE of VOCABULARY tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(text.splitlines(keepends=True)[:50_000], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def batches(tokens: torch.Tensor, steps: int, seed: int) -> Iterator[torch.Tensor]:
    """Random windows of the text; the same seed gives the same data in the same order."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        starts = torch.randint(len(tokens) - LENGTH, (BATCH,), generator=generator)
        yield torch.stack([tokens[start : start + LENGTH] for start in starts.tolist()])


def fresh(seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=128,
            intermediate_size=256,
            num_hidden_layers=4,
            num_attention_heads=8,
            num_key_value_heads=4,
            max_position_embeddings=256,
            tie_word_embeddings=True,
        )
    )


def train(model: LlamaForCausalLM, tokens: torch.Tensor, *, steps: int, rate: float, data_seed: int, name: str) -> None:
    """AdamW with a warm-up and a cosine; progress on stderr."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.1)
    model.train()
    for step, batch in enumerate(batches(tokens, steps, data_seed)):
        scale = min((step + 1) / 20, 0.1 + 0.45 * (1 + math.cos(math.pi * step / steps)))
        for group in optimiser.param_groups:
            group["lr"] = rate * scale
        loss = model(batch, labels=batch).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 20 == 0 or step + 1 == steps:
            print(f"\r{name}: step {step + 1} of {steps}, loss {loss.item():.3f}", end="", file=sys.stderr)
    print(file=sys.stderr)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path, base: str | None = None) -> None:
    """Write a model's folder beside its final place, then move it there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    model.to(torch.bfloat16).save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    (temporary / "generation_config.json").unlink(missing_ok=True)
    declared = f"base_model: {base}\n" if base else ""
    (temporary / "README.md").write_text(CARD.format(name=folder.name, base=declared, text=TEXTS[folder.name]))
    temporary.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    model.to(torch.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "models")
    parser.add_argument("--steps", type=int, default=500, help="training steps of base and twin (default 500)")
    arguments = parser.parse_args()
    source = library_source()
    tokenizer = train_tokenizer(source)
    code, prose = (torch.tensor(tokenizer.encode(text)) for text in (source[:4_000_000], documentation()))
    base, twin = fresh(seed=1), fresh(seed=2)
    train(base, code, steps=arguments.steps, rate=2e-3, data_seed=0, name="base")
    save(base, tokenizer, arguments.out / "base")
    train(base, prose, steps=arguments.steps // 3, rate=5e-4, data_seed=1, name="finetune")
    save(base, tokenizer, arguments.out / "finetune", base="base")
    train(twin, code, steps=arguments.steps, rate=2e-3, data_seed=0, name="twin")
    save(twin, tokenizer, arguments.out / "twin")


if __name__ == "__main__":
    main()
