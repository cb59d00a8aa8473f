"""What a bundle says of itself in `game.toml` (spec: bundle.md).

Every fault is told with its key and the reason; a key that nobody reads is a fault too.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

import attrs

from gameroom.errors import InvalidRequest
from gameroom.rules import versions
from gameroom.rules.room_options import MOST_PLAYERS, PLAY_FIELDS

KINDS = ("lockstep",)
"""The hosting kinds that this gameroom can host."""

GAME_TYPE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
LONGEST_NAME = 64
LONGEST_DESCRIPTION = 4096

_NOT_IN_LOCKSTEP = {"min_players", "max_players", "public"}
"""Fields of /create that a bundle says under `[hosting]`, or not at all."""


@attrs.frozen(kw_only=True)
class GameEntry:
    """`[game]`, for what ships with the daemon: what a developer would say with CREATE_GAME."""

    name: str
    description: str
    game_type: str
    max_players: int
    version: str


@attrs.frozen(kw_only=True)
class Manifest:
    """A checked `game.toml`. The file names in it are relative and stay inside of the bundle."""

    kind: str
    min_players: int = 1
    max_players: int = MOST_PLAYERS
    """Of `[hosting]`; a room takes the smaller of this and the game's."""
    engine: str | None = None
    lockstep: dict[str, Any] = attrs.field(factory=dict)
    """`[lockstep]` but for the engine: fields of /create."""
    command: tuple[str, ...] = ()
    """What `gameroom play` starts."""
    web: str | None = None

    @property
    def files(self) -> dict[str, str]:
        """The files that must be in the bundle, by the key that names them."""
        named = {"lockstep.engine": self.engine, "client.web": self.web}
        return {key: file for key, file in named.items() if file is not None}

    def to_json(self) -> dict[str, Any]:
        """As it is kept in the store."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Manifest:
        """What `to_json` gave."""
        return cls(**{**kept, "command": tuple(kept["command"])})


def parse(text: str) -> tuple[Manifest, GameEntry | None]:
    """Read and check a `game.toml`; `[game]` may be left out. Raises `InvalidRequest`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequest(f"game.toml is no TOML: {error}") from None
    tables = _checked("", document, {"game": _table, "hosting": _table, "lockstep": _table, "client": _table})
    hosting = _checked("hosting", tables.get("hosting", {}), _HOSTING, needed=("kind",))
    lockstep = _checked("lockstep", tables.get("lockstep", {}), _LOCKSTEP, needed=("engine",))
    client = _checked("client", tables.get("client", {}), _CLIENT)
    manifest = Manifest(engine=lockstep.pop("engine"), lockstep=lockstep, **hosting, **client)
    if manifest.min_players > manifest.max_players:
        raise _fault("hosting.min_players", f"must not be above hosting.max_players, which is {manifest.max_players}")
    if "game" not in tables:
        return manifest, None
    game = GameEntry(**_checked("game", tables["game"], _GAME, needed=tuple(_GAME)))
    if manifest.min_players > game.max_players:
        raise _fault("hosting.min_players", f"must not be above game.max_players, which is {game.max_players}")
    return manifest, game


_Check = Callable[[str, Any], Any]


def _checked(table: str, given: Mapping[str, Any], checks: Mapping[str, _Check], needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """The table's values, each looked at by its check."""
    prefix = f"{table}." if table else ""
    for key in given:
        if key not in checks:
            raise _fault(prefix + key, f"is not known; known are {', '.join(prefix + known for known in checks)}")
    for key in needed:
        if key not in given:
            raise _fault(prefix + key, "is missing")
    return {key: checks[key](prefix + key, value) for key, value in given.items()}


def _fault(key: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"game.toml: {key} {reason}")


def _table(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _fault(key, f"must be a table: write [{key}]")
    return value


def _kind(key: str, value: Any) -> str:
    if not isinstance(value, str) or value not in KINDS:
        raise _fault(key, f"must be {' or '.join(KINDS)}")
    return value


def _players(key: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MOST_PLAYERS:
        raise _fault(key, f"must be an integer from 1 to {MOST_PLAYERS}")
    return value


def _text(least: int, most: int, allowed: str = "") -> _Check:
    def check(key: str, value: Any) -> str:
        if not isinstance(value, str) or not least <= len(value) <= most:
            raise _fault(key, f"must be a string of {least} to {most} characters")
        if not all(character.isprintable() or character in allowed for character in value):
            raise _fault(key, "must not hold control characters")
        return value

    return check


def _game_type(key: str, value: Any) -> str:
    if not isinstance(value, str) or GAME_TYPE.fullmatch(value) is None:
        raise _fault(key, f"must match {GAME_TYPE.pattern}, as cli, gui or multi")
    return value


def _version(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _fault(key, 'must be a string, as "1.0.0"')
    try:
        return versions.parse(value).text
    except InvalidRequest as error:
        raise _fault(key, error.message.removeprefix("version ")) from None


def _file(key: str, value: Any) -> str:
    """A path inside of the bundle, in its plain form."""
    path = PurePosixPath(value) if isinstance(value, str) else PurePosixPath()
    if not path.parts or path.is_absolute() or ".." in path.parts or str(path) != value or "\\" in value or "\0" in value:
        raise _fault(key, "must name a file of the bundle by its path from the bundle's root")
    return str(path)


def _command(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(word, str) and word and "\0" not in word for word in value):
        raise _fault(key, "must be a list of strings: the program and its arguments")
    return tuple(value)


def _play_field(check: _Check) -> _Check:
    """A field of /create, with the fault told as one of the manifest."""

    def checked(key: str, value: Any) -> Any:
        name = key.rpartition(".")[2]
        try:
            return check(name, value)
        except InvalidRequest as error:
            inside = (error.pointer or "").removeprefix(f"/{name}")
            raise _fault(key, error.message.removeprefix(f"{name} ") + (f" (at {inside})" if inside else "")) from None

    return checked


_GAME: dict[str, _Check] = {
    "name": _text(1, LONGEST_NAME),
    "description": _text(0, LONGEST_DESCRIPTION, allowed="\n"),
    "game_type": _game_type,
    "max_players": _players,
    "version": _version,
}
_HOSTING: dict[str, _Check] = {"kind": _kind, "min_players": _players, "max_players": _players}
_LOCKSTEP: dict[str, _Check] = {
    "engine": _file,
    **{name: _play_field(check) for name, check in PLAY_FIELDS.items() if name not in _NOT_IN_LOCKSTEP},
}
_CLIENT: dict[str, _Check] = {"command": _command, "web": _file}
