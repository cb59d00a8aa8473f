"""gameroom.presence"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.presence import Presence


class PresenceTests(SynchronousTestCase):
    """LIST_PLAYERS and PLAYER_PRESENCE of lobby.md."""

    def setUp(self):
        self.clock = Clock()
        self.presence = Presence(self.clock)
        self.pushed: list[tuple[list[str], list[str]]] = []

    def watch(self):
        return self.presence.watch(lambda online, offline: self.pushed.append((online, offline)))

    def test_online(self):
        """Everybody with a connection at any door, once, by the name that was typed, sorted."""
        self.presence.arrive("zoe", "zoe", "web")
        self.presence.arrive("al", "al", "lobby")
        leave = self.presence.arrive("al", "al", "web")
        self.assertEqual(self.presence.online(), ["al", "zoe"])
        leave()
        self.assertEqual(self.presence.online(), ["al", "zoe"])

    def test_last_connection(self):
        """Gone is who has no connection left; leaving twice by one connection counts once."""
        first, second = self.presence.arrive("al", "al", "web"), self.presence.arrive("al", "al", "web")
        first()
        first()
        self.assertEqual(self.presence.online(), ["al"])
        second()
        self.assertEqual(self.presence.online(), [])

    def test_callers_list(self):
        """What one caller does to the list is not seen by the next."""
        self.presence.arrive("al", "al", "web")
        self.presence.online().clear()
        self.assertEqual(self.presence.online(), ["al"])

    def test_pushed_after_a_second(self):
        """Changes are told together, a second after the first of them."""
        self.watch()
        leave = self.presence.arrive("zoe", "zoe", "web")
        self.clock.advance(1.5)
        leave()
        self.presence.arrive("bob", "bob", "lobby")
        self.clock.advance(0.5)
        self.presence.arrive("al", "al", "lobby")
        self.clock.advance(0.5)
        self.assertEqual(self.pushed, [(["zoe"], []), (["al", "bob"], ["zoe"])])

    def test_came_and_went(self):
        """A player who came and went in that second is in neither list, nor one who went and came back."""
        stays = self.presence.arrive("zoe", "zoe", "web")
        self.clock.advance(1)
        self.watch()
        self.presence.arrive("al", "al", "lobby")()
        stays()
        self.presence.arrive("zoe", "zoe", "web")
        self.clock.advance(5)
        self.assertEqual(self.pushed, [])

    def test_nothing_without_changes(self):
        """A second connection of somebody who is here is no change, and no timer is left."""
        self.presence.arrive("al", "al", "web")
        self.clock.advance(1)
        self.watch()
        self.presence.arrive("al", "al", "lobby")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_watching(self):
        """Who stopped hears no more, also when they stop while others are told."""
        stops: list[Callable[[], None]] = []
        stops.append(self.presence.watch(lambda *_: stops[1]()))
        stops.append(self.watch())
        self.presence.arrive("al", "al", "web")
        self.clock.advance(1)
        self.presence.arrive("bob", "bob", "web")
        self.clock.advance(1)
        self.assertLessEqual(len(self.pushed), 1)

    def test_failing_watcher(self):
        """One watcher that fails is logged and keeps nothing from the others."""
        self.presence.watch(lambda *_: 1 / 0)
        self.presence.watch_lobby(lambda _: 1 / 0)
        self.watch()
        self.presence.arrive("al", "al", "lobby")
        self.clock.advance(1)
        self.assertEqual(self.pushed, [(["al"], [])])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_at_lobby(self):
        """Only lobby connections count, and each change is told at once, when it can be seen already."""
        told = []
        stop = self.presence.watch_lobby(lambda key: told.append((key, self.presence.at_lobby(key))))
        self.presence.arrive("al", "al", "web")
        first, second = self.presence.arrive("al", "al", "lobby"), self.presence.arrive("al", "al", "lobby")
        self.assertTrue(self.presence.at_lobby("al"))
        first()
        self.assertTrue(self.presence.at_lobby("al"))
        second()
        self.assertEqual(told, [("al", True), ("al", False)])
        self.assertFalse(self.presence.at_lobby("nobody"))
        stop()
        self.presence.arrive("al", "al", "lobby")
        self.assertEqual(len(told), 2)


class Comings(RuleBasedStateMachine):
    """Connections come and go; whoever adds up the pushes knows who is here."""

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.presence = Presence(self.clock)
        self.connections: list[tuple[str, str, Callable[[], None]]] = []
        self.known: set[str] = set()
        self.told_at: list[float] = []
        self.at_lobby: set[str] = set()
        self.presence.watch(self.told)
        self.presence.watch_lobby(self.told_lobby)

    def told(self, online, offline):
        assert not self.known & set(online), "who is known to be here came again"
        assert set(offline) <= self.known, "who is not here went"
        assert online == sorted(online)
        assert offline == sorted(offline)
        self.known = (self.known | set(online)) - set(offline)
        self.told_at.append(self.clock.seconds())

    def told_lobby(self, key):
        assert self.presence.at_lobby(key) != (key in self.at_lobby), "told without a change"
        self.at_lobby ^= {key}

    @rule(who=st.sampled_from("abc"), door=st.sampled_from(["lobby", "web", "game"]))
    def come(self, who, door):
        self.connections.append((who, door, self.presence.arrive(who, who.upper(), door)))

    @rule(data=st.data())
    def go(self, data):
        if self.connections:
            number = data.draw(st.integers(0, len(self.connections) - 1))
            self.connections.pop(number)[2]()

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @invariant()
    def online_is_who_has_a_connection(self):
        assert self.presence.online() == sorted({who.upper() for who, _, _ in self.connections})
        lobby = {who for who, door, _ in self.connections if door == "lobby"}
        assert self.at_lobby == lobby == {who for who in "abc" if self.presence.at_lobby(who)}

    @invariant()
    def told_at_most_once_a_second(self):
        assert all(later - earlier >= 1.0 for earlier, later in zip(self.told_at, self.told_at[1:], strict=False))

    def teardown(self):
        self.clock.advance(1.0)
        assert self.known == set(self.presence.online())


class ComingsTests(SynchronousTestCase):
    """The same for any order of events."""

    def test_any_order(self):
        """Pushes add up to `online`, at most one a second, and `watch_lobby` tells exactly the changes."""
        run_state_machine_as_test(Comings, settings=settings(max_examples=50, stateful_step_count=30, deadline=None))
