"""How kinprint's loops are compiled: at their first call, for the types of that call, and kept for the next process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from numba import get_num_threads, njit
from numba.core import event

T = TypeVar("T")

# Sums may be reordered (that is what makes them vector code, the same at every call) but NaN and infinity must survive.
_REORDER = {"reassoc", "contract", "nsz"}


def compiled(*, reorder: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function to run without the interpreter's lock.

    The machine code is kept beside the source, or in the user's cache folder where that is read-only, or not at all.

    Args:
        reorder: let sums be reordered so that they vectorise.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "no_cfunc_wrapper": True,
        "error_model": "numpy",
        "fastmath": _REORDER if reorder else False,
    }

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(cache=True, **options)(function)  # type: ignore[no-any-return]
        except RuntimeError:  # no folder to keep it in
            return njit(**options)(function)  # type: ignore[no-any-return]

    return decorate


def on_compiling(tell: Callable[[], None]) -> None:
    """Have `tell` called, once, when a function is compiled: no process before has kept its machine code."""
    waiting = [tell]

    class Listener(event.Listener):
        def on_start(self, event: Any) -> None:
            if waiting:
                waiting.pop()()

        def on_end(self, event: Any) -> None: ...

    event.register("numba:compile", Listener())  # type: ignore[no-untyped-call]


def processors() -> int:
    """How many processors compiled code may use: $NUMBA_NUM_THREADS, or all, or what `numba.set_num_threads` said last."""
    return int(get_num_threads())


def on_processors(function: Callable[..., T], parts: Sequence[tuple[Any, ...]]) -> list[T]:
    """What a compiled function gives for the arguments of each part, in order, the parts side by side.

    numba could divide the loops of one call itself (`parallel=True`), but to compile that takes several times as long.
    """
    threads = min(processors(), len(parts))
    if threads < 2:
        return [function(*part) for part in parts]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda part: function(*part), parts))
