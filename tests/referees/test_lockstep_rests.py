"""A lock-step room in which all is well is looked at once a second, and whatever is due before that comes in time all the same."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import attrs
from twisted.internet.defer import maybeDeferred

from gameroom.interfaces import IReferee, IRoom
from gameroom.referees import lockstep_arrival
from gameroom.referees.lockstep import LockstepReferee
from gameroom.room_looks import TICK
from gameroom.rules.room import PLAYING, SETUP
from gameroom.settings import LockstepSettings
from gameroom.store.recordings import Recordings
from gameroom.wire.room_messages import Hello
from tests.referees.lockstep_world import RefereeCase
from tests.referees.relay_world import KindTestCase, Somebody

STEP = 0.01
"""Seconds of a test's step."""
TURN = 0.1
"""Seconds of a turn."""


class RestCase(KindTestCase):
    """Ada, Bert and Cleo play, and Vera watches."""

    kind = "lockstep"
    settings = LockstepSettings()

    def setUp(self) -> None:
        super().setUp()
        self.house.limits = attrs.evolve(self.house.limits, messages_per_second=1000)
        self.ada, self.bert, self.cleo = self.players = [self.member(name) for name in ("Ada", "Bert", "Cleo")]
        self.vera = self.member("(Vera)", "viewer")
        self.generation = 0
        self.begin()

    def begin(self) -> None:
        for one in self.players:
            one.say("ready", ready=True)
        self.assertEqual(self.room.value.phase, PLAYING)

    def make(self, room: IRoom) -> IReferee:
        recordings = Recordings(Path(self.mktemp()), clock=self.house.clock, defer_to_thread=maybeDeferred)
        return LockstepReferee(room, recordings=recordings, settings=self.settings, room_ttl=self.room_ttl, clock=self.house.clock)

    def sell(self) -> None:
        self.house.catalogue.the = attrs.evolve(self.house.catalogue.the, hosting="lockstep", lockstep={"input_delay": 3})

    def send(self, one: Somebody, **fields: Any) -> None:
        message: dict[str, Any] = {"generation": self.generation, "latency": 50, "framerate": 60, "commands": []}
        one.say("commands", **message | fields)

    def turn(self, *without: Somebody, **fields: Any) -> None:
        """All but these say something for the next generation; where it is nobody, that is over."""
        for one in self.players:
            if one not in without:
                self.send(one, **fields)
        self.generation += not without

    def play(self, turns: int) -> int:
        """So many turns, in as much time as they take; how often the room was looked at."""
        looks = 0
        for _ in range(turns):
            self.turn()
            looks += self.looks(TURN)
        return looks

    def rest(self) -> None:
        """Play until it was just looked at, and rests."""
        while not self.play(1):
            pass
        self.assertGreater(self.room.rests_until, self.house.clock.seconds() + 0.5)

    def until(self, happened: Callable[[], object], at_most: float = 10) -> float:
        """How long it takes."""
        begun = self.house.clock.seconds()
        while not happened():
            self.house.clock.advance(STEP)
            self.assertLess(self.house.clock.seconds() - begun, at_most)
        return float(self.house.clock.seconds() - begun)

    def assert_in_time(self, seconds: float, due: float) -> None:
        """Not before it is due, and behind it by no more than the next look and the test's own steps."""
        self.assertGreater(seconds, due - STEP)
        self.assertLess(seconds, due + TICK + 2 * STEP)

    def told(self, type_: str, one: Somebody | None = None) -> Callable[[], object]:
        """Whether one, Vera unless another is said, hears a message of this type."""
        who = self.vera if one is None else one
        who.connection.take()
        return lambda: who.heard(type_)

    def shows(self, state: str) -> Callable[[], object]:
        return lambda: self.room.refereed.state == state


class RestTests(RestCase):
    def test_plays(self) -> None:
        """While packets come in time it is looked at once a second, and no more often for what else is said."""
        self.play(10)
        self.assertLessEqual(self.play(50), 6)
        for _ in range(5):
            self.vera.say("chat", text="so")
            self.assertLessEqual(self.play(1), 1)

    def test_setup(self) -> None:
        """So it is in setup."""
        self.room.refereed.over("finished")
        self.assertEqual(self.room.value.phase, SETUP)
        self.assertLessEqual(self.looks(5), 6)

    def test_waits(self) -> None:
        """Where a packet is missing it lags when it is time, is looked at as often as can be, and rests again once all is well."""
        self.rest()
        self.turn(self.cleo)
        self.assert_in_time(self.until(self.shows("running.paused.lagging")), 1.0)
        self.assertGreaterEqual(self.looks(1), 9)
        self.assert_in_time(self.until(self.told("resend", self.cleo)), 0.0)
        self.send(self.cleo)
        self.generation += 1
        self.play(3)
        self.assertLessEqual(self.play(20), 3)

    def test_diverges(self) -> None:
        """What differs is looked at at once, and told when those who have not reported it have had their time."""
        self.play(3)
        self.rest()
        fields = {"checksum": {"generation": self.generation - 3, "value": "right"}}
        self.send(self.ada, **fields)
        self.send(self.bert, checksum={"generation": self.generation - 3, "value": "wrong"})
        heard = self.told("divergence")
        self.send(self.cleo)
        self.assertEqual(self.room.refereed.state, "running.paused.diverged")
        self.assertGreaterEqual(self.looks(0.5), 4)
        self.assertFalse(heard())
        self.assert_in_time(self.until(heard), 0.5)

    def test_away(self) -> None:
        """One who goes is looked for as often as can be from then on."""
        self.rest()
        self.cleo.conversation.lost()
        self.assertGreaterEqual(self.looks(0.5), 4)

    def test_ends(self) -> None:
        """Nothing is left to be looked at of a play that is over, and the next one rests as well."""
        self.rest()
        for one in self.players:
            one.say("finish", generation=self.generation - 1, results={})
        self.assertEqual(self.room.value.phase, SETUP)
        self.assertLessEqual(self.looks(5), 6)
        self.generation = 0
        self.begin()
        self.play(3)
        self.assertLessEqual(self.play(30), 4)


class ShortTests(RestCase):
    """Deadlines that are shorter than a rest."""

    settings = LockstepSettings(lag_after=0.2, drop_after=0.45)
    room_ttl = 0.85

    def rest(self) -> None:
        self.play(3)

    def test_lags(self) -> None:
        for _ in range(7):
            # At whichever moment of a rest it begins.
            self.turn()
            self.looks(0.03)
            self.turn(self.cleo)
            self.assert_in_time(self.until(self.shows("running.paused.lagging")), 0.2)
            self.send(self.cleo)
            self.generation += 1
            self.assertEqual(self.room.refereed.state, "running.iterating")

    def test_dropped(self) -> None:
        """Also one who goes."""
        self.rest()
        self.cleo.conversation.lost()
        self.turn(self.cleo)
        play: Any = self.room.referee._stage.play  # type: ignore[attr-defined]
        self.assert_in_time(self.until(lambda: play.generation > self.generation), 0.45)

    def test_deserted(self) -> None:
        self.rest()
        for one in self.players:
            one.conversation.lost()
        self.assert_in_time(self.until(lambda: self.room.value.phase == SETUP), 0.85)

    def test_diverges(self) -> None:
        self.play(3)
        about = self.generation - 3
        self.send(self.ada, checksum={"generation": about, "value": "right"})
        self.send(self.bert, checksum={"generation": about, "value": "wrong"})
        heard = self.told("divergence")
        self.send(self.cleo)
        self.assert_in_time(self.until(heard), 0.2)


class SnapshotTests(RestCase):
    def test_waits(self) -> None:
        """Whoever waits for a snapshot waits no longer than always, though the room rested: 0.4 s for each of two players."""
        self.enterContext(patch.object(lockstep_arrival, "FAR", 5))
        self.play(8)
        self.rest()
        asked = [self.told("snapshot_request", one) for one in self.players]
        vera = self.vera.connection
        vera.take()
        # It is in the room already, so nothing but the snapshot that is waited for wakes it.
        self.room.referee.welcomed(self.vera.user_id, vera, Hello())
        self.assertEqual(sum(bool(each()) for each in asked), 1)
        self.assert_in_time(self.until(lambda: any(each() for each in asked)), 0.4)
        self.assert_in_time(self.until(lambda: self.vera.heard("masters")), 0.4)


class SetupStatesTests(RefereeCase):
    """What the referee says of a room in setup."""

    options: ClassVar[dict[str, Any]] = {
        "states": {"setup": {"initial": "a", "states": {"a": {"after_ms": {"ms": 350, "target": "setup.b"}}, "b": {}}}}
    }

    def rests(self) -> float:
        """For how long."""
        return self.referee.rests_until(self.clock.seconds()) - self.clock.seconds()

    def test_not_looked_at(self) -> None:
        """The time of a state that was not looked at yet counts from the next look on, which so must come."""
        self.assertEqual(self.rests(), 0)
        self.wait(0.1)
        self.assertAlmostEqual(self.rests(), 0.35, places=3)
        self.room.setup_state = "setup.b"
        self.assertEqual(self.rests(), 0)
        self.wait(0.1)
        self.assertEqual(self.rests(), inf)
        self.begin()
        self.referee.end()
        self.assertEqual(self.rests(), 0)


class StatesTests(RestCase):
    """In an engine's own states, which end by themselves after a while."""

    fields: ClassVar[dict[str, Any]] = {
        "states": {
            "setup": {
                "initial": "teams",
                "states": {"teams": {"on": {"next": "map"}}, "map": {"after_ms": {"ms": 350, "target": "setup.teams"}}},
            },
            "running": {
                "states": {
                    "iterating": {
                        "initial": "day",
                        "states": {
                            "day": {"on": {"dusk": "running.iterating.night", "all_sleep": {"target": "running.iterating.night", "by": "all"}}},
                            "night": {"after_ms": {"ms": 350, "target": "running.iterating.day"}},
                        },
                    }
                }
            },
        }
    }

    def test_play(self) -> None:
        """The time of a state counts from when it is entered, though the room rests then; and it rests in a state that has none."""
        self.assertLessEqual(self.play(30), 4)
        self.rest()
        self.ada.say("transition", event="dusk")
        self.assertEqual(self.room.refereed.state, "running.iterating.night")
        self.assert_in_time(self.until(self.shows("running.iterating.day")), 0.35)
        self.play(3)
        self.assertLessEqual(self.play(20), 3)

    def test_votes(self) -> None:
        """A vote that one who goes has stood in the way of is carried."""
        self.rest()
        self.ada.say("transition", event="all_sleep")
        self.bert.say("transition", event="all_sleep")
        self.looks(0.5)
        self.assertEqual(self.room.refereed.state, "running.iterating.day")
        self.cleo.conversation.lost()
        self.assert_in_time(self.until(self.shows("running.iterating.night")), 0.0)

    def test_setup(self) -> None:
        """In setup as well."""
        self.room.refereed.over("finished")
        self.looks(1.25)
        self.assertEqual(self.room.refereed.state, "setup.teams")
        self.ada.say("transition", event="next")
        self.assertEqual(self.room.refereed.state, "setup.map")
        self.assert_in_time(self.until(self.shows("setup.teams")), 0.35)
