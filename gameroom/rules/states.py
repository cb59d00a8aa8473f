"""The states of a lock-step room, and the description with which an engine adds its own (docs/protocol/lockstep.md, States).

A room's own states and how it comes from one to another are the tables `ROOM_STATES` and `MOVES`: `state_machine` runs by them,
the documentation's statechart is drawn from them, and the tests hold that the rules of a play know no others.
A description is data: names are held to `NAME`, and nothing of it is ever evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, NoReturn

import attrs
import orjson

from gameroom.errors import InvalidRequest
from gameroom.rules.lockstep import DIVERGED, ITERATING, LAGGING

SETUP: Final = "setup"
RUNNING: Final = "running"
PAUSED: Final = "running.paused"
ROOM_STATES: Final = (SETUP, RUNNING, ITERATING, PAUSED, LAGGING, DIVERGED)


class Move(NamedTuple):
    """A way from one of the room's own states to another."""

    source: str
    why: str
    target: str
    returns: bool = False
    """Whether it leads back to the very state, below the target, that was left."""


MOVES: Final = (
    Move(SETUP, "the play begins", RUNNING),
    Move(RUNNING, "the play is over", SETUP),
    Move(ITERATING, "a packet is missing", LAGGING),
    Move(ITERATING, "two hashes differ", DIVERGED),
    Move(LAGGING, "all have come", ITERATING, returns=True),
    Move(DIVERGED, "resolved", ITERATING, returns=True),
)

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
DEEPEST: Final = 5
"""Names in a full path."""
MOST_STATES: Final = 64
"""Of the engine's own."""
MOST_TRANSITIONS: Final = 256
"""`on` and `after_ms` of all states together: each costs the machine some memory."""
LONGEST_AFTER: Final = 86_400_000
"""Milliseconds: a day."""
ANY, HOST, ALL = "any", "host", "all"
_KEYS: Final = ("initial", "states", "on", "after_ms")


class Transition(NamedTuple):
    """What an event leads to, and who may send it: `any`, `host` or `all`, which is a vote."""

    target: str
    by: str


class Deadline(NamedTuple):
    """Where the machine goes after so many milliseconds in a state."""

    ms: int
    target: str


@attrs.frozen(kw_only=True)
class State:
    """One state of a description; `path`, `initial` and all targets are full paths."""

    path: str
    initial: str | None
    on: Mapping[str, Transition]
    after: Deadline | None


@attrs.frozen(kw_only=True)
class Description:
    """A checked description: all states by their full paths, parents first. Two of the same text are equal."""

    text: bytes
    states: Mapping[str, State] = attrs.field(eq=False)

    def find(self, state: str, event: str) -> tuple[str, Transition] | None:
        """What an event means in a state: the transition of the innermost state that knows it, and that state."""
        for path in lineage(state):
            if (transition := self.states[path].on.get(event)) is not None:
                return path, transition
        return None


def lineage(state: str) -> Iterator[str]:
    """A state, its parent, and so on, as full paths."""
    while state:
        yield state
        state = state.rpartition(".")[0]


def within(state: str, ancestor: str) -> bool:
    """Whether a state is this one or one below it."""
    return state == ancestor or state.startswith(ancestor + ".")


def beginning(description: Mapping[str, Any] | None, parent: str) -> str:
    """Where `setup` or `running` begins by a description that was checked, or without one."""
    path, node = parent, (description or {}).get(parent, {})
    while name := node.get("initial") or ("iterating" if path == RUNNING else None):
        path, node = f"{path}.{name}", node.get("states", {}).get(name, {})
    return path


def parse(description: Any, pointer: str = "/states") -> Description:
    """Check a description, which stands at that JSON pointer; raises `InvalidRequest` with the pointer of the fault."""
    nodes: dict[str, tuple[Mapping[str, Any], str]] = {}
    for name, node, at in _members(description, pointer, "the states"):
        if name not in (SETUP, RUNNING):
            _refuse(at, f"{_quoted(name)} is no state that is always there; add yours below setup or running")
        _collect(nodes, name, node, at)
    for path in ROOM_STATES:
        nodes.setdefault(path, ({}, pointer))
    _check_count(nodes)
    states = {path: _state(nodes, path) for path in sorted(nodes)}
    return Description(text=orjson.dumps(description, option=orjson.OPT_SORT_KEYS), states=states)


def _refuse(pointer: str, message: str) -> NoReturn:
    raise InvalidRequest(message, pointer=pointer)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 64 else text[:64] + "…")


def _below(pointer: str, key: str) -> str:
    """The pointer of a member (RFC 6901); of an endless name's parent, since nobody would read it."""
    return f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}" if len(key) <= 64 else pointer


def _members(value: Any, pointer: str, what: str) -> Iterator[tuple[str, Any, str]]:
    if not isinstance(value, dict):
        _refuse(pointer, f"{what} must be an object")
    for key, member in value.items():
        yield key, member, _below(pointer, key)


def _check_name(name: str, pointer: str) -> None:
    if NAME.fullmatch(name) is None:
        _refuse(pointer, f"{_quoted(name)} is no name: it must match [a-z][a-z0-9_]*, with up to 64 characters")


def _collect(nodes: dict[str, tuple[Mapping[str, Any], str]], path: str, node: Any, pointer: str) -> None:
    """The state and all below it into `nodes`, each with its pointer; what they point at is looked at when all are known."""
    nodes[path] = (node, pointer)
    if sum(path not in ROOM_STATES for path in nodes) > MOST_STATES:
        _refuse(pointer, f"there may be {MOST_STATES} states, and this is one more")
    for key, _, at in _members(node, pointer, f"the state {path}"):
        if key not in _KEYS:
            _refuse(at, f"a state has {', '.join(_KEYS)}, and no {_quoted(key)}")
    for name, child, at in _members(node.get("states", {}), pointer + "/states", "states"):
        _check_name(name, at)
        if path.count(".") + 2 > DEEPEST:
            _refuse(at, f"states may be nested {DEEPEST} deep, setup or running included")
        _collect(nodes, f"{path}.{name}", child, at)


def _state(nodes: Mapping[str, tuple[Mapping[str, Any], str]], path: str) -> State:
    node, pointer = nodes[path]
    on = {}
    for event, what, at in _members(node.get("on", {}), pointer + "/on", "on"):
        _check_name(event, at)
        on[event] = _transition(nodes, path, what, at)
    after = _deadline(nodes, path, node["after_ms"], pointer + "/after_ms") if "after_ms" in node else None
    initial = _initial(nodes, path, node["initial"], pointer + "/initial") if "initial" in node else None
    return State(path=path, initial=initial or (ITERATING if path == RUNNING else None), on=on, after=after)


def _initial(nodes: Mapping[str, Any], path: str, name: Any, pointer: str) -> str:
    initial = f"{path}.{name}" if isinstance(name, str) else ""
    if initial not in nodes or "." in name:
        _refuse(pointer, f"initial must be the name of one of the states of {path}")
    _check_target(path, initial, pointer)
    return initial


def _transition(nodes: Mapping[str, Any], path: str, what: Any, pointer: str) -> Transition:
    if isinstance(what, str):
        return Transition(_target(nodes, path, what, pointer), ANY)
    if not isinstance(what, dict):
        _refuse(pointer, "an event leads to a target, or to an object of target and by")
    _check_keys(what, ("target", "by"), pointer)
    by = what.get("by", ANY)
    if by not in (ANY, HOST, ALL) or not isinstance(by, str):
        _refuse(pointer + "/by", "by must be any, host or all")
    return Transition(_target(nodes, path, what["target"], pointer + "/target"), by)


def _deadline(nodes: Mapping[str, Any], path: str, what: Any, pointer: str) -> Deadline:
    if not isinstance(what, dict):
        _refuse(pointer, "after_ms must be an object of ms and target")
    _check_keys(what, ("target", "ms"), pointer)
    ms = what.get("ms")
    if type(ms) is not int or not 1 <= ms <= LONGEST_AFTER:
        _refuse(pointer + "/ms" if "ms" in what else pointer, f"ms must be an integer from 1 to {LONGEST_AFTER}")
    return Deadline(ms, _target(nodes, path, what["target"], pointer + "/target"))


def _check_keys(what: Mapping[str, Any], known: tuple[str, str], pointer: str) -> None:
    for key in what:
        if key not in known:
            _refuse(_below(pointer, key), f"there is no {_quoted(key)} here; known are {' and '.join(known)}")
    if "target" not in what:
        _refuse(pointer, "target is missing")


def _target(nodes: Mapping[str, Any], path: str, target: Any, pointer: str) -> str:
    """The full path of a target: a sibling's name, or a full path."""
    if not isinstance(target, str):
        _refuse(pointer, "a target must be the name of a sibling, or a full path")
    parent, dot, _ = path.rpartition(".")
    found = parent + dot + target if "." not in target and parent + dot + target in nodes else target
    if found not in nodes:
        _refuse(pointer, f"there is no state {_quoted(target)}: a target is the name of a sibling of {path}, or a full path")
    if found.partition(".")[0] != path.partition(".")[0]:
        _refuse(pointer, f"a target stays under {path.partition('.')[0]}; plays begin and end by other means")
    _check_target(path, found, pointer)
    return found


def _check_target(path: str, target: str, pointer: str) -> None:
    for own in (LAGGING, DIVERGED):
        if within(target, own) and not within(path, own):
            _refuse(pointer, f"{own} is entered by the room alone")


def _check_count(nodes: Mapping[str, tuple[Mapping[str, Any], str]]) -> None:
    """Before any of them is looked at: that takes as long as there are many."""
    count = 0
    for node, pointer in nodes.values():
        on = node.get("on")
        count += (len(on) if isinstance(on, dict) else 0) + ("after_ms" in node)
        if count > MOST_TRANSITIONS:
            _refuse(pointer, f"there may be {MOST_TRANSITIONS} transitions and deadlines in all, and here are more")
