"""What Linux has and Python does not: syncfs(2), all that a file system has yet to write in one commit, sync_file_range(2) and fstatfs(2)."""

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

_WRITE: Final = 2
"""SYNC_FILE_RANGE_WRITE: begin to write, and wait for nothing that was not begun before."""


def _find_range(library: Any) -> Callable[[int, int, int], None] | None:
    if not hasattr(library, "sync_file_range"):
        return None
    library.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

    def start_writing(fd: int, offset: int, length: int) -> None:
        """Have these bytes of a file on their way to the disk; they are not safe by that. A file system that cannot is none the worse."""
        library.sync_file_range(fd, offset, length, _WRITE)

    return start_writing


start_writing: Final = _find_range(ctypes.CDLL(None))
"""None where the system has no such call."""

_KEEPS: Final = (0xEF53, 0x01021994)
"""ext2 to ext4 and tmpfs, as statfs(2) tells them. XFS does, but not for a file that was copied by sharing its blocks, as `cp` does there."""


def keeps_mapped(fd: int) -> bool:
    """Whether what was once written of this file can be written again, mapped into memory, however full the disk is.

    A file system that writes each time to another place may find none; that is the end of a program that has it mapped.
    """
    about = (ctypes.c_long * 64)()
    return os.uname().sysname == "Linux" and ctypes.CDLL(None).fstatfs(fd, about) == 0 and about[0] in _KEEPS
