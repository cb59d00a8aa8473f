"""Uploads, against a door that keeps the rules of docs/protocol/developer.md and has faults where a test wants them."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pybase64
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.client.developer import DeveloperClient
from gameroom.client.lines import ConnectionFailed
from gameroom.client.upload import CHUNK, GOES_BACK, WINDOW, Uploaded
from gameroom.errors import BadState, ChecksumMismatch, ChunkOutOfOrder, InvalidRequest
from gameroom.wire.lines import LineBuffer
from tests.client.links import Linked, Script, link

DATA = b"".join(bytes([number]) * CHUNK for number in range(20)) + b"the rest"


class Door(Script):
    """Takes one upload. What it has stays when a connection is lost: `store` is kept beside it."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self._buffer = LineBuffer()
        self.held = False

    def dataReceived(self, data: bytes) -> None:
        self._buffer.feed(data)
        while (line := self._buffer.take(1 << 20)) is not None:
            self.requests.append(orjson.loads(line))
            if not self.held:
                self.go_on()

    def go_on(self, count: int = 1000) -> None:
        """Answer so many requests."""
        for request in self.requests[:count]:
            getattr(self, request["type"].lower())(request["payload"])
        del self.requests[:count]

    def upload_begin(self, payload: dict[str, Any]) -> None:
        self.store.begun.append(payload)
        self.ok(upload_id="u", chunk_size=self.store.chunk_size or payload["chunk_size"])

    def upload_status(self, payload: dict[str, Any]) -> None:
        assert payload == {"upload_id": "u"}
        self.ok(next_seq=self.store.next_seq, received_bytes=len(self.store.data), size_bytes=0)

    def upload_chunk(self, payload: dict[str, Any]) -> None:
        store = self.store
        if store.refuses:
            store.refuses -= 1
            store.forget(store.forgets)
            self.error(120, "not the next", expected_seq=store.next_seq)
        elif store.fault is not None and payload["seq"] == store.fault[0]:
            self.error(*store.fault[1:])
        elif payload["seq"] != store.next_seq:
            self.error(120, "not the next", expected_seq=store.next_seq)
        else:
            store.data += pybase64.b64decode(payload["data_b64"], validate=True)
            store.ends.append(len(store.data))
            store.taken += 1
            self.ok()

    def upload_end(self, payload: dict[str, Any]) -> None:
        if sha256(self.store.data).hexdigest() != self.store.begun[-1]["checksum"]:
            self.error(121, "other bytes")
        else:
            self.ok(version=self.store.begun[-1]["version"], is_latest=True)


class Store:
    """What the door has of the upload, and its faults."""

    def __init__(self) -> None:
        self.begun: list[dict[str, Any]] = []
        self.data = bytearray()
        self.ends: list[int] = []
        self.taken = 0
        self.chunk_size = 0
        self.refuses = self.forgets = 0
        self.fault: tuple[int, int, str] | None = None

    @property
    def next_seq(self) -> int:
        return len(self.ends)

    def forget(self, count: int) -> None:
        """As a door that has lost its last chunks."""
        if count:
            del self.ends[-count:]
            del self.data[self.ends[-1] if self.ends else 0 :]


class UploadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = Store()
        self.path = Path(self.mktemp())
        self.path.write_bytes(DATA)
        self.seen: list[int] = []
        self.linked = self.connect()

    def connect(self) -> Linked:
        factory = Factory()
        factory.buildProtocol = lambda addr: Door(self.store)  # type: ignore[method-assign]
        return link(DeveloperClient, factory, Clock())

    def upload(self, **options: Any) -> Deferred[Uploaded]:
        client: DeveloperClient = self.linked.client
        return client.upload("game", "1.0.0", self.path, progress=lambda sent, size: self.seen.append(sent), **options)

    def test_all_of_it(self) -> None:
        """Size and sum are declared, large chunks asked for, and all of it arrives."""
        done = self.linked.result(self.upload())
        self.assertEqual(done, Uploaded("1.0.0", True, len(DATA)))
        declared = {"size_bytes": len(DATA), "checksum": sha256(DATA).hexdigest(), "chunk_size": CHUNK}
        self.assertEqual(self.store.begun, [{"game_id": "game", "version": "1.0.0", **declared}])
        self.assertEqual((bytes(self.store.data), self.store.taken), (DATA, 21))
        self.assertEqual(self.seen, [0, *range(CHUNK, len(DATA), CHUNK), len(DATA)])

    def test_an_empty_file(self) -> None:
        """It has no chunks; what it means is the server's to say."""
        self.path.write_bytes(b"")
        self.assertEqual(self.linked.result(self.upload()).sent_bytes, 0)
        self.assertEqual(self.store.taken, 0)

    def test_the_servers_chunk_size(self) -> None:
        """What is answered counts, where it is smaller than what was asked for."""
        self.store.chunk_size = 100_000
        self.linked.result(self.upload())
        self.assertEqual(self.store.ends[0], 100_000)
        self.assertEqual(bytes(self.store.data), DATA)

    def test_never_more_than_asked_for(self) -> None:
        """A server that answers more than the wish is not sent more."""
        self.store.chunk_size = CHUNK
        self.linked.result(self.upload(chunk_size=50_000))
        self.assertEqual(self.store.ends[0], 50_000)

    def test_window(self) -> None:
        """So many chunks are under way, and another one for each that was answered."""
        uploading = self.upload()
        self.linked.script.held = True
        for _ in range(2):
            # BEGIN and STATUS.
            self.linked.flush()
            self.linked.script.go_on()
        self.linked.flush()
        self.assertEqual([request["payload"]["seq"] for request in self.linked.script.requests], list(range(WINDOW)))
        self.linked.script.go_on(1)
        self.linked.flush()
        self.assertEqual([request["payload"]["seq"] for request in self.linked.script.requests], list(range(1, WINDOW + 1)))
        self.linked.script.held = False
        self.linked.script.go_on()
        self.linked.result(uploading)

    def test_a_full_connection(self) -> None:
        """Where the transport takes no more nothing is read from the file, until it does."""
        uploading = self.upload()
        self.linked.script.held = True
        for _ in range(2):
            self.linked.flush()
            self.linked.script.go_on()
        self.linked.flush()
        # The first chunks are on their way by now.
        self.linked.pump.client.pauseProducing()
        self.linked.flush()
        self.linked.script.go_on(3)
        self.linked.flush()
        self.assertEqual(len(self.linked.script.requests), WINDOW - 3)
        self.linked.pump.client.resumeProducing()
        self.linked.flush()
        self.assertEqual(len(self.linked.script.requests), WINDOW)
        self.linked.script.held = False
        self.linked.script.go_on()
        self.linked.result(uploading)
        self.assertEqual(bytes(self.store.data), DATA)

    def test_goes_on(self) -> None:
        """What the server has is not sent again, whatever its chunks were."""
        self.store.data += DATA[: 3 * CHUNK + 7]
        self.store.ends = [CHUNK, 2 * CHUNK, 3 * CHUNK, 3 * CHUNK + 7]
        done = self.linked.result(self.upload())
        self.assertEqual((done.sent_bytes, bytes(self.store.data)), (len(DATA) - 3 * CHUNK - 7, DATA))
        self.assertEqual(self.seen[0], 3 * CHUNK + 7)

    def test_all_was_there(self) -> None:
        """Only its end was missing."""
        self.store.data += DATA
        self.assertEqual(self.linked.result(self.upload()).sent_bytes, 0)

    def test_lost_and_taken_up(self) -> None:
        """After a lost connection another one goes on."""
        uploading = self.upload()
        self.linked.script.held = True
        for _ in range(2):
            self.linked.flush()
            self.linked.script.go_on()
        self.linked.flush()
        self.linked.script.go_on(5)
        self.linked.pump.client.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(str(self.failureResultOf(uploading, ConnectionFailed).value), "the connection was lost")
        self.linked = self.connect()
        done = self.linked.result(self.upload())
        self.assertEqual((done.sent_bytes, bytes(self.store.data)), (len(DATA) - 5 * CHUNK, DATA))
        self.assertEqual(self.linked.clock.getDelayedCalls(), [])

    def test_out_of_order(self) -> None:
        """120: back to what the server expects, also where it has forgotten some."""
        self.store.fault = None
        self.upload_until(seq=4)
        self.store.refuses, self.store.forgets = 1, 2
        self.finish()
        self.assertEqual(bytes(self.store.data), DATA)

    def upload_until(self, seq: int) -> None:
        self.uploading = self.upload()
        self.linked.script.held = True
        for _ in range(2):
            self.linked.flush()
            self.linked.script.go_on()
        self.linked.flush()
        self.linked.script.go_on(seq)

    def finish(self) -> Uploaded:
        self.linked.script.held = False
        self.linked.script.go_on()
        done: Uploaded = self.linked.result(self.uploading)
        return done

    def test_out_of_order_for_ever(self) -> None:
        """A server that never takes what it asks for is left after some tries."""
        self.store.refuses = 1000
        with self.assertRaises(ChunkOutOfOrder):
            self.linked.result(self.upload(window=1))
        self.assertEqual(1000 - self.store.refuses, GOES_BACK + 1)

    def test_refused(self) -> None:
        """A chunk that is refused ends it with what the server says; nobody minds the answers to those behind it."""
        self.store.fault = (3, 105, "past size_bytes")
        with self.assertRaises(BadState) as caught:
            self.linked.result(self.upload())
        self.assertEqual(caught.exception.message, "past size_bytes")
        self.linked.flush()
        self.assertTrue(self.linked.client.connected)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_a_faulty_bundle(self) -> None:
        """What UPLOAD_END is refused with is told."""

        def refuse(payload: dict[str, Any]) -> None:
            self.linked.script.error(100, "game.toml: [hosting] kind is unknown")

        self.linked.script.upload_end = refuse
        with self.assertRaises(InvalidRequest):
            self.linked.result(self.upload())

    def test_other_bytes(self) -> None:
        """121 is told as what it is."""
        self.store.data += b"x" * CHUNK
        self.store.ends = [CHUNK]
        with self.assertRaises(ChecksumMismatch):
            self.linked.result(self.upload())

    def test_a_file_that_shrinks(self) -> None:
        """It is said plainly, and nothing hangs."""
        self.upload_until(seq=1)
        with self.path.open("r+b") as file:
            file.truncate(CHUNK)
        self.assertRaises(BadState, self.finish)

    def test_no_file(self) -> None:
        self.path.unlink()
        self.failureResultOf(self.upload(), FileNotFoundError)

    def test_cancelled(self) -> None:
        """It sends no more; what the server has stays there for another time."""
        self.upload_until(seq=2)
        self.uploading.cancel()
        self.failureResultOf(self.uploading, CancelledError)
        self.linked.script.held = False
        self.linked.script.go_on()
        self.linked.flush()
        self.assertEqual(self.store.taken, WINDOW)
        self.assertTrue(self.linked.client.connected)
