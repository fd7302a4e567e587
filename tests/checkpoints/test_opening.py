from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinprint.checkpoints import open_checkpoint, tokenizer
from kinprint.errors import CheckpointError

Write = Callable[..., Path]


@pytest.fixture
def model(tmp_path: Path, write_tensors: Write) -> Path:
    """A folder with everything."""
    write_tensors("model.safetensors", b=2, a=1)
    (tmp_path / "config.json").write_text('{"model_type": "llama", "time_step_limit": [0, Infinity]}')
    (tmp_path / "tokenizer.json").write_text('{"model": {"vocab": {"x": 0}}}')
    (tmp_path / "README.md").write_text("---\nbase_model: org/parent\n---\n")
    return tmp_path


def test_a_folder_with_everything(model: Path) -> None:
    checkpoint = open_checkpoint(str(model))
    assert (checkpoint.name, checkpoint.source) == (model.name, str(model))
    assert list(checkpoint.tensors) == ["a", "b"]
    assert checkpoint.tensors["b"].read().tolist() == [2]
    assert checkpoint.config["model_type"] == "llama"
    assert dict(checkpoint.tokenizer) == {"x": 0}
    assert dict(checkpoint.card) == {"base_model": "org/parent"}
    assert [f.name for f in checkpoint.files] == ["model.safetensors", "config.json", "README.md", "tokenizer.json"]
    assert checkpoint.notes == ()


def test_a_file_takes_what_lies_beside_it(model: Path) -> None:
    checkpoint = open_checkpoint(model / "model.safetensors")
    assert checkpoint.name == model.name
    assert (len(checkpoint.config), len(checkpoint.tokenizer), len(checkpoint.card)) == (2, 1, 1)


def test_only_the_weights_are_required(tmp_path: Path, write_tensors: Write) -> None:
    write_tensors(a=1)
    checkpoint = open_checkpoint(tmp_path)
    assert (dict(checkpoint.config), dict(checkpoint.tokenizer), dict(checkpoint.card)) == ({}, {}, {})
    assert checkpoint.notes == ()


def test_a_relative_path_has_the_name_of_its_folder(model: Path, monkeypatch) -> None:
    monkeypatch.chdir(model)
    for source in (".", "./", f"../{model.name}/"):
        assert open_checkpoint(source).name == model.name
        assert open_checkpoint(source).source == source
    assert open_checkpoint("model.safetensors").config["model_type"] == "llama"


def test_the_tokenizer_is_not_read_before_it_is_used(model: Path, monkeypatch) -> None:
    def read(*_: object) -> dict[str, int]:
        raise AssertionError("read too early")

    monkeypatch.setattr(tokenizer, "parse_object", read)
    checkpoint = open_checkpoint(model)
    with pytest.raises(AssertionError, match="too early"):
        len(checkpoint.tokenizer)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"a": NaN}', b'{"a": "\xff"}', b'{"a":' * 100_000, None])
def test_a_broken_config_is_an_error_that_names_it(model: Path, content: bytes | None) -> None:
    config = model / "config.json"
    config.unlink()
    config.mkdir() if content is None else config.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(model)
    assert caught.value.subject == str(config)


def damage(path: Path, how: str) -> None:
    path.unlink()
    match how:
        case "text":
            path.write_text("---\n{[\n---\n")
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "dangling":
            path.symlink_to("nowhere")
        case "loop":
            path.symlink_to(path.name)


@pytest.mark.parametrize("how", ["text", "folder", "pipe", "dangling", "loop"])
@pytest.mark.parametrize("name", ["tokenizer.json", "README.md"])
def test_a_broken_tokenizer_or_card_is_a_note(model: Path, name: str, how: str) -> None:
    damage(model / name, how)
    checkpoint = open_checkpoint(model)
    assert checkpoint.tensors["a"].read().tolist() == [1]
    assert (len(checkpoint.tokenizer), len(checkpoint.card)) == ((0, 1) if name == "tokenizer.json" else (1, 0))
    assert len(checkpoint.notes) == 1
    assert name in checkpoint.notes[0]


@pytest.mark.parametrize(
    "source", ["", "nowhere", "a/b/c", "org/na me", "a\0b", "x" * 5000, "nowhere/model.safetensors", "\ud800"]
)
def test_what_is_not_there_is_a_clear_error(tmp_path: Path, monkeypatch, source: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(source)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("how", ["folder", "pipe", "dangling", "loop"])
def test_only_regular_files_are_weights(model: Path, how: str) -> None:
    damage(model / "model.safetensors", how)
    for source in (model, model / "model.safetensors"):
        with pytest.raises(CheckpointError):
            open_checkpoint(source)


def test_devices_and_loops_given_directly_are_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for source in ("/dev/null", "/dev/zero", tmp_path / "loop"):
        with pytest.raises(CheckpointError):
            open_checkpoint(source)


def test_a_folder_that_may_not_be_listed_is_a_clear_error(tmp_path: Path, monkeypatch) -> None:
    def deny(_: object) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "listdir", deny)
    with pytest.raises(CheckpointError, match="permission denied; give yourself the right"):
        open_checkpoint(tmp_path)


def test_json_is_accepted_only_as_an_index(model: Path) -> None:
    (model / "other.json").write_text(json.dumps({"weight_map": {"a": "model.safetensors"}}))
    with pytest.raises(CheckpointError, match="not a weights file by its name"):
        open_checkpoint(model / "other.json")
