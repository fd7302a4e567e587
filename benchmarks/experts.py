"""Memory of the fingerprint of a mixture: two layers of 128 experts, stacked in tensors of 403 MB and 201 MB.

Peak resident memory, beside what importing kinprint and measuring the same model with 4 experts takes.

    python benchmarks/experts.py [--experts 128] [--layers 2] [--threads 2]
"""

from __future__ import annotations

import argparse
import json
import math
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import ml_dtypes
import numpy as np

HIDDEN, NEURONS, HEADS, GROUPS, WIDTH, VOCABULARY = 1024, 768, 16, 4, 64, 1000

MEASURE = """
import resource, sys
from kinprint.fingerprints import fingerprint
fingerprint(sys.argv[1], cache=False, threads=int(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experts", type=int, default=128)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        peaks = []
        for experts in (4, options.experts):
            target = Path(folder) / str(experts)
            write(target, experts, options.layers)
            command = [sys.executable, "-c", MEASURE, str(target), str(options.threads)]
            peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        largest = options.experts * HIDDEN * 2 * NEURONS * 2
        print(f"largest tensor {largest / 1e6:.0f} MB; peak with 4 experts {peaks[0] / 1e6:.0f} MB, ", end="")
        print(f"with {options.experts} {peaks[1] / 1e6:.0f} MB ({options.threads} threads)")


def write(folder: Path, experts: int, layers: int) -> None:
    """A random model of gpt-oss's layout in bfloat16, a few megabytes in memory at a time."""
    folder.mkdir()
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,)}
    for layer in range(layers):
        block = f"model.layers.{layer}."
        shapes |= {f"{block}{norm}_layernorm.weight": (HIDDEN,) for norm in ("input", "post_attention")}
        for name, count in (("q", HEADS), ("k", GROUPS), ("v", GROUPS)):
            shapes[f"{block}self_attn.{name}_proj.weight"] = (count * WIDTH, HIDDEN)
        shapes[f"{block}self_attn.o_proj.weight"] = (HIDDEN, HEADS * WIDTH)
        shapes[f"{block}mlp.router.weight"] = (experts, HIDDEN)
        shapes[f"{block}mlp.experts.gate_up_proj"] = (experts, HIDDEN, 2 * NEURONS)
        shapes[f"{block}mlp.experts.down_proj"] = (experts, NEURONS, HIDDEN)
    config = {
        "model_type": "gpt_oss",
        "hidden_size": HIDDEN,
        "intermediate_size": NEURONS,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": GROUPS,
        "head_dim": WIDTH,
        "num_local_experts": experts,
        "vocab_size": VOCABULARY,
    }
    (folder / "config.json").write_text(json.dumps(config))
    ends = np.cumsum([2 * math.prod(shape) for shape in shapes.values()]).tolist()
    header = {
        name: {"dtype": "BF16", "shape": shape, "data_offsets": [end - 2 * math.prod(shape), end]}
        for (name, shape), end in zip(shapes.items(), ends, strict=True)
    }
    text = json.dumps(header).encode()
    rng = np.random.default_rng(0)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for shape in shapes.values():
            for begin in range(0, math.prod(shape), 1 << 22):
                values = rng.standard_normal(min(1 << 22, math.prod(shape) - begin), np.float32)
                file.write(values.astype(ml_dtypes.bfloat16).tobytes())


if __name__ == "__main__":
    main()
