"""Recordings: what is written, read again, taken up after a kill, and deleted in time."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis.strategies as st
from hypothesis import given, settings
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import NotFound
from gameroom.store.recording import PLACED, Recording, RecordingDamaged, lines_of, master_of
from gameroom.store.recording_scan import Scan
from gameroom.store.recordings import Recordings
from gameroom.store.to_disk import MANY, SYNC_AFTER
from gameroom.wire.lockstep import BATCH_BYTES, BINARY, JSON

PLAY = "11111111-2222-4333-8444-555555555555"
OTHER = "aaaaaaaa-2222-4333-8444-555555555555"
START = 1_800_000_000.0


class Threads:
    """Stands in for the reactor's threads: runs at once, or holds until told."""

    def __init__(self) -> None:
        self.holding = False
        self.held: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] = []

    def defer(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        if not self.holding:
            return maybeDeferred(function, *args)
        deferred: Deferred[Any] = Deferred()
        self.held.append((deferred, function, args))
        return deferred

    def release(self) -> None:
        held, self.held = self.held, []
        for deferred, function, args in held:
            maybeDeferred(function, *args).chainDeferred(deferred)


def json_master(generation: int, filling: int = 0, system: Any = ()) -> bytes:
    return JSON.master(generation, 3, JSON.checksum(max(0, generation - 2), "ab"), [b'["%b"]' % (b"x" * filling)], system)


def binary_master(generation: int, filling: int = 0, system: Any = ()) -> bytes:
    return BINARY.master(generation, 3, b"", [b"\n" + b"x" * filling], system)


class RecordingsCase(SynchronousTestCase):
    """A folder of recordings on a clock of our own."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(START)
        self.threads = Threads()
        self.folder = Path(self.mktemp())
        self.recordings = self.again()

    def again(self) -> Recordings:
        return Recordings(self.folder, clock=self.clock, defer_to_thread=self.threads.defer, keep=1000.0)

    def create(self, play_id: str = PLAY, *, binary: bool = False, sync: bool = False) -> Recording:
        return self.recordings.create(play_id, {"seed": 5, "players": []}, binary=binary, sync=sync)

    def lines(self, play_id: str = PLAY) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.recordings.path(play_id).read_bytes().splitlines()]

    def take_up(self) -> tuple[Recording, Scan]:
        return self.successResultOf(self.again().take_up(PLAY, sync=False))


class WritingTests(RecordingsCase):
    """What stands in the file."""

    def test_lines(self) -> None:
        """The head, then masters with the milliseconds since the start, then how it ended."""
        recording = self.create()
        recording.append([json_master(0)], START + 0.25)
        recording.note({"type": "over", "reason": "finished"}, START + 1.5)
        head, master, over = self.lines()
        self.assertEqual(
            head, {"type": "play", "play_id": PLAY, "seed": 5, "players": [], "encoding": "json", "started_at": "2027-01-15T08:00:00.000Z"}
        )
        self.assertEqual(master, {"t": 250, **json.loads(json_master(0))})
        self.assertEqual(over, {"t": 1500, "type": "over", "reason": "finished"})
        self.assertEqual(self.recordings.path(PLAY), self.folder / "11" / f"{PLAY}.ndjson")

    def test_binary_lines(self) -> None:
        """A binary master is base64 in `data`."""
        self.create(binary=True).append([binary_master(0)], START)
        self.assertEqual(self.lines()[1]["type"], "master")
        self.assertEqual(master_of(self.recordings.path(PLAY).read_bytes().splitlines()[1], True), binary_master(0))

    def test_there_at_once(self) -> None:
        """What was appended is in the file without any flush: killing the daemon loses nothing."""
        recording = self.create()
        for generation in range(10):
            recording.append([json_master(generation)], START)
            self.assertEqual(len(self.lines()), generation + 2)

    def test_disk_full(self) -> None:
        """A write that fails half-way raises, and leaves the file as it was; the next goes on."""
        recording = self.create()
        recording.append([json_master(0)], START)
        before = self.recordings.path(PLAY).read_bytes()
        real = os.write
        calls: list[bytes] = []

        def write(fd: int, data: bytes) -> int:
            calls.append(data)
            if len(calls) == 2:
                raise OSError(28, "No space left on device")
            return real(fd, data[:10])

        with mock.patch("gameroom.store.recording.os.write", write):
            self.assertRaises(OSError, recording.append, [json_master(1)], START)
        self.assertEqual(self.recordings.path(PLAY).read_bytes(), before)
        recording.append([json_master(1)], START)
        self.assertEqual([line.get("generation") for line in self.lines()], [None, 0, 1])

    def test_no_place_to_begin(self) -> None:
        """A recording whose head cannot be written leaves nothing behind."""
        with mock.patch("gameroom.store.recording.os.write", side_effect=OSError(28, "No space left on device")):
            self.assertRaises(OSError, self.create)
        self.assertFalse(self.recordings.exists(PLAY))

    def test_not_twice(self) -> None:
        """A recording that is there is not written over."""
        self.create()
        self.assertRaises(FileExistsError, self.create)

    def test_discard(self) -> None:
        """A play that did not begin leaves nothing behind."""
        self.recordings.discard(self.create())
        self.assertFalse(self.recordings.exists(PLAY))

    @given(st.lists(st.binary(max_size=50), max_size=3), st.integers(0, 2**31), st.booleans())
    def test_line_law(self, data: list[bytes], milliseconds: int, binary: bool) -> None:
        """The masters of the lines are the masters."""
        masters = data if binary else [json_master(3 + after) for after in range(len(data))]
        written, sizes = lines_of(masters, 3, milliseconds, binary)
        lines = written.splitlines(keepends=True)
        self.assertEqual([len(line) for line in lines], sizes)
        self.assertEqual([master_of(line[:-1], binary) for line in lines], masters)
        said = [(json.loads(line)["t"], json.loads(line)["generation"]) for line in lines]
        self.assertEqual(said, [(milliseconds, 3 + after) for after in range(len(data))])


class ReadingTests(RecordingsCase):
    """History, from any generation, in batches."""

    def test_every_start(self) -> None:
        """From each generation on all masters come, in order, also past the index's steps."""
        recording = self.create()
        for generation in range(200):
            recording.append([json_master(generation)], START)
            if generation % 50 == 0:
                recording.note({"type": "divergence"}, START)
        for first in (0, 1, 63, 64, 65, 127, 128, 199, 200):
            reader = recording.reader(first)
            self.assertEqual(reader.batch(200), [json_master(generation) for generation in range(first, 200)])
            self.assertEqual(reader.generation, 200)

    def test_recent(self) -> None:
        """Any of the last 1,000 masters, which a repeat brings again, is found by one read; an older one is found as well, also after a restart."""
        recording = self.create()
        for generation in range(1200):
            recording.append([json_master(generation, 5000)], START)
        for generation in (200, 255, 700, 1199):
            with mock.patch("gameroom.store.recording.os.pread", wraps=os.pread) as read:
                self.assertEqual(recording.reader(generation).batch(generation + 1), [json_master(generation, 5000)])
            self.assertEqual(read.call_count, 1)
        recording, _ = self.take_up()
        for generation in range(1200, 1300):
            recording.append([json_master(generation, 5000)], START)
        for generation in (0, 100, 175, 176, 1199, 1200, 1299):
            self.assertEqual(recording.reader(generation).batch(generation + 1), [json_master(generation, 5000)])

    def test_large(self) -> None:
        """To begin anywhere reads little before it, however large masters are, also after a restart; few places are kept of small ones."""
        recording = self.create()
        for generation in range(40):
            recording.append([json_master(generation, 200_000 if generation % 2 else 20_000)], START)
        for generation in range(40, 1040):
            recording.append([json_master(generation)], START)
        again, _ = self.take_up()
        again.append([json_master(1040, PLACED)], START)
        again.append([json_master(1041)], START)
        recording._recent_from = 1040
        for taken, newest in ((recording, 1039), (again, 1041)):
            for generation in (0, 1, 17, 39, 40, 41, 500, 1039, newest):
                with mock.patch("gameroom.store.recording.os.pread", wraps=os.pread) as read:
                    reader = taken.reader(generation)
                self.assertLessEqual(read.call_count, 2, generation)
                self.assertEqual(JSON.read_master(reader.batch(generation + 1)[0]).generation, generation)
            self.assertLess(len(taken._places._offsets), 50)

    def test_batches(self) -> None:
        """A batch is up to 256 KiB; a master that is longer comes alone; none is lost between them."""
        recording = self.create()
        sizes = [100_000, 100_000, 100_000, 300_000, 10, 10]
        for generation, size in enumerate(sizes):
            recording.append([json_master(generation, size)], START)
        reader, batches = recording.reader(0), []
        while batch := reader.batch(len(sizes)):
            batches.append(batch)
            self.assertTrue(len(batch) == 1 or len(JSON.masters(0, batch)) <= BATCH_BYTES)
        self.assertEqual([len(batch) for batch in batches], [2, 1, 1, 2])
        self.assertEqual([master for batch in batches for master in batch], [json_master(*pair) for pair in enumerate(sizes)])

    def test_until(self) -> None:
        """Nothing from `until` on is given; what is written later is read later."""
        recording = self.create(binary=True)
        for generation in range(3):
            recording.append([binary_master(generation)], START)
        reader = recording.reader(0)
        self.assertEqual(reader.batch(2), [binary_master(0), binary_master(1)])
        self.assertEqual(reader.batch(2), [])
        recording.append([binary_master(3)], START)
        self.assertEqual(reader.batch(4), [binary_master(2), binary_master(3)])
        self.assertEqual(reader.batch(4), [])

    def test_closed(self) -> None:
        """Who reads when it is closed reads on to the end; the file is let go of with the last reader."""
        recording = self.create()
        recording.append([json_master(0)], START)
        gc.collect()  # what other tests have left open is let go of now, and not between the two looks
        reader, opened = recording.reader(0), len(os.listdir("/proc/self/fd"))
        self.recordings.close(recording)
        self.clock.advance(SYNC_AFTER)
        self.assertEqual(recording.reader(0).batch(1), [])
        self.assertEqual(reader.batch(1), [json_master(0)])
        self.assertEqual(len(os.listdir("/proc/self/fd")), opened)
        del reader
        self.assertEqual(len(os.listdir("/proc/self/fd")), opened - 1)

    @given(st.lists(st.integers(0, 3000), min_size=1, max_size=80), st.data())
    @settings(max_examples=30, deadline=None)
    def test_any_reading(self, sizes: list[int], data: st.DataObject) -> None:
        """Any sizes, any start, any batch size: each master once, in order."""
        self.setUp()
        recording = self.create()
        for generation, size in enumerate(sizes):
            recording.append([json_master(generation, size)], START)
        first = data.draw(st.integers(0, len(sizes)))
        reader, masters = recording.reader(first), []
        while batch := reader.batch(len(sizes), data.draw(st.integers(1, 5000))):
            masters += batch
        self.assertEqual(masters, [json_master(*pair) for pair in enumerate(sizes)][first:])


class TakingUpTests(RecordingsCase):
    """After a restart."""

    def written(self, *, binary: bool = False) -> Recording:
        make = binary_master if binary else json_master
        recording = self.create(binary=binary)
        for generation in range(130):
            recording.append([make(generation, system=[{"dropped": 1}] if generation == 70 else [])], START)
        return recording

    def test_what_it_says(self) -> None:
        """Number of masters, events, the last master and the head, by either codec; then it goes on."""
        for binary in (False, True):
            self.setUp()
            self.written(binary=binary)
            recording, found = self.take_up()
            self.assertEqual((found.masters, found.events, found.header["seed"], found.over), (130, ({"dropped": 1},), 5, None))
            assert found.last is not None
            self.assertEqual((found.last.generation, found.started), (129, START))
            make = binary_master if binary else json_master
            recording.append([make(130)], START + 2)
            self.assertEqual(recording.reader(128).batch(131), [make(128), make(129), make(130)])
            self.assertEqual(self.lines()[-1]["t"], 2000)

    def test_events(self) -> None:
        """Of the many events of a long play so many are kept as there are players: the newest that say how each takes part."""
        recording = self.create()
        for generation in range(100):
            recording.append([json_master(generation, system=[{"missed": [1, 2]}, {"rejoined" if generation % 2 else "dropped": 1}])], START)
        recording.append([json_master(100, system=[{"dropped": 1}, {"left": 2}])], START)
        _, found = self.take_up()
        self.assertEqual(found.events, ({"dropped": 1}, {"left": 2}))

    def test_torn_line(self) -> None:
        """A last line that is torn, or is none, is cut off."""
        for torn in (
            b'{"t":5,"type":"mas',
            b"\0\0\0\0",
            b'{"t":5,"type":"master","generation":140,"commands":{},"iterations_per_command":1}\n',
            b"7\n",
        ):
            self.setUp()
            self.written()
            whole = self.recordings.path(PLAY).read_bytes()
            self.recordings.path(PLAY).write_bytes(whole + torn)
            recording, found = self.take_up()
            self.assertEqual((found.masters, self.recordings.path(PLAY).read_bytes()), (130, whole))
            recording.append([json_master(130)], START)
            self.assertEqual(len(self.lines()), 132)

    def test_torn_anywhere(self) -> None:
        """Wherever the last write was cut off: what was whole before it is taken up and served, and goes on without a gap."""
        recording = self.create()
        recording.append([json_master(0)], START)
        recording.note({"type": "dump", "generation": 0, "seat": 1, "state": {"a": [1, 2]}}, START)
        recording.note({"type": "state", "state": "running.paused.menu"}, START)
        recording.append([json_master(1, system=[{"dropped": 1}])], START)
        whole = self.recordings.path(PLAY).read_bytes()
        head = whole.index(b"\n") + 1
        for cut in range(len(whole) + 1):
            self.recordings.path(PLAY).write_bytes(whole[:cut])
            file, size = self.successResultOf(self.recordings.open(PLAY))
            with file:
                self.assertEqual(file.read(size), whole[: whole.rfind(b"\n", 0, cut) + 1])
            if cut < head:
                self.failureResultOf(self.again().take_up(PLAY, sync=False), RecordingDamaged)
                continue
            taken, found = self.take_up()
            lines = whole[:cut].split(b"\n")[:-1]
            self.assertEqual(found.masters, sum(b'"type":"master"' in line for line in lines))
            taken.append([json_master(found.masters)], START)
            self.assertEqual([line["generation"] for line in self.lines() if line["type"] == "master"], list(range(found.masters + 1)))

    def test_damaged(self) -> None:
        """What is wrong before the last line is not gone on with, nor what has no head."""
        self.written()
        lines = self.recordings.path(PLAY).read_bytes().splitlines(keepends=True)
        for bad in (lines[:5] + lines[6:], [*lines[:5], b"garbage\n", *lines[5:]], lines[1:], [], [lines[0][:20]]):
            self.recordings.path(PLAY).write_bytes(b"".join(bad))
            self.failureResultOf(self.again().take_up(PLAY, sync=False), RecordingDamaged)

    def test_over(self) -> None:
        """A play that had ended says so."""
        self.written().note({"type": "over", "reason": "finished", "results": {"a": 1}}, START)
        _, found = self.take_up()
        self.assertEqual(found.over, {"t": 0, "type": "over", "reason": "finished", "results": {"a": 1}})

    def test_none(self) -> None:
        """Without a file there is nothing to take up."""
        self.failureResultOf(self.again().take_up(PLAY, sync=False), FileNotFoundError)


class SyncTests(RecordingsCase):
    """To the disk, all at once, in a thread."""

    def setUp(self) -> None:
        super().setUp()
        self.synced: list[int] = []
        patched = mock.patch("gameroom.store.recording.os.fdatasync", self.synced.append)
        patched.start()
        self.addCleanup(patched.stop)

    def test_in_the_background(self) -> None:
        """50 ms after the first write, once for each dirty recording; not again while nothing is written."""
        one, other = self.create(), self.create(OTHER)
        for generation in range(3):
            one.append([json_master(generation)], START)
        self.clock.advance(SYNC_AFTER - 0.001)
        self.assertEqual(self.synced, [])
        self.clock.advance(0.001)
        self.assertEqual(len(self.synced), 2)
        self.clock.advance(10)
        self.assertEqual(len(self.synced), 2)
        other.append([json_master(0)], START)
        self.clock.advance(SYNC_AFTER)
        self.assertEqual(len(self.synced), 3)

    def test_sync_journal(self) -> None:
        """A `sync` recording goes at once and tells how many masters are there; what is written meanwhile goes together next."""
        recording, told = self.create(sync=True), list[int]()
        recording.synced = told.append
        self.threads.holding = True
        recording.append([json_master(0)], START)
        self.assertEqual(told, [])
        recording.append([json_master(1)], START)
        recording.append([json_master(2)], START)
        self.threads.release()
        self.assertEqual(len(self.threads.held), 1)
        self.threads.release()
        self.assertEqual((told[-1], self.threads.held), (3, []))
        self.assertEqual(told, sorted(told))

    def test_what_is_written_meanwhile_is_not_covered(self) -> None:
        """Only masters that were written before the disk was asked count as on it."""
        recording, told = self.create(sync=True), list[int]()
        recording.synced = told.append
        recording.append([json_master(0)], START)

        recording.append([json_master(1)], START)
        self.assertEqual(told, [1, 2])

        def meanwhile(fd: int) -> None:
            recording.append([json_master(2)], START)

        self.threads.holding = True
        with mock.patch("gameroom.store.recording.os.fdatasync", meanwhile):
            self.assertEqual(recording.to_disk(), 2)

    def test_failing_disk(self) -> None:
        """A recording is told that it did not come to the disk; the others did."""
        bad, good, errors, told = self.create(sync=True), self.create(OTHER, sync=True), list[OSError](), list[int]()
        bad.failed, good.synced = errors.append, told.append
        self.threads.holding = True
        bad.append([json_master(0)], START)
        self.threads.release()
        bad.append([json_master(1)], START)
        good.append([json_master(0)], START)

        def fdatasync(fd: int) -> None:
            if fd == bad.fileno():
                raise OSError(5, "Input/output error")

        with mock.patch("gameroom.store.recording.os.fdatasync", fdatasync):
            while self.threads.held:
                self.threads.release()
        self.assertEqual((len(errors) > 0, told), (True, [1]))

    def test_what_is_told_fails(self) -> None:
        """That is logged; whoever else is to be told is told, and what is to be closed is closed."""
        bad, good, told = self.create(sync=True), self.create(OTHER, sync=True), list[int]()
        bad.synced, good.synced = lambda masters: 1 / 0, told.append  # type: ignore[assignment]
        self.threads.holding = True
        bad.append([json_master(0)], START)
        good.append([json_master(0)], START)
        for recording in (bad, good):
            self.recordings.close(recording)
        while self.threads.held:
            self.threads.release()
        self.assertEqual((told, bad.file, good.file), ([1], None, None))
        self.assertGreater(len(self.flushLoggedErrors(ZeroDivisionError)), 0)

    def write_in_many(self, syncfs: Any) -> list[tuple[Recording, list[int]]]:
        """Three masters in each of `MANY` recordings, whose file system has that `syncfs`; with what each was told."""
        recordings = [(self.create(f"{number:08}-2222-4333-8444-555555555555"), list[int]()) for number in range(MANY)]
        for recording, told in recordings:
            recording.synced = told.append
            for generation in range(3):
                recording.append([json_master(generation)], START)
        with mock.patch("gameroom.store.to_disk.syncfs", syncfs):
            self.clock.advance(SYNC_AFTER)
        return recordings

    def test_many_together(self) -> None:
        """Many recordings come to the disk in one commit of their file system."""
        syncfs = mock.Mock()
        recordings = self.write_in_many(syncfs)
        syncfs.assert_called_once()
        self.assertIn(syncfs.call_args.args[0], [recording.fileno() for recording, _ in recordings])
        self.assertEqual(([told for _, told in recordings], self.synced), ([[3]] * MANY, []))

    def test_many_where_the_file_system_fails(self) -> None:
        """Whose recording is not on the disk is found out one by one; so it is where there is no `syncfs`."""
        for syncfs in (mock.Mock(side_effect=OSError(5, "Input/output error")), None):
            self.synced.clear()
            recordings = self.write_in_many(syncfs)
            self.assertEqual(([told for _, told in recordings], len(self.synced)), ([[3]] * MANY, MANY))
            for recording, _ in recordings:
                self.recordings.discard(recording)

    def test_closed_when_on_the_disk(self) -> None:
        """The file is closed once what was written is on the disk, not before."""
        recording = self.create()
        self.recordings.close(recording)
        self.assertNotEqual(recording.read(4, 0), b"")
        self.clock.advance(SYNC_AFTER)
        self.assertEqual(len(self.synced), 1)
        self.assertEqual(recording.read(4, 0), b"")

    def test_closed_during_sync(self) -> None:
        """A file that a thread is busy with is not closed under it."""
        recording = self.create()
        self.threads.holding = True
        self.clock.advance(SYNC_AFTER)
        self.recordings.close(recording)
        self.assertNotEqual(recording.read(4, 0), b"")
        self.threads.release()
        self.assertEqual(recording.read(4, 0), b"")

    def test_stop(self) -> None:
        """Fires when all is on the disk and closed."""
        self.recordings.start()
        recording = self.create()
        self.threads.holding = True
        stopped = self.recordings.stop()
        self.assertNoResult(stopped)
        recording.append([json_master(0)], START)
        self.threads.release()
        self.assertNoResult(stopped)
        self.threads.release()
        self.successResultOf(stopped)
        self.assertEqual((recording.read(4, 0), self.clock.getDelayedCalls()), (b"", []))
        self.assertEqual(len(self.synced), 2)


class FindingTests(RecordingsCase):
    """Finding, reading and sweeping."""

    def test_open(self) -> None:
        """A recording can be read while its play is on; what is no play_id, or not there, is not found."""
        self.create()
        opened, size = self.successResultOf(self.recordings.open(PLAY))
        with opened as file:
            self.assertIn(b'"type":"play"', whole := file.read())
            self.assertEqual(size, len(whole))
        self.assertTrue(self.recordings.exists(PLAY))
        for missing in (OTHER, "../../etc/passwd", PLAY + "/..", "", PLAY.upper() + "\n"):
            self.failureResultOf(self.recordings.open(missing), NotFound)
            self.assertFalse(self.recordings.exists(missing))

    def test_sweep(self) -> None:
        """What nothing was written to for long enough goes, each hour; what is open stays."""
        old, still = self.create(), self.create(OTHER)
        self.recordings.close(old)
        self.clock.advance(SYNC_AFTER)
        for path in (old.path, still.path):
            os.utime(path, (START, START))
        left = self.folder / "begun.new"
        left.touch()
        os.utime(left, (START, START))
        self.recordings.start()
        self.assertTrue(self.recordings.exists(PLAY))
        self.clock.advance(3600)
        self.assertEqual((self.recordings.exists(PLAY), self.recordings.exists(OTHER)), (False, True))
        self.assertFalse(left.exists())

    def test_sweep_without_folder(self) -> None:
        """Before the first play there is nothing to sweep."""
        self.assertEqual(self.successResultOf(self.recordings.sweep()), 0)
