from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinprint.checkpoints import open_checkpoint
from kinprint.errors import CheckpointError

Write = Callable[..., Path]
INDEX = "model.safetensors.index.json"


def write_index(folder: Path, weight_map: Any, name: str = INDEX) -> Path:
    path = folder / name
    path.write_text(weight_map if isinstance(weight_map, str) else json.dumps({"weight_map": weight_map}))
    return path


def values(model: Path) -> dict[str, float]:
    return {name: float(tensor.read()[0]) for name, tensor in open_checkpoint(model).tensors.items()}


@pytest.fixture
def sharded(tmp_path: Path, write_tensors: Write) -> Path:
    """Two shards with tensors a, c and b, and their index."""
    write_tensors("one.safetensors", c=3, a=1)
    write_tensors("two.safetensors", b=2)
    return write_index(tmp_path, {"a": "one.safetensors", "b": "two.safetensors", "c": "one.safetensors"})


# --- which files are read


def test_an_index_is_read_from_its_folder_and_by_name(sharded: Path) -> None:
    for model in (sharded.parent, sharded):
        assert list(values(model).items()) == [("a", 1), ("b", 2), ("c", 3)]
    assert [f.name for f in open_checkpoint(sharded).files] == [INDEX, "one.safetensors", "two.safetensors"]


def test_an_index_may_name_folders_below_its_own(tmp_path: Path, write_tensors: Write) -> None:
    write_tensors("deep/down/x.safetensors", a=1)
    assert values(write_index(tmp_path, {"a": "deep/down/x.safetensors"})) == {"a": 1}


def test_an_index_of_pytorch_shards(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    for number in (1, 2):
        torch.save({f"t{number}": torch.full((1,), float(number))}, tmp_path / f"pytorch_model-{number:05}-of-00002.bin")
    names = {f"t{number}": f"pytorch_model-{number:05}-of-00002.bin" for number in (1, 2)}
    write_index(tmp_path, names, "pytorch_model.bin.index.json")
    assert values(tmp_path) == {"t1": 1, "t2": 2}


def test_a_shard_by_itself_is_a_checkpoint(sharded: Path) -> None:
    assert values(sharded.parent / "two.safetensors") == {"b": 2}


def test_standard_names_come_before_others_and_safetensors_before_pytorch(tmp_path: Path, write_tensors: Write) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"never read")
    (tmp_path / "training_args.bin").write_bytes(b"never read")
    with pytest.raises(CheckpointError, match="pytorch_model"):
        open_checkpoint(tmp_path)
    write_tensors("consolidated.safetensors", a=1)
    write_tensors("model.safetensors", a=2)
    assert values(tmp_path) == {"a": 2}


def test_a_complete_set_of_shards_needs_no_index(tmp_path: Path, write_tensors: Write) -> None:
    write_tensors("m-00001-of-00002.safetensors", a=1)
    with pytest.raises(CheckpointError, match=r"1 of 2 shards missing: m-00002-of-00002\.safetensors"):
        open_checkpoint(tmp_path)
    write_tensors("m-00002-of-00002.safetensors", b=2)
    assert values(tmp_path) == {"a": 1, "b": 2}


@pytest.mark.parametrize("names", [(), ("config.json",), ("README.md", "tokenizer.json", "model.txt")])
def test_a_folder_without_weights_is_refused(tmp_path: Path, names: Any) -> None:
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(CheckpointError, match=r"no weights there; .*\.safetensors") as caught:
        open_checkpoint(tmp_path)
    assert caught.value.subject == str(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", INDEX, "x.safetensors", "pytorch_model.bin"])
def test_a_folder_where_a_file_is_expected_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(CheckpointError, match="a folder where a file is expected"):
        open_checkpoint(tmp_path)


def test_the_links_of_a_hub_cache_are_followed(tmp_path: Path, write_tensors: Write) -> None:
    write_tensors("blobs/0123", a=1)
    snapshot = tmp_path / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    (snapshot / "one.safetensors").symlink_to("../../blobs/0123")
    (tmp_path / "blobs" / "4567").write_text(json.dumps({"weight_map": {"a": "one.safetensors"}}))
    (snapshot / INDEX).symlink_to("../../blobs/4567")
    assert values(snapshot) == {"a": 1}


def test_a_dangling_link_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to("../blobs/0123")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: no such file"):
        open_checkpoint(tmp_path)


# --- indices that lie


OUTSIDE = """../x.safetensors /etc/x.safetensors //host/x.safetensors a/../../x.safetensors .. . a\\..\\b
    C:x.safetensors C:/x.safetensors a/../one.safetensors \\\\host\\share\\x.safetensors"""


@pytest.mark.parametrize("name", ["", *OUTSIDE.split()])
def test_an_index_may_not_name_files_outside_its_folder(sharded: Path, name: str) -> None:
    write_index(sharded.parent, {"a": name})
    with pytest.raises(CheckpointError, match="names a file outside its folder"):
        open_checkpoint(sharded)


@pytest.mark.parametrize(
    ("weight_map", "problem"),
    [
        ({"a": "one.safetensors", "b": "two.safetensors"}, "holds the tensor c, which the index does not place there"),
        ({"a": "one.safetensors", "b": "one.safetensors", "c": "one.safetensors"}, "does not hold the tensor b"),
        ({"a": "one.safetensors", "c": "one.safetensors", "b": "./two.safetensors", "d": "two.safetensors"}, "tensor"),
        ({"a": "lost.safetensors", "b": "two.safetensors"}, r"1 of 2 shards missing: lost\.safetensors"),
        ({"a": "a\0b.safetensors"}, "1 of 1 shards missing"),
        ({"a": INDEX}, "not a weights file by its name"),
        ({"a": 1}, "weight_map is not"),
        ({"a": None}, "weight_map is not"),
        ({"a": ["one.safetensors"]}, "weight_map is not"),
        ({}, "weight_map is not"),
        ([], "weight_map is not"),
        ("{}", "weight_map is not"),
        ("[]", "a JSON object is expected"),
        ("", "not valid JSON"),
        ('{"weight_map": {"a": NaN}}', "NaN"),
        ('{"weight_map": {"a": "x", "a": "y"}}', "'a' appears twice"),
        ('{"weight_map": ' + "[" * 100_000, "nested too deeply"),
        ('{"weight_map": {"a": "\\ud800"}}', "surrogate"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(sharded: Path, weight_map: Any, problem: str) -> None:
    write_index(sharded.parent, weight_map)
    with pytest.raises(CheckpointError, match=problem):
        open_checkpoint(sharded)


def test_a_tensor_in_two_shards_is_refused(tmp_path: Path, write_tensors: Write, sharded: Path) -> None:
    write_tensors("two.safetensors", b=2, a=9)
    with pytest.raises(CheckpointError, match=r"two\.safetensors: holds the tensor a, which another shard holds too"):
        open_checkpoint(sharded)


def test_a_truncated_shard_is_named(sharded: Path) -> None:
    shard = sharded.parent / "one.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"one\.safetensors: truncated"):
        open_checkpoint(sharded)


names = st.sampled_from(["one.safetensors", "two.safetensors", "../one.safetensors", ".", ""]) | st.text(max_size=8)
maps = st.dictionaries(st.sampled_from("abc") | st.text(max_size=4), names | st.none() | st.integers(), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(st.builds(lambda m: json.dumps({"weight_map": m}).encode(), maps) | st.binary(max_size=40))
def test_any_index_is_tensors_or_a_clear_error(sharded: Path, content: bytes) -> None:
    """An index that names one shard only is a model of that shard's tensors; none gives a wrong value."""
    sharded.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        found = values(sharded)
        assert found
        assert found.items() <= {"a": 1, "b": 2, "c": 3}.items()
