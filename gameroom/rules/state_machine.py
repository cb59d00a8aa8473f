"""Where a lock-step room is in its engine's own states: the machine, votes and deadlines (docs/protocol/lockstep.md, States).

The statechart is python-statemachine's: it enters first states, leaves children with their parents, and re-enters what leads to itself.
It is built with identifiers that we number ourselves, so nothing of a description's text reaches it, and no callback, guard or expression.
Votes, deadlines, and where a room goes back to when lag or divergence is over, are ours.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from math import inf
from typing import Any, Final, NamedTuple

from statemachine import StateChart
from statemachine.io import create_machine_class_from_definition

from gameroom.errors import BadState, Forbidden
from gameroom.rules.lockstep import DIVERGED, ITERATING, LAGGING
from gameroom.rules.states import ALL, HOST, MOVES, PAUSED, RUNNING, SETUP, Description, lineage, within

KEPT: Final = 32
"""Charts that are kept for rooms to come, as those of a bundle that is played often."""
_INSIDE: Final = "_"
"""After the identifier of a state that has states and no `initial`: the room that is in it, and in none of them."""


class _Chart(NamedTuple):
    """A description as the library runs it, with our identifiers of states, and of events by what they stand for."""

    machine: type[StateChart[Any]]
    states: dict[str, str]
    paths: dict[str, str]
    events: dict[tuple[str, str], str]


class _Entered:
    """The library tells it which states it enters."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def on_enter_state(self, state: Any) -> None:
        self.ids.append(state.id)


class States:
    """The state that a room is in. Times are in seconds; `who` are those who vote."""

    def __init__(self, description: Description, state: str, now: float) -> None:
        self.state = state
        """Its full path."""
        self.left: str | None = None
        """While the play lags or has diverged: the state that it will be in when that is over."""
        self.votes: dict[tuple[str, str], set[str]] = {}
        """Who has voted for an event, by the state that knows it."""
        self._description = description
        self._due: dict[str, float] = {}
        """When the deadlines are, of the states that it is in."""
        self._rest: dict[str, float] = {}
        """How much of each was left when the play began to lag, or diverged."""
        self._listener = _Entered()
        self._machine: StateChart[Any] | None = None
        for path in lineage(state):
            self._start_clock(path, now)

    def _start_clock(self, path: str, now: float) -> None:
        self._due.pop(path, None)
        if (after := self._description.states[path].after) is not None:
            self._due[path] = now + after.ms / 1000

    @property
    def held(self) -> bool:
        """Whether it is in a paused state of the engine's own."""
        return self.left is None and within(self.state, PAUSED)

    @property
    def own(self) -> str:
        """The state that the engine is in, lag and divergence aside."""
        return self.state if self.left is None else self.left

    # What members want.

    def ask(self, event: str, who: str, *, host: bool, present: Collection[str], now: float) -> bool:
        """A player sends an event; says whether that changed the state.

        `present` are the players whose votes are waited for.
        Raises `BadState` for an event that nothing is declared for, `Forbidden` where it is the host's.
        """
        found = self._description.find(self.state, event)
        if found is None:
            raise BadState(f"there is no event {event[:64]!r} in the state {self.state}")
        source, transition = found
        if transition.by == HOST and not host:
            raise Forbidden("only the host may do this")
        if transition.by == ALL:
            self.votes.setdefault((source, event), set()).add(who)
            return self.recount(present, now)
        self._take(source, event, now)
        return True

    def recount(self, present: Collection[str], now: float) -> bool:
        """Somebody has voted or gone: says whether a vote is carried now. Void are the votes of those who are no players any more."""
        for (source, event), voters in self.votes.items():
            if present and voters.issuperset(present):
                self._take(source, event, now)
                return True
        return False

    # What time brings.

    def tick(self, now: float) -> bool:
        """Look at the deadlines; says whether one has changed the state: the earliest, of two the outermost."""
        at, source = min(((at, path) for path, at in self._due.items()), default=(now + 1, ""))
        if now < at:
            return False
        # It is one for each time that the state is entered.
        del self._due[source]
        self._take(source, "", now)
        return True

    def next_due(self) -> float:
        """When the next deadline is; infinity where there is none."""
        return min(self._due.values(), default=inf)

    # What the play brings.

    def pause(self, why: str, now: float) -> None:
        """The play is `LAGGING` or `DIVERGED`; the time of the states that are left for that stands still."""
        if within(self.state, why):
            return
        if self.left is None:
            self.left = self.state
            self._rest = {path: at - now for path, at in self._due.items() if path != RUNNING}
        self._take(RUNNING, why, now)

    def back(self, now: float) -> None:
        """That is over: the state is the one that was left."""
        assert self.left is not None
        self.state, self.left = self.left, None
        self._due = {path: at for path, at in self._due.items() if path == RUNNING} | {path: now + rest for path, rest in self._rest.items()}
        self._machine = None
        self.votes.clear()

    # The library's part.

    def _take(self, source: str, event: str, now: float) -> None:
        chart = _chart(self._description)
        if self._machine is None:
            start = chart.states[self.state]
            self._machine = chart.machine(start_value=start + _INSIDE if start + _INSIDE in chart.paths else start, listeners=[self._listener])
        self._listener.ids.clear()
        self._machine.send(chart.events[source, event])
        for entered in self._listener.ids:
            self._start_clock(chart.paths[entered], now)
        self.state = max((chart.paths[value] for value in self._machine.configuration_values), key=len)
        self._due = {path: at for path, at in self._due.items() if within(self.state, path)}
        self.votes.clear()
        if self.left is not None and not any(within(self.state, own) for own in (LAGGING, DIVERGED)):
            self.left = None


@lru_cache(KEPT)
def _chart(description: Description) -> _Chart:
    """What the library makes of a description. Some tenths of a millisecond; 10 ms for the largest."""
    ids = {path: f"s{number}" for number, path in enumerate(description.states)}
    paths = {identifier: path for path, identifier in ids.items()}
    tree: dict[str, Any] = {}
    nodes: dict[str, dict[str, Any]] = {}
    for path in description.states:
        parent = path.rpartition(".")[0]
        node = nodes[path] = {"value": ids[path], "initial": path in (SETUP, parent and description.states[parent].initial), "on": {}}
        (nodes[parent].setdefault("states", {}) if parent else tree)[ids[path]] = node
    for path, node in nodes.items():
        if "states" in node and description.states[path].initial is None:
            paths[ids[path] + _INSIDE] = path
            node["states"][ids[path] + _INSIDE] = {"value": ids[path] + _INSIDE, "initial": True}
    events: dict[tuple[str, str], str] = {}
    for number, (source, event, target) in enumerate(_arrows(description)):
        events[source, event] = name = f"e{number}"
        nodes[source]["on"][name] = [{"target": ids[target], "internal": target != source and within(target, source)}]
    machine = create_machine_class_from_definition(
        "RoomStates", tree, validate_disconnected_states=False, validate_final_reachability=False, validate_trap_states=False
    )
    return _Chart(machine, ids, paths, events)


def _arrows(description: Description) -> list[tuple[str, str, str]]:
    """Source, event and target of every transition; a deadline's event has no name."""
    found = []
    for path, state in description.states.items():
        found += [(path, event, transition.target) for event, transition in state.on.items()]
        if state.after is not None:
            found.append((path, "", state.after.target))
    # What befalls a play befalls it in whatever state its engine is.
    return found + [(RUNNING, move.target, move.target) for move in MOVES if move.source == ITERATING]
