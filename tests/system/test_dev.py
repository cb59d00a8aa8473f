"""`gameroom dev` against a real daemon: pushes that survive whatever happens, and errors in one line."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gameroom.wire.game_service import state_from_bytes, update_from_bytes
from gameroom.wire.update_file import pairs_from_bytes
from tests.system.developer import ENDS_WITHIN, PASSWORD, Developer
from tests.system.harness import LOOPBACK, Daemon, DaemonMaker, wait_until
from tests.system.native import CONNECTED, JOIN, ROOM, START, Native
from tests.system.shell_page import run_page
from tests.system.web import Web

BIG = 48 << 20
"""Bytes that take long enough to be cut in the middle."""


class Gate:
    """Stands before the developer door. Held, it lets a quarter of a large push pass and no more: so none is over too soon."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._open = threading.Event()
        self._open.set()
        self._cuts = 0
        self._listening = socket.create_server((LOOPBACK, 0))
        self.address = f"{LOOPBACK}:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def cut(self) -> None:
        """What is held comes to nobody any more; the next one passes."""
        self._cuts += 1
        self.open()

    def close(self) -> None:
        self.cut()
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listening.accept()[0]
                try:
                    there = socket.create_connection((LOOPBACK, self._daemon.developer_port))
                except OSError:
                    # As where nobody listens.
                    client.close()
                    continue
                for one, other, most in ((client, there, BIG // 3), (there, client, None)):
                    threading.Thread(target=self._pass_on, args=(one, other, most), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket, most: int | None) -> None:
        """`most` bytes, of which Base64 makes a third more than there are, and the others while the gate is open."""
        cuts = self._cuts
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if most is not None and (most := most - len(data)) < 0:
                    self._open.wait()
                    if self._cuts > cuts:
                        break
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def gate(daemon: Daemon) -> Iterator[Gate]:
    """Open, as long as nobody holds it."""
    with contextlib.closing(Gate(daemon)) as gate:
        yield gate


@pytest.fixture
def ann(daemon: Daemon, gate: Gate, tmp_path: Path) -> Developer:
    """A developer who is logged in, and comes through the gate."""
    developer = Developer(daemon, tmp_path / "ann", gate.address)
    developer.done("register", "ann")
    return developer


@pytest.fixture
def big(ann: Developer) -> Path:
    """A large file, and the game that it is to be of."""
    ann.done("create", "--name", "Big")
    path = ann.folder / "big.bin"
    path.write_bytes(os.urandom(BIG))
    return path


def sizes(daemon: Daemon) -> list[int]:
    """Bytes of each unfinished upload that the daemon has."""
    return [path.stat().st_size for path in (daemon.folder / "var" / "uploads").glob("*.part")]


def arrived(daemon: Daemon) -> int:
    """And of all."""
    return sum(sizes(daemon))


def begun(developer: Developer, gate: Gate, *arguments: str) -> subprocess.Popen[str]:
    """A push of a large file of which an eighth is there; the gate holds it, so that it is not all."""

    def well_begun() -> int:
        return sum(size > BIG // 8 for size in sizes(developer.daemon))

    before = well_begun()
    gate.hold()
    push = developer.start(*arguments)
    wait_until(lambda: well_begun() > before, "an eighth is there")
    return push


def break_off(developer: Developer, gate: Gate, *arguments: str) -> tuple[int, str]:
    """A push that Ctrl-C ends when an eighth is there: its exit status and standard error."""
    push = begun(developer, gate, *arguments)
    push.send_signal(signal.SIGINT)
    _, err = push.communicate(timeout=ENDS_WITHIN)
    gate.cut()
    return push.returncode, err


def on_disk(daemon: Daemon, game_id: str, version: str) -> str:
    """The SHA-256 of what was published."""
    [path] = (daemon.folder / "var" / "uploadedGame" / game_id / version).glob("bundle.*")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_push_survives_kill_9(ann: Developer, gate: Gate, big: Path) -> None:
    """The daemon is killed in the middle and comes back: the one command goes on by itself, and sends again less than a window."""
    push = begun(ann, gate, "push", str(big), "--game", "Big", "--version", "1.0.0", "--json")
    ann.daemon.kill9()
    gate.cut()
    time.sleep(1.0)
    ann.daemon.start_again()
    out, err = push.communicate(timeout=ENDS_WITHIN)
    assert push.returncode == 0, err
    said = json.loads(out)
    assert "trying again in" in err
    assert said["checksum"] == on_disk(ann.daemon, said["game_id"], "1.0.0")
    assert [version["is_latest"] for version in ann.said("versions", "Big")] == [True]
    assert arrived(ann.daemon) == 0


def test_a_push_that_was_broken_off_is_taken_up(ann: Developer, gate: Gate, big: Path) -> None:
    """After Ctrl-C the same command sends only the rest."""
    arguments = ("push", str(big), "--game", "Big", "--version", "1.0.0")
    assert break_off(ann, gate, *arguments) == (130, "gameroom: broken off; the same command goes on with it\n")
    there = arrived(ann.daemon)
    assert BIG // 8 < there < BIG
    said = ann.said(*arguments)
    # What had passed the gate may have come since.
    assert BIG - BIG // 3 <= said["sent_bytes"] <= BIG - there
    assert said["checksum"] == on_disk(ann.daemon, said["game_id"], "1.0.0")


def test_other_files_under_the_same_version(ann: Developer, gate: Gate, big: Path) -> None:
    """Broken off here, changed, pushed again elsewhere: the unfinished upload gives way, which is said, and `cancel` drops another version's."""
    arguments = ("push", str(big), "--game", "Big", "--version")
    for version in ("1.0.0", "2.0.0"):
        break_off(ann, gate, *arguments, version)
    big.write_bytes(b"small now")
    elsewhere = Developer(ann.daemon, ann.folder.parent / "elsewhere")
    elsewhere.done("login", "ann")
    status, out, err = elsewhere.call(*arguments, "1.0.0", "--json")
    assert (status, "version 1.0.0 has an unfinished upload of other files" in err) == (0, True), err
    said = json.loads(out)
    assert said["checksum"] == on_disk(ann.daemon, said["game_id"], "1.0.0")
    assert arrived(ann.daemon) > BIG // 8
    assert [elsewhere.said("cancel"), elsewhere.said("cancel")] == [{"cancelled": 1}, {"cancelled": 0}]
    assert arrived(ann.daemon) == 0


def test_if_changed_looks_at_what_is_there(ann: Developer) -> None:
    """A second push of the same folder sends nothing; a copy of it elsewhere is the same, and a changed file is not."""
    ann.done("init", "dots", "--name", "Dots")
    first = ann.said("push", "dots", "--if-changed")
    assert (first["changed"], first["created"], first["status"]) == (True, True, "ONLINE")
    again = ann.said("push", "dots", "--if-changed", "--bump", "patch")
    assert (again["changed"], again["version"]) == (False, "0.1.0")
    subprocess.run(["cp", "-r", "dots", "copy"], cwd=ann.folder, check=True)
    assert ann.said("push", "copy", "--if-changed")["changed"] is False
    with (ann.folder / "copy" / "engine.js").open("a") as file:
        file.write("// changed\n")
    assert ann.said("push", "copy", "--if-changed", "--bump", "minor")["version"] == "0.2.0"


def test_errors_are_one_line(ann: Developer, make_daemon: DaemonMaker) -> None:
    """Whatever is wrong, here or there: one line on standard error, nothing else, no traceback."""
    ann.done("init", "dots", "--name", "Dots")
    ann.done("push", "dots")
    bad = ann.folder / "bad"
    bad.mkdir()
    (bad / "game.toml").write_text('[hosting]\nkind = "lockstep"\n[lockstep]\nengine = "gone.js"\n')
    with socket.create_server((LOOPBACK, 0)) as silent:
        nobody = f"{LOOPBACK}:{silent.getsockname()[1]}"
    for status, words, arguments in (
        (1, "gone.js", ("check", "bad")),
        (1, "gone.js", ("push", "bad")),
        (2, "not logged in", ("games", "--server", nobody)),
        (2, "cannot connect", ("login", "ann", "--server", nobody)),
        (2, "you have no game Other", ("versions", "Other")),
        (1, "taken", ("register", "ann")),
        (1, "version", ("yank", "9.9.9", "Dots")),
        (2, "is there already", ("init", "dots")),
        (1, "password", ("login", "nobody-of-that-name")),
    ):
        found, out, err = ann.call(*arguments)
        assert (found, out, err.count("\n")) == (status, "", 1), (arguments, found, out, err)
        assert err.startswith("gameroom: ")
        assert words in err, err
    # Somebody logs in elsewhere: the kept session is superseded, and that is said, too.
    other = Developer(ann.daemon, ann.folder.parent / "elsewhere")
    other.done("login", "ann")
    found, out, err = ann.call("games")
    assert (found, out, err.count("\n")) == (1, "", 1)


def test_on_a_terminal(daemon: Daemon, tmp_path: Path) -> None:
    """The password is asked for twice without being shown, and a push draws a bar to its end."""
    developer = Developer(daemon, tmp_path / "zoe")
    shown = typed(developer, ["register"], ["zoe\n", f"{PASSWORD}\n", f"{PASSWORD}\n"])
    assert "Welcome, zoe." in shown
    assert PASSWORD not in shown
    developer.done("create", "--name", "Big")
    (developer.folder / "big.bin").write_bytes(os.urandom(4 << 20))
    shown = typed(developer, ["push", "big.bin", "--game", "Big", "--bump", "minor"], [])
    assert re.search(r"100%.*4\.2/4\.2 MB.*MB/s", shown)
    assert "Big 0.1.0 is published and is the latest version; 4.2 MB sent" in shown


def typed(developer: Developer, arguments: list[str], answers: list[str]) -> str:
    """What a command shows on a terminal of its own, where each prompt is answered by the next of these."""
    screen, terminal = pty.openpty()
    environment = {key: value for key, value in developer.environment().items() if key != "GAMEROOM_PASSWORD"} | {"TERM": "xterm", "COLUMNS": "100"}
    command = [str(Path(sys.executable).with_name("gameroom")), "dev", *arguments]
    process = subprocess.Popen(
        command, cwd=developer.folder, env=environment, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    )
    os.close(terminal)
    shown, waiting, until = "", list(answers), time.monotonic() + ENDS_WITHIN
    while time.monotonic() < until:
        try:
            shown += os.read(screen, 65536).decode(errors="replace") if select.select([screen], [], [], 1.0)[0] else ""
        except OSError:  # the other end is closed
            break
        if waiting and shown.endswith(": "):
            os.write(screen, waiting.pop(0).encode())
    os.close(screen)
    assert process.wait(ENDS_WITHIN) == 0, shown
    return shown


@pytest.fixture
def trial(ann: Developer) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `gameroom dev run`, and ends those that are left."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        started.append(ann.start("run", *arguments))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def left(developer: Developer) -> list[Path]:
    """What is in the folder for temporary files."""
    return list((developer.folder / "tmp").iterdir())


def room_of(trial: subprocess.Popen[str]) -> tuple[Web, str, str]:
    """The web door, the id and the game of the next room that it says."""
    assert trial.stdout is not None
    said = json.loads(trial.stdout.readline())
    found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/join/(.+)", said["url"])
    assert found, said
    return Web(int(found[1])), found[2], said["version"]


def test_run_plays_here_and_leaves_nothing(ann: Developer, trial: Callable[..., subprocess.Popen[str]]) -> None:
    """The room is there and free, nothing of it is in the server that one is logged in at, and after Ctrl-C nothing is left."""
    ann.done("init", "dots", "--name", "Dots", "--kind", "relay")
    running = trial("dots", "--json")
    web, room_id, version = room_of(running)
    shown = web.ask("GET", f"/join/{room_id}")
    assert (shown["players"], shown["hosting"], version) == ([], "relay", "0.1.0")
    assert ann.said("games") == []
    running.send_signal(signal.SIGINT)
    assert running.communicate(timeout=ENDS_WITHIN)[1] == ""
    assert running.returncode == 0
    assert left(ann) == []
    with pytest.raises(ConnectionRefusedError):
        web.ask("GET", f"/join/{room_id}")


def test_run_keeps_what_a_service_was_asked(ann: Developer, trial: Callable[..., subprocess.Popen[str]]) -> None:
    """A game whose rules are a service is played, what the service prints is shown, and `--record` keeps updates and answers."""
    ann.done("init", "closest", "--name", "Closest", "--kind", "service")
    rules = ann.folder / "closest" / "service.py"
    rules.write_text(
        rules.read_text().replace("def update(state, event):\n", "def update(state, event):\n    print(event.kind, 'in', event.sequence)\n")
    )
    running = trial("closest", "--json", "--record", "kept")
    assert running.stdout is not None
    assert running.stderr is not None
    said = json.loads(running.stdout.readline())
    way_in = said["environment"]
    with Native(int(way_in["GAMEROOM_PORT"])) as host, Native(int(way_in["GAMEROOM_PORT"])) as guest:
        for native, name in ((host, "Ann"), (guest, "Bob")):
            native.say(JOIN, {"party_code": way_in["GAMEROOM_PARTY_CODE"], "name": name})
            native.until(CONNECTED)
        host.say(START, {})
        guest.until(ROOM)
        assert running.stderr.readline() == "| started in 1\n"
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=ENDS_WITHIN)
    (kept,) = (ann.folder / "kept").iterdir()
    assert kept.name == f"{said['game_id']}-{said['version']}.updates"
    update, state = next(pairs_from_bytes(kept.read_bytes()))
    assert (update_from_bytes(update).sequence, state_from_bytes(state).timer_ms) == (1, 30000)
    # Other games have no updates.
    ann.done("init", "dots", "--kind", "relay")
    status, _, wrong = ann.call("run", "dots", "--record", "kept")
    assert (status, wrong) == (2, "gameroom: --record is for games with a micro game service, and this one's hosting kind is relay\n")


def test_run_follows_what_is_changed(ann: Developer, trial: Callable[..., subprocess.Popen[str]]) -> None:
    """With --watch a saved file is a new version and a new room, a fault is a line, and a room that everybody left is followed by another."""
    ann.done("init", "dots", "--name", "Dots")
    running = trial("dots", "--watch", "--json")
    web, first, _ = room_of(running)
    engine = ann.folder / "dots" / "engine.js"
    good = engine.read_text()
    engine.rename(engine.with_name("away.js"))
    assert running.stderr is not None
    assert "engine.js" in running.stderr.readline()
    engine.write_text(f"{good}// changed\n")
    _, second, version = room_of(running)
    assert (second != first, version) == (True, "0.1.1")
    seat = web.join(second)
    status, _, _ = web.request("DELETE", f"/join/{second}", token=seat.token)
    assert status == 204
    assert room_of(running)[1] not in (first, second)


def test_run_ends_with_its_terminal(ann: Developer, trial: Callable[..., subprocess.Popen[str]]) -> None:
    """Killed without a chance to tidy up, it leaves no server running, and no folder."""
    ann.done("init", "dots", "--name", "Dots")
    running = trial("dots", "--json")
    web, room_id, _ = room_of(running)
    running.kill()

    def gone() -> bool:
        try:
            web.request("GET", f"/join/{room_id}")
        except OSError:
            return True
        return False

    wait_until(gone, "the private server is gone")
    wait_until(lambda: left(ann) == [], "its folder is gone")


def test_the_publishing_tutorial_is_true(daemon: Daemon, tmp_path: Path) -> None:
    """docs/tutorials/publish.md, typed line by line into a shell, shows what it says.

    `python -m tests.system.shell_page --write` brings the page up to date.
    """
    page, shown, _ = run_page(daemon, tmp_path / "work")
    assert shown == page
