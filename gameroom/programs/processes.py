"""The processes of one program, as the kernel shows them in /proc: how many, what they use, whether any is left."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from typing import Final, Protocol

import attrs

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
_LARGE: Final = 1 << 30
"""Bytes of addresses from which on the tables that keep them are worth a look: they are memory, too, and no process shows it."""
_SOCKET_BYTES: Final = 256 << 10
"""What a socket within the sandbox may hold, about: nobody else counts it."""
_FILE_BYTES: Final = 1 << 10
"""What an empty file takes."""


@attrs.frozen(kw_only=True)
class Use:
    """What a program uses at one moment. Times are in seconds, for each process that is there; memory in bytes."""

    own: dict[int, float]
    waited: float
    """The time of processes that are gone, as far as those that waited for them know it."""
    resident: int
    """Memory that processes share is counted for each of them here."""
    files: int
    """Memory that is no process's."""


class Processes(Protocol):
    """All processes of a program."""

    def use(self) -> Use | None:
        """None while there is nothing to look at."""

    def counter(self) -> Callable[[], int]:
        """What gives its bytes of memory, of which what is shared is counted once.

        To be called once, in a thread: the kernel has it wait for each process that is just changing its memory,
        and one that forks and gets no processor holds it up for seconds.
        """

    def signal(self, number: int) -> bool:
        """Send a signal to the program itself; False where it is not there yet, or no more."""

    def kill(self) -> None:
        """SIGKILL to all of them."""

    def gone(self) -> bool:
        """Whether none is left; asked once the process that we started is gone."""


class LockedProcesses:
    """Those in a sandbox; `pid` is bubblewrap's outside of it.

    Its child is the first process within the sandbox, with which all others end; and the program is that one's child, with the number 2.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._first: int | None = None
        self._first_fd = -1
        self._proc_fd = -1
        """/proc as the program sees it: it lists those of the sandbox and no others, whoever their parents are."""
        self._file_systems: list[int] = []
        """What it can write to, open."""

    def __del__(self) -> None:
        self._close()

    def use(self) -> Use | None:
        if self._proc_fd < 0 and not self._enter():
            return None
        pids = [name for name in os.listdir(self._proc_fd) if name.isdecimal()]
        own: dict[int, float] = {}
        waited, resident, sockets = 0.0, 0, 0
        for name in pids:
            stat = _stat(f"{name}/stat", self._proc_fd)
            if stat is None:
                continue
            own[int(name)], more, bytes_here, addresses = stat
            waited += more
            if name != "1":
                resident += bytes_here + (self._tables(name) if addresses > _LARGE else 0)
        if len(own) > 1:
            sockets = self._sockets(pids[-1])
        return Use(own=own, waited=waited, resident=resident, files=sum(map(_held, self._file_systems)) + sockets * _SOCKET_BYTES)

    def counter(self) -> Callable[[], int]:
        # Of its own, since ours may be closed meanwhile.
        folder = os.dup(self._proc_fd) if self._proc_fd >= 0 else -1

        def count() -> int:
            if folder < 0:
                return 0
            try:
                return sum(_proportional(name, folder) for name in os.listdir(folder) if name.isdecimal() and name != "1")
            finally:
                os.close(folder)

        return count

    def signal(self, number: int) -> bool:
        pid = self._program()
        if pid is None:
            return False
        try:
            held = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        try:
            # It is still the one that was meant: nobody else can have got its number meanwhile.
            if self._program() != pid:
                return False
            signal.pidfd_send_signal(held, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(held)
        return True

    def kill(self) -> None:
        # While the sandbox is set up, its processes are those of one group, and do not end with each other yet.
        _kill_group(self._pid)
        if self._find_first():
            try:
                signal.pidfd_send_signal(self._first_fd, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def gone(self) -> bool:
        if self._first_fd < 0:
            # It ended before we knew it: what it may have left behind is of its group.
            _kill_group(self._pid)
        elif not _readable(self._first_fd):
            return False
        self._close()
        return True

    def _find_first(self) -> bool:
        if self._first_fd < 0:
            first = _numbered(b"1", _children(self._pid, self._pid))
            if first is None:
                return False
            try:
                self._first_fd = os.pidfd_open(first)
            except ProcessLookupError:
                return False
            self._first = first
        return not _readable(self._first_fd)

    def _program(self) -> int | None:
        """The program's number, as we see it."""
        if not self._find_first():
            return None
        assert self._first is not None
        return _numbered(b"2", _children(self._first, self._first))

    def _enter(self) -> bool:
        """Open what we look at, once the program is there: it is begun when all is in its place."""
        pid = self._program()
        if pid is None:
            return False
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            for path in ("tmp", "dev/shm"):
                self._file_systems.append(os.open(f"/proc/{pid}/root/{path}", flags))
            self._proc_fd = os.open(f"/proc/{pid}/root/proc", flags)
        except OSError:
            while self._file_systems:
                os.close(self._file_systems.pop())
            return False
        return True

    def _tables(self, name: str) -> int:
        size = _field(f"{name}/status", b"VmPTE:", self._proc_fd)
        return int(size.split()[0]) << 10 if size else 0

    def _sockets(self, name: str) -> int:
        used = _field(f"{name}/net/sockstat", b"sockets: used", self._proc_fd)
        return int(used) if used else 0

    def _close(self) -> None:
        for fd in (self._first_fd, self._proc_fd, *self._file_systems):
            if fd >= 0:
                os.close(fd)
        self._first_fd = self._proc_fd = -1
        self._file_systems = []


class PlainProcesses:
    """Those of a program that nothing locks in, as far as they are below it: who left its session is not found."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def use(self) -> Use | None:
        own: dict[int, float] = {}
        waited, resident = 0.0, 0
        for pid in self._pids():
            stat = _stat(f"/proc/{pid}/stat")
            if stat is not None:
                own[pid], more, bytes_here, _ = stat
                waited += more
                resident += bytes_here
        return Use(own=own, waited=waited, resident=resident, files=0) if own else None

    def counter(self) -> Callable[[], int]:
        pids = self._pids()
        return lambda: sum(_proportional(f"/proc/{pid}") for pid in pids)

    def signal(self, number: int) -> bool:
        try:
            os.kill(self._pid, number)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        _kill_group(self._pid)

    def gone(self) -> bool:
        # They are not our children, so there is nothing of them to wait for.
        self.kill()
        return True

    def _pids(self) -> list[int]:
        found = [self._pid]
        for pid in found:
            try:
                threads = os.listdir(f"/proc/{pid}/task")
            except OSError:
                continue
            for thread in threads:
                found += _children(pid, int(thread))
        return found


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _read(path: str, folder: int | None = None, most: int = 4096) -> bytes:
    """What a file of /proc says; empty where it is not there any more."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return b""
    try:
        return os.read(fd, most)
    except OSError:
        return b""
    finally:
        os.close(fd)


def _stat(path: str, folder: int | None = None) -> tuple[float, float, int, int] | None:
    """A process's own seconds, those of children that it waited for, its memory in bytes, and its addresses."""
    fields = _read(path, folder).rpartition(b")")[2].split()
    if len(fields) < 22:
        return None
    own = (int(fields[11]) + int(fields[12])) * _TICK
    return own, (int(fields[13]) + int(fields[14])) * _TICK, int(fields[21]) * _PAGE, int(fields[20])


def _field(path: str, name: bytes, folder: int | None = None) -> bytes | None:
    for line in _read(path, folder).split(b"\n"):
        if line.startswith(name):
            return line[len(name) :].strip()
    return None


def _numbered(number: bytes, pids: list[int]) -> int | None:
    """That one of these which has this number in a sandbox of its own."""
    for pid in pids:
        names = (_field(f"/proc/{pid}/status", b"NSpid:") or b"").split()
        if len(names) > 1 and names[-1] == number:
            return pid
    return None


def _children(pid: int, thread: int) -> list[int]:
    return [int(word) for word in _read(f"/proc/{pid}/task/{thread}/children", most=65536).split()]


def _proportional(path: str, folder: int | None = None) -> int:
    """A process's memory with its share of what it shares; all of that where we may not know."""
    size = _field(f"{path}/smaps_rollup", b"Pss:", folder)
    if size:
        return int(size.split()[0]) << 10
    stat = _stat(f"{path}/stat", folder)
    return stat[2] if stat else 0


def _held(fd: int) -> int:
    """Bytes of memory that a file system in memory holds."""
    about = os.fstatvfs(fd)
    return (about.f_blocks - about.f_bfree) * about.f_frsize + (about.f_files - about.f_ffree) * _FILE_BYTES


def _readable(fd: int) -> bool:
    """Of a process's descriptor: whether it has ended."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
