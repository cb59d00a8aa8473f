"""Waiting until a room that a GameServer plays can be played."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli.play_launch import played
from gameroom.cli.play_rooms import played_at
from gameroom.cli.reacting import CannotDo
from gameroom.client.stream import ConnectionFailed

WAITING = {"room_id": "r", "hosting": "server", "status": "WAITING"}
PLAYING = {**WAITING, "status": "PLAYING", "game_host": "h", "game_port": 7002}


class Client:
    """A lobby with one room."""

    def __init__(self) -> None:
        self.there: Any = WAITING
        self.clock = Clock()
        self.pushes: list[Callable[[dict[str, Any]], None]] = []
        self.losses: list[Callable[[str], None]] = []

    def on_push(self, type: str, callback: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        self.pushes.append(callback)
        return lambda: self.pushes.remove(callback)

    def on_lost(self, callback: Callable[[str], None]) -> Callable[[], None]:
        self.losses.append(callback)
        return lambda: self.losses.remove(callback)

    def subscribe(self, *, rooms: bool) -> Deferred[None]:
        return succeed(None)

    def room(self, room_id: str) -> Deferred[Any]:
        return fail(self.there) if isinstance(self.there, Exception) else succeed(self.there)

    def push(self, **room: Any) -> None:
        for callback in list(self.pushes):
            callback({"room": {"room_id": "r", **room}})


class PlayedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = Client()
        self.waits: list[None] = []

    def played(self, room: dict[str, Any]) -> Deferred[Any]:
        client: Any = self.client
        return Deferred.fromCoroutine(played(client, room, lambda: self.waits.append(None)))

    def tearDown(self) -> None:
        self.assertEqual((self.client.pushes, self.client.losses), ([], []))

    def test_at_once(self) -> None:
        """Rooms of the other kinds are played wherever they stand, and one that plays already is not waited for."""
        for room in ({**WAITING, "hosting": "relay"}, PLAYING):
            self.assertEqual(self.successResultOf(self.played(room)), room)
        self.client.there = PLAYING
        self.assertEqual((self.successResultOf(self.played(WAITING)), self.waits), (PLAYING, []))

    def test_the_host_starts_it(self) -> None:
        """What happens in other rooms, or before the start, is nothing; one that was over again before it could be asked is waited for once more."""
        waiting = self.played(WAITING)
        self.client.push(status="WAITING")
        self.client.push(room_id="other", status="PLAYING")
        self.assertNoResult(waiting)
        self.client.push(status="PLAYING")
        self.client.there = PLAYING
        self.client.push(status="PLAYING")
        self.assertEqual((self.successResultOf(waiting), len(self.waits)), (PLAYING, 2))

    def test_its_server_takes_time(self) -> None:
        """The room plays for the lobby as soon as its host has started it, and no push tells that its server is ready."""
        waiting = self.played(WAITING)
        self.client.there = {**WAITING, "status": "PLAYING"}
        self.client.push(status="PLAYING")
        self.client.clock.advance(1)
        self.assertNoResult(waiting)
        self.client.there = PLAYING
        self.client.clock.advance(1)
        self.assertEqual((self.successResultOf(waiting), len(self.waits)), (PLAYING, 1))

    def test_its_server_does_not_start(self) -> None:
        """Then it is waited for like at first; a line that is lost meanwhile is told."""
        waiting = self.played(WAITING)
        self.client.there = {**WAITING, "status": "PLAYING"}
        self.client.push(status="PLAYING")
        self.client.there = WAITING
        self.client.clock.advance(1)
        self.assertEqual(len(self.waits), 2)
        self.client.there = {**WAITING, "status": "PLAYING"}
        self.client.push(status="PLAYING")
        [lost] = self.client.losses
        lost("gone")
        self.client.clock.advance(1)
        self.failureResultOf(waiting, ConnectionFailed)

    def test_it_never_starts(self) -> None:
        """A room that is gone, and a connection that is."""
        waiting = self.played(WAITING)
        self.client.push(status="CLOSED")
        self.failureResultOf(waiting, CannotDo)
        waiting = self.played(WAITING)
        self.client.losses[0]("gone fishing")
        self.failureResultOf(waiting, ConnectionFailed)
        self.client.there = ConnectionFailed("gone before")
        self.failureResultOf(self.played(WAITING), ConnectionFailed)


class PlayedAtTests(SynchronousTestCase):
    """What a host hears who has started a room."""

    def said(self, hosting: str, *, runs: bool = False) -> str:
        return played_at({"game_host": "play.example", "game_port": 7002}, {"hosting": hosting}, "http://play.example/join/r", runs=runs)

    def test_a_program_that_is_yet_to_be_run(self) -> None:
        place = "It is played at play.example:7002, in a browser at http://play.example/join/r"
        self.assertEqual(self.said("server"), f"{place}; gameroom play run starts its program here")
        self.assertEqual([self.said("server", runs=True), self.said("lockstep")], [place, place])
