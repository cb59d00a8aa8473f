"""gameroom.uploads: one upload, from its BEGIN to a version. Histories of many are in test_uploads_machine.py."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred

from gameroom.errors import BadState, ChecksumMismatch, ChunkOutOfOrder, Conflict, Forbidden, InvalidRequest, NotFound
from gameroom.rules.sessions import Account
from gameroom.rules.transfer import LARGEST_CHUNK
from gameroom.store import DatabaseUnavailable
from gameroom.store.bundles import Record
from gameroom.store.free_disk import LOOK_SECONDS
from gameroom.store.uploads import own
from gameroom.uploads import EXPIRED_EVERY, IDLE, WRITTEN_OUT, Begun, Published
from tests.held import HeldDatabase
from tests.store.test_recordings import Threads
from tests.uploads import ALICE, BOB, FOREIGN_GAME, GAME, GIB, MIB, OTHER_GAME, UploadsCase

BYTES = b"0123456789"
CHECKSUM = sha256(BYTES).hexdigest()


class BeginTests(UploadsCase):
    """UPLOAD_BEGIN."""

    def test_new(self) -> None:
        """A new upload has an id of its own, and suggests chunks of 4096 bytes."""
        begun = self.begun("1.0.0", 10)
        self.assertRegex(begun.upload_id, r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        self.assertEqual(begun.chunk_size, 4096)
        self.assertEqual(self.status(begun.upload_id), (0, 0))
        self.assertEqual(self.uploads.active, 1)

    def test_chunk_size(self) -> None:
        """Larger chunks are suggested to who asks for them, up to the largest; also where the upload goes on."""
        for asked, answered in ((65536, 65536), (1 << 20, LARGEST_CHUNK), (None, 4096)):
            self.assertEqual(self.successResultOf(self.uploads.begin(ALICE, GAME, "1.0.0", 10, None, asked)).chunk_size, answered)
        self.assertEqual(self.uploads.active, 1)

    def test_wrong_payload(self) -> None:
        """A size that may not be, no version, no checksum: 100, before anything else is looked at."""
        for args in (
            (GAME, "1.0.0", 0),
            (GAME, "1.0.0", MIB + 1),
            ("no game", "1.0.0", 0),
            (FOREIGN_GAME, "one", 10),
            (GAME, "1.0.0/../..", 10),
            (GAME, "", 10),
            (GAME, "1.0.0", 10, "f" * 63),
            (GAME, "1.0.0", 10, None, 0),
        ):
            self.failureResultOf(self.uploads.begin(ALICE, *args), InvalidRequest)
        self.successResultOf(self.uploads.begin(ALICE, GAME, "1.0.0", MIB))

    def test_live_limit(self) -> None:
        """The largest file is what the configuration says now."""
        self.limits = type(self.limits)(bundle_bytes=9)
        self.failureResultOf(self.uploads.begin(ALICE, GAME, "1.0.0", 10), InvalidRequest)

    def test_whose_game(self) -> None:
        """An unknown game is 103, another developer's 102; also with what no id can be."""
        for game_id in ("no game", "", "\0", "../../etc"):
            self.failureResultOf(self.uploads.begin(ALICE, game_id, "1.0.0", 10), NotFound)
        self.failureResultOf(self.uploads.begin(ALICE, FOREIGN_GAME, "1.0.0", 10), Forbidden)

    def test_resumed(self) -> None:
        """The same version, size and checksum go on with the same upload, also after a restart and however the version is written."""
        for checksum, version in ((None, "1.0.0"), (CHECKSUM, "2.0.0")):
            upload_id = self.begin(version, 10, checksum)
            self.chunk(upload_id, 0, b"0123")
            for again in (version, version[:3], version[:1], version + "+build.5"):
                self.assertEqual(self.begin(again, 10, checksum and f"sha256:{checksum.upper()}"), upload_id)
            self.uploads = self.started()
            self.assertEqual(self.begin(version, 10, checksum), upload_id)
            self.assertEqual(self.status(upload_id), (1, 4))

    def test_another_file(self) -> None:
        """Another size or checksum of a version that is being uploaded is 104, and changes nothing."""
        upload_id = self.begin("1.0.0", 10, CHECKSUM)
        for size, checksum in ((11, CHECKSUM), (10, None), (10, "f" * 64)):
            self.assertIn("CANCEL_UPLOAD", self.failureResultOf(self.uploads.begin(ALICE, GAME, "1.0.0", size, checksum), Conflict).value.message)
        self.assertEqual(self.begin("1.0.0", 10, CHECKSUM), upload_id)
        self.assertEqual(self.uploads.active, 1)

    def test_uploaded_already(self) -> None:
        """A version that exists is 104 and named as it was written, also where it only compares equal."""
        self.chunk(upload_id := self.begin("1.0.0"), 0, BYTES)
        self.successResultOf(self.uploads.end(ALICE, upload_id))
        for version in ("1.0.0", "1.0", "1", "1.0.0+other"):
            told = self.failureResultOf(self.uploads.begin(ALICE, GAME, version, 10), Conflict).value.message
            self.assertEqual(told, "version 1.0.0 is already uploaded; choose a higher version")
        self.begin("1.0.0", game_id=OTHER_GAME)
        self.begin("1.0.0-rc.1")

    def test_too_many(self) -> None:
        """A developer has at most four; to go on with one of them is always possible, and others have their own."""
        ids = [self.begin(version) for version in ("1.0.0", "2.0.0", "3.0.0")] + [self.begin(game_id=OTHER_GAME)]
        self.failureResultOf(self.uploads.begin(ALICE, GAME, "4.0.0", 10), BadState)
        self.assertEqual(self.begin("2.0.0"), ids[1])
        self.begin("1.0.0", game_id=FOREIGN_GAME, account=BOB)
        self.successResultOf(self.uploads.cancel(ALICE, ids[0]))
        self.begin("4.0.0")
        self.failureResultOf(self.uploads.begin(ALICE, GAME, "5.0.0", 10), BadState)

    def test_two_at_once(self) -> None:
        """Of two that begin the same version at the same moment both get the same upload."""
        self.database = HeldDatabase(self.database, holding=False)
        self.uploads = self.started()
        self.database.holding = True
        one, other = (self.uploads.begin(ALICE, GAME, "1.0.0", 10) for _ in range(2))
        self.database.release_all()
        self.assertEqual(self.successResultOf(one), self.successResultOf(other))
        self.assertEqual(self.uploads.active, 1)


class ChunkTests(UploadsCase):
    """UPLOAD_CHUNK and UPLOAD_STATUS."""

    def test_in_order(self) -> None:
        """Chunks of any size, one after the other, at once and written when they are answered."""
        upload_id = self.begin()
        self.chunk(upload_id, 0, b"0")
        for seq, data in ((1, b"123"), (2, b"456789")):
            self.assertIsNone(self.uploads.chunk(ALICE, upload_id, seq, data))
        self.assertEqual((self.data / "uploads" / f"{upload_id}.part").read_bytes(), BYTES)
        self.assertEqual(self.status(upload_id), (3, 10))

    def test_out_of_order(self) -> None:
        """Another number is 120 with the one that is expected, and changes nothing."""
        upload_id = self.begin()
        for seq in (1, 5, -1):
            self.assertEqual(self.assertRaises(ChunkOutOfOrder, self.chunk, upload_id, seq, b"0").expected_seq, 0)
        self.chunk(upload_id, 0, b"0123")
        self.assertEqual(self.assertRaises(ChunkOutOfOrder, self.chunk, upload_id, 2, b"x").expected_seq, 1)
        self.assertEqual(self.status(upload_id), (1, 4))

    def test_again(self) -> None:
        """A chunk that was accepted is ok with the same data, any of them, also after a restart and once all are there; else it is 120."""
        upload_id = self.begin()
        chunks = [b"01", b"234", b"5", b"6789"]
        for seq, data in enumerate(chunks):
            self.chunk(upload_id, seq, data)
        for _ in range(2):
            for seq, data in enumerate(chunks):
                self.chunk(upload_id, seq, data)
                for other in (data[:-1] + b"x", data + b"x", data[:-1] or b"xx"):
                    self.assertEqual(self.assertRaises(ChunkOutOfOrder, self.chunk, upload_id, seq, other).expected_seq, 4)
            self.uploads = self.started()
        self.assertEqual(self.status(upload_id), (4, 10))

    def test_size_of_a_chunk(self) -> None:
        """1 to 262,144 bytes, whatever its number and also of an upload that is not known."""
        upload_id = self.begin(size=MIB)
        for seq in (0, 7):
            for data in (b"", bytes(LARGEST_CHUNK + 1)):
                self.assertRaises(InvalidRequest, self.chunk, upload_id, seq, data)
                self.assertRaises(InvalidRequest, self.chunk, "unknown", seq, data)
        self.chunk(upload_id, 0, bytes(LARGEST_CHUNK))
        self.assertRaises(InvalidRequest, self.chunk, upload_id, 0, b"")

    def test_past_the_end(self) -> None:
        """Bytes past the size are 105, and nothing of their chunk is written."""
        upload_id = self.begin()
        self.chunk(upload_id, 0, b"01234567")
        self.assertRaises(BadState, self.chunk, upload_id, 1, b"89x")
        self.chunk(upload_id, 1, b"89")
        self.assertRaises(BadState, self.chunk, upload_id, 2, b"x")
        self.assertEqual(self.status(upload_id), (2, 10))

    def test_unknown(self) -> None:
        """An upload that was never begun is 105 at everything, also with what no id can be."""
        for upload_id in ("unknown", "", "\0", "../../etc/passwd"):
            self.assertRaises(BadState, self.chunk, upload_id, 0, b"0")
            for ask in (self.uploads.status, self.uploads.end, self.uploads.cancel):
                self.failureResultOf(ask(ALICE, upload_id), BadState)
        self.assertEqual(self.files(), [])

    def test_another_developers(self) -> None:
        """Another developer's upload is 102 at everything, in memory or not, and nothing happens to it."""
        upload_id = self.begin()
        for _ in range(2):
            self.assertRaises(Forbidden, self.chunk, upload_id, 0, b"0", BOB)
            for ask in (self.uploads.status, self.uploads.end, self.uploads.cancel):
                self.failureResultOf(ask(BOB, upload_id), Forbidden)
            self.assertEqual(self.status(upload_id), (0, 0))

    def test_after_a_kill(self) -> None:
        """After a restart it goes on with the next chunk, and with any connection of its developer."""
        upload_id = self.begin()
        self.chunk(upload_id, 0, b"01234")
        self.uploads = self.started()
        self.assertEqual(self.status(upload_id), (1, 5))
        self.chunk(upload_id, 1, b"56789")
        self.assertEqual(self.result_of(self.uploads.end(ALICE, upload_id)), Published("1.0.0", True))
        self.assertEqual(self.published(), {"1.0.0": BYTES})

    def test_idle(self) -> None:
        """The files of one that nobody sends to are closed after a minute, and it goes on all the same."""
        upload_id = self.begin()
        self.chunk(upload_id, 0, b"01234")
        self.clock.pump([IDLE / 2] * 4)
        self.assertEqual(len(self.uploads._files), 0)
        self.assertIsNone(self.uploads.chunk(ALICE, upload_id, 1, b"56789"))
        self.assertEqual(len(self.uploads._files), 1)
        self.assertEqual(self.result_of(self.uploads.end(ALICE, upload_id)), Published("1.0.0", True))
        self.assertEqual(self.published(), {"1.0.0": BYTES})

    def test_found_twice(self) -> None:
        """Chunks that come while the upload is being found are taken in their order."""
        self.database = HeldDatabase(self.database, holding=False)
        upload_id = self.begin()
        self.uploads = self.started()
        self.database.holding = True
        sent = [self.uploads.chunk(ALICE, upload_id, seq, data) for seq, data in enumerate((b"01234", b"56789"))]
        self.database.release_all()
        for deferred in sent:
            assert deferred is not None
            self.assertIsNone(self.successResultOf(deferred))
        self.assertEqual(self.status(upload_id), (2, 10))

    def test_forgotten(self) -> None:
        """Only so many uploads are in memory; the others are found again."""
        with mock.patch("gameroom.uploads.REMEMBERED", 2):
            ids = [self.begin(f"{number}.0.0") for number in range(1, 5)]
            for _ in range(2):
                for seq, upload_id in enumerate(ids):
                    self.chunk(upload_id, 0, b"%d" % seq)
            self.assertEqual((len(self.uploads._live), len(self.uploads._files)), (2, 2))
        for seq, upload_id in enumerate(ids):
            self.chunk(upload_id, 0, b"%d" % seq)

    def test_written_out(self) -> None:
        """The kernel is told to write after some MiB, off the reactor's thread and once at a time."""
        self.limits = type(self.limits)()
        upload_id = self.begin(size=64 * MIB)
        self.chunk(upload_id, 0, bytes(1))
        self.threads.holding = True
        chunks = WRITTEN_OUT // LARGEST_CHUNK
        for seq in range(1, 3 * chunks):
            self.chunk(upload_id, seq, bytes(LARGEST_CHUNK))
        [(_, function, (fd, offset, length))] = self.threads.held
        self.assertEqual((function.__name__, offset, length), ("write_out", 0, WRITTEN_OUT + 1))
        self.threads.release()
        self.assertRaises(OSError, os.fstat, fd)
        self.chunk(upload_id, 3 * chunks, bytes(LARGEST_CHUNK))
        [(_, _, (_, offset, length))] = self.threads.held
        self.assertEqual(offset, WRITTEN_OUT + 1)
        self.threads.release()


class EndTests(UploadsCase):
    """UPLOAD_END."""

    def whole(self, version: str = "1.0.0", checksum: str | None = None, data: bytes = BYTES) -> str:
        """An upload that has all its bytes."""
        upload_id = self.begin(version, len(data), checksum)
        self.chunk(upload_id, 0, data)
        return upload_id

    def dropped(self, upload_id: str) -> None:
        """It is gone, and nothing of it is left."""
        self.failureResultOf(self.uploads.status(ALICE, upload_id), BadState)
        self.assertEqual((self.files(), self.rows("SELECT * FROM uploads"), self.uploads.active), ([], [], 0))

    def end(self, upload_id: str) -> Published:
        published: Published = self.result_of(self.uploads.end(ALICE, upload_id))
        return published

    def test_published(self) -> None:
        """The version is there with its bytes, its size and its checksum, declared or not; the upload is gone."""
        for version, checksum in (("1.0.0", None), ("1.1.0", CHECKSUM)):
            upload_id = self.whole(version, checksum)
            self.clock.advance(1)
            self.assertEqual(self.end(upload_id), Published(version, True))
            self.dropped(upload_id)
        rows = self.rows("SELECT version, size_bytes, checksum, uploaded_ms, yanked FROM versions ORDER BY version")
        now = int(self.clock.seconds() * 1000)
        self.assertEqual(rows, [("1.0.0", 10, CHECKSUM, now - 1000, 0), ("1.1.0", 10, CHECKSUM, now, 0)])
        self.assertEqual(self.published(), {"1.0.0": BYTES, "1.1.0": BYTES})

    def test_latest(self) -> None:
        """It tells whether the version is the highest release, which an older one uploaded later is not, nor a pre-release."""
        told = [self.end(self.whole(version)).is_latest for version in ("2.0.0", "1.9.9", "2.0.1-rc.1", "10.0", "9.0.0")]
        self.assertEqual(told, [True, False, False, True, False])

    def test_first_version(self) -> None:
        """The first version makes the game ONLINE; a later one leaves its status alone, and so does a first one where it was set."""
        status = "SELECT status FROM games WHERE game_id = :game_id"
        self.end(self.whole("1.0.0"))
        self.assertEqual(self.rows(status, game_id=GAME), [("ONLINE",)])
        self.rows("UPDATE games SET status = 'OFFLINE' WHERE game_id = :game_id", game_id=GAME)
        self.end(self.whole("2.0.0"))
        self.assertEqual(self.rows(status, game_id=GAME), [("OFFLINE",)])
        self.rows("UPDATE games SET status_set = 1 WHERE game_id = :game_id", game_id=OTHER_GAME)
        upload_id = self.begin(game_id=OTHER_GAME)
        self.chunk(upload_id, 0, BYTES)
        self.end(upload_id)
        self.assertEqual(self.rows(status, game_id=OTHER_GAME), [("OFFLINE",)])

    def test_too_few(self) -> None:
        """Fewer bytes than declared are 105, and the upload goes on."""
        upload_id = self.begin()
        self.assertRaises(BadState, self.end, upload_id)
        self.chunk(upload_id, 0, b"012345678")
        self.assertIn("9 of 10", self.assertRaises(BadState, self.end, upload_id).message)
        self.chunk(upload_id, 1, b"9")
        self.assertEqual(self.end(upload_id).version, "1.0.0")

    def test_wrong_checksum(self) -> None:
        """Other bytes than declared are 121, also after a restart, and the upload is dropped."""
        for restarted in (False, True):
            upload_id = self.whole(checksum="f" * 64)
            if restarted:
                self.uploads = self.started()
            self.assertIn(CHECKSUM, self.assertRaises(ChecksumMismatch, self.end, upload_id).message)
            self.dropped(upload_id)
        self.assertEqual(self.published(), {})

    def test_faulty_bundle(self) -> None:
        """What begins as a ZIP and is damaged is 100, and the upload is dropped; the version may be begun anew."""
        upload_id = self.whole(data=b"PK\3\4" + bytes(100))
        self.assertRaises(InvalidRequest, self.end, upload_id)
        self.dropped(upload_id)
        self.assertEqual(self.end(self.whole()).version, "1.0.0")

    def test_version_came_meanwhile(self) -> None:
        """A version that came by another way since BEGIN is 104, and stays as it is; the upload is dropped."""
        upload_id = self.whole("1.0")
        self.rows(
            """
            INSERT INTO versions (game_id, version, precedence, size_bytes, checksum, uploaded_ms, yanked, hosting)
            SELECT game_id, '1.0.0', precedence, 1, '', 0, 0, '{}' FROM uploads
            """
        )
        self.assertIn("version 1.0.0 is already", self.assertRaises(Conflict, self.end, upload_id).message)
        self.dropped(upload_id)
        self.assertEqual(self.rows("SELECT size_bytes FROM versions"), [(1,)])

    def test_another_node_ends_it_too(self) -> None:
        """Two nodes that share database and folder, and are both asked for the end of one upload, publish one version whose file stays."""
        upload_id = self.whole()
        other = self.make()
        real = self.bundles.place

        def place(source: Path, record: Record) -> None:
            real(source, record)
            self.patch(self.bundles, "place", real)
            self.assertEqual(self.successResultOf(other.end(ALICE, upload_id)), Published("1.0.0", True))

        self.patch(self.bundles, "place", place)
        self.assertEqual(self.end(upload_id), Published("1.0.0", True))
        self.assertEqual(self.published(), {"1.0.0": BYTES})

    def test_game_is_gone(self) -> None:
        """The upload of a game that is gone meanwhile is gone as well."""
        upload_id = self.whole()
        self.rows("DELETE FROM games WHERE game_id = :game_id", game_id=GAME)
        self.assertRaises(BadState, self.end, upload_id)
        self.dropped(upload_id)

    def test_suspended(self) -> None:
        """One who was suspended meanwhile publishes nothing; it may be tried again when that is over."""
        upload_id = self.whole()
        self.rows("UPDATE accounts SET suspended = 1 WHERE account_id = :account_id", account_id=ALICE.account_id)
        self.assertRaises(Forbidden, self.end, upload_id)
        self.assertEqual((self.published(), self.placed()), ({}, []))
        self.rows("UPDATE accounts SET suspended = 0")
        self.assertEqual(self.end(upload_id).version, "1.0.0")

    def placed(self) -> list[str]:
        """The files in the folders of versions."""
        return sorted(path.name for path in self.data.glob("uploadedGame/*/*/*"))

    def test_while_it_ends(self) -> None:
        """While the file is looked at, others go on; chunks and CANCEL are 105; STATUS answers; a second END is told the same."""
        upload_id, other = self.whole("1.0.0"), self.begin("2.0.0")
        self.chunk(other, 0, b"0")
        self.threads.holding = True
        ends = [self.uploads.end(ALICE, upload_id) for _ in range(3)]
        self.assertIsNone(self.uploads.chunk(ALICE, other, 1, b"1"))
        self.assertIn("UPLOAD_END", self.assertRaises(BadState, self.chunk, upload_id, 0, BYTES).message)
        self.failureResultOf(self.uploads.cancel(ALICE, upload_id), BadState)
        self.assertEqual(self.status(upload_id), (1, 10))
        self.threads.holding = False
        self.threads.release()
        self.assertEqual([self.successResultOf(end) for end in ends], [Published("1.0.0", True)] * 3)

    def test_stop_waits(self) -> None:
        """A daemon that is stopped first finishes what is being finished."""
        upload_id = self.whole()
        self.threads.holding = True
        end = self.uploads.end(ALICE, upload_id)
        stopped = self.uploads.stop()
        self.assertNoResult(stopped)
        self.threads.holding = False
        self.threads.release()
        self.successResultOf(stopped)
        self.assertEqual(self.successResultOf(end), Published("1.0.0", True))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_database_away(self) -> None:
        """Where the version could not be written down nothing of it is left, and END may be tried again."""
        self.database = HeldDatabase(self.database, holding=False)
        self.uploads = self.started()
        upload_id = self.whole()
        self.database.holding = True
        end = self.uploads.end(ALICE, upload_id)
        self.assertEqual(self.database.waiting, ["check_publishable"])
        self.database.release()
        self.assertEqual(self.database.waiting, ["publish"])
        self.assertNotEqual(self.placed(), [])
        self.database.fail(DatabaseUnavailable("away"))
        self.database.release_all()
        self.failureResultOf(end, DatabaseUnavailable)
        self.assertEqual(self.placed(), [])
        self.database.holding = False
        self.assertEqual(self.end(upload_id), Published("1.0.0", True))

    def test_not_told(self) -> None:
        """Where the connection to the database was lost while it committed, the version is there and the developer hears it."""
        self.database = HeldDatabase(self.database, holding=False)
        self.uploads = self.started()
        upload_id = self.whole()
        self.database.holding = True
        end = self.uploads.end(ALICE, upload_id)
        self.database.release()
        self.database.fail_after_commit(DatabaseUnavailable("away"))
        self.database.release_all()
        self.assertEqual(self.successResultOf(end), Published("1.0.0", True))
        self.database.holding = False
        self.dropped(upload_id)
        self.assertEqual(self.published(), {"1.0.0": BYTES})

    def test_nothing_is_known(self) -> None:
        """Where the database stays away, what was placed stays until somebody knows, and the upload goes on when it is back."""
        self.database = HeldDatabase(self.database, holding=False)
        self.uploads = self.started()
        upload_id = self.whole()
        self.database.holding = True
        end = self.uploads.end(ALICE, upload_id)
        self.database.release()
        for _ in range(3):
            self.assertEqual(len(self.database.waiting), 1)
            self.database.fail(DatabaseUnavailable("away"))
        self.failureResultOf(end, DatabaseUnavailable)
        self.flushLoggedErrors(DatabaseUnavailable)
        self.assertNotEqual(self.placed(), [])
        self.database.holding = False
        self.assertEqual(self.end(upload_id), Published("1.0.0", True))
        self.assertEqual(self.published(), {"1.0.0": BYTES})

    def test_disk_full(self) -> None:
        """A disk that is full when the file is placed is 105 in words, and END may be tried again."""
        upload_id = self.whole()
        with mock.patch.object(self.bundles, "place", side_effect=OSError(28, "No space left on device")):
            self.assertIn("disk of this server is full", self.assertRaises(BadState, self.end, upload_id).message)
        self.assertEqual(self.end(upload_id).version, "1.0.0")

    def test_file_is_another(self) -> None:
        """Only what was accepted is published: what somebody has put behind it is cut off, and a file that was cut short is no version."""
        upload_id = self.whole(checksum=CHECKSUM)
        [part] = (self.data / "uploads").glob("*.part")
        with part.open("ab") as file:
            file.write(b"and more")
        self.end(upload_id)
        upload_id = self.whole("1.1.0", CHECKSUM)
        os.truncate(self.data / "uploads" / f"{upload_id}.part", 9)
        self.assertRaises(OSError, self.end, upload_id)
        self.assertEqual(self.published(), {"1.0.0": BYTES})
        self.assertEqual(self.status(upload_id), (1, 10))


class UnfinishedTests(UploadsCase):
    """LIST_UPLOADS."""

    def unfinished(self, account: Account = ALICE, game_id: str | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.result_of(self.uploads.unfinished(account, game_id))
        return found

    def test_listed(self) -> None:
        """Who has lost an upload's id finds it, with how far it is; also after a restart."""
        upload_id = self.begin("1.0.0+b", 10, CHECKSUM)
        self.chunk(upload_id, 0, b"0123")
        self.clock.advance(1.5)
        other = self.begin("2.0.0", 3, game_id=OTHER_GAME)
        theirs = self.begin("1.0.0", 1, game_id=FOREIGN_GAME, account=BOB)
        for again in (False, True):
            if again:
                self.uploads = self.started()
            first, second = self.unfinished()
            self.assertEqual(
                first,
                {
                    "upload_id": upload_id,
                    "game_id": GAME,
                    "version": "1.0.0+b",
                    "size_bytes": 10,
                    "received_bytes": 4,
                    "next_seq": 1,
                    "begun_at": "2027-01-15T08:00:00.000Z",
                },
            )
            self.assertEqual((second["upload_id"], second["received_bytes"], second["begun_at"]), (other, 0, "2027-01-15T08:00:01.500Z"))
            self.assertEqual(self.unfinished(game_id=OTHER_GAME), [second])
            self.assertEqual([each["upload_id"] for each in self.unfinished(BOB)], [theirs])

    def test_whose(self) -> None:
        """Of an unknown game it is 103, of another developer's 102."""
        self.begin()
        self.assertRaises(NotFound, self.unfinished, game_id="\0")
        self.assertRaises(Forbidden, self.unfinished, game_id=FOREIGN_GAME)
        self.assertRaises(Forbidden, self.unfinished, BOB, GAME)

    def test_gone(self) -> None:
        """What was cancelled is not listed, nor are its files made anew where it went while the database was being asked."""
        self.assertEqual(self.unfinished(), [])
        upload_id = self.begin()
        real, held = self.database.interact, Deferred[None]()

        def late(work: Any, *args: Any) -> Any:
            found = real(work, *args)
            return held.addCallback(lambda _: found) if work is own else found

        with mock.patch.object(self.database, "interact", late):
            asked = self.uploads.unfinished(ALICE)
            self.successResultOf(self.uploads.cancel(ALICE, upload_id))
            held.callback(None)
        self.assertEqual((self.successResultOf(asked), self.files()), ([], []))

    def test_told_where_it_is_in_the_way(self) -> None:
        """Who is refused because of an unfinished upload is told how to find and drop it."""
        self.begin("1.0.0")
        for version in ("2.0.0", "3.0.0", "4.0.0"):
            self.begin(version, game_id=OTHER_GAME)
        for version, error in (("1.0.0", Conflict), ("5.0.0", BadState)):
            told = self.failureResultOf(self.uploads.begin(ALICE, GAME, version, 11), error).value
            for words in ("LIST_UPLOADS", "CANCEL_UPLOAD", "gameroom dev cancel"):
                self.assertIn(words, told.message)


class CancelTests(UploadsCase):
    """CANCEL_UPLOAD and expiry."""

    def test_cancel(self) -> None:
        """It is gone with its files, and the version may be begun anew from 0."""
        upload_id = self.begin()
        self.chunk(upload_id, 0, b"0")
        self.successResultOf(self.uploads.cancel(ALICE, upload_id))
        self.assertEqual((self.files(), self.uploads.active), ([], 0))
        self.assertRaises(BadState, self.chunk, upload_id, 1, b"1")
        self.failureResultOf(self.uploads.cancel(ALICE, upload_id), BadState)
        self.assertNotEqual(again := self.begin(), upload_id)
        self.assertEqual(self.status(again), (0, 0))

    def test_while_it_is_cancelled(self) -> None:
        """Nothing is taken any more from the moment it is asked for; where the database cannot, it goes on."""
        self.database = HeldDatabase(self.database, holding=False)
        self.uploads = self.started()
        upload_id = self.begin()
        self.chunk(upload_id, 0, b"0")
        self.database.holding = True
        cancelling = self.uploads.cancel(ALICE, upload_id)
        self.assertRaises(BadState, self.chunk, upload_id, 1, b"1")
        self.database.fail(DatabaseUnavailable("away"))
        self.failureResultOf(cancelling, DatabaseUnavailable)
        self.chunk(upload_id, 1, b"1")

    def test_expired(self) -> None:
        """What was begun a day ago is dropped within the hour, whenever its last chunk came; what is younger stays."""
        old = self.begin("1.0.0")
        self.clock.advance(EXPIRED_EVERY + 1)
        young = self.begin("2.0.0")
        self.chunk(old, 0, b"0")
        self.clock.pump([EXPIRED_EVERY] * 23)
        self.assertEqual(self.uploads.active, 1)
        self.failureResultOf(self.uploads.status(ALICE, old), BadState)
        self.assertEqual((self.status(young), self.uploads.active), ((0, 0), 1))
        self.assertNotIn(f"{old}.part", self.files())

    def test_expired_at_start(self) -> None:
        """What has become too old while the daemon was away is dropped at its start."""
        self.chunk(self.begin(), 0, b"0")
        self.clock.advance(86400.0)
        self.uploads = self.started()
        self.assertEqual((self.files(), self.uploads.active, self.rows("SELECT * FROM uploads")), ([], 0, []))

    def test_end_wins(self) -> None:
        """One that is being finished when it becomes too old is finished."""
        upload_id = self.begin()
        self.chunk(upload_id, 0, BYTES)
        self.threads.holding = True
        end = self.uploads.end(ALICE, upload_id)
        self.clock.advance(86400.0)
        self.threads.holding = False
        self.threads.release()
        self.assertEqual(self.successResultOf(end), Published("1.0.0", True))

    def test_end_elsewhere(self) -> None:
        """END takes long: it has threads that nothing else waits for."""
        self.publishing = Threads()
        self.uploads = self.started()
        upload_id = self.begin()
        self.chunk(upload_id, 0, BYTES)
        self.publishing.holding = True
        end = self.uploads.end(ALICE, upload_id)
        other = self.begin("2.0.0")
        self.successResultOf(self.uploads.cancel(ALICE, other))
        self.assertNoResult(end)
        self.publishing.holding = False
        self.publishing.release()
        self.assertEqual(self.successResultOf(end), Published("1.0.0", True))

    def test_expired_as_it_ends(self) -> None:
        """Where the end comes while it is being dropped for its age, nothing is published and nothing is left."""
        self.database = HeldDatabase(self.database, holding=False)
        self.uploads = self.started()
        upload_id = self.begin()
        self.chunk(upload_id, 0, BYTES)
        self.clock.rightNow += 86400.0
        self.database.holding = self.threads.holding = True
        expired = self.uploads.expire()
        end = self.uploads.end(ALICE, upload_id)
        self.database.release_all()
        self.successResultOf(expired)
        self.threads.holding = self.database.holding = False
        self.threads.release()
        self.failureResultOf(end, BadState)
        self.assertEqual((self.files(), self.published(), self.uploads.active), ([], {}, 0))


class StartTests(UploadsCase):
    """What a start finds."""

    def test_files_of_nobody(self) -> None:
        """Files without an upload are deleted."""
        upload_id = self.begin()
        self.chunk(upload_id, 0, b"0")
        self.rows("DELETE FROM uploads")
        self.uploads = self.started()
        self.assertEqual((self.files(), self.uploads.active), ([], 0))

    def test_files_are_gone(self) -> None:
        """An upload whose files are gone begins from 0."""
        upload_id = self.begin()
        self.chunk(upload_id, 0, b"0123")
        for path in (self.data / "uploads").iterdir():
            path.unlink()
        self.uploads = self.started()
        self.assertEqual(self.status(upload_id), (0, 0))
        self.assertEqual(self.assertRaises(ChunkOutOfOrder, self.chunk, upload_id, 1, b"4").expected_seq, 0)
        self.chunk(upload_id, 0, BYTES)
        self.successResultOf(self.uploads.end(ALICE, upload_id))
        self.assertEqual(self.published(), {"1.0.0": BYTES})

    def test_published_already(self) -> None:
        """An upload whose version is there is dropped."""
        self.chunk(self.begin(), 0, b"0123")
        self.rows(
            """
            INSERT INTO versions (game_id, version, precedence, size_bytes, checksum, uploaded_ms, yanked, hosting)
            SELECT game_id, version, precedence, 1, '', 0, 0, '{}' FROM uploads
            """
        )
        self.uploads = self.started()
        self.assertEqual((self.files(), self.uploads.active), ([], 0))

    def test_other_boot(self) -> None:
        """After a reboot one without a checksum begins from 0, for its bytes may be lost; one with a checksum goes on. Once."""
        plain, declared = self.begin("1.0.0"), self.begin("2.0.0", checksum=CHECKSUM)
        for upload_id in (plain, declared):
            self.chunk(upload_id, 0, b"0123")
        for expected in ((0, 0), (1, 4)):
            self.uploads = self.started("another boot")
            self.assertEqual((self.status(plain), self.status(declared)), (expected, (1, 4)))
            self.chunk(plain, 0, b"0123")

    def test_holes_after_a_reboot(self) -> None:
        """Bytes that were lost with the power are seen by the checksum."""
        upload_id = self.begin(checksum=CHECKSUM)
        self.chunk(upload_id, 0, BYTES)
        (self.data / "uploads" / f"{upload_id}.part").write_bytes(bytes(10))
        self.uploads = self.started("another boot")
        self.failureResultOf(self.uploads.end(ALICE, upload_id), ChecksumMismatch)
        self.assertEqual(self.published(), {})


class DiskTests(UploadsCase):
    """A disk that is nearly full."""

    def full(self, error: Any) -> None:
        self.assertIn("disk of this server is full", getattr(error, "value", error).message)

    def test_begin(self) -> None:
        """What does not fit above the reserve is not begun; what was begun may be asked for; with room it is begun."""
        upload_id = self.begin()
        self.disk(size=100 * GIB, free=GIB + MIB // 2)
        self.full(self.failureResultOf(self.uploads.begin(ALICE, GAME, "2.0.0", MIB), BadState))
        self.failureResultOf(self.uploads.begin(ALICE, "no game", "2.0.0", MIB), NotFound)
        self.assertEqual(self.begin(), upload_id)
        self.begin("2.0.0", MIB // 4)
        self.assertEqual(self.uploads.active, 2)

    def test_chunks(self) -> None:
        """Chunks that would use the reserve are 105 within a second, nothing of them is written, and they go on when there is room."""
        upload_id = self.begin()
        self.chunk(upload_id, 0, b"0123")
        self.disk(size=100 * GIB, free=GIB - 4096)
        self.clock.advance(LOOK_SECONDS)
        for _ in range(2):
            self.full(self.assertRaises(BadState, self.chunk, upload_id, 1, b"4567"))
            self.chunk(upload_id, 0, b"0123")
            self.assertEqual(self.status(upload_id), (1, 4))
        self.disk(size=100 * GIB, free=2 * GIB)
        self.chunk(upload_id, 1, b"456789")
        self.successResultOf(self.uploads.end(ALICE, upload_id))
        self.assertEqual(self.published(), {"1.0.0": BYTES})

    def test_small_disk(self) -> None:
        """Of a small disk a twentieth is the reserve."""
        self.disk(size=200 * MIB, free=11 * MIB)
        self.begin("1.0.0", MIB)
        self.disk(size=200 * MIB, free=10 * MIB)
        self.failureResultOf(self.uploads.begin(ALICE, GAME, "2.0.0", 4096), BadState)

    def test_really_full(self) -> None:
        """What the system says of a disk that is full is told in the same words."""
        upload_id = self.begin()
        self.chunk(upload_id, 0, b"0123")
        with mock.patch("gameroom.store.upload_files.os.pwrite", side_effect=OSError(28, "No space left on device")):
            self.full(self.assertRaises(BadState, self.chunk, upload_id, 1, b"4"))
        self.chunk(upload_id, 1, b"4")

    def test_answers(self) -> None:
        """A begun upload is answered as what it is."""
        self.assertEqual(self.begun("1.0.0", 10), Begun(self.begin(), 4096))
