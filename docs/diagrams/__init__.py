"""The figures of the documentation that are drawn from the tables in the code: `make docs` writes them into docs/images.

They are plain SVG with colours for light and dark, so that a page needs no program and no script to show them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from diagrams import sequence, statechart, turnchart

IMAGES = Path(__file__).parents[1] / "images"
FIGURES: dict[str, Callable[[], str]] = {
    "lockstep-states.svg": statechart.draw,
    "lockstep-play.svg": sequence.draw,
    "turn-game-states.svg": turnchart.draw_room,
    "turn-controller-states.svg": turnchart.draw_controller,
}


def write() -> None:
    """Draw all figures; what is drawn as it stands there is not touched."""
    for name, draw in FIGURES.items():
        path, drawn = IMAGES / name, draw()
        if not path.exists() or path.read_text("utf-8") != drawn:
            path.write_text(drawn, "utf-8")
