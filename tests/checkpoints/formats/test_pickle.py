from __future__ import annotations

import collections
import contextlib
import os
import pickle
import pickletools
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinprint.checkpoints.formats import _pickle
from kinprint.checkpoints.formats._pickle import Stub, read_pickle
from kinprint.errors import PickleError

KNOWN = {"collections.OrderedDict": Stub("collections.OrderedDict", lambda arguments: {}), "torch.float16": "half"}


def read(data: bytes) -> Any:
    return read_pickle(data, KNOWN, lambda identifier: ("persistent", identifier))


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "value",
    [
        None,
        {"a": [1, 2.5, "é", True, False, None, -1, 2**40, 300, 70_000], "b": {"c": ()}},
        [(1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [[]], list(range(3000))],
        {str(n): n for n in range(3000)},
        {2: "a", None: "b", True: "c"},
        ("x" * 300, "y" * 70_000),
    ],
)
def test_plain_values_come_back_as_python_reads_them(value: Any, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_shared_and_circular_values_keep_their_shape(protocol: int) -> None:
    shared: dict[str, Any] = {"a": 1}
    shared["self"] = shared
    found = read(pickle.dumps([shared, shared, (shared,)], protocol))
    assert found[0] is found[1] is found[2][0] is found[0]["self"]


@pytest.mark.parametrize("protocol", [2, 4])
def test_stubs_stand_for_globals(protocol: int) -> None:
    state_dict = collections.OrderedDict(a=1)
    state_dict._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
    assert read(pickle.dumps(state_dict, protocol)) == {"a": 1}
    assert read(b"\x80\x02ctorch\nfloat16\n.") == "half"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, f"{os.name}.system"), (eval, "eval"), (getattr, "getattr"), (pickle.loads, "pickle.loads")],
)
def test_no_function_is_ever_called(function: Any, name: str, protocol: int) -> None:
    with pytest.raises(PickleError, match=f"loading it would run .*{name}"):
        read(pickle.dumps(Calls(function, "raise SystemExit"), protocol))


@pytest.mark.parametrize(
    "name",
    ["builtins\nexec", "torch\nload", "torch.hub\nload", "os\nsystem", "collections\nOrderedDict.fromkeys", "a b\nc"],
)
def test_a_global_that_is_not_in_the_table_is_refused_by_name(name: str) -> None:
    with pytest.raises(PickleError, match="would run " + name.replace("\n", ".").replace(" ", ".")):
        read(b"c" + name.encode() + b"\n.")
    with pytest.raises(PickleError, match="would run"):
        read(pickle.dumps(tuple(name.split("\n")), 4)[:-3] + b"\x93.")


def test_reading_imports_nothing() -> None:
    sys.modules.pop("this", None)
    with pytest.raises(PickleError):
        read(b"cthis\ns\n.")
    assert "this" not in sys.modules


def test_every_pickle_instruction_is_interpreted_or_refused_by_name() -> None:
    refused = {opcode.name for opcode in pickletools.opcodes} - _pickle._ACTIONS.keys()
    assert {"INST", "OBJ", "EXT1", "EXT2", "EXT4", "PERSID", "NEXT_BUFFER"} <= refused


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"N",
        b"0.",
        b"t.",
        b"\x85.",
        b"\x87.",
        b"NR.",
        b"N)R.",
        b"]]R.",
        b"ccollections\nOrderedDict\n]R.",
        b"ctorch\nfloat16\n)R.",
        b"ccollections\nOrderedDict\n)\x81.",
        b"(icollections\nOrderedDict\n.",
        b"Na.",
        b"N(Ne.",
        b"NNNs.",
        b"}(Nu.",
        b"}]Ns.",
        b"N}b.",
        b"h\x01.",
        b"j\xff\xff\xff\xff.",
        b"NN\x93.",
        b"X\xff\xff\xff\xffabc.",
        b"\x8d" + b"\xff" * 8 + b"abc.",
        b"X\x01\x00\x00\x00\xff.",
        b"\x8a\xff123.",
        b"I" + b"9" * 10_000 + b"\n.",
        b"\xff.",
        b"}\x8a\x0a" + b"\x01" * 10 + b"Ns.",
        b"}G" + bytes(8) + b"Ns.",
    ],
)
def test_damaged_pickles_are_clear_errors(data: bytes) -> None:
    with pytest.raises(PickleError):
        read(data)


def test_arguments_without_end_are_refused() -> None:
    with pytest.raises(PickleError, match="no constructor"):
        read(b"ccollections\nOrderedDict\n(" + b"N" * 17 + b"tR.")


def test_the_number_of_instructions_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(_pickle, "MAX_STEPS", 10)
    with pytest.raises(PickleError, match="more than the 10 instructions"):
        read(b"N" * 20 + b".")


def test_a_memo_index_reserves_no_memory() -> None:
    assert read(b"Nr\xff\xff\xff\x7f.") is None


def test_nesting_costs_no_recursion() -> None:
    deep = read(b"]" * 500_000 + b"a" * 499_999 + b".")
    assert len(deep) == 1


SEEDS = [pickle.dumps(collections.OrderedDict(a=[1, (2, "x")], b={"c": None}), protocol) for protocol in (2, 4)]


@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # pickletools decodes what we then refuse
@settings(deadline=None, max_examples=400)
@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from([o.code.encode("latin1") for o in pickletools.opcodes]), max_size=40).map(b"".join)
    | st.builds(
        lambda seed, at, length, by: seed[: at % len(seed)] + by + seed[at % len(seed) + length :],
        st.sampled_from(SEEDS),
        st.integers(0, 200),
        st.integers(0, 6),
        st.binary(max_size=4),
    )
)
def test_any_bytes_are_a_value_or_a_clear_error(data: bytes) -> None:
    with contextlib.suppress(PickleError):
        read(data)
