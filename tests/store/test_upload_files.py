"""gameroom.store.upload_files: what was accepted is known from the files alone, whatever was cut short."""

from __future__ import annotations

import errno
import os
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis.strategies as st
from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from gameroom.store.free_disk import DiskFull
from gameroom.store.upload_files import UploadFile, UploadFiles, write_out

ID = "11111111-2222-4333-8444-555555555555"
OTHER = "aaaaaaaa-2222-4333-8444-555555555555"
CHUNKS = [b"first", b"the second", b"3", b"and the last"]


class FilesCase(SynchronousTestCase):
    """A folder of uploads."""

    def setUp(self) -> None:
        self.files = UploadFiles(Path(self.mktemp()))
        self.files.reconcile(())
        self.addCleanup(self.files.close_all)

    def path(self, suffix: str, upload_id: str = ID) -> Path:
        return self.files.folder / (upload_id + suffix)

    def take(self, upload_id: str = ID) -> UploadFile:
        return self.files.take(upload_id, 0.0)

    def written(self, chunks: list[bytes] | None = None) -> UploadFile:
        file = self.take()
        for chunk in CHUNKS if chunks is None else chunks:
            file.append(chunk)
        return file

    def again(self) -> UploadFile:
        """As after a restart."""
        self.files.close_all()
        return self.take()

    def check(self, file: UploadFile, chunks: list[bytes]) -> None:
        """It has just these chunks, and goes on from there."""
        self.assertEqual((file.next_seq, file.received), (len(chunks), len(b"".join(chunks))))
        for seq, chunk in enumerate(chunks):
            self.assertTrue(file.has(seq, chunk))
        file.append(b"more")
        file.to_disk()
        self.assertEqual(file.path.read_bytes(), b"".join(chunks) + b"more")
        self.assertEqual(file.sha256(), sha256(b"".join(chunks) + b"more").hexdigest())


class WrittenTests(FilesCase):
    """Chunks, and how they are found again."""

    def test_new(self) -> None:
        """One that nothing was sent of yet is at 0."""
        self.check(self.take(), [])

    def test_go_on(self) -> None:
        """Bytes and chunks are counted, the same in memory and after a restart."""
        self.check(self.written(), CHUNKS)
        self.check(self.again(), [*CHUNKS, b"more"])

    def test_has(self) -> None:
        """A chunk is told from one that is shorter, longer, or has another byte."""
        file = self.written()
        for seq, chunk in enumerate(CHUNKS):
            self.assertTrue(file.has(seq, chunk))
            for other in (chunk[:-1], chunk + b"x", chunk[:-1] + b"\0", b"".join(CHUNKS)):
                self.assertFalse(file.has(seq, other), (seq, other))

    def test_hash(self) -> None:
        """The checksum is kept while chunks come, and read from the file after a restart; both are that of the bytes."""
        expected = sha256(b"".join(CHUNKS)).hexdigest()
        with mock.patch("gameroom.store.upload_files.Path.open", side_effect=AssertionError):
            self.assertEqual(self.written().sha256(), expected)
        again = self.again()
        self.assertIsNone(again.hash)
        self.assertEqual(again.sha256(), expected)

    def test_bytes_come_first(self) -> None:
        """A chunk's bytes are written before the offset that vouches for them."""
        file = self.take()
        with mock.patch("gameroom.store.upload_files.os.pwrite", side_effect=lambda fd, data, offset: len(data)) as pwrite:
            file.append(b"0123456789")
        self.assertEqual([call.args[1] for call in pwrite.call_args_list], [b"0123456789", (10).to_bytes(8, "big")])

    def test_nobody_elses(self) -> None:
        """The files are for the daemon's user alone."""
        self.written()
        self.assertEqual({self.path(suffix).stat().st_mode & 0o777 for suffix in (".part", ".seq")}, {0o600})

    def test_memory_is_flat(self) -> None:
        """What is in memory of an upload does not grow with its chunks."""
        file = self.take()
        self.assertFalse(hasattr(file, "__dict__"))
        for _ in range(1000):
            file.append(b"x")
        self.assertEqual({type(getattr(file, name)) for name in UploadFile.__slots__} & {list, dict, set, bytes, bytearray}, set())

    def test_to_disk(self) -> None:
        """What was written past the last chunk is cut off before the file is brought to the disk; one that is too short is an error."""
        file = self.written()
        with self.path(".part").open("ab") as part:
            part.write(b"never answered")
        with mock.patch("gameroom.store.upload_files.os.fsync", wraps=os.fsync) as fsync:
            file.to_disk()
        self.assertEqual(fsync.call_count, 1)
        self.assertEqual(self.path(".part").read_bytes(), b"".join(CHUNKS))
        os.truncate(self.path(".part"), 3)
        self.assertRaises(OSError, file.to_disk)

    def test_written_out(self) -> None:
        """What is dirty is given to the kernel with a descriptor of its own, once."""
        file = self.written()
        fd, offset, length = file.take_dirty()
        self.assertEqual((offset, length, file.dirty), (0, file.received, 0))
        file.append(b"more")
        self.files.close(file)
        write_out(fd, offset, length)
        self.assertRaises(OSError, os.fstat, fd)
        self.files.reopen(file, 0.0)
        fd, offset, length = file.take_dirty()
        self.addCleanup(os.close, fd)
        self.assertEqual((offset, length), (file.received - 4, 4))


class CutShortTests(FilesCase):
    """Files as a crash, or a loss of power, has left them."""

    def test_killed_anywhere(self) -> None:
        """Wherever in the bytes or in the offset of a chunk it was killed, the chunks before it are whole and the next one is it."""
        for seq, chunk in enumerate(CHUNKS):
            for cut in range(len(chunk) + 8):
                self.files.discard(ID)
                self.written(CHUNKS[:seq])
                with self.path(".part").open("ab") as part:
                    part.write(chunk[: min(cut, len(chunk))])
                with self.path(".seq").open("ab") as offsets:
                    offsets.write(int.to_bytes(1 << 63 | cut, 8, "big")[: max(0, cut - len(chunk))])
                self.check(self.again(), CHUNKS[:seq])

    @given(data=st.data())
    @settings(max_examples=200, deadline=None)
    def test_power_lost(self, data: Any) -> None:
        """Whatever is missing of the files, or zeros in them, what is kept is a beginning of the chunks whose bytes are there."""
        self.files.close_all()
        self.files.discard(ID)
        self.written()
        self.files.close_all()
        for suffix in (".part", ".seq"):
            content = self.path(suffix).read_bytes()
            length, hole = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, len(content)))
            self.path(suffix).write_bytes((content[:hole] + bytes(len(content) - hole))[:length])
        size = self.path(".part").stat().st_size
        offsets = self.path(".seq").read_bytes()
        file = self.take()
        file.mend()
        ends = [int.from_bytes(offsets[8 * seq : 8 * seq + 8], "big") for seq in range(file.next_seq)]
        self.assertEqual(file.received, ([0, *ends])[-1])
        self.assertLessEqual(file.received, size)
        self.assertTrue(all(one < next_one for one, next_one in pairwise([0, *ends])))
        file.append(b"more")
        self.assertEqual(file.path.read_bytes()[-4:], b"more")

    def test_lost_without_mending(self) -> None:
        """Bytes that an offset tells of and that are not there are seen when it is taken up, too."""
        self.written()
        os.truncate(self.path(".part"), len(CHUNKS[0]) + 3)
        self.check(self.again(), CHUNKS[:1])
        self.path(".part").unlink()
        self.check(self.again(), [])

    def test_start_over(self) -> None:
        """What was written is forgotten, on the disk too."""
        file = self.written()
        file.start_over()
        self.assertEqual((self.path(".part").stat().st_size, self.path(".seq").stat().st_size), (0, 0))
        self.check(file, [])

    def test_tidied_away(self) -> None:
        """Files that somebody has deleted while they were closed are not taken for whole ones."""
        file = self.written()
        self.files.close(file)
        self.path(".part").unlink()
        self.files.reopen(file, 1.0)
        self.check(file, [])


class FailingTests(FilesCase):
    """A chunk is all or nothing."""

    def failing(self, allowed: int, error: int) -> Any:
        """A disk that takes so many bytes more, and short writes before it takes none."""
        real = os.pwrite
        left = [allowed]

        def pwrite(fd: int, data: Any, offset: int) -> int:
            if left[0] <= 0:
                raise OSError(error, os.strerror(error))
            written = real(fd, bytes(data)[: left[0]], offset)
            left[0] -= written
            return written

        return mock.patch("gameroom.store.upload_files.os.pwrite", pwrite)

    def test_full(self) -> None:
        """Wherever in a chunk the disk is full, nothing of the chunk is left, and it may be sent again when there is room."""
        chunk = b"0123456789"
        for error in (errno.ENOSPC, errno.EDQUOT):
            for allowed in range(len(chunk) + 8):
                self.files.discard(ID)
                file = self.again()
                file.append(b"before")
                with self.failing(allowed, error):
                    told = self.assertRaises(DiskFull, file.append, chunk)
                self.assertIn("disk of this server is full", told.message)
                self.assertEqual((self.path(".part").stat().st_size, self.path(".seq").stat().st_size), (6, 8))
                self.check(file, [b"before"])

    def test_broken(self) -> None:
        """Another error is raised as it is, and leaves nothing either."""
        file = self.written()
        with self.failing(3, errno.EIO):
            self.assertEqual(self.assertRaises(OSError, file.append, b"chunk").errno, errno.EIO)
        self.check(file, CHUNKS)

    def test_nothing_can_be_taken_back(self) -> None:
        """Where the file cannot even be cut, what is past the last chunk is written over all the same."""
        file = self.written()
        with self.failing(7, errno.ENOSPC), mock.patch("gameroom.store.upload_files.os.ftruncate", side_effect=OSError):
            self.assertRaises(DiskFull, file.append, b"longer than more")
        self.assertEqual(self.path(".part").stat().st_size, file.received + 7)
        file.append(b"more")
        file.to_disk()
        self.assertEqual(file.path.read_bytes(), b"".join([*CHUNKS, b"more"]))

    def test_short_writes(self) -> None:
        """A write that the kernel does by halves is done to its end."""
        real = os.pwrite
        with mock.patch("gameroom.store.upload_files.os.pwrite", lambda fd, data, offset: real(fd, bytes(data)[:3], offset)):
            file = self.written()
        self.check(file, CHUNKS)

    def test_no_room_for_a_file(self) -> None:
        """A disk without room for the files themselves is full, too, and no descriptor is left open."""
        before = len(os.listdir("/proc/self/fd"))
        with mock.patch("gameroom.store.upload_files.os.open", side_effect=OSError(errno.ENOSPC, "full")):
            self.assertRaises(DiskFull, self.take)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)


class FolderTests(FilesCase):
    """All uploads together."""

    def test_reconcile(self) -> None:
        """What is no unfinished upload's is deleted and told; the folder is made where there is none, for nobody else."""
        self.written()
        self.take(OTHER)
        (self.files.folder / "stray").write_bytes(b"")
        (self.files.folder / f"{ID}.tmp").write_bytes(b"")
        self.assertEqual(set(self.files.reconcile({ID})), {f"{OTHER}.part", f"{OTHER}.seq", "stray", f"{ID}.tmp"})
        self.assertEqual({path.name for path in self.files.folder.iterdir()}, {f"{ID}.part", f"{ID}.seq"})
        self.assertEqual(self.files.folder.stat().st_mode & 0o777, 0o700)

    def test_discard(self) -> None:
        """Both files go; nothing happens where they are gone."""
        self.written()
        self.files.discard(ID)
        self.files.discard(ID)
        self.assertEqual(list(self.files.folder.iterdir()), [])

    def test_most_open(self) -> None:
        """Only so many have open files: those used longest ago are closed, and go on when they are used again."""
        self.files = UploadFiles(self.files.folder, most_open=2)
        self.addCleanup(self.files.close_all)
        one, two, three = (self.take(upload_id) for upload_id in ("one", "two", "three"))
        self.assertEqual([file.is_open for file in (one, two, three)], [False, True, True])
        self.files.reopen(two, 1.0)
        self.files.reopen(one, 2.0)
        self.assertEqual([file.is_open for file in (one, two, three)], [True, True, False])
        one.append(b"x")
        self.assertTrue(one.has(0, b"x"))

    def test_idle(self) -> None:
        """Those that nobody has used since are closed."""
        one, two = self.take(), self.take(OTHER)
        self.files.reopen(two, 5.0)
        self.files.close_idle(4.0)
        self.assertEqual((one.is_open, two.is_open, len(self.files)), (False, True, 1))
