"""What stands between the daemon and a bundle's program: `python -I -S launch.py KEY=VALUE… -- COMMAND…`.

It gives up what a program is not to have, one thing after the other, and becomes COMMAND.
It is a process of its own, since none of this can be taken back, and since the daemon is not to be copied for it.
It runs on the standard library alone, and imports little of it: every start of a game waits for it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Sequence

LIFELINE_FD = 4
"""A pipe's end; the daemon alone has the other. The program does not get it."""

SECCOMP_FD = 9
"""The descriptor on which bubblewrap finds the filter of system calls. It closes it before the program begins."""

REACHABLE = "/tmp"
"""Where the bundle is shown to bubblewrap, if we are root: in a view of the file system that only the program's own processes have."""
BUNDLE = f"{REACHABLE}/bundle"

FAILED = 70
"""The exit status where this file itself could not do its work; why is on stderr."""

_PR_SET_PDEATHSIG = 1
_CLONE_NEWNS = 0x20000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000


def arguments(
    *,
    parent: int,
    nice: int,
    data_bytes: int,
    open_files: int,
    folder: str,
    uid: int | None,
    seccomp: bytes,
    locked: bool,
    command: Sequence[str],
) -> list[str]:
    """This file's arguments.

    `parent` is the pid of the daemon, with which the program ends. `uid`, which only root may ask for, is the user and the group that it
    becomes; `folder` is then shown at `BUNDLE`. `seccomp` is a filter for bubblewrap, or empty.
    A command that is not `locked` is the program itself, and `folder` its working folder.
    """
    values = {
        "parent": parent,
        "nice": nice,
        "data": data_bytes,
        "files": open_files,
        "folder": folder,
        "uid": "" if uid is None else uid,
        "seccomp": seccomp.hex(),
        "locked": "yes" if locked else "",
    }
    return [*(f"{key}={value}" for key, value in values.items()), "--", *command]


def main(words: Sequence[str]) -> None:
    """Become the command. Comes back only by an exception."""
    end = words.index("--")
    said = dict(word.split("=", 1) for word in words[:end])
    command = words[end + 1 :]
    _end_with(int(said["parent"]))
    os.setsid()
    _go_behind(int(said["nice"]))
    _limit(int(said["data"]), int(said["files"]))
    if said["uid"]:
        _show(said["folder"])
        _become(int(said["uid"]))
    _guard()
    # A change of user has taken this back; and the daemon may have ended before the guard was there.
    _end_with(int(said["parent"]))
    if said["seccomp"]:
        _offer(bytes.fromhex(said["seccomp"]))
    if said["locked"]:
        os.chdir("/")
    else:
        os.chdir(said["folder"])
        os.environ["LISTEN_PID"] = str(os.getpid())
        # This Python's own doing, where there is no locale.
        os.environ.pop("LC_CTYPE", None)
    # What Python ignores, whoever comes after it would ignore too.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.umask(0o077)
    os.execvp(command[0], list(command))


def _end_with(parent: int) -> None:
    """SIGKILL when the daemon ends, however it does; also if it has ended just now."""
    _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(FAILED)


def _go_behind(nice: int) -> None:
    """Whoever plays elsewhere goes first; and where the machine has no memory left, it is this program that is ended."""
    os.nice(nice)
    for path, value in (("/proc/self/autogroup", nice), ("/proc/self/oom_score_adj", 1000)):
        # Linux may share out the processor by sessions first: then niceness counts inside of one only, and the session has its own.
        try:
            with open(path, "w") as file:
                file.write(str(value))
        except OSError:
            pass


def _limit(data_bytes: int, open_files: int) -> None:
    """For each process. There is no limit on addresses, of which Node reserves more than a machine has memory."""
    for kind, wanted in (
        (resource.RLIMIT_DATA, data_bytes),
        (resource.RLIMIT_FSIZE, data_bytes),
        (resource.RLIMIT_NOFILE, open_files),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        allowed = resource.getrlimit(kind)[1]
        most = wanted if allowed == resource.RLIM_INFINITY else min(wanted, allowed)
        resource.setrlimit(kind, (most, most))


def _show(folder: str) -> None:
    """Make the bundle reachable for a user who may not enter the folders above it."""
    _call("unshare", _CLONE_NEWNS)
    _call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    # Held open, since it may lie below what is covered now.
    held = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    _call("mount", b"none", REACHABLE.encode(), b"tmpfs", _MS_NOSUID | _MS_NODEV, b"mode=755,size=64k")
    os.mkdir(BUNDLE, 0o755)
    _call("mount", f"/proc/self/fd/{held}".encode(), BUNDLE.encode(), None, _MS_BIND, None)


def _become(uid: int) -> None:
    """No more root, for good. The number is nobody else's, so that its processes are counted alone."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _guard() -> None:
    """Leave a process that kills this process group as soon as the lifeline's other end is closed, and let go of the lifeline.

    bubblewrap's inner process does not end with its outer one before it has set the sandbox up:
    without the guard kill -9 of the daemon in those milliseconds would leave it there for good.
    """
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os.close(LIFELINE_FD)
        return
    # A child of nobody's: the program is not to find one that it has not made.
    if os.fork():
        os._exit(0)
    os.dup2(LIFELINE_FD, 0)
    os.closerange(1, LIFELINE_FD + 1)
    os.execv("/bin/sh", ["gameroom-guard", "-c", "read _; kill -KILL 0"])


def _offer(seccomp: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, seccomp)
    os.close(writing)
    os.dup2(reading, SECCOMP_FD)


def _call(name: str, *values: object) -> None:
    """One of the C library's functions that Python does not have. Raises OSError."""
    function = getattr(ctypes.CDLL(None, use_errno=True), name)
    if function(*(ctypes.c_ulong(value) if isinstance(value, int) else value for value in values)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Exception as problem:
        sys.stderr.write(f"gameroom: the program cannot be started: {problem}\n")
        sys.exit(FAILED)
