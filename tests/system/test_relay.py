"""Relay rooms on a real daemon: a game of one's own programs, through a restart, between the doors."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from tests.system import websocket
from tests.system.harness import PATIENCE, DaemonMaker
from tests.system.lobby import PASSWORD, LobbyPeer
from tests.system.scenario import run
from tests.system.store import upload
from tests.system.web import Refused, Seat, Web
from tests.system.websocket import BINARY, TEXT, WebSocket


class Program:
    """A game's own program on a room socket."""

    def __init__(self, link: WebSocket) -> None:
        self.link = link

    @classmethod
    async def come(cls, seat: Seat) -> Program:
        program = cls(await websocket.connect(seat.port, seat.path))
        program.say(type="hello", token=seat.token)
        await program.hear("welcome")
        return program

    def say(self, **message: Any) -> None:
        self.link.send(TEXT, json.dumps(message).encode())

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next message of this type; what else comes is passed over, but no error."""
        while True:
            opcode, data = await self.link.receive()
            if opcode == TEXT:
                message: dict[str, Any] = json.loads(data)
                assert message["type"] in (kind, "players", "state", "start", "welcome"), message
                if message["type"] == kind:
                    return message

    async def hear_binary(self) -> bytes:
        while True:
            opcode, data = await self.link.receive()
            if opcode == BINARY:
                return data


def test_a_play_through_kill_9(make_daemon: DaemonMaker) -> None:
    """A file that is no bundle is played by programs: what one says reaches the others, also after a kill, until the host ends it."""
    daemon = make_daemon()
    web = Web(daemon.web_port)
    room_id = web.create(web.register(), engine={"game_id": upload(daemon, b"any file at all")})
    host, guest = web.join(room_id), web.join(room_id)
    assert (host.seat, guest.seat) == (0, 1)

    async def scenario() -> None:
        one, other = await Program.come(host), await Program.come(guest)
        one.say(type="start")
        begun = await other.hear("start")
        one.say(type="game", body={"move": 1})
        assert await other.hear("game") == {"type": "game", "body": {"move": 1}, "from": host.user_id}
        daemon.kill9()
        await asyncio.to_thread(daemon.start_again)
        one, other = await Program.come(host), await Program.come(guest)
        again = await other.hear("start")
        assert (again["play_id"], again["players"]) == (begun["play_id"], begun["players"])
        other.link.send(BINARY, b"\x2a" * 65536)
        assert await one.hear_binary() == b"\x00\x01" + b"\x2a" * 65536
        one.say(type="finish", results={"winners": [1]})
        over = await other.hear("over")
        assert (over["reason"], over["results"], over["play_id"]) == ("finished", {"winners": [1]}, begun["play_id"])
        with pytest.raises(Refused) as refused:
            # Nothing of a relay play is kept.
            web.recording(begun["play_id"], host.token)
        assert refused.value.status == 404

    run(scenario, within=60)


def test_between_a_socket_and_the_lobby(make_daemon: DaemonMaker) -> None:
    """A person on telnet takes part in what programs play; START_ROOM says where that is."""
    daemon = make_daemon()
    web, game_id = Web(daemon.web_port), upload(daemon, b"any file at all")
    with LobbyPeer(daemon.lobby_port) as person:
        token = person.good("REGISTER_PLAYER", {"username": "person", "password": PASSWORD})["session_token"]
        room_id = person.good("CREATE_ROOM", {"game_id": game_id}, token)["room_id"]
        person.good("SUBSCRIBE", {"rooms": True}, token)
        guest = web.join(room_id)

        async def scenario() -> None:
            program = await Program.come(guest)
            started = await asyncio.to_thread(person.good, "START_ROOM", {"room_id": room_id}, token)
            assert started["game_port"] == daemon.web_port
            await program.hear("start")
            say = {"room_id": room_id, "body": {"type": "game", "body": "mine", "to": [guest.user_id]}}
            await asyncio.to_thread(person.good, "ROOM_MESSAGE", say, token)
            assert await program.hear("game") == {"type": "game", "body": "mine", "from": "person"}
            program.link.send(BINARY, b"unseen")
            program.say(type="game", body="yours")
            deadline = time.monotonic() + PATIENCE
            while not (
                heard := [push["payload"]["body"] for push in person.pushes if push["type"] == "ROOM_MESSAGE" and "body" in push["payload"]["body"]]
            ):
                assert time.monotonic() < deadline
                await asyncio.to_thread(person.good, "PING")
            assert heard == [{"type": "game", "body": "yours", "from": guest.user_id}]

        run(scenario, within=60)
