"""The states of a lock-step room, from the tables of `gameroom.rules.states`.

Here is where things stand on the page; a state or a move of the tables that has no place here is an error.
"""

from __future__ import annotations

from textwrap import wrap

from diagrams.svg import Point, arrow, box, page, text
from gameroom.rules.lockstep import DIVERGED, ITERATING, LAGGING
from gameroom.rules.states import MOVES, PAUSED, ROOM_STATES, RUNNING, SETUP

WIDTH, HEIGHT = 900, 470

PLACES: dict[str, tuple[str, float, float, float, float]] = {
    SETUP: ("box", 24, 90, 190, 300),
    RUNNING: ("box", 360, 24, 516, 422),
    ITERATING: ("state", 384, 70, 468, 92),
    PAUSED: ("inner", 384, 244, 468, 182),
    LAGGING: ("halt", 404, 288, 180, 54),
    DIVERGED: ("halt", 600, 288, 148, 54),
}
"""Kind of box, x, y, width and height."""

OWN: tuple[tuple[str, float, float, float, float], ...] = (
    ("teams, map, …", 48, 140, 142, 54),
    ("day, night, …", 712, 92, 120, 46),
    ("menu, …", 764, 288, 72, 54),
)
"""What an engine may add, for example."""

ROUTES: dict[tuple[str, str], tuple[tuple[Point, ...], Point, str]] = {
    (SETUP, RUNNING): (((214, 180), (360, 180)), (287, 170), "middle"),
    (RUNNING, SETUP): (((360, 310), (214, 310)), (287, 300), "middle"),
    (ITERATING, LAGGING): (((468, 162), (468, 288)), (476, 182), "start"),
    (ITERATING, DIVERGED): (((632, 162), (632, 288)), (640, 182), "start"),
    (LAGGING, ITERATING): (((568, 288), (568, 162)), (560, 218), "end"),
    (DIVERGED, ITERATING): (((732, 288), (732, 162)), (724, 226), "end"),
}
"""A move's line, and where its words stand."""


def draw() -> str:
    """The figure. Raises `KeyError` where the tables know more than this page, `ValueError` where this page does."""
    if {(move.source, move.target) for move in MOVES} != set(ROUTES) or set(ROOM_STATES) != set(PLACES):
        raise ValueError("the states or their moves have changed: give each its place in docs/diagrams/statechart.py")
    shapes = [_state(path) for path in ROOM_STATES]
    shapes += [box("own", *place) + text("note", (place[0] + place[2] / 2, place[1] + place[3] / 2 + 5), words, "middle") for words, *place in OWN]
    for move in MOVES:
        points, at, anchor = ROUTES[move.source, move.target]
        shapes.append(arrow(points))
        for line, words in enumerate(wrap(move.why + (" ↶" if move.returns else ""), 12 if anchor != "middle" else 30)):
            shapes.append(text("note", (at[0], at[1] + 16 * line), words, anchor))
    shapes += [
        text("note", (40, 222), "Dashed: an engine's own,"),
        text("note", (40, 240), "as its description says."),
        text("note", (404, 376), "No master is made in any of these."),
        text("note", (404, 398), "↶ back to the very state that was left, the engine's own included."),
    ]
    moves = "; ".join(f"{move.source} to {move.target}: {move.why}" for move in MOVES)
    return page(WIDTH, HEIGHT, "The states of a lock-step room", moves, shapes)


def _state(path: str) -> str:
    kind, x, y, width, height = PLACES[path]
    name = path.rpartition(".")[2]
    holds = any(other.startswith(path + ".") for other in ROOM_STATES) or path in (SETUP, ITERATING)
    at, anchor = ((x + 16, y + 26), "start") if holds else ((x + width / 2, y + height / 2 + 5), "middle")
    return box(kind, x, y, width, height) + text("name", at, name, anchor)
