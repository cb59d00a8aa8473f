"""The store as programs use it: a developer who uploads, and players who download."""

from __future__ import annotations

import base64
import hashlib
import itertools
import secrets
from typing import Any

from tests.system.harness import Daemon
from tests.system.lobby import PASSWORD, LobbyPeer

UPLOADED_AT_ONCE = 262_144


def upload(daemon: Daemon, data: bytes, version: str = "1.0.0", max_players: int = 2) -> str:
    """A new developer's new game, ONLINE with this version; gives its id."""
    with LobbyPeer(daemon.developer_port) as peer:
        name = f"dev-{secrets.token_hex(4)}"
        token = peer.good("REGISTER_DEV", {"username": name, "password": PASSWORD})["session_token"]
        game = {"name": name, "description": "", "game_type": "cli", "max_players": max_players}
        game_id = str(peer.good("CREATE_GAME", game, token)["game_id"])
        begin = {"game_id": game_id, "version": version, "size_bytes": len(data), "checksum": hashlib.sha256(data).hexdigest()}
        upload_id = peer.good("UPLOAD_BEGIN", begin, token)["upload_id"]
        for seq, first in zip(itertools.count(), range(0, len(data), UPLOADED_AT_ONCE), strict=False):
            chunk = {"upload_id": upload_id, "seq": seq, "data_b64": base64.b64encode(data[first : first + UPLOADED_AT_ONCE]).decode()}
            peer.good("UPLOAD_CHUNK", chunk, token)
        peer.good("UPLOAD_END", {"upload_id": upload_id}, token)
    return game_id


class Fetched:
    """What has come of one download: chunks in order, and its last push."""

    def __init__(self, first_seq: int = 0) -> None:
        self.seq = first_seq
        self.size = 0
        self.sha256 = hashlib.sha256()
        self.last: dict[str, Any] | None = None

    def take(self, push: dict[str, Any]) -> None:
        assert self.last is None, "nothing comes after the last push"
        if push["type"] == "DOWNLOAD_CHUNK":
            assert push["payload"]["seq"] == self.seq
            self.seq += 1
            data = base64.b64decode(push["payload"]["data_b64"], validate=True)
            self.size += len(data)
            self.sha256.update(data)
        else:
            self.last = push

    @property
    def whole(self) -> bool:
        """Whether the end has come, with the checksum of what came before it."""
        assert self.last is not None
        return bool(self.last["type"] == "DOWNLOAD_END" and self.last["payload"]["checksum"] == self.sha256.hexdigest())


def fetch(peer: LobbyPeer, game_id: str, token: str, fetched: Fetched | None = None, **fields: Any) -> Fetched:
    """Download a game as fast as it comes; `fetched` may be looked at meanwhile."""
    peer.good("DOWNLOAD_BEGIN", {"game_id": game_id, **fields}, token)
    fetched = fetched or Fetched(fields.get("from_seq", 0))
    for push in peer.pushes:
        fetched.take(push)
    peer.pushes.clear()
    while fetched.last is None:
        line = peer.line()
        assert line is not None, "the lobby closed the connection"
        fetched.take(line)
    return fetched
