"""The messages of the game port."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, InvalidRequest, NotFound, RateLimited, ServerError
from gameroom.wire import game_port
from gameroom.wire.envelope import JSON, MOST_BYTES, PROTOBUF, RAW, Envelope, EnvelopeReader, to_bytes
from gameroom.wire.game_port import KINDS, PROTO, decode, encode
from gameroom.wire.messages import Field, Message

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/protocol/game-port.md").read_text("utf-8")

ROOM_ID = "5e0a7f0e-8a37-4f2e-8f5f-3f6d0d7b8f11"
GAME_ID = "b52d80a1-10e4-5473-910a-4a41923016fd"
GUEST = "8f0be211-4c5b-4b7a-9f0e-6a6d7c1f2b3e"
TOKEN = "vnT3hB0Zq8rj2tXwYp5uKc7sLd9eMf1gNa4iQo6RzUk"
CONTROL = "h5Qd0wRk8mTz3vLx6yBn1cJf4gPs7aUe9iKo2uWqXtE"
ADA = {"seat": 0, "name": "ada"}
BERENICE = {"seat": 1, "name": "Bérénice"}
ROOM = {"room_id": ROOM_ID, "game_id": GAME_ID, "version": "1.2.0", "hosting": "server", "max_players": 4, "party_code": "LMDL34"}

GOLDEN: Mapping[str, dict[str, Any]] = {
    "CONTROL": {
        "token": CONTROL,
        "id": ROOM_ID,
        "options": {"max_players": 4, "players": [ADA | {"id": "ada"}, BERENICE | {"id": GUEST}], "config": {"board": {"width": 7}, "laps": 3}},
    },
    "TYPE": {"type": "client"},
    "AUTH": {"id": TOKEN},
    "CLIENT_AUTH": BERENICE | {"id": GUEST, "token": CONTROL},
    "CONNECTED, by a GameServer": {"details": {"map": "harbour"}},
    "CONNECTED, to a client, the answer to HOST": ROOM
    | {
        "seat": 0,
        "players": [ADA],
        "seat_token": "JkqtbLbd2wzGm0uT5xYc8rVnHf3pSa7e",
        "details": {"name": "Laps", "description": "", "game_type": "race"},
        "status": "WAITING",
    },
    "CONNECTED, to a client, as the pipe begins": ROOM | {"seat": 1, "players": [ADA, BERENICE], "details": {"map": "harbour"}, "status": "PLAYING"},
    "HOST": {"game_id": GAME_ID},
    "HOST, with all that may be said": {"game_id": GAME_ID, "version": "1.2.0", "name": "Ada", "id": TOKEN},
    "JOIN, as a guest": {"party_code": "LMDL34", "name": "Bérénice"},
    "JOIN, by an account": {"party_code": "LMDL34", "id": TOKEN},
    "ERROR": {"code": 103, "message": "there is no party LMDL35; ask for the code again"},
    "ERROR, with seconds to wait": {"code": 106, "message": "too many wrong party codes", "retry_after": 42.5},
    "LEAVE": {},
    "STATUS, ready": {"state": "ready"},
    "STATUS, finished": {"state": "finished", "results": {"winners": [1]}},
    "START": {},
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
KINDS_OF_VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "string": texts,
    "uint32": st.integers(0, 2**32 - 1),
    "double": st.floats(0, allow_infinity=False),
    "json": json_values.filter(lambda value: value is not None),
    "object": st.dictionaries(texts, json_values, max_size=3),
}


def values_of(message: Message) -> st.SearchStrategy[dict[str, Any]]:
    """Everything that a message may say."""
    needed = {field.name: field_values(field) for field in message.fields if not field.optional}
    if message.whole_with:
        needed[message.whole_with] = texts.filter(bool)
    return st.fixed_dictionaries(needed, optional={field.name: field_values(field) for field in message.fields if field.optional})


def field_values(field: Field) -> st.SearchStrategy[Any]:
    if isinstance(field.kind, Message):
        inner = values_of(field.kind)
        return st.lists(inner, max_size=3) if field.repeated else inner
    return st.sampled_from(field.choices) if field.choices else KINDS_OF_VALUES[field.kind]


said = st.sampled_from([kind for kind in KINDS if kind.message is not None]).flatmap(
    lambda kind: st.tuples(st.just(kind.type), values_of(kind.message or Message("None")))
)


def golden() -> Iterator[tuple[str, bytes]]:
    """The page's envelopes, each with its title: lines of hex, and behind that what is text."""
    title, gathered = "", b""
    for line in "\n".join(re.findall(r"```text\n(.*?)\n```", PAGE.partition("## Byte for byte")[2], re.DOTALL)).split("\n"):
        found = re.fullmatch(r"((?:[0-9a-f]{2} ?)+)(?:(?<= )([{\"].*))?", line)
        if found:
            gathered += bytes.fromhex(found[1]) + (found[2] or "").encode()
            continue
        if gathered:
            yield title, gathered
        title, gathered = line, b""
    yield title, gathered


def envelope_of(data: bytes) -> Envelope:
    """The one envelope that these bytes are."""
    reader = EnvelopeReader()
    reader.feed(data)
    envelope = reader.next()
    assert envelope is not None
    assert not reader.buffered
    return envelope


class PageTests(SynchronousTestCase):
    """docs/protocol/game-port.md says what is so."""

    def test_golden(self) -> None:
        """Each message of the page is these bytes in both encodings, and these bytes are that message."""
        found = dict(golden())
        for title, values in GOLDEN.items():
            type_ = getattr(game_port, title.partition(",")[0])
            for encoding, en in (("JSON", JSON), ("Protocol Buffers", PROTOBUF)):
                data = found.pop(f"{title}: {encoding}")
                self.assertEqual(encode(type_, values, en), data, title)
                envelope = envelope_of(data)
                self.assertEqual((envelope.type, envelope.en, decode(envelope)), (type_, en, values))
        for title, expected in {
            "GAME_CONFIG": encode(game_port.GAME_CONFIG, {"laps": 3}),
            "PING: raw": to_bytes(game_port.PING, b"\x00\xff", RAW),
            "PONG: raw": to_bytes(game_port.PONG, b"\x00\xff", RAW),
            "PING: JSON": to_bytes(game_port.PING, b'{"t":7}'),
            "ROOM: text": game_port.room_message(b'{"type":"ready","ready":true}', binary=False),
            "ROOM: binary": game_port.room_message(b"\x00\x01\x2a\x2b", binary=True),
            "ROOM_PART: text": to_bytes(game_port.ROOM_PART, b'{"type":"chat",'),
            "ROOM: text, and with that part one message": to_bytes(game_port.ROOM, b'"text":"hello"}'),
            "a game's own type 32: raw": to_bytes(32, b"\x0a\x0b\x0c", RAW),
        }.items():
            self.assertEqual(found.pop(title), expected, title)
        self.assertEqual(found, {})

    def test_all_types(self) -> None:
        """Each type has its row, and each message of the table its bytes."""
        self.assertIn(game_port.markdown(), PAGE)
        self.assertEqual({title.partition(",")[0] for title in GOLDEN}, {kind.name for kind in KINDS if kind.message is not None})
        for kind in KINDS:
            self.assertEqual(getattr(game_port, kind.name), kind.type)

    def test_proto(self) -> None:
        """The .proto file, which others compile, is what we speak; the page shows it."""
        text = (ROOT / "gameroom/wire/game_port.proto").read_text("utf-8")
        self.assertEqual(text, PROTO.proto())
        self.assertIn(f"```proto\n{text.rstrip()}\n```", PAGE)

    def test_python(self) -> None:
        """The page's six lines of Python speak it."""
        [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        theirs: dict[str, Any] = {}
        exec(code, theirs)
        self.assertEqual(theirs["envelope"](game_port.AUTH, b'{"id":"x"}'), encode(game_port.AUTH, {"id": "x"}))
        self.assertEqual(theirs["read"](io.BytesIO(to_bytes(47, bytes(300), PROTOBUF))), (47, PROTOBUF, bytes(300)))


class CodecTests(SynchronousTestCase):
    @given(said)
    def test_round_trip(self, message: tuple[int, dict[str, Any]]) -> None:
        """What was said is read, and the same from both encodings."""
        type_, values = message
        from_json = decode(envelope_of(encode(type_, values, JSON)))
        self.assertEqual(from_json, values)
        from_protobuf = decode(envelope_of(encode(type_, values, PROTOBUF)))
        self.assertEqual(from_protobuf, values)
        self.assertEqual(orjson.dumps(from_json), orjson.dumps(from_protobuf))

    @given(said, st.sampled_from([JSON, PROTOBUF]), st.data())
    def test_damaged(self, message: tuple[int, dict[str, Any]], en: int, data: Any) -> None:
        """A message with bytes put in, taken out or changed is read as one that can be said, or is InvalidRequest."""
        type_, values = message
        payload = bytearray(envelope_of(encode(type_, values, en)).data)
        for _ in range(data.draw(st.integers(1, 4))):
            at = data.draw(st.integers(0, len(payload)))
            payload[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        self.is_read_or_refused(Envelope(type_, bytes(payload), en))

    @given(st.builds(Envelope, type=st.integers(0, 63), en=st.integers(0, 3), data=st.binary(max_size=60)))
    def test_garbage(self, envelope: Envelope) -> None:
        """Raises InvalidRequest and nothing else."""
        self.is_read_or_refused(envelope)

    @given(st.sampled_from(KINDS), json_values)
    def test_other_json(self, kind: game_port.Kind, value: Any) -> None:
        """So does JSON of any other form."""
        self.is_read_or_refused(Envelope(kind.type, orjson.dumps(value)))

    def is_read_or_refused(self, envelope: Envelope) -> None:
        try:
            values = decode(envelope)
        except InvalidRequest as refused:
            self.assertTrue(refused.message.isprintable() or "\n" not in refused.message)
            return
        self.assertEqual(decode(envelope_of(encode(envelope.type, values, envelope.en))), values)

    def test_others_bytes(self) -> None:
        """What protobufjs and protoc may write otherwise is read: zeros that are said, fields in other orders, fields that nobody knows."""
        zeros = bytes.fromhex("0a0361646110001a0361646122 0174".replace(" ", ""))
        self.assertEqual(decode(Envelope(game_port.CLIENT_AUTH, zeros, PROTOBUF)), {"id": "ada", "seat": 0, "name": "ada", "token": "t"})
        otherwise = bytes.fromhex("9a0603787878 220174 1a03616461 9d0600000000 0a03616461 a00601")
        self.assertEqual(decode(Envelope(game_port.CLIENT_AUTH, otherwise, PROTOBUF)), {"id": "ada", "seat": 0, "name": "ada", "token": "t"})
        said_empty = bytes.fromhex("0a01671200")
        self.assertEqual(decode(Envelope(game_port.HOST, said_empty, PROTOBUF)), {"game_id": "g", "version": ""})
        twice = bytes.fromhex("0a01610a0162")
        self.assertEqual(decode(Envelope(game_port.AUTH, twice, PROTOBUF)), decode(Envelope(game_port.AUTH, b'{"id":"a","id":"b"}')))

    def test_unknown_fields(self) -> None:
        """JSON fields that nobody knows are ignored, inside of inner messages too; null is none."""
        self.assertEqual(decode(Envelope(game_port.JOIN, b'{"party_code":"LMDL34","name":null,"colour":"red"}')), {"party_code": "LMDL34"})
        control = (
            b'{"token":"t","id":"i","x":1,"options":{"max_players":1,"players":[{"seat":0,"id":"a","name":"a","y":[]}],"config":{"z":null},"z":2}}'
        )
        options = {"max_players": 1, "players": [{"seat": 0, "id": "a", "name": "a"}], "config": {"z": None}}
        self.assertEqual(decode(Envelope(game_port.CONTROL, control)), {"token": "t", "id": "i", "options": options})

    def test_connected_of_a_game_server(self) -> None:
        """It may leave out all, or all but details, in both encodings; whoever names the room says the whole, but for a viewer's seat."""
        for payload, en in ((b"{}", JSON), (b"", PROTOBUF), (b'{"max_players":4,"players":7}', JSON), (bytes.fromhex("3804"), PROTOBUF)):
            self.assertEqual(decode(Envelope(game_port.CONNECTED, payload, en)), {})
        self.assertEqual(decode(Envelope(game_port.CONNECTED, b'{"details":{"a":1},"status":"PLAYING"}')), {"details": {"a": 1}})
        viewer = {name: value for name, value in GOLDEN["CONNECTED, to a client, as the pipe begins"].items() if name != "seat"}
        for en in (JSON, PROTOBUF):
            self.assertEqual(decode(envelope_of(encode(game_port.CONNECTED, viewer, en))), viewer)
        with self.assertRaisesRegex(InvalidRequest, "CONNECTED lacks game_id"):
            decode(Envelope(game_port.CONNECTED, b'{"room_id":"r"}'))


class RefusalTests(SynchronousTestCase):
    def refused(self, type_: int, data: bytes, en: int = JSON) -> tuple[str, str | None]:
        with self.assertRaises(InvalidRequest) as refused:
            decode(Envelope(type_, data, en))
        return refused.exception.message, refused.exception.pointer

    def test_json(self) -> None:
        """What is no message is named, with what is wrong and where."""
        participant = b'{"token":"t","id":"i","options":{"max_players":2,"config":{},"players":[{"id":"a","name":"a","seat":%b}]}}'
        integer = "must be an integer from 0 to 4294967295"
        for type_, data, message, pointer in (
            (game_port.AUTH, b"", "AUTH is not JSON", None),
            (game_port.AUTH, b"[]", "AUTH must be an object", None),
            (game_port.AUTH, b"null", "AUTH must be an object", None),
            (game_port.AUTH, b"{}", "AUTH lacks id", "/id"),
            (game_port.AUTH, b'{"id":null}', "AUTH lacks id", "/id"),
            (game_port.AUTH, b'{"id":7}', "id must be a string", "/id"),
            (game_port.AUTH, b'{"id":"\xff"}', "AUTH is not JSON", None),
            (game_port.AUTH, b'{"id":"\\ud800"}', "AUTH is not JSON", None),
            (game_port.AUTH, b'\xef\xbb\xbf{"id":"a"}', "AUTH is not JSON", None),
            (game_port.AUTH, b'{"id":"a"} x', "AUTH is not JSON", None),
            (game_port.AUTH, b'{"id":' * 10000, "AUTH is not JSON", None),
            (game_port.CLIENT_AUTH, b"{}", "CLIENT_AUTH lacks id", "/id"),
            (game_port.TYPE, b'{"type":"admin"}', "type must be control or client", "/type"),
            (game_port.STATUS, b'{"state":"READY"}', "state must be ready or finished", "/state"),
            (game_port.STATUS, b'{"state":"finished","results":NaN}', "STATUS is not JSON", None),
            (game_port.STATUS, b'{"state":"finished","results":' + b"[" * 300 + b"]" * 300 + b"}", "results is nested too deeply", "/results"),
            (game_port.CONNECTED, b'{"details":{"x":"' + b"x" * 32768 + b'"}}', "details is larger than 32 KiB of JSON", "/details"),
            (game_port.CONNECTED, b'{"details":[1]}', "details must be an object", "/details"),
            (game_port.ERROR, b'{"code":true,"message":""}', f"code {integer}", "/code"),
            (game_port.ERROR, b'{"code":100.0,"message":""}', f"code {integer}", "/code"),
            (game_port.ERROR, b'{"code":1,"message":"","retry_after":-1}', "retry_after must be a number from 0", "/retry_after"),
            (game_port.ERROR, b'{"code":1,"message":"","retry_after":true}', "retry_after must be a number from 0", "/retry_after"),
            (game_port.ERROR, b'{"code":1,"message":"","retry_after":1e999}', "ERROR is not JSON", None),
            (game_port.CONTROL, participant % b"4294967296", f"options/players/0/seat {integer}", "/options/players/0/seat"),
            (game_port.CONTROL, participant % b"-1", f"options/players/0/seat {integer}", "/options/players/0/seat"),
            (game_port.CONTROL, participant % b"99999999999999999999999999", f"options/players/0/seat {integer}", "/options/players/0/seat"),
            (game_port.CONTROL, participant % b"null", "options/players/0 lacks seat", "/options/players/0/seat"),
            (game_port.CONTROL, b'{"token":"t","id":"i","options":[]}', "options must be an object", "/options"),
            (
                game_port.CONTROL,
                b'{"token":"t","id":"i","options":{"max_players":1,"players":{}}}',
                "options/players must be an array",
                "/options/players",
            ),
            (
                game_port.CONTROL,
                b'{"token":"t","id":"i","options":{"max_players":1,"players":[],"config":[]}}',
                "options/config must be an object",
                "/options/config",
            ),
            (game_port.GAME_CONFIG, b"[]", "GAME_CONFIG must be an object", None),
        ):
            told, where = self.refused(type_, data)
            self.assertTrue(told.startswith(message), f"{told!r} is not {message!r}")
            self.assertEqual(where, pointer, data[:80])

    def test_protobuf(self) -> None:
        """In Protocol Buffers the same values are refused, and what is none."""
        for type_, data, message in (
            (game_port.AUTH, "ff", "this is no AUTH in Protocol Buffers"),
            (game_port.AUTH, "0a05", "this is no AUTH in Protocol Buffers"),
            (game_port.AUTH, "0a02c328", "this is no AUTH in Protocol Buffers"),
            (game_port.AUTH, "0a03eda080", "this is no AUTH in Protocol Buffers"),
            (game_port.AUTH, "0b" * 5000, "this is no AUTH in Protocol Buffers"),
            (game_port.TYPE, "", "type must be control or client"),
            (game_port.CONTROL, "0a0174120169", "CONTROL lacks options"),
            (game_port.CONTROL, "0a01741201691a020801", "options lacks config"),
            (game_port.CONTROL, "0a01741201691a0408011a00", "options lacks config"),
            (game_port.CONTROL, "0a01741201691a0608011a025b5d", "options/config must be an object"),
            (game_port.STATUS, "0a0866696e69736865641200", "results is not JSON"),
            (game_port.STATUS, "0a0866696e697368656412034e614e", "results is not JSON"),
            (game_port.STATUS, "0a0866696e6973686564120322ff22", "results is not JSON"),
            (game_port.STATUS, "0a0866696e697368656412d804" + "5b" * 300 + "5d" * 300, "results is nested too deeply"),
            (game_port.ERROR, "080119000000000000f87f", "retry_after must be a number from 0"),
            (game_port.ERROR, "080119000000000000f07f", "retry_after must be a number from 0"),
            (game_port.ERROR, "080119000000000000f0bf", "retry_after must be a number from 0"),
        ):
            told, _ = self.refused(type_, bytes.fromhex(data), PROTOBUF)
            self.assertTrue(told.startswith(message), f"{told!r} is not {message!r}")
        self.assertEqual(decode(Envelope(game_port.STATUS, bytes.fromhex("0a05726561647912046e756c6c"), PROTOBUF)), {"state": "ready"})

    def test_other_encodings(self) -> None:
        """Raw data is no message, en 3 is nothing, GAME_CONFIG has no message of ours, and some types carry none at all."""
        for type_, en, message in (
            (game_port.AUTH, RAW, "AUTH comes as JSON .en 1. or as Protocol Buffers .en 2., not as en 0"),
            (game_port.AUTH, 3, "not as en 3"),
            (game_port.GAME_CONFIG, PROTOBUF, "only its JSON can be read"),
            (game_port.PING, JSON, "type 10 carries no message"),
            (game_port.ROOM, JSON, "type 15 carries no message"),
            (0, JSON, "type 0 carries no message"),
            (17, JSON, "type 17 carries no message"),
            (32, JSON, "type 32 carries no message"),
        ):
            self.assertRegex(self.refused(type_, b"{}", en)[0], message)

    def test_what_cannot_be_said(self) -> None:
        """Whoever says it has made a mistake, or hands on what does not fit."""
        impossible: tuple[tuple[int, dict[str, Any]], ...] = (
            (game_port.AUTH, {}),
            (game_port.AUTH, {"id": 7}),
            (game_port.AUTH, {"id": "\ud800"}),
            (game_port.AUTH, {"id": "x" * (MOST_BYTES + 1)}),
            (game_port.STATUS, {"state": "finished", "results": {1, 2}}),
            (game_port.STATUS, {"state": "finished", "results": {"n": 2**70}}),
            (game_port.CONNECTED, {"details": {"x": "x" * 32768}}),
            (game_port.ROOM, {}),
        )
        for type_, values in impossible:
            for en in (JSON, PROTOBUF):
                with self.assertRaises(ValueError, msg=str(values)[:80]):
                    encode(type_, values, en)
        for own in ({"a": {1}}, {"a": "x" * (MOST_BYTES + 1)}):
            with self.assertRaises(ValueError):
                encode(game_port.GAME_CONFIG, own)

    def test_directions(self) -> None:
        """What a client may say."""
        self.assertEqual(
            {game_port.name_of(type_) for type_ in game_port.FROM_CLIENT},
            {"AUTH", "HOST", "JOIN", "ERROR", "PING", "PONG", "LEAVE", "ROOM", "ROOM_PART", "START"},
        )
        self.assertEqual(game_port.name_of(33), "type 33")


class ErrorTests(SynchronousTestCase):
    def told(self, problem: Any, en: int = JSON) -> dict[str, Any]:
        envelope = envelope_of(game_port.error(problem, en))
        self.assertEqual((envelope.type, envelope.en), (game_port.ERROR, en if en == PROTOBUF else JSON))
        return decode(envelope)

    def test_what_it_says(self) -> None:
        """The code and the sentence, for how long to wait, and where the log has it."""
        for en in (RAW, JSON, PROTOBUF, 3):
            self.assertEqual(self.told(NotFound("no"), en), {"code": 103, "message": "no"})
            self.assertEqual(self.told(RateLimited("wait", retry_after=3), en), {"code": 106, "message": "wait", "retry_after": 3.0})
        self.assertEqual(self.told(ServerError(incident="i-7"))["message"], "something went wrong here; try again (incident i-7)")

    def test_long(self) -> None:
        """A sentence that is too long for people and envelopes is cut."""
        message = self.told(BadState("\x01" * 100_000), PROTOBUF)["message"]
        self.assertEqual((len(message), message[-1]), (1024, "…"))
