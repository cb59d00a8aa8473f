"""A lobby with files to download, and peers that read as fast or as slowly as a test wants."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from gameroom.doors.lobby import LobbyFactory
from gameroom.downloads import Downloads
from gameroom.interfaces import IDatabase
from tests.doors.lobby_world import TCP, Peer, World
from tests.files import NoteTaker, StoredFiles

TAKES = 64 * 1024
"""Bytes that a transport takes before it pauses its producer, as Twisted's do."""


class NarrowTCP(TCP):
    """As Twisted's own: past `TAKES` unread bytes the producer is paused, and it goes on when all were read."""

    _full = False

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.unread > TAKES and not self._full and self.producer is not None:
            self._full = True
            self.producer.pauseProducing()

    @property
    def unread(self) -> int:
        return len(self.value())

    def take(self, most: int) -> bytes:
        """What the peer reads: up to so many bytes."""
        whole = self.value()
        self.clear()
        self.io.write(whole[most:])
        if len(whole) <= most and self._full:
            self._full = False
            assert self.producer is not None
            self.producer.resumeProducing()
        return bytes(whole[:most])


class Reader(Peer):
    """A peer whose transport takes no more than Twisted's would. `heard` has all lines that it has read, in order."""

    make_transport = NarrowTCP

    def __init__(self, factory: LobbyFactory, address: str = "192.0.2.1") -> None:
        super().__init__(factory, address)
        self.narrow: NarrowTCP = self.transport  # type: ignore[assignment]
        self.heard: list[dict[str, Any]] = []
        self.most_unread = 0
        self._part = b""

    def take(self, most: int = 1 << 30) -> int:
        """Read; gives how many bytes there were."""
        self.most_unread = max(self.most_unread, self.narrow.unread)
        data = self.narrow.take(most)
        *lines, self._part = (self._part + data).split(b"\n")
        self.heard += [orjson.loads(line) for line in lines]
        return len(data)

    def answered(self) -> list[dict[str, Any]]:
        """The answers among what it has heard, which are forgotten with this."""
        found = [each for each in self.heard if "status" in each]
        self.heard = [each for each in self.heard if "status" not in each]
        return found

    def of(self, download_id: str, kind: str = "") -> list[dict[str, Any]]:
        """The payloads of the pushes of one download that it has heard, in order; only those of one kind where it is given."""
        pushes = [each for each in self.heard if "type" in each and each["payload"].get("download_id") == download_id]
        return [each["payload"] for each in pushes if each["type"] == (kind or each["type"])]

    def file(self, download_id: str) -> bytes:
        """The bytes of all its chunks; each must be the next."""
        chunks = self.of(download_id, "DOWNLOAD_CHUNK")
        first = chunks[0]["seq"] if chunks else 0
        assert [chunk["seq"] for chunk in chunks] == list(range(first, first + len(chunks)))
        return b"".join(base64.b64decode(chunk["data_b64"], validate=True) for chunk in chunks)


class Shop:
    """A lobby, its world, and files of the game `g`."""

    def __init__(self, database: IDatabase | None = None, **limits: Any) -> None:
        self.world = World(database, **limits)
        self.files = StoredFiles()
        self.notes = NoteTaker()
        self.downloads = Downloads(catalogue=self.files, reviews=self.notes)  # type: ignore[arg-type]
        self.lobby = self.world.factory(downloads=self.downloads)
        self._numbers = iter(range(1_000_000))

    def reader(self, username: str = "") -> Reader:
        """A connection that is registered as somebody."""
        peer = Reader(self.lobby)
        peer.token = peer.ok("REGISTER_PLAYER", username=username or f"player-{next(self._numbers)}", password="correct horse")["session_token"]
        return peer

    def round(self) -> None:
        """One round of the reactor: what is called later from inside of it comes in the next one, unlike with `Clock.advance`."""
        clock = self.world.clock
        due = [call for call in clock.calls if call.getTime() <= clock.seconds()]
        clock.calls = [call for call in clock.calls if call not in due]
        for call in due:
            call.called = 1
            call.func(*call.args, **call.kw)

    def run(self, *readers: Reader, most: int = 1 << 30, rounds: int = 100_000) -> None:
        """Rounds in which the readers each read up to so many bytes, until nothing comes any more."""
        quiet = 0
        while quiet < 3 and rounds:
            rounds -= 1
            self.round()
            quiet = 0 if sum(reader.take(most) for reader in readers) else quiet + 1
