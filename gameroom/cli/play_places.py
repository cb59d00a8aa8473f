"""Where downloads go: `user/downloads/<Player>/<Game>/<version>/`, and what is known of each beside it."""

from __future__ import annotations

import os
import secrets
import unicodedata
from pathlib import Path
from typing import Any, Final

import attrs
import orjson

_FORBIDDEN: Final = frozenset('/\\:*?"<>|')
_RESERVED: Final = frozenset({"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(10))})
"""What some file systems take for devices."""
_LONGEST: Final = 100
"""Bytes of a name: a suffix is to fit behind it."""
_GAME: Final = ".game_id"
"""The file that says whose a game's folder is; names of games are not unique."""


def safe(text: str) -> str:
    """A name that others have given as a name of a file: it leads nowhere else, on no file system, and is never empty or hidden."""
    text = unicodedata.normalize("NFC", text)
    text = "".join("_" if character in _FORBIDDEN or not character.isprintable() else character for character in text)
    while len(text.encode()) > _LONGEST:
        text = text[:-1]
    text = text.strip(" ").rstrip(". ")
    if text.startswith("."):
        text = "_" + text[1:]
    if text.partition(".")[0].rstrip().casefold() in _RESERVED:
        text = f"_{text}"
    return text or "_"


@attrs.frozen(kw_only=True)
class Record:
    """What is known of a version that is there."""

    game_id: str
    game: str
    version: str
    checksum: str
    size_bytes: int
    server: str
    kind: str
    bundle: bool
    command: tuple[str, ...] = ()
    allowed: bool = False
    """Whether its program may run without being asked about."""

    @classmethod
    def read(cls, path: Path) -> Record | None:
        """None where it is not there, or is none."""
        try:
            fields: dict[str, Any] = orjson.loads(path.read_bytes())
            return cls(**{**fields, "command": tuple(fields["command"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, path: Path) -> None:
        """In one step. Raises OSError."""
        beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        beside.write_bytes(orjson.dumps(attrs.asdict(self), option=orjson.OPT_INDENT_2))
        beside.replace(path)


@attrs.frozen
class Place:
    """Where one version of one game is: its folder, what has come of it so far, and its record."""

    folder: Path
    part: Path
    record: Path

    def installed(self, game_id: str, version: str) -> Record | None:
        """The record of the version, where it is there."""
        record = Record.read(self.record)
        if record is None or (record.game_id, record.version) != (game_id, version) or not self.folder.is_dir():
            return None
        return record


def place_of(downloads: Path, player: str, game_id: str, game: str, version: str) -> Place:
    """Where this version belongs; the game's folder is made. Raises OSError."""
    within = downloads / safe(player)
    folder = within / safe(game)
    if not _belongs(folder, game_id):
        # Another game of the same name.
        folder = within / f"{safe(game)} {safe(game_id)[:8]}"
        if not _belongs(folder, game_id):
            folder = within / f"{safe(game)} {safe(game_id)}"
            folder.mkdir(parents=True, exist_ok=True)
    name = safe(version)
    return Place(folder / name, folder / f"{name}.part", folder / f"{name}.json")


def _belongs(folder: Path, game_id: str) -> bool:
    """Whether the folder is this game's, or nobody's until now."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / _GAME
    try:
        descriptor = os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return mark.read_text(errors="replace") == game_id
    with open(descriptor, "w") as file:
        file.write(game_id)
    return True
