"""What pickles hold beside tensors, as records that do nothing: settings, numbers of numpy, paths, dates, enumerations.

A class is only a name here. Nothing of it is looked up or called: "making an object" of it makes an `Opaque` that keeps what
the file gives it, so that settings can be read. A function is refused by name, unless it stands below: what it would return
cannot be known, and who puts one into a file of tensors wants it to run.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from kinprint.checkpoints.formats._pickle import Kind, Opaque, Stub
from kinprint.errors import PickleError

STANDARD = re.compile(
    r"argparse\.Namespace|types\.SimpleNamespace|collections\.(deque|Counter|ChainMap|UserDict)"
    r"|datetime\.(date|time|datetime|timedelta|timezone)|decimal\.Decimal|fractions\.Fraction|uuid\.(UUID|SafeUUID)"
    r"|pathlib(\.\w+)?\.(Pure)?(Posix|Windows)?Path|signal\.(Signals|Handlers)|ipaddress\.IPv[46]Address"
    r"|(builtins|__builtin__)\.(object|set|frozenset|slice|x?range|complex|bytearray|bytes|int|long|float|str|unicode|bool|list"
    r"|dict|tuple)",
    re.ASCII,
)
"""Classes of Python itself whose objects are values."""

NUMPY = re.compile(
    r"numpy\.(dtype|ndarray|bool_?|u?int\d*|float\d+|complex\d+|str_|bytes_|datetime64|timedelta64|dtypes\.\w+)"
    r"|numpy\._?core\.(multiarray\.(scalar|_reconstruct)|numeric\._frombuffer)"
    r"|numpy\.random\.[\w.]+",
    re.ASCII,
)
"""Numbers, arrays and states of generators of numpy, and what makes them."""

TORCH = re.compile(
    r"torch\.(Tensor|nn\.(parameter\.)?(Parameter|Buffer)|torch_version\.TorchVersion|Generator|strided|layout)"
    r"|torch\.(distributed|optim)(\.\w+)*\.[A-Z]\w*",
    re.ASCII,
)
"""Of torch, classes and names that are no modules."""

_CLASS = re.compile(r"(\w+)(\.\w+)*\.[A-Z]\w*", re.ASCII)
"""By custom, classes begin with a capital letter and functions do not."""


def inert(name: str) -> Any:
    """What stands for a global: a `Kind` for a class, a `Stub` for what makes inert values.

    Raises:
        PickleError: it is a function, or a class of Python or torch that is not known to be a value.
    """
    if name in _MAKERS:
        return _MAKERS[name]
    if any(pattern.fullmatch(name) for pattern in (STANDARD, NUMPY, TORCH)):
        return Kind(name)
    root = name.partition(".")[0]
    if root == "torch" and ".nn." in name:
        raise PickleError(f"a whole module, not its state dict: loading it would run {name}")
    own = root in sys.stdlib_module_names or root in ("__builtin__", "copy_reg", "torch", "numpy")
    if own or not _CLASS.fullmatch(name):
        raise PickleError(f"loading it would run {name}")
    return Kind(name)


def settings(value: Any) -> dict[Any, Any]:
    """What a table, or an object with attributes, holds; empty for anything else."""
    if isinstance(value, Opaque):
        value = value.state
    return value if isinstance(value, dict) else {}


# --- functions that make values


def _defaultdict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """(factory,); the items follow one by one"""
    if len(arguments) > 1:
        raise PickleError("a defaultdict made at once")
    return {}


def _reconstructed(arguments: tuple[Any, ...]) -> Opaque:
    """(class, base, state)"""
    match arguments:
        case (Kind(name), Kind(), _):
            return Opaque(name)
    raise PickleError("an object of what is no class")


def _attribute(arguments: tuple[Any, ...]) -> Opaque:
    """(class, name), as some versions of Python write the members of an enumeration"""
    match arguments:
        case (Kind(name), str(member)):
            return Opaque(f"{name}.{member}")
    raise PickleError("loading it would run builtins.getattr")


def _encoded(arguments: tuple[Any, ...]) -> bytes:
    """(text, "latin1"), as protocol 2 writes bytes"""
    match arguments:
        case (str(text), "latin1" | "latin-1"):
            return text.encode("latin1")
    raise PickleError("loading it would run _codecs.encode")


_MAKERS = {
    name: Stub(name, build)
    for name, build in {
        "collections.defaultdict": _defaultdict,
        "copyreg._reconstructor": _reconstructed,
        "copy_reg._reconstructor": _reconstructed,
        "builtins.getattr": _attribute,
        "__builtin__.getattr": _attribute,
        "_codecs.encode": _encoded,
    }.items()
}
