"""Downloads, against a door of a script: what arrives, what goes on, and what is refused."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pybase64
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.client.download import CHUNK, STALLED, Downloaded
from gameroom.client.lines import ConnectionFailed
from gameroom.client.lobby import LobbyClient
from gameroom.errors import BadState, ChecksumMismatch
from tests.client.links import scripted

DATA = bytes(range(256)) * (CHUNK // 256) + b"b" * CHUNK + b"the rest"
"""Three chunks."""


class DownloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.linked = scripted(LobbyClient)
        self.script = self.linked.script
        self.part = Path(self.mktemp()) / "deep" / "1.0.0.part"
        self.seen: list[tuple[int, int]] = []

    def asked(self) -> dict[str, Any]:
        """The newest request, as type and payload."""
        self.linked.flush()
        request = self.script.requests[-1]
        return {"type": request["type"], **request["payload"]}

    def begin(self, version: str | None = "1.0.0") -> Deferred[Downloaded]:
        def progress(there: int, size: int) -> None:
            self.seen.append((there, size))

        client: LobbyClient = self.linked.client
        return client.download("game", self.part, version=version, progress=progress)

    def begun(self, size: int = len(DATA), chunk_size: int = CHUNK, download_id: str = "d") -> None:
        self.script.ok(download_id=download_id, version="1.0.0", size_bytes=size, chunk_size=chunk_size)

    def chunks(self, *numbers: int, data: bytes = DATA, size: int = CHUNK, download_id: str = "d") -> None:
        for seq in numbers:
            text = pybase64.b64encode(data[seq * size : (seq + 1) * size]).decode()
            self.script.push("DOWNLOAD_CHUNK", download_id=download_id, seq=seq, data_b64=text)

    def end(self, checksum: str | None = sha256(DATA).hexdigest(), download_id: str = "d") -> None:
        self.script.push("DOWNLOAD_END", download_id=download_id, version="1.0.0", checksum=checksum)
        self.linked.flush()

    def there(self, data: bytes) -> None:
        """What an earlier try has brought."""
        self.part.parent.mkdir(parents=True)
        self.part.write_bytes(data)

    def test_all_of_it(self) -> None:
        """Chunk after chunk into the part, checked at the end; large chunks are asked for."""
        coming = self.begin()
        self.assertEqual(self.asked(), {"type": "DOWNLOAD_BEGIN", "game_id": "game", "version": "1.0.0", "chunk_size": CHUNK})
        self.begun()
        self.chunks(0, 1, 2)
        self.end()
        self.assertEqual(self.successResultOf(coming), Downloaded("1.0.0", len(DATA), sha256(DATA).hexdigest(), self.part))
        self.assertEqual(self.part.read_bytes(), DATA)
        self.assertEqual(self.seen, [(CHUNK, len(DATA)), (2 * CHUNK, len(DATA)), (len(DATA), len(DATA))])
        self.assertEqual(self.linked.clock.getDelayedCalls(), [])

    def test_the_latest(self) -> None:
        """Which version is the latest is asked first, so that a part of another one is not gone on with."""
        coming = self.begin(None)
        self.assertEqual(self.asked(), {"type": "LATEST_VERSION", "game_id": "game"})
        self.script.ok(version="2.0.0", size_bytes=0, checksum="x")
        self.assertEqual(self.asked()["version"], "2.0.0")
        self.begun(size=0)
        self.end(sha256(b"").hexdigest())
        self.successResultOf(coming)
        self.assertEqual(self.part.read_bytes(), b"")

    def test_goes_on(self) -> None:
        """Whole chunks that are there are not brought again; the rest of the part is cut off."""
        self.there(DATA[: CHUNK + 5])
        coming = self.begin()
        self.assertEqual(self.asked()["from_seq"], 1)
        self.begun()
        self.chunks(1, 2)
        self.end()
        self.successResultOf(coming)
        self.assertEqual(self.part.read_bytes(), DATA)

    def test_goes_on_with_what_was_wrong(self) -> None:
        """A part that was something else is found out at the end, and gone; the next try begins at 0."""
        self.there(b"x" * CHUNK)
        coming = self.begin()
        self.begun()
        self.chunks(1, 2)
        self.end()
        self.failureResultOf(coming, ChecksumMismatch)
        self.assertFalse(self.part.exists())

    def test_a_part_that_is_too_long(self) -> None:
        """Where the server has no such chunk the download begins at 0."""
        self.there(b"x" * CHUNK * 9)
        coming = self.begin()
        self.assertEqual(self.asked()["from_seq"], 9)
        self.script.error(120, "there are 3 chunks", expected_seq=3)
        self.assertNotIn("from_seq", self.asked())
        self.begun()
        self.chunks(0, 1, 2)
        self.end()
        self.successResultOf(coming)
        self.assertEqual(self.part.read_bytes(), DATA)

    def test_smaller_chunks_than_asked_for(self) -> None:
        """A server that has its own size is followed, also where a part is there: it counts in that size."""
        self.there(DATA[: CHUNK + 5])
        coming = self.begin()
        self.linked.flush()
        self.begun(chunk_size=1024, download_id="wrong")
        self.chunks(256, size=1024, download_id="wrong")
        self.linked.flush()
        cancel, again = (request["payload"] for request in self.script.requests[-2:])
        self.assertEqual(cancel, {"download_id": "wrong"})
        self.assertEqual((again["chunk_size"], again["from_seq"]), (1024, 256))
        self.script.ok()
        self.begun(chunk_size=1024)
        self.chunks(*range(256, 513), size=1024)
        self.end()
        self.successResultOf(coming)
        self.assertEqual(self.part.read_bytes(), DATA)

    def test_refused(self) -> None:
        """What BEGIN is refused with is told."""
        coming = self.begin()
        self.script.error(105, "offline")
        self.linked.flush()
        self.assertEqual(self.failureResultOf(coming, BadState).value.message, "offline")

    def test_error_on_the_way(self) -> None:
        """DOWNLOAD_ERROR ends it with its code and message; what has come stays for the next try."""
        coming = self.begin()
        self.begun()
        self.chunks(0)
        self.script.push("DOWNLOAD_ERROR", download_id="d", code=105, message="taken away")
        self.linked.flush()
        self.assertEqual(self.failureResultOf(coming, BadState).value.message, "taken away")
        self.assertEqual(self.part.read_bytes(), DATA[:CHUNK])
        self.assertEqual(self.asked()["type"], "DOWNLOAD_BEGIN")

    def test_lost_on_the_way(self) -> None:
        """What has come stays."""
        coming = self.begin()
        self.begun()
        self.chunks(0, 1)
        self.linked.flush()
        self.linked.pump.client.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(str(self.failureResultOf(coming, ConnectionFailed).value), "the connection was lost")
        self.assertEqual(self.part.read_bytes(), DATA[: 2 * CHUNK])
        self.assertEqual(self.linked.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """The server is told, and what still comes is passed over."""
        coming = self.begin()
        self.begun()
        self.chunks(0)
        self.linked.flush()
        coming.cancel()
        self.failureResultOf(coming, CancelledError)
        self.chunks(1, 2)
        self.assertEqual(self.asked(), {"type": "DOWNLOAD_CANCEL", "download_id": "d"})
        self.assertEqual(self.part.read_bytes(), DATA[:CHUNK])
        self.assertTrue(self.linked.client.connected)

    def test_stalled(self) -> None:
        """A server that sends nothing for long is given up; each chunk begins the time anew."""
        coming = self.begin()
        self.begun()
        self.linked.flush()
        self.linked.clock.advance(STALLED - 1)
        self.chunks(0)
        self.linked.flush()
        self.linked.clock.advance(STALLED - 1)
        self.assertNoResult(coming)
        self.linked.clock.advance(1)
        self.linked.flush()
        self.assertIn("60 seconds", str(self.failureResultOf(coming, ConnectionFailed).value))

    def test_the_wrong_bytes(self) -> None:
        """A sum that is not the declared one: the part is gone. A prefix before the sum, and capitals, are the same sum."""
        coming = self.begin()
        self.begun()
        self.chunks(0, 1, 2)
        self.end("0" * 64)
        self.failureResultOf(coming, ChecksumMismatch)
        self.assertFalse(self.part.exists())
        coming = self.begin()
        self.begun()
        self.chunks(0, 1, 2)
        self.end("sha256:" + sha256(DATA).hexdigest().upper())
        self.successResultOf(coming)

    def test_too_few_bytes(self) -> None:
        """An end before the last chunk, without a sum that would tell."""
        coming = self.begin()
        self.begun()
        self.chunks(0, 1)
        self.end(None)
        self.assertIn(f"{2 * CHUNK} of {len(DATA)}", self.failureResultOf(coming, ChecksumMismatch).value.message)

    def test_odd_chunks(self) -> None:
        """Chunks that are not the next, not base64 or not as long as announced end the download and say so."""
        for chunk, words in (
            ({"seq": 1, "data_b64": "YQ=="}, "chunk 1 where 0"),
            ({"seq": 0, "data_b64": "*"}, "not base64"),
            ({"seq": 0}, "not base64"),
            ({"seq": 0, "data_b64": 5}, "not base64"),
            ({"seq": 0, "data_b64": "YQ=="}, "1 bytes"),
        ):
            coming = self.begin()
            self.begun()
            self.script.push("DOWNLOAD_CHUNK", download_id="d", **chunk)
            self.linked.flush()
            self.assertIn(words, str(self.failureResultOf(coming, ConnectionFailed).value))
            self.assertEqual(self.asked()["type"], "DOWNLOAD_CANCEL")
            self.script.ok()
            self.linked.flush()

    def test_a_disk_that_is_full(self) -> None:
        """It is told as what it is, and the server stops."""
        coming = self.begin()
        self.begun()
        self.linked.flush()
        [receiving] = self.linked.client._downloading._coming.values()

        class Full:
            def write(self, data: bytes) -> None:
                raise OSError(28, "No space left on device")

        receiving.file = Full()
        self.chunks(0)
        self.linked.flush()
        self.failureResultOf(coming, OSError)
        self.assertEqual(self.asked()["type"], "DOWNLOAD_CANCEL")

    def test_a_folder_that_cannot_be(self) -> None:
        self.part.parent.parent.mkdir()
        self.part.parent.write_text("a file is in the way")
        self.failureResultOf(self.begin(), OSError)

    def test_twice_into_one_part(self) -> None:
        """The second one waits for another time, and spoils nothing."""
        first = self.begin()
        self.begun()
        self.chunks(0)
        self.linked.flush()
        self.failureResultOf(self.begin(), BadState)
        self.chunks(1, 2)
        self.end()
        self.successResultOf(first)
        self.assertEqual(self.part.read_bytes(), DATA)

    def test_two_at_a_time(self) -> None:
        """Each gets its own chunks; those of nobody are passed over."""
        one = self.begin()
        self.begun()
        self.linked.flush()
        other_part = self.part.with_name("other.part")
        other = self.linked.client.download("other", other_part, version="1.0.0")
        self.begun(size=3, download_id="e")
        self.linked.flush()
        self.chunks(0)
        self.chunks(0, data=b"abc", download_id="e")
        self.chunks(0, data=b"xyz", download_id="nobody's")
        self.chunks(1, 2)
        self.end(sha256(b"abc").hexdigest(), download_id="e")
        self.end()
        self.successResultOf(one)
        self.successResultOf(other)
        self.assertEqual((self.part.read_bytes(), other_part.read_bytes()), (DATA, b"abc"))

    def test_an_answer_that_lacks_something(self) -> None:
        coming = self.begin()
        self.script.ok(download_id="d")
        self.linked.flush()
        self.failureResultOf(coming, ConnectionFailed)
