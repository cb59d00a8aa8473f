"""Uploads beside a plain model of them, under anything that may happen: connections that repeat themselves, races, full disks, and kills.

A kill comes at any call to the system, half of a write included, and at any transaction, before or after it is committed. What was answered
before it holds afterwards; what was under way has happened or has not.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import ExitStack
from hashlib import sha256
from typing import Any
from unittest import mock

import attrs
import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.internet.defer import Deferred, fail

from gameroom.errors import (
    BadState,
    ChecksumMismatch,
    ChunkOutOfOrder,
    Conflict,
    Forbidden,
    GameroomError,
    InvalidRequest,
)
from gameroom.rules import versions
from gameroom.rules.sessions import Account
from gameroom.store import catalogue
from gameroom.uploads import EXPIRED_EVERY
from tests.uploads import ALICE, BOB, FOREIGN_GAME, GAME, OTHER_GAME, UploadsCase

OWNERS = {GAME: ALICE, OTHER_GAME: ALICE, FOREIGN_GAME: BOB}
VERSIONS = ("1.0.0", "1.0", "2.0.0-rc.1", "2.0.0", "3.0.0", "4", "5.0.0")
KEEP = 86400.0
DAMAGED = b"PK\3\4"
"""What begins so and is no ZIP is a faulty bundle."""

DATA = st.sampled_from([b"0123", b"ab", b"5", DAMAGED, b"0123456789"])
WHAT = st.sampled_from(["begin", "chunk", "end", "cancel", "wait", "start"])
"""What is under way when the daemon is killed."""

CHANGES: tuple[Callable[[bytes], bytes], ...] = (bytes, bytes, lambda data: data[1:] or b"x", lambda data: data[:-1] + b"?")
"""What becomes of a chunk that is sent again."""

SYSTEM_CALLS = ("open", "pwrite", "ftruncate", "fsync", "link", "rename", "unlink", "mkdir", "rmdir")


class Killed(BaseException):
    """The daemon is dead: nothing that it would still do happens."""


class Mortal:
    """Kills at the `left`-th step from now; a write that is one is done up to its `part`-th byte."""

    def __init__(self, left: int, part: int) -> None:
        self.left, self.part = left, part
        self.killed = False

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.killed = True
        if self.killed:
            raise Killed

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "pwrite" and self.left == 0 and not self.killed:
                real(args[0], bytes(args[1])[: self.part], args[2])
            self.step()
            return real(*args, **kwargs)

        return call

    def interact(self, real: Callable[..., Deferred[Any]]) -> Callable[..., Deferred[Any]]:
        """A transaction is two steps: to have it committed, and to hear of it."""

        def call(*args: Any) -> Deferred[Any]:
            result = None
            try:
                self.step()
                result = real(*args)
                self.step()
            except Killed:
                if result is not None:
                    result.addErrback(lambda _: None)
                return fail(Killed())
            return result

        return call


@attrs.define(eq=False)
class Model:
    """What an upload is to be."""

    upload_id: str
    game_id: str
    version: str
    size: int
    checksum: str
    begun: float
    chunks: list[bytes] = attrs.field(factory=list)
    finishing: bool = False

    @property
    def data(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def owner(self) -> Account:
        return OWNERS[self.game_id]

    @property
    def key(self) -> tuple[str, bytes]:
        return self.game_id, versions.parse(self.version).precedence


class _World(UploadsCase):
    """The folder and the database of one run."""

    __test__ = False

    def runTest(self) -> None:
        """It is used for what it has, and runs nothing."""


class UploadMachine(RuleBasedStateMachine):
    """Two developers, three games, and a daemon."""

    @initialize()
    def furnish(self) -> None:
        self.world = _World()
        # What is on the disk is what the machine says, and the real one is slow.
        self.disk = mock.patch("os.fsync")
        self.disk.start()
        self.world.setUp()
        self.unfinished: dict[str, Model] = {}
        self.gone: list[str] = ["unknown"]
        self.published: dict[tuple[str, bytes], tuple[str, bytes]] = {}
        self.held: list[tuple[Deferred[Any], Callable[[], Deferred[Any]]]] = []
        """What a thread has yet to do, where END is held up."""
        self.ends: dict[str, list[Deferred[Any]]] = {}
        self.holding = False
        self.world.threads.defer = self.defer  # type: ignore[method-assign]
        self.bury()
        self.start()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.uploads._files.close_all()
            self.disk.stop()
            self.world.doCleanups()

    # The world.

    def defer(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        real = type(self.world.threads).defer
        if self.holding and function.__name__ == "_looked_at":
            waiting: Deferred[Any] = Deferred()
            self.held.append((waiting, lambda: real(self.world.threads, function, *args)))
            return waiting
        return real(self.world.threads, function, *args)

    def start(self) -> None:
        self.world.uploads = self.world.make()
        self.start_whole()

    def start_whole(self) -> None:
        """As the daemon starts: first the store's files, then uploads."""
        known = {(game_id, version): checksum for game_id, version, checksum in self.world.rows("SELECT game_id, version, checksum FROM versions")}
        self.world.bundles.reconcile(known, set(OWNERS))
        self.ask(self.world.uploads.start())

    def ask(self, deferred: Deferred[Any]) -> Any:
        return self.world.result_of(deferred)

    def attempt(self, work: Callable[[], Any]) -> Any:
        """What it comes to: a result, or the error that a user is told."""
        try:
            return work()
        except GameroomError as error:
            return error

    def now(self) -> float:
        return self.world.clock.seconds()

    def pick(self, choice: int) -> str:
        """An upload: nearly always one that there is."""
        ids = [*self.unfinished, *self.unfinished, *self.unfinished, *self.gone[-1:]]
        return ids[choice % len(ids)]

    def end_of(self, upload: Model) -> type[GameroomError] | None:
        """What END is to come to."""
        if len(upload.data) < upload.size:
            return BadState
        if upload.checksum and upload.checksum != sha256(upload.data).hexdigest():
            return ChecksumMismatch
        return InvalidRequest if upload.data.startswith(DAMAGED) else None

    def forget(self, upload_id: str) -> None:
        if self.unfinished.pop(upload_id, None) is not None:
            self.gone.append(upload_id)

    # What developers do.

    @rule(
        game_id=st.sampled_from([GAME, GAME, GAME, OTHER_GAME, FOREIGN_GAME]),
        version=st.sampled_from(VERSIONS),
        content=st.sampled_from([b"0123456789", b"0123456789", b"ab", DAMAGED + b"..."]),
        declared=st.sampled_from(["", "", "right", "wrong"]),
    )
    def begin(self, game_id: str, version: str, content: bytes, declared: str) -> None:
        size = len(content)
        checksum = {"": "", "right": sha256(content).hexdigest(), "wrong": "f" * 64}[declared]
        wanted = Model("", game_id, version, size, checksum, self.now())
        same = [upload for upload in self.unfinished.values() if upload.key == wanted.key]
        owned = [upload for upload in self.unfinished.values() if upload.owner is wanted.owner]
        told = self.attempt(lambda: self.ask(self.world.uploads.begin(OWNERS[game_id], game_id, version, size, checksum or None)))
        if wanted.key in self.published or (same and (same[0].size, same[0].checksum) != (size, checksum)):
            assert isinstance(told, Conflict)
        elif same:
            assert told.upload_id == same[0].upload_id
        elif len(owned) == 4:
            assert isinstance(told, BadState)
        else:
            wanted.upload_id = told.upload_id
            assert told.upload_id not in self.gone
            self.unfinished[told.upload_id] = wanted

    @rule(
        choice=st.integers(0, 50),
        ahead=st.sampled_from([0, 0, 0, 0, -1, -2, -3, 1]),
        data=st.sampled_from([b"0123", b"ab", b"5", DAMAGED, b"0123456789"]),
    )
    def chunk(self, choice: int, ahead: int, data: bytes) -> None:
        self.send(self.pick(choice), ahead, data)

    @rule(choice=st.integers(0, 50), back=st.integers(1, 4), change=st.sampled_from(CHANGES))
    def chunk_again(self, choice: int, back: int, change: Callable[[bytes], bytes]) -> None:
        """As it was sent, or nearly."""
        upload_id = self.pick(choice)
        upload = self.unfinished.get(upload_id)
        if upload is not None and len(upload.chunks) >= back:
            self.send(upload_id, -back, change(upload.chunks[-back]))

    def send(self, upload_id: str, ahead: int, data: bytes) -> None:
        upload = self.unfinished.get(upload_id)
        seq = ahead + (0 if upload is None else len(upload.chunks))
        told = self.attempt(lambda: self.world.chunk(upload_id, seq, data, ALICE if upload is None else upload.owner))
        self.check_chunk(upload, seq, data, told)

    def check_chunk(self, upload: Model | None, seq: int, data: bytes, told: Any) -> None:
        if upload is None or upload.finishing:
            assert isinstance(told, BadState)
        elif seq == len(upload.chunks):
            if len(upload.data) + len(data) > upload.size:
                assert isinstance(told, BadState)
            else:
                assert told is None
                upload.chunks.append(data)
        elif 0 <= seq < len(upload.chunks) and upload.chunks[seq] == data:
            assert told is None
        else:
            assert isinstance(told, ChunkOutOfOrder)
            assert told.expected_seq == len(upload.chunks)

    @rule(choice=st.integers(0, 50))
    def somebody_else(self, choice: int) -> None:
        """Another developer gets nowhere."""
        upload = self.unfinished.get(self.pick(choice))
        if upload is not None:
            stranger = BOB if upload.owner is ALICE else ALICE
            uploads, upload_id = self.world.uploads, upload.upload_id
            for ask in (uploads.status, uploads.end, uploads.cancel):
                assert isinstance(self.attempt(lambda ask=ask: self.ask(ask(stranger, upload_id))), Forbidden)  # type: ignore[misc]
            assert isinstance(self.attempt(lambda: self.world.chunk(upload_id, len(upload.chunks), b"x", stranger)), Forbidden)

    @rule(choice=st.integers(0, 50), fill=st.booleans())
    def end(self, choice: int, fill: bool) -> None:
        upload_id = self.pick(choice)
        upload = self.unfinished.get(upload_id)
        if upload is None:
            assert isinstance(self.attempt(lambda: self.ask(self.world.uploads.end(ALICE, upload_id))), BadState)
            return
        if fill and not upload.finishing:
            self.fill(upload)
        asked = self.world.uploads.end(upload.owner, upload_id)
        if upload.finishing or (self.holding and len(upload.data) == upload.size):
            upload.finishing = True
            self.ends.setdefault(upload_id, []).append(asked)
        else:
            self.ended(upload, asked)

    def fill(self, upload: Model) -> None:
        """Send what is missing."""
        if rest := (b"0123456789" * 2)[len(upload.data) : upload.size]:
            self.send(upload.upload_id, 0, rest)

    def ended(self, upload: Model, asked: Deferred[Any]) -> None:
        told, expected = self.attempt(lambda: self.ask(asked)), self.end_of(upload)
        if expected is None:
            self.published.setdefault(upload.key, (upload.version, upload.data))
            assert (told.version, told.is_latest) == (upload.version, self.latest(upload.game_id) == upload.version), told
        else:
            assert isinstance(told, expected)
        if expected is not BadState:
            self.forget(upload.upload_id)

    @rule(choice=st.integers(0, 50))
    def cancel(self, choice: int) -> None:
        upload_id = self.pick(choice)
        upload = self.unfinished.get(upload_id)
        told = self.attempt(lambda: self.ask(self.world.uploads.cancel(ALICE if upload is None else upload.owner, upload_id)))
        if upload is None or upload.finishing:
            assert isinstance(told, BadState)
        else:
            assert told is None
            self.forget(upload_id)

    @precondition(lambda self: not self.holding)
    @rule()
    def hold(self) -> None:
        """From now on an END takes its time."""
        self.holding = True

    @precondition(lambda self: self.holding)
    @rule()
    def let_go(self) -> None:
        """What is being finished is finished."""
        self.holding = False
        held, self.held = self.held, []
        for waiting, work in held:
            work().chainDeferred(waiting)
        for upload_id, asked in self.ends.items():
            upload = self.unfinished[upload_id]
            for each in asked:
                self.ended(upload, each)
        self.ends.clear()

    # What happens to the daemon.

    @rule(hours=st.sampled_from([1, 1, 2, 12, 24]))
    def wait(self, hours: int) -> None:
        for _ in range(hours):
            self.world.clock.advance(EXPIRED_EVERY)
            for upload in list(self.unfinished.values()):
                if upload.begun + KEEP <= self.now() and not upload.finishing:
                    self.forget(upload.upload_id)

    @rule(choice=st.integers(0, 50), left=st.integers(0, 12))
    def disk_full(self, choice: int, left: int) -> None:
        """The disk takes so many bytes more, then none; a chunk that does not fit leaves nothing."""
        upload = self.unfinished.get(self.pick(choice))
        if upload is None or upload.finishing:
            return
        real, allowed = os.pwrite, [left]

        def pwrite(fd: int, data: Any, offset: int) -> int:
            if allowed[0] == 0:
                raise OSError(errno.ENOSPC, "full")
            written = real(fd, bytes(data)[: allowed[0]], offset)
            allowed[0] -= written
            return written

        data = b"0123456789"[len(upload.data) : upload.size]
        if data:
            with mock.patch("gameroom.store.upload_files.os.pwrite", pwrite):
                told = self.attempt(lambda: self.world.chunk(upload.upload_id, len(upload.chunks), data, upload.owner))
            if len(data) + 8 <= left:
                self.check_chunk(upload, len(upload.chunks), data, told)
            else:
                assert isinstance(told, BadState)
                assert "disk" in told.message

    @rule(
        left=st.integers(0, 40),
        part=st.integers(0, 12),
        what=WHAT,
        choice=st.integers(0, 50),
    )
    def killed(self, left: int, part: int, what: str, choice: int) -> None:
        """The daemon is killed while it does this, or afterwards, and started again, where it may be killed again."""
        upload = self.unfinished.get(self.pick(choice))
        if what in ("chunk", "end", "cancel") and (upload is None or upload.finishing):
            return
        if what == "end" and upload is not None:
            self.fill(upload)
        mortal = Mortal(left, part)
        with ExitStack() as stack:
            for name in SYSTEM_CALLS:
                stack.enter_context(mock.patch.object(os, name, mortal.wrap(name, getattr(os, name))))
            stack.enter_context(mock.patch.object(self.world.database, "interact", mortal.interact(self.world.database.interact)))
            try:
                self.attempt(lambda: self.under_way(what, upload))
            except Killed:
                pass
        self.bury()
        self.start()
        self.adopt(upload)

    def under_way(self, what: str, upload: Model | None) -> None:
        uploads = self.world.uploads
        if what == "begin":
            self.ask(uploads.begin(ALICE, GAME, "3.0.0", 10))
        elif what == "wait":
            self.world.clock.rightNow += EXPIRED_EVERY
            self.ask(uploads.expire())
        elif what == "start":
            self.bury()
            self.world.uploads = self.world.make()
            self.start_whole()
        elif upload is not None and what == "chunk":
            rest = b"0123456789"[len(upload.data) : upload.size]
            if rest:
                self.world.chunk(upload.upload_id, len(upload.chunks), rest, upload.owner)
        elif upload is not None:
            # One who waits for a daemon that is dead hears nothing.
            (uploads.end if what == "end" else uploads.cancel)(upload.owner, upload.upload_id).addErrback(lambda _: None)

    def bury(self) -> None:
        """A dead daemon has no files open, and no threads."""
        uploads = self.world.uploads
        uploads._files.close_all()
        for look in uploads._looks:
            if look.running:
                look.stop()
        for upload in uploads._live.values():
            upload.waiting.clear()
        self.held.clear()
        self.ends.clear()
        self.holding = False
        for model in self.unfinished.values():
            model.finishing = False

    def adopt(self, upload: Model | None) -> None:
        """What was under way has happened, or has not; the model takes over which."""
        for stale in list(self.unfinished.values()):
            if stale.begun + KEEP <= self.now():
                self.forget(stale.upload_id)
        rows = {row[0]: row for row in self.world.rows("SELECT upload_id, game_id, version, size_bytes, checksum, begun_ms FROM uploads")}
        for upload_id, (_, game_id, version, size, checksum, begun_ms) in rows.items():
            if upload_id not in self.unfinished:
                assert (game_id, version, upload_id in self.gone) == (GAME, "3.0.0", False), "only what was being begun can be new"
                self.unfinished[upload_id] = Model(upload_id, game_id, version, size, checksum, begun_ms / 1000)
        if upload is None or upload.upload_id not in self.unfinished:
            return
        if upload.upload_id in rows:
            told = self.ask(self.world.uploads.status(upload.owner, upload.upload_id))
            if told["next_seq"] == len(upload.chunks) + 1:
                upload.chunks.append(b"0123456789"[len(upload.data) : upload.size])
            return
        if self.end_of(upload) is None and upload.key in self.versions():
            self.published[upload.key] = (upload.version, upload.data)
        self.forget(upload.upload_id)

    # What always holds.

    def versions(self) -> dict[tuple[str, bytes], tuple[str, bytes]]:
        """As readers see them."""
        rows = self.world.rows("SELECT game_id, version, checksum, size_bytes FROM versions")
        found = {}
        for game_id, version, checksum, size in rows:
            path = self.world.bundles.path(game_id, version)
            data = path.read_bytes()
            assert (sha256(data).hexdigest(), len(data)) == (checksum, size), "a version is whole"
            assert {each.name for each in path.parent.iterdir()} == {path.name, "manifest.json"}
            found[game_id, versions.parse(version).precedence] = (version, data)
        return found

    def latest(self, game_id: str) -> str | None:
        """The highest release, or the highest pre-release while there is no release."""
        there = [version for (game, _), (version, _) in self.published.items() if game == game_id]
        return max(there, key=lambda version: versions.parse(version).rank, default=None)

    @invariant()
    def versions_are_whole(self) -> None:
        if hasattr(self, "published"):
            assert self.versions() == self.published

    @invariant()
    def nothing_is_left_over(self) -> None:
        """No folder but those of versions, no file but those of unfinished uploads."""
        if not hasattr(self, "published"):
            return
        games = self.world.data / "uploadedGame"
        there = {(path.parent.name, path.name) for path in games.glob("*/*")}
        assert there == {(game_id, version) for (game_id, _), (version, _) in self.published.items()}
        assert {name.rpartition(".")[0] for name in self.world.files()} <= set(self.unfinished)
        assert self.world.uploads.active == len(self.unfinished)

    @invariant()
    def nothing_acknowledged_is_missing(self) -> None:
        for upload in getattr(self, "unfinished", {}).values():
            told = self.ask(self.world.uploads.status(upload.owner, upload.upload_id))
            assert told == {"next_seq": len(upload.chunks), "received_bytes": len(upload.data), "size_bytes": upload.size}
            if upload.chunks:
                path = self.world.data / "uploads" / f"{upload.upload_id}.part"
                assert path.read_bytes()[: len(upload.data)] == upload.data

    @invariant()
    def everybody_finds_their_own(self) -> None:
        for account in (ALICE, BOB) if hasattr(self, "published") else ():
            told = self.ask(self.world.uploads.unfinished(account))
            found = {each["upload_id"]: (each["version"], each["next_seq"], each["received_bytes"]) for each in told}
            own = {each.upload_id: (each.version, len(each.chunks), len(each.data)) for each in self.unfinished.values() if each.owner is account}
            assert found == own

    @invariant()
    def latest_is_the_highest(self) -> None:
        for game_id in OWNERS if hasattr(self, "published") else ():
            game = self.ask(self.world.database.interact(catalogue.find, game_id))
            assert game.latest_version == self.latest(game_id)
            assert (game.status == "ONLINE") == (game.latest_version is not None)
