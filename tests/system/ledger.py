"""Members of a room that plays the ledger (ledger_service.py): each by a door of its own, back by itself, and sure of what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.system.harness import Daemon
from tests.system.lobby import LobbyPeer
from tests.system.native import CONNECTED, JOIN, Native
from tests.system.room_lines import LOST, GamePortLine, Line, LobbyLine, SocketLine
from tests.system.web import Web

SETTLES_WITHIN = 120.0
AGAIN_AFTER = 0.03
"""Seconds between two tries to connect."""
NOT_NOW, FAILED = 105, 199

Message = dict[str, Any]


class Member:
    """Says what it is told to in this order, each thing again until it is answered, and holds what it hears to what anyone has heard."""

    def __init__(self, table: Table, seat: int | None, connect: Callable[[], Awaitable[Line]]) -> None:
        self.table = table
        self.seat = seat
        self.connections = 0
        self.unanswered: list[Message] = []
        self.sum = 0
        """What it has added, as far as that was answered."""
        self.said = 0
        """The number of what it said last to the ledger and had answered."""
        self.count = 0
        """Of the last broadcast that it was told."""
        self.viewed = 0
        """Of its last view."""
        self.results: Any = None
        self._connect = connect
        self._line: Line | None = None
        self._number = 0
        self._id = 0
        self._answered_id = 0
        """The highest id of anything for the game that was answered."""
        self._brought_up = False

    # What it says.

    def add(self, amount: int) -> None:
        self._enter({"add": amount})

    def finish(self) -> None:
        self._enter({"finish": True})

    def refused(self, code: int) -> None:
        """Say what the service refuses with this code."""
        self.say({"type": "game", "body": {"refuse": code}})

    def _enter(self, entry: Message) -> None:
        self._number += 1
        self.say({"type": "game", "body": {"number": self._number, **entry}})

    def say(self, message: Message) -> None:
        self._id += 1
        self.unanswered.append({**message, "id": self._id})
        if self._line is not None:
            self._line.say(self.unanswered[-1])

    def cut(self) -> None:
        """End the connection without a word."""
        if self._line is not None:
            self._line.abort()

    # What it hears.

    async def live(self) -> None:
        """For ever: on a connection, or on the way to the next."""
        while True:
            try:
                self._line = await self._connect()
                self.connections += 1
                self._brought_up = False
                for message in self.unanswered:
                    self._line.say(message)
                while True:
                    heard = await self._line.hear()
                    assert isinstance(heard, dict)
                    self._take(heard)
            except LOST:
                self._line = None
                await asyncio.sleep(AGAIN_AFTER)

    def _take(self, message: Message) -> None:
        if "reply_to" in message and message["type"] != "welcome":
            self._answered(message)
        elif message["type"] == "welcome":
            assert message["last_id"] >= self._answered_id, "an id that was answered is never given out again"
            if (last := message.get("last_play")) is not None:
                self._over(last)
        elif message["type"] == "game":
            self._told(message["body"])
        elif message["type"] == "over":
            self._over(message)
        else:
            assert message["type"] in ("players", "state"), message

    def _answered(self, answer: Message) -> None:
        said = self.unanswered.pop(0)
        assert answer["reply_to"] == said["id"], (said, answer)
        if said["type"] == "start":
            assert answer["type"] == "ack" or answer["code"] in (NOT_NOW, FAILED), answer
            return
        self._answered_id = said["id"]
        if "refuse" in said["body"]:
            assert (answer["type"], answer.get("code")) == ("error", said["body"]["refuse"]), answer
        else:
            assert answer["type"] == "ack", (said, answer)
            self.said = said["body"]["number"]
            self.sum += said["body"].get("add", 0)

    def _told(self, body: Message) -> None:
        if "yours" in body:
            assert self.seat is not None, "a viewer has no view"
            assert self.table.views.setdefault((self.seat, body["count"]), body) == body
            assert body["count"] >= self.viewed, "a view is never older than what was shown before"
            self.viewed = body["count"]
            return
        count = body["count"]
        assert self.table.told.setdefault(count, body) == body, "what one was told all are told, also after a restart"
        if self._brought_up:
            assert count == self.count + 1, f"{count} behind {self.count}"
        else:
            assert count >= self.count, "what was shown is never taken back"
            assert self.seat is None or body["said"][str(self.seat)] >= self.said, "what was answered is never lost"
        self._brought_up = True
        self.count = count

    def _over(self, over: Message) -> None:
        assert over["reason"] == "finished", over
        assert self.results in (None, over["results"])
        self.results = over["results"]


class Table:
    """A room: Ada at the lobby, Bob on a web socket, Cleo at the game port, and Vic, who looks on."""

    def __init__(self, daemon: Daemon, game_id: str) -> None:
        self.told: dict[int, Message] = {}
        """Broadcasts by their count."""
        self.views: dict[tuple[int, int], Message] = {}
        """By seat and count."""
        web = Web(daemon.web_port)
        with LobbyPeer(daemon.lobby_port) as peer, Native(daemon.game_port) as native:
            token = peer.register()
            self.room_id = str(peer.good("CREATE_ROOM", {"game_id": game_id}, token)["room_id"])
            room = peer.good("GET_ROOM", {"room_id": self.room_id}, token)["room"]
            bob = web.join(self.room_id)
            native.say(JOIN, {"party_code": room["party_code"], "name": "Cleo"})
            cleo = native.until(CONNECTED)["seat_token"]
            vic = web.join(self.room_id, viewer=True)
        self.ada = Member(self, 0, lambda: LobbyLine.open(daemon.lobby_port, self.room_id, token))
        self.bob = Member(self, 1, lambda: SocketLine.open(bob))
        self.cleo = Member(self, 2, lambda: GamePortLine.open(daemon.game_port, cleo))
        self.vic = Member(self, None, lambda: SocketLine.open(vic))
        self.players = [self.ada, self.bob, self.cleo]
        self.members = [*self.players, self.vic]
        self._lives: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """All come. Called in a loop that runs."""
        self._lives = [asyncio.create_task(member.live()) for member in self.members]

    async def end(self) -> None:
        for life in self._lives:
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)
        for member in self.members:
            member.cut()

    async def started(self) -> None:
        """The host starts until it has: a start may fail where the service or the daemon is killed in the midst of it."""

        def tried() -> bool:
            if not self.ada.unanswered and not self.told:
                self.ada.say({"type": "start"})
            return bool(self.told)

        await self.until(tried, "the play has begun")

    async def settled(self) -> None:
        """All that was said is answered, all have been told it, and the timer has gone on from then."""
        await self.until(lambda: not any(member.unanswered for member in self.players), "all is answered")
        ticks, last = self.last["ticks"], self.last["count"]
        await self.until(lambda: self.last["ticks"] > ticks, "the timer ticks")
        await self.until(lambda: all(member.count >= last for member in self.members), "all are up to date")
        for member in self.players:
            told = self.last["sums"][str(member.seat)], self.last["said"][str(member.seat)]
            assert told == (member.sum, member.said), (told, member.sum, member.said)

    async def finished(self) -> None:
        """The host finishes, everybody learns the results, and they are what was to come."""
        self.ada.finish()
        await self.until(lambda: all(member.results is not None for member in self.members), "all know the results")
        [results] = {repr(member.results): member.results for member in self.members}.values()
        assert results["faults"] == []
        assert results["sums"] == {str(member.seat): member.sum for member in self.players}
        # Nobody has heard the last where it was not told before the daemon was killed.
        assert results["count"] - max(self.told) in (0, 1)
        await self.until(lambda: not self.ada.unanswered, "the finish is answered")

    @property
    def last(self) -> Message:
        """The newest broadcast that anyone has heard."""
        return self.told[max(self.told)]

    async def until(self, happened: Callable[[], bool], what: str) -> None:
        """Look again and again; fails where a member has heard what must not be, or it takes too long."""
        deadline = asyncio.get_running_loop().time() + SETTLES_WITHIN
        while not happened():
            for life in self._lives:
                if life.done():
                    life.result()
            lives = [(member.connections, member.count, member.unanswered[:2], member.results) for member in self.members]
            assert asyncio.get_running_loop().time() < deadline, f"{SETTLES_WITHIN} s have gone by until {what}: {lives}"
            await asyncio.sleep(0.01)
