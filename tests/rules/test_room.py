"""The rules of rooms: seats, hosts, readiness, configuration."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, Conflict, Forbidden, GameroomError, InvalidRequest, NotFound
from gameroom.rules import room as rules
from gameroom.rules.room import PLAYING, SETUP, STARTING, Member, Room, RoomOptions


def new_room(**options: Any) -> Room:
    chosen: dict[str, Any] = {"min_players": 2, "max_players": 3, **options}
    return Room(room_id="r", party_code="BCDFGH", created_ms=0, options=RoomOptions(**chosen))


def come(room: Room, name: str, wish: str = "any", most: int = 256) -> Room:
    return rules.add_member(room, Member(user_id=name, name=name), wish=wish, most=most)


class ComingTests(SynchronousTestCase):
    def test_seats_are_lowest_free_first(self) -> None:
        """A seat that was left is the next one to be taken."""
        room = come(come(come(new_room(), "anna"), "bert"), "cleo")
        room = come(rules.remove(room, ["bert"]), "dora")
        self.assertEqual([(member.user_id, member.seat) for member in room.players], [("anna", 0), ("dora", 1), ("cleo", 2)])

    def test_full(self) -> None:
        """Where no seat is free a player is refused, and who does not mind watches."""
        room = come(come(come(new_room(), "anna"), "bert"), "cleo")
        with self.assertRaisesRegex(BadState, "full"):
            come(room, "dora", wish="player")
        self.assertTrue(come(room, "dora").member("dora").viewer)

    def test_no_viewers(self) -> None:
        """A room that takes no viewers refuses them in words."""
        room = come(come(new_room(viewers=False, max_players=2), "anna"), "bert")
        with self.assertRaisesRegex(BadState, "no viewers"):
            come(room, "dora")
        with self.assertRaisesRegex(BadState, "no viewers"):
            come(new_room(viewers=False), "dora", wish="viewer")

    def test_playing(self) -> None:
        """Who comes while it plays is a viewer; who insists on a seat is refused."""
        room = rules.begin(come(come(new_room(), "anna"), "bert"), "p")
        self.assertTrue(come(room, "cleo").member("cleo").viewer)
        with self.assertRaisesRegex(BadState, "playing; wait until it is over, or look on as a viewer at the web door"):
            come(room, "cleo", wish="player")
        room = rules.begin(come(come(new_room(viewers=False), "anna"), "bert"), "p")
        with self.assertRaisesRegex(BadState, "playing; wait until it is over$"):
            come(room, "cleo", wish="player")

    def test_names(self) -> None:
        """Two members never have one name, nor names that look alike."""
        room = come(new_room(), "anna")
        for twin in ("ANNA", "аnna"):
            with self.assertRaises(Conflict):
                rules.add_member(room, Member(user_id="other", name=twin), wish="any", most=9)

    def test_most_members(self) -> None:
        """A room has an end."""
        with self.assertRaisesRegex(BadState, "1 members"):
            come(come(new_room(), "anna"), "bert", most=1)

    def test_sit(self) -> None:
        """A viewer takes a seat in setup, and is then the one who has sat shortest."""
        room = come(come(come(new_room(), "vera", "viewer"), "anna"), "bert")
        room = rules.sit(room, "vera")
        self.assertEqual(room.member("vera").seat, 2)
        self.assertEqual(rules.remove(room, ["anna"]).host, "bert")
        with self.assertRaisesRegex(BadState, "seat 2 already"):
            rules.sit(room, "vera")


class HostTests(SynchronousTestCase):
    def test_first_player_is_host(self) -> None:
        """A viewer is never host; the first player is."""
        room = come(new_room(), "vera", "viewer")
        self.assertIsNone(room.host)
        self.assertEqual(come(room, "anna").host, "anna")

    def test_migration(self) -> None:
        """When the host leaves, the longest-seated player is host; without players nobody is."""
        room = come(come(come(new_room(), "anna"), "bert"), "cleo")
        room = rules.remove(room, ["anna"])
        self.assertEqual(room.host, "bert")
        self.assertIsNone(rules.remove(room, ["bert", "cleo"]).host)

    def test_kick(self) -> None:
        """The host sends somebody away, who cannot come again; nobody else may, and not the host itself."""
        room = come(come(new_room(), "anna"), "bert")
        with self.assertRaises(Forbidden):
            rules.kick(room, "bert", "anna")
        with self.assertRaises(BadState):
            rules.kick(room, "anna", "anna")
        with self.assertRaises(NotFound):
            rules.kick(room, "anna", "nobody")
        room = rules.kick(room, "anna", "bert")
        with self.assertRaises(Forbidden):
            come(room, "bert")


class ReadyTests(SynchronousTestCase):
    def test_needs_all_that_are_seated(self) -> None:
        """Enough players, all ready and all there."""
        room = rules.set_ready(come(new_room(), "anna"), "anna", True, None)
        self.assertFalse(rules.all_ready(room, ["anna"]))
        room = come(room, "bert")
        self.assertFalse(rules.all_ready(room, ["anna", "bert"]))
        room = rules.set_ready(room, "bert", True, None)
        self.assertTrue(rules.all_ready(room, ["anna", "bert"]))
        self.assertFalse(rules.all_ready(room, ["anna"]))
        self.assertTrue(rules.all_ready(come(room, "vera", "viewer"), ["anna", "bert"]))

    def test_revision(self) -> None:
        """Nobody is ready for a configuration that they have not seen."""
        room = rules.configure(come(new_room(), "anna"), {"map": "small"})
        self.assertTrue(rules.set_ready(room, "anna", True, 1).member("anna").ready)
        with self.assertRaisesRegex(BadState, "revision 1"):
            rules.set_ready(room, "anna", True, 0)

    def test_configuring_takes_readiness_back(self) -> None:
        """Each change counts one revision on and everybody looks again."""
        room = rules.set_ready(come(new_room(), "anna"), "anna", True, None)
        room = rules.configure(room, {"a": {"b": 1, "c": None}})
        self.assertEqual((room.configuration, room.revision, room.member("anna").ready), ({"a": {"b": 1}}, 1, False))

    def test_configuration_is_bounded(self) -> None:
        """64 KiB, as a whole."""
        room = rules.configure(new_room(), {"a": "x" * 60_000})
        with self.assertRaisesRegex(InvalidRequest, "64 KiB"):
            rules.configure(room, {"b": "x" * 10_000})

    def test_configuration_can_be_shown(self) -> None:
        """What is nested so deeply that `welcome` could not hold it is refused."""
        deep: dict[str, Any] = {}
        for _ in range(250):
            deep = {"a": deep}
        with self.assertRaisesRegex(InvalidRequest, "nested too deeply"):
            rules.configure(new_room(), deep)

    def test_start(self) -> None:
        """Locking needs enough players, and says how many; giving up gives the room back as it was."""
        room = come(new_room(), "anna")
        with self.assertRaisesRegex(BadState, "needs 2 players; 1"):
            rules.lock(room)
        room = come(room, "bert")
        locked = rules.lock(room)
        self.assertEqual((locked.phase, locked.status, len(locked.locked)), (STARTING, "PLAYING", 2))
        self.assertEqual(rules.finish(locked), room)
        self.assertEqual(rules.finish(rules.begin(locked, "p")), room)
        self.assertEqual(rules.unlock(locked), room)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.dictionaries(st.text(max_size=2), inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)


class MergePatchTests(SynchronousTestCase):
    def test_examples_of_the_rfc(self) -> None:
        """RFC 7396, appendix A."""
        for target, patch, result in (
            ({"a": "b"}, {"a": "c"}, {"a": "c"}),
            ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
            ({"a": "b"}, {"a": None}, {}),
            ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
            ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
            ({"a": "foo"}, {"b": {"c": {"d": None}}}, {"a": "foo", "b": {"c": {}}}),
            ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ):
            self.assertEqual(rules.merge_patch(target, patch), result)

    @given(json_values, json_values)
    def test_again_changes_nothing(self, target: Any, patch: Any) -> None:
        """A patch applied twice is a patch applied once, and neither side is touched."""
        kept = repr((target, patch))
        once = rules.merge_patch(target, patch)
        self.assertEqual(rules.merge_patch(once, patch), once)
        self.assertEqual(repr((target, patch)), kept)


class RoomMachine(RuleBasedStateMachine):
    """Any deeds of any people in any order: what a room is stays in order, and what is refused changes nothing."""

    people = st.sampled_from(["ann", "ben", "cid", "dot", "eve"])

    def __init__(self) -> None:
        super().__init__()
        self.room = new_room()
        self.gone: set[str] = set()

    def attempt(self, deed: Any, *args: Any, **kwargs: Any) -> None:
        try:
            self.room = deed(self.room, *args, **kwargs)
        except GameroomError:
            return

    @rule(who=people, wish=st.sampled_from(["player", "viewer", "any"]))
    def comes(self, who: str, wish: str) -> None:
        if self.room.find(who) is None:
            self.attempt(rules.add_member, Member(user_id=who, name=who), wish=wish, most=4)

    @rule(who=people)
    def goes(self, who: str) -> None:
        self.attempt(rules.remove, [who])

    @rule(by=people, who=people)
    def is_kicked(self, by: str, who: str) -> None:
        before = self.room
        self.attempt(rules.kick, by, who)
        if self.room is not before:
            assert by == before.host
            self.gone.add(who)

    @rule(who=people, ready=st.booleans())
    def readies(self, who: str, ready: bool) -> None:
        self.attempt(rules.set_ready, who, ready, None)

    @rule(who=people)
    def sits(self, who: str) -> None:
        self.attempt(rules.sit, who)

    @rule()
    def locks(self) -> None:
        self.attempt(rules.lock)

    @precondition(lambda self: self.room.phase == STARTING)
    @rule(begins=st.booleans())
    def starts(self, begins: bool) -> None:
        self.room = rules.begin(self.room, "p") if begins else rules.finish(self.room)

    @precondition(lambda self: self.room.phase == PLAYING)
    @rule()
    def finishes(self) -> None:
        self.room = rules.finish(self.room)

    @invariant()
    def seats_are_distinct(self) -> None:
        seats = [member.seat for member in self.room.players]
        assert len(set(seats)) == len(seats)
        assert all(seat in range(self.room.options.max_players) for seat in seats)

    @invariant()
    def a_room_with_players_has_a_host_among_them(self) -> None:
        assert (self.room.host in {member.user_id for member in self.room.players}) == bool(self.room.players)

    @invariant()
    def who_was_kicked_is_not_here(self) -> None:
        assert self.gone.isdisjoint(member.user_id for member in self.room.members)

    @invariant()
    def locked_are_players_of_a_room_that_is_not_in_setup(self) -> None:
        assert not (self.room.phase == SETUP and self.room.locked)
        assert all(member.seat is not None for member in self.room.members if member.locked or member.ready)

    @invariant()
    def joined_grows(self) -> None:
        assert len({member.joined for member in self.room.members}) == len(self.room.members)


class MachineTests(SynchronousTestCase):
    def test_any_order_of_deeds(self) -> None:
        """See `RoomMachine`."""
        run_state_machine_as_test(RoomMachine, settings=settings(max_examples=100, stateful_step_count=30, deadline=None))

    def test_values_are_not_shared(self) -> None:
        """A room is a value: what is done with it leaves it as it was."""
        room = come(new_room(), "anna")
        kept = attrs.asdict(room)
        rules.kick(come(room, "bert"), "anna", "bert")
        self.assertEqual(attrs.asdict(room), kept)
