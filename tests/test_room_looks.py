"""How rooms are looked at: each often enough, and never many at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from math import inf
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.room import AGAIN, LivingRoom
from gameroom.room_looks import LEAST, LONGEST, REST, STEPS, TICK, RoomLooks
from gameroom.rules.room import PLAYING, SETUP, STARTING
from gameroom.store import UniqueViolation
from gameroom.wire.room_messages import Hello
from tests.memory import MemoryDatabase
from tests.rooms import House, NotingConnection, NotingReferee, account

ALMOST = 1e-6


class Looked:
    """A room that notes when it is looked at."""

    def __init__(self, room_id: str, does: Callable[[], None] = lambda: None) -> None:
        self.room_id = room_id
        self.does = does
        self.rests_until = 0.0
        self.at: list[float] = []

    def tick(self, now: float) -> None:
        self.at.append(now)
        self.does()


class RoomLooksTests(SynchronousTestCase):
    def looks(self, count: int) -> None:
        self.clock = Clock()
        self.rooms = {str(number): Looked(str(number)) for number in range(count)}
        self.all = RoomLooks(self.rooms.values, self.clock)  # type: ignore[arg-type]
        self.all.start()

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.001] * round(seconds * 1000))

    def test_spread(self) -> None:
        """No step looks at more than its share, and each room is looked at every tenth of a second all the same."""
        self.looks(20 * LEAST)
        self.pass_time(2.05)
        steps = Counter(at for room in self.rooms.values() for at in room.at)
        self.assertEqual(max(steps.values()), 20 * LEAST / STEPS)
        for room in self.rooms.values():
            self.assertGreaterEqual(len(room.at), 18)
            self.assertLess(max(after - before for before, after in pairwise(room.at)), TICK + 0.005)
            self.assertGreater(min(after - before for before, after in pairwise(room.at)), TICK - 0.005)

    def test_few(self) -> None:
        """Few rooms are one step, ten times a second, and none cost no more than that."""
        for count in (0, 1, LEAST):
            self.looks(count)
            for _ in range(5):
                [call] = self.clock.getDelayedCalls()
                self.assertAlmostEqual(call.getTime() - self.clock.seconds(), TICK)
                self.clock.advance(TICK + ALMOST)
            self.assertEqual([len(room.at) for room in self.rooms.values()], [5] * count)

    def test_slow(self) -> None:
        """Where looking takes long a step ends early, everything else has its turn in between, and no room is passed over."""
        self.looks(20)

        def takes_long() -> None:
            self.clock.rightNow += LONGEST * 0.6

        for room in self.rooms.values():
            room.does = takes_long
        others: list[float] = []
        self.clock.callLater(TICK + ALMOST, others.append, 1.0)
        self.pass_time(TICK + 0.001)
        steps = Counter(at for room in self.rooms.values() for at in room.at)
        self.assertEqual(steps.most_common(1)[0][1], 2)
        self.assertEqual(others, [1.0])
        self.pass_time(TICK)
        self.assertEqual({len(room.at) for room in self.rooms.values()}, {1, 2})

    def test_late(self) -> None:
        """Behind a standstill of the reactor a round is one round, and not as many as were missed."""
        self.looks(3 * LEAST)
        self.clock.advance(5)
        self.pass_time(TICK - 0.01)
        self.assertEqual({len(room.at) for room in self.rooms.values()}, {1})

    def test_clock_set_back(self) -> None:
        """A clock that is set back between two steps makes the next one no later than a round."""
        self.looks(2)

        def set_back() -> None:
            self.clock.rightNow -= 3600

        self.rooms["0"].does = set_back
        self.clock.advance(TICK)
        [call] = self.clock.getDelayedCalls()
        self.assertLessEqual(call.getTime() - self.clock.seconds(), TICK + ALMOST)

    def test_rests(self) -> None:
        """A room is not looked at until it wants to be, but soon after that, and then as often as all are."""
        self.looks(3 * LEAST)
        resting = list(self.rooms.values())[::3]
        for room in resting:
            room.rests_until = 0.755
        self.pass_time(2)
        for room in resting:
            self.assertLessEqual(0.755, room.at[0])
            self.assertLess(room.at[0], 0.755 + TICK + 0.005)
            self.assertGreaterEqual(len(room.at), 11)
        self.assertGreaterEqual(min(len(room.at) for room in self.rooms.values() if room not in resting), 18)

    def test_woken(self) -> None:
        """A room that is woken is looked at when the round comes by, though it is the next one."""
        self.looks(3 * LEAST)
        for room in self.rooms.values():
            room.rests_until = REST
        self.pass_time(0.25)
        for room in self.rooms.values():
            room.rests_until = 0.0
        self.pass_time(TICK + 0.005)
        self.assertEqual({len(room.at) for room in self.rooms.values()}, {1})

    def test_rests_and_a_clock_set_back(self) -> None:
        """What was to rest for a moment does not rest for an hour where the clock was set back."""
        self.looks(2)
        self.clock.advance(5000)
        for room in self.rooms.values():
            room.rests_until = self.clock.seconds() + REST
        self.clock.rightNow -= 3600
        # The reactor's own calls are due by that clock too.
        [call] = self.clock.getDelayedCalls()
        call.reset(0)
        self.clock.advance(0)
        self.assertEqual([len(room.at) for room in self.rooms.values()], [2, 2])

    def test_come_and_go(self) -> None:
        """Rooms that go during a round are no trouble to the others; a new one is looked at within two rounds."""
        self.looks(3 * LEAST)
        gone = [str(number) for number in range(0, 3 * LEAST, 2)]

        def change() -> None:
            for room_id in gone:
                self.rooms.pop(room_id, None)
            self.rooms.setdefault("new", Looked("new"))

        self.rooms["1"].does = change
        went = [self.rooms[room_id] for room_id in gone]
        self.pass_time(3 * TICK - 0.01)
        self.assertLessEqual(max(len(room.at) for room in went), 1)
        self.assertLessEqual(self.rooms["new"].at[0], 3 * TICK)
        for room in self.rooms.values():
            self.assertLessEqual(max((after - before for before, after in pairwise([TICK, *room.at])), default=0), 2 * TICK)

    def test_stopped(self) -> None:
        """Nothing is left behind the end, also where a look itself brings it about."""
        for within in (False, True):
            self.looks(2 * LEAST)
            self.rooms["5"].does = self.all.stop if within else lambda: None
            self.clock.advance(TICK)
            self.all.stop()
            self.all.stop()
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.assertEqual(sum(len(room.at) for room in self.rooms.values()), 6 if within else LEAST)

    def test_broken(self) -> None:
        """A room that cannot be looked at keeps none of the others from it."""
        self.looks(3)
        self.rooms["1"].does = lambda: 1 // 0  # type: ignore[assignment]
        self.clock.pump([TICK + ALMOST] * 2)
        self.assertEqual([len(room.at) for room in self.rooms.values()], [2, 2, 2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class TickingReferee(NotingReferee):
    """Counts how often it is asked to look, and wants none by itself."""

    def __init__(self, room: Any) -> None:
        super().__init__(room)
        self.ticks = 0
        self.rests = inf

    def tick(self, now: float) -> None:
        self.ticks += 1

    def rests_until(self, now: float) -> float:
        return self.rests


class RestingRoomTests(SynchronousTestCase):
    """Rooms in which all is well."""

    def setUp(self) -> None:
        self.house = House(reconnect_window=5.55, room_ttl=9.35)
        self.house.registry._referees = {"lockstep": TickingReferee}
        self.successResultOf(self.house.registry.start())

    def room(self, host: Any = None) -> LivingRoom:
        return self.successResultOf(self.house.registry.create(self.house.request(), host))

    def pass_time(self, seconds: float) -> None:
        self.house.clock.pump([0.01] * round(seconds * 100))

    def ticks(self, room: LivingRoom, seconds: float) -> int:
        referee: Any = room.referee
        referee.ticks = 0
        self.pass_time(seconds)
        return int(referee.ticks)

    def two(self) -> tuple[LivingRoom, dict[str, NotingConnection]]:
        """Anna and Bert, connected."""
        room = self.room(account("Anna"))
        self.successResultOf(self.house.registry.join(room.room_id, account("Bert")))
        connections = {user_id: NotingConnection() for user_id in ("Anna", "Bert")}
        for user_id, connection in connections.items():
            room.audience.attach(user_id, connection, reply_to=None, hello=Hello())
        return room, connections

    def test_setup(self) -> None:
        """One in setup is looked at once a second, whoever is connected."""
        room = self.room(account("Anna"))
        self.assertLessEqual(self.ticks(room, 5), 6)
        connection = NotingConnection()
        room.audience.attach("Anna", connection, reply_to=None, hello=Hello())
        self.assertLessEqual(self.ticks(room, 5), 6)
        room.audience.detach("Anna", connection)
        self.assertLessEqual(self.ticks(room, 5), 6)

    def test_plays(self) -> None:
        """One that plays as well, while everybody is there; one who is away and kept is looked for as often as can be."""
        room, connections = self.two()
        for user_id in connections:
            room.set_ready(user_id, True)
        self.assertEqual(room.value.phase, PLAYING)
        self.assertLessEqual(self.ticks(room, 10), 11)
        self.assertGreaterEqual(self.ticks(room, 10), 9)
        room.audience.detach("Anna", connections["Anna"])
        self.pass_time(5.6)
        self.assertGreaterEqual(self.ticks(room, 2), 18)
        room.audience.attach("Anna", connections["Anna"], reply_to=None, hello=Hello())
        self.pass_time(2 * TICK)
        self.assertLessEqual(self.ticks(room, 5), 6)

    def test_its_referee_says(self) -> None:
        """It rests for no longer than its referee wants, and not at all where that wants each look."""
        room, _ = self.two()
        referee: Any = room.referee
        self.pass_time(1.5)
        referee.rests = 0.0
        room.wake()
        self.assertGreaterEqual(self.ticks(room, 1), 9)
        referee.rests = self.house.clock.seconds() + 0.55
        self.pass_time(TICK)
        self.assertEqual(self.ticks(room, 0.44), 0)
        self.assertGreaterEqual(self.ticks(room, 1), 9)

    def test_woken(self) -> None:
        """A change of it, one who comes or goes, and its referee wake it."""
        room, connections = self.two()
        wakings: list[Callable[[], object]] = [
            lambda: room.refereed.configure({"map": "big"}, "Anna"),
            lambda: room.audience.detach("Bert", connections["Bert"]),
            lambda: room.audience.attach("Bert", connections["Bert"], reply_to=None, hello=Hello()),
            room.refereed.wake,
        ]
        for waking in wakings:
            self.pass_time(0.3)
            self.assertEqual(self.ticks(room, 0.3), 0)
            waking()
            self.assertEqual(self.ticks(room, TICK + 0.01), 1)

    def test_starting(self) -> None:
        """Who does not come in time to a room that starts loses the seat when it is time."""
        room, connections = self.two()
        self.pass_time(0.5)
        self.successResultOf(self.house.registry.start_room(room.room_id, "Anna"))
        self.assertEqual(room.value.phase, STARTING)
        self.pass_time(5.5)
        self.assertEqual(room.value.phase, STARTING)
        self.pass_time(2 * TICK)
        self.assertEqual(room.value.phase, SETUP)
        self.assertIn("start_failed", [message.get("reason") for message in connections["Anna"].take()])

    def test_an_end_that_is_not_saved(self) -> None:
        """It is tried again as soon as that can be, also where the database is there and refuses it."""
        for error, within in ((OSError("away"), AGAIN + 2 * TICK), (UniqueViolation("plays", ()), 2 * TICK)):
            self.setUp()
            room, connections = self.two()
            for user_id in connections:
                room.set_ready(user_id, True)
            self.pass_time(1.3)
            with patch.object(self.house.database, "interact", lambda *work, error=error: fail(error)):
                room.refereed.over("finished")
                self.pass_time(0.5)
                self.assertEqual(room.value.phase, PLAYING)
            self.pass_time(within)
            self.assertEqual(room.value.phase, SETUP)

    def test_what_a_look_begins(self) -> None:
        """It does not rest while what has begun in a look is being saved, which may go wrong."""
        room, _ = self.two()
        referee: Any = room.referee

        def tick(now: float) -> None:
            del referee.tick
            room.refereed.configure({"map": "big"}, "Anna").addErrback(lambda failure: None)

        saving: Deferred[None] = Deferred()
        for answer in (saving, fail(OSError("away"))):
            self.pass_time(1.3)
            with patch.object(self.house.database, "interact", lambda *work, answer=answer: answer):
                referee.tick = tick
                room.wake()
                while "tick" in vars(referee):
                    self.pass_time(0.01)
            if answer is saving:
                self.pass_time(0.01)
                saving.errback(OSError("away"))
            self.assertTrue(room.ledger.unsure)
            self.pass_time(2 * TICK)
            self.assertFalse(room.ledger.unsure)

    def test_window(self) -> None:
        """Who is away for too long loses the seat when it is time, though the room rests."""
        room = self.room(account("Anna"))
        self.successResultOf(self.house.registry.join(room.room_id, account("Bert")))
        self.pass_time(1.5)
        connection = NotingConnection()
        room.audience.attach("Bert", connection, reply_to=None, hello=Hello())
        room.audience.detach("Bert", connection)
        self.pass_time(4.05)
        self.assertTrue(room.has("Anna"))
        self.pass_time(2 * TICK)
        self.assertFalse(room.has("Anna"))
        self.pass_time(1.2)
        self.assertTrue(room.has("Bert"))
        self.pass_time(2 * TICK)
        self.assertFalse(room.has("Bert"))

    def test_mended_at_once(self) -> None:
        """Where it is not known whether a change was saved, that is put right at once, though the room rested when it was made."""
        room = self.room(account("Anna"))
        self.pass_time(1.25)
        self.patch(self.house.database, "interact", lambda *work: fail(OSError("away")))
        self.failureResultOf(room.refereed.configure({"map": "big"}, "Anna"), OSError)
        self.assertTrue(room.ledger.unsure)
        self.patch(self.house.database, "interact", MemoryDatabase.interact.__get__(self.house.database))
        self.pass_time(2 * TICK)
        self.assertFalse(room.ledger.unsure)

    def test_nobody_ever(self) -> None:
        """A room to which nobody comes is gone when its time is up, and not a second later."""
        room = self.room()
        self.pass_time(9.3)
        self.assertFalse(room.closing)
        self.pass_time(2 * TICK)
        self.assertTrue(room.closing)

    def test_goes_with_the_round(self) -> None:
        """A room that another's look brings to its end, in the same round, is looked at no more."""
        rooms = [self.room() for _ in range(3)]
        referee: Any = rooms[0].referee

        def closes(now: float) -> None:
            for room in rooms[1:]:
                room.close("a test says so")

        referee.tick = closes
        self.pass_time(3 * TICK)
        self.assertEqual([each.ticks for each in (room.referee for room in rooms[1:])], [0, 0])  # type: ignore[attr-defined]
        self.assertEqual(self.house.registry.everything(), rooms[:1])
