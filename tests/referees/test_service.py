"""Rooms of micro game services: what happens is asked, what comes of it is stored and then told, and nothing is lost or done twice."""

from __future__ import annotations

import orjson

from gameroom.rules.room import PLAYING, SETUP
from gameroom.wire.game_service import Joined, Left, Message, Started
from tests.referees.service_world import ServiceTestCase


class PlayTests(ServiceTestCase):
    """A play from its start to its end."""

    def test_start(self) -> None:
        """It begins with `started`, which has the configuration and a seed of its own; members are told the state, and then what the service said."""
        self.ada.say("start")
        [update] = self.services.updates
        assert isinstance(update.event, Started)
        self.assertEqual((update.sequence, update.state, update.game_id, update.version), (1, b"", "game", "1.0.0"))
        self.assertEqual([(one.seat, one.id, one.connected) for one in update.players], [(0, "Ada", True), (1, "Bert", True)])
        self.assertEqual(orjson.loads(update.event.config), {})
        self.assertTrue(0 <= update.event.seed < 2**53)
        self.assertEqual(self.room.value.phase, PLAYING)
        told = [each for each in self.bert.connection.take() if each["type"] in ("state", "game")]
        self.assertEqual([each["type"] for each in told], ["state", "game", "game"])
        self.assertEqual(told[0]["state"], "running")
        self.assertEqual([each["body"] for each in told[1:]], [{"n": 1, "what": "started"}, {"you": 1}])

    def test_message(self) -> None:
        """What a member says is asked with the state before, and answered behind what came of it."""
        self.start()
        self.bert.say("game", id=1, body={"a": [1, None]})
        update = self.services.updates[-1]
        self.assertEqual((update.sequence, update.event, orjson.loads(update.state)), (2, Message(1, b'{"a":[1,null]}', True), ["started"]))
        self.assertEqual(
            [each.get("body", each["type"]) for each in self.bert.connection.take()], [{"n": 2, "what": "1:{'a': [1, None]}"}, {"you": 1}, "ack"]
        )

    def test_end(self) -> None:
        """The service ends the play: what it shows, the answer, `over` with results, and the room is in setup; later everybody can read it."""
        self.start()
        self.services.play = None
        self.ada.say("game", id=1, body="end")
        self.services.play_on()
        told = self.ada.connection.take()
        self.assertEqual([each["type"] for each in told if each["type"] != "players"], ["game", "ack", "over", "state"])
        over = next(each for each in told if each["type"] == "over")
        self.assertEqual((over["reason"], over["results"]), ("finished", {"so": 1}))
        self.assertEqual((self.room.value.phase, self.services.leased), (SETUP, 0))
        last = {"play_id": over["play_id"], "reason": "finished", "results": {"so": 1}}
        for _ in range(2):
            [welcome] = self.connect("Bert", self.bert.token).heard("welcome")
            self.assertEqual(welcome["last_play"], last)
            self.restart()
        self.ada = self.connect("Ada", self.ada.token)
        self.bert = self.connect("Bert", self.bert.token)
        self.start()
        self.assertEqual(self.services.updates[-1].sequence, 3)

    def test_restart(self) -> None:
        """After a kill the play is where it was: everyone is away, comes back, and gets what was shown last."""
        self.start()
        self.bert.say("game", id=5, body=1)
        self.events()
        self.restart()
        self.assertEqual(self.events(), [Left(0, "away"), Left(1, "away")])
        bert = self.connect("Bert", self.bert.token)
        [welcome] = bert.heard("welcome")[:1]
        self.assertEqual((welcome["last_id"], welcome["last_play"]), (5, None))
        self.assertEqual(self.events(), [Joined(1)])
