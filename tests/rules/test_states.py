"""Descriptions of an engine's own states."""

from __future__ import annotations

import builtins
import copy
import os
from collections.abc import Iterator
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.rules import states
from gameroom.rules.lockstep import DIVERGED, ITERATING, LAGGING
from gameroom.rules.state_machine import States
from gameroom.rules.states import Deadline, Transition
from tests.rules.descriptions import TABLE, descriptions

Json = Any


def under_setup(**node: Json) -> dict[str, Json]:
    return {"setup": node}


def chain(depth: int) -> dict[str, Json]:
    """States nested that deep below setup."""
    return {"states": {"a": chain(depth - 1)}} if depth else {}


class ParseTests(SynchronousTestCase):
    """What is taken, and what it means."""

    def test_the_table(self) -> None:
        """Targets are full paths, a plain target is for anybody, and the room's own states are there as well."""
        found = states.parse(TABLE)
        self.assertEqual(set(found.states), {*states.ROOM_STATES, "setup.teams", "setup.map", "running.paused.menu"})
        self.assertEqual(found.states["setup"].initial, "setup.teams")
        self.assertEqual(found.states["setup.teams"].on, {"next": Transition("setup.map", "host")})
        self.assertEqual(found.states[ITERATING].on, {"menu": Transition("running.paused.menu", "any")})
        self.assertEqual(found.states["running.paused.menu"].on, {"resume": Transition(ITERATING, "all")})

    def test_nothing_described(self) -> None:
        """The room's own states alone."""
        self.assertEqual(set(states.parse({}).states), set(states.ROOM_STATES))

    def test_deadline(self) -> None:
        """A deadline's target is a sibling or a full path as well."""
        found = states.parse(under_setup(states={"a": {"after_ms": {"ms": 5, "target": "b"}}, "b": {}}))
        self.assertEqual(found.states["setup.a"].after, Deadline(5, "setup.b"))

    def test_a_siblings_name_goes_first(self) -> None:
        """A state may be called as one of the room's is."""
        found = states.parse(under_setup(states={"a": {"on": {"go": "setup"}}, "setup": {}}))
        self.assertEqual(found.states["setup.a"].on["go"].target, "setup.setup")

    def test_beginning(self) -> None:
        """Where setup and running begin: down the initial states."""
        self.assertEqual(states.beginning(None, "setup"), "setup")
        self.assertEqual(states.beginning(None, "running"), ITERATING)
        self.assertEqual(states.beginning(TABLE, "setup"), "setup.teams")
        self.assertEqual(states.beginning(TABLE, "running"), ITERATING)
        deeper = {"running": {"initial": "intro", "states": {"intro": {"initial": "logo", "states": {"logo": {}}}}}}
        self.assertEqual(states.beginning(deeper, "running"), "running.intro.logo")

    def test_find_looks_outwards(self) -> None:
        """An event means what the innermost state says that knows it."""
        inner = {"a": {"on": {"go": "b"}, "states": {"x": {}}}, "b": {}}
        found = states.parse(under_setup(on={"go": "setup", "quit": "setup"}, states=inner))
        self.assertEqual(found.find("setup.a.x", "go"), ("setup.a", Transition("setup.b", "any")))
        self.assertEqual(found.find("setup.a.x", "quit"), ("setup", Transition("setup", "any")))
        self.assertIsNone(found.find("setup.a.x", "dance"))

    def test_at_the_limits(self) -> None:
        """64 states of its own, five names deep, 256 transitions."""
        self.assertEqual(len(states.parse(under_setup(states={f"s{n}": {} for n in range(64)})).states), 64 + len(states.ROOM_STATES))
        self.assertIn("setup.a.a.a.a", states.parse({"setup": chain(4)}).states)
        states.parse(under_setup(on={f"e{n}": "setup" for n in range(256)}))
        # How many there are is looked at first: to look at each of a hundred thousand would take most of a second.
        refused = self.assertRaises(InvalidRequest, states.parse, under_setup(on={f"No name {n}": "nowhere" for n in range(100_000)}))
        self.assertIn("256 transitions", refused.message)


FAULTS: list[tuple[str, Json, str]] = [
    ("no object", [], ""),
    ("a state of its own beside setup", {"lobby": {}}, "/lobby"),
    ("an unknown key", under_setup(entry="import os"), "/setup/entry"),
    ("a key with a slash", under_setup(**{"a/b~": 1}), "/setup/a~1b~0"),
    ("a key that has no end", under_setup(**{"k" * 99: 1}), "/setup"),
    ("a state that is none", under_setup(states={"a": 3}), "/setup/states/a"),
    ("states that are none", under_setup(states=[]), "/setup/states"),
    ("a capital", under_setup(states={"A": {}}), "/setup/states/A"),
    ("a dot in a name", under_setup(states={"a.b": {}}), "/setup/states/a.b"),
    ("a name with an end of line", under_setup(states={"a\n": {}}), "/setup/states/a\n"),
    ("a letter that is not ASCII", under_setup(states={"é": {}}), "/setup/states/é"),
    ("no name at all", under_setup(states={"": {}}), "/setup/states/"),
    ("an event's name", under_setup(on={"Go": "setup"}), "/setup/on/Go"),
    ("six deep", {"setup": chain(5)}, "/setup/states/a/states/a/states/a/states/a/states/a"),
    ("65 states", under_setup(states={f"s{n}": {} for n in range(65)}), "/setup/states/s64"),
    ("257 transitions", under_setup(on={f"e{n}": "setup" for n in range(257)}), "/setup"),
    ("an initial that is none", under_setup(initial="a"), "/setup/initial"),
    ("an initial of deeper down", under_setup(initial="a.b", states={"a": {"states": {"b": {}}}}), "/setup/initial"),
    ("an initial of another type", under_setup(initial=1), "/setup/initial"),
    ("the room's own as initial", {"running": {"states": {"paused": {"initial": "lagging"}}}}, "/running/states/paused/initial"),
    ("on that is none", under_setup(on=["go"]), "/setup/on"),
    ("an event that leads to a number", under_setup(on={"go": 1}), "/setup/on/go"),
    ("no such target", under_setup(on={"go": "nowhere"}), "/setup/on/go"),
    ("a child's bare name", under_setup(on={"go": "a"}, states={"a": {}}), "/setup/on/go"),
    ("a target under the other parent", under_setup(on={"go": ITERATING}), "/setup/on/go"),
    ("lag as a target", {"running": {"on": {"go": LAGGING}}}, "/running/on/go"),
    ("divergence as a target", {"running": {"on": {"go": {"target": DIVERGED}}}}, "/running/on/go/target"),
    ("a target of another type", under_setup(on={"go": {"target": ["setup"]}}), "/setup/on/go/target"),
    ("no target", under_setup(on={"go": {"by": "all"}}), "/setup/on/go"),
    ("by nobody we know", under_setup(on={"go": {"target": "setup", "by": "me"}}), "/setup/on/go/by"),
    ("by a list", under_setup(on={"go": {"target": "setup", "by": ["any"]}}), "/setup/on/go/by"),
    ("a guard", under_setup(on={"go": {"target": "setup", "cond": "1"}}), "/setup/on/go/cond"),
    ("a deadline that is none", under_setup(after_ms=100), "/setup/after_ms"),
    ("a deadline without ms", under_setup(after_ms={"target": "setup"}), "/setup/after_ms"),
    ("a deadline of no time", under_setup(after_ms={"ms": 0, "target": "setup"}), "/setup/after_ms/ms"),
    ("a deadline of a truth", under_setup(after_ms={"ms": True, "target": "setup"}), "/setup/after_ms/ms"),
    ("a deadline of years", under_setup(after_ms={"ms": 10**12, "target": "setup"}), "/setup/after_ms/ms"),
    ("a deadline's unknown key", under_setup(after_ms={"ms": 9, "target": "setup", "on": 1}), "/setup/after_ms/on"),
]


class FaultTests(SynchronousTestCase):
    """What is refused, with the place of the fault."""

    def test_faults(self) -> None:
        """Each with its pointer, below where the description stands."""
        for what, description, pointer in FAULTS:
            error = self.assertRaises(InvalidRequest, states.parse, description, "/states")
            self.assertEqual(error.pointer, "/states" + pointer, what)
            self.assertLess(len(error.message), 300, what)

    def test_code_is_text(self) -> None:
        """What a library of statecharts would call or evaluate is refused wherever it may stand, and none of it is run."""
        for code in ("__import__('os').system('true')", "os.system", "print(1)", "on_enter", "=1+1"):
            for key in ("cond", "unless", "enter", "exit", "script", "invoke", "before", "after", "datamodel", "transitions", "history"):
                for description in (under_setup(**{key: code}), under_setup(on={"go": {"target": "setup", key: code}}), {key: code}):
                    self.assertRaises(InvalidRequest, states.parse, description)

    def test_names_of_the_library_are_names(self) -> None:
        """States and events called as methods and hooks of the library are nothing else: none of it is called, nothing is evaluated."""
        hostile = ("send", "model", "states", "on_transition", "before_transition", "on_enter_state", "on_exit_state", "eval", "name", "final")
        inner = {name: {"on": {event: hostile[(place + 1) % len(hostile)] for event in hostile}} for place, name in enumerate(hostile)}
        described = states.parse(under_setup(initial="send", states=inner))
        with (
            mock.patch.object(builtins, "eval") as evaluated,
            mock.patch.object(builtins, "exec") as executed,
            mock.patch.object(os, "system") as ran,
        ):
            machine = States(described, "setup.send", 0.0)
            for place, event in enumerate(hostile * 2):
                self.assertTrue(machine.ask(event, "ann", host=False, present=["ann"], now=0.0))
                self.assertEqual(machine.state, f"setup.{hostile[(place + 1) % len(hostile)]}")
        self.assertEqual([evaluated.called, executed.called, ran.called], [False] * 3)


VOCABULARY = (
    "setup",
    "running",
    "states",
    "iterating",
    "paused",
    "initial",
    "on",
    "after_ms",
    "target",
    "by",
    "ms",
    "a",
    "any",
    "setup.a",
    "a/b",
    "~",
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.sampled_from(VOCABULARY)
JUNK = st.recursive(
    LEAVES,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(VOCABULARY) | st.text(max_size=4), children, max_size=4),
    max_leaves=25,
)


def places(value: Json, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The way to each member of a value."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield (*at, key)
            yield from places(member, (*at, key))


def resolves(value: Json, pointer: str) -> bool:
    for key in pointer.split("/")[1:]:
        name = key.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True


class JunkTests(SynchronousTestCase):
    """Anything at all."""

    def check(self, description: Json) -> None:
        try:
            states.parse(description, "")
        except InvalidRequest as error:
            self.assertTrue(resolves(description, str(error.pointer)), error.pointer)

    @given(JUNK)
    def test_any_json(self, junk: Json) -> None:
        """It is taken, or refused with a pointer that is there."""
        self.check(junk)

    @given(descriptions(), st.data(), JUNK)
    @settings(suppress_health_check=[HealthCheck.too_slow])
    def test_a_good_one_with_a_fault(self, description: dict[str, Json], data: st.DataObject, junk: Json) -> None:
        """As before, where one member of a valid description is something else."""
        self.check(description)
        broken = copy.deepcopy(description)
        if ways := list(places(broken)):
            *way, last = data.draw(st.sampled_from(ways))
            node = broken
            for key in way:
                node = node[key]
            node[last] = junk
        self.check(broken)

    @given(descriptions())
    @settings(suppress_health_check=[HealthCheck.too_slow])
    def test_any_valid_one_is_taken(self, description: dict[str, Json]) -> None:
        """And says the same when it is read again; where setup and running begin is a state of it."""
        found = states.parse(description)
        self.assertEqual(found, states.parse(copy.deepcopy(description)))
        for parent in ("setup", "running"):
            self.assertIn(states.beginning(description, parent), found.states)
