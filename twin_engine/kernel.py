"""The one place that compiles: a typed `kernel` around numba, for the inner loops of models that move in time.

A kernel takes arrays and numbers, and is compiled once for a machine (kept beside the package, or in numba's cache
folder where that cannot be written). Arithmetic is never reordered, so that the same seed gives the same bits on one
machine whatever the size of the ensemble; `fused` permits a multiply-add to be rounded once, which is as reproducible.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

__all__ = ["kernel"]

P = ParamSpec("P")
R = TypeVar("R")


def kernel(*, inline: bool = False, fused: bool = True) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function of arrays and numbers. `inline` is for small ones that others call in their loops.

    Without `fused`, code that is compiled twice (for one and for many at once) gives the same bits.
    """
    permitted = {"contract", "nsz"} if fused else {"nsz"}

    def compile_(function: Callable[P, R]) -> Callable[P, R]:
        compiled: Callable[P, R] = numba.njit(
            cache=True, nogil=True, error_model="numpy", fastmath=permitted, inline="always" if inline else "never"
        )(function)
        return compiled

    return compile_
