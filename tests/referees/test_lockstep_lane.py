"""The short way of packets into a play: what comes of them is what comes of them on the long way; and what is done together is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from unittest import mock

import hypothesis.strategies as st
import orjson
from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, Forbidden, GameroomError, InvalidRequest
from gameroom.referees.lockstep_lane import SeatLane
from gameroom.rules.lockstep import ITERATING
from gameroom.wire.lockstep import CommandPacket, encode_command
from gameroom.wire.room_messages import Outgoing, Outgoings
from tests.referees.lockstep_world import PLAY, FakeConnection, RefereeCase

NAMES = ("ann", "bob", "cat")


def commands(generation: int, *given_commands: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "commands", "generation": generation, "latency": 50, "framerate": 60, "commands": list(given_commands), **fields}


class LaneCase(RefereeCase):
    """With packets that come together."""

    def lane(self, user_id: str) -> SeatLane:
        lane = self.referee.lane(user_id)
        assert lane is not None
        return lane

    def come_together(self, user_id: str, *messages: dict[str, Any]) -> list[GameroomError]:
        """A player's packets, that one read has brought, as doors give them to its lane; what they were refused with."""
        lane, errors = self.lane(user_id), list[GameroomError]()
        for message in messages:
            try:
                self.assertTrue(lane.take(orjson.dumps(message), False, self.clock.seconds()))
            except GameroomError as error:
                lane.end()
                errors.append(error)
        lane.end()
        return errors

    def connection(self, user_id: str) -> FakeConnection:
        return self.room.here[user_id][0]

    def others_play(self, first: int, last: int) -> None:
        """Everybody but ann has played these generations, which may be as many as the input delay."""
        for player in self.players[1:]:
            for generation in range(first, last + 1):
                self.send(player.user_id, generation)


class TogetherTests(LaneCase):
    """Packets that complete several generations at once."""

    options: ClassVar = {"input_delay": 4}

    def test_recorded_and_told_together(self) -> None:
        """One write, and one message of several to each connection; the recording is what it would have been."""
        self.begin()
        told: list[tuple[str, list[int]]] = []
        for user_id in ("ann", "vic"):
            connection = self.connection(user_id)
            real = connection.deliver_all

            def deliver_all(outgoings: Outgoings, user_id: str = user_id, real: Callable[[Outgoings], None] = real) -> None:
                told.append((user_id, [json.loads(message.data)["generation"] for message in outgoings.messages]))
                real(outgoings)

            connection.deliver_all = deliver_all  # type: ignore[method-assign]
        self.others_play(0, 3)
        self.clock.advance(0.5)
        with mock.patch("gameroom.store.recording.os.write", wraps=os.write) as write:
            self.come_together("ann", *[commands(generation, generation) for generation in range(3)])
        self.assertEqual(write.call_count, 1)
        self.assertEqual(sorted(told), [("ann", [0, 1, 2]), ("vic", [0, 1, 2])])
        self.assertEqual(
            [(line["t"], line["generation"], line["commands"]) for line in self.lines()[1:]], [(500, at, {"0": [at]}) for at in range(3)]
        )
        self.come_together("ann", commands(3))
        self.assertEqual((len(told), self.connection("bob").generations()), (2, [0, 1, 2, 3]))
        self.assertEqual((self.metrics.turn_seconds.count, self.waited()), (4, 4))

    def waited(self) -> float:
        """How many turns were measured."""
        samples = [sample for family in self.metrics.collect() for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name == "gameroom_turn_seconds_count")

    def test_not_before_the_end(self) -> None:
        """Until all that came together was taken nobody is told, and nothing is recorded."""
        self.begin()
        self.others_play(0, 1)
        lane = self.lane("ann")
        for generation in range(2):
            lane.take(orjson.dumps(commands(generation)), False, self.clock.seconds())
        self.assertEqual((len(self.lines()), self.connection("ann").generations()), (1, []))
        lane.end()
        lane.end()
        self.assertEqual((len(self.lines()), self.connection("ann").generations()), (3, [0, 1]))

    def test_between_other_effects(self) -> None:
        """What a packet brings besides masters stands behind those before it, and before those after it."""
        self.begin()
        self.others_play(0, 2)
        ann = self.connection("ann")
        self.come_together("ann", commands(0), commands(0), commands(1), commands(2))
        self.assertEqual(ann.generations(), [0, 0, 1, 2])
        self.others_play(3, 5)
        self.come_together("ann", commands(3), commands(5), commands(4))
        self.assertEqual([json.loads(outgoing.data)["type"] for outgoing in ann.got[-4:]], ["master", "resend", "master", "master"])

    def test_state_changes(self) -> None:
        """The end of a lag is told before the masters that come with it."""
        self.begin()
        for generation in range(3):
            self.send("bob", generation)
        self.wait(2)
        self.assertEqual(self.room.states[-1][0], "running.paused.lagging")
        seen: list[Any] = []
        self.room.show_state = lambda state, **about: seen.append(state)  # type: ignore[method-assign]
        self.connection("bob").deliver = seen.append  # type: ignore[method-assign,assignment]
        self.come_together("ann", commands(0), commands(1))
        self.assertEqual([each if isinstance(each, str) else json.loads(each.data)["generation"] for each in seen], [ITERATING, 0, 1])

    def test_refused_in_part(self) -> None:
        """Who is told what is wrong has been given the master that its packet completed."""
        self.begin()
        self.others_play(0, 2)
        errors = self.come_together("ann", commands(0), commands(1, "x" * (16 << 10)), commands(7), commands(2))
        self.assertEqual([type(error) for error in errors], [InvalidRequest, BadState])
        self.assertEqual(self.connection("ann").generations(), [0, 1, 2])
        self.assertEqual(self.lines()[2]["commands"], {})

    def test_disk_full(self) -> None:
        """None of them is in the recording nor told, and the play is over; its lanes are closed."""
        self.begin()
        self.turns(0, 0)
        self.others_play(1, 3)
        lane = self.lane("ann")
        with mock.patch("gameroom.store.recording.os.write", side_effect=OSError(28, "No space left on device")):
            self.come_together("ann", commands(1), commands(2))
        self.assertEqual(self.room.ended, [("recording_failed", None)])
        self.assertEqual((self.connection("ann").generations(), [line["type"] for line in self.lines()]), ([0], ["play", "master"]))
        self.assertEqual((lane.open, self.metrics.turn_seconds.count), (False, 1))
        self.assertFalse(lane.take(orjson.dumps(commands(3)), False, self.clock.seconds()))
        lane.end()
        self.assertEqual(len(self.lines()), 2)

    def test_full_for_a_moment(self) -> None:
        """Nothing is recorded nor told behind the end, also where a snapshot waits for its hash."""
        for watched in (False, True):
            self.lay(**self.options)
            self.begin()
            self.turns(0, 0)
            self.others_play(1, 3)
            stage = self.referee._stage
            assert stage is not None
            if watched:
                stage._watch()
            self.fail_once()
            self.come_together("ann", commands(1), commands(2))
            self.assertEqual([line["type"] for line in self.lines()], ["play", "master", "over"])
            self.assertEqual((self.room.ended, self.connection("bob").generations()), ([("recording_failed", None)], [0]))

    def fail_once(self) -> None:
        real, errors = os.write, [OSError(28, "No space left on device")]

        def write(fd: int, data: bytes) -> int:
            if errors:
                raise errors.pop()
            return real(fd, data)

        self.patch(os, "write", write)

    def test_watched(self) -> None:
        """While a snapshot waits for its hash to be agreed it is looked at after each master."""
        self.begin()
        self.others_play(0, 2)
        stage = self.referee._stage
        assert stage is not None
        stage._watch()
        looked: list[list[int]] = []
        stage.snapshots.look = lambda: looked.append(self.connection("bob").generations())  # type: ignore[method-assign]
        self.come_together("ann", commands(0), commands(1))
        self.assertEqual(looked, [[0], [0, 1]])
        self.come_together("ann", commands(2))
        self.assertEqual((len(looked), self.connection("bob").generations()), (2, [0, 1, 2]))

    def test_reader_is_cut(self) -> None:
        """One that goes while it is given something: the others get all of it, and what its going brings comes after."""
        self.begin()
        self.others_play(0, 1)

        def cut(outgoings: Outgoings) -> None:
            self.go("bob")
            self.say("ann", {"type": "drop", "seat": 1})

        self.connection("bob").deliver_all = cut  # type: ignore[method-assign]
        ann, vic = self.connection("ann"), self.connection("vic")
        self.come_together("ann", commands(0), commands(1), commands(2))
        self.assertEqual((ann.generations(), vic.generations()), ([0, 1, 2], [0, 1, 2]))
        self.assertEqual([line.get("system") for line in self.lines()[1:]], [None, None, [{"dropped": 1}]])

    def test_over_amid_them(self) -> None:
        """Nothing behind the end of the play is taken."""
        self.begin()
        self.turns(0, 0)
        self.others_play(1, 3)
        lane = self.lane("ann")
        lane.take(orjson.dumps(commands(1)), False, self.clock.seconds())
        stage = self.referee._stage
        assert stage is not None
        lane.end()
        stage.over("finished")
        self.assertFalse(lane.take(orjson.dumps(commands(2)), False, self.clock.seconds()))
        lane.end()
        self.assertEqual([line["type"] for line in self.lines()], ["play", "master", "master", "over"])


class TogetherOnTheDiskTests(LaneCase):
    options: ClassVar = {"input_delay": 4, "journal": "sync"}

    def test_told_when_on_the_disk(self) -> None:
        """None is told before it is on the disk, and then each in order."""
        self.begin()
        self.threads = []
        self.others_play(0, 2)
        self.come_together("ann", commands(0), commands(1))
        self.assertEqual((len(self.lines()), self.connection("ann").generations()), (3, []))
        self.release()
        self.assertEqual(self.connection("ann").generations(), [0, 1])
        self.come_together("ann", commands(2))
        self.assertEqual(self.connection("ann").generations(), [0, 1])
        self.release()
        self.assertEqual(self.connection("ann").generations(), [0, 1, 2])


class TogetherDelayedTests(LaneCase):
    options: ClassVar = {"input_delay": 4, "viewer_delay": 2}

    def test_viewers_are_held_back(self) -> None:
        """They are given each when its time has come, with what was said meanwhile between them."""
        self.begin()
        self.others_play(0, 3)
        self.come_together("ann", commands(0))
        self.referee.chat(Outgoing.json({"type": "chat", "text": "one"}))
        self.come_together("ann", commands(1), commands(2), commands(3))
        self.assertEqual(self.connection("vic").story(), ["start", "0-1", "chat"])
        self.assertEqual(self.connection("bob").story(), ["start", "0-0", "chat", "1-3"])


class OpenTests(LaneCase):
    """Who has a lane, and for how long."""

    third = True

    def test_who(self) -> None:
        """Players of a play that is on; always the same one."""
        self.assertIsNone(self.referee.lane("ann"))
        self.begin()
        self.assertIs(self.referee.lane("ann"), self.lane("ann"))
        self.assertIsNot(self.referee.lane("bob"), self.lane("ann"))
        self.assertIsNone(self.referee.lane("vic"))
        self.assertIsNone(self.referee.lane("nobody"))

    def test_until_the_end(self) -> None:
        """All of them; the next play has its own."""
        self.begin()
        lanes = [self.lane(user_id) for user_id in NAMES]
        self.assertEqual([lane.open for lane in lanes], [True] * 3)
        self.referee.end()
        self.assertEqual([lane.open for lane in lanes], [False] * 3)
        self.assertIsNone(self.referee.lane("ann"))
        self.players = self.players[:2]
        self.successResultOf(self.referee.begin(PLAY.replace("1", "2"), self.players))
        self.referee.begun()
        self.assertTrue(self.lane("ann").open)
        self.assertFalse(lanes[0].open)
        self.assertIsNone(self.referee.lane("cat"))

    def test_until_it_is_over(self) -> None:
        """Also before the room lets go of the play."""
        self.begin()
        lane, stage = self.lane("ann"), self.referee._stage
        assert stage is not None
        stage.over("finished")
        self.assertEqual((lane.open, self.referee.lane("ann")), (False, None))

    def test_until_one_leaves(self) -> None:
        """Its own, and no other; also where it was taking just now."""
        self.begin()
        ann, bob = self.lane("ann"), self.lane("bob")
        del self.room.members["bob"]
        self.referee.left("bob", 1, "left")
        self.assertEqual((ann.open, bob.open, self.referee.lane("bob")), (True, False, None))
        self.assertFalse(bob.take(orjson.dumps(commands(0)), False, self.clock.seconds()))

    def test_stays(self) -> None:
        """While a player is away, when it comes back, and when another connection takes over."""
        self.begin()
        lane = self.lane("bob")
        self.go("bob")
        self.come("bob")
        self.come("bob")
        self.assertEqual((lane.open, self.referee.lane("bob")), (True, lane))

    def test_what_it_takes(self) -> None:
        """Packets of the room's kind; nothing is done with anything else, and nobody is refused for it."""
        for binary in (False, True):
            self.lay(encoding="binary" if binary else "json")
            self.begin()
            lane, now = self.lane("ann"), self.clock.seconds()
            packet = encode_command(CommandPacket(0, 50, 60, -1, 0, b"")) if binary else orjson.dumps(commands(0))
            others = [b"", b"[1", b"[]", b"7", b"\xff", b"{}", b'{"type":7}', b'{"type":"chat","text":"commands"}', orjson.dumps(commands(0, id=1))]
            for other in others:
                self.assertFalse(lane.take(other, False, now), other)
            self.assertFalse(lane.take(packet, not binary, now))
            for user_id in ("bob", "cat"):
                self.assertTrue(self.lane(user_id).take(packet, binary, now))
            self.assertEqual(len(self.lines()), 1)
            self.assertTrue(lane.take(packet, binary, now))
            lane.end()
            self.assertEqual(len(self.lines()), 2)

    def test_put_out(self) -> None:
        """Who was put out is told so, as on the long way."""
        self.lay(on_divergence="evict")
        self.begin()
        self.hashed(0, 9)
        self.hashed(10, 10, cat="other")
        self.say("ann", {"type": "snapshot", "generation": 10, "checksum": "h10", "state": {}})
        for generation in range(11, 14):
            for name in ("ann", "bob"):
                self.send(name, generation, checksum={"generation": generation - 2, "value": f"h{generation - 2}"})
        self.assertIsNone(self.referee._stage and self.referee._stage.seat_of("cat"))
        lane = self.lane("cat")
        long_way = self.assertRaises(Forbidden, self.send, "cat", 14)
        error = self.assertRaises(Forbidden, lane.take, orjson.dumps(commands(14)), False, self.clock.seconds())
        self.assertEqual(error.message, long_way.message)


class _World(LaneCase):
    """One of two that are given the same."""

    third = True
    __test__ = False

    def setUp(self) -> None:
        """No room yet."""

    def runTest(self) -> None:
        """It is used for what it has, and runs nothing."""

    def start(self, options: dict[str, Any], shortly: bool) -> None:
        self.lay(**options)
        self.shortly, self.binary = shortly, options["encoding"] == "binary"
        self.begin()
        if options["journal"] == "sync":
            self.threads = []

    def read(self, user_id: str, packets: Sequence[Any]) -> None:
        """One read of a player's connection brings these."""
        connection = self.room.here.get(user_id)
        if not connection or user_id not in self.room.members:
            return
        lane = self.referee.lane(user_id) if self.shortly else None
        for packet in packets:
            try:
                if lane is None or not lane.take(packet, self.binary, self.clock.seconds()):
                    if lane is not None:
                        lane.end()
                    self.take_long(user_id, packet, connection[0])
            except GameroomError as error:
                if lane is not None:
                    lane.end()
                connection[0].deliver(Outgoing.json({"type": "error", "code": error.code, "message": error.message}))
        if lane is not None:
            lane.end()

    def take_long(self, user_id: str, packet: bytes, connection: FakeConnection) -> None:
        if self.binary:
            self.referee.packet(user_id, packet, connection)
            return
        message = orjson.loads(packet)
        self.referee.text(user_id, message, connection)

    def do(self, name: str, what: Any) -> None:
        if name == "disk":
            while self.threads:
                self.release()
        elif name == "wait":
            self.wait(what)
        elif name == "go" and self.room.here.get(what):
            self.go(what)
        elif name == "come":
            self.come(what)
        elif name == "leave" and what in self.room.members:
            del self.room.members[what]
            self.room.here.pop(what, None)
            self.referee.left(what, NAMES.index(what), "left")
        elif name in NAMES:
            self.read(name, what)

    def seen(self) -> tuple[Any, ...]:
        told = {
            name: [(outgoing.binary, outgoing.data) for outgoing in connections[0].got] for name, connections in self.room.here.items() if connections
        }
        stage = self.referee._stage
        assert stage is not None
        play = stage.play
        rules = play.generation, play.state, {seat: str(status) for seat, status in play.seats.status.items()}
        metrics = [(sample.name, sample.value) for family in self.metrics.collect() for sample in family.samples if "created" not in sample.name]
        return told, self.room.states, self.room.ended, rules, self.recordings.path(PLAY).read_bytes(), metrics


def packet_of(binary: bool, generation: int, number: int, value: str | None, odd: str) -> bytes:
    """A player's packet; `value` is its hash of two generations before."""
    about = generation - 2 if value is not None and generation >= 2 else -1
    if binary:
        if odd == "kind":
            return b"\2" + bytes(30)
        if odd == "short":
            return b"\1\0\0"
        checksum = 7 if value == "good" else 8
        size = (17 << 10) if odd == "large" else number % 40
        data = encode_command(CommandPacket(generation, 50, 60, about, checksum, bytes(size)))
        return data[:1] + b"\2" + data[2:] if odd == "flags" else data
    fields: dict[str, Any] = {} if about < 0 else {"checksum": {"generation": about, "value": value}}
    if odd == "large":
        fields["commands"] = ["x" * (17 << 10)]
    elif odd == "kind":
        fields["commands"] = None
    elif odd == "short":
        fields["latency"] = -1
    elif odd == "flags":
        fields["id"] = 3
    return orjson.dumps(commands(generation, *[number] * (number % 3), **fields))


ODDITIES = st.sampled_from([*[""] * 12, "kind", "short", "flags", "large"])
PACKETS = st.tuples(st.sampled_from([0, 0, 0, 0, 0, 1, -1, -2, 3, 9]), st.sampled_from(["good", "good", "good", "good", "bad", None]), ODDITIES)
STEPS = st.one_of(
    st.tuples(st.sampled_from(NAMES), st.lists(PACKETS, min_size=1, max_size=5)),
    st.tuples(st.sampled_from(NAMES), st.lists(PACKETS, min_size=1, max_size=5)),
    st.tuples(st.just("all"), st.integers(1, 4)),
    st.tuples(st.just("all"), st.integers(1, 4)),
    st.tuples(st.just("disk"), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 0.6, 1.1, 6.0])),
    st.tuples(st.sampled_from(["go", "come"]), st.sampled_from([*NAMES, "vic"])),
    st.tuples(st.sampled_from(["come", "come", "leave"]), st.sampled_from(NAMES)),
)


class BothWaysTests(SynchronousTestCase):
    """The same is given to two referees, to one packet by packet, and to the other by lanes, as much as comes together."""

    @settings(max_examples=150, deadline=None)
    @given(
        st.fixed_dictionaries(
            {
                "encoding": st.sampled_from(["json", "binary"]),
                "journal": st.sampled_from(["async", "async", "sync"]),
                "input_delay": st.integers(1, 4),
                "on_divergence": st.sampled_from(["halt", "evict", "resync"]),
                "viewer_delay": st.sampled_from([0, 0, 2]),
            }
        ),
        st.lists(STEPS, max_size=25),
    )
    def test_the_same(self, options: dict[str, Any], steps: list[tuple[str, Any]]) -> None:
        """All are told the same in the same order, and the recording is the same, byte for byte."""
        worlds = [_World(), _World()]
        for world, shortly in zip(worlds, (False, True), strict=True):
            world.start(options, shortly)
        for number, (name, what) in enumerate(steps):
            for deed, about in self.deeds(worlds[0], name, what, number):
                for world in worlds:
                    if not world.room.ended:
                        world.do(deed, about)
                self.assertEqual(worlds[0].seen(), worlds[1].seen())
        for world in worlds:
            world.threads = None
            world.referee.end()
        self.assertEqual(worlds[0].recordings.path(PLAY).read_bytes(), worlds[1].recordings.path(PLAY).read_bytes())

    def deeds(self, world: _World, name: str, what: Any, number: int) -> list[tuple[str, Any]]:
        """A step as what is done to each world."""
        assert world.referee._stage is not None
        start = world.referee._stage.play.generation
        if name == "all":
            packets = [packet_of(world.binary, start + ahead, number, "good", "") for ahead in range(what)]
            return [(player, packets) for player in NAMES]
        if name in NAMES:
            found = [packet_of(world.binary, max(0, start + at + ahead), number, value, odd) for at, (ahead, value, odd) in enumerate(what)]
            return [(name, found)]
        return [(name, what)]
