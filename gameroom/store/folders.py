"""Files and folders that are to survive a power cut, and those that nobody may write to."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from gameroom.store.file_systems import syncfs


def to_disk(path: Path) -> None:
    """Bring a file or a folder's list of names to the disk. Raises `OSError`."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_at(fd: int, data: bytes, offset: int) -> None:
    """Write all of it at that byte of a file. Raises `OSError`."""
    written = os.pwrite(fd, data, offset)
    while written < len(data):
        # A signal, or a disk that is nearly full: the next call says which.
        written += os.pwrite(fd, memoryview(data)[written:], offset + written)


def tree_to_disk(folder: Path) -> None:
    """Bring a folder with all that is in it to the disk. Raises `OSError`."""
    if syncfs is not None:
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            syncfs(fd)
        finally:
            os.close(fd)
        return
    for path in folder.rglob("*"):
        to_disk(path)
    to_disk(folder)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each of which is then on the disk. Raises `OSError`."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
    to_disk(folder.parent)


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, also where nobody may write to it. Raises `OSError`; none is fine."""

    def again(function: Any, path: str, error: Any) -> None:
        if isinstance(error[1], FileNotFoundError):
            return
        if not isinstance(error[1], PermissionError):
            raise error[1]
        for each in (os.path.dirname(path), path):
            if stat.S_ISDIR(os.lstat(each).st_mode):
                os.chmod(each, 0o700)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)

    shutil.rmtree(folder, onerror=again)
