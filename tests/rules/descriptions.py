"""Descriptions of an engine's own states for tests: one that is well known, and any that is valid."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from gameroom.rules.lockstep import DIVERGED, LAGGING
from gameroom.rules.states import ROOM_STATES, RUNNING, SETUP, within

TABLE: dict[str, Any] = {
    "setup": {
        "initial": "teams",
        "states": {
            "teams": {"on": {"next": {"target": "map", "by": "host"}}},
            "map": {"on": {"back": "teams", "skip": {"target": "teams", "by": "all"}}},
        },
    },
    "running": {
        "states": {
            "iterating": {"on": {"menu": "running.paused.menu"}},
            "paused": {"states": {"menu": {"on": {"resume": {"target": "running.iterating", "by": "all"}}}}},
        }
    },
}
"""Teams and a map in setup; a menu that pauses, until all want to go on."""

NAMES = ("a", "b", "c_1")
EVENTS = ("go", "stop", "vote", "x2")


@st.composite
def descriptions(draw: st.DrawFn) -> dict[str, Any]:
    """Any valid description, not too large."""
    paths = list(ROOM_STATES)
    for _ in range(draw(st.integers(0, 10))):
        path = f"{draw(st.sampled_from(paths))}.{draw(st.sampled_from(NAMES))}"
        if path not in paths and path.count(".") < 5:
            paths.append(path)
    described: dict[str, Any] = {}
    for path in paths:
        if node := draw(_nodes(path, paths)):
            _place(described, path).update(node)
        elif path not in ROOM_STATES:
            _place(described, path)
    return described


def _place(described: dict[str, Any], path: str) -> dict[str, Any]:
    """The state of a path, made where it is not there."""
    first, *names = path.split(".")
    node = described.setdefault(first, {})
    for name in names:
        node = node.setdefault("states", {}).setdefault(name, {})
    return node  # type: ignore[no-any-return]


@st.composite
def _nodes(draw: st.DrawFn, path: str, paths: list[str]) -> dict[str, Any]:
    node: dict[str, Any] = {}
    children = [other.rpartition(".")[2] for other in paths if other.rpartition(".")[0] == path and other not in (LAGGING, DIVERGED)]
    if children and (path == RUNNING or draw(st.booleans())):
        node["initial"] = draw(st.sampled_from(children))
    targets = st.sampled_from(_targets(path, paths)).map(lambda target: _written(path, target))
    by = st.sampled_from(("any", "host", "all"))
    arrows = targets | st.fixed_dictionaries({"target": targets}, optional={"by": by})
    if on := draw(st.dictionaries(st.sampled_from(EVENTS), arrows, max_size=3)):
        node["on"] = on
    if draw(st.integers(0, 3)) == 0:
        node["after_ms"] = {"ms": draw(st.integers(1, 3000)), "target": draw(targets)}
    return node


def _targets(path: str, paths: list[str]) -> list[str]:
    parent = SETUP if within(path, SETUP) else RUNNING
    own = [state for state in (LAGGING, DIVERGED) if not within(path, state)]
    return [target for target in paths if within(target, parent) and not any(within(target, state) for state in own)]


def _written(path: str, target: str) -> str:
    """A target as a description says it: the name where it is a sibling."""
    parent, _, name = target.rpartition(".")
    return name if parent == path.rpartition(".")[0] else target
