"""Programs at the game port and people in browsers, in the same rooms: a lock-step game and a turn game."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from tests.system.browser import OUTCOMES, Browser
from tests.system.harness import LOOPBACK, PATIENCE, Daemon
from tests.system.native import CONNECTED, JOIN, Controller, Native
from tests.system.test_browser_controller import awaited, board, drop_by_keys, ended, room_of, take_seat
from tests.system.web import Web

HERE = Path(__file__).parent
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="the game's engine is JavaScript, which node runs")


def party_code(url: str) -> str:
    """That of a room, by its URL."""
    base, _, room_id = url.rpartition("/join/")
    return str(Web(int(base.rpartition(":")[2])).ask("GET", f"/join/{room_id}")["party_code"])


class Painter:
    """The program that plays Wet Paint, and what it has said so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.hashes: dict[int, str] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def until(self, key: str) -> dict[str, Any]:
        """The next that it says with this key."""
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            said: dict[str, Any] = json.loads(line)
            assert not {"error", "diverged", "refused"} & said.keys(), said
            if "generation" in said:
                self.hashes[said["generation"]] = str(said["hash"])
            if key in said:
                return said
        raise AssertionError("the program has ended")

    def cut(self) -> None:
        """Its connection breaks off."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()


@contextmanager
def painter(daemon: Daemon, code: str) -> Iterator[Painter]:
    """The program, in the room of this party code."""
    command = ["node", str(HERE / "native_painter.mjs"), str(daemon.game_port), code]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Painter(process)
    finally:
        process.kill()
        process.communicate()


@needs_node
def test_a_program_and_a_page_play_in_lock_step(room_daemon: Daemon) -> None:
    """One comes through the game port, the other by the web door: both go through the same states to the same end, a lost connection in between."""
    with Browser(f"http://{LOOPBACK}:{room_daemon.web_port}") as ada:
        url = ada.open_room("Ada-Lovelace")
        with painter(room_daemon, party_code(url)) as native:
            assert native.until("connected") == {"connected": "lockstep", "seat": 1}
            ada.configure(seconds=10, bots=0, arena="pillars")
            ada.until(lambda one: one.in_game("return client.configuration.seconds === 10"), "the set-up has arrived")
            ada.press("Ready")
            ada.until(lambda one: one.in_game("return client.running"), "the play has begun")
            ada.keep_pace()
            ada.reached(60)
            native.cut()
            assert native.until("connected")["seat"] == 1
            ada.hurry()
            results = native.until("over")
            ada.until(lambda one: one.status() in OUTCOMES, "the play has ended")
            assert results["over"] == "finished"
            won = results["results"]["winners"] == [0]
            assert ada.status() == ("Draw" if len(results["results"]["winners"]) > 1 else "You won" if won else "You lost")
            theirs = ada.hashes()
            both = native.hashes.keys() & theirs.keys()
            assert sorted(both) == list(range(len(both))), "no generation is missing"
            assert len(both) > 150
            assert {generation: native.hashes[generation] for generation in both} == {generation: theirs[generation] for generation in both}
            assert ada.severe() == []


def press(controller: Controller, *buttons: str) -> None:
    """Press them, one after the other, in our turn."""
    controller.until("request_move")
    for button in buttons:
        assert controller.say({"do": button})["body"]["event"] == "move_received"


def test_a_program_and_a_page_play_connect_four(room_daemon: Daemon) -> None:
    """Room messages in envelopes are those of a controller: numbered, answered, done once though they are said twice; to a win."""
    url = room_of(room_daemon, "Connect Four")
    with Native(room_daemon.game_port) as native, Browser(url.partition("/join")[0]) as ada:
        native.say(JOIN, {"party_code": party_code(url).lower(), "name": "Native"})
        connected = native.until(CONNECTED)
        assert (connected["hosting"], connected["status"], connected["seat"], connected["details"]["name"]) == (
            "controller",
            "WAITING",
            0,
            "Connect Four",
        )
        controller = Controller(native)
        assert controller.say({"do": "join"})["body"] == {"player": 1}
        take_seat(ada, url, "Ada")
        assert controller.until("game_start")["opponent"] == "Ada"
        assert controller.say({"do": "fly"})["code"] == 100
        for _ in range(3):
            press(controller, "drop")
            awaited(ada)
            drop_by_keys(ada, *([] if "yellow" in board(ada) else [Keys.ARROW_RIGHT]))
        assert board(ada) == "Board, columns from the bottom. 4: red, red, red. 5: yellow, yellow, yellow."
        press(controller, "drop")
        over = controller.until("game_over")
        assert (over["reason"], over["winner"], over["line"]) == ("won", 1, [[3, 0], [3, 1], [3, 2], [3, 3]])
        ended(ada, "You lost")
        assert ada.severe() == []
