"""Writes the corpus: valid files, small ones, of everything that is parsed. `python fuzz/seeds.py`

They lie in `fuzz/corpus`, so that a run does not depend on the libraries that made them. Inputs that once broke a rule are kept
there too, under a name of their own; this does not remove them.
"""

from __future__ import annotations

import base64
import collections
import io
import json
import pickle
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors.numpy

CORPUS = Path(__file__).parent / "corpus"
HIDDEN = 64


def safetensors_seed() -> bytes:
    tensors = {"a": np.ones((2, 3), ml_dtypes.bfloat16), "b": np.arange(4), "e": np.ones((0, 2), "f4")}
    return safetensors.numpy.save(tensors, metadata={"format": "pt"})


class _Name:
    def __init__(self, text: str) -> None:
        self.text = text


class _Storage:
    pass


class _Call:
    def __init__(self, name: str, *arguments: Any) -> None:
        self.name, self.arguments = _Name(name), arguments


class _Pickler(pickle._Pickler):  # type: ignore[name-defined, misc]
    dispatch = pickle._Pickler.dispatch.copy()  # type: ignore[attr-defined]

    def _name(self, value: _Name) -> None:
        self.write(b"c" + value.text.replace(" ", "\n").encode() + b"\n")

    def _call(self, value: _Call) -> None:
        self.save(value.name)
        self.save(value.arguments)
        self.write(pickle.REDUCE)

    def persistent_id(self, value: Any) -> Any:
        return ("storage", _Name("torch FloatStorage"), "0", "cpu", 4) if isinstance(value, _Storage) else None

    dispatch[_Name] = _name
    dispatch[_Call] = _call


def torch_pickle() -> bytes:
    tensor = _Call("torch._utils _rebuild_tensor_v2", _Storage(), 0, (2, 2), (2, 1), False, collections.OrderedDict())
    parameter = _Call("torch._utils _rebuild_parameter", tensor, True, None)
    buffer = io.BytesIO()
    _Pickler(buffer, 2).dump({"model": {"w": tensor, "p": parameter, "n": {"x": tensor}}, "epoch": 3, "lr": 0.1})
    return buffer.getvalue()


def training_pickle() -> bytes:
    """Settings beside tensors: objects of classes, a set, bytes, keys that are no texts."""
    tensor = _Call("torch._utils _rebuild_tensor_v2", _Storage(), 0, (2, 2), (2, 1), False, collections.OrderedDict())
    number = _Call("numpy._core.multiarray scalar", _Call("numpy dtype", "f8", False, True), b"12345678")
    beside = {"path": _Call("pathlib PosixPath", "a", "b"), "kind": _Call("a.b Kind", "x"), ("t", 1): number, "bytes": b"abc"}
    sizes = {"n_embd": 2, "n_layer": 1, "n_head": 1, "vocab_size": 2, "block_size": 4}
    buffer = io.BytesIO()
    _Pickler(buffer, 2).dump({"model": {"w": tensor}, "args": beside, "model_args": sizes})
    return buffer.getvalue()


def onnx_seed() -> bytes:
    """Two weights, one of which is named by the node that uses it, and numbers that are listed."""
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from onnx_files import field, model, node, tensor

    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    listed = field(1, 2) + field(2, 7) + field(8, "i") + field(7, 3) + field(7, 5)
    nodes = [node("MatMul", "/layers.0/q_proj/MatMul", "x", "onnx::MatMul_7")]
    return bytes(model([tensor("onnx::MatMul_7", weight), tensor("norm.weight", weight[0]), listed], nodes))


PARAMS = {
    "dim": HIDDEN,
    "n_layers": 1,
    "n_heads": 4,
    "n_kv_heads": 4,
    "vocab_size": -1,
    "moe": {"num_experts": 2},
    "norm_eps": 1e-5,
}
LITGPT = (
    f"name: x\nn_embd: {HIDDEN}\nn_layer: 1\nn_head: 4\nrotary_percentage: 1.0\nnorm_class_name: RMSNorm\nx: {{y: [1, 2]}}\n"
)


def torch_zip(pickled: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("m/data.pkl", pickled)
        archive.writestr("m/byteorder", b"little")
        archive.writestr("m/data/0", bytes(16))
    return buffer.getvalue()


def gguf_seed() -> bytes:
    """Metadata of several kinds, a plain and a quantised tensor, by the library that others write GGUF with."""
    import gguf

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_block_count(1)
        writer.add_head_count_kv([2, 2])
        writer.add_token_list(["a", "b"])
        writer.add_bool("x", True)
        writer.add_tensor("a", np.ones((2, 3), "f4"))
        writer.add_tensor("b", np.ones((2, 34), "u1"), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()


def llama(**replaced: np.ndarray) -> dict[str, np.ndarray]:
    """The smallest Llama, one matrix of it replaced by the parts of a quantised one."""
    rng = np.random.default_rng(0)
    shapes = {"q_proj": (HIDDEN, HIDDEN), "k_proj": (HIDDEN, HIDDEN), "v_proj": (HIDDEN, HIDDEN), "o_proj": (HIDDEN, HIDDEN)}
    found = {f"model.layers.0.self_attn.{name}.weight": shape for name, shape in shapes.items()}
    found |= {f"model.layers.0.mlp.{name}_proj.weight": (32, HIDDEN) for name in ("gate", "up")}
    found |= {"model.layers.0.mlp.down_proj.weight": (HIDDEN, 32), "model.embed_tokens.weight": (8, HIDDEN)}
    tensors = {name: rng.standard_normal(shape).astype(np.float16) for name, shape in found.items()}
    tensors["model.norm.weight"] = np.ones(HIDDEN, np.float16)
    if replaced:
        del tensors["model.layers.0.self_attn.q_proj.weight"]
        tensors |= {f"model.layers.0.self_attn.q_proj.{name}": array for name, array in replaced.items()}
    return tensors


CONFIG = {"model_type": "llama", "hidden_size": HIDDEN, "num_hidden_layers": 1, "num_attention_heads": 4, "head_dim": 16,
          "intermediate_size": 32, "vocab_size": 8, "rope_scaling": {"factor": 8.0}, "names": ["a", None, True]}  # fmt: skip


def quantised() -> dict[str, tuple[dict[str, np.ndarray], dict[str, Any]]]:
    """Scheme -> tensors and quantization_config."""

    def ones(shape: tuple[int, ...], dtype: Any = np.float16) -> np.ndarray:
        return np.ones(shape, dtype)

    packed = {"format": "pack-quantized", "quant_method": "compressed-tensors", "config_groups": {
        "group_0": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int", "symmetric": True, "group_size": 32,
                                                       "strategy": "group"}}}}  # fmt: skip
    eight = HIDDEN // 8
    return {
        "gptq": (
            llama(qweight=ones((eight, HIDDEN), np.int32), qzeros=ones((2, eight), np.int32), scales=ones((2, HIDDEN)),
                  g_idx=np.repeat(np.arange(2, dtype=np.int32), 32)),
            {"quant_method": "gptq", "bits": 4, "group_size": 32},
        ),
        "awq": (
            llama(qweight=ones((HIDDEN, eight), np.int32), qzeros=ones((2, eight), np.int32), scales=ones((2, HIDDEN))),
            {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm"},
        ),
        "bitsandbytes": (
            llama(weight=ones((HIDDEN, HIDDEN), np.int8), SCB=ones((HIDDEN,), np.float32)),
            {"quant_method": "bitsandbytes", "load_in_8bit": True},
        ),
        "compressed-tensors": (
            llama(weight_packed=ones((HIDDEN, eight), np.int32), weight_scale=ones((HIDDEN, 2)),
                  weight_shape=np.array([HIDDEN, HIDDEN], np.int64)),
            packed,
        ),
        "fp8": (
            llama(weight=ones((HIDDEN, HIDDEN), ml_dtypes.float8_e4m3fn), weight_scale_inv=ones((2, 2), np.float32)),
            {"quant_method": "fp8", "weight_block_size": [32, 32]},
        ),
        "nf4": (
            llama() | nf4("model.layers.0.self_attn.q_proj.weight"),
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
        ),
        "mxfp4": (
            llama() | {"experts_blocks": ones((2, 4, 2, 16), np.uint8), "experts_scales": ones((2, 4, 2), np.uint8)},
            {"quant_method": "mxfp4", "modules_to_not_convert": ["model.embed_tokens"]},
        ),
        "mlx": (
            llama(weight=ones((HIDDEN, eight), np.uint32), scales=ones((HIDDEN, 2)), biases=ones((HIDDEN, 2))),
            {"group_size": 32, "bits": 4, "model.layers.0.mlp.up_proj": {"bits": 8}},
        ),
        "nvfp4": (
            llama(weight=ones((HIDDEN, HIDDEN // 2), np.uint8), weight_scale=ones((HIDDEN, 4), ml_dtypes.float8_e4m3fn),
                  weight_scale_2=np.full((), 0.5, np.float32)),
            {"quant_method": "modelopt", "quant_algo": "NVFP4"},
        ),
        "bitnet": (
            llama(weight=ones((HIDDEN // 4, HIDDEN), np.uint8), weight_scale=ones((1,), np.float32)),
            {"quant_method": "bitnet", "linear_class": "autobitlinear"},
        ),
    }  # fmt: skip


def nf4(name: str) -> dict[str, np.ndarray]:
    """A matrix in four bits, its scales quantised again."""
    blocks = HIDDEN * HIDDEN // 64
    state = {"shape": [HIDDEN, HIDDEN], "dtype": "float16", "blocksize": 64, "nested_blocksize": 256, "nested_offset": 0.1}
    return {
        name: np.ones((HIDDEN * HIDDEN // 2, 1), np.uint8),
        f"{name}.quant_map": np.linspace(-1, 1, 16, dtype=np.float32),
        f"{name}.absmax": np.ones(blocks, np.uint8),
        f"{name}.nested_absmax": np.ones(1, np.float32),
        f"{name}.nested_quant_map": np.linspace(-1, 1, 256, dtype=np.float32),
        f"{name}.quant_state.bitsandbytes__nf4": np.frombuffer(json.dumps(state).encode(), np.uint8),
    }


def adapter() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    prefix = "base_model.model.model.layers.0.self_attn.q_proj"
    tensors = {f"{prefix}.lora_A.weight": np.ones((2, HIDDEN), "f4"), f"{prefix}.lora_B.weight": np.ones((HIDDEN, 2), "f4")}
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "base_model_name_or_path": "org/base",
              "rank_pattern": {"a": 2}, "alpha_pattern": {}, "use_rslora": False, "bias": "none"}  # fmt: skip
    return tensors, config


def fingerprint() -> bytes:
    from kinprint import Fingerprint

    traits = {"heads.qk_spectrum": np.ones((2, 4, 3), "f4"), "gains.final": np.ones(6, "f4"), "digests": np.ones((1, 32), "u1")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.kinprint"
        Fingerprint("a", traits, {"hidden_size": 6, "digest_parts": ["x"]}, {"source": "b"}).save(path)
        return path.read_bytes()


def record() -> bytes:
    import zlib

    lines = [b"0 64", b"64 128", b"100 4096"]
    head = json.dumps({"kinprint": 1, "version": "v", "size": 4096, "id": "0011223344556677"}).encode() + b"\n"
    return head + b"".join(b"\n%b %08x\n" % (line, zlib.crc32(line)) for line in lines)


def statements() -> dict[str, bytes]:
    """One comparison in every kind of document."""
    from kinprint import Fingerprint, compare
    from kinprint.checkpoints.hashes import FileHash
    from kinprint.library.declarations.in_toto import PAYLOAD_TYPE
    from kinprint.reports import cyclonedx_bom, in_toto_statement

    model = Fingerprint("tiny", {"gains.input": np.linspace(1, 2, 128).reshape(2, 64)})
    found, files = compare(model, model), (FileHash("model.safetensors", 1, "0" * 64),)
    statement = in_toto_statement(found, {"reference": files, "suspect": files}).encode()
    envelope = {"payload": base64.b64encode(statement).decode(), "payloadType": PAYLOAD_TYPE, "signatures": []}
    return {
        "statement/in-toto": statement,
        "statement/cyclonedx": cyclonedx_bom(found, {"reference": files, "suspect": files}).encode(),
        "statement/bundle": json.dumps({"dsseEnvelope": envelope}).encode(),
    }


def commitments() -> dict[str, bytes]:
    """To a model without files, open and hidden."""
    from kinprint import Fingerprint
    from kinprint.checkpoints.hashes import FileHash
    from kinprint.reports import hidden_commitment, open_commitment

    files = (FileHash("model.safetensors", 1, "0" * 64),)
    shown = open_commitment(Fingerprint("tiny", {"gains.final": [1.0]}), files, salt=bytes(32))
    return {"commitment/open": shown.encode(), "commitment/hidden": hidden_commitment(shown).encode()}


def audits() -> dict[str, bytes]:
    """Of three checkpoints with steps and dates, and the file that states them."""
    from kinprint.auditing.chain import Stage
    from kinprint.auditing.findings import Audit, AuditFinding
    from kinprint.checkpoints.hashes import FileHash
    from kinprint.reports.audit_in_toto import audit_statement

    stages = [Stage("", f"step{step}", step, f"2026-03-0{day}") for day, step in enumerate((0, 10, 20), 1)]
    kin = [AuditFinding("kinship", "holds", where, "kin", -40.0) for where in ("step 0 to step 10", "step 10 to step 20")]
    told = [AuditFinding("start", "holds", "step 0", "entries", -1.0), AuditFinding("drift", "holds", "", "no jump")]
    found = Audit(stages, ["0" * 64, "1" * 64, "2" * 64], [*kin, *told], 0, 1e-6)
    files = [(FileHash("model.safetensors", 1, digit * 64),) for digit in "abc"]
    chain = "".join(f'[[checkpoint]]\npath = "{s.name}"\nstep = {s.step}\ndate = {s.date}\n\n' for s in stages)
    return {"audit/small": audit_statement(found, files).encode(), "chain/small": chain.encode()}


def fingerprint_set() -> bytes:
    """The manifest of a published set of one fingerprint."""
    item = {"name": "org/a", "file": "a.kinprint", "bytes": 9, "sha256": "0" * 64, "digest": "1" * 64, "source": "org/a",
            "revision": "2" * 40, "licence": "MIT", "quick": 0.01}  # fmt: skip
    return json.dumps({"format": "kinprint-set/1", "models": [item]}).encode()


def time_stamps() -> dict[str, bytes]:
    """A response, and the root of the authority that gave it. It has new keys, and so other bytes, whenever this runs."""
    import sys
    from datetime import UTC, datetime

    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from time_stamping import authority

    one = authority()
    return {
        "time-stamp/response": one.response(b"stamped\n", datetime(2026, 1, 2, tzinfo=UTC), 1),
        "companions/authority.pem": one.pem,
    }


def corpus() -> dict[str, bytes]:
    """Path below the corpus -> content. The first part of the path is the target."""
    whole = safetensors.numpy.save(llama(), metadata={"format": "pt"})
    small = safetensors_seed()
    index = {"metadata": {"total_size": 44}, "weight_map": dict.fromkeys("abe", "shard.safetensors")}
    vocabulary = {"model": {"vocab": {"a": 0, "b": 1}}, "added_tokens": [{"id": 2, "content": "<s>"}]}
    pieces = {"model": {"vocab": [["a", 0.1], ["b", -2]]}}
    card = b"---\nbase_model:\n- org/model\ntags: [a, b]\nx: {y: true, z: null}\nt: |\n  text\n---\n# Title\n"
    pairs = [{"a": "x", "b": "y", "related": True, "relation": "fine-tune"}, {"a": "x", "b": "z", "related": False}]
    member = {
        "name": "a", "family": "llama", "kind": "base", "parents": [], "disguise": False, "initialisation": "a",
        "teacher": None, "seed": 0,
    }  # fmt: skip
    lineage = {"format": "kinprint-zoo/1", "size": "tiny", "models": [member, member | {"name": "b", "parents": ["a"]}]}
    found = {
        "safetensors/small": small,
        "safetensors-header/small": small[8 : 8 + int.from_bytes(small[:8], "little")],
        "bin/small": torch_zip(torch_pickle()),
        "pytorch-pickle/small": torch_pickle(),
        "pytorch-pickle/training": training_pickle(),
        "gguf/llama": gguf_seed(),
        "onnx/small": onnx_seed(),
        "params/meta": json.dumps(PARAMS).encode(),
        "litgpt-config/small": LITGPT.encode(),
        "index/small": json.dumps(index).encode(),
        "config/llama": json.dumps(CONFIG).encode(),
        "config/moe": json.dumps(CONFIG | {"model_type": "mixtral", "num_local_experts": 4, "layer_types": ["full"]}).encode(),
        "config/multimodal": json.dumps(
            {"text_config": CONFIG, "vision_config": {}, "quantization_config": {"bits": 4}}
        ).encode(),
        "tokenizer/table": json.dumps(vocabulary).encode(),
        "tokenizer/pieces": json.dumps(pieces).encode(),
        "vocabulary/table": b'{"a": 0, "b": 1}',
        "card/small": card,
        "fingerprint/small": fingerprint(),
        "record/small": record(),
        "pairs/small": json.dumps(pairs).encode(),
        "lineage/small": json.dumps(lineage).encode(),
        **statements(),
        **commitments(),
        **audits(),
        "set/small": fingerprint_set(),
        **time_stamps(),
        "transcript/small": transcript(),
        "answers/small": answers(),
        "texts/small": b'{"text": "a"}\n{"text": "b", "n": 1}\n',
        "adapter-config/lora": json.dumps(adapter()[1]).encode(),
        "companions/llama.safetensors": whole,
        "companions/adapter.safetensors": safetensors.numpy.save(adapter()[0], metadata={"format": "pt"}),
    }
    for scheme, (tensors, settings) in quantised().items():
        data = safetensors.numpy.save(tensors, metadata={"format": "pt"})
        length = int.from_bytes(data[:8], "little")
        found[f"quantised-header/{scheme}"] = data[8 : 8 + length]
        found[f"quantised-config/{scheme}"] = json.dumps(CONFIG | {"quantization_config": settings}).encode()
        found[f"companions/{scheme}.data"] = data[8 + length :]
    return found


def transcript() -> bytes:
    """Texts with positions, sources and dates, one of them twice."""
    rows = [
        {"text": f"text {i % 23}", "position": i % 7, "source": "ab"[i % 2], "date": f"2024-01-{1 + i:02}"} for i in range(24)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def answers() -> bytes:
    """Answers of each kind, as they are kept."""
    rows: list[dict[str, object]] = [
        {"format": "kinprint-answers/1", "suspect": "m", "where": ""},
        {"question": "0a", "kind": "likelihood", "logprobs": [-1.5, -0.25], "pieces": ["a", "b"], "model": "m", "tokens": 3},
        {"question": "0b", "kind": "writing", "text": "so", "tokens": 9},
        {"question": "0c", "kind": "top", "top": {"a": -0.5, "b": -2.0}, "tokens": 2},
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def main() -> None:
    for place, content in corpus().items():
        path = CORPUS / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    print(f"{sum(path.stat().st_size for path in CORPUS.rglob('*') if path.is_file()) / 1e3:.0f} kB in {CORPUS}")


if __name__ == "__main__":
    main()
