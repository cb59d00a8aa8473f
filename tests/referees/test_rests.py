"""Rooms of all kinds but lock-step (`test_lockstep_rests`) rest while nothing is due, and what is due comes in time all the same."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.internet.defer import fail

from gameroom.errors import BadState
from gameroom.interfaces import IReferee, IRoom
from gameroom.referees.relay import RelayReferee
from gameroom.room_looks import TICK
from gameroom.rules.room import PLAYING, SETUP
from gameroom.rules.transactions import AGAIN_AFTER
from gameroom.settings import ServiceSettings
from gameroom.store.errors import DatabaseUnavailable
from gameroom.wire.game_service import Timer
from tests.referees.controller_world import ControllerCase
from tests.referees.relay_world import KindTestCase
from tests.referees.service_world import ServiceTestCase, answer

RESTS, WAKES = 6, 45
"""Looks in 5 seconds: at most at a room that rests, at least at one that does not."""


class RelayTests(KindTestCase):
    def make(self, room: IRoom) -> IReferee:
        return RelayReferee(room)

    def test_rests(self) -> None:
        """Also while members speak."""
        ada = self.member("Ada")
        self.assertEqual(ada.ask("start")["type"], "ack")
        for _ in range(3):
            ada.say("game", body=1)
            self.assertLessEqual(self.looks(1), 2)


class ControllerTests(ControllerCase):
    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def test_thinks(self) -> None:
        """While its players think nothing is due."""
        self.looks(1)
        self.assertLessEqual(self.looks(5), RESTS)
        self.drop(self.ada, 1)
        self.forget()
        self.looks(1)
        self.assertLessEqual(self.looks(5), RESTS)

    def test_unanswered(self) -> None:
        """What is not answered is said again in time, though the room rested when it was said."""
        self.looks(1.3)
        self.bob.answers = False
        self.ada.do("left")
        [first] = self.bob.heard()
        self.looks(AGAIN_AFTER - 0.02)
        self.assertEqual(self.bob.heard(), [])
        self.looks(TICK + 0.03)
        self.assertEqual(self.bob.heard(), [first])

    def test_setup(self) -> None:
        """In setup as well."""
        self.win(self.ada, self.bob)
        self.forget()
        self.assertEqual(self.room.value.phase, SETUP)
        self.looks(1)
        self.assertLessEqual(self.looks(5), RESTS)
        self.bob.answers = False
        self.ada.ask("chat", text="hi")
        [first] = self.bob.heard()
        self.looks(AGAIN_AFTER + TICK)
        self.assertEqual(self.bob.heard(), [first])


class ClockTests(ControllerCase):
    options: ClassVar[dict[str, Any]] = {"move_seconds": 20.35}

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def test_time(self) -> None:
        """Whose time runs out has lost in time, and before that it rests. After a move, and an absence, it is another time."""
        self.looks(1)
        self.assertLessEqual(self.looks(5), RESTS)
        self.drop(self.ada, 1)
        self.forget()
        self.looks(5)
        self.gone(self.bob)
        self.forget()
        self.looks(3)
        self.bob = self.back(self.bob)
        self.forget()
        self.looks(15.3)
        self.assertEqual(self.room.value.phase, PLAYING)
        self.looks(0.05 + TICK)
        self.assertEqual(self.room.value.phase, SETUP)
        self.assertIn({"event": "game_over", "reason": "time", "winner": 1}, self.ada.told())


class BotTests(ControllerCase):
    def setUp(self) -> None:
        super().setUp()
        self.bob.ask("leave")
        self.ada.ask("add_bot", level=1)
        self.ada.do("ready")
        self.forget()
        self.bob = self.vic

    def test_moves(self) -> None:
        """The computer is asked at once, and again soon where its move could not be kept; while a player thinks the room rests."""
        self.looks(1.3)
        self.assertLessEqual(self.looks(5), RESTS)
        self.drop(self.ada, 1)
        self.assertEqual(len(self.thinking.asked), 1)
        self.looks(1)
        held = self.hold()
        self.thinking.drop(6)
        held.pop(0).errback(DatabaseUnavailable("the disk is full"))
        self.flushLoggedErrors(DatabaseUnavailable)
        self.looks(2 * TICK)
        self.assertEqual(len(self.thinking.asked), 1)


class ServiceTests(ServiceTestCase):
    def asks(self, timer_ms: int | None) -> None:
        self.services.play = lambda update: answer(update, 1, timer_ms=timer_ms)

    def timers(self) -> int:
        return sum(isinstance(update.event, Timer) for update in self.services.updates)

    def test_rests(self) -> None:
        """While nothing is on its way nothing is due."""
        self.start()
        self.looks(0.3)
        self.assertLessEqual(self.looks(5), RESTS)
        self.ada.say("game", body=1)
        self.looks(0.3)
        self.assertLessEqual(self.looks(5), RESTS)

    def test_timer(self) -> None:
        """The timer is told in time, though the room rested when an answer wound it up."""
        self.start()
        self.looks(1.25)
        self.asks(350)
        self.ada.say("game", body=1)
        self.asks(None)
        self.looks(0.34)
        self.assertEqual(self.timers(), 0)
        self.looks(0.02 + TICK)
        self.assertEqual(self.timers(), 1)
        self.looks(0.3)
        self.assertLessEqual(self.looks(5), RESTS)

    def test_silent(self) -> None:
        """How long the service is silent is looked at as often as can be, and so is what is to be tried again."""
        self.services.settings = ServiceSettings(retry_for=1.55)
        self.start()
        self.looks(1.25)
        self.services.play = None
        self.ada.say("game", body=1)
        self.looks(1.53)
        self.assertEqual(self.ada.heard("state"), [])
        self.looks(0.04 + TICK)
        self.assertEqual([told["state"] for told in self.ada.heard("state")], ["running.paused"])
        self.services.fail(BadState("closed"))
        self.assertGreaterEqual(self.looks(5), WAKES)
        self.services.play_on()
        self.assertEqual([told["state"] for told in self.ada.heard("state")], ["running"])
        self.looks(0.3)
        self.assertLessEqual(self.looks(5), RESTS)

    def test_who_waits(self) -> None:
        """Who comes while what is shown cannot be read gets it soon after it can."""
        self.start()
        self.states.forget(self.room.room_id)
        interact = self.house.database.interact
        self.patch(self.house.database, "interact", lambda *work: fail(DatabaseUnavailable("it is away")))
        bert = self.connect("Bert", self.bert.token)
        self.looks(0.55)
        self.assertEqual(self.bodies(bert), [])
        self.patch(self.house.database, "interact", interact)
        self.looks(2 * TICK)
        self.assertEqual(self.bodies(bert), [{"n": 1, "what": "started"}, {"you": 1}])

    def test_over(self) -> None:
        """Behind its end it rests as any room in setup."""
        self.start()
        self.ada.say("game", body="end")
        self.assertEqual(self.room.value.phase, SETUP)
        self.looks(0.3)
        self.assertLessEqual(self.looks(5), RESTS)
