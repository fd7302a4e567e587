"""How fast kinprint reads a checkpoint, beside a plain copy of the same files and beside transformers + torch.

Everything is measured in one run on one machine, from warm files. Needs the extra `behaviour` for the last part. A second table
says what each family of traits takes of one layer: processor time, and operations counted by `operations.py`.

    python benchmarks/throughput.py [--gigabytes 14] [--folder DIR] [--json FILE] [--repeats 3] [--without-torch]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import operations

HIDDEN, HEADS, NEURONS, VOCABULARY, FULL_DEPTH = 4096, 32, 11008, 32000, 32
PER_SHARD = 8
"""Layers in one file."""

COPY_TARGET, SPEED_TARGET, MEMORY_TARGET, CORE_TARGET = 0.8, 10.0, 1 << 30, 0.5

MEASURE = """
import json, resource, sys, time
begin = time.perf_counter()
from kinprint.fingerprints import fingerprint
ready, used = time.perf_counter(), time.process_time()
found = fingerprint(sys.argv[1], cache=False, threads=int(sys.argv[2]), scores=len(sys.argv) > 3)
end, used = time.perf_counter(), time.process_time() - used
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import numpy as np
from threadpoolctl import threadpool_limits
square = np.ones((4096, 4096), np.float32)
with threadpool_limits(limits=1):
    square @ square
    product = time.process_time()
    square @ square
    product = time.process_time() - product
print(json.dumps({"import": ready - begin, "seconds": end - ready, "peak": peak * (1 if sys.platform == "darwin" else 1024),
                  "digest": found.digest, "processor": used, "products": used / product}))
"""

TRANSFORMERS = """
import json, sys, time, torch
from transformers import LlamaForCausalLM
begin = time.perf_counter()
model = LlamaForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16)
loaded = time.perf_counter()
layers = [block.self_attn for block in model.model.layers]
with torch.no_grad():
    spread = [torch.std(part.weight.float()).item() for a in layers for part in (a.q_proj, a.k_proj, a.v_proj, a.o_proj)]
    profiled = time.perf_counter()
    for a in layers[: int(sys.argv[2])]:
        q, k, v, o = (part.weight.float() for part in (a.q_proj, a.k_proj, a.v_proj, a.o_proj))
        torch.linalg.svdvals(q.T @ k), torch.linalg.svdvals(o @ v)
end = time.perf_counter()
print(json.dumps({"load": loaded - begin, "std": profiled - loaded, "svd": end - profiled}))
"""


def tensors(layers: int) -> dict[str, tuple[int, int] | tuple[int]]:
    """Names and shapes of a Llama of 7B width, in the order they are written."""
    square, wide = (HIDDEN, HIDDEN), (NEURONS, HIDDEN)
    shapes: dict[str, tuple[int, int] | tuple[int]] = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
    for layer in range(layers):
        block = f"model.layers.{layer}"
        shapes |= {f"{block}.self_attn.{role}_proj.weight": square for role in "qkvo"}
        shapes |= {f"{block}.mlp.{role}_proj.weight": wide for role in ("gate", "up")}
        shapes |= {f"{block}.mlp.down_proj.weight": wide[::-1]}
        shapes |= {f"{block}.{norm}_layernorm.weight": (HIDDEN,) for norm in ("input", "post_attention")}
    return shapes | {"model.norm.weight": (HIDDEN,), "lm_head.weight": (VOCABULARY, HIDDEN)}


def size_of(layers: int) -> int:
    """Bytes of the weights."""
    return 2 * sum(math.prod(shape) for shape in tensors(layers).values())


def write_checkpoint(folder: Path, layers: int) -> None:
    """A random bf16 checkpoint in shards; every tensor starts elsewhere in one pool of normal numbers."""
    pool = (np.random.default_rng(0).standard_normal(1 << 25, dtype=np.float32) * 0.02).astype(ml_dtypes.bfloat16)
    shapes = tensors(layers)
    shard_of = {name: int(name.split(".")[2]) // PER_SHARD if ".layers." in name else 0 for name in shapes}
    count = max(shard_of.values()) + 1
    files = {shard: f"model-{shard + 1:05d}-of-{count:05d}.safetensors" for shard in range(count)}
    for shard, file in files.items():
        write_shard(folder / file, {name: shapes[name] for name in shapes if shard_of[name] == shard}, pool)
    weight_map = {name: files[shard] for name, shard in shard_of.items()}
    index = {"metadata": {"total_size": size_of(layers)}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "vocab_size": VOCABULARY,
        "num_hidden_layers": layers, "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "head_dim": HIDDEN // HEADS,
        "intermediate_size": NEURONS, "rms_norm_eps": 1e-5, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))


def write_shard(path: Path, shapes: dict[str, Any], pool: np.ndarray) -> None:
    """One safetensors file, streamed: header first, then slices of the pool."""
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for number, shape in enumerate(shapes.values()):
            start, left = number * 999_983 % len(pool), math.prod(shape)
            while left:
                piece = pool[start : start + left]
                if len(shape) == 1:  # gains are near 1, or the model is read as one that adds 1 to them
                    piece = (piece.astype(np.float32) + 1).astype(piece.dtype)
                file.write(piece.view(np.uint8).data)
                start, left = 0, left - len(piece)


def copy_rate(files: list[Path], threads: int) -> float:
    """Bytes per second of reading every file into memory, 64 MiB a time."""
    spans = [(file, at) for file in files for at in range(0, file.stat().st_size, 64 << 20)]
    buffers = [bytearray(64 << 20) for _ in range(threads)]

    def read(worker: int) -> int:
        done = 0
        for file, at in spans[worker::threads]:
            with open(file, "rb", buffering=0) as stream:
                stream.seek(at)
                done += stream.readinto(buffers[worker]) or 0
        return done

    return rate(lambda pool: sum(pool.map(read, range(threads))), threads)


def moments_rate(folder: Path, threads: int) -> float:
    """Bytes per second of the kernel alone: power sums, norms of rows and columns, largest, zeros, not finite."""
    from kinprint.checkpoints import open_checkpoint
    from kinprint.fingerprints.kernels import sums

    parts = [tensor for tensor in open_checkpoint(folder).tensors.values() if len(tensor.shape) == 2]
    parts.sort(key=lambda tensor: -math.prod(tensor.shape))

    def scan(tensor: Any) -> int:
        array = tensor.read()
        for start in range(0, len(array), 512):
            sums(array[start : start + 512])
        return int(array.nbytes)

    scan(parts[-1])  # compiled before the clock starts
    return rate(lambda pool: sum(pool.map(scan, parts)), threads)


def rate(work: Callable[[ThreadPoolExecutor], int], threads: int) -> float:
    with ThreadPoolExecutor(threads) as pool:
        begin = time.perf_counter()
        done = work(pool)
        return done / (time.perf_counter() - begin)


def subprocess_json(program: str, *arguments: object) -> dict[str, Any]:
    """Run a program in a process of its own, so that its peak memory is its own; its last line is JSON."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def benchmark(folder: Path, layers: int, options: argparse.Namespace) -> dict[str, Any]:
    """All figures; medians over the repeats, which alternate so that a disturbance hits everything alike."""
    files = sorted(folder.glob("*.safetensors"))
    copy_rate(files, 1)  # warms the page cache
    threads = options.threads
    subprocess_json(MEASURE, folder, threads)  # compiles
    runs: dict[str, list[Any]] = {"copy1": [], "copy": [], "moments1": [], "moments": [], "full": [], "scores": []}
    for _ in range(options.repeats):
        runs["copy1"].append(copy_rate(files, 1))
        runs["moments1"].append(moments_rate(folder, 1))
        runs["copy"].append(copy_rate(files, threads))
        runs["moments"].append(moments_rate(folder, threads))
        runs["full"].append(subprocess_json(MEASURE, folder, threads))
        runs["scores"].append(subprocess_json(MEASURE, folder, threads, "scores"))
    full, scores = runs.pop("full"), runs.pop("scores")
    figures: dict[str, Any] = {name: statistics.median(values) / 1e9 for name, values in runs.items()}
    figures |= {
        "layers": layers, "bytes": size_of(layers), "threads": threads, "repeats": options.repeats,
        "processor": platform.processor() or platform.machine(), "processors": os.cpu_count(),
        "full_seconds": statistics.median(run["seconds"] for run in full),
        "scores_seconds": statistics.median(run["seconds"] for run in scores),
        "processor_seconds": min(run["processor"] for run in full),
        "products": min(run["products"] for run in full),
        "peak_bytes": max(run["peak"] for run in full),
        "largest_tensor": 2 * max(math.prod(shape) for shape in tensors(layers).values()),
    }  # fmt: skip
    figures["families"] = families_of(folder, options.repeats)
    if not options.without_torch:
        timed = min(options.svd_layers, layers)
        found = subprocess_json(TRANSFORMERS, folder, timed)
        figures["baseline"] = found | {"svd_layers": timed, "svd_scaled": found["svd"] * layers / timed}
        figures["baseline_seconds"] = found["load"] + found["std"] + figures["baseline"]["svd_scaled"]
    return figures


def families_of(folder: Path, repeats: int) -> dict[str, dict[str, float]]:
    """Processor seconds a gigabyte, the least of the repeats, and operations a byte, of every family, in one layer."""
    from kinprint.architectures import open_model

    anatomy = open_model(folder).anatomy
    layer = 0, dict(anatomy.facts), [part for part in anatomy.parts if part.layer == 0]
    size = sum(math.prod(part.shape) * part.dtype.itemsize for part in layer[2])
    runs = [operations.seconds_by_family(*layer) for _ in range(repeats + 1)][1:]
    counts = operations.by_family(*layer)
    return {
        name: {"seconds": min(run[name] for run in runs) / size * 1e9, "operations": counts.get(name, 0) / size}
        for name in runs[0]
    }


def families_table(families: dict[str, dict[str, float]]) -> Iterator[str]:
    """As Markdown; those that take nothing that can be seen are left out."""
    whole = sum(found["seconds"] for found in families.values())
    yield "\n| a layer, family | processor seconds a GB, one thread | share | operations a byte |\n|---|---|---|---|"
    for name, found in sorted(families.items(), key=lambda item: -item[1]["seconds"]):
        if found["seconds"] > whole / 1000:
            shown = f"{name}, with --scores only" if name == "products" else name
            yield f"| {shown} | {found['seconds']:.2f} | {found['seconds'] / whole:.0%} | {found['operations']:.1f} |"


def table(figures: dict[str, Any]) -> Iterator[str]:
    """The figures as Markdown, each beside its target."""
    gigabytes, threads = figures["bytes"] / 1e9, figures["threads"]
    yield (
        f"Llama-7B shape, {figures['layers']} of {FULL_DEPTH} layers, {gigabytes:.1f} GB of bf16; {threads} threads on "
        f"{figures['processors']} processors; warm files; medians of {figures['repeats']}."
    )
    yield "\n| measurement | figure | ratio | target |\n|---|---|---|---|"
    for name, count in (("1", 1), ("", threads)):
        copied, scanned = figures[f"copy{name}"], figures[f"moments{name}"]
        yield f"| plain copy into memory, {count} thread(s) | {copied:.1f} GB/s | | |"
        yield f"| moments pass, {count} thread(s) | {scanned:.1f} GB/s | {scanned / copied:.0%} of it | {COPY_TARGET:.0%} |"
    seconds = figures["full_seconds"]
    beyond = figures["peak_bytes"] - figures["largest_tensor"]
    yield f"| full fingerprint | {seconds:.1f} s, {gigabytes / seconds:.2f} GB/s | | |"
    used = figures["processor_seconds"]
    yield (
        f"| its processor time | {used:.1f} s, {gigabytes / used:.2f} GB/s a core "
        f"| {figures['products']:.1f} products of two 4096 x 4096 float32 matrices | {CORE_TARGET} GB/s a core |"
    )
    longer = figures["scores_seconds"]
    yield f"| full fingerprint with --scores | {longer:.1f} s, {gigabytes / longer:.2f} GB/s | | |"
    yield (
        f"| its peak memory, mapped file pages included | {figures['peak_bytes'] / 2**20:.0f} MiB "
        f"| largest tensor + {beyond / 2**20:.0f} MiB | largest tensor + {MEMORY_TARGET / 2**20:.0f} MiB |"
    )
    if "baseline" in figures:
        base = figures["baseline"]
        yield (
            f"| transformers: load {base['load']:.1f} s, std of Q K V O {base['std']:.1f} s, dense SVD of QK and VO "
            f"{base['svd_scaled']:.0f} s (timed on {base['svd_layers']} layer(s), scaled to {figures['layers']}) "
            f"| {figures['baseline_seconds']:.0f} s | fingerprint {figures['baseline_seconds'] / seconds:.0f}x faster "
            f"| {SPEED_TARGET:.0f}x |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=14, help="size of the checkpoint; sets the number of layers")
    parser.add_argument("--folder", type=Path, help="make the checkpoint here, keep it, and use it if it is there")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--svd-layers", type=int, default=1, help="layers whose dense SVDs are timed")
    parser.add_argument("--without-torch", action="store_true", help="leave transformers and torch out")
    options = parser.parse_args()
    layers = max(1, min(FULL_DEPTH, round((options.gigabytes * 1e9 - size_of(0)) / (size_of(1) - size_of(0)))))
    with tempfile.TemporaryDirectory(prefix="kinprint-benchmark-") as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "config.json"  # written last: where it is, the checkpoint is complete
        if not config.exists() or json.loads(config.read_text())["num_hidden_layers"] != layers:
            write_checkpoint(folder, layers)
        figures = benchmark(folder, layers, options)
    print("\n".join([*table(figures), *families_table(figures["families"])]))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
