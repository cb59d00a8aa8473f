"""Who is right where hashes differ."""

from __future__ import annotations

import json

import orjson
from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.tally import Tally, judge, told


def tally(about: int, votes: dict[int, str]) -> Tally:
    made = Tally(about, "", 0)
    made.become(dict(votes))
    return made


class TallyTests(SynchronousTestCase):
    """The reports of one generation."""

    def test_votes(self) -> None:
        """What was reported is what is told, whoever was first."""
        votes = {3: "b", 0: "a", 1: "a"}
        made = tally(5, votes)
        self.assertEqual((made.votes(), made.groups()), (votes, [("a", [0, 1]), ("b", [3])]))
        self.assertEqual([made.has(seat) for seat in range(4)], [True, True, False, True])

    def test_value_of(self) -> None:
        """More than half of those who are asked about."""
        made = tally(5, {0: "a", 1: "a", 2: "b"})
        self.assertEqual([made.value_of(frozenset(seats)) for seats in ((0, 1, 2), (0, 2), (2,), (0, 8))], ["a", None, "b", None])


class ShortenedTests(SynchronousTestCase):
    """A tally of which a digest is kept."""

    def test_contested(self) -> None:
        """Who comes late and differs stands beside it; who reports the same is of its group; there are no sections to name."""
        made = Tally(5, {"units": "1"}, 0b11)
        made.shorten()
        made.become({**made.votes(), 2: {"units": "2"}, 3: {"units": "1"}})
        fields = told(made, (), lambda value: value)
        self.assertEqual([group["seats"] for group in fields["groups"]], [[0, 1, 3], [2]])
        self.assertNotIn("sections", fields)
        shown = json.loads(orjson.dumps(fields))["groups"][0]["value"]
        self.assertRegex(shown, "^[0-9a-f]{64}$")


class JudgeTests(SynchronousTestCase):
    """Players 0 to 4, all there."""

    def judge(self, *votes: dict[int, str], silent: tuple[int, ...] = (), host: int | None = None) -> tuple[set[int], set[int]] | None:
        verdict = judge([tally(about, each) for about, each in enumerate(votes)], present=range(5), silent=frozenset(silent), host=host)
        return None if verdict is None else (set(verdict.right), set(verdict.wrong))

    def test_majority(self) -> None:
        """More than half of all who are there, reported or not; those who have said nothing are neither."""
        self.assertEqual(self.judge({0: "a", 1: "a", 2: "a", 3: "b"}), ({0, 1, 2}, {3}))
        self.assertIsNone(self.judge({0: "a", 1: "a", 3: "b"}))

    def test_host(self) -> None:
        """Without a majority the host's group is right; with one its word is nothing."""
        self.assertEqual(self.judge({0: "a", 1: "b", 2: "c"}, host=1), ({1}, {0, 2}))
        self.assertEqual(self.judge({0: "a", 1: "a", 2: "a", 3: "b"}, host=3), ({0, 1, 2}, {3}))
        self.assertIsNone(self.judge({0: "a", 1: "b"}, host=4))

    def test_later_generation(self) -> None:
        """A majority of a later one will do."""
        self.assertEqual(self.judge({0: "a", 1: "b"}, {0: "c", 2: "c", 3: "c", 1: "d"}), ({0, 2, 3}, {1}))

    def test_of_one_mind(self) -> None:
        """Who was right at first and differed later is wrong; where the right ones are divided evenly the host says."""
        first = {0: "a", 1: "a", 2: "a", 3: "b"}
        self.assertEqual(self.judge(first, {0: "c", 1: "c", 2: "d"}), ({0, 1}, {2, 3}))
        self.assertIsNone(self.judge(first, {0: "c", 1: "d"}))
        self.assertEqual(self.judge(first, {0: "c", 1: "d"}, host=1), ({1, 2}, {0, 3}))

    def test_silent(self) -> None:
        """They are wrong beside a majority, never one themselves, and the host's group where the host is one."""
        self.assertEqual(self.judge({0: "a", 1: "a", 2: "a"}, silent=(4,)), ({0, 1, 2}, {4}))
        self.assertIsNone(self.judge({0: "a"}, silent=(1, 2, 3, 4)))
        self.assertEqual(self.judge({0: "a"}, silent=(1, 2, 3, 4), host=1), ({1, 2, 3, 4}, {0}))
