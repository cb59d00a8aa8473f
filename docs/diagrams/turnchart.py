"""The states of a turn game's room and of a controller, from the tables of `gameroom.rules.turn_states`.

Here is where things stand on the pages; a state or a step of the tables that has no place here is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from diagrams.svg import Point, arrow, box, page, text
from gameroom.rules.turn_states import CONNECTING, CONTROLLER, GAME, MY_TURN, OVER, PLAYING, SEATED, THEIR_TURN, WAITING, WATCHING

Table = Mapping[tuple[str, str], str]
Place = tuple[str, float, float, float, float]
IN_A_SEAT = "in a seat"


class Route(NamedTuple):
    """A step's line, and where its words stand."""

    points: tuple[Point, ...]
    at: Point
    anchor: str = "middle"


class Chart(NamedTuple):
    """A page: its table, the kind of box, x, y, width and height of each state, and the lines from state to state.

    A group is drawn around its states; what leads away from it leads away from each of them.
    """

    title: str
    size: tuple[int, int]
    table: Table
    places: Mapping[str, Place]
    routes: Mapping[tuple[str, str], Route]
    words: Mapping[str, str]
    groups: Mapping[str, tuple[Place, tuple[str, ...]]]


ROOM = Chart(
    "The states of a turn game's room",
    (900, 186),
    GAME,
    {WAITING: ("state", 110, 86, 190, 64), PLAYING: ("state", 600, 86, 190, 64)},
    {
        (WAITING, WAITING): Route(((180, 86), (180, 46), (230, 46), (230, 86)), (205, 38)),
        (WAITING, PLAYING): Route(((300, 106), (600, 106)), (450, 97)),
        (PLAYING, PLAYING): Route(((670, 86), (670, 46), (720, 46), (720, 86)), (695, 38)),
        (PLAYING, WAITING): Route(((600, 132), (300, 132)), (450, 151)),
    },
    {},
    {},
)

CONTROLLERS = Chart(
    "The states of a controller",
    (900, 420),
    CONTROLLER,
    {
        CONNECTING: ("inner", 24, 208, 130, 54),
        WATCHING: ("inner", 290, 340, 150, 54),
        SEATED: ("state", 280, 90, 110, 54),
        THEIR_TURN: ("state", 500, 90, 150, 54),
        MY_TURN: ("state", 760, 90, 96, 54),
        OVER: ("state", 550, 204, 110, 48),
    },
    {
        (CONNECTING, SEATED): Route(((89, 208), (89, 117), (280, 117)), (170, 108)),
        (CONNECTING, WATCHING): Route(((89, 262), (89, 367), (290, 367)), (190, 358)),
        (WATCHING, SEATED): Route(((315, 340), (315, 144)), (307, 312), "end"),
        (WATCHING, WATCHING): Route(((440, 356), (488, 356), (488, 380), (440, 380)), (498, 372), "start"),
        (IN_A_SEAT, WATCHING): Route(((410, 276), (410, 340)), (420, 312), "start"),
        (SEATED, THEIR_TURN): Route(((390, 117), (500, 117)), (445, 108)),
        (THEIR_TURN, MY_TURN): Route(((650, 106), (760, 106)), (705, 97)),
        (MY_TURN, THEIR_TURN): Route(((760, 130), (650, 130)), (705, 147)),
        (THEIR_TURN, OVER): Route(((628, 144), (628, 204)), (638, 178), "start"),
        (MY_TURN, OVER): Route(((808, 144), (808, 228), (660, 228)), (738, 219)),
        (OVER, THEIR_TURN): Route(((580, 204), (580, 144)), (570, 178), "end"),
        (OVER, SEATED): Route(((550, 228), (350, 228), (350, 144)), (450, 219)),
    },
    {"left": "its leave", "ready": "its ready", "dropped": "its drop"},
    {IN_A_SEAT: (("box", 250, 24, 626, 252), (SEATED, THEIR_TURN, MY_TURN, OVER))},
)


def draw_room() -> str:
    """The figure. Raises `KeyError` or `ValueError` where the table and this page do not know the same."""
    return draw(ROOM)


def draw_controller() -> str:
    """As `draw_room`."""
    return draw(CONTROLLERS)


def draw(chart: Chart) -> str:
    """The figure of a chart. Raises `ValueError` where it is not that of its table."""
    states = {state for state, _ in chart.table} | set(chart.table.values())
    events = {route: _events(chart, *route) for route in chart.routes}
    drawn = {(state, event): target for (source, target), names in events.items() for state in _within(chart, source) for event in names}
    if states != set(chart.places) or drawn != dict(chart.table) or not all(events.values()):
        raise ValueError("the states or their steps have changed: give each its place in docs/diagrams/turnchart.py")
    shapes = [shape for name, (place, _) in chart.groups.items() for shape in (box(*place), text("name", (place[1] + 16, place[2] + 26), name))]
    for name, (kind, x, y, width, height) in chart.places.items():
        shapes += [box(kind, x, y, width, height), text("name", (x + width / 2, y + height / 2 + 5), name, "middle")]
    for route, (points, at, anchor) in chart.routes.items():
        shapes += [arrow(points), text("note", at, ", ".join(chart.words.get(event, event) for event in events[route]), anchor)]
    about = "; ".join(f"{state} to {target}: {chart.words.get(event, event)}" for (state, event), target in chart.table.items())
    return page(*chart.size, chart.title, about, shapes)


def _within(chart: Chart, source: str) -> tuple[str, ...]:
    return chart.groups[source][1] if source in chart.groups else (source,)


def _events(chart: Chart, source: str, target: str) -> list[str]:
    """What leads from a state to another; from a group, what leads there from each of its states."""
    first, *others = _within(chart, source)
    found = [event for (state, event), follows in chart.table.items() if (state, follows) == (first, target)]
    return [event for event in found if all(chart.table.get((other, event)) == target for other in others)]
