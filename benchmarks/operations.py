"""Floating-point operations that each family of traits takes of a layer, counted while it runs.

What weights are widened to counts what numpy does with it: 2 m n k for a product of matrices, half of that for a
matrix times its own transpose, one for each entry of anything else. Decompositions count as LAPACK's authors count them, and
the compiled loops by entry. What several families share counts for the first that needs it, in alphabetical order.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
from threadpoolctl import threadpool_limits

from kinprint.fingerprints import folded, layer, pieces
from kinprint.fingerprints.content import digest_of
from kinprint.fingerprints.layer import Layer, scanned
from kinprint.fingerprints.traits import _factors, families, forms, heads, neurons, products

A_SCAN, AN_INNER_PRODUCT = 8, 17
"""Operations of the compiled loops: for an entry of a matrix; for a channel of a neuron's gate, up and down."""

DECOMPOSITIONS: dict[Any, Callable[[int], float]] = {
    np.linalg.cholesky: lambda n: n**3 / 3,
    np.linalg.eigvalsh: lambda n: 4 / 3 * n**3,
    np.linalg.eigh: lambda n: 9 * n**3,
    np.linalg.qr: lambda n: 2 * n**2,  # of each row
}


def _of_some_eigenvectors(matrix: np.ndarray, *, subset_by_index: tuple[int, int], **_: Any) -> float:
    first, last = subset_by_index
    return 4 / 3 * len(matrix) ** 3 + 2 * (last - first + 1) * len(matrix) ** 2


class Counter:
    """How many operations there were since it was read last."""

    operations = 0.0

    def add(self, count: float) -> None:
        self.operations += count

    def read(self) -> int:
        count, self.operations = round(self.operations), 0.0
        return count


COUNTER = Counter()


class Counted(np.ndarray):
    """An array whose operations are counted, and those of what is computed from it."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [_plain(each) for each in inputs]
        if "out" in options:
            options["out"] = tuple(map(_plain, options["out"]))
        result = getattr(ufunc, method)(*plain, **options)
        COUNTER.add(_of_product(*plain[:2]) if ufunc is np.matmul else _size(plain[0] if method == "reduce" else result))
        return _counted(result)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        if function is np.einsum:
            COUNTER.add(_of_einsum(arguments[0], arguments[1:]))
        elif function in DECOMPOSITIONS:
            shape = arguments[0].shape
            COUNTER.add(math.prod(shape[:-1]) / shape[-1] * DECOMPOSITIONS[function](shape[-1]))
        elif function not in (np.linalg.norm, np.mean, np.sum):  # those call ufuncs, which are counted
            return _counted(super().__array_function__(function, types, arguments, options))
        return _counted(function(*map(_plain, arguments), **options))


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, Counted) else value


def _counted(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_counted, value))
    return value.view(Counted) if isinstance(value, np.ndarray) else value


def _size(value: Any) -> int:
    return int(np.size(value))


def _of_product(left: np.ndarray, right: np.ndarray) -> float:
    result = 2 * left.size * (right.shape[-1] if right.ndim > 1 else 1)
    same = left.ctypes.data == right.ctypes.data and left.shape == right.shape[::-1] and left.strides == right.strides[::-1]
    return result / 2 if same else result


def _of_einsum(subscripts: str, operands: tuple[Any, ...]) -> float:
    lengths = {}
    for letters, operand in zip(subscripts.split("->")[0].split(","), operands, strict=True):
        lengths.update(zip(letters, operand.shape, strict=True))
    return len(operands) * math.prod(lengths.values())


@contextmanager
def counting() -> Iterator[Counter]:
    """Count what families compute from weights."""

    def entering(module: ModuleType, name: str) -> Any:
        found = getattr(module, name)
        return patch.object(module, name, lambda *given, **options: _counted(found(*given, **options)))

    def of_call(
        module: ModuleType, name: str, count: Callable[..., float], what: Callable[[Any], Any] = lambda found: found
    ) -> Any:
        called = getattr(module, name)

        def counted(*given: Any, **options: Any) -> Any:
            COUNTER.add(count(*given, **options))
            return what(called(*map(_plain, given), **options))

        return patch.object(module, name, counted)

    with (
        entering(folded, "widened"),
        entering(pieces, "widened"),
        entering(heads, "widened"),
        entering(forms, "_vectors"),
        entering(products, "_folded"),
        entering(products, "start"),
        of_call(layer, "sums", lambda piece: A_SCAN * piece.size),
        of_call(neurons, "products", lambda gate, up, down, *_, **__: AN_INNER_PRODUCT * up.size),
        of_call(_factors, "eigh", _of_some_eigenvectors, _counted),
    ):
        COUNTER.read()
        yield COUNTER


def by_family(index: int, facts: dict[str, Any], parts: list[Any]) -> dict[str, int]:
    """Operations of the pass over all parts of a layer ("scan"), and of each family by name."""
    with counting() as counter:
        return {name: counter.read() for name in _families_in_turn(index, facts, parts)}


def seconds_by_family(index: int, facts: dict[str, Any], parts: list[Any]) -> dict[str, float]:
    """Processor time of the same, on one thread; of the pass, what digests take stands apart."""
    seconds = {}
    with threadpool_limits(limits=1, user_api="blas"):
        begin = time.process_time()
        for part in parts:
            digest_of(part.read())
        seconds["digests"] = time.process_time() - begin
        begin = time.process_time()
        for name in _families_in_turn(index, facts, parts):
            end = time.process_time()
            seconds[name], begin = end - begin, end
    seconds["scan"] = max(seconds["scan"] - seconds["digests"], 0.0)
    return seconds


def _families_in_turn(index: int, facts: dict[str, Any], parts: list[Any]) -> Iterator[str]:
    """The name of what was just done for a layer: its scan, then each family."""
    measured = Layer(index, facts, scanned(parts, lambda count: None))
    yield "scan"
    for family in families(scores=True):
        family.rows(measured)
        yield family.__name__.rpartition(".")[2]
