"""The figures of the documentation are drawn from the tables as they are."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock
from xml.etree import ElementTree as ET

from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.web.asyncapi import FROM_MEMBERS, TO_MEMBERS, Message
from gameroom.rules import states, turn_states

DOCS = Path(__file__).parents[1] / "docs"


class FigureTests(SynchronousTestCase):
    """docs/diagrams and what it has written into docs/images."""

    def setUp(self) -> None:
        self.patch(sys, "path", [str(DOCS), *sys.path])
        self.figures: Any = importlib.import_module("diagrams")

    def test_current(self) -> None:
        """What stands in docs/images is what the tables give; else run `make docs`."""
        for name, draw in self.figures.FIGURES.items():
            self.assertEqual((DOCS / "images" / name).read_text("utf-8"), draw(), name)

    def test_well_formed(self) -> None:
        """They are XML that loads nothing from anywhere, with words for those who do not see them."""
        for draw in self.figures.FIGURES.values():
            drawn = draw()
            root = ET.fromstring(drawn)
            self.assertTrue(all(root.findtext("{http://www.w3.org/2000/svg}" + tag) for tag in ("title", "desc")))
            self.assertNotIn("href", drawn)
            self.assertNotIn("<script", drawn)

    def test_a_renamed_message(self) -> None:
        """A message that is declared no more, or a field of it, cannot be drawn."""
        for messages, name in ((FROM_MEMBERS, "transition"), (TO_MEMBERS, "master")):
            with mock.patch.dict(messages):
                del messages[name]
                self.assertRaises(KeyError, self.figures.sequence.draw)
        with mock.patch.dict(FROM_MEMBERS, transition=Message("", {"name": {}})):
            self.assertRaises(ValueError, self.figures.sequence.draw)

    def test_a_new_state(self) -> None:
        """A state or a move that is new must be given a place."""
        chart = importlib.import_module("diagrams.statechart")
        with mock.patch.object(chart, "ROOM_STATES", (*chart.ROOM_STATES, "running.extra")):
            self.assertRaises(ValueError, chart.draw)
        with mock.patch.object(chart, "MOVES", chart.MOVES[1:]):
            self.assertRaises(ValueError, chart.draw)

    def test_a_new_step_of_a_turn_game(self) -> None:
        """A state or a step that is new, gone or leads elsewhere must be drawn so."""
        chart = importlib.import_module("diagrams.turnchart")
        for good in (chart.ROOM, chart.CONTROLLERS):
            first, *others = good.table.items()
            self.assertIn(good.title.partition("'")[0], chart.draw(good))
            for changed in (dict(others), {**good.table, ("new", "step"): first[1]}, {**good.table, first[0]: "new"}):
                self.assertRaises(ValueError, chart.draw, good._replace(table=changed))
        left = dict(chart.CONTROLLERS.table)
        del left[turn_states.OVER, "left"]
        self.assertRaises(ValueError, chart.draw, chart.CONTROLLERS._replace(table=left))

    def test_the_pages_description(self) -> None:
        """The description that the page shows is one."""
        page = (DOCS / "protocol/lockstep.md").read_text("utf-8").partition("\n## States\n")[2]
        shown = json.loads(page.partition("```json\n")[2].partition("```")[0])
        self.assertIn("running.paused.menu", states.parse(shown).states)
