from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinprint.checkpoints.checkpoint import Tensor
from kinprint.checkpoints.formats import torch_zip
from kinprint.checkpoints.source import LocalFile
from kinprint.errors import CheckpointError


def open_file(path: Path) -> dict[str, Tensor]:
    """The tensors of a file on this disk."""
    return torch_zip.open_file(LocalFile(path))


# --- written by PyTorch itself


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch")


@pytest.fixture
def save(torch: Any, tmp_path: Path) -> Callable[..., Path]:
    def write(content: Any, name: str = "model.pt", **options: Any) -> Path:
        torch.save(content, tmp_path / name, **options)
        return tmp_path / name

    return write


def raw(tensor: Any) -> bytes:
    """The elements in order, bit for bit."""
    import torch

    contiguous = tensor.detach().contiguous()
    return contiguous.view(torch.uint8).numpy().tobytes() if contiguous.ndim else contiguous.numpy().tobytes()


KINDS = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]
NEWER_KINDS = ["float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "uint64", "complex64", "complex128"]


@pytest.mark.parametrize("kind", KINDS + NEWER_KINDS)
def test_every_dtype_comes_back_bit_for_bit(torch: Any, save, kind: str) -> None:
    wanted = (torch.randn(7, 9) * 50).abs().to(getattr(torch, kind))
    array = open_file(save({"w": wanted}))["w"].read()
    assert str(array.dtype) == kind
    assert array.shape == (7, 9)
    assert array.tobytes() == raw(wanted)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_views_keep_their_strides_and_share_their_storage(torch: Any, save, protocol: int) -> None:
    base = torch.arange(60, dtype=torch.int32).view(5, 12)
    wanted = {
        "whole": base,
        "tied": base,
        "transposed": base.T,
        "rows": base[1:4:2],
        "columns": base[:, 2::3],
        "expanded": base[:1].expand(4, 12),
        "permuted": base.view(5, 3, 4).permute(2, 0, 1),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
    }
    found = open_file(save(wanted, pickle_protocol=protocol))
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        np.testing.assert_array_equal(found[name].read(), tensor.detach().numpy())
    assert found["whole"].offset == found["tied"].offset == found["transposed"].offset


def test_the_state_dict_of_a_module(torch: Any, save) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    found = open_file(save(module.state_dict()))
    assert found.keys() == module.state_dict().keys()
    for name, tensor in module.state_dict().items():
        np.testing.assert_array_equal(found[name].read(), tensor.numpy())


def test_what_trainers_wrap_around_a_model_is_taken_off(torch: Any, save) -> None:
    weights = {"a.weight": torch.ones(2), "b.weight": torch.zeros(3)}
    optimizer = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
    for content in (
        {"model": weights},
        {"state_dict": weights, "epoch": 3, "hyper_parameters": {"lr": 0.1}, "optimizer_states": [optimizer]},
        {"model": weights, "optimizer": optimizer, "step": torch.tensor(3)},
        {"net": weights, "optimizer": optimizer},
        {"model": {"module": weights}},
    ):
        assert open_file(save(content)).keys() == weights.keys()
    assert open_file(save({"encoder": {"w": torch.ones(1)}, "decoder": {"w": torch.ones(1)}})).keys() == {
        "encoder.w",
        "decoder.w",
    }


def test_other_plain_values_beside_the_tensors_are_ignored(torch: Any, save) -> None:
    content = {"w": torch.ones(2), "size": torch.Size([1]), "kind": torch.float16, "on": torch.device("cpu"), 3: [None]}
    assert open_file(save(content)).keys() == {"w"}


def test_a_whole_module_is_refused_because_loading_it_runs_code(torch: Any, save) -> None:
    with pytest.raises(CheckpointError, match=r"would run torch\.nn\.modules\.linear\.Linear; .* safetensors"):
        open_file(save(torch.nn.Linear(2, 2)))


def test_the_form_before_1_6_is_refused_with_the_remedy(torch: Any, save) -> None:
    path = save({"w": torch.ones(2)}, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=r"before 1\.6 .*safetensors"):
        open_file(path)


def test_values_that_are_not_the_bytes_are_refused(torch: Any, save) -> None:
    with pytest.raises(CheckpointError, match="negative or conjugate"):
        open_file(save({"w": torch.ones(2, dtype=torch.complex64).conj()}))
    with pytest.raises(CheckpointError, match="would run torch"):
        open_file(save({"w": torch.eye(3).to_sparse()}))


# --- written here, byte by byte


class Global:
    """Pickles as a global of this name, or as a call of it."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Storage:
    def __init__(self, kind: str = "Float", key: Any = "0", numel: Any = 4) -> None:
        self.identifier = ("storage", Global("torch", kind + "Storage"), key, "cpu", numel)


class Call:
    def __init__(self, function: Global, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments


class Pickler(pickle._Pickler):
    """Python's own pickler (the one in Python), which writes the names of globals that need not exist."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_global_name(self, obj: Global) -> None:
        self.write(f"c{obj.module}\n{obj.name}\n".encode())

    def save_call(self, obj: Call) -> None:
        self.save(obj.function)
        self.save(obj.arguments)
        self.write(pickle.REDUCE)

    dispatch[Global] = save_global_name
    dispatch[Call] = save_call

    def persistent_id(self, obj: Any) -> Any:
        return obj.identifier if isinstance(obj, Storage) else None


def pickled(content: Any) -> bytes:
    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(content)
    return buffer.getvalue()


V2 = Global("torch._utils", "_rebuild_tensor_v2")
V3 = Global("torch._utils", "_rebuild_tensor_v3")
PARAMETER = Global("torch._utils", "_rebuild_parameter")


def view(storage: Any = None, offset: Any = 0, shape: Any = (2, 2), strides: Any = (2, 1), *more: Any, v: Any = V2) -> Call:
    return Call(v, Storage() if storage is None else storage, offset, shape, strides, False, None, *more)


Pack = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Write a PyTorch zip of an object (or of a ready pickle) and its storages."""

    def write(content: Any, storages: dict[str, bytes] | None = None, **options: Any) -> Path:
        path = tmp_path / "model.pt"
        data = content if isinstance(content, bytes) else pickled(content)
        with zipfile.ZipFile(path, "w", options.get("compression", zipfile.ZIP_STORED)) as archive:
            archive.writestr("model/data.pkl", data)
            if "byteorder" in options:
                archive.writestr("model/byteorder", options["byteorder"])
            for key, content in ({"0": bytes(range(16))} if storages is None else storages).items():
                with archive.open(f"model/data/{key}", "w", force_zip64=options.get("zip64", False)) as entry:
                    entry.write(content)
        return path

    return write


@pytest.mark.parametrize("zip64", [False, True])
def test_a_tensor_packed_by_hand(pack: Pack, zip64: bool) -> None:
    content = {"w": view(), "p": Call(PARAMETER, view(offset=2, shape=(2,), strides=(1,)), True, None)}
    found = open_file(pack(content, byteorder=b"little", zip64=zip64))
    assert found["w"].read().tobytes() == bytes(range(16))
    assert found["p"].read().tobytes() == bytes(range(8, 16))


def test_dictionaries_that_hold_themselves_do_no_harm(pack: Pack) -> None:
    content: dict[str, Any] = {"w": view()}
    content["self"] = content
    with pytest.raises(CheckpointError, match="nested more than"):
        open_file(pack(content))
    wrapped: dict[str, Any] = {"model": {}}
    wrapped["model"]["model"] = wrapped
    wrapped["model"]["x"] = {"w": view()}
    with pytest.raises(CheckpointError, match="no dictionary of tensors"):
        open_file(pack(wrapped))


def test_shared_dictionaries_do_not_multiply(pack: Pack) -> None:
    table: dict[str, Any] = {"w": view()}
    for _ in range(14):
        table = {str(n): table for n in range(4)}
    with pytest.raises(CheckpointError, match="more than 200,000 tensors"):
        open_file(pack(table))


HOSTILE: dict[str, tuple[Any, str]] = {
    "code": ({"w": Call(Global("posix", "system"), "true")}, r"loading it would run posix\.system"),
    "code beside": ({"w": view(), "x": Call(Global("builtins", "eval"), "1")}, r"would run builtins\.eval"),
    "code uncalled": ({"w": view(), "x": Global("os", "system")}, r"would run os\.system"),
    "unknown storage": ({"w": view(Storage("QInt8"))}, r"would run torch\.QInt8Storage"),
    "dtype called": ({"w": Call(Global("torch", "float16"))}, "no constructor"),
    "storage type called": ({"w": Call(Global("torch", "FloatStorage"), 2**40)}, "no constructor"),
    "no tensors": ({"a": 1}, "no dictionary of tensors"),
    "no dictionary": ([view()], "no dictionary of tensors"),
    "bare tensor": (view(), "no dictionary of tensors"),
    "missing storage": ({"w": view(Storage(key="1"))}, "data/1 is missing"),
    "storage climbs": ({"w": view(Storage(key="../data.pkl"))}, "is missing"),
    "storage key": ({"w": view(Storage(key=0))}, "no storage"),
    "storage negative": ({"w": view(Storage(numel=-4))}, "no storage"),
    "storage size": ({"w": view(Storage(numel=5))}, "has 16 bytes, not what the pickle says"),
    "storage huge": ({"w": view(Storage(numel=2**70))}, "has 16 bytes"),
    "storage kind": ({"w": view(Storage("Double"))}, "has 16 bytes"),
    "no storage": ({"w": view("storage")}, "not made of a storage"),
    "offset beyond": ({"w": view(offset=1)}, "reaches beyond its storage"),
    "offset negative": ({"w": view(offset=-1)}, "no count"),
    "offset bool": ({"w": view(offset=True)}, "no count"),
    "offset huge": ({"w": view(offset=2**63)}, "no count"),
    "shape beyond": ({"w": view(shape=(3, 2))}, "reaches beyond"),
    "shape negative": ({"w": view(shape=(-2, -2))}, "no count"),
    "shape list": ({"w": view(shape=[2, 2])}, "not made of"),
    "shape text": ({"w": view(shape=("2", 2))}, "no count"),
    "shape huge": ({"w": view(shape=(2**40, 2**40), strides=(0, 0))}, "beyond any memory"),
    "shape amplified": ({"w": view(shape=(2**20, 2**20), strides=(0, 0))}, "more bytes than the file holds"),
    "stride beyond": ({"w": view(strides=(3, 1))}, "reaches beyond"),
    "stride negative": ({"w": view(offset=3, strides=(-2, -1))}, "no count"),
    "stride huge": ({"w": view(strides=(2**62, 2**62))}, "reaches beyond"),
    "strides few": ({"w": view(strides=(1,))}, "do not fit"),
    "rank": ({"w": view(shape=(1,) * 33, strides=(1,) * 33)}, "do not fit"),
    "too few": ({"w": Call(V2, Storage(), 0)}, "not made of"),
    "v3 without dtype": ({"w": view(v=V3)}, "without a dtype"),
    "v3 with text": ({"w": view(None, 0, (2, 2), (2, 1), "float32", v=V3)}, "without a dtype"),
    "v3 wider": ({"w": view(None, 0, (2, 2), (2, 1), Global("torch", "float64"), v=V3)}, "reaches beyond"),
    "parameter": ({"w": Call(PARAMETER, 3, True, None)}, "parameter that is no tensor"),
    "parameter empty": ({"w": Call(PARAMETER)}, "parameter that is no tensor"),
    "size": ({"w": view(), "x": Call(Global("torch", "Size"), [1])}, "torch.Size"),
    "ordered pairs": (Call(Global("collections", "OrderedDict"), [("w", view())]), "OrderedDict"),
    "long name": ({"w" * 1025: view()}, "name of 1,025 characters"),
    "surrogate name": ({"\ud800": view()}, "not valid Unicode"),
    "same name twice": ({"a": {"b": view()}, "a.b": view()}, "two tensors named a.b"),
    "damaged pickle": (b"\x80\x02}", "damaged pickle"),
    "empty pickle": (b"", "damaged pickle"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_table_of_tensors_is_refused(pack: Pack, case: str) -> None:
    content, problem = HOSTILE[case]
    path = pack(content)
    with pytest.raises(CheckpointError, match=problem) as caught:
        open_file(path)
    assert caught.value.subject == str(path)


def test_other_kinds_of_zip_are_refused(pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="compressed or encrypted"):
        open_file(pack({"w": view()}, compression=zipfile.ZIP_DEFLATED))
    with pytest.raises(CheckpointError, match="big-endian"):
        open_file(pack({"w": view()}, byteorder=b"big"))
    for names in ((), ("a/data.pkl", "b/data.pkl"), ("data.pkl",)):
        with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
            archive.writestr("readme", "x")
            for name in names:
                archive.writestr(name, pickled({"w": view()}))
        with pytest.raises(CheckpointError, match="PyTorch pickles"):
            open_file(tmp_path / "model.pt")


def test_encrypted_entries_are_refused(pack: Pack) -> None:
    path = pack({"w": view()})
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="encrypted"):
        open_file(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(pack: Pack) -> None:
    path = pack({"w": view()})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/data/0", bytes(16))
    with pytest.raises(CheckpointError, match="two entries of one name"):
        open_file(path)


def test_large_reads_are_refused_before_they_are_made(pack: Pack, monkeypatch) -> None:
    path = pack({"w": view()})
    with monkeypatch.context() as patch:
        patch.setattr(torch_zip, "MAX_PICKLE", 10)
        with pytest.raises(CheckpointError, match=r"data\.pkl of .* more than the 10 allowed"):
            open_file(path)
    monkeypatch.setattr(torch_zip, "MAX_DIRECTORY", 100)
    with pytest.raises(CheckpointError, match="directory is larger than any real one"):
        open_file(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_a_truncated_file_is_refused(pack: Pack, share: float) -> None:
    path = pack({"w": view()})
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(CheckpointError):
        open_file(path)


@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # pickletools decodes what we then refuse
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=400)
@given(st.integers(0, 2**20), st.integers(0, 12), st.binary(max_size=8), st.booleans())
def test_any_bytes_are_tensors_or_a_clear_error(pack: Pack, at: int, length: int, by: bytes, whole: bool) -> None:
    content = collections.OrderedDict(w=view(), t=view(strides=(1, 2)), p=Call(PARAMETER, view(), True, None))
    data = pickled({"model": dict(content)})
    if not whole:  # damage the pickle rather than the zip around it
        at %= len(data)
        data = data[:at] + by + data[at + length :]
    path = pack(data)
    if whole:
        data = path.read_bytes()
        at %= len(data)
        path.write_bytes(data[:at] + by + data[at + length :])
    with contextlib.suppress(CheckpointError):
        for tensor in open_file(path).values():
            tensor.read().tobytes()
