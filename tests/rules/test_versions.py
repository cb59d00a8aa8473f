"""Versions of games: which are read, and which is the newest."""

from __future__ import annotations

import semver
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.rules.versions import parse

numbers = st.integers(0, 10**12).map(str)
identifiers = numbers | st.from_regex(r"[0-9]*[a-zA-Z-][0-9a-zA-Z-]{0,4}", fullmatch=True) | st.sampled_from(["a", "a-", "a1", "A", "1", "10", "2"])
dotted = st.lists(identifiers, min_size=1, max_size=3).map(".".join)


@st.composite
def semvers(draw: st.DrawFn) -> str:
    """Any version in full; small numbers often, so that most of two is equal."""
    number = st.integers(0, 2).map(str) | numbers
    core = ".".join(draw(number) for _ in range(3))
    return core + draw(st.just("") | dotted.map("-{}".format)) + draw(st.just("") | dotted.map("+{}".format))


class VersionTests(SynchronousTestCase):
    """`parse`."""

    @given(semvers(), semvers())
    def test_precedence(self, one: str, other: str) -> None:
        """The bytes compare as semver compares the versions."""
        if len(one) > 64 or len(other) > 64:
            return
        a, b = parse(one).precedence, parse(other).precedence
        self.assertEqual((a > b) - (a < b), semver.Version.parse(one).compare(other))

    def test_order(self) -> None:
        """The order of semver.org's own example, and numbers by their value."""
        order = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.9.0",
            "1.10.0",
        ]
        self.assertEqual(sorted(order, key=lambda text: parse(text).precedence), order)

    def test_rank(self) -> None:
        """A release ranks above every pre-release, and each kind goes by precedence."""
        texts = ("1.0.0", "2.0.0-rc.1", "0.9.0", "2.0.0-rc.2", "1.0.1+build")
        ranked = sorted(texts, key=lambda text: parse(text).rank)
        self.assertEqual(ranked, ["2.0.0-rc.1", "2.0.0-rc.2", "0.9.0", "1.0.0", "1.0.1+build"])

    def test_short(self) -> None:
        """MAJOR and MAJOR.MINOR are read as with zeros, and kept as they were written."""
        self.assertEqual(parse("1").precedence, parse("1.0.0").precedence)
        self.assertEqual(parse("1.2").precedence, parse("1.2.0+build").precedence)
        self.assertEqual(parse("1.2").text, "1.2")

    def test_refused(self) -> None:
        """What is no version is refused with what it should look like."""
        wrong = [
            "",
            "v1.0.0",
            "01.0.0",
            "1.0.0\n",
            " 1.0.0",
            "1.0.0-",
            "1.0.0-01",
            "1.0.0-a..b",
            "1.0.٣",
            "1.0.0.0",
            "one",
            "1" * 65,
            "1.0.0-" + "a" * 60,
        ]
        for text in wrong:
            error = self.assertRaises(InvalidRequest, parse, text)
            self.assertEqual(error.pointer, "/version")

    def test_longest(self) -> None:
        """64 characters are fine."""
        self.assertEqual(len(parse("1.0.0-" + "a" * 58).text), 64)

    @given(st.text(max_size=10) | st.text("0123456789.-+a", max_size=10))
    def test_garbage(self, text: str) -> None:
        """Anything else raises our error and no other."""
        try:
            parse(text)
        except InvalidRequest:
            pass
