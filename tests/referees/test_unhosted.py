"""Rooms of games that cannot be run here: they are made and met in, and every way to start says why not."""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from gameroom.errors import BadState
from gameroom.interfaces import IReferee, IRoom
from gameroom.referees.unhosted import UNHOSTED, UnhostedReferee
from gameroom.rules.room import SETUP, set_ready
from tests.referees.relay_world import KindTestCase


class UnhostedTests(KindTestCase):
    kind = "service"

    def make(self, room: IRoom) -> IReferee:
        return UnhostedReferee(room, log=lambda game_id, text: self.logged.append((game_id, text)))

    def setUp(self) -> None:
        self.logged: list[tuple[str, str]] = []
        super().setUp()
        self.ada, self.bert = self.member("Ada"), self.member("Bert")

    def test_interface(self) -> None:
        """It is a referee."""
        self.assertTrue(verifyObject(IReferee, self.room.referee))
        self.assertEqual(UNHOSTED, ("service",))

    def refused(self, answer: dict[str, Any]) -> None:
        self.assertEqual((answer.get("type"), answer.get("code")), ("error", 105), answer)
        self.assertIn("cannot run games of kind service yet", answer["message"])
        self.assertEqual((self.room.value.phase, self.room.value.status, self.room.latest.locked), (SETUP, "WAITING", []))

    def test_start(self) -> None:
        """The host's start, at each door, is 105, and nothing is locked; the developer is told once for each room."""
        for _ in range(3):
            self.refused(self.ada.ask("start"))
            error = self.failureResultOf(self.house.registry.start_room(self.room.room_id, "Ada"), BadState).value
            self.assertIn("cannot run games of kind service yet", error.message)
        [(game_id, line)] = self.logged
        self.assertEqual(game_id, "game")
        self.assertIn(f"room {self.room.room_id} (version 1.0.0) could not start: this server cannot run games of kind service yet", line)

    def test_ready(self) -> None:
        """Nobody can be ready, so a room never tries by itself; who was ready when it was hosted elsewhere does not make it try again and again."""
        for one in (self.ada, self.bert):
            self.refused(one.ask("ready", ready=True))
            self.assertEqual(one.ask("ready", ready=False)["type"], "ack")
        for name in ("Ada", "Bert"):
            self.successResultOf(self.room.apply(set_ready, name, True, None))
        self.assertEqual((self.room.value.phase, [member.ready for member in self.room.value.players]), (SETUP, [False, False]))
        self.wait(5)
        self.assertEqual(self.room.value.phase, SETUP)

    def test_only_the_host(self) -> None:
        """Others are told that they are not the host."""
        self.assertEqual(self.bert.ask("start")["code"], 102)
        self.assertEqual(self.logged, [])

    def test_meeting(self) -> None:
        """Chat goes, game messages do not; seats are had and given up, also after a restart."""
        self.assertEqual(self.ada.ask("chat", text="hm")["type"], "ack")
        self.assertEqual(self.bert.heard("chat"), [{"type": "chat", "from": "Ada", "text": "hm"}])
        self.refused(self.ada.ask("game", body=1))
        self.ada.conversation.binary(b"x")
        self.refused(self.ada.heard("error")[0])
        self.restart()
        ada = self.connect("Ada", self.ada.token)
        self.refused(ada.ask("start"))
        self.successResultOf(self.house.registry.leave(self.room.room_id, "Bert"))
        self.assertEqual(len(self.room.value.players), 1)
