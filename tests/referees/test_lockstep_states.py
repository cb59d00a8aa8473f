"""A lock-step room in its engine's own states, in setup and in plays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar
from unittest import mock

from twisted.internet.defer import Deferred

from gameroom.errors import BadState, Forbidden, InvalidRequest
from gameroom.rules import state_machine
from gameroom.rules.lockstep import DIVERGED, ITERATING, LAGGING
from tests.referees.lockstep_world import PLAY, RefereeCase
from tests.rules.descriptions import TABLE

MENU = "running.paused.menu"


class StatesCase(RefereeCase):
    """A room with teams and a map, and a menu that pauses."""

    options: ClassVar[Mapping[str, Any]] = {"states": TABLE}

    def event(self, user_id: str, name: Any) -> Any:
        return self.say(user_id, {"type": "transition", "event": name})

    def told(self) -> list[str]:
        """The states that members were told since this was asked last."""
        told = [state for state, _ in self.room.states]
        self.room.states.clear()
        return told

    def recorded(self) -> list[str]:
        return [line["state"] for line in self.lines() if line["type"] == "state"]

    def masters(self) -> list[int]:
        return self.room.here["vic"][0].generations()


class SetupTests(StatesCase):
    """Before a play."""

    def test_host(self) -> None:
        """The host leads to the map; others may not, nor may viewers; an event of another state is none now."""
        self.assertRaises(Forbidden, self.event, "bob", "next")
        self.assertRaises(Forbidden, self.event, "vic", "next")
        self.assertRaises(BadState, self.event, "ann", "back")
        self.successResultOf(self.event("ann", "next"))
        self.assertEqual(self.told(), ["setup.map"])
        self.assertRaises(BadState, self.event, "ann", "next")

    def test_not_an_event(self) -> None:
        """What is no string is refused as such."""
        names: list[Any] = [None, 1, ["next"], {}]
        for name in names:
            self.assertRaises(InvalidRequest, self.event, "ann", name)
        self.assertRaises(BadState, self.event, "ann", "")

    def test_vote(self) -> None:
        """A vote is answered at once, and carried with the last player's; viewers are not waited for."""
        self.successResultOf(self.event("ann", "next"))
        self.assertIsNone(self.event("bob", "skip"))
        self.assertEqual(self.room.setup_state, "setup.map")
        self.successResultOf(self.event("ann", "skip"))
        self.assertEqual(self.room.setup_state, "setup.teams")

    def test_vote_when_one_goes(self) -> None:
        """It is counted anew when a player is gone."""
        self.successResultOf(self.event("ann", "next"))
        self.event("bob", "skip")
        self.wait(0.1)
        self.assertEqual(self.room.setup_state, "setup.map")
        self.room.here["ann"] = []
        self.wait(0.1)
        self.assertEqual(self.room.setup_state, "setup.teams")

    def test_what_cannot_be_saved_has_not_happened(self) -> None:
        """A state that is taken back is not the state, and another try begins there."""
        self.room.saving = Deferred()
        answer = self.event("ann", "next")
        self.assertEqual(self.told(), [])
        self.room.saving.errback(ZeroDivisionError())
        self.failureResultOf(answer, ZeroDivisionError)
        self.room.saving = Deferred()
        self.event("ann", "next")
        self.room.saving.callback(None)
        self.assertEqual(self.told(), ["setup.map"])

    def test_after_a_play(self) -> None:
        """Votes of before are void."""
        self.successResultOf(self.event("ann", "next"))
        self.event("bob", "skip")
        self.begin()
        self.room.setup_state = "setup.map"
        self.referee.end()
        self.assertIsNone(self.event("ann", "skip"))
        self.assertEqual(self.room.setup_state, "setup.map")


class SetupDeadlineTests(StatesCase):
    """A state of setup that ends by itself."""

    options: ClassVar[Mapping[str, Any]] = {
        "states": {"setup": {"initial": "a", "states": {"a": {"after_ms": {"ms": 2000, "target": "b"}}, "b": {}}}}
    }

    def test_deadline(self) -> None:
        """It counts from the first look on, and where it cannot be saved it is due again."""
        self.wait(0.0)
        self.wait(1.9)
        self.assertEqual(self.told(), [])
        self.room.saving = Deferred()
        self.wait(0.1)
        self.room.saving.errback(ZeroDivisionError())
        self.assertEqual(self.room.setup_state, "setup.a")
        self.room.saving = Deferred()
        self.room.saving.callback(None)
        self.wait(0.1)
        self.wait(2.0)
        self.assertEqual(self.told(), ["setup.b"])

    def test_not_while_a_play_begins(self) -> None:
        """A room that is neither set up nor played has no events."""
        self.room.setup_state = "running"
        self.wait(9.0)
        self.assertRaises(BadState, self.event, "ann", "x")


class PlayTests(StatesCase):
    """While it plays."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()
        self.turns(0, 1)

    def test_menu(self) -> None:
        """In the menu packets are taken and no master is made; when all want to go on they come at once."""
        self.event("bob", "menu")
        self.turns(2, 3)
        self.assertEqual(self.masters(), [0, 1])
        self.event("ann", "resume")
        self.assertEqual(self.told(), [MENU])
        self.event("bob", "resume")
        self.assertEqual(self.told(), [ITERATING])
        self.assertEqual(self.masters(), [0, 1, 2, 3])
        self.assertEqual(self.recorded(), [MENU, ITERATING])

    def test_who_may(self) -> None:
        """Not viewers; and there is no such event now."""
        self.assertRaises(Forbidden, self.event, "vic", "menu")
        self.assertRaises(BadState, self.event, "ann", "resume")
        self.assertRaises(BadState, self.event, "ann", "next")

    def test_nobody_lags_in_a_menu(self) -> None:
        """However long it is open."""
        self.send("ann", 2)
        self.event("bob", "menu")
        for _ in range(30):
            self.wait(1.0)
        self.assertEqual(self.told(), [MENU])

    def test_lag_after_a_menu(self) -> None:
        """Who does not come back from the menu lags then."""
        self.send("ann", 2)
        self.event("bob", "menu")
        self.wait(5.0)
        for user_id in ("ann", "bob"):
            self.event(user_id, "resume")
        for _ in range(3):
            self.wait(1.0)
        self.assertEqual(self.told(), [MENU, ITERATING, LAGGING])
        self.send("bob", 2)
        self.assertEqual(self.told(), [ITERATING])

    def test_a_menu_when_a_voter_goes(self) -> None:
        """The vote is counted anew when a player's connection is gone."""
        self.event("bob", "menu")
        self.event("bob", "resume")
        self.go("ann")
        self.wait(0.1)
        self.assertEqual(self.told()[-1], ITERATING)

    def test_a_play_ends_in_the_menu(self) -> None:
        """By its clients' word, and setup begins anew then."""
        self.event("bob", "menu")
        for user_id in ("ann", "bob"):
            self.say(user_id, {"type": "finish", "generation": 1, "results": {"winners": []}})
        self.assertEqual(self.room.ended, [("finished", {"winners": []})])
        self.assertRaises(BadState, self.event, "ann", "resume")
        self.referee.end()
        self.successResultOf(self.event("ann", "next"))

    def test_everybody_leaves_in_the_menu(self) -> None:
        """It does not stay for ever."""
        self.event("bob", "menu")
        for user_id in ("ann", "bob"):
            self.go(user_id)
        self.wait(120.0)
        self.assertEqual(self.room.ended, [("abandoned", None)])

    def test_no_recording_no_play(self) -> None:
        """Where the state cannot be recorded the play is over, as where a master cannot."""
        with mock.patch("gameroom.store.recording.os.write", side_effect=OSError("full")):
            self.event("bob", "menu")
        self.assertEqual(self.room.ended, [("recording_failed", None)])
        self.assertEqual(self.told(), [])


DAY: dict[str, Any] = {
    "running": {
        "on": {"pause": "running.paused", "night": "running.iterating.night"},
        "states": {
            "iterating": {"initial": "day", "states": {"day": {}, "night": {"after_ms": {"ms": 4000, "target": "day"}}}},
            "paused": {"on": {"go": "iterating"}},
        },
    }
}
BY_DAY, BY_NIGHT = "running.iterating.day", "running.iterating.night"


class LagTests(StatesCase):
    """Lag and divergence, in an engine that has a day and a night."""

    options: ClassVar[Mapping[str, Any]] = {"states": DAY}

    def setUp(self) -> None:
        super().setUp()
        self.begin()
        self.turns(0, 1)

    def lag(self) -> None:
        self.send("ann", 2)
        self.wait(0.5)
        self.wait(0.6)

    def test_back_to_the_night(self) -> None:
        """Lag leads back to the state that was left, and the night is as long as it was to be."""
        self.event("ann", "night")
        self.lag()
        self.assertEqual(self.room.states[-1], (LAGGING, ["bob"]))
        self.wait(9.0)
        self.send("bob", 2)
        self.assertEqual(self.told(), [BY_NIGHT, LAGGING, BY_NIGHT])
        self.turns(3, 3)
        self.wait(2.8)
        self.assertEqual(self.told(), [])
        self.wait(0.2)
        self.assertEqual(self.told(), [BY_DAY])
        self.assertEqual(self.recorded(), [BY_DAY, BY_NIGHT, BY_DAY], "lag is none of the engine's own states")

    def test_an_event_does_not_end_lag(self) -> None:
        """It leads elsewhere, and that is where the room is when lag is over."""
        self.lag()
        self.told()
        self.event("ann", "night")
        self.assertEqual(self.told(), [])
        self.send("bob", 2)
        self.assertEqual(self.told(), [BY_NIGHT])

    def test_a_pause_in_lag(self) -> None:
        """A pause of the engine's own can be had while it lags; afterwards whoever is missing has its time anew, and then it lags again."""
        self.lag()
        self.event("ann", "pause")
        self.assertEqual(self.told()[-1], "running.paused")
        self.event("ann", "go")
        self.assertEqual(self.told(), [BY_DAY])
        self.wait(1.0)
        self.send("bob", 2)
        self.assertEqual(self.told(), [LAGGING, BY_DAY])
        self.assertEqual(self.masters(), [0, 1, 2])

    def test_an_event_does_not_end_divergence(self) -> None:
        """Nor does a pause: what differs is looked at as soon as it is over."""
        self.send("ann", 2, checksum={"generation": 0, "value": "a"})
        self.send("bob", 2, checksum={"generation": 0, "value": "b"})
        self.assertEqual(self.told()[-1], DIVERGED)
        for event in ("night", "pause", "go"):
            self.event("ann", event)
        self.assertEqual(self.told(), ["running.paused", BY_DAY, DIVERGED])
        self.say("ann", {"type": "resolve", "how": "abort"})
        self.assertEqual(self.room.ended, [("diverged", None)])


class RestartTests(StatesCase):
    """The daemon is killed and comes again."""

    def again(self) -> None:
        for user_id in self.room.here:
            self.room.here[user_id] = []
        self.referee = self.make()
        self.told()
        self.successResultOf(self.referee.restore(PLAY, self.players))

    def back(self, generation: int) -> None:
        for user_id in ("vic", "ann", "bob"):
            self.come(user_id, PLAY, generation - 1)
        for user_id in ("ann", "bob"):
            for ahead in (0, 1):
                self.send(user_id, generation + ahead)

    def test_in_the_menu(self) -> None:
        """It lags until all are there, and then the menu is open as it was."""
        self.begin()
        self.turns(0, 1)
        self.event("bob", "menu")
        self.again()
        self.assertEqual(self.room.states, [(LAGGING, ["ann", "bob"])])
        self.back(2)
        self.wait(0.1)
        self.assertEqual(self.told()[-1], MENU)
        self.assertEqual(self.masters(), [])
        for user_id in ("ann", "bob"):
            self.event(user_id, "resume")
        self.assertEqual(self.told(), [ITERATING])
        self.assertEqual(self.masters(), [2, 3])

    def test_in_the_menu_when_one_never_comes(self) -> None:
        """After `drop_after` the menu is open for those who are there."""
        self.begin()
        self.event("bob", "menu")
        self.again()
        self.come("ann")
        self.wait(59.0)
        self.assertNotIn(MENU, self.told())
        self.wait(1.0)
        self.assertEqual(self.told()[-1], MENU)
        self.event("ann", "resume")
        self.assertNotEqual(self.told()[-1], MENU)

    def test_out_of_the_menu(self) -> None:
        """The newest state counts."""
        self.begin()
        self.turns(0, 1)
        self.event("bob", "menu")
        for user_id in ("ann", "bob"):
            self.event(user_id, "resume")
        self.again()
        self.back(2)
        self.assertEqual(self.told()[-1], ITERATING)
        self.assertEqual(self.masters(), [2, 3])


class BeginningTests(StatesCase):
    """A play that begins in a pause."""

    options: ClassVar[Mapping[str, Any]] = {
        "states": {"running": {"initial": "paused", "states": {"paused": {"after_ms": {"ms": 3000, "target": "iterating"}}}}}
    }

    def test_held_from_the_start(self) -> None:
        """Three seconds for the players to look at the board, then masters."""
        self.begin()
        self.turns(0, 1)
        self.assertEqual(self.masters(), [])
        self.assertEqual(self.recorded(), ["running.paused"])
        self.wait(3.0)
        self.assertEqual(self.told(), [ITERATING])
        self.assertEqual(self.masters(), [0, 1])


class NothingDescribedTests(StatesCase):
    """A room of the room's own states alone."""

    options: ClassVar[Mapping[str, Any]] = {}

    def test_costs_nothing(self) -> None:
        """There is no machine, and every event is none, in setup and in a play."""
        with (
            mock.patch.object(state_machine, "States", side_effect=AssertionError),
            mock.patch.object(state_machine, "_chart", side_effect=AssertionError),
        ):
            self.assertRaises(BadState, self.event, "ann", "next")
            self.wait(0.1)
            self.begin()
            self.turns(0, 3)
            self.assertRaises(BadState, self.event, "ann", "menu")
            self.wait(0.1)
        self.assertEqual([line["type"] for line in self.lines()], ["play"] + ["master"] * 4)
        self.assertEqual(json.loads(json.dumps(self.told())), [])
