"""gameroom.downloads and gameroom.wire.downloads: a file as lines of chunks."""

from __future__ import annotations

import base64
import os
import random
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.downloads import AT_ONCE_BYTES, Download, Downloads, UnreadableFile
from gameroom.errors import BadState, ChunkOutOfOrder, NotFound
from gameroom.wire import lines
from tests.files import NoteTaker, StoredFiles
from tests.players import player

ANN = player("Ann")
SOME = random.Random(1).randbytes(300_000)


class DownloadsCase(SynchronousTestCase):
    """A store with one file in it."""

    def setUp(self) -> None:
        self.files = StoredFiles()
        self.addCleanup(self.files.close)
        self.notes = NoteTaker()
        self.downloads = Downloads(catalogue=self.files, reviews=self.notes)  # type: ignore[arg-type]

    def begin(self, *args: Any, game_id: str = "g") -> Download:
        return self.successResultOf(self.downloads.begin(ANN, game_id, *args))

    def chunks(self, download: Download) -> list[dict[str, Any]]:
        """The payloads of all that is still to come."""
        found = []
        while lines_ := download.more():
            for line in lines_.splitlines(keepends=True):
                push = orjson.loads(line)
                self.assertEqual(line, lines.push("DOWNLOAD_CHUNK", push["payload"]))
                found.append(push["payload"])
        return found

    def data(self, chunks: list[dict[str, Any]]) -> bytes:
        return b"".join(base64.b64decode(chunk["data_b64"], validate=True) for chunk in chunks)


class WholeTests(DownloadsCase):
    """What arrives is the file."""

    @settings(max_examples=100, deadline=None)
    @given(st.integers(1, len(SOME)), st.integers(1, 300_000) | st.integers(1, 500) | st.none(), st.floats(0, 1))
    def test_any_size(self, size: int, chunk_size: int | None, start: float) -> None:
        """Whatever the sizes and wherever it begins: chunks in order, all but the last just so long, together the rest of the file."""
        if chunk_size is not None and size / chunk_size > 5000:
            size = 5000 * chunk_size
        whole = SOME[:size]
        stored = self.files.put(whole)
        expected = min(chunk_size or 4096, 262_144)
        count = -(-size // expected)
        first = round(count * start)
        download = self.begin(None, chunk_size, first)
        chunks = self.chunks(download)
        self.assertEqual((download.chunk_size, [chunk["seq"] for chunk in chunks]), (expected, list(range(first, count))))
        self.assertEqual(self.data(chunks), whole[first * expected :])
        self.assertEqual({len(base64.b64decode(chunk["data_b64"])) for chunk in chunks[:-1]} - {expected}, set())
        end = {"download_id": download.download_id, "version": "1.0.0", "checksum": stored.checksum}
        self.assertEqual(orjson.loads(download.end()), {"type": "DOWNLOAD_END", "payload": end})
        self.assertEqual(download.more(), b"")
        download.close()

    def test_a_little_at_once(self) -> None:
        """What is made at once is a chunk, or as many as make a write worth while; nothing is read before it is asked for."""
        self.files.put(SOME)
        for size in (1, 7, 4096, 40_000, 262_144):
            download = self.begin(None, size)
            with patch("os.pread", wraps=os.pread) as read:
                self.assertEqual(read.call_count, 0)
                lines_ = download.more()
            self.assertEqual(read.call_count, 1)
            self.assertLess(len(lines_), max(AT_ONCE_BYTES, size * 4 // 3 + 200))
            self.assertTrue(len(lines_) > AT_ONCE_BYTES // 2 or lines_.count(b"\n") == 1)
            download.close()

    def test_versions(self) -> None:
        """The latest, or the one that is named."""
        self.files.put(b"one", version="1.0.0")
        self.files.put(b"two", version="1.1.0")
        self.assertEqual(self.data(self.chunks(self.begin())), b"two")
        self.assertEqual(self.data(self.chunks(self.begin("1.0.0"))), b"one")


class RefusedTests(DownloadsCase):
    def test_beyond_the_end(self) -> None:
        """The number of chunks gives nothing but the end; one more is 120, which says what there is."""
        self.files.put(b"12345")
        self.assertEqual(self.begin(None, 2, 3).more(), b"")
        failure = self.failureResultOf(self.downloads.begin(ANN, "g", None, 2, 4), ChunkOutOfOrder)
        self.assertEqual((failure.value.code, failure.value.payload), (120, {"expected_seq": 3}))
        self.failureResultOf(self.downloads.begin(ANN, "g", None, 2, 2**62), ChunkOutOfOrder)
        self.assertEqual(self.downloads.active, 1)

    def test_what_the_catalogue_refuses(self) -> None:
        """Comes through."""
        self.failureResultOf(self.downloads.begin(ANN, "nope"), NotFound)
        self.files.refusal = BadState("offline")
        self.failureResultOf(self.downloads.begin(ANN, "g"), BadState)

    def test_not_what_it_was(self) -> None:
        """A file that is gone, or of another size, is found at the beginning; one that is cut later when it is read. No descriptor is left."""
        path = self.files.put(SOME).path
        before = len(list(Path("/proc/self/fd").iterdir()))
        download = self.begin(None, 262_144)
        download.more()
        os.truncate(path, 270_000)
        with self.assertRaises(UnreadableFile):
            download.more()
        download.close()
        self.failureResultOf(self.downloads.begin(ANN, "g"), UnreadableFile)
        path.unlink()
        self.failureResultOf(self.downloads.begin(ANN, "g"), FileNotFoundError)
        self.assertEqual((len(list(Path("/proc/self/fd").iterdir())), self.downloads.active), (before, 0))


class DescriptorTests(DownloadsCase):
    def test_shared(self) -> None:
        """A crowd at one file uses one descriptor, each at its own place, and the last to go closes it."""
        self.files.put(SOME)
        before = len(list(Path("/proc/self/fd").iterdir()))
        crowd = [self.begin(None, 1000, number) for number in range(50)]
        self.assertEqual((len(list(Path("/proc/self/fd").iterdir())), self.downloads.active), (before + 1, 50))
        for number, download in enumerate(crowd):
            if number % 2:
                download.close()
        for number, download in enumerate(crowd):
            if not number % 2:
                self.assertEqual(self.data(self.chunks(download)), SOME[number * 1000 :])
                download.close()
                download.close()
        self.assertEqual((len(list(Path("/proc/self/fd").iterdir())), self.downloads.active), (before, 0))

    def test_a_file_that_is_removed(self) -> None:
        """Who downloads it gets it whole all the same, and a new one in its place is another one."""
        path = self.files.put(SOME).path
        download = self.begin()
        path.unlink()
        self.files.put(b"new")
        self.assertEqual(self.data(self.chunks(self.begin())), b"new")
        self.assertEqual(self.data(self.chunks(download)), SOME)
