"""Where models lie: caches of hubs and of Ollama, files of any name, what lies beside the weights."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime
import enum
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from kinprint.architectures import recognise
from kinprint.checkpoints import open_checkpoint
from kinprint.checkpoints.places import FOLDERS, require_there
from kinprint.errors import CheckpointError

ONE = {"w": np.ones((2, 2), np.float32)}
BASE = Path(__file__).parents[2] / "examples" / "models" / "base"


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """The shipped model as GGUF."""
    gguf_files = pytest.importorskip("gguf_files")
    gguf_files.convert(gguf_files.Kind.Q8_0, BASE, tmp_path / "made")
    return tmp_path / "made" / "model.gguf"


def test_files_are_told_by_their_first_bytes(gguf: Path, tmp_path: Path) -> None:
    """A blob of Ollama, a `.bin` that is a GGUF, a safetensors file without an ending: configuration and types included."""
    expected = open_checkpoint(gguf)
    for name in ("sha256-" + "0" * 64, "model.bin", "pytorch_model.bin", "weights"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_bytes(gguf.read_bytes())
        found = open_checkpoint(folder / name)
        assert found.tensors.keys() == expected.tensors.keys()
        assert (found.config, found.quantization) == (expected.config, expected.quantization)
    save_file(ONE, tmp_path / "blob")
    assert list(open_checkpoint(tmp_path / "blob").tensors) == ["w"]


@pytest.mark.parametrize("named", [True, False])
def test_a_repository_in_a_hubs_cache(tmp_path: Path, named: bool) -> None:
    """The commit that refs/main names, among others; without it the only one."""
    folder, commit = tmp_path / "models--org--name", "0123456789abcdef0123456789abcdef01234567"
    for each in (commit, "f" * 40) if named else (commit,):
        (folder / "snapshots" / each).mkdir(parents=True)
        save_file(ONE if each == commit else {"other": ONE["w"]}, folder / "snapshots" / each / "model.safetensors")
    if named:
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(commit)
    found = open_checkpoint(folder)
    assert (found.name, found.revision, found.source) == ("org/name", commit, str(folder))
    assert list(found.tensors) == ["w"]


@pytest.mark.parametrize("beside", ["mmproj-model-f16.gguf", "model.imatrix.gguf", "my.mmproj.gguf"])
def test_a_gguf_beside_its_companions_is_the_model(gguf: Path, beside: str) -> None:
    """A vision part or statistics for quantising."""
    model = gguf.rename(gguf.parent / "Name-Q8_0.gguf")
    (gguf.parent / beside).write_bytes(b"GGUF")
    assert [file.name for file in open_checkpoint(gguf.parent).files][:1] == [model.name]


def test_what_trainers_leave_beside_the_weights(tmp_path: Path) -> None:
    """Optimizer, scheduler, random states and arguments are no weights."""
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.ones(2, 2)}, tmp_path / "weights.pt")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state_0.pth", "training_args.bin", "scaler.pt"):
        (tmp_path / name).write_bytes(b"xyz")
    assert list(open_checkpoint(tmp_path).tensors) == ["w"]


def test_a_configuration_with_a_byte_order_mark(tmp_path: Path) -> None:
    save_file(ONE, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes(b"\xef\xbb\xbf" + b'{"model_type": "llama"}')
    assert open_checkpoint(tmp_path).config == {"model_type": "llama"}


@pytest.mark.parametrize(
    "keys",
    [("text_config",), ("llm_config",), ("language_config",), ("thinker_config", "text_config"), ("language_model_config",)],
)
def test_the_configuration_of_the_language_model_inside_others(tmp_path: Path, keys: tuple[str, ...]) -> None:
    """It is found, and its weights are read as if they stood alone."""
    from safetensors.numpy import load_file

    inner = json.loads((BASE / "config.json").read_text())
    for key in reversed(keys):
        inner = {"model_type": "around", key: inner, "vision_config": {"hidden_size": 7}}
    save_file(
        {f"x.llm.{name}": array for name, array in load_file(BASE / "model.safetensors").items()},
        tmp_path / "model.safetensors",
    )
    (tmp_path / "config.json").write_text(json.dumps(inner))
    found, alone = recognise(open_checkpoint(tmp_path)), recognise(open_checkpoint(BASE))
    assert (found.family, found.facts["num_attention_heads"]) == (alone.family, alone.facts["num_attention_heads"])
    assert not found.guessed
    assert len(found.parts) == len(alone.parts)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Settings:
    n_layer: int = 2
    place: Any = Path("a/b")


def test_inert_values_beside_tensors_are_left_alone(tmp_path: Path) -> None:
    """What scripts save with the weights: none of it is imported or called, and no tensor is lost."""
    torch = pytest.importorskip("torch")
    beside = {
        "args": argparse.Namespace(lr=0.1, out=Path("x")),
        "settings": Settings(),
        "kind": Colour.RED,
        "when": datetime.datetime.now(datetime.UTC),
        "number": np.float64(3),
        "array": np.arange(3),
        "random": np.random.default_rng(1),
        "tables": collections.defaultdict(list, {1: [2]}),
        "counts": collections.Counter("abc"),
        "set": {1, 2},
        ("a", 1): b"bytes",
        Colour.RED: "key",
    }
    weights = {"a.weight": torch.ones(2, 2), "b.weight": torch.zeros(3)}
    for protocol in (2, 4):
        for content in ({"model": weights, **beside}, {"state_dict": weights, "hyper_parameters": beside}):
            torch.save(content, tmp_path / "x.pt", pickle_protocol=protocol)
            assert list(open_checkpoint(tmp_path / "x.pt").tensors) == ["a.weight", "b.weight"]


def test_settings_among_tensors(tmp_path: Path) -> None:
    """In a table that is not wrapped they stand beside tensors; in the place of one, nobody knows what they are."""
    from kinprint.errors import CheckpointError

    torch = pytest.importorskip("torch")
    torch.save({"a.weight": torch.ones(2), "config": Settings(), "more": {"kind": Colour.RED}}, tmp_path / "x.pt")
    assert list(open_checkpoint(tmp_path / "x.pt").tensors) == ["a.weight"]
    torch.save({"a.weight": torch.ones(2), "b.weight": Settings()}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"b\.weight among its tensors is a .*Settings, which only its own code can read"):
        open_checkpoint(tmp_path / "x.pt")


def test_an_odd_type_without_a_role_is_no_reason_to_refuse_the_file(tmp_path: Path, write_raw: Any) -> None:
    """Its bytes are read as they are."""
    header = {
        "codes": {"dtype": "F4", "shape": [2, 4], "data_offsets": [0, 4]},
        "w": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
    }
    write_raw(header, bytes(8))
    found = open_checkpoint(tmp_path).tensors
    assert (found["codes"].shape, str(found["codes"].dtype)) == ((4,), "uint8")
    assert found["w"].read().tolist() == [0]


@pytest.mark.parametrize(
    "place", ["nosuch", "./nosuch", "a/b/c", "nosuch.safetensors", "../nosuch/model", "~/nosuch", "no\0such"]
)
def test_a_path_to_nothing_is_refused_beforehand(place: str) -> None:
    """In the words of `open_checkpoint`."""
    with pytest.raises(CheckpointError) as later:
        open_checkpoint(place, offline=True)
    with pytest.raises(CheckpointError) as before:
        require_there(".", place)
    assert str(before.value) == str(later.value)


@pytest.mark.parametrize(
    "place",
    ["", ".", "org/name", "org/name@main", "https://host/model", "s3://bucket/model", "file:///nosuch", "nosuch+adapter"],
)
def test_what_may_be_a_model_is_not(place: str) -> None:
    require_there(place)


@pytest.mark.parametrize("called", ["model", "checkpoint", "weights"])
def test_a_name_that_says_nothing(tmp_path: Path, called: str) -> None:
    """A folder called `model` is called as the folder that it is in, and so is its weights file."""
    folder = tmp_path / "kin" / called
    folder.mkdir(parents=True)
    save_file(ONE, folder / "model.safetensors")
    assert open_checkpoint(folder).name == "kin"
    assert open_checkpoint(folder / "model.safetensors").name == called


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (["models/finetune"], "did you mean models/finetune?"),
        (["models/finetune", "runs/finetune"], "did you mean models/finetune or runs/finetune?"),
        (["a/finetune", "b/finetune", "c/finetune"], "did you mean a/finetune, b/finetune or c/finetune?"),
        (["a/finetune", "b/finetune", "c/finetune", "d/finetune"], ""),
        (["finetunes", "models/finetune"], "did you mean models/finetune?"),
        (["finetunes"], "did you mean finetunes?"),
        (["models/deeper/finetune"], ""),
        ([".cache/finetune"], ""),
        (["models/other"], ""),
    ],
)
def test_a_bare_name_is_looked_for_one_folder_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: list[str], said: str
) -> None:
    """It is named, and not opened: who meant it types it."""
    for path in there:
        (tmp_path / path).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as refused:
        require_there("finetune")
    assert refused.value.problem == "no such file or folder"
    assert (refused.value.remedy or "").startswith("did you mean") is bool(said)
    assert said in str(refused.value)


def test_a_bare_name_is_looked_for_in_some_hundreds_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, and whatever they hold."""
    for number in range(FOLDERS + 300):
        (tmp_path / str(number)).mkdir()
    looked_at = list[str]()
    there = os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: looked_at.append(str(path)) or there(path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError):
        require_there("finetune")
    assert len(looked_at) <= FOLDERS + 10
