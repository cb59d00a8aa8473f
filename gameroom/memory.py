"""How memory that was let go of is kept, and how it is found.

By itself glibc gives large pieces back to the kernel at once, or not, by what it has seen lately; and each page that comes anew is cleared first.
A chunk of 256 KiB, as our clients send and ask for, then costs more for its pages than for its bytes.
"""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Mapping
from typing import Any, Final

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
"""The numbers of mallopt(3)."""
KEPT: Final = 16 << 20
"""So many free bytes at the end of the heap are kept."""
OWN_PAGES: Final = 4 << 20
"""From so many bytes on, a piece has pages of its own, which are given back with it."""

YOUNG: Final = 10_000
"""So many objects more than there were are looked at for cycles. Python's 700 are what a few dozen connections bring."""


def look_less_for_cycles() -> None:
    """Have Python's collector leave alone what there is now, which is the program itself, and look at the rest less often.

    Nearly everything is let go of without it, and while it looks nothing else is done.
    """
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])


def keep_freed(environment: Mapping[str, str] = os.environ, library: Any = None) -> bool:
    """Let the C library keep what was let go of for the next to come; whether it does.

    An operator who has set `MALLOC_…` in the environment knows better, and another C library has no such call.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in environment):
        return False
    mallopt = getattr(ctypes.CDLL(None) if library is None else library, "mallopt", None)
    return mallopt is not None and all(mallopt(number, size) == 1 for number, size in ((_TRIM_THRESHOLD, KEPT), (_MMAP_THRESHOLD, OWN_PAGES)))
