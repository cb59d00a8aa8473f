"""A service of a bundle under a real daemon: killed beneath a play, and gone with a daemon that is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import gameroom
from gameroom.wire.game_service import state_from_bytes, update_from_bytes
from gameroom.wire.update_file import pairs_from_bytes
from tests.system.harness import PATIENCE, DaemonMaker
from tests.system.room_lines import SocketLine
from tests.system.scenario import run
from tests.system.store import upload
from tests.system.test_browser_relay import packed
from tests.system.web import Seat, Web

KIT = Path(gameroom.__file__).parent / "cli" / "templates" / "service" / "gameroom_service.py"

SUM = b"""
from gameroom_service import serve

def update(state, event):
    state = (state or 0) + (event.body if event.kind == "message" else 0)
    event.broadcast(state)
    return state

serve(update)
"""


def bundle(service: bytes) -> bytes:
    toml = '[hosting]\nkind = "service"\n[service]\ncommand = ["python3", "-u", "service.py"]\nmemory_mb = 128\n'
    return packed({"game.toml": toml.encode(), "service.py": service, "gameroom_service.py": KIT.read_bytes()})


def processes(game_id: str) -> list[int]:
    """All that live of a game's programs, whoever started them."""
    return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _is_of(pid, game_id)]


def _is_of(pid: int, game_id: str) -> bool:
    try:
        lives = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        return lives and game_id.encode() in Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def heard(line: SocketLine, kind: str) -> dict[str, Any]:
    """The next message of this type."""
    async with asyncio.timeout(PATIENCE):
        while True:
            message = await line.hear()
            if isinstance(message, dict) and message["type"] == kind:
                return message


async def come(seat: Seat) -> SocketLine:
    line = await SocketLine.open(seat)
    await heard(line, "welcome")
    return line


def gone(game_id: str) -> bool:
    """Whether soon no process of a game's is left."""
    until = time.monotonic() + PATIENCE
    while (left := processes(game_id)) and time.monotonic() < until:
        time.sleep(0.02)
    return not left


def test_killed(make_daemon: DaemonMaker, tmp_path: Path) -> None:
    """Its program killed with SIGKILL, and the daemon: what was answered counts once, no process is left, and all of it was recorded."""
    daemon = make_daemon(settings={"service": {"record": str(tmp_path / "updates")}})
    web = Web(daemon.web_port)
    game_id = upload(daemon, bundle(SUM))
    seat = web.join(web.create(web.register(), engine={"game_id": game_id}))

    async def scenario() -> None:
        line = await come(seat)
        line.say({"type": "start"})
        assert (await heard(line, "game"))["body"] == 0
        for number in (1, 2):
            line.say({"type": "game", "body": number, "id": number})
            if number == 1:
                for pid in processes(game_id):
                    with suppress(ProcessLookupError):
                        # With the first of them all others end.
                        os.kill(pid, signal.SIGKILL)
            assert (await heard(line, "game"))["body"] == sum(range(number + 1))
        assert "gameroom_service_seconds_count 3.0" in daemon.admin("/metrics")[1]
        assert processes(game_id)
        daemon.kill9()
        assert gone(game_id)
        await asyncio.to_thread(daemon.start_again)
        line = await come(seat)
        line.say({"type": "game", "body": 100, "id": 3})
        while (body := (await heard(line, "game"))["body"]) != 103:
            assert body == 3
        # A daemon that ends gives members who do not take their leave five seconds for it.
        line.abort()
        await asyncio.to_thread(daemon.stop)
        assert processes(game_id) == []

    run(scenario, within=60)
    (file,) = (tmp_path / "updates").iterdir()
    sequences = [update_from_bytes(update).sequence for update, _ in pairs_from_bytes(file.read_bytes())]
    assert sequences == list(range(1, len(sequences) + 1))
    assert [state_from_bytes(state).sequence for _, state in pairs_from_bytes(file.read_bytes())] == sequences
    assert file.name == f"{game_id}-1.0.0.updates"


def test_one_that_does_not_work(make_daemon: DaemonMaker) -> None:
    """The start fails, with a sentence and an incident; the next one is tried anew, and the room is there."""
    daemon = make_daemon()
    web = Web(daemon.web_port)
    game_id = upload(daemon, bundle(b"import nothing_of_the_kind"))
    seat = web.join(web.create(web.register(), engine={"game_id": game_id}))

    async def scenario() -> None:
        line = await come(seat)
        for _ in range(2):
            line.say({"type": "start"})
            error = await heard(line, "error")
            assert (error["code"], bool(error["incident"])) == (199, True)
            assert "the game's service ended with status 1 before it had answered anything" in error["message"]
            assert error["incident"] in daemon.log()
            assert await asyncio.to_thread(gone, game_id)

    run(scenario, within=60)
