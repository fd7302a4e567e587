"""BitNet, against transformers' own packing and layers."""

from __future__ import annotations

import numpy as np
import pytest
from quantised_checks import assert_decoded

from kinprint import open_checkpoint

torch = pytest.importorskip("torch")
bitnet = pytest.importorskip("transformers.integrations.bitnet")


@pytest.mark.parametrize("kind", ["bitlinear", "autobitlinear"])
def test_values(store, kind: str) -> None:  # type: ignore[no-untyped-def]
    """Divided by the scale, or multiplied by it: what each of the two layers does with its output."""
    codes = torch.randint(-1, 2, (32, 24), generator=torch.Generator().manual_seed(1))
    scale = torch.tensor([0.37])
    tensors = {"a.weight": bitnet.pack_weights(codes.clone()), "a.weight_scale": scale}
    folder = store(tensors, {"quant_method": "bitnet", "linear_class": kind})
    expected = (codes / scale if kind == "bitlinear" else codes * scale).numpy()
    assert_decoded(folder, "a.weight", expected, bits=False)
    assert open_checkpoint(folder).quantization == "BitNet, 2 bits, one scale a tensor"


def test_weights_that_are_numbers_stay_so(store) -> None:  # type: ignore[no-untyped-def]
    """Of a model that quantises as it computes."""
    folder = store({"a.weight": np.ones((4, 4), np.float32)}, {"quant_method": "bitnet", "quantization_mode": "online"})
    assert not open_checkpoint(folder).quantization
