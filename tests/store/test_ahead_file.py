"""The file of lines that are ahead of their recordings: what is read of it again, whatever became of it, and put into them after a kill."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from unittest import mock
from uuid import UUID
from zlib import crc32

import hypothesis.strategies as st
from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from gameroom.store.ahead_file import BEFORE_LINES, FORMAT, HALF_HEAD, HEAD, PLACE, AheadFile, key_of
from gameroom.store.ahead_recovery import Piece, ahead_in, lines_ahead, pieces_of, recover
from gameroom.store.file_systems import keeps_mapped

HALF = 320
PLAYS = ("11111111-2222-4333-8444-555555555555", "1aaaaaaa-2222-4333-8444-555555555555", "bbbbbbbb-2222-4333-8444-555555555555")
PLAY, OTHER, THIRD = PLAYS
KEY, OTHER_KEY, THIRD_KEY = (UUID(play).bytes for play in PLAYS)
BASE = b'{"type":"play"}\n'
NO_SPACE = OSError(errno.ENOSPC, "No space left on device")

LINES = st.one_of(st.binary(max_size=60), st.just(b"line\n"))
"""Many of the same size, so that what an earlier epoch has left often begins where a piece ends."""
PIECES = st.tuples(st.binary(min_size=16, max_size=16), st.integers(0, 2**64 - 1), LINES)
PUTS = st.lists(st.one_of(PIECES, st.tuples(st.just(KEY), st.just(7), st.just(b"line\n")), st.none()), max_size=40)
"""What is put into a file, one after another, and None where it goes on in the other half."""

Placed = tuple[Piece, int, int]
"""A piece, and where it begins and ends in the file."""


def fill(file: AheadFile, puts: list[Piece | None]) -> tuple[list[Placed], list[Placed]]:
    """Put all that; gives what each half holds then."""
    halves: tuple[list[Placed], list[Placed]] = ([], [])
    half, at = 0, HALF_HEAD.size
    for piece in puts:
        if piece is None:
            half = 1 - half
            at = half * HALF + HALF_HEAD.size
            halves[half].clear()
            file.turn()
            continue
        end = at + BEFORE_LINES + len(piece[2])
        assert file.put(*piece) == (end <= (half + 1) * HALF)
        if end <= (half + 1) * HALF:
            halves[half].append((piece, at, end))
            at = end
    return halves


def just(halves: tuple[list[Placed], list[Placed]]) -> list[Piece]:
    return [piece for half in halves for piece, _, _ in half]


class AheadCase(SynchronousTestCase):
    """A folder of recordings, and small files ahead of them, on any file system."""

    def setUp(self) -> None:
        self.keeps_mapped = mock.Mock(return_value=True)
        for patched in (
            mock.patch("gameroom.store.ahead_recovery.HALF", HALF),
            mock.patch("gameroom.store.ahead_file.keeps_mapped", self.keeps_mapped),
        ):
            patched.start()
            self.addCleanup(patched.stop)
        self.new_folder()

    def new_folder(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def create(self, half: int = HALF) -> AheadFile:
        file = AheadFile.create(self.folder, half)
        assert file is not None
        return file

    def left(self, *puts: Piece | None, name: str = "left") -> Path:
        """What a daemon that was killed has left, after it has put all that."""
        file = self.create()
        fill(file, list(puts))
        path = self.folder / f"{name}.ahead"
        path.write_bytes(file.path.read_bytes())
        file.close(remove=True)
        return path

    def path(self, play: str = PLAY) -> Path:
        return self.folder / play[:2] / f"{play}.ndjson"

    def record(self, data: bytes, play: str = PLAY) -> Path:
        """There is a recording that holds that."""
        path = self.path(play)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    def ahead(self, key: bytes, size: int) -> bytes:
        """What a recording of that size lacks."""
        return lines_ahead(ahead_in(self.folder).get(str(UUID(bytes=key)), ()), size)

    def files(self) -> list[str]:
        return sorted(os.listdir(self.folder))


class PiecesTests(AheadCase):
    """What is read of a file again."""

    @given(PUTS)
    def test_law(self, puts: list[Piece | None]) -> None:
        """All that was put is there, in order, but for what stood in halves that were used again; what has no room is refused."""
        file = self.create()
        halves = fill(file, puts)
        self.assertEqual(list(pieces_of(file.path.read_bytes())), just(halves))
        file.close(remove=True)

    @settings(max_examples=25)
    @given(PUTS)
    def test_cut(self, puts: list[Piece | None]) -> None:
        """Wherever a copy is cut off, the pieces before that are there, and nothing else."""
        file = self.create()
        halves = fill(file, puts)
        data = file.path.read_bytes()
        file.close(remove=True)
        for cut in range(len(data) + 1):
            self.assertEqual(list(pieces_of(data[:cut])), [piece for half in halves for piece, _, end in half if end <= cut])

    @settings(max_examples=25)
    @given(PUTS, st.integers(1, 255))
    def test_damaged(self, puts: list[Piece | None], by: int) -> None:
        """Wherever a byte of a copy is another, the pieces before it are there, and all of the other half; from one that is damaged on, nothing."""
        file = self.create()
        halves = fill(file, puts)
        data = file.path.read_bytes()
        file.close(remove=True)
        for at in range(len(data)):
            damaged = bytearray(data)
            damaged[at] ^= by
            found, number = list(pieces_of(bytes(damaged))), at // HALF
            other = [piece for piece, _, _ in halves[1 - number]]
            split = len(found) - len(other) if number == 0 else len(other)
            self.assertEqual(found[split:] if number == 0 else found[:split], other)
            here, before = found[:split] if number == 0 else found[split:], [piece for piece, _, end in halves[number] if end <= at]
            self.assertEqual(here[: len(before)], before)
            if any(begin <= at < end for _, begin, end in halves[number]):
                self.assertEqual(here, before)

    @given(
        st.one_of(
            st.binary(max_size=3 * HALF),
            st.lists(st.tuples(st.integers(0, 2**64 - 1), st.lists(st.binary(max_size=60))), max_size=3),
        )
    )
    def test_anything(self, data: bytes | list[tuple[int, list[bytes]]]) -> None:
        """Whatever it holds, nothing is raised: random bytes, or pieces that are whole but for what they should hold, in any epoch."""
        if isinstance(data, list):
            halves = [
                HALF_HEAD.pack(FORMAT, epoch) + b"".join(HEAD.pack(len(rest), crc32(rest, epoch & 0xFFFFFFFF)) + rest for rest in rests)
                for epoch, rests in data
            ]
            data = b"".join(half[:HALF].ljust(HALF, b"\0") for half in halves)
        for key, offset, lines in pieces_of(data):
            self.assertIn(PLACE.pack(key, offset) + lines, data)

    def test_to_the_last_byte(self) -> None:
        """A half has room up to its last byte, and what would go beyond that is no piece of it."""
        file, room = self.create(), HALF - HALF_HEAD.size - BEFORE_LINES
        self.assertEqual([file.put(KEY, 0, bytes(room + 1)), file.put(KEY, 0, bytes(room))], [False, True])
        data = bytearray(file.path.read_bytes())
        self.assertEqual(list(pieces_of(bytes(data))), [(KEY, 0, bytes(room))])
        rest = PLACE.pack(KEY, 0) + bytes(HALF)
        data[HALF_HEAD.size : 2 * HALF] = HEAD.pack(len(rest), crc32(rest)) + rest
        self.assertEqual(list(pieces_of(bytes(data))), [])
        file.close(remove=True)

    def test_long_epochs(self) -> None:
        """A half whose epoch is more than a CRC begins with is read as any other."""
        rest = PLACE.pack(KEY, 5) + b"a\n"
        data = HALF_HEAD.pack(FORMAT, (7 << 32) + 3) + HEAD.pack(len(rest), crc32(rest, 3)) + rest
        self.assertEqual(list(pieces_of(data)), [(KEY, 5, b"a\n")])

    def test_within(self) -> None:
        """What a recording lacks of a piece that is in it but for its end."""
        self.assertEqual(lines_ahead([(KEY, 10, b"a\nbb\n"), (KEY, 15, b"c\n")], 12), b"bb\nc\n")


class RecoverTests(AheadCase):
    """After a kill, before anything is read of the recordings."""

    def test_cut_anywhere(self) -> None:
        """However much of the lines is in the recording, the last of them torn: all of them are then, and nothing is ahead."""
        whole = BASE + b"one\n" + b"two\nthree\n" + b"four\n"
        for size in range(len(BASE), len(whole) + 1):
            self.record(whole[:size])
            self.left((KEY, 16, b"one\n"), (KEY, 20, b"two\nthree\n"), (KEY, 30, b"four\n"))
            self.assertEqual(recover(self.folder), len(whole) - size)
            self.assertEqual(self.path().read_bytes(), whole)
            self.assertEqual(self.files(), ["11"])
            self.assertEqual(recover(self.folder), 0)
            self.assertEqual(self.path().read_bytes(), whole)

    def test_longer(self) -> None:
        """What came later to a recording stays as it is."""
        self.record(BASE + b"one\ntwo\n")
        self.left((KEY, 16, b"one\n"))
        self.assertEqual((recover(self.folder), self.path().read_bytes()), (0, BASE + b"one\ntwo\n"))

    def test_loss_of_power(self) -> None:
        """What stands where lines should is written over with them, if the file has its size already."""
        self.record(BASE + bytes(8) + b"three\n")
        self.left((KEY, 16, b"one\n"), (KEY, 20, b"two\n"))
        self.assertEqual((recover(self.folder), self.path().read_bytes()), (0, BASE + b"one\ntwo\nthree\n"))

    def test_halves(self) -> None:
        """Pieces in both halves and several files, in any order, some of them twice, go where they belong."""
        for play in PLAYS:
            self.record(BASE, play)
        self.left((KEY, 20, b"two\n"), (OTHER_KEY, 16, b"a\n"), None, (KEY, 16, b"one\n"), (KEY, 24, b"three\n"), (OTHER_KEY, 18, b"b\n"))
        self.left((KEY, 16, b"one\n"), (KEY, 30, b"four\n"), (THIRD_KEY, 16, b"x\n"), name="another")
        self.assertEqual(recover(self.folder), 19 + 4 + 2)
        self.assertEqual([self.path(play).read_bytes()[16:] for play in PLAYS], [b"one\ntwo\nthree\nfour\n", b"a\nb\n", b"x\n"])
        self.assertEqual(self.files(), ["11", "1a", "bb"])

    @given(st.data())
    def test_law(self, data: st.DataObject) -> None:
        """Of lines that were put in any pieces and order, into either half, none lacks after a kill at which the file had any part of them."""
        lines = data.draw(st.lists(st.binary(max_size=8).map(lambda line: line + b"\n"), min_size=1, max_size=7))
        starts = [len(BASE) + sum(map(len, lines[:number])) for number in range(len(lines))]
        pieces = [(KEY, start, line) for start, line in zip(starts, lines, strict=True)]
        puts: list[Piece | None] = list(data.draw(st.permutations(pieces)))
        puts.insert(data.draw(st.integers(0, len(puts))), None)
        whole = BASE + b"".join(lines)
        self.new_folder()
        path = self.record(whole[: data.draw(st.integers(len(BASE), len(whole)))])
        missing = len(whole) - path.stat().st_size
        self.left(*puts)
        self.assertEqual((self.ahead(KEY, len(BASE)), recover(self.folder)), (whole[len(BASE) :], missing))
        self.assertEqual(path.read_bytes(), whole)

    def test_again(self) -> None:
        """What was killed itself while it put all back does it again, with the same end."""
        self.record(BASE)
        path = self.left((KEY, 16, b"one\n"), (KEY, 20, b"two\n"))
        data = path.read_bytes()
        self.assertEqual(recover(self.folder), 8)
        path.write_bytes(data)
        self.assertEqual((recover(self.folder), self.path().read_bytes()), (0, BASE + b"one\ntwo\n"))
        self.assertFalse(path.exists())

    def test_deleted(self) -> None:
        """A recording that is there no longer does not come again; the others have their lines."""
        self.record(BASE, OTHER)
        self.record(BASE).unlink()
        self.left((KEY, 16, b"one\n"), (OTHER_KEY, 16, b"a\n"))
        self.assertEqual((recover(self.folder), self.path(OTHER).read_bytes()), (2, BASE + b"a\n"))
        self.assertEqual(list(self.folder.glob("*/*")), [self.path(OTHER)])

    def test_gap(self) -> None:
        """Lines that begin behind the end of a recording are not put there."""
        self.record(BASE)
        self.left((KEY, 17, b"one\n"), (KEY, 21, b"two\n"))
        self.assertEqual((recover(self.folder), self.path().read_bytes(), self.files()), (0, BASE, ["11"]))

    def test_nothing(self) -> None:
        """Without a file, with one that is empty, or never came to the disk, nothing is missing."""
        self.record(BASE)
        self.assertEqual(recover(self.folder), 0)
        for data in (b"", b"\0" * 2 * HALF, FORMAT + b"x" * HALF):
            (self.folder / "some.ahead").write_bytes(data)
            self.assertEqual((recover(self.folder), self.path().read_bytes(), self.files()), (0, BASE, ["11"]))

    def test_unknown(self) -> None:
        """A file of another form is kept, and its name told."""
        self.record(BASE)
        (self.folder / "some.ahead").write_bytes(b"grahead2" + bytes(HALF))
        with self.assertRaisesRegex(OSError, "another gameroom.*some.ahead"):
            recover(self.folder)
        self.assertEqual(self.files(), ["11", "some.ahead"])

    def test_not_gone_yet(self) -> None:
        """One whose daemon was killed a moment ago is waited for."""
        self.record(BASE)
        file = self.create()
        file.put(KEY, 16, b"one\n")
        with mock.patch("gameroom.store.ahead_recovery.time.sleep", side_effect=lambda seconds: file.close(remove=False)):
            self.assertEqual((recover(self.folder), self.files()), (4, ["11"]))

    @mock.patch("gameroom.store.ahead_recovery.PATIENCE", 0.0)
    def test_locked(self) -> None:
        """The file of a daemon that is well is left alone."""
        self.record(BASE)
        file = self.create()
        file.put(KEY, 16, b"one\n")
        self.left((KEY, 16, b"other\n"))
        self.assertEqual((recover(self.folder), self.path().read_bytes()), (6, BASE + b"other\n"))
        self.assertEqual(self.files(), ["11", file.path.name])
        self.assertEqual(list(pieces_of(file.path.read_bytes())), [(KEY, 16, b"one\n")])
        file.close(remove=True)

    def test_on_the_disk_first(self) -> None:
        """Nothing is deleted before each recording is whole and on the disk."""
        self.record(BASE)
        self.record(BASE, OTHER)
        path, synced = self.left((KEY, 16, b"one\n"), (OTHER_KEY, 16, b"a\n")), list[int]()

        def fsync(fd: int) -> None:
            self.assertTrue(path.exists())
            synced.append(os.fstat(fd).st_size)

        with mock.patch("gameroom.store.ahead_recovery.os.fsync", fsync):
            recover(self.folder)
        self.assertEqual(sorted(synced), [18, 20])
        self.assertFalse(path.exists())

    def test_fails(self) -> None:
        """Where something cannot be put back that is told, and the file is kept until it can."""
        whole = BASE + b"one\n"
        self.path().mkdir(parents=True)
        data = self.left((KEY, 16, b"one\n")).read_bytes()
        self.assertRaises(OSError, recover, self.folder)
        self.assertEqual((self.folder / "left.ahead").read_bytes(), data)
        self.path().rmdir()
        self.record(BASE)
        for call in ("pwrite", "fsync"):
            with mock.patch(f"gameroom.store.ahead_recovery.os.{call}", side_effect=NO_SPACE):
                self.assertRaises(OSError, recover, self.folder)
            self.assertEqual((self.folder / "left.ahead").read_bytes(), data)
        self.record(BASE)
        self.assertEqual((recover(self.folder), self.path().read_bytes(), self.files()), (4, whole, ["11"]))

    def test_written_in_parts(self) -> None:
        """A write that takes only a part of it is gone on with."""
        self.record(BASE)
        self.left((KEY, 16, b"one\n"), (KEY, 20, b"two\n"))
        real = os.pwrite
        with mock.patch("gameroom.store.ahead_recovery.os.pwrite", lambda fd, data, offset: real(fd, data[:3], offset)):
            self.assertEqual(recover(self.folder), 8)
        self.assertEqual(self.path().read_bytes(), BASE + b"one\ntwo\n")


class LinesAheadTests(AheadCase):
    """What a recording lacks, for one who only reads it."""

    def test_there(self) -> None:
        """Of files that are left and of one that is written, what comes after that size without a gap; of no other recording."""
        self.assertEqual(self.ahead(KEY, 16), b"")
        self.left((KEY, 24, b"three\n"), (OTHER_KEY, 16, b"a\n"), None, (KEY, 16, b"one\n"))
        file = self.create()
        file.put(KEY, 20, b"two\n")
        file.put(KEY, 16, b"one\n")
        file.put(KEY, 31, b"after a gap\n")
        for size, lines in ((16, b"one\ntwo\nthree\n"), (20, b"two\nthree\n"), (24, b"three\n"), (30, b""), (15, b"")):
            self.assertEqual(self.ahead(KEY, size), lines)
        self.assertEqual((self.ahead(OTHER_KEY, 16), self.ahead(THIRD_KEY, 16)), (b"a\n", b""))
        file.close(remove=True)

    def test_removed_meanwhile(self) -> None:
        """A file that is gone when it is to be read is none; the others are read."""
        path = self.left((KEY, 16, b"one\n"))
        with mock.patch.object(Path, "glob", return_value=[self.folder / "gone.ahead", path]):
            self.assertEqual(self.ahead(KEY, 16), b"one\n")


class CreateTests(AheadCase):
    """A file is made, or nothing is left of it."""

    def test_made(self) -> None:
        """It has its whole size, on the disk where it must, and is locked until it is removed."""
        file = self.create(1 << 16)
        status = os.fstat(file.fileno())
        self.assertEqual((self.files(), status.st_size, file.path.suffix), ([file.path.name], 2 << 16, ".ahead"))
        if keeps_mapped(file.fileno()):
            self.assertGreaterEqual(status.st_blocks * 512, 2 << 16)
        with file.path.open("rb") as again:
            self.assertRaises(BlockingIOError, fcntl.flock, again, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.close(remove=True)
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.assertEqual(self.files(), [])

    def test_locked_before_it_is_found(self) -> None:
        """By the time it has its name it is locked, and of its whole size: nobody takes it for one that is left."""
        real, sizes = os.rename, list[int]()

        def rename(old: str, new: Path) -> None:
            self.assertEqual(list(self.folder.glob("*.ahead")), [])
            with Path(old).open("rb") as file:
                self.assertRaises(BlockingIOError, fcntl.flock, file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                sizes.append(os.fstat(file.fileno()).st_size)
            real(old, new)

        with mock.patch("gameroom.store.ahead_file.os.rename", rename):
            self.create().close(remove=True)
        self.assertEqual(sizes, [2 * HALF])

    def closed(self) -> bool:
        """Whether the file that was asked about is closed, and the folder empty."""
        self.assertRaises(OSError, os.fstat, self.keeps_mapped.call_args.args[0])
        return self.files() == []

    def test_not_here(self) -> None:
        """Where the file system does not promise that there is always a place for what is mapped, there is none."""
        self.keeps_mapped.return_value = False
        self.assertIsNone(AheadFile.create(self.folder, HALF))
        self.assertTrue(self.closed())

    def test_fails(self) -> None:
        """Whatever fails is told, and nothing is left behind."""
        for name in ("fcntl.flock", "os.fchmod", "os.rename", "mmap"):
            with mock.patch(f"gameroom.store.ahead_file.{name}", side_effect=NO_SPACE):
                self.assertRaises(OSError, AheadFile.create, self.folder, HALF)
            self.assertTrue(self.closed(), name)
        self.assertRaises(OSError, AheadFile.create, self.folder / "none", HALF)

    def test_key(self) -> None:
        """A recording is named by its play_id, in the bytes of each piece that are counted."""
        self.assertEqual((key_of(self.path()), BEFORE_LINES), (KEY, HEAD.size + PLACE.size))
