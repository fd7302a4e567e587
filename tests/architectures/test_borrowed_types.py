"""Encoders with code of their own, some under the type of another: read by the names of their tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import random_model

from kinprint import compare
from kinprint.architectures import Anatomy, recognise
from kinprint.checkpoints import Checkpoint, open_checkpoint

WIDTH, NEURONS, TOKENS = 24, 40, 50
BERT = {
    "model_type": "bert",
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": NEURONS,
}
NOMIC = {"model_type": "nomic_bert", "n_embd": WIDTH, "n_layer": 2, "n_head": 4, "n_inner": NEURONS, "rotary_emb_fraction": 0.5}
Shapes = dict[str, tuple[int, ...]]


class Random:
    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name, self.shape, self.dtype = name, shape, np.dtype(np.float32)

    def read(self) -> np.ndarray:
        seed = [ord(letter) for letter in self.name]
        return np.random.default_rng(seed).normal(size=self.shape).astype(np.float32)


def read(shapes: Shapes, config: dict[str, Any]) -> tuple[Anatomy, Checkpoint]:
    """A model of two layers; `{n}` in a name is the layer."""
    names = {name.replace("{n}", str(layer)): shape for name, shape in shapes.items() for layer in range(2)}
    made = Checkpoint("m", "m", {name: Random(name, shape) for name, shape in names.items()}, config)
    return recognise(made), made


def linear(name: str, outputs: int, inputs: int, *, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (outputs, inputs)} | ({f"{name}.bias": (outputs,)} if bias else {})


def norm(name: str) -> Shapes:
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


EMBEDDINGS = {"embeddings.word_embeddings.weight": (TOKENS, WIDTH), "embeddings.token_type_embeddings.weight": (2, WIDTH)}
LAYER = "encoder.layer.{n}."
SMALL = {"embedding_size": 48, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 56}
JINA: Shapes = {
    **EMBEDDINGS,
    **norm("embeddings.LayerNorm"),
    **linear(LAYER + "attention.self.query", WIDTH, WIDTH),
    **linear(LAYER + "attention.self.key", WIDTH, WIDTH),
    **linear(LAYER + "attention.self.value", WIDTH, WIDTH),
    **linear(LAYER + "attention.output.dense", WIDTH, WIDTH),
    **norm(LAYER + "attention.output.LayerNorm"),
}
BASE: Shapes = {
    **linear(LAYER + "mlp.gated_layers", 2 * NEURONS, WIDTH, bias=False),
    **linear(LAYER + "mlp.wo", WIDTH, NEURONS),
    **norm(LAYER + "mlp.layernorm"),
}
CODE: Shapes = {
    **norm(LAYER + "attention.self.layer_norm_q"),
    **norm(LAYER + "attention.self.layer_norm_k"),
    **norm(LAYER + "layer_norm_1"),
    **linear(LAYER + "mlp.up_gated_layer", 2 * NEURONS, WIDTH, bias=False),
    **linear(LAYER + "mlp.down_layer", WIDTH, NEURONS),
    **norm(LAYER + "layer_norm_2"),
}
MOSAIC: Shapes = {
    **{name: shape for name, shape in JINA.items() if "self" not in name},
    **linear(LAYER + "attention.self.Wqkv", 3 * WIDTH, WIDTH),
    **BASE,
}


@pytest.mark.parametrize(
    ("shapes", "table", "tensor", "gate"),
    [
        ({**JINA, **BASE}, "jina_bert", "mlp.gated_layers", 0),
        (MOSAIC, "jina_bert", "mlp.gated_layers", 0),
        ({**JINA, **CODE}, "jina_bert_code", "mlp.up_gated_layer", NEURONS),
    ],
)
@pytest.mark.parametrize("front", ["", "bert."])
def test_jina_and_mosaic_are_no_bert(shapes: Shapes, table: str, tensor: str, gate: int, front: str) -> None:
    """Their configurations say "bert". Heads are named by ALiBi, and the gate is not always the first half of a tensor."""
    anatomy, made = read({front + name: shape for name, shape in shapes.items()}, BERT)
    assert (anatomy.family, anatomy.guessed, anatomy.unknown) == (table, False, ())
    assert anatomy.facts["positions"] == "alibi"
    assert "heads" in anatomy.facts["named_spaces"]
    assert not anatomy.facts["norm_first"]
    for layer in range(2):
        fused = made.tensors[f"{front}encoder.layer.{layer}.{tensor}.weight"].read()
        found = {role: anatomy.at[layer, role, None].read() for role in ("gate", "up")}
        np.testing.assert_array_equal(found["gate"], fused[gate : gate + NEURONS])
        np.testing.assert_array_equal(found["up"], fused[NEURONS - gate : 2 * NEURONS - gate])


def test_a_bert_is_still_a_bert() -> None:
    plain = {**linear(LAYER + "intermediate.dense", NEURONS, WIDTH), **linear(LAYER + "output.dense", WIDTH, NEURONS)}
    places = {"embeddings.position_embeddings.weight": (16, WIDTH)}
    anatomy, _ = read({**JINA, **plain, **norm(LAYER + "output.LayerNorm"), **places}, BERT)
    assert (anatomy.family, anatomy.facts["positions"]) == ("bert", "learned")


FLASH = "encoder.layers.{n}."


def test_adapters_of_tasks_stand_over_the_weights() -> None:
    """Jina 3 as its makers store it: an XLM-RoBERTa by its type, its matrices under parametrisations."""
    over = ".parametrizations.weight"
    parts = {"mixer.Wqkv": (3 * WIDTH, WIDTH), "mixer.out_proj": (WIDTH, WIDTH), "mlp.fc1": (NEURONS, WIDTH)}
    shapes: Shapes = {"roberta.embeddings.word_embeddings" + over + ".original": (TOKENS, WIDTH), **norm("roberta.emb_ln")}
    for name, (outputs, inputs) in {**parts, "mlp.fc2": (WIDTH, NEURONS)}.items():
        front = "roberta." + FLASH + name
        shapes |= {front + over + ".original": (outputs, inputs), front + ".bias": (outputs,)}
        shapes |= {front + over + ".0.lora_A": (5, 4, inputs), front + over + ".0.lora_B": (5, outputs, 4)}
    shapes |= norm("roberta." + FLASH + "norm1") | norm("roberta." + FLASH + "norm2")
    anatomy, made = read(shapes, {**BERT, "model_type": "xlm-roberta", "position_embedding_type": "rotary"})
    assert (anatomy.family, anatomy.guessed, anatomy.facts["positions"]) == ("jina_embeddings_v3", False, "rope")
    assert set(anatomy.others.values()) == {"adapter"}
    fused = made.tensors["roberta.encoder.layers.1.mixer.Wqkv.parametrizations.weight.original"].read()
    for index, role in enumerate("qkv"):
        np.testing.assert_array_equal(anatomy.at[1, role, None].read(), fused[index * WIDTH : (index + 1) * WIDTH])


def test_a_configuration_of_another_family() -> None:
    """Nomic's is that of a GPT-2, and a part of each head is rotated; the first matrix of the FFN is not the gate."""
    shapes: Shapes = {**EMBEDDINGS, **norm("emb_ln"), **linear(FLASH + "attn.Wqkv", 3 * WIDTH, WIDTH, bias=False)}
    shapes |= linear(FLASH + "attn.out_proj", WIDTH, WIDTH, bias=False) | norm(FLASH + "norm1") | norm(FLASH + "norm2")
    for name, sizes in (("fc11", (NEURONS, WIDTH)), ("fc12", (NEURONS, WIDTH)), ("fc2", (WIDTH, NEURONS))):
        shapes |= linear(FLASH + "mlp." + name, *sizes, bias=False)
    anatomy, _ = read(shapes, NOMIC)
    assert (anatomy.family, anatomy.unknown) == ("nomic_bert", ())
    assert (anatomy.facts["num_attention_heads"], anatomy.facts["rotary_dim"]) == (4, 4)
    assert anatomy.at[0, "gate", None].tensor == "encoder.layers.0.mlp.fc12.weight"
    assert not anatomy.facts["norm_first"]


def test_gte_under_the_type_of_its_makers() -> None:
    """ "new"; the first half of the FFN's tensor is not the gate."""
    shapes: Shapes = {**EMBEDDINGS, **norm("embeddings.LayerNorm"), **linear(LAYER + "attention.qkv_proj", 3 * WIDTH, WIDTH)}
    shapes |= linear(LAYER + "attention.o_proj", WIDTH, WIDTH) | norm(LAYER + "attn_ln") | norm(LAYER + "mlp_ln")
    shapes |= linear(LAYER + "mlp.up_gate_proj", 2 * NEURONS, WIDTH, bias=False) | linear(
        LAYER + "mlp.down_proj", WIDTH, NEURONS
    )
    anatomy, made = read({"new." + name: shape for name, shape in shapes.items()}, {**BERT, "model_type": "new"})
    assert (anatomy.family, anatomy.unknown, anatomy.facts["positions"]) == ("gte", (), "rope")
    fused = made.tensors["new.encoder.layer.0.mlp.up_gate_proj.weight"].read()
    np.testing.assert_array_equal(anatomy.at[0, "gate", None].read(), fused[NEURONS:])


def test_convolutions_in_groups(tmp_path: Path) -> None:
    """SqueezeBERT: the one matrix that connects all channels has a role, and computes what its module does. A copy with
    noise is related, a stranger is not."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    seen: list[np.ndarray] = []
    for seed, name in enumerate(("one", "other")):
        torch.manual_seed(seed)
        model = transformers.SqueezeBertForMaskedLM(transformers.SqueezeBertConfig(**SMALL, vocab_size=72)).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
        model.save_pretrained(tmp_path / name)
        if name == "one":
            module = model.transformer.encoder.layers[1].post_attention.conv1d
            module.register_forward_hook(lambda _, x, y: seen.extend(each[0].detach().double().numpy() for each in (x[0], y)))
            model(input_ids=torch.tensor([[5, 9, 33]]))
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(torch.randn_like(parameter) * 0.05 * parameter.std())
            model.save_pretrained(tmp_path / "noised")
    anatomy = recognise(open_checkpoint(tmp_path / "one"))
    assert (anatomy.family, anatomy.unknown) == ("squeezebert", ())
    assert anatomy.facts["layer_kinds"] == ["convolutions in groups"] * 2
    found = anatomy.at[1, "o", None].read() @ seen[0] + anatomy.at[1, "biases.o", None].read()[:, None]
    np.testing.assert_allclose(found, seen[1], atol=1e-4)
    verdicts = [compare(tmp_path / "one", tmp_path / name).verdict for name in ("one", "noised", "other")]
    assert verdicts == ["identical", "related", "no-evidence"]


def test_positions_beside_biases_are_not_all(tmp_path: Path) -> None:
    """MPNet under another type: its matrix of positions is learned, and its biases name heads all the same."""
    random_model("mpnet").save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "model_type": "renamed"}))
    anatomy = recognise(open_checkpoint(tmp_path))
    assert (anatomy.family, anatomy.guessed) == ("mpnet", True)
    assert "heads" in anatomy.facts["named_spaces"]
