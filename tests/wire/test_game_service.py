"""What gameroom and a micro game service say to each other, in bytes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
import orjson
from google.protobuf.internal.encoder import _VarintBytes
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.wire import game_port
from gameroom.wire.game_service import (
    RESULTS_BYTES,
    SHOWN_BYTES,
    STATE_BYTES,
    Finished,
    Joined,
    Left,
    Message,
    Player,
    Rejected,
    Said,
    Started,
    State,
    Timer,
    Update,
    View,
    state_from_bytes,
    state_to_bytes,
    update_from_bytes,
    update_to_bytes,
)
from gameroom.wire.game_service_messages import GAME_STATE, GAME_UPDATE, PROTO, markdown
from gameroom.wire.messages import INT64, UINT32, UINT64
from gameroom.wire.prefixed import framed

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/protocol/game-service.md").read_text("utf-8")

uint32s, uint64s, int64s = st.integers(0, UINT32), st.integers(0, UINT64), st.integers(-INT64 - 1, INT64)
texts = st.text(max_size=8)
"""Strings that UTF-8 can say."""
datas = st.binary(max_size=40)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
).map(orjson.dumps)

players = st.builds(Player, seat=uint32s, id=texts, name=texts, connected=st.booleans())
events = st.one_of(
    st.builds(Started, config=datas, seed=uint64s),
    st.builds(Message, seat=uint32s, data=datas, text=st.booleans()),
    st.builds(Joined, seat=uint32s),
    st.builds(Left, seat=uint32s, reason=texts),
    st.builds(Timer, due_ms=int64s),
)
updates = st.builds(
    Update,
    request=uint64s,
    room_id=texts,
    sequence=uint64s,
    state=datas,
    players=st.lists(players, max_size=3).map(tuple),
    event=events,
    now_ms=int64s,
    game_id=texts,
    version=texts,
)
said = st.builds(Said, data=json, text=st.just(True)) | st.builds(Said, data=datas, text=st.just(False))
views = st.builds(View, seat=uint32s, data=json, text=st.just(True)) | st.builds(View, seat=uint32s, data=datas, text=st.just(False))
rejected_states = st.builds(State, request=uint64s, sequence=uint64s, rejected=st.builds(Rejected, code=uint32s, message=texts))
states = rejected_states | st.builds(
    State,
    request=uint64s,
    sequence=uint64s,
    state=datas,
    broadcast=st.lists(said, max_size=3).map(tuple),
    views=st.lists(views, max_size=3).map(tuple),
    timer_ms=st.none() | uint32s,
    finished=st.none() | st.builds(Finished, results=json | st.just(b"")),
)

GoogleUpdate, GoogleState = PROTO.class_of(GAME_UPDATE), PROTO.class_of(GAME_STATE)

ADA, BOB = Player(0, "ada", "Ada", True), Player(1, "bob", "Bob", False)
ABOUT: Any = {"room_id": "r1", "players": (ADA, BOB), "now_ms": 1_700_000_000_000, "game_id": "dice", "version": "1.0.0"}
GOLDEN: dict[str, Update | State] = {
    "GameUpdate, started": Update(request=1, sequence=1, state=b"", event=Started(b"{}", 42), **ABOUT),
    "GameUpdate, message": Update(request=2, sequence=2, state=b'{"bid":0}', event=Message(0, b'{"bid":3}', True), **ABOUT),
    "GameUpdate, message: a binary frame": Update(request=3, sequence=3, state=b"\x07", event=Message(1, b"\x00\xff", False), **ABOUT),
    "GameUpdate, joined": Update(request=4, sequence=4, state=b"\x07", event=Joined(1), **ABOUT),
    "GameUpdate, left": Update(request=5, sequence=5, state=b"\x07", event=Left(1, "away"), **ABOUT),
    "GameUpdate, timer": Update(request=6, sequence=6, state=b"\x07", event=Timer(1_700_000_030_000), **ABOUT),
    "GameState": State(
        request=2,
        sequence=2,
        state=b'{"bid":3}',
        broadcast=(Said(b'{"bid":3,"by":0}', True),),
        views=(View(1, b'{"your":"turn"}', True),),
        timer_ms=30_000,
    ),
    "GameState, the timer taken back": State(request=5, sequence=5, state=b"\x07", timer_ms=0),
    "GameState, finished": State(request=6, sequence=6, state=b"\x07", finished=Finished(b'{"winner":0}')),
    "GameState, rejected": State(request=3, sequence=3, rejected=Rejected(105, "it is not your turn")),
}


def to_bytes(value: Update | State) -> bytes:
    return update_to_bytes(value) if isinstance(value, Update) else state_to_bytes(value)


def from_bytes(value: Update | State, data: bytes) -> Update | State:
    return update_from_bytes(data) if isinstance(value, Update) else state_from_bytes(data)


class PageTests(SynchronousTestCase):
    """docs/protocol/game-service.md says what is so."""

    def test_golden(self) -> None:
        """Each message of the page is these bytes with their length before them, and these bytes are that message."""
        blocks = "\n".join(re.findall(r"```text\n(.*?)\n```", PAGE.partition("## Byte for byte")[2], re.DOTALL))
        found: dict[str, bytes] = {}
        title = ""
        for line in blocks.split("\n"):
            if re.fullmatch(r"(?:[0-9a-f]{2} ?)+", line):
                found[title] = found.get(title, b"") + bytes.fromhex(line)
            else:
                title = line
        self.assertEqual(found, {title: framed(to_bytes(value)) for title, value in GOLDEN.items()})
        for title, value in GOLDEN.items():
            self.assertEqual(from_bytes(value, found[title][4:]), value, title)

    def test_all(self) -> None:
        """Each message has its table, made of the declaration."""
        for message in PROTO.messages:
            self.assertIn(f"{markdown(message)}\n\n", PAGE)
            self.assertIn(f"`{message.name}`", PAGE)

    def test_proto(self) -> None:
        """The .proto file, which others compile, is what we speak; the page shows it."""
        text = (ROOT / "gameroom/wire/game.proto").read_text("utf-8")
        self.assertEqual(text, PROTO.proto())

    def test_both_files(self) -> None:
        """The two files are of one package, so who compiles both finds no name twice."""
        self.assertEqual(PROTO.package, game_port.PROTO.package)
        self.assertEqual({each.name for each in PROTO.messages} & {each.name for each in game_port.PROTO.messages}, set())


class CodecTests(SynchronousTestCase):
    @given(updates)
    def test_updates(self, update: Update) -> None:
        """What was said is read, and the same is said in the same bytes."""
        data = update_to_bytes(update)
        self.assertEqual(update_from_bytes(data), update)
        self.assertEqual(update_to_bytes(attrs.evolve(update, request=0), update.request), data)
        self.assertEqual(GoogleUpdate.FromString(data).SerializeToString(deterministic=True), data)

    @given(states)
    def test_states(self, state: State) -> None:
        """What was said is read; both rejected and the rest, too."""
        self.assertEqual(state_from_bytes(state_to_bytes(state)), state)

    @given(st.binary(max_size=60))
    def test_garbage(self, data: bytes) -> None:
        """Garbage gives a value or our error."""
        for read in (update_from_bytes, state_from_bytes):
            try:
                read(data)
            except InvalidRequest as problem:
                self.assertTrue(problem.message)

    @given(updates, states, st.data())
    def test_torn(self, update: Update, state: State, data: Any) -> None:
        """What was cut off or changed gives a value or our error."""
        for whole, read in ((update_to_bytes(update), update_from_bytes), (state_to_bytes(state), state_from_bytes)):
            cut = whole[: data.draw(st.integers(0, len(whole)))]
            other = bytearray(whole)
            if other:
                other[data.draw(st.integers(0, len(other) - 1))] = data.draw(st.integers(0, 255))
            for each in (cut, bytes(other)):
                try:
                    read(each)
                except InvalidRequest as problem:
                    self.assertTrue(problem.message)

    @given(states, st.integers(20, 2**29 - 1), st.binary(max_size=20))
    def test_unknown_fields(self, state: State, number: int, data: bytes) -> None:
        """Fields that are not known are passed over."""
        unknown = _VarintBytes(number << 3 | 2) + _VarintBytes(len(data)) + data
        self.assertEqual(state_from_bytes(unknown + state_to_bytes(state) + unknown), state)

    def test_last_event_counts(self) -> None:
        """Of two events the last one counts, as everywhere in Protocol Buffers; without one there is none."""
        two = update_to_bytes(GOLDEN["GameUpdate, started"]) + GoogleUpdate(timer={"due_ms": 5}).SerializeToString()  # type: ignore[arg-type]
        self.assertEqual(update_from_bytes(two).event, Timer(5))
        with self.assertRaisesRegex(InvalidRequest, "this GameUpdate has no event"):
            update_from_bytes(b"")

    def test_unsayable(self) -> None:
        """Numbers that do not fit are a mistake of ours."""
        update = attrs.evolve(GOLDEN["GameUpdate, started"], sequence=-1)
        self.assertRaises(ValueError, update_to_bytes, update)
        self.assertRaises(ValueError, state_to_bytes, State(request=2**64, sequence=1))


class StateTests(SynchronousTestCase):
    """What a service may not answer."""

    def refused(self, words: str, **fields: Any) -> None:
        with self.assertRaises(InvalidRequest) as raised:
            state_from_bytes(GoogleState(**fields).SerializeToString())
        self.assertIn(words, raised.exception.message)

    def test_refused(self) -> None:
        """Each fault has its sentence."""
        deep = b"[" * 250 + b"]" * 250
        self.refused("state may have at most 1024 KiB; here it has 1048577 bytes", state=bytes(STATE_BYTES + 1))
        self.refused(
            "broadcast and views together may have at most 1024 KiB",
            broadcast=[{"data": bytes(SHOWN_BYTES // 2)}],
            views=[{"data": bytes(SHOWN_BYTES // 2 + 1)}],
        )
        large = [{"data": b" " * SHOWN_BYTES + b"1", "text": True}]
        self.refused("together may have at most 1024 KiB", broadcast=large)
        grows = [{"data": b"[" + b"1e15," * (SHOWN_BYTES // 6) + b"1]", "text": True}]
        self.refused("together may have at most 1024 KiB", broadcast=grows)
        self.refused("at most 1000 broadcasts and views together; here are 1001", broadcast=[{}] * 1000, views=[{}])
        self.refused("broadcast[1].data, which says that it is text, is not JSON", broadcast=[{"data": b"1", "text": True}, {"text": True}])
        self.refused("views[0].data, which says that it is text, is not JSON", views=[{"data": b"{'a':1}", "text": True}])
        self.refused("views[0].data, which says that it is text, is not JSON", views=[{"data": b'"\xff"', "text": True}])
        self.refused("views[0].data, which says that it is text, is not JSON", views=[{"data": b"NaN", "text": True}])
        self.refused("broadcast[0].data is nested too deeply", broadcast=[{"data": deep, "text": True}])
        self.refused("is not JSON", broadcast=[{"data": b"[" * 60_000, "text": True}])
        self.refused("finished.results is not JSON", finished={"results": b"won"})
        self.refused("finished.results may have at most 16 KiB", finished={"results": b'"' + bytes(RESULTS_BYTES).replace(b"\0", b"x") + b'"'})
        with self.assertRaisesRegex(InvalidRequest, "this is no GameState in Protocol Buffers"):
            state_from_bytes(b"\x0a\x05")

    def test_as_much_as_may_be(self) -> None:
        """The limits themselves are fine."""
        for fields in (
            {"state": bytes(STATE_BYTES)},
            {"broadcast": [{"data": bytes(SHOWN_BYTES - 2)}], "views": [{"data": b"{}", "text": True}]},
            {"finished": {"results": b'"' + b"x" * (RESULTS_BYTES - 2) + b'"'}},
            {"broadcast": [{"data": b"[" * 200 + b"]" * 200, "text": True}]},
        ):
            state_from_bytes(GoogleState(**fields).SerializeToString())

    def test_one_line(self) -> None:
        """Text is given as compact JSON, which lines and messages may carry as it is."""
        state = state_from_bytes(
            GoogleState(broadcast=[{"data": b' {"a":\n [1,\r\n2] }', "text": True}], finished={"results": b"[ 1 ]"}).SerializeToString()
        )
        self.assertEqual(state.broadcast[0].data, b'{"a":[1,2]}')
        self.assertEqual(state.finished, Finished(b"[1]"))

    def test_rejected_is_all(self) -> None:
        """Of a rejected answer nothing else is looked at, so nothing else in it can be wrong."""
        data = GoogleState(
            request=1,
            sequence=2,
            state=bytes(STATE_BYTES + 1),
            broadcast=[{"data": b"{", "text": True}],
            timer_ms=5,
            finished={},
            rejected={"code": 105},
        ).SerializeToString()
        self.assertEqual(state_from_bytes(data), State(request=1, sequence=2, rejected=Rejected(105, "")))
