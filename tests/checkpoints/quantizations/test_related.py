"""A quantised copy is related to its original, and said to be quantised; a quantised stranger is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from quantised import FORMS, mxfp4
from rich.console import Console
from typer.testing import CliRunner

from kinprint import Fingerprint, compare, fingerprint
from kinprint.cli import app
from kinprint.reports.comparison_terminal import comparison_text

pytest.importorskip("bitsandbytes")
pytest.importorskip("compressed_tensors")
CHOSEN = {
    "GPTQ 4 bits, ordered by activations": "GPTQ, 4 bits, groups of 64",
    "AWQ": "AWQ, 4 bits, groups of 64",
    "bitsandbytes int8": "bitsandbytes, int8, one scale a row",
    "bitsandbytes nf4, twice": "bitsandbytes, nf4, blocks of 64, quantised twice",
    "compressed-tensors int4": "compressed-tensors, 4 bits, groups of 32",
    "compressed-tensors NVFP4": "compressed-tensors, NVFP4, groups of 16",
    "FP8 in blocks that leave some weights as they are": "FP8, e4m3fn, blocks of 128 x 128",
}
"""One or two of each scheme; all of them, with figures, by benchmarks/formats.py."""


@pytest.fixture(scope="module")
def base(models: Path) -> Fingerprint:
    return fingerprint(models / "base")


@pytest.mark.parametrize("form", CHOSEN)
def test_copy_is_related(form: str, base: Fingerprint, models: Path, tmp_path: Path) -> None:
    """Verdict, and the scheme in context and report."""
    FORMS[form](models / "base", tmp_path / "copy")
    found = compare(base, tmp_path / "copy")
    assert found.verdict == "related"
    assert found.log10_p is not None
    assert found.log10_p < -100
    assert found.context["quantization"] == {"suspect": CHOSEN[form]}
    console = Console(width=200)
    with console.capture() as report:
        console.print(comparison_text(found, everything=True))
    (line,) = (line for line in report.get().splitlines() if "quantised as" in line)
    assert CHOSEN[form] in line


def test_stranger_is_not(base: Fingerprint, models: Path, tmp_path: Path) -> None:
    """The twin, trained from another seed, quantised in the same way as nothing else: no evidence."""
    FORMS["GPTQ 4 bits"](models / "twin", tmp_path / "copy")
    assert compare(base, tmp_path / "copy").verdict == "no-evidence"


def test_command_says_it(models: Path, tmp_path: Path) -> None:
    """`kinprint fingerprint` names the scheme, and nothing of the kind for other models."""
    FORMS["AWQ"](models / "base", tmp_path / "copy")
    for model, said in ((tmp_path / "copy", True), (models / "base", False)):
        result = CliRunner().invoke(app, ["fingerprint", str(model), "-o", str(tmp_path / "out.kinprint")])
        assert result.exit_code == 0, result.output
        assert ("quantised as AWQ, 4 bits, groups of 64" in result.output) is said


def test_experts_of_gpt_oss(tmp_path: Path) -> None:
    """A model of transformers with its experts stored as gpt-oss is published: related to the same in float32."""
    import torch
    import transformers

    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16, "vocab_size": 72}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_local_experts": 4, "num_experts_per_tok": 2}
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(transformers.GptOssConfig(**sizes, **heads))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.save_pretrained(tmp_path / "original")
    mxfp4(tmp_path / "original", tmp_path / "copy")
    found = compare(tmp_path / "original", tmp_path / "copy")
    assert found.verdict == "related"
    assert found.context["quantization"] == {"suspect": "MXFP4, groups of 32"}
