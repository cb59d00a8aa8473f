"""What members of a service room find when they come back, and what a restart of the daemon finds of its plays."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from gameroom.interfaces import ICursor
from gameroom.rules.room import PLAYING, SETUP
from gameroom.store import service_games, transactions
from gameroom.store.transactions import Answered
from tests.referees.service_world import ServiceTestCase, answer


class ShownAgainTests(ServiceTestCase):
    def test_bytes(self) -> None:
        """Who comes back gets what was shown last, bytes only where they can be carried: the lobby's lines cannot."""
        self.start()
        self.services.play = lambda update: answer(update, 1, broadcast=["all", b"\0all"], views=[(0, b"\1"), (0, "a"), (1, b"\2")])
        self.ada.say("game", body=None)
        for door, heard in (("web", ["all", b"\0all", b"\1", "a"]), ("lobby", ["all", "a"])):
            self.assertEqual(self.bodies(self.connect("Ada", self.ada.token, door)), heard)
        self.restart()
        self.services.play = lambda update: answer(update, 2, views=[(0, b"\3")])
        self.assertEqual(self.bodies(self.connect("Bert", self.bert.token, "lobby")), ["all"])
        self.assertEqual(self.bodies(self.connect("Ada", self.ada.token, "lobby")), ["all"])

    def test_nothing_but_bytes(self) -> None:
        """Where all that was shown is bytes the lobby gets none of it, and goes on hearing what comes."""
        self.start()
        self.services.play = lambda update: answer(update, 1, broadcast=[b"\0"], views=[(seat, b"\1") for seat in (0, 1)])
        self.ada.say("game", body=None)
        lobby = self.connect("Ada", self.ada.token, "lobby")
        self.assertEqual(self.bodies(lobby), [])
        self.services.play = lambda update: answer(update, 2, broadcast=["all", b"\2"])
        self.bert.say("game", body=None)
        self.assertEqual(self.bodies(lobby), ["all"])


class LateLeaseTests(ServiceTestCase):
    """A service that is being had in the moment in which the play is over."""

    def lease_slowly(self) -> list[Deferred[Any]]:
        """From now on the catalogue answers when the test says so; what it is to answer."""
        asked: list[Deferred[Any]] = []

        def bundle(game_id: str, version: str | None = None, *, offline_too: bool = False) -> Deferred[Any]:
            asked.append(Deferred())
            return asked[-1]

        self.patch(self.house.catalogue, "bundle", bundle)
        return asked

    def test_over_meanwhile(self) -> None:
        """It is given back at once: nobody would ever do that later."""
        self.start()
        asked = self.lease_slowly()
        self.room.referee._service.release()  # type: ignore[attr-defined]
        self.ada.say("game", id=1, body="a")
        self.assertEqual((len(asked), self.services.leased), (1, 0))
        for name in ("Ada", "Bert"):
            self.successResultOf(self.house.registry.leave(self.room.room_id, name))
        asked[0].callback(self.house.catalogue.the)
        self.assertEqual((len(self.services.leases), self.services.leased), (2, 0))
        self.assertEqual(len(self.services.updates), 1)

    def test_start_given_up(self) -> None:
        """So it is where a start is given up, and the next start leases its own."""
        asked = self.lease_slowly()
        self.services.play = None
        self.house.registry.start_room(self.room.room_id, "Ada").addErrback(lambda failure: None)
        while len(asked) < 2:
            asked[-1].callback(self.house.catalogue.the)
        self.room.starting._beginning.cancel()  # type: ignore[union-attr]
        asked[-1].callback(self.house.catalogue.the)
        self.assertEqual((self.services.leased, self.services.updates), (0, []))


class RestartTests(ServiceTestCase):
    def played_once(self) -> dict[str, Any]:
        """One play that its service has ended; gives what is told of it."""
        self.start()
        self.bert.say("game", id=1, body="end")
        [over] = self.bert.heard("over")
        return {name: over[name] for name in ("play_id", "reason", "results")}

    def last_play(self, one: Any) -> Any:
        return self.connect(one.user_id, one.token).heard("welcome")[0]["last_play"]

    def test_last_play(self) -> None:
        """The row of a play that is on says how the one before it ended: that neither ends this one, nor is forgotten."""
        last = self.played_once()
        self.start()
        play_id = self.room.value.play_id
        for _ in range(2):
            self.restart()
            self.assertEqual((self.room.value.phase, self.room.value.play_id), (PLAYING, play_id))
            self.assertEqual(self.last_play(self.ada), last)
        self.assertNotEqual(last["play_id"], play_id)

    def test_row_of_an_earlier_play(self) -> None:
        """A play of which nothing is stored, where the row is still that of the play before, is lost, and that is the last play from then on."""
        before = self.played_once()
        self.start()
        play_id = self.room.value.play_id

        async def as_before(cursor: ICursor) -> None:
            words = {"play_id": before["play_id"], "room_id": self.room.room_id}
            await cursor.execute("UPDATE service_games SET play_id = :play_id WHERE room_id = :room_id", words)

        self.successResultOf(self.house.database.interact(as_before))
        self.services.updates = []
        self.restart()
        self.assertEqual(self.room.value.phase, SETUP)
        self.assertEqual(self.last_play(self.ada), {"play_id": play_id, "reason": "lost", "results": None})
        self.assertEqual(self.services.updates, [])
        _, ended = self.successResultOf(self.house.database.interact(service_games.last, self.room.room_id))
        self.assertEqual(ended["play_id"], play_id)

    def test_strangers(self) -> None:
        """Killed between somebody's leaving and the forgetting of what they were answered: who comes under that name begins anew."""
        self.start()
        kept = Answered(user_id="Zoe", id=9, answer={"type": "ack"})
        self.successResultOf(self.house.database.interact(transactions.remember, self.room.room_id, kept))
        self.bert.say("game", id=3, body="b")
        self.restart()
        _, answers = self.successResultOf(self.house.database.interact(transactions.load, self.room.room_id))
        self.assertEqual([(each.user_id, each.id) for each in answers], [("Bert", 3)])
        zoe = self.member("Zoe")
        self.assertEqual(zoe.heard("welcome")[0]["last_id"], 0)
        bert = self.connect("Bert", self.bert.token)
        self.assertEqual(bert.heard("welcome")[0]["last_id"], 3)
