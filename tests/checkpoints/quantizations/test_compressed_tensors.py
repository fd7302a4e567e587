"""compressed-tensors, against the library's own decompression of the models that it compressed."""

from __future__ import annotations

from pathlib import Path

import pytest
from quantised import FORMS, compressed_model, is_linear
from quantised_checks import as_numpy, assert_decoded

from kinprint import open_checkpoint

torch = pytest.importorskip("torch")
pytest.importorskip("compressed_tensors")
OURS = {name.partition(" ")[2]: write for name, write in FORMS.items() if name.startswith("compressed-tensors")}


@pytest.mark.parametrize("form", OURS)
def test_every_form(form: str, models: Path, tmp_path: Path) -> None:
    """Bit for bit what `decompress_model` gives, and nothing else in the checkpoint."""
    model, compressor = compressed_model(models / "base", **OURS[form].keywords)  # type: ignore[attr-defined]
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    compressor.update_config(str(folder))
    compressor.decompress_model(model)
    weights = {name: tensor for name, tensor in model.state_dict().items() if is_linear(name)}
    assert len(weights) == 28
    for name in ("model.layers.0.self_attn.k_proj.weight", "model.layers.3.mlp.down_proj.weight"):
        assert_decoded(folder, name, as_numpy(weights[name]))
    checkpoint = open_checkpoint(folder)
    assert weights.keys() <= checkpoint.tensors.keys()
    assert checkpoint.quantization.startswith("compressed-tensors, ")


def test_order_of_activations(store) -> None:  # type: ignore[no-untyped-def]
    """`weight_g_idx` names the group of each input; -1 stands for consecutive groups."""
    from compressed_tensors.compressors.pack_quantized import pack_to_int32

    codes = torch.randint(-8, 8, (64, 96), generator=torch.Generator().manual_seed(1), dtype=torch.int8)
    scale = torch.rand(64, 3, generator=torch.Generator().manual_seed(2))
    group = torch.randperm(96, generator=torch.Generator().manual_seed(3)) // 32
    shape = torch.tensor([64, 96])
    for index, its in ((group, group), (torch.full((96,), -1), torch.arange(96) // 32)):
        parts = {"packed": pack_to_int32(codes, 4), "scale": scale, "shape": shape, "g_idx": index.to(torch.int32)}
        folder = store({f"a.weight_{name}": tensor for name, tensor in parts.items()}, name=f"first-{index[0]}")
        assert_decoded(folder, "a.weight", as_numpy(codes * scale[:, its]))


def test_mxfp8(store) -> None:  # type: ignore[no-untyped-def]
    """float8 codes in groups of 32 under E8M0 scales, against the library."""
    from compressed_tensors.compressors import MXFP8QuantizationCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    arguments = {"num_bits": 8, "type": "float", "strategy": "group", "group_size": 32, "scale_dtype": "torch.uint8"}
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**arguments))
    scale = 2.0 ** torch.randint(-9, 3, (64, 3), generator=torch.Generator().manual_seed(2))
    weight = torch.randn(64, 96, generator=torch.Generator().manual_seed(1)) * scale.repeat_interleave(32, 1)
    state = MXFP8QuantizationCompressor.compress({"weight": weight, "weight_scale": scale}, scheme)
    expected = MXFP8QuantizationCompressor.decompress(state, scheme)["weight"]
    settings = {"quant_method": "compressed-tensors", "format": "mxfp8-quantized"}
    folder = store({f"a.{name}": tensor for name, tensor in state.items()}, settings)
    assert_decoded(folder, "a.weight", as_numpy(expected))


def test_dense(models: Path, tmp_path: Path) -> None:
    """A configuration of compressed-tensors over weights that are as they are changes nothing."""
    import json
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(models / "base", folder)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "compressed-tensors", "format": "dense"}
    (folder / "config.json").write_text(json.dumps(config))
    assert open_checkpoint(folder).quantization == ""
    assert open_checkpoint(folder).tensors == open_checkpoint(folder).tensors


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("inputs", [96, 77])
def test_every_number_of_bits(store, bits: int, inputs: int) -> None:  # type: ignore[no-untyped-def]
    """Codes of 1 to 8 bits, with rows that end inside a word, against the library's packing."""
    from compressed_tensors.compressors.pack_quantized import pack_to_int32

    half = 1 << (bits - 1)
    codes = torch.randint(-half, half, (64, inputs), generator=torch.Generator().manual_seed(1)).to(torch.int8)
    scale = torch.rand(64, 1, generator=torch.Generator().manual_seed(2))
    parts = {"packed": pack_to_int32(codes, bits), "scale": scale, "shape": torch.tensor([64, inputs])}
    folder = store({f"a.weight_{name}": tensor for name, tensor in parts.items()})
    assert_decoded(folder, "a.weight", as_numpy(codes.float() * scale))
    assert open_checkpoint(folder).quantization == f"compressed-tensors, {bits} bits, one scale a row"
