"""The machine of an engine's own states: by hand, and against a simple model."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any
from unittest import mock

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from statemachine.io import create_machine_class_from_definition
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, Forbidden
from gameroom.rules import state_machine, states
from gameroom.rules.lockstep import DIVERGED, ITERATING, LAGGING, Play
from gameroom.rules.lockstep_values import StateChange, Terms
from gameroom.rules.state_machine import States
from gameroom.rules.states import MOVES, RUNNING, SETUP, Description, beginning, lineage, within
from gameroom.wire.lockstep import JSON, CommandPacket
from tests.rules.descriptions import EVENTS, TABLE, descriptions

MENU = "running.paused.menu"


def machine(description: Any = TABLE, state: str = "setup.teams") -> States:
    return States(states.parse(description), state, 0.0)


class EventTests(SynchronousTestCase):
    """Who may do what."""

    def test_any(self) -> None:
        """An event that anybody may send changes the state at once."""
        found = machine(state=ITERATING)
        self.assertTrue(found.ask("menu", "bob", host=False, present=["ann", "bob"], now=0.0))
        self.assertEqual((found.state, found.held), (MENU, True))

    def test_host(self) -> None:
        """Another than the host is refused, and nothing has changed."""
        found = machine()
        self.assertRaises(Forbidden, found.ask, "next", "bob", host=False, present=["ann", "bob"], now=0.0)
        self.assertEqual(found.state, "setup.teams")
        self.assertTrue(found.ask("next", "ann", host=True, present=["ann", "bob"], now=0.0))
        self.assertEqual(found.state, "setup.map")

    def test_no_such_event_now(self) -> None:
        """An event of another state is none here."""
        error = self.assertRaises(BadState, machine().ask, "resume" * 99, "ann", host=True, present=["ann"], now=0.0)
        self.assertLess(len(error.message), 200)

    def test_all(self) -> None:
        """It is carried when all who are present have voted, and a vote counts once."""
        found = machine(state=MENU)
        for voter in ("ann", "ann", "bob"):
            self.assertFalse(found.ask("resume", voter, host=False, present=["ann", "bob", "cat"], now=0.0))
        self.assertTrue(found.ask("resume", "cat", host=False, present=["ann", "bob", "cat"], now=0.0))
        self.assertEqual(found.state, ITERATING)

    def test_recount(self) -> None:
        """When the one goes who had not voted, it is carried; with nobody there it is not."""
        found = machine(state=MENU)
        found.ask("resume", "ann", host=False, present=["ann", "bob"], now=0.0)
        self.assertFalse(found.recount(["ann", "bob"], 0.0))
        self.assertFalse(found.recount([], 0.0))
        self.assertTrue(found.recount(["ann"], 0.0))
        self.assertEqual(found.state, ITERATING)

    def test_votes_are_void_at_each_change(self) -> None:
        """Also where the machine comes back to the same state."""
        found = machine(state="setup.map")
        self.assertFalse(found.ask("skip", "ann", host=False, present=["ann", "bob"], now=0.0))
        found.ask("back", "bob", host=False, present=["ann", "bob"], now=0.0)
        found.ask("next", "ann", host=True, present=["ann", "bob"], now=0.0)
        self.assertFalse(found.ask("skip", "bob", host=False, present=["ann", "bob"], now=0.0))

    def test_in_a_parent(self) -> None:
        """A state that has states and no `initial` is one that the room can be in, and come back to."""
        found = machine({"running": {"states": {"iterating": {"on": {"pause": "paused"}}, "paused": {"on": {"go": "iterating"}}}}}, ITERATING)
        for event, state, held in (("pause", "running.paused", True), ("go", ITERATING, False), ("pause", "running.paused", True)):
            found.ask(event, "ann", host=False, present=["ann"], now=0.0)
            self.assertEqual((found.state, found.held), (state, held))


DAY = {
    "running": {
        "after_ms": {"ms": 10_000, "target": "running.paused"},
        "states": {
            "iterating": {
                "initial": "day",
                "states": {
                    "day": {"after_ms": {"ms": 3000, "target": "night"}, "on": {"again": "day"}},
                    "night": {"after_ms": {"ms": 2000, "target": "day"}},
                },
            }
        },
    }
}
BY_DAY, BY_NIGHT = "running.iterating.day", "running.iterating.night"


class DeadlineTests(SynchronousTestCase):
    """Time, in seconds."""

    def test_day_and_night(self) -> None:
        """Each is as long as it says, from when it was entered; the parent's deadline comes once, and counts from its own entry."""
        found = machine(DAY, BY_DAY)
        seen = [(tenths / 10, found.state) for tenths in range(150) if found.tick(tenths / 10)]
        self.assertEqual(seen, [(3.0, BY_NIGHT), (5.0, BY_DAY), (8.0, BY_NIGHT), (10.0, "running.paused")])

    def test_entered_anew(self) -> None:
        """A transition from a state to itself enters it anew."""
        found = machine(DAY, BY_DAY)
        found.ask("again", "ann", host=False, present=["ann"], now=2.0)
        self.assertFalse(found.tick(4.9))
        self.assertTrue(found.tick(5.0))

    def test_lag_stops_the_clock(self) -> None:
        """The time of a state that is left for lag stands still; that of a parent that is not left does not."""
        found = machine(DAY, BY_DAY)
        found.pause(LAGGING, 1.0)
        self.assertFalse(found.tick(4.0))
        found.back(6.0)
        self.assertEqual(found.state, BY_DAY)
        self.assertFalse(found.tick(7.9))
        self.assertTrue(found.tick(8.0))
        self.assertEqual(found.state, BY_NIGHT)
        self.assertTrue(found.tick(10.0))
        self.assertTrue(found.tick(10.0) or found.state == "running.paused")


class PauseTests(SynchronousTestCase):
    """Lag and divergence."""

    def test_back_to_what_was_left(self) -> None:
        """Also from divergence that came while it lagged; neither is a pause of the engine's own."""
        found = machine(DAY, BY_NIGHT)
        found.pause(LAGGING, 0.0)
        self.assertEqual((found.state, found.own, found.held), (LAGGING, BY_NIGHT, False))
        found.pause(DIVERGED, 0.0)
        self.assertEqual(found.state, DIVERGED)
        found.back(0.0)
        self.assertEqual((found.state, found.left), (BY_NIGHT, None))

    def test_an_engine_in_its_lag(self) -> None:
        """States that a description adds below lagging are lag too; one that it leads to elsewhere is not."""
        lagging = {"initial": "short", "states": {"short": {"after_ms": {"ms": 1000, "target": "long"}}, "long": {"on": {"menu": MENU}}}}
        found = machine({"running": {"states": {"paused": {"states": {"lagging": lagging, "menu": {}}}}}}, ITERATING)
        found.pause(LAGGING, 0.0)
        self.assertEqual(found.state, LAGGING + ".short")
        found.tick(1.0)
        self.assertEqual((found.state, found.own), (LAGGING + ".long", ITERATING))
        found.pause(LAGGING, 1.0)
        self.assertEqual(found.state, LAGGING + ".long", "who is missing has changed, and nothing else")
        found.ask("menu", "ann", host=False, present=["ann"], now=2.0)
        self.assertEqual((found.state, found.left, found.held), (MENU, None, True))


class Model(RuleBasedStateMachine):
    """Random descriptions and events, against what the page says in words."""

    description: Description
    raw: dict[str, Any]

    @initialize(raw=descriptions(), parent=st.sampled_from((SETUP, RUNNING)))
    def begin(self, raw: dict[str, Any], parent: str) -> None:
        self.raw, self.description = raw, states.parse(raw)
        self.now = 0.0
        self.state = beginning(raw, parent)
        self.machine = States(self.description, self.state, 0.0)
        self.left: str | None = None
        self.due: dict[str, float] = {}
        self.rest: dict[str, float] = {}
        self.votes: dict[tuple[str, str], set[str]] = {}
        self.enter(lineage(self.state))

    def enter(self, paths: Any) -> None:
        for path in paths:
            self.due.pop(path, None)
            if (after := self.description.states[path].after) is not None:
                self.due[path] = self.now + after.ms / 1000

    def go(self, source: str, target: str) -> None:
        """Leave what is below the innermost state that holds both, and enter down to the target and its first states."""
        if target != source and within(target, source):
            scope = source
        else:
            scope = next((path for path in lineage(source) if path not in (source, target) and within(target, path)), "")
        before = [path for path in lineage(self.state) if path == scope or (scope and within(scope, path))]
        self.state = target
        while (initial := self.description.states[self.state].initial) is not None:
            self.state = initial
        self.due = {path: at for path, at in self.due.items() if path in before}
        self.enter(path for path in lineage(self.state) if path not in before)
        self.votes = {}
        if not within(self.state, LAGGING) and not within(self.state, DIVERGED):
            self.left = None

    @rule(event=st.sampled_from(EVENTS), who=st.sampled_from("abc"), host=st.booleans(), present=st.sets(st.sampled_from("abc"), min_size=1))
    def ask(self, event: str, who: str, host: bool, present: set[str]) -> None:
        known = next((path for path in lineage(self.state) if event in self.description.states[path].on), None)
        changed: Any
        try:
            changed = self.machine.ask(event, who, host=host, present=present, now=self.now)
        except (BadState, Forbidden) as error:
            changed = type(error)
        if known is None:
            assert changed is BadState
            return
        target, by = self.description.states[known].on[event]
        if by == "host" and not host:
            assert changed is Forbidden
            return
        if by == "all":
            self.votes.setdefault((known, event), set()).add(who)
            for (source, voted), voters in self.votes.items():
                if present <= voters:
                    assert changed is True
                    self.go(source, self.description.states[source].on[voted].target)
                    return
            assert changed is False
            return
        assert changed is True
        self.go(known, target)

    @rule(seconds=st.sampled_from((0.0, 0.1, 0.5, 2.0, 4.0)))
    def tick(self, seconds: float) -> None:
        self.now += seconds
        due = min(((at, path) for path, at in self.due.items()), default=None)
        assert self.machine.tick(self.now) == (due is not None and due[0] <= self.now)
        if due is not None and due[0] <= self.now:
            after = self.description.states[due[1]].after
            assert after is not None
            del self.due[due[1]]
            self.go(due[1], after.target)

    @precondition(lambda self: within(self.state, RUNNING))
    @rule(why=st.sampled_from((LAGGING, DIVERGED)))
    def pause(self, why: str) -> None:
        self.machine.pause(why, self.now)
        if not within(self.state, why):
            left = self.left
            if left is None:
                left = self.state
                self.rest = {path: at - self.now for path, at in self.due.items() if path != RUNNING}
            self.go(RUNNING, why)
            self.left = left

    @precondition(lambda self: self.left is not None)
    @rule()
    def back(self) -> None:
        self.machine.back(self.now)
        assert self.left is not None
        self.state, self.left, self.votes = self.left, None, {}
        self.due = {path: at for path, at in self.due.items() if path == RUNNING} | {path: self.now + rest for path, rest in self.rest.items()}

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "machine"):
            assert (self.machine.state, self.machine.left) == (self.state, self.left)
            assert self.machine.votes == self.votes
            assert within(self.state, SETUP) == within(self.machine.own, SETUP)


class ModelTests(SynchronousTestCase):
    """The machine and the model."""

    def test_any_description(self) -> None:
        """They are always in the same state."""
        run_state_machine_as_test(Model, settings=settings(stateful_step_count=30, suppress_health_check=[HealthCheck.too_slow]))


class MovesTests(SynchronousTestCase):
    """The table of the room's own states."""

    def test_a_play_moves_by_the_table(self) -> None:
        """Lag and its end, divergence: a play of the rules goes where the table says, and by each of those moves that are its own."""
        been = [ITERATING]

        def do(effects: Any) -> None:
            been.extend(effect.state for effect in effects if isinstance(effect, StateChange) and effect.state != been[-1])

        def packet(generation: int, checksum: str | None = None) -> CommandPacket:
            message: dict[str, Any] = {"type": "commands", "generation": generation, "latency": 9, "framerate": 60, "commands": []}
            return JSON.parse(message if checksum is None else {**message, "checksum": {"generation": 0, "value": checksum}})

        play = Play(terms=Terms(), packets=JSON, seats=[0, 1], connected=[0, 1], now=0.0)
        do(play.receive(0, packet(0), 0.0))
        do(play.tick(2.0))
        do(play.receive(1, packet(0), 2.0))
        do(play.receive(0, packet(1, "a"), 2.0))
        do(play.receive(1, packet(1, "b"), 2.0))
        do(play.resolve("evict", 0, 2.0))
        seen = set(pairwise(been))
        table = {(move.source, move.target) for move in MOVES}
        self.assertEqual(seen - table, set())
        self.assertEqual(table - seen, {(SETUP, RUNNING), (RUNNING, SETUP)})


class CostTests(SynchronousTestCase):
    """What rooms pay."""

    def test_charts_are_shared(self) -> None:
        """Rooms of one description have one chart."""
        state_machine._chart.cache_clear()
        with mock.patch.object(state_machine, "create_machine_class_from_definition", wraps=create_machine_class_from_definition) as creating:
            for _ in range(2):
                machine(json.loads(json.dumps(TABLE))).ask("next", "ann", host=True, present=["ann"], now=0.0)
        self.assertEqual(creating.call_count, 1)
