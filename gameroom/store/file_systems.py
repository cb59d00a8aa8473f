"""Linux's syncfs(2), which Python's `os` does not have: everything that a file system has yet to write, in one commit."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Callable
from typing import Any, Final

TELLS_SINCE: Final = (5, 8)
"""Before this Linux syncfs did not tell that something could not be written."""


def _find(system: str, release: str, library: Any) -> Callable[[int], None] | None:
    version = re.match(r"(\d+)\.(\d+)", release)
    if system != "Linux" or version is None or (int(version[1]), int(version[2])) < TELLS_SINCE or not hasattr(library, "syncfs"):
        return None

    def syncfs(fd: int) -> None:
        """Bring to the disk what was written to the file system that has this file; raises `OSError`."""
        if library.syncfs(fd) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))

    return syncfs


syncfs: Final = _find(os.uname().sysname, os.uname().release, ctypes.CDLL(None, use_errno=True))
"""None where there is none that tells of errors."""
