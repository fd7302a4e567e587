"""Which files are the weights, from names alone: the one answer for folders here and elsewhere, listings and adapters."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinprint.checkpoints.adapters import is_alone
from kinprint.checkpoints.folders import local
from kinprint.checkpoints.remote.folder import RemoteFolder
from kinprint.checkpoints.weight_choice import Choice, choose_weights, standard_names
from kinprint.errors import CheckpointError
from kinprint.library.references.building import _weights
from kinprint.library.references.listing import Reference

INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_config.json adapter_model.safetensors"

CHOSEN = {
    "model.safetensors": Choice(("model.safetensors",)),
    "model.safetensors consolidated.safetensors pytorch_model.bin training_args.bin": Choice(("model.safetensors",)),
    "pytorch_model.bin training_args.bin": Choice(("pytorch_model.bin",)),
    "pytorch_model.bin consolidated.safetensors": Choice(("pytorch_model.bin",)),
    "pytorch_model.bin model.gguf": Choice(("pytorch_model.bin",)),
    "model.gguf config.json deep/model.safetensors": Choice(("model.gguf",)),
    "one.safetensors": Choice(("one.safetensors",)),
    "ONE.SAFETENSORS": Choice(("ONE.SAFETENSORS",)),
    "one.safetensors two.bin three.gguf": Choice(("one.safetensors",)),
    "adapter_model.safetensors": Choice(("adapter_model.safetensors",)),
    f"{INDEX} part-1.safetensors part-2.safetensors": Choice(("part-1.safetensors", "part-2.safetensors"), INDEX),
    f"{INDEX} model-00001-of-00001.safetensors other.safetensors": Choice(("model-00001-of-00001.safetensors",), INDEX),
    f"{INDEX} deep/x.safetensors": Choice((), INDEX),
    "m-00002-of-00002.safetensors m-00001-of-00002.safetensors": Choice(
        ("m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors")
    ),
    "model-00001-of-00001.safetensors consolidated.safetensors": Choice(("model-00001-of-00001.safetensors",)),
    ADAPTER: Choice(("adapter_model.safetensors",), adapter=True),
    f"{ADAPTER} adapter_model.bin": Choice(("adapter_model.safetensors",), adapter=True),
    "adapter_config.json adapter_model.bin training_args.safetensors": Choice(("adapter_model.bin",), adapter=True),
    f"{ADAPTER} model.safetensors": Choice(("model.safetensors",)),
    f"{ADAPTER} pytorch_model-00001-of-00001.bin": Choice(("pytorch_model-00001-of-00001.bin",)),
}
REFUSED = {
    "": "no weights there",
    "config.json onnx/model.onnx deep/model.safetensors README.md": "no weights there",
    "adapter_config.json": "no weights there",
    "a.safetensors b.safetensors": "several weights files and no index",
    "a-00001-of-00001.safetensors b.safetensors": "several weights files and no index",
    "a-00001-of-00001.safetensors a-00001-of-00002.safetensors": "several weights files and no index",
    "a-1-of-2.safetensors a-2-of-2.safetensors": "several weights files and no index",
    "m-00001-of-00002.safetensors": r"1 of 2 shards missing: m-00002-of-00002\.safetensors",
    "model-00001-of-00003.safetensors x.safetensors": "2 of 3 shards missing",
}


@pytest.mark.parametrize("names", CHOSEN)
def test_the_weights_of_a_folder(names: str) -> None:
    """Standard names first, then standard shards, an adapter, the only file or set of the preferred format."""
    assert choose_weights(set(names.split()), "x") == CHOSEN[names]


@pytest.mark.parametrize("names", REFUSED)
def test_what_cannot_be_chosen(names: str) -> None:
    """Nothing, several, or an incomplete set: one line that says which."""
    with pytest.raises(CheckpointError, match=REFUSED[names]):
        choose_weights(set(names.split()), "x")


@pytest.mark.parametrize("names", CHOSEN)
def test_everybody_who_asks_gets_that_answer(names: str, tmp_path: Path) -> None:
    """A folder here, one elsewhere, a hub's listing of sizes, and the question whether an adapter is alone."""
    present = set(names.split())
    for name in present:
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).write_bytes(b"xyz")
    location = local(tmp_path / "model", "model")
    nested = {name for name in present if "/" in name}
    assert choose_weights(location.folder.names() | nested, "x") == CHOSEN[names]
    remote = RemoteFolder("x", tmp_path, lambda asked: set(asked) & present, lambda name: pytest.fail(name))
    if present - nested <= standard_names() | set(ADAPTER.split()):  # a web server cannot list others
        assert choose_weights(remote.names(), "x").files == CHOSEN[names].files
    assert is_alone(location) is CHOSEN[names].adapter

    class Listed:
        sizes = dict.fromkeys(present, 3)

    assert _weights(Reference("org/name"), Listed()) == 3 * len(CHOSEN[names].files)  # type: ignore[arg-type]


NAMES = st.sampled_from(
    [*standard_names(), *ADAPTER.split(), "a.safetensors", "b.bin", "model-00001-of-00001.safetensors", "c/d.bin"]
)


@given(st.sets(NAMES))
def test_what_is_chosen_is_there(names: set[str]) -> None:
    """Of any names: files among them and in their own folder, or an index, or an error."""
    try:
        choice = choose_weights(names, "x")
    except CheckpointError:
        return
    assert set(choice.files) <= {name for name in names if "/" not in name}
    assert choice.files or choice.index in names
