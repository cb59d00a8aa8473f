"""The kit for micro game services as a program: descriptor 3, many connections, and everything that can go wrong on one."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gameroom.wire.game_service import Message, Player, Rejected, Started, State, Update, state_from_bytes, update_to_bytes
from gameroom.wire.prefixed import Frames, framed
from tests.cli.kits import EXAMPLE, TEMPLATE
from tests.system.harness import PATIENCE, Daemon, hear_ctrl_c
from tests.system.shell_page import SERVICE_PAGE, run_page

GAME = """
from gameroom_service import Rejected, service

@service
def update(state, event):
    if event.kind == "started":
        return 0
    if event.body == "fail":
        raise RuntimeError("as it was told")
    if event.body == "loop":
        while True:
            try:
                pass
            except Exception:
                pass
    print("told", event.body)
    event.broadcast(b"x" * (1 << 20) if event.body == "big" else event.body)
    return state + 1
"""


def update(number: int, body: bytes, state: bytes = b"1") -> bytes:
    event = Message(0, body, True) if body else Started(b"{}", 1)
    players = (Player(0, "ann", "Ann", True),)
    return framed(
        update_to_bytes(
            Update(request=number, room_id="r", sequence=number, state=state, players=players, event=event, now_ms=1, game_id="g", version="1.0.0")
        )
    )


class Service:
    """The program, started as gameroom does it."""

    def __init__(self, folder: Path) -> None:
        kit = (TEMPLATE / "gameroom_service.py").read_text()
        assert "CPU_SECONDS = 4 " in kit
        (folder / "gameroom_service.py").write_text(kit.replace("CPU_SECONDS = 4 ", "CPU_SECONDS = 0.3 "))
        (folder / "service.py").write_text(GAME)
        listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = listening.getsockname()[1]
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"import os, sys; os.dup2({listening.fileno()}, 3); os.execv(sys.executable, ['python3', 'service.py'])"],
                cwd=folder,
                pass_fds=[listening.fileno()],
                env={"LISTEN_FDS": "1", "PATH": os.environ["PATH"]},
                stdout=log,
                stderr=log,
            )
        listening.close()

    def connection(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def wait_for(self, words: str) -> str:
        until = time.monotonic() + PATIENCE
        while words not in (said := self.log.read_text()):
            assert time.monotonic() < until, said
            time.sleep(0.01)
        return said


def states(connection: socket.socket, count: int) -> list[State]:
    frames, found = Frames(16 << 20), list[State]()
    while len(found) < count:
        data = connection.recv(65536)
        assert data, f"closed after {len(found)} of {count} answers"
        found += [state_from_bytes(each) for each in frames.feed(data)]
    return found


@pytest.fixture(name="service")
def _service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path)
    yield service
    service.process.kill()
    service.process.wait()


def test_connections_of_all_kinds(service: Service) -> None:
    """Bytes that drip, many updates at once, strangers, who does not read, who goes in mid-frame: each costs nobody else anything."""
    good = service.connection()
    good.sendall(update(1, b""))
    assert states(good, 1) == [State(request=1, sequence=1, state=b"0")]
    # It drips.
    for byte in update(2, b'"hi"'):
        good.sendall(bytes([byte]))
    (told,) = states(good, 1)
    assert (told.request, told.state, told.broadcast[0].data) == (2, b"2", b'"hi"')
    assert "told hi\n" in service.wait_for("told hi")  # at once, though it is a file
    # Many at once, on many connections.
    several = [service.connection() for _ in range(20)]
    for each in several:
        each.sendall(b"".join(update(number, b'"a"') for number in range(1, 101)))
    for each in several:
        assert [state.sequence for state in states(each, 100)] == list(range(1, 101))
    # Strangers, and one who goes away.
    for stranger in (b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x00", b"\xff\xff\xff\xff" + b"x" * 100, framed(b"\x0b"), framed(b"\x08")):
        with service.connection() as other:
            other.sendall(stranger)
            assert other.recv(100) == b""
    with service.connection() as gone:
        gone.sendall(update(1, b'"a"')[:-3])
    # Who does not read is not answered further, and what waits for them is little.
    deaf = service.connection()
    deaf.settimeout(0.5)
    with pytest.raises(TimeoutError):
        deaf.sendall(update(1, b'"big"') * 200 + update(1, b'"a"' + b" " * 60000) * 200)
    good.sendall(update(3, b'"still"'))
    assert states(good, 1)[0].broadcast[0].data == b'"still"'
    usage = int(Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]) * resource.getpagesize()
    assert usage < 60 << 20
    # And when they read after all, it goes on.
    deaf.settimeout(PATIENCE)
    assert {len(state.broadcast[0].data) for state in states(deaf, 50)} == {1 << 20}
    # A large frame: the state is gameroom's to keep, whatever its size is.
    good.sendall(update(4, b'"a"' + b" " * (8 << 20)))
    assert states(good, 1)[0].state == b"2"
    assert service.process.poll() is None


def test_an_update_that_fails_or_never_ends(service: Service) -> None:
    """Both are rejected, with the traceback in the log, and the next one is answered."""
    with service.connection() as connection:
        connection.sendall(update(1, b'"fail"') + update(2, b'"loop"') + update(3, b'"a"'))
        failed, looped, good = states(connection, 3)
    assert failed.rejected == looped.rejected == Rejected(105, "the game's rules failed")
    assert good.state == b"2"
    log = service.log.read_text()
    assert "RuntimeError: as it was told" in log
    assert "TooSlow: update() has run for 0.3 seconds" in log
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("folder", [TEMPLATE, EXAMPLE])
def test_by_hand(folder: Path) -> None:
    """Without descriptor 3 a game says how it is started by hand, and started so it ends with Ctrl-C."""
    run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run
    command = [sys.executable, "-B", "service.py"]
    plain = {"PATH": os.environ["PATH"]}
    for environment in (plain, {**plain, "LISTEN_FDS": "1"}):
        refused = run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.splitlines()[0].endswith("python3 service.py --listen 127.0.0.1:7100")
    wrong = run([*command, "--listen", "here"], cwd=folder, env=plain, capture_output=True, text=True, check=False)
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (1, 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        busy = run([*command, "--listen", place], cwd=folder, env=plain, capture_output=True, text=True, check=False)
    assert (busy.returncode, place in busy.stderr, len(busy.stderr.splitlines())) == (1, True, 1)
    with subprocess.Popen(
        [*command, "--listen", place],
        cwd=folder,
        env=plain,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - it takes no lock
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"gameroom is awaited at {place}; Ctrl-C ends this\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert process.stderr.read() == ""


def test_the_tutorial_of_game_services_is_true(daemon: Daemon, tmp_path: Path) -> None:
    """docs/tutorials/game-service.md, typed line by line into a shell, shows what it says.

    `python -m tests.system.shell_page --write` brings the page up to date.
    """
    page, shown, _ = run_page(daemon, tmp_path / "work", SERVICE_PAGE)
    assert shown == page
