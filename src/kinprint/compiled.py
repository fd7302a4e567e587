"""How kinprint's loops are compiled: at their first call, for the types of that call, and kept for the next process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

# Sums may be reordered (that is what makes them vector code, the same at every call) but NaN and infinity must survive.
_REORDER = {"reassoc", "contract", "nsz"}


def compiled(*, reorder: bool = False, parallel: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function to run without the interpreter's lock.

    The machine code is kept beside the source, or in the user's cache folder where that is read-only, or not at all.

    Args:
        reorder: let sums be reordered so that they vectorise.
        parallel: run `prange` loops on every processor.
    """
    options: dict[str, Any] = {"nogil": True, "fastmath": _REORDER if reorder else False, "parallel": parallel}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            return njit(cache=True, **options)(function)  # type: ignore[no-any-return]
        except RuntimeError:  # no folder to keep it in
            return njit(**options)(function)  # type: ignore[no-any-return]

    return decorate
