"""JSON lines."""

from __future__ import annotations

import time
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest, RateLimited
from gameroom.wire import lines
from gameroom.wire.lines import LineBuffer, LineTooLong, decode

LIMIT = 100

objects = st.dictionaries(
    st.text(max_size=5), st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5), st.lists, max_leaves=4), max_size=3
)


def taken(buffer: LineBuffer, limit: int = LIMIT) -> list[bytes]:
    """All lines that are there."""
    return list(iter(lambda: buffer.take(limit), None))


class BufferTests(SynchronousTestCase):
    @given(st.binary(max_size=300).map(lambda data: data.replace(b"\n", b"")[:60]), st.data())
    def test_any_split(self, noise: bytes, data: Any) -> None:
        """The same bytes give the same lines, however they are split."""
        stream = b"\n".join([b'{"a":1}', noise, b"\r", b"b\r", noise]) + b"\n" + noise
        whole = LineBuffer()
        whole.feed(stream)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
        split = LineBuffer()
        got: list[bytes] = []
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            split.feed(stream[start:end])
            got += taken(split)
        self.assertEqual(taken(whole), got)

    def test_ends(self) -> None:
        """LF ends a line, one CR before it is dropped, empty lines are no lines."""
        buffer = LineBuffer()
        buffer.feed(b"\n\r\na\r\n\nb\r\r\nc\rd\n\re\n f")
        self.assertEqual([b"a", b"b\r", b"c\rd", b"\re"], taken(buffer))
        self.assertTrue(buffer)
        buffer.end()
        self.assertEqual([b" f"], taken(buffer))
        self.assertFalse(buffer)

    def test_limit(self) -> None:
        """A line may have just the limit, with its CR or without; one byte more is refused, ended or not, and nothing is kept."""
        for end in (b"\n", b"\r\n"):
            buffer = LineBuffer()
            buffer.feed(b"x" * LIMIT + end)
            self.assertEqual([b"x" * LIMIT], taken(buffer))
        buffer = LineBuffer()
        buffer.feed(b"x" * LIMIT + b"\r")
        self.assertIsNone(buffer.take(LIMIT))
        buffer.feed(b"\n")
        self.assertEqual([b"x" * LIMIT], taken(buffer))
        for stream in (b"x" * (LIMIT + 1) + b"\nmore\n", b"x" * (LIMIT + 2)):
            buffer = LineBuffer()
            buffer.feed(stream)
            self.assertRaises(LineTooLong, buffer.take, LIMIT)
            self.assertFalse(buffer)

    def test_limit_at_its_turn(self) -> None:
        """Lines before the long one are read, and the limit that counts is that of the moment it is taken."""
        buffer = LineBuffer()
        buffer.feed(b"first\n" + b"x" * 150 + b"\n")
        self.assertEqual(b"first", buffer.take(LIMIT))
        self.assertEqual(b"x" * 150, buffer.take(200))

    def test_dripped_line_is_linear(self) -> None:
        """A long line that comes a byte at a time takes time linear in its length."""

        def drip(size: int) -> float:
            buffer = LineBuffer()
            began = time.process_time()
            for _ in range(size):
                buffer.feed(b"x")
                buffer.take(1 << 20)
            return time.process_time() - began

        drip(1000)
        self.assertLess(drip(160_000), 60 * max(drip(10_000), 0.001))


class DecodeTests(SynchronousTestCase):
    @given(objects)
    def test_round_trip(self, value: dict[str, Any]) -> None:
        """What is an object comes through unchanged."""
        self.assertEqual(value, decode(orjson.dumps(value)))

    @given(st.binary(max_size=40))
    def test_garbage(self, line: bytes) -> None:
        """Anything else raises our error and no other."""
        try:
            self.assertIs(dict, type(decode(line)))
        except InvalidRequest as error:
            self.assertIn("HELP", error.message)

    def test_strict(self) -> None:
        """NaN, infinities, lone surrogates, other encodings, other values than objects and what trails an object are refused."""
        for line in (
            b'{"a":NaN}', b'{"a":Infinity}', b'{"a":1e999}', b'{"a":"\\ud800"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xff"}', b"\xff\xfe\xfd",
            b"[]", b"1", b"null", b'"x"', b"true", b'{"a":1} x', b"{'a':1}", b'{"a":01}', b"{", b"hello", '{"a":1}'.encode("utf-16"), b"\x00",
        ):  # fmt: skip
            self.assertRaises(InvalidRequest, decode, line)

    def test_kept_as_sent(self) -> None:
        """`true` is no integer, the last of two equal keys wins, and a number beyond 64 bits does not wrap."""
        value = decode(b'{"a":true,"b":1,"b":2,"c":123456789012345678901234567890}')
        self.assertEqual((True, 2, float), (value["a"], value["b"], type(value["c"])))
        self.assertIsNot(1, value["a"])

    def test_deep_nesting(self) -> None:
        """Any depth is read or refused, never a crash."""
        for depth in (1000, 1022, 1024, 1025, 5000, 260_000):
            for line in (b'{"a":' + b"[" * depth + b"]" * depth + b"}", b'{"a":' * depth + b"1" + b"}" * depth, b"[" * depth, b'{"a":' * depth):
                try:
                    decode(line)
                except InvalidRequest:
                    continue
                self.assertLess(depth, 1025)

    def test_telnet(self) -> None:
        """What a telnet client says for itself is passed over beside a request, but a line of nothing else is answered."""
        self.assertEqual({"type": "PING"}, decode(b'\xff\xfd\x03\xff\xfb\x18\xff\xfa\x18\x00xterm\xff\xf0{"type":\xff\xf4"PING"}'))
        self.assertRaises(InvalidRequest, decode, b"\xff\xf4\xff\xfd\x06")

    def test_message_for_a_person(self) -> None:
        """Who types nonsense is told what to type; who slips is told where."""
        for line, words in ((b"hello", "each line must be one JSON object"), (b'{"type": PING}', "at character 10"), (b"[]", "one JSON object")):
            with self.assertRaises(InvalidRequest) as caught:
                decode(line)
            self.assertIn(words, caught.exception.message)


class AnswerTests(SynchronousTestCase):
    def test_answers(self) -> None:
        """Answers are one line with the seed's four fields; an error carries just its own payload."""
        self.assertEqual(b'{"status":"ok","code":0,"message":"ok","payload":{}}\n', lines.ok())
        self.assertEqual({"status": "ok", "code": 0, "message": "ok", "payload": {"a": "\n"}}, orjson.loads(lines.ok({"a": "\n"})))
        limited = lines.error(RateLimited("wait", retry_after=2.5))
        self.assertEqual({"status": "error", "code": 106, "message": "wait", "payload": {"retry_after": 2.5}}, orjson.loads(limited))
        for line in (lines.ok({"a": "\n"}), limited, lines.push("X", {"b": "\r\n"})):
            self.assertEqual(line.index(b"\n"), len(line) - 1)
