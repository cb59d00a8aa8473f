"""Recordings whose lines go ahead, beside the same whose lines are written directly, under anything that may happen, kills included.

What a kill leaves is a copy of the folder as it is at that moment: that is what the kernel has. All that was said before it is in it.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO
from unittest import mock

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.task import Clock

from gameroom.errors import NotFound
from gameroom.store.ahead_recovery import ahead_in, lines_ahead, recover
from gameroom.store.recording import QUICK, Reader, Recording
from gameroom.store.recording_scan import scan
from gameroom.store.recordings import Recordings
from gameroom.store.to_disk import SYNC_AFTER
from gameroom.store.write_ahead import SETTLE_AFTER
from tests.store.test_recordings import START, Threads, binary_master, json_master

HALF = 2048
MOST = 5
"""So many plays are on at a time."""
FOREVER = 1e12
"""Seconds that recordings are kept for: no sweep deletes any."""


def patches(half: int = HALF) -> list[Any]:
    """Small halves, on any file system; what is dirty goes to the disk one by one, and nobody waits for that; the disk has room."""
    return [
        mock.patch("gameroom.store.recordings.HALF", half),
        mock.patch("gameroom.store.ahead_recovery.HALF", half),
        mock.patch("gameroom.store.ahead_file.keeps_mapped", return_value=True),
        mock.patch("gameroom.store.to_disk.syncfs", None),
        mock.patch("gameroom.store.disk_watch._look", return_value=None),
        mock.patch("gameroom.store.dirty.os.fdatasync"),
    ]


def say(recording: Recording, *, quick: bool = False) -> bytes:
    """The next master of a recording, which comes soon after the one before or long after it; gives it."""
    make = binary_master if recording.binary else json_master
    master = make(recording.masters)
    recording.append([master], (recording._appended or START) + (QUICK / 2 if quick else 1.0))
    return master


def all_of(recording: Recording) -> list[bytes]:
    """What readers from the first generation on are given, in as many batches as they like."""
    reader, masters = recording.reader(0), list[bytes]()
    while batch := reader.batch(recording.masters, 300):
        masters += batch
    return masters


class Play:
    """One that is recorded twice."""

    def __init__(self, play_id: str, binary: bool) -> None:
        self.play_id = play_id
        self.binary = binary
        self.now = START
        self.on = True
        self.recording: Any = None
        self.plain: Any = None
        self.masters: list[bytes] = []
        self.readers: list[Reader] = []


class WriteAheadMachine(RuleBasedStateMachine):
    """Whatever was said is in the recording or ahead of it, and after a kill in the recording, in order, to the byte."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        for patched in [*patches(), mock.patch("gameroom.store.ahead_recovery.os.fsync")]:
            self.stack.enter_context(patched)
        self.root = Path(tempfile.mkdtemp(dir="."))
        self.lives = 0
        self.plays: list[Play] = []
        self.seconds = START
        self.plain_folder = self.root / "plain"
        self.begin(self.root / "0")

    def begin(self, folder: Path) -> None:
        """A daemon begins with what is there, and takes up what was on."""
        self.folder = folder
        self.clock, self.threads = Clock(), Threads()
        self.clock.advance(self.seconds)
        self.recordings = self.of(folder)
        self.recordings.start().addErrback(lambda failure: failure.raiseException())
        self.plain = self.of(self.plain_folder)
        for play in self.plays:
            if play.on:
                for recordings, name in ((self.recordings, "recording"), (self.plain, "plain")):
                    found: list[Any] = []
                    recordings.take_up(play.play_id, sync=False).addCallback(found.append)
                    setattr(play, name, found[0][0])
                play.readers.clear()

    def of(self, folder: Path) -> Recordings:
        return Recordings(folder, clock=self.clock, defer_to_thread=self.threads.defer, keep=FOREVER)

    def end(self) -> None:
        """The daemon is gone, with all that it has open."""
        self.threads.holding = False
        for recordings in (self.recordings, self.plain):
            recordings.stop()
        while self.threads.held:
            self.threads.release()

    def teardown(self) -> None:
        self.kill()
        self.end()
        self.same()
        shutil.rmtree(self.root)
        self.stack.close()

    # What happens.

    plays_on = st.integers(0, MOST - 1)

    def one(self, number: int) -> Play | None:
        on = [play for play in self.plays if play.on]
        return on[number % len(on)] if on else None

    @precondition(lambda self: sum(play.on for play in self.plays) < MOST)
    @rule(binary=st.booleans(), sync=st.integers(0, 5).map(lambda number: number == 0))
    def create(self, binary: bool, sync: bool) -> None:
        play = Play(f"{len(self.plays) % 4:08}-2222-4333-8444-{len(self.plays):012}", binary)
        play.recording = self.recordings.create(play.play_id, {"seed": 5}, binary=binary, sync=sync)
        play.plain = self.plain.create(play.play_id, {"seed": 5}, binary=binary, sync=False)
        self.plays.append(play)

    @rule(number=plays_on, count=st.integers(1, 3), filling=st.sampled_from([0, 0, 50, 300, HALF]), quick=st.booleans(), times=st.integers(1, 8))
    def append(self, number: int, count: int, filling: int, quick: bool, times: int) -> None:
        if (play := self.one(number)) is None:
            return
        make = binary_master if play.binary else json_master
        for _ in range(times):
            masters = [make(generation, filling) for generation in range(len(play.masters), len(play.masters) + count)]
            play.now += QUICK / 2 if quick else 1.0
            play.recording.append(masters, play.now)
            play.plain.append(masters, play.now)
            play.masters += masters

    @rule(number=plays_on, filling=st.integers(0, 100))
    def note(self, number: int, filling: int) -> None:
        if (play := self.one(number)) is not None:
            for recording in (play.recording, play.plain):
                recording.note({"type": "divergence", "about": "x" * filling}, play.now)

    @rule(number=plays_on, part=st.floats(0, 1), most=st.integers(1, 3000), keep=st.booleans())
    def read(self, number: int, part: float, most: int, keep: bool) -> None:
        if (play := self.one(number)) is not None:
            generation = round(part * len(play.masters))
            reader = play.recording.reader(generation)
            if keep:
                play.readers.append(reader)
            self.read_on(play, reader, most)
            if not keep:
                while self.read_on(play, reader, most):
                    pass
                assert reader.generation == len(play.masters)

    @rule(number=plays_on, most=st.integers(1, 3000))
    def go_on_reading(self, number: int, most: int) -> None:
        if (play := self.one(number)) is not None:
            for reader in play.readers:
                self.read_on(play, reader, most)

    def read_on(self, play: Play, reader: Reader, most: int) -> list[bytes]:
        before = reader.generation
        batch = reader.batch(len(play.masters), most)
        assert batch == play.masters[before : before + len(batch)]
        assert batch or before == len(play.masters)
        return batch

    @rule(seconds=st.sampled_from([0, 0.01, SYNC_AFTER, 2 * SYNC_AFTER, SETTLE_AFTER / 2, SETTLE_AFTER, 2.5 * SETTLE_AFTER]))
    def wait(self, seconds: float) -> None:
        self.seconds += seconds
        self.clock.advance(seconds)

    @rule()
    def disk_is_slow(self) -> None:
        self.threads.holding = True

    @rule()
    def disk_is_fast(self) -> None:
        self.threads.holding = False
        self.threads.release()

    @rule()
    def disk_goes_on(self) -> None:
        self.threads.release()

    @rule(number=plays_on)
    def open(self, number: int) -> None:
        if (play := self.one(number)) is not None:
            size = play.recording.size

            def opened(found: tuple[BinaryIO, int]) -> None:
                with found[0]:
                    assert found[1] >= size

            # It may be discarded before the disk has its turn.
            self.recordings.open(play.play_id).addCallback(opened).addErrback(lambda failure: failure.trap(NotFound))
            assert play.recording.path.stat().st_size == size

    @rule(number=plays_on, discard=st.booleans())
    def over(self, number: int, discard: bool) -> None:
        if (play := self.one(number)) is not None:
            for recordings, recording in ((self.recordings, play.recording), (self.plain, play.plain)):
                (recordings.discard if discard else recordings.close)(recording)
            play.on = False
            if discard:
                self.plays.remove(play)
                self.plays.append(gone := Play(play.play_id, play.binary))
                gone.on = False
            else:
                assert play.recording.path.stat().st_size == play.recording.size

    # What holds.

    @invariant()
    def nothing_lacks(self) -> None:
        ahead = ahead_in(self.folder)
        for play in self.plays:
            if play.recording is not None:
                there = self.recordings.path(play.play_id).read_bytes()
                assert there + lines_ahead(ahead.get(play.play_id, ()), len(there)) == play.plain.path.read_bytes()

    def same(self) -> None:
        """The recordings are those of the daemon that wrote directly, and whole."""
        names = sorted(path.relative_to(self.plain_folder) for path in self.plain_folder.glob("*/*"))
        assert sorted(path.relative_to(self.folder) for path in self.folder.glob("*/*")) == names
        for name in names:
            assert (self.folder / name).read_bytes() == (self.plain_folder / name).read_bytes()
            assert scan(self.folder / name).end == (self.folder / name).stat().st_size

    @rule()
    def kill(self) -> None:
        self.lives += 1
        folder = self.root / str(self.lives)
        shutil.copytree(self.folder, folder)
        twice = self.root / "twice"
        shutil.copytree(self.folder, twice)
        self.end()
        shutil.rmtree(self.folder)
        missing = recover(twice)
        assert (recover(twice), list(twice.glob("*.*"))) == (0, [])
        shutil.rmtree(twice)
        lacks = sum(path.stat().st_size - (folder / path.relative_to(self.plain_folder)).stat().st_size for path in self.plain_folder.glob("*/*"))
        assert missing == lacks
        self.begin(folder)
        self.same()
