"""What a program of a bundle finds around it: bubblewrap's arguments, and the process that calls it.

It sees the system's programs and libraries, its bundle, a `/tmp` of its own, and nothing else.
Whatever it can write to is counted to its memory; whatever else there is can only be read.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from gameroom.programs import launch
from gameroom.programs.system_calls import system_calls

FOLDER: Final = "/bundle"
"""Where a program finds its bundle."""

NICE: Final = 10
"""How far a program stands behind the daemon."""
OPEN_FILES: Final = 1024
PROCESSES: Final = 128
"""With all their threads."""
_MIB: Final = 1 << 20

ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LISTEN_FDS": "1"}
"""What every program has in its environment, with `LISTEN_PID` and what its order says."""

_SYSTEM: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Links into /usr on most systems, and folders on some."""
_SETTINGS: Final = ("ld.so.cache", "alternatives", "localtime", "java-*")
"""Of /etc: what programs of the system do not start without, or would show wrong times without."""
_PRIVATE: Final = ("/usr/local/etc", "/usr/local/var", "/usr/local/srv")
"""Of /usr: where people keep what is theirs."""

# `$$` is the program's pid as it sees it itself. This limit counts within the sandbox only when it is set there;
# the shell of some systems knows it as -u, that of others as -p.
_SHELL: Final = f'ulimit -u {PROCESSES} 2>/dev/null || ulimit -p {PROCESSES} || exit 1; export LISTEN_PID=$$; exec "$@"'


@attrs.frozen(kw_only=True)
class Sandbox:
    """How programs are run on this machine; `bwrap` is None where nothing locks them in."""

    bwrap: str | None
    is_root: bool
    hidden: tuple[str, ...] = ()
    """What lies within /usr and is not for programs."""

    @classmethod
    def here(cls, hidden: Sequence[Path] = ()) -> Sandbox | None:
        """With this machine's bubblewrap; None where it has none."""
        bwrap = shutil.which("bwrap")
        if bwrap is None:
            return None
        within = [os.path.realpath(path) for path in [*map(Path, _PRIVATE), *hidden]]
        seen = tuple(path for path in within if path.startswith("/usr/") and os.path.exists(path))
        return cls(bwrap=bwrap, is_root=os.geteuid() == 0, hidden=seen)

    @classmethod
    def none(cls) -> Sandbox:
        """Nothing that locks anybody in."""
        return cls(bwrap=None, is_root=os.geteuid() == 0)

    @property
    def own_users(self) -> bool:
        """Whether each program is a user of its own, as only root can have it."""
        return self.bwrap is not None and self.is_root

    @property
    def knows_machine(self) -> bool:
        """Whether what programs may ask of the kernel can be bounded on this processor. It need not be where nothing locks them in."""
        return self.bwrap is None or bool(system_calls(platform.machine()))

    def command(self, command: Sequence[str], *, folder: Path, memory_mb: int, environment: Mapping[str, str], uid: int | None) -> list[str]:
        """What the daemon starts: this Python with `launch.py`, which becomes bubblewrap, which becomes `command`."""
        calls = system_calls(platform.machine()) if self.bwrap else b""
        bundle = os.path.abspath(folder) if uid is None else launch.BUNDLE
        seccomp = ["--seccomp", str(launch.SECCOMP_FD)]
        values = launch.arguments(
            parent=os.getpid(),
            nice=NICE,
            data_bytes=memory_mb * _MIB,
            open_files=OPEN_FILES,
            folder=os.path.abspath(folder),
            uid=uid if self.bwrap else None,
            seccomp=calls,
            locked=self.bwrap is not None,
            command=[*self._locked(bundle, memory_mb, environment), *seccomp, "--", "/bin/sh", "-c", _SHELL, "gameroom", *command]
            if self.bwrap
            else command,
        )
        return [sys.executable, "-I", "-S", launch.__file__, *values]

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """That of the process that the daemon starts. bubblewrap sets the program's own, from its arguments."""
        return {} if self.bwrap else {**environment, **ENVIRONMENT}

    def _locked(self, bundle: str, memory_mb: int, environment: Mapping[str, str]) -> list[str]:
        assert self.bwrap is not None
        size = str(memory_mb * _MIB // 2)
        words = [self.bwrap, "--die-with-parent", "--cap-drop", "ALL", "--hostname", "game"]
        words += ["--unshare-user", "--uid", "1000", "--gid", "1000"]
        words += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-net", "--unshare-cgroup-try"]
        words += ["--clearenv"]
        for name, value in {**environment, **ENVIRONMENT}.items():
            words += ["--setenv", name, value]
        words += _system()
        for path in self.hidden:
            # An empty folder, that cannot be written to either; or an empty file.
            words += ["--tmpfs", path, "--remount-ro", path] if os.path.isdir(path) else ["--ro-bind", "/dev/null", path]
        words += ["--proc", "/proc", "--dev", "/dev", "--size", size, "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]
        words += ["--size", size, "--perms", "1777", "--tmpfs", "/tmp"]
        return [*words, "--ro-bind", bundle, FOLDER, "--remount-ro", "/", "--chdir", FOLDER]


def _system() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for path in _SYSTEM:
        if os.path.islink(path):
            yield from ("--symlink", os.readlink(path), path)
        elif os.path.isdir(path):
            yield from ("--ro-bind", path, path)
    for pattern in _SETTINGS:
        for found in sorted(Path("/etc").glob(pattern)):
            yield from ("--ro-bind", str(found), str(found))
