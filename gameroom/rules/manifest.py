"""What a bundle says of itself in `game.toml` (docs/protocol/bundles.md).

Every fault is told with its key and the reason; a key that nobody reads is a fault too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
import orjson

from gameroom.errors import InvalidRequest
from gameroom.rules import manifest_values as values
from gameroom.rules.manifest_values import GAME_TYPE, LONGEST_DESCRIPTION, LONGEST_NAME, Check, checked, fault
from gameroom.rules.room_options import MOST_PLAYERS, PLAY_FIELDS, TURN_FIELDS
from gameroom.rules.turn_games.games import GAMES

__all__ = ["GAME_TYPE", "KINDS", "LONGEST_DESCRIPTION", "LONGEST_NAME", "PLAIN", "GameEntry", "Manifest", "Server", "Service", "parse"]

LOCKSTEP, SERVICE, SERVER, CONTROLLER, RELAY = KINDS = ("lockstep", "service", "server", "controller", "relay")
"""The hosting kinds."""

FILE_BYTES: Final = 128 << 10
"""A `game.toml` is no longer than this."""
JSON_BYTES: Final = 1 << 20
"""Nor is a JSON file that it names."""

MOST_DOTS: Final = 256
"""In a line: the time that `tomllib` takes for a dotted key grows with the square of its parts, to minutes."""

_NOT_IN_LOCKSTEP = {"min_players", "max_players", "public", *TURN_FIELDS}
"""Fields of /create that a bundle says under `[hosting]`, or not at all."""

_JSON_FILES: Final = ("command_schema", "states")
"""Fields of `[lockstep]` that name a file; a table in `game.toml` itself does as well."""


@attrs.frozen(kw_only=True)
class GameEntry:
    """`[game]`, for what ships with the daemon: what a developer would say with CREATE_GAME."""

    name: str
    description: str
    game_type: str
    max_players: int
    version: str


@attrs.frozen(kw_only=True)
class Server:
    """`[server]`: a GameServer of the bundle, one for each room."""

    command: tuple[str, ...]
    connect: str = "proxy"
    """`proxy`, or `direct`: clients connect to it themselves."""
    ready_timeout: float = 10.0
    """Seconds."""
    memory_mb: int = 256
    config: dict[str, Any] = attrs.field(factory=dict)
    """Handed over as JSON."""


@attrs.frozen(kw_only=True)
class Service:
    """`[service]`: a micro game service of the bundle, or one that runs elsewhere."""

    command: tuple[str, ...] = ()
    endpoint: str = ""
    """A Twisted client endpoint; empty where there is a command."""
    memory_mb: int = 256


@attrs.frozen(kw_only=True)
class Manifest:
    """A checked `game.toml`. The file names in it are relative and stay inside of the bundle."""

    kind: str
    min_players: int = 1
    max_players: int = MOST_PLAYERS
    """Of `[hosting]`; a room takes the smaller of this and the game's."""
    engine: str | None = None
    lockstep: dict[str, Any] = attrs.field(factory=dict)
    """`[lockstep]` but for the engine, or `[controller]` but for the game: fields of /create, with what named files hold."""
    server: Server | None = None
    service: Service | None = None
    controller: str | None = None
    """The name of the controller's game."""
    command: tuple[str, ...] = ()
    """What `gameroom play` starts."""
    web: str | None = None
    bundle: bool = True
    """False for a file that is handed out as it is."""

    @property
    def served(self) -> bool:
        """Whether there is something in the bundle that is served or run here, so that it is to be unpacked."""
        runs = (self.server is not None) or (self.service is not None and bool(self.service.command))
        return self.bundle and (runs or self.engine is not None or self.web is not None)

    @property
    def files(self) -> dict[str, str]:
        """The files that must be in the bundle, by the key that names them."""
        named = {
            "lockstep.engine": self.engine,
            "server.command": values.file_of_command(self.server.command) if self.server is not None else None,
            "service.command": values.file_of_command(self.service.command) if self.service is not None else None,
            "client.command": values.file_of_command(self.command),
            "client.web": self.web,
        }
        return {key: file for key, file in named.items() if file is not None}

    def to_json(self) -> dict[str, Any]:
        """As it is kept in the store."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Manifest:
        """What `to_json` gave, now or before there were as many fields."""
        fields = {**kept, "command": tuple(kept.get("command", ()))}
        for name, table in (("server", Server), ("service", Service)):
            if fields.get(name) is not None:
                fields[name] = table(**{**fields[name], "command": tuple(fields[name]["command"])})
        return cls(**fields)


PLAIN: Final = Manifest(kind=RELAY, bundle=False)
"""Of a file that is no bundle: it is handed out as it is."""


def _no_files(name: str) -> bytes:
    raise FileNotFoundError(name)


def parse(text: str, read: Callable[[str], bytes] = _no_files) -> tuple[Manifest, GameEntry | None]:
    """Read and check a `game.toml`; `[game]` may be left out.

    `read` gives what a file of the bundle holds and raises `FileNotFoundError` where it is not there.
    Whether the other files are there that the manifest names is left to the caller. Raises `InvalidRequest`.
    """
    tables = checked("", _toml(text), dict.fromkeys(("game", "hosting", *_TABLES, "client"), values.table))
    hosting = checked("hosting", tables.get("hosting", {}), _HOSTING, needed=("kind",))
    client = checked("client", tables.get("client", {}), _CLIENT)
    manifest = Manifest(**hosting, **_hosted(hosting["kind"], tables, read), **client)
    if manifest.min_players > manifest.max_players:
        raise fault("hosting.min_players", f"must not be above hosting.max_players, which is {manifest.max_players}")
    if "game" not in tables:
        return manifest, None
    game = GameEntry(**checked("game", tables["game"], _GAME, needed=tuple(_GAME)))
    if manifest.min_players > game.max_players:
        raise fault("hosting.min_players", f"must not be above game.max_players, which is {game.max_players}")
    return manifest, game


def _toml(text: str) -> dict[str, Any]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > MOST_DOTS:
            raise InvalidRequest(f"game.toml: line {number} has over {MOST_DOTS} dots; use tables for keys, and several lines for a text")
    try:
        return tomllib.loads(text)
    except ValueError as error:  # also for numbers that are too long
        raise InvalidRequest(f"game.toml is no TOML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise InvalidRequest("game.toml is no TOML that can be used: it is nested too deeply") from None


def _hosted(kind: str, tables: Mapping[str, Any], read: Callable[[str], bytes]) -> dict[str, Any]:
    """What the table of this hosting kind says, as fields of the manifest; there may be no table of another kind."""
    for other in _TABLES:
        if other in tables and other != kind:
            raise fault(other, f'is for kind = "{other}" alone, and hosting.kind is "{kind}"')
    if kind not in _TABLES:
        return {}
    checks, needed = _TABLES[kind]
    said = checked(kind, tables.get(kind, {}), checks, needed)
    if kind == LOCKSTEP:
        return _lockstep(said, read)
    if kind == SERVER:
        return {"server": Server(**said)}
    if kind == SERVICE:
        return {"service": _service(said)}
    return {"controller": said.pop("game"), "lockstep": said}


def _turn_game(key: str, value: Any) -> str:
    name = values.slug(key, value)
    if name not in GAMES:
        raise fault(key, f"must be a game that gameroom knows: {' or '.join(sorted(GAMES))}")
    return name


def _lockstep(said: dict[str, Any], read: Callable[[str], bytes]) -> dict[str, Any]:
    for name in _JSON_FILES:
        if isinstance(said.get(name), str):
            said[name] = _read_json(name, said[name], read)
    if "command_schema" in said and said.get("encoding") == "binary":
        raise fault("lockstep.command_schema", 'is for encoding = "json"; in a binary room commands are bytes')
    return {"engine": said.pop("engine"), "lockstep": said}


def _read_json(name: str, file: str, read: Callable[[str], bytes]) -> Any:
    """What the file holds that a field names, checked as that field of /create."""
    try:
        value = orjson.loads(read(file))
    except FileNotFoundError:
        raise fault(f"lockstep.{name}", f"names {file}, which is not there") from None
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"{file}: lockstep.{name} must be JSON: {error}") from None
    try:
        return PLAY_FIELDS[name](name, value)
    except InvalidRequest as error:
        raise InvalidRequest(f"{file}: lockstep.{name} {values.told_of(name, error)}") from None


def _service(said: dict[str, Any]) -> Service:
    if ("command" in said) == ("endpoint" in said):
        raise fault("service", "must have exactly one of service.command, service.endpoint")
    if "endpoint" in said and "memory_mb" in said:
        raise fault("service.memory_mb", "is for a service.command; what runs elsewhere is not limited here")
    return Service(**said)


def _json_file(check: Check) -> Check:
    """A field that names a file, or is a table right here."""

    def either(key: str, value: Any) -> Any:
        return values.file(key, value) if isinstance(value, str) else check(key, value)

    return either


_GAME: dict[str, Check] = {
    "name": values.text(1, LONGEST_NAME),
    "description": values.text(0, LONGEST_DESCRIPTION, allowed="\n"),
    "game_type": values.game_type,
    "max_players": values.integer(1, MOST_PLAYERS),
    "version": values.version,
}
_HOSTING: dict[str, Check] = {
    "kind": values.one_of(*KINDS),
    "min_players": values.integer(1, MOST_PLAYERS),
    "max_players": values.integer(1, MOST_PLAYERS),
}
_LOCKSTEP: dict[str, Check] = {
    "engine": values.file,
    **{
        name: _json_file(values.play_field(check)) if name in _JSON_FILES else values.play_field(check)
        for name, check in PLAY_FIELDS.items()
        if name not in _NOT_IN_LOCKSTEP
    },
}
_SERVER: dict[str, Check] = {
    "command": values.command,
    "connect": values.one_of("proxy", "direct"),
    "ready_timeout": values.seconds(600),
    "memory_mb": values.integer(16, 65536),
    "config": values.config,
}
_SERVICE: dict[str, Check] = {"command": values.command, "endpoint": values.endpoint, "memory_mb": values.integer(16, 65536)}
_CONTROLLER: dict[str, Check] = {
    "game": _turn_game,
    "viewers": values.play_field(PLAY_FIELDS["viewers"]),
    **{name: values.play_field(PLAY_FIELDS[name]) for name in TURN_FIELDS},
}
_CLIENT: dict[str, Check] = {"command": values.command, "web": values.file}
_TABLES: dict[str, tuple[dict[str, Check], tuple[str, ...]]] = {
    LOCKSTEP: (_LOCKSTEP, ("engine",)),
    SERVICE: (_SERVICE, ()),
    SERVER: (_SERVER, ("command",)),
    CONTROLLER: (_CONTROLLER, ("game",)),
}
"""The table of each hosting kind that has one: its keys, and those that must be there."""
