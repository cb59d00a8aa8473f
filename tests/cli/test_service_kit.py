"""The kit for micro game services in Python: its Protocol Buffers are Google's, and its updates are what the spec says."""

from __future__ import annotations

import ast
import json
import struct
import sys
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.wire import game_service as wire
from gameroom.wire.game_service_messages import GAME_STATE, GAME_UPDATE, PROTO
from tests.cli.kits import KIT, ROOT, TEMPLATE

UPDATE, STATE = PROTO.class_of(GAME_UPDATE), PROTO.class_of(GAME_STATE)
EVENTS = ("started", "message", "joined", "left", "timer")

uint32, uint64, int64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1)
binary, text = st.binary(max_size=200), st.text(max_size=30)
players = st.fixed_dictionaries({"seat": uint32, "id": text, "name": text, "connected": st.booleans()})
one_event = st.one_of(
    st.fixed_dictionaries({"started": st.fixed_dictionaries({"config": binary, "seed": uint64})}),
    st.fixed_dictionaries({"message": st.fixed_dictionaries({"seat": uint32, "data": binary, "text": st.booleans()})}),
    st.fixed_dictionaries({"joined": st.fixed_dictionaries({"seat": uint32})}),
    st.fixed_dictionaries({"left": st.fixed_dictionaries({"seat": uint32, "reason": text})}),
    st.fixed_dictionaries({"timer": st.fixed_dictionaries({"due_ms": int64})}),
    st.just({}),
)
updates = st.builds(
    lambda common, event: {**common, **event},
    st.fixed_dictionaries(
        {"request": uint64, "room_id": text, "sequence": uint64, "state": binary, "players": st.lists(players, max_size=4)},
        optional={"now_ms": int64, "game_id": text, "version": text},
    ),
    one_event,
)
outgoing = st.fixed_dictionaries({"data": binary, "text": st.booleans()})
states = st.fixed_dictionaries(
    {"request": uint64, "sequence": uint64},
    optional={
        "state": binary,
        "broadcast": st.lists(outgoing, max_size=3),
        "views": st.lists(st.fixed_dictionaries({"seat": uint32, "data": binary, "text": st.booleans()}), max_size=3),
        "timer_ms": uint32,
        "finished": st.fixed_dictionaries({"results": binary}),
        "rejected": st.fixed_dictionaries({"code": uint32, "message": text}),
    },
)


def varint(value: int) -> bytes:
    return bytes(KIT.to_varint(value))


def a_field(number: int, kind: int, value: int, inside: bytes) -> bytes:
    """A field of any kind, as another program might send it."""
    body = {0: varint(value), 1: struct.pack("<Q", value), 2: varint(len(inside)) + inside, 5: struct.pack("<I", value & 0xFFFFFFFF)}
    return varint(number << 3 | kind) + body.get(kind, b"")


numbers = st.one_of(st.integers(1, 14), st.integers(1, 2**29 - 1))
kinds = st.sampled_from([0, 1, 2, 5])
small_fields = st.lists(st.builds(a_field, numbers, kinds, uint64, binary), max_size=3).map(b"".join)
fields = st.lists(st.builds(a_field, numbers, kinds, uint64, st.one_of(binary, small_fields)), max_size=6).map(b"".join)
"""Fields in any order, more than once, unknown ones, and known ones of the wrong kind."""


def as_read(said: Any) -> dict[str, Any]:
    """What Google's library has read, as the kit has it."""
    found: dict[str, Any] = {}
    for field in said.DESCRIPTOR.fields:
        value = getattr(said, field.name)
        if field.is_repeated:
            found[field.name] = [as_read(each) if field.message_type else each for each in value] or None
        elif field.message_type or field.has_presence:
            there = said.HasField(field.name)
            found[field.name] = (as_read(value) if field.message_type else value) if there else None
        else:
            found[field.name] = value
    return found


def read_by_kit(message: Any, data: bytes) -> dict[str, Any]:
    """Of events only the last one counts; `event` names it."""
    found: dict[str, Any] = KIT.read(message, data)
    if message == "GameUpdate":
        last = found.pop("event", None)
        found.update({name: None for name in EVENTS if name != last})
    return found


class CodecTests(SynchronousTestCase):
    @given(updates)
    def test_updates_are_read(self, values: dict[str, Any]) -> None:
        """What Google's library writes is read, and written again byte for byte."""
        said = UPDATE(**values)
        data = said.SerializeToString(deterministic=True)
        found = read_by_kit("GameUpdate", data)
        self.assertEqual(found, as_read(said))
        self.assertEqual(KIT.write("GameUpdate", found), data)

    @given(states)
    def test_states_are_written(self, values: dict[str, Any]) -> None:
        """What the kit writes is what Google's library writes, byte for byte; and is read by both as it was."""
        said = STATE(**values)
        data = KIT.write("GameState", values)
        self.assertEqual(data, said.SerializeToString(deterministic=True))
        self.assertEqual(STATE.FromString(data), said)
        self.assertEqual(read_by_kit("GameState", data), as_read(said))

    @given(st.one_of(fields, binary, st.builds(lambda a, b: a + b, fields, binary)))
    @example(varint(6 << 3 | 2) + b"\x02\x10\x07" + varint(7 << 3 | 2) + b"\x00" + varint(6 << 3 | 2) + b"\x00")
    @example(b"\x08" + b"\x80" * 9 + b"\x01")
    @example(b"\x08" + b"\xff" * 9 + b"\x7f")
    @example(b"\x08" + b"\x80" * 10 + b"\x01")
    @example(b"\x88\x80\x80\x80\x00\x01")
    @example(b"\x88\x80\x80\x80\x80\x00\x01")
    @example(b"\x00\x00")
    def test_any_bytes(self, data: bytes) -> None:
        """Whatever comes is refused by both, or read as the same by both. Groups, which gameroom has none of, are always refused."""
        for theirs, ours in ((UPDATE, "GameUpdate"), (STATE, "GameState")):
            try:
                found = read_by_kit(ours, data)
            except ValueError as error:
                if "group" not in str(error):
                    self.assertRaises(DecodeError, theirs.FromString, data)
            else:
                self.assertEqual(found, as_read(theirs.FromString(data)))

    @given(updates, st.integers(1, 100))
    def test_torn(self, values: dict[str, Any], missing: int) -> None:
        """A message that lacks its end is refused where Google's library refuses it, and never anything but ValueError."""
        data = UPDATE(**values).SerializeToString()[:-missing]
        try:
            said = UPDATE.FromString(data)
        except DecodeError:
            self.assertRaises(ValueError, KIT.read, "GameUpdate", data)
        else:
            self.assertEqual(read_by_kit("GameUpdate", data), as_read(said))


def asked(event: wire.Event, state: bytes = b"", sequence: int = 7) -> bytes:
    ann, bob = wire.Player(0, "ann", "Ann", True), wire.Player(1, "bob", "Bob", False)
    return wire.update_to_bytes(
        wire.Update(
            request=3, room_id="a-room", sequence=sequence, state=state, players=(ann, bob), event=event, now_ms=1000, game_id="g", version="1.0.0"
        )
    )


def message(body: object = None, state: bytes = b"{}") -> bytes:
    return asked(wire.Message(1, json.dumps(body).encode(), True), state)


class AnswerTests(SynchronousTestCase):
    def answered(self, update: Any, data: bytes) -> wire.State:
        """The answer as gameroom takes it; what is printed is in `self.printed`."""
        printed = StringIO()
        with redirect_stderr(printed):
            data = KIT.answer(update, data)
        self.printed = printed.getvalue()
        return wire.state_from_bytes(data)

    def failed(self, update: Any, data: bytes) -> str:
        """An update that fails is rejected, in words that tell a player nothing; gives what its developer is told."""
        state = self.answered(update, data)
        self.assertEqual(state, wire.State(request=3, sequence=7, rejected=wire.Rejected(105, "the game's rules failed")))
        self.assertIn("room a-room, update 7", self.printed)
        return self.printed

    def test_what_an_update_sees(self) -> None:
        """Each event with what belongs to it."""
        seen: list[tuple[Any, Any]] = []

        def update(state: Any, event: Any) -> Any:
            seen.append((state, event))
            return state or {}

        for event in (
            wire.Started(b'{"a":1}', 9),
            wire.Message(1, b'{"b":[null]}', True),
            wire.Message(0, b"\x00\xff", False),
            wire.Joined(1),
            wire.Left(0, "away"),
            wire.Timer(1234),
        ):
            self.answered(update, asked(event, b"" if isinstance(event, wire.Started) else b'{"x":"\xc3\xa4"}'))
        self.assertEqual([state for state, _ in seen], [None] + [{"x": "ä"}] * 5)
        started, said, binary, joined, left, timer = (event for _, event in seen)
        self.assertEqual([event.kind for _, event in seen], ["started", "message", "message", "joined", "left", "timer"])
        self.assertEqual((started.config, started.seed), ({"a": 1}, 9))
        self.assertEqual((said.seat, said.body, said.data), (1, {"b": [None]}, None))
        self.assertEqual((binary.seat, binary.body, binary.data), (0, None, b"\x00\xff"))
        self.assertEqual((joined.seat, left.seat, left.reason, timer.due_ms), (1, 0, "away", 1234))
        self.assertEqual((timer.now_ms, timer.sequence, timer.room_id, timer.game_id, timer.version), (1000, 7, "a-room", "g", "1.0.0"))
        self.assertEqual([tuple(player) for player in timer.players], [(0, "ann", "Ann", True), (1, "bob", "Bob", False)])

    def test_what_an_update_says(self) -> None:
        """Broadcasts, views, a timer and the end, as they were when they were said."""

        def update(state: Any, event: Any) -> Any:
            body = {"b": 2, "a": 1}
            event.broadcast(body)
            body["a"] = 5
            event.broadcast(b"\x01")
            event.view("1", ["ä"])
            event.view(0, bytearray(b"\x02"))
            event.timer(1.5)
            event.finish({"winner": 0})
            return {"z": 1, "y": {"b": 1, "a": 2}}

        state = self.answered(update, message())
        self.assertEqual(state.state, b'{"y":{"a":2,"b":1},"z":1}')
        self.assertEqual(state.broadcast, (wire.Said(b'{"a":1,"b":2}', True), wire.Said(b"\x01", False)))
        self.assertEqual(state.views, (wire.View(1, '["ä"]'.encode(), True), wire.View(0, b"\x02", False)))
        self.assertEqual((state.timer_ms, state.finished, state.request, state.sequence), (1500, wire.Finished(b'{"winner":0}'), 3, 7))

    def test_timers(self) -> None:
        """None takes a timer back, at once is a millisecond, and nothing said leaves it as it is."""
        for seconds, timer_ms in ((None, 0), (0, 1), (-3, 1), (2, 2000)):

            def update(state: Any, event: Any, seconds: Any = seconds) -> Any:
                event.timer(seconds)
                return state

            self.assertEqual(self.answered(update, message()).timer_ms, timer_ms)
        self.assertEqual(self.answered(lambda state, event: state, message()).timer_ms, None)

    def test_an_end_without_more(self) -> None:
        """What ends needs no results, and no state."""

        def update(state: Any, event: Any) -> None:
            event.finish()

        self.assertEqual(self.answered(update, message()).finished, wire.Finished(b""))

    def test_rejected(self) -> None:
        """The sender's answer is what the author wrote; nothing else of the update counts."""
        for no, rejected in (
            (KIT.Rejected("not your turn"), wire.Rejected(105, "not your turn")),
            (KIT.Rejected("what?", code=100), wire.Rejected(100, "what?")),
            (KIT.Rejected("x\ud800", code="no"), wire.Rejected(105, "x?")),
            (KIT.Rejected("x", code=-1), wire.Rejected(105, "x")),
        ):

            def update(state: Any, event: Any, no: Exception = no) -> Any:
                event.broadcast("never seen")
                raise no

            self.assertEqual(self.answered(update, message()), wire.State(request=3, sequence=7, rejected=rejected))
            self.assertEqual(self.printed, "")

    def test_an_update_that_fails(self) -> None:
        """It is rejected, and its developer gets the traceback; nobody else's room is touched."""
        self.assertIn("KeyError: 'gone'", self.failed(lambda state, event: state["gone"], message()))
        self.assertIn("return the next state", self.failed(lambda state, event: None, message()))
        self.assertIn("JSONDecodeError", self.failed(lambda state, event: state, message(state=b"not JSON")))
        self.assertIn("set is not JSON", self.failed(lambda state, event: {1, 2}, message()))
        self.assertIn("RecursionError", self.failed(lambda state, event: state, message(state=b"[" * 100_000)))
        self.assertIn("float", self.failed(lambda state, event: float("nan"), message()))

    def test_what_its_developer_is_told(self) -> None:
        """Where it is in what they wrote, and what is wrong with it: nothing of the kit's own, and nothing of Python's JSON."""

        def broadcasts(state: Any, event: Any) -> Any:
            event.broadcast({"picked": {1}})

        printed = self.failed(broadcasts, message())
        self.assertIn("in broadcasts\n", printed)
        self.assertTrue(printed.endswith("TypeError: what is sent is not JSON: Object of type set is not JSON serializable\n"), printed)
        self.assertNotIn("gameroom_service.py", printed)
        self.assertNotIn("encoder.py", printed)
        printed = self.failed(lambda state, event: {"a": {1}}, message())
        self.assertEqual(printed.splitlines()[1:], ["TypeError: the state is not JSON: Object of type set is not JSON serializable"])

    def test_one_that_took_too_long_is_answered_at_once_when_it_comes_again(self) -> None:
        """On a busy machine its seconds of computing outlast gameroom's patience: computed anew each time it would never be answered."""
        calls: list[Any] = []

        def update(state: Any, event: Any) -> Any:
            calls.append(event)
            raise KIT.TooSlow("it has run for long")

        self.addCleanup(KIT.STOPPED.clear)
        self.assertIn("it has run for long", self.failed(update, message()))
        self.assertIn("took too long before", self.failed(update, message()))
        self.assertEqual(len(calls), 1)
        KIT.STOPPED.clear()
        self.failed(update, message())
        self.assertEqual(len(calls), 2)

    def test_more_than_gameroom_takes(self) -> None:
        """An answer that gameroom would not take would be asked for again and again: it is a failed update instead."""

        def shows(body: Any) -> Any:
            def update(state: Any, event: Any) -> Any:
                event.broadcast(b"x")
                event.view(0, body)
                return state

            return update

        deep: Any = []
        for _ in range(220):
            deep = [deep]
        self.assertIn("the state would have 1048577 bytes", self.failed(lambda state, event: "x" * ((1 << 20) - 1), message()))
        self.assertIn("cannot say more than 1048576 bytes", self.failed(shows(b"x" * (1 << 20)), message()))
        self.assertIn("nested too deeply", self.failed(shows(deep), message()))
        self.assertIn("results would have", self.failed(lambda state, event: event.finish("x" * (16 << 10)), message()))
        self.assertIn("a seat cannot be -1", self.failed(lambda state, event: event.view(-1, 1), message()))
        self.assertIn("milliseconds cannot be", self.failed(lambda state, event: event.timer(1e9), message()))
        self.assertEqual(len(self.answered(shows(b"x" * ((1 << 20) - 1)), message()).views), 1)
        self.assertEqual(len(self.answered(shows([{}] * 300), message()).views), 1)

    def test_a_newer_gameroom(self) -> None:
        """An event that the kit does not know changes nothing, and is nobody's fault."""
        data = KIT.write("GameUpdate", {"request": 3, "sequence": 7, "state": b"1"})
        state = self.answered(lambda state, event: self.fail("called"), data)
        self.assertEqual((state.rejected and state.rejected.code, self.printed), (100, ""))

    def test_the_same_again(self) -> None:
        """The same update has the same answer, byte for byte, whatever the order in which a dict was filled."""
        orders = [["a", "b"], ["b", "a"]]
        answers = {KIT.answer(lambda state, event, order=order: dict.fromkeys(order, 1), message()) for order in orders}
        self.assertEqual(len(answers), 1)


class CopiesTests(SynchronousTestCase):
    def test_the_kit_is_one(self) -> None:
        """Wherever there is a copy of the kit it is the template's, so that what is held here holds there."""
        copies = [*ROOT.glob("examples/*/gameroom_service.py"), *ROOT.glob("gameroom/games/*/gameroom_service.py")]
        self.assertTrue(copies)
        kit = (TEMPLATE / "gameroom_service.py").read_text()
        self.assertEqual([path for path in copies if path.read_text() != kit], [])

    def test_nothing_but_the_standard_library(self) -> None:
        """A sandbox has Python as the system has it."""
        tree = ast.parse((TEMPLATE / "gameroom_service.py").read_text(), feature_version=(3, 9))
        names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        self.assertLess({name.partition(".")[0] for name in names}, set(sys.stdlib_module_names))
        self.assertEqual([node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)], [])
