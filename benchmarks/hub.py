"""How many of a repository's bytes a full fingerprint moves, and what SIGKILL does to it, against the hub of the tests.

The large repositories are sparse files: real headers of real shapes, zeros in them, no room on the disk. They are opened
through the hub, so that what opening moves is measured; what the fingerprint needs is counted from the tensors with a role.
The small one is really read.

    python benchmarks/hub.py [--kills 100]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ml_dtypes  # noqa: F401 - numpy learns bfloat16
import numpy as np
from safetensors.numpy import load_file, save_file

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from hub_server import HubServer, Trouble  # noqa: E402
from killing import kill_and_finish  # noqa: E402

Shapes = dict[str, tuple[int, ...]]
SHARD = 5 * 10**9

DENSE = {
    "model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14336,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": False,
}  # fmt: skip
EXPERTS = {
    "model_type": "qwen3_moe", "num_hidden_layers": 48, "hidden_size": 2048, "intermediate_size": 6144, "head_dim": 128,
    "moe_intermediate_size": 768, "num_experts": 128, "num_experts_per_tok": 8, "num_attention_heads": 32,
    "num_key_value_heads": 4, "vocab_size": 151936, "tie_word_embeddings": False, "norm_topk_prob": True,
}  # fmt: skip


def shapes(config: dict) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The tensors of a model in the order in which they are usually saved."""
    hidden, heads, groups = config["hidden_size"], config["num_attention_heads"], config["num_key_value_heads"]
    width = config.get("head_dim", hidden // heads)
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden)
    for index in range(config["num_hidden_layers"]):
        layer = f"model.layers.{index}."
        for name, size in (("q", heads), ("k", groups), ("v", groups)):
            yield f"{layer}self_attn.{name}_proj.weight", (size * width, hidden)
        yield f"{layer}self_attn.o_proj.weight", (hidden, heads * width)
        if "num_experts" in config:
            yield f"{layer}self_attn.q_norm.weight", (width,)
            yield f"{layer}self_attn.k_norm.weight", (width,)
            yield f"{layer}mlp.gate.weight", (config["num_experts"], hidden)
        experts = [f"experts.{i}." for i in range(config["num_experts"])] if "num_experts" in config else [""]
        neurons = config.get("moe_intermediate_size", config["intermediate_size"])
        for expert in experts:
            for name, shape in (("gate", (neurons, hidden)), ("up", (neurons, hidden)), ("down", (hidden, neurons))):
                yield f"{layer}mlp.{expert}{name}_proj.weight", shape
        yield f"{layer}input_layernorm.weight", (hidden,)
        yield f"{layer}post_attention_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (config["vocab_size"], hidden)


def tower(hidden: int = 1280, layers: int = 32) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A vision tower of some 600 million parameters."""
    for index in range(layers):
        for name, shape in (
            ("qkv", (3 * hidden, hidden)),
            ("proj", (hidden, hidden)),
            ("up", (4 * hidden, hidden)),
            ("down", (hidden, 4 * hidden)),
        ):
            yield f"visual.blocks.{index}.{name}.weight", shape


def sparse_model(folder: Path, config: dict, tensors: Shapes) -> None:
    """Write bfloat16 shards and their index, zeros that take no room."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    places, shard, size = {}, {}, 0
    shards = [shard]
    for name, shape in tensors.items():
        count = 2 * int(np.prod(shape))
        if size + count > SHARD:
            shard, size = {}, 0
            shards.append(shard)
        shard[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [size, size + count]}
        size += count
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        places |= dict.fromkeys(shard, file)
        header = json.dumps(shard).encode()
        with (folder / file).open("wb") as out:
            out.write(struct.pack("<Q", len(header)) + header)
            out.truncate(8 + len(header) + max(entry["data_offsets"][1] for entry in shard.values()))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def unneeded(folder: Path, name: str, size: int) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    with (folder / name).open("wb") as out:
        out.truncate(size)


def large(server: HubServer, name: str) -> dict[str, float]:
    """What opening has moved, and what a full fingerprint needs, in bytes."""
    from kinprint import open_checkpoint
    from kinprint.architectures import recognise

    server.served.clear()
    server.ranges.clear()
    checkpoint = open_checkpoint(name)
    wanted = {part.tensor for part in recognise(checkpoint).parts}
    spans = sorted((str(source), span) for tensor in wanted for source, span in checkpoint.tensors[tensor].spans)
    runs = []  # spans that touch are one run
    for file, (start, stop) in spans:
        if runs and runs[-1][0] == file and runs[-1][2] == start:
            runs[-1][2] = stop
        else:
            runs.append([file, start, stop])
    repository = sum(path.stat().st_size for path in server.models[f"{name}@main"].rglob("*") if path.is_file())
    return {
        "tensors": len(wanted),
        "repository": repository,
        "opening": server.bytes_served,
        "opening_requests": len(server.ranges),
        "needed": sum(stop - start for _, (start, stop) in spans),
        "requests": sum(-(-(stop - start) // (1 << 24)) for _, start, stop in runs),
    }


def small(server: HubServer, name: str) -> dict[str, float]:
    """The same, of bytes that have really moved for a full fingerprint."""
    from kinprint import fingerprint

    server.served.clear()
    server.ranges.clear()
    fingerprint(name, cache=False)
    repository = sum(path.stat().st_size for path in server.models[f"{name}@main"].rglob("*") if path.is_file())
    return {"repository": repository, "needed": server.bytes_served, "requests": len(server.ranges)}


def tell(found: dict[str, float], what: str) -> None:
    print(f"{what}: {found['repository'] / 1e9:.4g} GB")
    if "tensors" in found:
        print(f"  opening moves {found['opening'] / 1e6:.2f} MB in {found['opening_requests']} requests")
    share = found["needed"] / found["repository"]
    print(f"  a fingerprint needs {found['needed'] / 1e9:.4g} GB, {share:.1%} of it, in {found['requests']:,} requests")


def crowded_small(folder: Path) -> None:
    """A shipped model with a vision tower inside, a second format, and an optimizer's state."""
    shutil.copytree(ROOT / "examples/models/base", folder)
    vision = {f"visual.blocks.{i}.weight": np.ones((512, 1024), np.float32) for i in range(2)}
    weights = folder / "model.safetensors"
    size = weights.stat().st_size
    save_file(load_file(weights) | vision, weights)
    unneeded(folder, "pytorch_model.bin", size)
    unneeded(folder, "optimizer.bin", 2 * size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="processes to kill at random moments of a transfer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        dense, experts = dict(shapes(DENSE)), dict(shapes(EXPERTS)) | dict(tower())
        sparse_model(home / "dense", DENSE, dense)
        unneeded(home / "dense", "original/consolidated.00.pth", 2 * sum(int(np.prod(shape)) for shape in dense.values()))
        sparse_model(home / "experts", EXPERTS, experts)
        unneeded(home / "experts", "optimizer.pt", 8 * sum(int(np.prod(shape)) for shape in experts.values()))
        crowded_small(home / "small")
        os.environ |= {"HF_HOME": str(home / "hub"), "KINPRINT_CACHE": str(home / "cache")}
        for name in ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE"):
            os.environ.pop(name, None)
        models = {f"org/{name}": home / name for name in ("dense", "experts", "small")}
        models["org/base"] = ROOT / "examples/models/base"
        with HubServer(models) as server:
            os.environ["HF_ENDPOINT"] = server.endpoint
            server.elsewhere = True
            tell(large(server, "org/dense"), "8B dense, its weights twice")
            tell(large(server, "org/experts"), "30B, 128 experts, with vision tower and optimizer")
            tell(small(server, "org/small"), "small, with all of these, really read")
            if options.kills:
                from kinprint import fingerprint

                server.always = Trouble(delay=0.05)
                killed, digest = kill_and_finish("org/base", home / "killed", options.kills)
                equal = "equal" if digest == fingerprint(models["org/base"], cache=False).digest else "DIFFERENT"
                print(f"{options.kills} processes, {killed} killed while they read, the last left alone: fingerprint {equal}")


if __name__ == "__main__":
    main()
