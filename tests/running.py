"""A random model that runs: what its modules read and write, beside what its file is read as."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from families import HEARING, SEQ2SEQ, random_model

from kinprint.architectures import Anatomy, Part, recognise
from kinprint.checkpoints import open_checkpoint

Array = np.ndarray[Any, Any]
TOKENS = [[5, 9, 33, 60]]

ACTIVATIONS = ("hidden_act", "hidden_activation", "mlp_hidden_act", "dense_act_fn", "activation_function", "ff_activation")
UNSAID = {"rwkv": "relu2", "xlm": "gelu", "esm": "gelu", "cpmant": "gelu"}
"""Activations of families whose configurations do not name theirs."""

IN_MEMORY = {
    r"^backbone\.": "model.",
    r"^(nomic_bert|roberta|gte)\.encoder\.layers?\.(?=\d+\.(mixer|attn|mlp|norm[12]|\w+_ln|attention\.\w+j)\b)": r"\1.layers.",
    r"\.(mixer|attn|attention)\.(Wqkv|qkv_proj)\.": ".self_attn.q_proj.",
    r"\.(mixer|attn)\.out_proj\.|\.attention\.o_proj\.": ".self_attn.o_proj.",
    r"\.(norm1|attn_ln)\.": ".post_attention_layernorm.",
    r"\.(norm2|mlp_ln)\.": ".post_mlp_layernorm.",
    r"\.emb_ln\.": ".embeddings.LayerNorm.",
    r"\.mlp\.(fc11|up_gate_proj)\.": ".mlp.up_proj.",
    r"\.mlp\.fc12\.": ".mlp.gate_proj.",
    r"^(nomic_bert\..*\.mlp)\.fc2\.": r"\1.down_proj.",
}
"""Names in a file -> names in memory, as expressions, where a file keeps several matrices of the model in one."""


class Run:
    """A random model on disk, its anatomy, and inputs and outputs of its modules when first called in one forward pass."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        try:
            self.model = random_model(name)
        except (ValueError, KeyError) as error:
            pytest.skip(f"this transformers has no {name}: {error}: pip install -U transformers")
        self.model.save_pretrained(folder)
        self.checkpoint = open_checkpoint(folder)
        self.anatomy: Anatomy = recognise(self.checkpoint)
        self.places = {parameter.detach().numpy().tobytes(): name for name, parameter in self.model.named_parameters()}
        self.parts: dict[tuple[int | None, str, int | None], Part] = {
            (p.layer, p.role, p.expert): p for p in self.anatomy.parts
        }
        self.seen: dict[str, tuple[Array, Array]] = {}
        for module, thing in self.model.named_modules():
            thing.register_forward_hook(self._note(module), with_kwargs=True)
        self.output = self()

    def __call__(self) -> Any:
        import torch

        heard = {"input_features": torch.sin(torch.arange(256.0)).reshape((1, 8, 32) if self.name == "whisper" else (1, 32, 8))}
        given = heard if self.name in HEARING else {"input_ids": torch.tensor(TOKENS)}
        more = {"decoder_input_ids": torch.tensor(TOKENS), "use_cache": False} if self.name in SEQ2SEQ else {}
        self.seen.clear()
        with torch.no_grad():
            return self.model(**given, output_attentions=True, **more)

    def _note(self, name: str) -> Any:
        import torch

        def hook(module: Any, inputs: Any, keywords: Any, output: Any) -> None:
            first = inputs[0] if inputs else keywords.get("hidden_states", keywords.get("query"))
            output = output[0] if isinstance(output, tuple) else output
            if torch.is_tensor(first) and torch.is_tensor(output) and first.numel() and output.numel():
                pair = (value.detach().double().numpy() for value in (first, output))
                one, other = (array.reshape(-1, array.shape[-1]) for array in pair)
                self.seen.setdefault(name, (one, other))

        return hook

    def of(self, tensor: str) -> tuple[Array, Array]:
        """Input and output, (tokens, width), of the module that owns a tensor of the checkpoint."""
        name = self.in_memory(tensor).rpartition(".")[0]
        tail = next((key for key in self.seen if key == name or key.endswith(f".{name}") or name.endswith(f".{key}")), None)
        assert tail is not None, name
        return self.seen[tail]

    def in_memory(self, tensor: str) -> str:
        """What the library calls a tensor of the file while it runs; of several fused in one tensor it is the first."""
        if (found := self.places.get(self.checkpoint.tensors[tensor].read().tobytes())) is not None:
            return found
        for saved, running in IN_MEMORY.items():
            tensor = re.sub(saved, running, tensor)
        return tensor

    def read(self, layer: int | None, role: str, expert: int | None = None) -> Array:
        return np.asarray(self.parts[layer, role, expert].read(), dtype=np.float64)

    def bias(self, layer: int, role: str, expert: int | None = None) -> Array | float:
        return self.read(layer, f"biases.{role}", expert) if (layer, f"biases.{role}", expert) in self.parts else 0.0

    def act(self, array: Array) -> Array:
        """The activation of the FFN."""
        import torch
        import transformers

        config = getattr(self.model.config, "encoder", self.model.config)
        said = (getattr(config, key, None) for key in (*ACTIVATIONS, "activation"))
        name = UNSAID.get(self.name) or next((name for name in said if name), "silu")
        return np.asarray(transformers.activations.ACT2FN[name](torch.from_numpy(array)).numpy())
