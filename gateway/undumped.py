"""No core dump of a process that holds keys.

An opened key is in the memory of the process for one operation, the key ring for as long as it runs; Python cannot
promise to overwrite either. So the kernel is told not to write this process's memory to disk when it crashes, nor to
let other processes of the same account read it (PR_SET_DUMPABLE, prctl(2)). Swap is not ours to decide: encrypt it, or
switch it off (docs/keys.md).
"""

from __future__ import annotations

import ctypes
import sys

__all__ = ["forbid_dumps"]

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def forbid_dumps() -> bool:
    """Forbid dumps of this process, where Linux is; says whether it worked. Programs that it starts are not bound."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
    except (OSError, AttributeError):  # a C library without prctl
        return False
