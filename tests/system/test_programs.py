"""Programs of bundles in their sandbox: real bubblewrap, real processes, and what hostile ones come to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

import gameroom
from tests.system.harness import LOOPBACK, REACTOR, wait_until

WITHIN = 60.0
ORDINARY = 61_100
"""A user without a name."""

RUNNER = """
import json, os, signal, socket, sys
from pathlib import Path
from twisted.application.reactors import installReactor
from twisted.internet.defer import Deferred
reactor = installReactor(sys.argv[1])
from gameroom.programs.order import Order
from gameroom.programs.programs import Programs
from gameroom.settings import SandboxSettings

about = json.loads(sys.argv[2])

def tell(**values):
    print(json.dumps(values), flush=True)

running = []

def log(game, text):
    # The program says when it is to be ended.
    tell(said=text)
    if about["end_after"] is not None and "up" in text.split():
        reactor.callLater(about["end_after"], running[0].end, about["patience"])
    if about["patience_then"] is not None and "asked" in text.split():
        running[0].end(about["patience_then"])

# Or the test does.
signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(lambda: running[0].end(about["patience"])))

programs = Programs(reactor=reactor, settings=SandboxSettings(kind=about["kind"]), log=log)

async def run():
    await programs.start()
    tell(ready=True)
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    environment = {"GAMEROOM_PORT": str(listening.getsockname()[1]), **about["environment"]}
    order = Order(game_id="g", version="1", folder=Path(about["folder"]), command=tuple(about["command"]),
                  memory_mb=about["memory_mb"], listening=listening, environment=environment, about="a test")
    program = programs.run(order)
    tell(port=listening.getsockname()[1], pid=program.pid)
    listening.close()
    running.append(program)
    why = await program.ended()
    tell(ended=why, count=programs.count)
    await programs.stop()

def begin():
    Deferred.fromCoroutine(run()).addErrback(lambda failure: tell(failed=str(failure.value))).addBoth(lambda _: reactor.stop())

reactor.callWhenRunning(begin)
reactor.run()
"""


def as_ordinary() -> list[str] | None:
    """How a Python that has what we have is run as a user who may do nothing; None where there is none."""
    found = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, found):
        command = ["setpriv", "--reuid", str(ORDINARY), "--regid", str(ORDINARY), "--clear-groups", python, "-P"]
        try:
            subprocess.run(
                [*command, "-c", "import gameroom.programs.programs, subprocess, sys; subprocess.run([sys.executable, '-V'], check=True)"],
                check=True,
                capture_output=True,
                env=paths(),
                cwd="/",
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return command
    return None


def paths() -> dict[str, str]:
    """The environment in which another Python finds what this one has."""
    libraries = [str(Path(gameroom.__file__).parent.parent), *(path for path in sys.path if "site-packages" in path)]
    return {**os.environ, "OURS": "secret", "PYTHONPATH": os.pathsep.join(libraries)}


@pytest.fixture(scope="session", params=["own", "ordinary"])
def python(request: pytest.FixtureRequest) -> list[str]:
    """Both ways: as who we are, and as an ordinary user where we are root."""
    if request.param == "own":
        return [sys.executable, "-P"]
    command = as_ordinary() if os.geteuid() == 0 else None
    if command is None:
        pytest.skip("there is no Python that another user may run")
    return command


@pytest.fixture
def bundle() -> Iterator[Path]:
    """An unpacked bundle, below folders that others may enter, as pytest's are not."""
    with TemporaryDirectory(prefix="gameroom-programs-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        bundle = folder / "bundle"
        bundle.mkdir()
        (bundle / "README").write_text("a bundle")
        for path in (bundle / "README", bundle):
            path.chmod(0o555)
        yield bundle
        bundle.chmod(0o755)


def test_closed_folders(bundle: Path) -> None:
    """A bundle below a folder that nobody else may enter is found all the same, also by a program that is somebody else."""
    bundle.parent.chmod(0o700)
    assert said_by([sys.executable, "-P"], bundle, "cat", "README") == ("ended with status 0", "a bundle\n")


class Run:
    """What a runner has told so far."""

    def __init__(self, process: subprocess.Popen[str], mark: str) -> None:
        self.process, self.mark = process, mark
        self.said = ""

    def until(self, key: str) -> Any:
        """What it tells under this key, next."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            told = json.loads(line)
            assert "failed" not in told, told
            self.said += told.get("said", "")
            if key in told:
                return told[key]
        raise AssertionError(f"ended before it told {key}, after {self.said}")

    def left(self) -> list[int]:
        """The processes of the program that there are."""
        return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if self._is_one(pid)]

    def _is_one(self, pid: int) -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            return state not in "ZX" and self.mark.encode() in Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False

    def check_nothing_left(self) -> None:
        until = time.monotonic() + WITHIN
        while (left := self.left()) and time.monotonic() < until:
            time.sleep(0.01)
        assert not left


@contextmanager
def running(
    python: list[str],
    folder: Path,
    *command: str,
    kind: str = "bubblewrap",
    memory_mb: int = 128,
    end_after: float | None = None,
    patience: float = 0.5,
    patience_then: float | None = None,
    **environment: str,
) -> Iterator[Run]:
    """Run a program of a bundle, under a reactor of its own. It is ended `end_after` seconds after it is up, with that patience.

    `patience_then` is how long it is waited for once it says that it was asked.
    """
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    about = {"kind": kind, "folder": str(folder), "command": command, "memory_mb": memory_mb}
    ends = {"end_after": end_after, "patience": patience, "patience_then": patience_then}
    words = json.dumps({**about, **ends, "environment": {**environment, "GAMEROOM_ROOM_ID": mark}})
    process = subprocess.Popen([*python, "-c", RUNNER, REACTOR, words], stdout=subprocess.PIPE, text=True, env=paths(), cwd="/")
    run = Run(process, mark)
    try:
        yield run
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def said_by(python: list[str], folder: Path, *command: str, **options: Any) -> tuple[str, str]:
    """Run it to its end: why it ended, and what it said."""
    with running(python, folder, *command, **options) as run:
        why = run.until("ended")
        run.process.wait(WITHIN)
        # The runner, whose arguments hold the mark as well, is gone: so is all else.
        run.check_nothing_left()
        return why, run.said


LOOKS = """
import json, os, resource, socket
def read(path):
    try:
        return open(path, "rb").read().decode(errors="replace") and "read"
    except OSError as error:
        return type(error).__name__
print(json.dumps({
    "descriptors": sorted(fd for fd in map(int, os.listdir("/proc/self/fd")) if os.path.exists(f"/proc/self/fd/{fd}") or fd < 4),
    "environment": dict(os.environ), "pid": os.getpid(), "folder": os.getcwd(), "uid": os.getuid(),
    "blocking": os.get_blocking(3), "port": socket.socket(fileno=os.dup(3)).getsockname()[1],
    "processes": [name for name in os.listdir("/proc") if name.isdecimal()],
    "root": sorted(os.listdir("/")), "etc": sorted(os.listdir("/etc")),
    "reads": {path: read(path) for path in ("README", "/etc/shadow", "/etc/passwd", os.environ["SECRET"], "/root", "/home")},
    "ours": "OURS" in open("/proc/1/environ").read(),
    "writes": [path for path in ("/", "/usr", "/etc", "/dev", "/bundle", "/proc/sys/kernel") if os.access(path, os.W_OK)],
    "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapBnd", "NoNewPrivs"))],
    "interfaces": [name for _, name in socket.if_nameindex()],
    "limits": {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in ("DATA", "FSIZE", "NOFILE", "CORE", "MSGQUEUE", "MEMLOCK")},
    "namespaces": [os.readlink(f"/proc/self/ns/{kind}") for kind in ("user", "mnt", "pid", "ipc", "uts", "net")],
    "nice": os.nice(0), "umask": os.umask(0), "hostname": socket.gethostname(),
}))
"""


def test_what_it_finds(python: list[str], bundle: Path, tmp_path: Path) -> None:
    """A program finds its bundle, its socket and its environment, and nothing of ours."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    why, said = said_by(python, bundle, "python3", "-c", LOOKS, SECRET=str(secret))
    assert why == "ended with status 0"
    found = json.loads(said)
    environment = found["environment"]
    assert {name for name in environment if not name.startswith("GAMEROOM_")} == {
        "PATH",
        "HOME",
        "LISTEN_FDS",
        "LISTEN_PID",
        "PWD",
        "SECRET",
        "LC_CTYPE",
    }
    assert environment["PATH"] == "/usr/local/bin:/usr/bin:/bin"
    assert environment["HOME"] == "/tmp"
    assert environment["LISTEN_FDS"] == "1"
    assert environment["LISTEN_PID"] == str(found["pid"])
    assert environment["GAMEROOM_PORT"] == str(found["port"])
    assert found["descriptors"] == [0, 1, 2, 3]
    assert found["blocking"] is True
    assert found["folder"] == "/bundle"
    assert found["uid"] == 1000
    assert set(found["processes"]) == {"1", str(found["pid"])}
    assert {"home", "root", "run", "var", "opt", "srv", "sys", "work"}.isdisjoint(found["root"])
    assert {"passwd", "shadow", "hostname"}.isdisjoint(found["etc"])
    reads = found["reads"]
    assert reads.pop("README") == "read"
    assert set(reads.values()) == {"FileNotFoundError"}
    assert not found["ours"]
    assert found["writes"] == []
    assert found["capabilities"] == ["0000000000000000", "0000000000000000", "1"]
    assert found["interfaces"] == ["lo"]
    assert set(found["namespaces"]).isdisjoint(os.readlink(entry.path) for entry in os.scandir("/proc/self/ns"))
    limits = {"DATA": 128 << 20, "FSIZE": 128 << 20, "NOFILE": 1024, "CORE": 0, "MSGQUEUE": 0, "MEMLOCK": 0}
    assert found["limits"] == {name: [most, most] for name, most in limits.items()}
    assert (found["nice"], found["umask"], found["hostname"]) == (os.nice(0) + 10, 0o077, "game")


DIALS = """
import os, socket
other = ("127.0.0.1", int(os.environ["OTHER"]))
listening = socket.socket(fileno=3)
accepted, _ = listening.accept()
print(accepted.recv(5).decode(), flush=True)
def fast(one, send):
    return lambda: getattr(one, send)(*(([b"x"], []) if send == "sendmsg" else (b"x",)), 0x20000000, other)
def again():
    listening.shutdown(socket.SHUT_RDWR)
    listening.connect(other)
dials = [lambda: socket.create_connection(other, 1), again, fast(listening, "sendto"), fast(listening, "sendmsg")]
dials += [lambda: accepted.connect(other), lambda: socket.create_server(("127.0.0.1", 0)), lambda: socket.create_connection(("192.0.2.1", 80), 1)]
for dial in dials:
    try:
        dial()
        print("DONE", flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""


def test_network(python: list[str], bundle: Path) -> None:
    """Who dials a program's port is accepted; it dials nobody, neither by a new socket nor by turning round those that it was given."""
    with socket.create_server((LOOPBACK, 0)) as other, running(python, bundle, "python3", "-c", DIALS, OTHER=str(other.getsockname()[1])) as run:
        with socket.create_connection((LOOPBACK, run.until("port"))) as client:
            client.sendall(b"hello")
            assert run.until("ended") == "ended with status 0"
        assert run.said.split() == ["hello", *["PermissionError"] * 7]
        other.setblocking(False)
        with pytest.raises(BlockingIOError):
            other.accept()


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
def test_node(python: list[str], bundle: Path) -> None:
    """A plain Node server listens on descriptor 3."""
    program = "require('net').createServer(c => c.end(process.env.LISTEN_PID + ' ' + process.pid)).listen({fd: 3}, () => console.log('listens'))"
    with running(python, bundle, "node", "-e", program, end_after=None) as run:
        port = run.until("port")
        with socket.create_connection((LOOPBACK, port)) as client:
            client.settimeout(WITHIN)
            assert client.recv(100).split() == [b"2", b"2"]
        if os.geteuid() == 0 and str(ORDINARY) not in python:
            # Where we are root it is somebody to whom no file anywhere belongs.
            [(user, group)] = {ids_of(pid) for pid in run.left() if pid != run.process.pid}
            assert user == group
            assert min(map(int, user.split())) > 60_000


def ids_of(pid: int) -> tuple[str, str]:
    """Its users and its groups, as we see them."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return status["Uid"].strip(), status["Gid"].strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give groups up")
def test_of_no_group(bundle: Path) -> None:
    """The groups of who runs the daemon are not the program's."""
    daemon = ["setpriv", "--groups", str(ORDINARY), sys.executable, "-P"]
    assert said_by(daemon, bundle, "id", "-G") == ("ended with status 0", "1000\n")


FILLS = """
import time
for name in ("/tmp/x", "/dev/shm/x"):
    try:
        with open(name, "wb", 0) as file:
            while file.write(bytes(1 << 20)): pass
    except OSError: print("full", flush=True)
time.sleep(60)
"""
LEAVES = """
import os, time
for n in range(5):
    if not os.fork():
        os.setpgrp()
        if not os.fork(): time.sleep(999)
        os._exit(0)
"""

HOSTILE = {
    "memory": ("x = []\nwhile True: x.append(bytearray(1 << 20))", "ended with status 1|used more than its 48 MB of memory"),
    "shared memory": (
        "import mmap\nx = []\nwhile True: x.append(mmap.mmap(-1, 1 << 20)); x[-1].write(bytes(1 << 20))",
        "used more than its 48 MB of memory",
    ),
    "hidden memory": ("import os\nos.memfd_create('x')", "ended with status 1"),
    "fills /tmp": (FILLS, "used more than its 48 MB of memory"),
    "many files": (
        "import itertools, os\nos.mkdir('/tmp/x')\nfor n in itertools.count(): os.mknod(f'/tmp/x/{n}')",
        "used more than its 48 MB of memory|ended with status 1",
    ),
    "sockets": (
        "import socket, time\nx = []\nfor n in range(500): x += socket.socketpair()\ntime.sleep(60)",
        "used more than its 48 MB of memory|ended with status 1",
    ),
    "namespaces": ("import os, subprocess\nos._exit(subprocess.call(['unshare', '--user', 'true']))", "ended with status 1"),
    "dies": ("import os\nos.kill(os.getpid(), 11)", "was killed by SIGSEGV"),
    "is another": ("import os\nos.execvp('sh', ['sh', '-c', 'exit 7'])", "ended with status 7"),
    "nothing left": ("import os\nos.closerange(0, 99)\nos._exit(3)", "ended with status 3"),
    "leaves others": (LEAVES, "ended with status 0"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str, python: list[str], bundle: Path) -> None:
    """Each is contained, it is said how, and nothing of it is left."""
    program, expected = HOSTILE[name]
    why, _ = said_by(python, bundle, "python3", "-c", program, memory_mb=48)
    assert why in expected.split("|")


def test_fork_bomb(python: list[str], bundle: Path) -> None:
    """A fork bomb ends at the limit of processes; whoever has its user loses nothing, and it is ended with all of them."""
    bomb = "import os\nprint('up', flush=True)\nwhile True:\n  try: os.fork()\n  except OSError: pass"
    with running(python, bundle, "python3", "-c", bomb, memory_mb=512) as run:
        run.until("said")
        wait_until(lambda: len(run.left()) > 20, "there are many", WITHIN)
        time.sleep(1.0)
        assert len(run.left()) < 140
        run.process.send_signal(signal.SIGUSR1)
        assert run.until("ended") in {"was ended", "used more than its 512 MB of memory"}
        run.process.wait(WITHIN)
        run.check_nothing_left()


ASKED = """
import os, signal, time
def asked(*_):
    os.write(1, b"asked\\n")
    {}
signal.signal(signal.SIGTERM, asked)
print("up", flush=True)
while True: time.sleep(60)
"""


def test_deaf(python: list[str], bundle: Path) -> None:
    """Who ignores SIGTERM is killed when patience ends; who does not, has ended before."""
    why, said = said_by(python, bundle, "python3", "-c", ASKED.format("pass"), end_after=0.0, patience=4 * WITHIN, patience_then=0.5)
    assert (why, said) == ("was ended", "up\nasked\n")
    begun = time.monotonic()
    why, said = said_by(python, bundle, "python3", "-c", ASKED.format("exit(0)"), end_after=0.0, patience=4 * WITHIN)
    assert (why, said) == ("was ended", "up\nasked\n")
    assert time.monotonic() - begun < 2 * WITHIN


def test_prints_much(bundle: Path) -> None:
    """Who prints without end waits for it: the one who reads does next to nothing."""
    with running([sys.executable, "-P"], bundle, "sh", "-c", "echo up; yes", end_after=3.0) as run:
        run.until("pid")
        time.sleep(0.5)
        before = seconds_of(run.process.pid)
        time.sleep(2.0)
        assert seconds_of(run.process.pid) - before < 0.4
        assert run.until("ended") == "was ended"
        assert len(run.said) < 4 << 20


def seconds_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("kind", ["bubblewrap", "none"])
def test_killed(kind: str, python: list[str], bundle: Path) -> None:
    """Kill -9 of the daemon at any stage of a launch: no process is left."""
    for stage in range(4):
        with running(python, bundle, "sh", "-c", "sleep 600 & sleep 600", kind=kind) as run:
            run.until("ready")
            time.sleep(stage * 0.012)
            run.process.kill()
            run.process.wait()
            run.check_nothing_left()


def test_without_bubblewrap(bundle: Path, tmp_path: Path) -> None:
    """Where there is no bubblewrap, a program is not run, and who wanted it is told whom to ask."""
    about = {"kind": "bubblewrap", "folder": str(bundle), "command": ["true"], "memory_mb": 64, "environment": {}}
    ran = subprocess.run(
        [sys.executable, "-P", "-c", RUNNER, REACTOR, json.dumps(about)],
        capture_output=True,
        text=True,
        env={**paths(), "PATH": str(tmp_path)},
        check=False,
    )
    assert "this server cannot run games' programs: bubblewrap is not installed; ask whoever runs it" in ran.stdout
