"""The client that `gameroom dev init --kind server` begins with: how it comes in, comes back and draws."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from importlib import resources
from types import ModuleType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

ERROR, ROOM, CONNECTED, JSON = 9, 15, 5, 1


def template(name: str) -> ModuleType:
    source = resources.files("gameroom.cli").joinpath("templates", "server", f"{name}.py").read_text()
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    return module


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ScreenTests(SynchronousTestCase):
    def drawn(self, columns: int) -> list[str]:
        out = _Terminal()
        self.patch(shutil, "get_terminal_size", lambda: os.terminal_size((columns, 24)))
        self.patch(sys, "stdout", out)
        screen: Any = template("screen").Screen()
        screen.config = {"you": 0, "names": {"0": "Ada"}}
        screen.show({"state": "playing", "starts_in": 0, "rows": [" " * 36], "alive": [0], "winner": None})
        return [line for line in out.getvalue().replace("\x1b[K", "").split("\n") if line.startswith(("┌", "│"))]

    def test_a_place_is_two_columns_wide(self) -> None:
        self.assertEqual([len(line) for line in self.drawn(74)], [74, 74])

    def test_a_narrow_terminal_has_the_whole_field(self) -> None:
        self.assertEqual([len(line) for line in self.drawn(40)], [38, 38])


class ClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        template("screen")
        self.module: Any = template("client")
        self.said: list[str] = []
        self.patch(self.module.Screen, "say", lambda _, text: self.said.append(text))
        self.patch(self.module, "Link", _Link)

    def come_in(self) -> Any:
        client = self.module.Client(("127.0.0.1", 7002), (8, {"party_code": "7KQ2MX"}))
        client.hear(CONNECTED, JSON, json.dumps({"party_code": "7KQ2MX", "seat_token": "t", "status": "WAITING"}).encode())
        return client

    def test_a_server_that_cannot_be_reached_leads_back_to_the_room(self) -> None:
        """The error puts us out of the room: AUTH has to be said again, or Enter would do nothing any more."""
        client = self.come_in()
        client.hear(ROOM, JSON, b'{"type": "state", "state": "running"}')
        with self.assertRaises(EOFError):
            client.hear(ERROR, JSON, b'{"code": 105, "message": "hung up"}')
        self.assertEqual((self.said, client.first), (["hung up"], (3, {"id": "t"})))

    def test_an_error_while_the_room_waits_is_said(self) -> None:
        client = self.come_in()
        client.hear(ERROR, JSON, b'{"code": 105, "message": "needs 2 players"}')
        self.assertEqual(self.said, ["needs 2 players"])

    def test_whoever_said_no_name(self) -> None:
        client = self.come_in()
        client.me = "8e3733ef-85b1-4cc1-8d2c-94983d0c2b48"
        member = {"host": True, "user_id": client.me, "name": client.me}
        client.hear(ROOM, JSON, json.dumps({"type": "players", "players": [member]}).encode())
        self.assertEqual(self.said, ["Party code 7KQ2MX. Here: Guest 8e37. Enter starts the game, q leaves."])

    def test_where_the_server_is(self) -> None:
        for said, meant in [("play.example", ("play.example", 7002)), ("play.example:7102", ("play.example", 7102))]:
            self.patch(sys, "argv", ["client.py", "join", "7KQ2MX", "--server", said])
            self.assertEqual(self.module.way_in({})[0], meant)

    def test_no_port(self) -> None:
        self.patch(sys, "argv", ["client.py", "join", "7KQ2MX", "--server", "play.example:game"])
        out = io.StringIO()
        self.patch(sys, "stderr", out)
        with self.assertRaises(SystemExit):
            self.module.way_in({})
        self.assertIn("game is no port; --server is HOST:PORT", out.getvalue())


class _Link:
    made = 0.0

    def __init__(self, address: tuple[str, int]) -> None:
        self.sent: list[Any] = []

    def send(self, *what: Any) -> None:
        self.sent.append(what)
