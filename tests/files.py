"""Files of the store for tests of downloads: what the catalogue would tell of them."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed

from gameroom.errors import GameroomError, NotFound


@attrs.frozen(kw_only=True)
class StoredFile:
    """As `gameroom.catalogue.Stored`."""

    game_id: str
    version: str
    size_bytes: int
    checksum: str
    path: Path


class StoredFiles:
    """In the place of a catalogue: the files of some versions of some games, the one put last being the latest."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gameroom-files-"))
        self.files: dict[str, dict[str, StoredFile]] = {}
        self.refusal: GameroomError | None = None

    def close(self) -> None:
        shutil.rmtree(self.folder)

    def put(self, data: bytes, game_id: str = "g", version: str = "1.0.0") -> StoredFile:
        path = self.folder / f"{game_id}-{version}"
        path.write_bytes(data)
        stored = StoredFile(game_id=game_id, version=version, size_bytes=len(data), checksum=hashlib.sha256(data).hexdigest(), path=path)
        self.files.setdefault(game_id, {})[version] = stored
        return stored

    def stored(self, game_id: str, version: str | None = None) -> Deferred[Any]:
        if self.refusal is not None:
            return fail(self.refusal)
        versions = self.files.get(game_id, {})
        found = versions.get(version) if version is not None else next(reversed(versions.values()), None)
        return fail(NotFound("there is no such game or version")) if found is None else succeed(found)


class NoteTaker:
    """In the place of reviews: keeps who has downloaded what."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, str]] = []
        self.held: list[Deferred[None]] | None = None

    def downloaded(self, account_key: str, game_id: str) -> Deferred[None]:
        self.noted.append((account_key, game_id))
        if self.held is None:
            return succeed(None)
        self.held.append(Deferred())
        return self.held[-1]
