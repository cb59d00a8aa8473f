"""gameroom.wire.downloads"""

from __future__ import annotations

import base64
import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState
from gameroom.wire import downloads


class DownloadLinesTests(SynchronousTestCase):
    @given(st.text(max_size=40), st.integers(0, 2**40), st.binary(min_size=1, max_size=200), st.integers(1, 64))
    def test_chunks(self, download_id: str, seq: int, data: bytes, size: int) -> None:
        """One line for each chunk, counted up, each of it JSON and no longer than was said."""
        head = downloads.chunk_head(download_id)
        lines = downloads.chunks(head, seq, data, size).splitlines(keepends=True)
        pushes = [json.loads(line) for line in lines]
        expected = [
            {"download_id": download_id, "seq": seq + number, "data_b64": base64.b64encode(data[first : first + size]).decode()}
            for number, first in enumerate(range(0, len(data), size))
        ]
        self.assertEqual(pushes, [{"type": "DOWNLOAD_CHUNK", "payload": payload} for payload in expected])
        if seq < 10**7:
            self.assertLessEqual(max(map(len, lines)), downloads.line_bytes(head, size))

    def test_last_pushes(self) -> None:
        """The end and an error, byte for byte."""
        self.assertEqual(
            downloads.end("d", "1.0.0", "ab"), b'{"type":"DOWNLOAD_END","payload":{"download_id":"d","version":"1.0.0","checksum":"ab"}}\n'
        )
        self.assertEqual(downloads.error("d", BadState("no")), b'{"type":"DOWNLOAD_ERROR","payload":{"download_id":"d","code":105,"message":"no"}}\n')
