"""Pickles as data: an interpreter of the few instructions that tables of tensors need, unable to call anything.

Python's unpickler runs what a file tells it to run. This one knows no function: a global is a name, looked up in a
table of inert stand-ins, and "calling" a stand-in builds a plain record. What is not in the table is refused, or a class that
is only a name (`Kind`), whose objects are records too (`Opaque`).
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from kinprint.errors import PickleError

MAX_STEPS = 4_000_000  # about 45 a tensor; each may cost a hundred bytes


@dataclass(frozen=True, slots=True)
class Stub:
    """Stands for a global that pickles call: `build` makes a record of the arguments, which may be anything."""

    name: str
    build: Callable[[tuple[Any, ...]], Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A class, of which nothing is known but the name."""

    name: str


@dataclass(slots=True, eq=False)
class Opaque:
    """An object of a `Kind`: inert, whatever it is to Python.

    Attributes:
        name: of the class.
        state: what the file gives it for attributes.
    """

    name: str
    state: Any = None


def refused(name: str) -> NoReturn:
    """No global is known but those of the table."""
    raise PickleError(f"loading it would run {name}")


def read_pickle(
    data: bytes, known: Mapping[str, Any], persistent: Callable[[Any], Any], other: Callable[[str], Any] = refused
) -> Any:
    """What `data` describes, of dicts, lists, tuples, strings, numbers and the values of `known`.

    Args:
        data: a pickle of protocol 2 or later.
        known: what stands for each global, by its full name; only a `Stub` can be called, and objects made of a `Kind`.
        persistent: makes a record of a persistent id.
        other: what stands for a global that is not known; PickleError if it is refused.

    Raises:
        PickleError: for every other instruction and global, too many steps, or a damaged pickle.
    """
    machine = _Machine(known, persistent, other)
    try:
        for step, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if step >= MAX_STEPS:
                raise PickleError(f"more than the {MAX_STEPS:,} instructions allowed")
            action = _ACTIONS.get(opcode.name)
            if action is None:
                raise PickleError(f"uses the pickle instruction {opcode.name}, which tensors do not need")
            action(machine, argument)
        return machine.stack.pop()
    except PickleError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise PickleError(f"a damaged pickle ({error})") from error


class _Machine:
    """The pickle machine: a stack, the stacks below the marks, and the memo."""

    def __init__(self, known: Mapping[str, Any], persistent: Callable[[Any], Any], other: Callable[[str], Any]) -> None:
        self.known = known
        self.persistent = persistent
        self.other = other
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def mark(self, _: object) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def pop_mark(self, _: object) -> None:
        self.since_mark()

    def pop(self, _: object) -> None:
        self.stack.pop()

    def duplicate(self, _: object) -> None:
        self.stack.append(self.stack[-1])

    def push(self, value: object) -> None:
        self.stack.append(value)

    def put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def memoize(self, _: object) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def tuple_since_mark(self, _: object) -> None:
        items = tuple(self.since_mark())
        self.stack.append(items)

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise PickleError("a damaged pickle (a tuple of what is not there)")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def append(self, _: object) -> None:
        item = self.stack.pop()
        self._list().append(item)

    def appends(self, _: object) -> None:
        items = self.since_mark()
        self._list().extend(items)

    def set_item(self, _: object) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key, value])

    def set_items(self, _: object) -> None:
        self._update(self.since_mark())

    def global_name(self, names: str) -> None:
        self._push_global(names.replace(" ", ".", 1))

    def stack_global(self, _: object) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self._push_global(f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else "an object")

    def reduce(self, _: object) -> None:
        arguments, stub = self.stack.pop(), self.stack.pop()
        if isinstance(stub, Kind) and isinstance(arguments, tuple):
            self.stack.append(Opaque(stub.name))
            return
        if not isinstance(stub, Stub) or not isinstance(arguments, tuple) or len(arguments) > 16:
            raise PickleError("calls what is no constructor of tensors")
        self.stack.append(stub.build(arguments))

    def new_object(self, _: object) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()
        if not isinstance(kind, Kind) or not isinstance(arguments, tuple):
            raise PickleError("makes an object of what is no class")
        self.stack.append(Opaque(kind.name))

    def new_object_named(self, _: object) -> None:
        self.stack.pop()  # arguments by name
        self.new_object(None)

    def empty_set(self, _: object) -> None:
        self.stack.append(Opaque("set"))

    def set_since_mark(self, _: object) -> None:
        self.since_mark()
        self.stack.append(Opaque("set"))

    def set_state(self, _: object) -> None:
        # A state dict carries `_metadata` (versions of its modules) as the state of its OrderedDict.
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Opaque):
            target.state = state
        elif not isinstance(target, dict):
            raise PickleError("sets the state of what is no dictionary")

    def persistent_id(self, _: object) -> None:
        self.stack.append(self.persistent(self.stack.pop()))

    def _list(self) -> list[Any]:
        if isinstance(self.stack[-1], Opaque):
            return []
        if not isinstance(self.stack[-1], list):
            raise PickleError("appends to what is no list")
        return self.stack[-1]

    def _update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Opaque):
            return
        if not isinstance(target, dict) or len(items) % 2:
            raise PickleError("sets items of what is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if isinstance(key, (tuple, Opaque)):  # names no tensor
                target[Opaque("key")] = value
                continue
            # Nested keys and colliding numbers would make hashing slow.
            if not isinstance(key, (str, bool, type(None))) and not (type(key) is int and abs(key) < 2**60):
                raise PickleError(f"a dictionary key of type {type(key).__name__}")
            target[key] = value

    def _push_global(self, name: str) -> None:
        self.stack.append(self.known[name] if name in self.known else self.other(name))


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, _: None),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"), _Machine.push),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), _Machine.push),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), _Machine.push),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.get),
    "MEMOIZE": _Machine.memoize,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.duplicate,
    "TUPLE": _Machine.tuple_since_mark,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.global_name,
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.new_object,
    "NEWOBJ_EX": _Machine.new_object_named,
    "EMPTY_SET": _Machine.empty_set,
    "ADDITEMS": _Machine.appends,
    "FROZENSET": _Machine.set_since_mark,
    "BUILD": _Machine.set_state,
    "BINPERSID": _Machine.persistent_id,
}
