"""gameroom.wire.upload_lines: what is read quickly is read as JSON reads it, or not at all."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import hypothesis.strategies as st
import orjson
from hypothesis import example, given
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.wire import lines, upload_lines
from gameroom.wire.developer import DEVELOPER
from gameroom.wire.upload_lines import Chunk

TOKEN = "AZaz09_-" * 5
ID = "11111111-2222-4333-8444-55555555abcd"


def request(data: bytes = b"data", seq: int = 0, token: str = TOKEN) -> dict[str, Any]:
    return {"type": "UPLOAD_CHUNK", "token": token, "payload": {"upload_id": ID, "seq": seq, "data_b64": base64.b64encode(data).decode()}}


def by_json(line: bytes) -> Chunk | None:
    """What the line is, read as any other; None where it is no good UPLOAD_CHUNK."""
    try:
        asked = DEVELOPER.request(lines.decode(line))
        said = asked.command.check(asked.payload)
        data = base64.b64decode(said["data_b64"], validate=True)
    except (InvalidRequest, ValueError, KeyError):
        return None
    return None if asked.token is None else Chunk(asked.token, said["upload_id"], said["seq"], data)


class ReadTests(SynchronousTestCase):
    @given(st.binary(max_size=300), st.integers(0, 10**15 - 1))
    def test_as_programs_write_it(self, data: bytes, seq: int) -> None:
        """With spaces or without, the token before the payload or behind it."""
        said = request(data, seq)
        behind = {"type": said["type"], "payload": said["payload"], "token": said["token"]}
        for each in (said, behind):
            for line in (json.dumps(each).encode(), orjson.dumps(each)):
                self.assertEqual(upload_lines.read(line), Chunk(TOKEN, ID, seq, data))

    @given(st.data())
    @example(None)
    def test_never_otherwise(self, data: Any) -> None:
        """Whatever is changed in a line, what is read quickly is what JSON reads."""
        line = orjson.dumps(request(b"some data"))
        if data is not None:
            for _ in range(data.draw(st.integers(1, 3))):
                place, cut = data.draw(st.integers(0, len(line))), data.draw(st.integers(0, 3))
                piece = data.draw(
                    st.sampled_from([b"", b'"', b"\\", b"}", b"{", b",", b" ", b"0", b"-", b"=", b'"seq":1,', b'"}', b'"token":"x"', b"\xff"])
                )
                line = line[:place] + piece + line[place + cut :]
        found = upload_lines.read(line)
        if found is not None:
            self.assertEqual(found, by_json(line))

    def test_left_to_json(self) -> None:
        """Other orders, escapes, wrong types, two tokens, none, or two payloads, and what is no base64, are read as any other line."""
        good = orjson.dumps(request())
        for old, new in (
            (b'"type"', b'"token":"x","type"'),
            (b'"UPLOAD_CHUNK"', b'"UPLOAD_CHUN\\u004b"'),
            (b'"seq":0', b'"seq":00'),
            (b'"seq":0', b'"seq":0.0'),
            (b'"seq":0', b'"seq":true'),
            (b'"seq":0', b'"seq":-1'),
            (b'"seq":0', b'"seq":1000000000000000'),
            (b'"}}', b'","data_b64":"AAAA"}}'),
            (b'"}}', b'"},"token":"other"}'),
            (b'"}}', b'"},"payload":{}}'),
            (b'"}}', b'"}}}'),
            (b'"}}', b'"}} '),
            (b'"}}', b'*"}}'),
            (b'"}}', b'=="}}'),
            (b'"}}', b'\\n"}}'),
            (b'"token":"' + TOKEN.encode() + b'",', b""),
            (TOKEN.encode(), b""),
            (ID.encode(), ID.upper().encode()),
        ):
            line = good.replace(old, new)
            self.assertNotEqual(line, good)
            self.assertIsNone(upload_lines.read(line), line)
        self.assertIsNotNone(upload_lines.read(good))

    def test_quickly(self) -> None:
        """A line that only looks like one costs little, however long it is."""
        line = orjson.dumps(request())[:-3] + b"A" * 500_000
        began = time.process_time()
        for end in (b"", b'"', b'"}', b'"},"token":"'):
            self.assertIsNone(upload_lines.read(line + end))
        self.assertLess(time.process_time() - began, 0.5)
