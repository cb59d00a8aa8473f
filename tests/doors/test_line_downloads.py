"""gameroom.doors.line_downloads: files chunk by chunk, at the reader's pace, with everything else between them."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.turns import AT_ONCE, PIECE
from gameroom.errors import BadState
from tests.doors.downloading import TAKES, Reader, Shop

SOME = random.Random(2).randbytes(1_000_000)
MOST_LINE = 262_144 * 4 // 3 + 200


class DownloadCase(SynchronousTestCase):
    """A lobby, a file of a million bytes, and Ann, who reads."""

    def setUp(self) -> None:
        self.shop = Shop()
        self.addCleanup(self.shop.files.close)
        self.stored = self.shop.files.put(SOME)
        self.ann = self.shop.reader("Ann")

    def begin(self, peer: Reader | None = None, **fields: Any) -> str:
        return str((peer or self.ann).ok("DOWNLOAD_BEGIN", game_id="g", **fields)["download_id"])

    def assert_whole(self, download_id: str, peer: Reader | None = None, data: bytes = SOME) -> None:
        peer = peer or self.ann
        self.assertEqual(peer.file(download_id), data)
        self.assertEqual(peer.of(download_id)[-1], {"download_id": download_id, "version": self.stored.version, "checksum": self.stored.checksum})
        self.assertEqual((peer.of(download_id, "DOWNLOAD_ERROR"), len(peer.of(download_id, "DOWNLOAD_END"))), ([], 1))


class WholeTests(DownloadCase):
    def test_answer_then_chunks_then_end(self) -> None:
        """BEGIN's answer has just the seed's fields and comes first; then chunks of the default size, then the end with the checksum."""
        answer = self.ann.ok("DOWNLOAD_BEGIN", game_id="g")
        self.assertEqual(self.ann.transport.value(), b"")
        download_id = answer.pop("download_id")
        self.assertEqual(answer, {"version": "1.0.0", "size_bytes": len(SOME), "chunk_size": 4096})
        self.shop.run(self.ann)
        self.assert_whole(download_id)
        self.assertEqual(len(self.ann.of(download_id)), -(-len(SOME) // 4096) + 1)
        self.assertEqual(self.ann.of(download_id)[0].keys(), {"download_id", "seq", "data_b64"})
        self.assertEqual((self.shop.downloads.active, self.shop.notes.noted), (0, [("ann", "g")]))

    def test_pipelined(self) -> None:
        """Requests that came with BEGIN in one read: their answers in order, and the first push behind BEGIN's."""
        self.ann.raw(self.ann.line("DOWNLOAD_BEGIN", game_id="g", chunk_size=262_144) + self.ann.line("WHOAMI"))
        self.shop.run(self.ann)
        self.assertEqual(["status" in each for each in self.ann.heard], [True, True, False, False, False, False, False])
        self.assert_whole(self.ann.heard[0]["payload"]["download_id"])

    def test_sizes(self) -> None:
        """A larger wish is answered with the most there is; one byte will do."""
        self.assertEqual(self.ann.ok("DOWNLOAD_BEGIN", game_id="g", chunk_size=10**9)["chunk_size"], 262_144)
        self.assertEqual(self.ann.ok("DOWNLOAD_BEGIN", game_id="g", chunk_size=1, from_seq=len(SOME) - 3)["chunk_size"], 1)
        self.shop.run(self.ann)

    def test_resumed(self) -> None:
        """From where it was; with the number of chunks there is only the end; beyond it 120."""
        self.assert_after("DOWNLOAD_BEGIN", SOME[3 * 4096 :], from_seq=3)
        self.assert_after("DOWNLOAD_BEGIN", b"", from_seq=4, chunk_size=250_000)
        answer = self.ann.ask("DOWNLOAD_BEGIN", game_id="g", from_seq=5, chunk_size=250_000)
        self.assertEqual((answer["code"], answer["payload"]), (120, {"expected_seq": 4}))

    def assert_after(self, type_: str, data: bytes, **fields: Any) -> None:
        download_id = self.ann.ok(type_, game_id="g", **fields)["download_id"]
        self.shop.run(self.ann)
        self.assert_whole(download_id, data=data)

    def test_four_at_a_time(self) -> None:
        """They take turns, each is whole; a fifth is 105 until one is over."""
        ids = [self.begin(chunk_size=50_000) for _ in range(4)]
        self.assertEqual(self.ann.code("DOWNLOAD_BEGIN", game_id="g"), 105)
        for _ in range(12):
            self.shop.round()
            self.ann.take()
        counts = [len(self.ann.of(download_id)) for download_id in ids]
        self.assertLessEqual(max(counts) - min(counts), 1)
        self.assertEqual(self.shop.reader().code("DOWNLOAD_BEGIN", game_id="g"), 0)
        self.shop.run(self.ann)
        for download_id in ids:
            self.assert_whole(download_id)
        self.begin()


class RefusedTests(DownloadCase):
    def test_refused(self) -> None:
        """100, 101, 103 and 105 are the answer to BEGIN, and nothing comes after it."""
        self.assertEqual(self.ann.code("DOWNLOAD_BEGIN", game_id="nope"), 103)
        self.assertEqual(self.ann.code("DOWNLOAD_BEGIN", game_id="g", version="9.9.9"), 103)
        self.shop.files.refusal = BadState("offline")
        self.assertEqual(self.ann.code("DOWNLOAD_BEGIN", game_id="g"), 105)
        for fields in ({"chunk_size": 0}, {"chunk_size": True}, {"from_seq": -1}, {"from_seq": "1"}, {"version": 1}, {"x": 1}):
            self.assertEqual(self.ann.code("DOWNLOAD_BEGIN", game_id="g", **fields), 100)
        self.ann.token = None
        self.assertEqual(self.ann.code("DOWNLOAD_BEGIN", game_id="g"), 101)
        self.assertEqual(self.ann.code("DOWNLOAD_CANCEL", download_id="x"), 101)
        self.shop.run(self.ann)
        self.assertEqual((self.ann.heard, self.shop.downloads.active), ([], 0))

    def test_file_that_is_gone(self) -> None:
        """199 with an incident, which the log has too; nothing of where files are is told."""
        self.stored.path.unlink()
        answer = self.ann.ask("DOWNLOAD_BEGIN", game_id="g")
        self.assertEqual((answer["code"], answer["payload"]), (199, {"incident": "incident-1"}))
        self.assertNotIn(str(self.stored.path), answer["message"])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_file_that_breaks(self) -> None:
        """DOWNLOAD_ERROR 199, its incident in the log; what else is under way goes on."""
        other = self.shop.files.put(SOME, "h")
        whole = str(self.ann.ok("DOWNLOAD_BEGIN", game_id="h")["download_id"])
        broken = self.begin(chunk_size=100_000)
        os.truncate(self.stored.path, 500_000)
        self.shop.run(self.ann)
        self.assertEqual(self.ann.file(broken), SOME[:500_000])
        [error] = self.ann.of(broken, "DOWNLOAD_ERROR")
        self.assertEqual((error.keys(), error["code"]), ({"download_id", "code", "message"}, 199))
        self.assertIn("incident-1", error["message"])
        self.assertNotIn(str(self.stored.path), error["message"])
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        self.assertEqual((self.ann.file(whole), other.checksum), (SOME, self.ann.of(whole)[-1]["checksum"]))
        self.assertEqual((self.shop.downloads.active, self.shop.notes.noted), (0, [("ann", "h")]))


class BetweenTests(DownloadCase):
    """What goes on while a file is sent."""

    def test_answers_between_chunks(self) -> None:
        """Whoever reads at full speed, so that the transport is full after each write, has requests answered before the next chunk."""
        download_id = self.begin(chunk_size=262_144)
        for _ in range(3):
            self.shop.round()
            self.assertTrue(self.ann.protocol.outbox.paused)
            self.ann.send("PING")
            self.ann.take()
            self.ann.take()
            self.assertEqual([answer["code"] for answer in self.ann.answered()], [0])
        self.shop.run(self.ann)
        self.assert_whole(download_id)

    def test_requests_that_wait(self) -> None:
        """Chunks go on while a request is waited for."""
        download_id = self.begin()
        self.shop.world.hashing.held = True
        self.ann.send("LOGIN_PLAYER", username="nobody", password="correct horse")
        self.shop.run(self.ann)
        self.assert_whole(download_id)
        self.shop.world.hashing.go_on()
        self.ann.take()
        self.assertEqual([answer["code"] for answer in self.ann.answered()], [101])

    def test_pushes_between_chunks(self) -> None:
        """A change of a room is told before the next chunk, whatever is left of the file, and a full queue of pushes is not the file's fault."""
        self.ann.ok("SUBSCRIBE", rooms=True)
        download_id = self.begin(chunk_size=262_144)
        self.shop.round()
        self.assertTrue(self.ann.protocol.outbox.paused)
        self.assertEqual(self.ann.protocol.outbox.queued_bytes, 0)
        self.shop.world.room(self.shop.world.peer("host"))
        self.assertGreater(self.ann.protocol.outbox.queued_bytes, 0)
        self.ann.take()
        self.ann.take()
        self.assertEqual([each["type"] for each in self.ann.heard], ["DOWNLOAD_CHUNK", "ROOM_UPDATED"])
        self.shop.run(self.ann)
        self.assert_whole(download_id)

    def test_who_never_reads(self) -> None:
        """Costs what the transport takes, one chunk and 64 KiB of answers; then its requests are read no further, and all come in the end."""
        ids = [self.begin(chunk_size=262_144) for _ in range(4)]
        self.shop.round()
        line = self.ann.line("HELP")
        sent = 0
        while self.ann.transport.producerState == "producing":
            self.ann.raw(line)
            sent += 1
            self.shop.round()
            self.assertLess(sent, 1000)
        outbox = self.ann.protocol.outbox
        self.assertEqual(outbox.queued_bytes, 0)
        self.assertLess(self.ann.narrow.unread, TAKES + MOST_LINE)
        self.assertLess(outbox.patient_bytes, 100_000)
        self.ann.raw(line * 100)
        self.assertLess(outbox.patient_bytes, 100_000)
        self.shop.run(self.ann)
        self.assertEqual([answer["code"] for answer in self.ann.answered()], [0] * (sent + 100))
        self.assertEqual((self.ann.transport.producerState, outbox.patient_bytes), ("producing", 0))
        for download_id in ids:
            self.assert_whole(download_id)
        self.assertLess(self.ann.most_unread, 2 * TAKES + MOST_LINE)

    def test_reading_stops_when_the_last_is_over(self) -> None:
        """Who does not read the end of a file is not read either, once it was all that filled the connection."""
        self.shop.files.put(SOME[:200_000])
        self.begin(chunk_size=262_144)
        self.shop.round()
        self.assertTrue(self.ann.protocol.outbox.paused)
        self.ann.raw(self.ann.line("WHOAMI") * 3)
        self.assertEqual(self.ann.transport.producerState, "paused")
        self.shop.run(self.ann)
        self.assertEqual(len(self.ann.answered()), 3)
        self.assertEqual(self.ann.transport.producerState, "producing")

    def test_fair(self) -> None:
        """However many download, a round of the reactor sends a few pieces of all their files; everybody has a turn."""
        crowd = [self.shop.reader() for _ in range(30)]
        ids = [self.begin(peer, chunk_size=(4096, 65_536, 262_144)[number % 3]) for number, peer in enumerate(crowd)]
        for _ in range(60):
            self.shop.round()
            self.assertLess(sum(peer.take() for peer in crowd), (2 * AT_ONCE - 1) * PIECE * 4 // 3 + 30 * 300)
        self.assertEqual([bool(peer.heard) for peer in crowd], [True] * 30)
        self.shop.run(*crowd)
        for peer, download_id in zip(crowd, ids, strict=True):
            self.assert_whole(download_id, peer)


class EndedTests(DownloadCase):
    """What ends a download before its end."""

    def test_cancel(self) -> None:
        """After its answer nothing more comes, and there is room for another."""
        ids = [self.begin() for _ in range(4)]
        for _ in range(5):
            self.shop.round()
            self.ann.take()
        before = len(self.ann.of(ids[0]))
        self.assertEqual(self.ann.ok("DOWNLOAD_CANCEL", download_id=ids[0]), {})
        self.assertEqual(self.ann.code("DOWNLOAD_CANCEL", download_id=ids[0]), 105)
        ids.append(self.begin())
        self.shop.run(self.ann)
        self.assertEqual(len(self.ann.of(ids[0])), before)
        for download_id in ids[1:]:
            self.assert_whole(download_id)
        self.assertEqual(self.ann.code("DOWNLOAD_CANCEL", download_id=ids[1]), 105)
        self.assertEqual(self.shop.downloads.active, 0)

    def test_cancel_by_a_slow_reader(self) -> None:
        """It is heard at once, so no more than what was on its way has to be read."""
        download_id = self.begin(chunk_size=262_144)
        self.shop.round()
        self.ann.send("DOWNLOAD_CANCEL", download_id=download_id)
        self.assertEqual(self.shop.downloads.active, 0)
        self.shop.run(self.ann)
        self.assertEqual(len(self.ann.of(download_id)), 1)
        self.assertEqual(len(self.ann.answered()), 1)

    def test_cancel_what_is_not_there(self) -> None:
        """On another connection there is no such download; another account's on the same connection is 102."""
        download_id = self.begin()
        bob = self.shop.reader("Bob")
        self.assertEqual(bob.code("DOWNLOAD_CANCEL", download_id=download_id), 105)
        token, self.ann.token = self.ann.token, bob.token
        self.assertEqual(self.ann.code("DOWNLOAD_CANCEL", download_id=download_id), 102)
        self.ann.token = token
        self.ann.ok("DOWNLOAD_CANCEL", download_id=download_id)

    def test_session_ends(self) -> None:
        """Superseded, logged out, suspended: what a request with the token is answered from now on; other sessions' go on."""
        bob = self.shop.reader("Bob")
        ends = {
            105: lambda: self.shop.world.peer().ok("LOGIN_PLAYER", username="Ann", password="correct horse"),
            101: lambda: self.ann.send("LOGOUT"),
            102: lambda: self.shop.world.accounts.suspend("player", "ann"),
        }
        for code, end in ends.items():
            ours = [self.begin(), self.begin()]
            token, self.ann.token = self.ann.token, bob.token
            others = self.begin()
            self.ann.token = token
            for _ in range(3):
                self.shop.round()
                self.ann.take()
            end()
            self.shop.run(self.ann)
            for download_id in ours:
                last = self.ann.of(download_id)[-1]
                self.assertEqual((last["code"], len(self.ann.of(download_id, "DOWNLOAD_ERROR"))), (code, 1))
                self.assertNotEqual(len(self.ann.file(download_id)), len(SOME))
            self.assertEqual(self.ann.code("WHOAMI"), code)
            self.assert_whole(others)
            self.ann.token = None
            if code != 102:
                self.ann.token = self.ann.ok("LOGIN_PLAYER", username="Ann", password="correct horse")["session_token"]
        self.assertEqual((self.shop.downloads.active, set(self.shop.notes.noted)), (0, {("bob", "g")}))

    def test_session_ends_while_it_begins(self) -> None:
        """It does not begin."""
        found: Deferred[Any] = Deferred()
        self.patch(self.shop.files, "stored", lambda game_id, version: found)
        self.ann.send("DOWNLOAD_BEGIN", game_id="g")
        self.shop.world.peer().ok("LOGIN_PLAYER", username="Ann", password="correct horse")
        found.callback(self.stored)
        self.assertEqual([answer["code"] for answer in self.ann.answers()], [105])
        self.assertEqual(self.shop.downloads.active, 0)

    def test_connection_is_lost(self) -> None:
        """Nothing is left behind: no file, no timer; also of one that is just being found."""
        other = self.shop.reader()
        self.shop.world.clock.advance(1)
        before = len(self.shop.world.clock.getDelayedCalls())
        peer = self.shop.reader("Carl")
        self.begin(peer)
        self.shop.round()
        found: Deferred[Any] = Deferred()
        self.patch(self.shop.files, "stored", lambda game_id, version: found)
        peer.send("DOWNLOAD_BEGIN", game_id="g")
        peer.lose()
        found.callback(self.stored)
        self.shop.round()
        self.shop.world.clock.advance(1)
        self.assertEqual((self.shop.downloads.active, len(self.shop.world.clock.getDelayedCalls())), (0, before))
        self.assertEqual(other.code("PING"), 0)

    def test_going_down(self) -> None:
        """Each is told that the connection ends, then it ends."""
        download_id = self.begin()
        self.shop.round()
        stopped = self.shop.lobby.stop()
        self.shop.run(self.ann)
        self.assertEqual(self.ann.of(download_id)[-1]["code"], 105)
        self.assertIn("from_seq", self.ann.of(download_id)[-1]["message"])
        self.assertTrue(self.ann.transport.lost)
        self.ann.lose()
        self.assertEqual((self.successResultOf(stopped), self.shop.downloads.active), (None, 0))

    def test_is_no_download(self) -> None:
        """Who has not had a file to its end has not downloaded it: cancelled, cut off, or ended by us."""
        bob, carl = self.shop.reader("Bob"), self.shop.reader("Carl")
        download_id = self.begin()
        for peer in (bob, carl):
            self.begin(peer)
        self.shop.round()
        self.ann.take()
        self.ann.ok("DOWNLOAD_CANCEL", download_id=download_id)
        bob.lose()
        self.shop.lobby.stop()
        self.shop.run(self.ann, carl)
        self.assertEqual((self.shop.downloads.active, self.shop.notes.noted), (0, []))

    def test_line_that_is_too_long(self) -> None:
        """The connection ends, and its downloads with it."""
        download_id = self.begin()
        self.shop.round()
        self.ann.raw(b"x" * 600_000 + b"\n")
        self.shop.run(self.ann)
        self.assertEqual(self.ann.of(download_id)[-1]["code"], 105)
        self.assertEqual((self.shop.downloads.active, self.ann.answered()[0]["code"]), (0, 100))


class HalfCloseTests(DownloadCase):
    def test_finished_first(self) -> None:
        """`printf … | nc`: all of the file, then the end of the connection, however slowly it is read."""
        self.ann.raw(self.ann.line("DOWNLOAD_BEGIN", game_id="g") * 2 + self.ann.line("WHOAMI"))
        self.ann.protocol.readConnectionLost()
        for _ in range(3):
            self.shop.round()
            self.ann.take(20_000)
        self.assertFalse(self.ann.transport.lost)
        self.shop.run(self.ann, most=50_000)
        for answer in self.ann.answered()[:2]:
            self.assert_whole(answer["payload"]["download_id"])
        self.assertTrue(self.ann.transport.lost)

    def test_session_ends(self) -> None:
        """Why it stopped is told before the connection ends."""
        download_id = self.begin()
        self.ann.protocol.readConnectionLost()
        self.shop.round()
        self.shop.world.peer().ok("LOGIN_PLAYER", username="Ann", password="correct horse")
        self.shop.run(self.ann)
        self.assertEqual((self.ann.of(download_id)[-1]["code"], self.ann.transport.lost), (105, True))


class NotedTests(DownloadCase):
    def test_before_its_end(self) -> None:
        """It is kept that the game was downloaded before the end is told, so that who has heard it may review."""
        self.shop.notes.held = []
        download_id = self.begin(chunk_size=262_144)
        other = self.begin(from_seq=-(-len(SOME) // 4096))
        self.shop.run(self.ann)
        self.assertEqual(len(self.ann.file(download_id)), len(SOME))
        self.assertEqual(self.ann.of(download_id, "DOWNLOAD_END"), [])
        self.ann.ok("DOWNLOAD_CANCEL", download_id=other)
        held, self.shop.notes.held = self.shop.notes.held, None
        for done in held:
            done.callback(None)
        self.shop.run(self.ann)
        self.assert_whole(download_id)
        self.assertEqual((self.ann.of(other), self.shop.downloads.active), ([], 0))


class PageTests(DownloadCase):
    def test_golden_bytes(self) -> None:
        """The download in docs/protocol/lobby.md is what is said, byte for byte."""
        page = (Path(__file__).parents[2] / "docs" / "protocol" / "lobby.md").read_bytes()
        [exchange] = re.findall(rb"```console\n(.*?)```", page, re.DOTALL)
        self.shop.files.put(b"Hello, world!\n", "2b0c4b5e-8f7a-4c0e-9d59-3a4f6f1f7a10")
        self.patch(self.shop.downloads, "_new_id", lambda: "c56a4180-65aa-42ec-a945-5fd21dec0538")
        expected, answered = b"", b""
        for line in exchange.splitlines(keepends=True):
            who, said = line.split(b" ", 1)
            if who == "→".encode():
                self.ann.raw(said.replace("…".encode(), str(self.ann.token).encode()))
                self.shop.run(self.ann, most=0)
                answered += self.ann.narrow.take(1 << 20)
            else:
                expected += said
        self.assertGreater(len(expected.splitlines()), 5)
        self.assertEqual(answered, expected)


class AnyReaderTests(SynchronousTestCase):
    """Whatever is downloaded, however it is read, and whatever is said meanwhile: what arrives is the file."""

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_anything(self, data: st.DataObject) -> None:
        """Downloads, cancels, pings and readers that stop at any byte: files whole and in order, answers to each request, little memory."""
        shop = Shop()
        self.addCleanup(shop.files.close)
        sizes = data.draw(st.lists(st.integers(1, 400_000), min_size=1, max_size=3))
        stored = [shop.files.put(SOME[:size], version=f"{number}.0.0") for number, size in enumerate(sizes)]
        peer = shop.reader()
        wanted: list[tuple[bytes, bool]] = []
        asked: list[str] = []
        begun: list[str] = []
        cancelled: set[str] = set()

        def hear(most: int) -> None:
            shop.round()
            peer.take(most)

        for step in data.draw(st.lists(st.sampled_from(["begin", "begin", "cancel", "ping", "read"]), max_size=15)):
            if step == "begin":
                version = data.draw(st.integers(0, len(sizes) - 1))
                size = data.draw(st.integers(300, 300_000) | st.sampled_from([4096, 65_536, 262_144]))
                count = -(-sizes[version] // min(size, 262_144))
                first = data.draw(st.integers(0, count))
                peer.send("DOWNLOAD_BEGIN", game_id="g", version=stored[version].version, chunk_size=size, from_seq=first)
                wanted.append((SOME[first * min(size, 262_144) : sizes[version]], True))
            elif step == "cancel" and begun:
                gone = data.draw(st.sampled_from(begun))
                cancelled.add(gone)
                peer.send("DOWNLOAD_CANCEL", download_id=gone)
            elif step == "ping":
                peer.send("PING")
            elif step == "read":
                for most in data.draw(st.lists(st.integers(1, 200_000), max_size=5)):
                    hear(most)
            asked += [step] if step != "read" and (step != "cancel" or begun) else []
            begun = [each["payload"]["download_id"] for each in peer.heard if "status" in each and "download_id" in each["payload"]]
        shop.run(peer, most=data.draw(st.integers(20_000, 1_000_000)))
        answers = peer.answered()
        self.assertEqual(len(answers), len(asked))
        begins = [answer for step, answer in zip(asked, answers, strict=True) if step == "begin"]
        for (expected, _), answer in zip(wanted, begins, strict=True):
            if answer["code"] == 105:
                continue
            download_id = answer["payload"]["download_id"]
            found = peer.file(download_id)
            ended = bool(peer.of(download_id, "DOWNLOAD_END"))
            self.assertTrue(expected.startswith(found))
            self.assertTrue(ended or download_id in cancelled)
            self.assertTrue(found == expected or not ended)
        self.assertEqual((shop.downloads.active, peer.protocol.outbox.queued_bytes), (0, 0))
        self.assertLess(peer.most_unread, 2 * TAKES + MOST_LINE)
        peer.ok("PING")
