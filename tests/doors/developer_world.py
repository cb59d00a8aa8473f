"""A developer door beside a lobby, on the same accounts and database, in memory."""

from __future__ import annotations

import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed

from gameroom.developer_games import DeveloperGames
from gameroom.doors.developer import DeveloperFactory
from gameroom.errors import BadState, Forbidden
from gameroom.program_logs import ProgramLogs
from gameroom.rules import transfer
from gameroom.rules.sessions import Account
from gameroom.settings import StoreSettings
from gameroom.store import catalogue
from gameroom.store.bundles import BundleFiles
from gameroom.store.catalogue import Version
from gameroom.uploads import Uploads
from tests.doors.lobby_world import Peer, World


@attrs.define
class Asked:
    """What UPLOAD_BEGIN asked for."""

    account: Account
    game_id: str
    version: str
    size_bytes: int
    checksum: str | None
    chunk_size: int | None
    data: bytes = b""
    seq: int = 0


@attrs.frozen
class Begun:
    upload_id: str
    chunk_size: int


@attrs.frozen
class Published:
    version: str
    is_latest: bool


class ToyUploads:
    """Uploads that are only in memory: what the door makes of them is what is looked at here."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.active = 0
        self.slow: Deferred[None] | None = None
        """What a chunk is answered with, where that takes its time."""

    def begin(self, *asked: Any) -> Any:
        self.asked.append(Asked(*asked))
        return succeed(Begun(str(len(self.asked) - 1), transfer.suggested_chunk(self.asked[-1].chunk_size)))

    def _find(self, account: Account, upload_id: str) -> Asked:
        if not upload_id.isdigit() or int(upload_id) >= len(self.asked):
            raise BadState("there is no such upload")
        if self.asked[int(upload_id)].account.account_id != account.account_id:
            raise Forbidden("this upload is another developer's")
        return self.asked[int(upload_id)]

    def chunk(self, account: Account, upload_id: str, seq: int, data: bytes) -> Any:
        upload = self._find(account, upload_id)
        if seq != upload.seq:
            raise transfer.out_of_order(upload.seq)
        upload.seq, upload.data = seq + 1, upload.data + data
        return self.slow

    def status(self, account: Account, upload_id: str) -> Any:
        upload = self._find(account, upload_id)
        return succeed({"next_seq": upload.seq, "received_bytes": len(upload.data), "size_bytes": upload.size_bytes})

    def unfinished(self, account: Account, game_id: str | None = None) -> Any:
        own = [upload for upload in self.asked if upload.account.account_id == account.account_id]
        return succeed([{"version": upload.version} for upload in own if game_id in (None, upload.game_id)])

    def end(self, account: Account, upload_id: str) -> Any:
        upload = self._find(account, upload_id)
        if len(upload.data) != upload.size_bytes:
            return fail(BadState("bytes are missing"))
        return succeed(Published(upload.version, True))

    def cancel(self, account: Account, upload_id: str) -> Any:
        self._find(account, upload_id).data = b""
        return succeed(None)


class DeveloperWorld(World):
    """A `World` with a developer door."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        self.logs = ProgramLogs(self.clock)
        self.games = DeveloperGames(database=self.database, clock=self.clock, logs=self.logs, random_bytes=os.urandom)
        self.uploads: Any = ToyUploads()
        self.door = self.developer_factory()

    def developer_factory(self, **changed: Any) -> DeveloperFactory:
        """A developer door, with parts exchanged."""
        parts: dict[str, Any] = {
            "accounts": self.accounts,
            "games": self.games,
            "uploads": self.uploads,
            "clock": self.clock,
            "limits": lambda: self.limits,
            "metrics": self.metrics,
            "new_incident": lambda: "incident-1",
        }
        return DeveloperFactory(**{**parts, **changed})

    def developer(self, username: str | None = None, address: str = "192.0.2.1") -> Peer:
        """A connection to the developer door, registered as somebody where a name is given."""
        peer = Peer(self.door, address)
        if username is not None:
            peer.token = peer.ok("REGISTER_DEV", username=username, password="correct horse")["session_token"]
        return peer

    def game(self, peer: Peer, name: str = "Dots", **fields: Any) -> str:
        """A new game of this developer."""
        said = {"name": name, "description": "Join the dots.", "game_type": "gui", "max_players": 4, **fields}
        return str(peer.ok("CREATE_GAME", **said)["game_id"])

    def publish(self, game_id: str, version: str) -> None:
        """A version is there; the game's status stays."""
        self.database.interact(
            catalogue.put_version,
            Version(
                game_id=game_id,
                version=version,
                size_bytes=3,
                checksum="ab" * 32,
                uploaded_ms=int(self.clock.seconds() * 1000),
                hosting={"kind": "relay"},
            ),
        )


class PublishingWorld(DeveloperWorld):
    """A `DeveloperWorld` with real uploads, in this folder."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        super().__init__(**limits)
        self.files = BundleFiles(folder)
        self.uploads = Uploads(
            database=self.database,
            bundles=self.files,
            folder=folder / "uploads",
            clock=self.clock,
            limits=lambda: self.limits,
            settings=StoreSettings(),
            defer_to_thread=maybeDeferred,
            random_bytes=os.urandom,
            boot="this boot",
        )
        self.uploads.start()
        self.door = self.developer_factory()


def b64(data: bytes) -> str:
    return b64encode(data).decode()
