"""What may be submitted to make a room (spec: rooms.md, Content of /create).

One table of fields: parsing, a bundle's `[lockstep]` and the OpenAPI description come from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import attrs

from gameroom.errors import InvalidRequest
from gameroom.rules import states
from gameroom.rules.command_schema import CommandSchema
from gameroom.rules.room import CONFIGURATION_BYTES, RoomOptions
from gameroom.rules.turn_games.bots import BOTS
from gameroom.wire.lockstep import SEATS
from gameroom.wire.room_messages import size_of

SOURCE_BYTES = 1 << 20
LARGEST_SEED = 2**53 - 1
MOST_PLAYERS = SEATS
BOT_LEVELS = max(bot.levels for bot in BOTS.values())


def _integer(low: int, high: int) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise InvalidRequest(f"{name} must be an integer from {low} to {high}", pointer=f"/{name}")
        return value

    return check


def _seconds(low: float, high: float) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        if type(value) not in (int, float) or not low <= value <= high:
            raise InvalidRequest(f"{name} must be a number of seconds from {low} to {high}", pointer=f"/{name}")
        return float(value)

    return check


def _boolean(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise InvalidRequest(f"{name} must be true or false", pointer=f"/{name}")
    return value


def _one_of(*choices: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if value not in choices or not isinstance(value, str):
            raise InvalidRequest(f"{name} must be {' or '.join(choices)}", pointer=f"/{name}")
        return value

    return check


def _object(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{name} must be an object", pointer=f"/{name}")
    return value


def _configuration(name: str, value: Any) -> dict[str, Any]:
    if size_of(name, _object(name, value)) > CONFIGURATION_BYTES:
        raise InvalidRequest("configuration must not be over 64 KiB", pointer="/configuration")
    return value  # type: ignore[no-any-return]


def _seed(name: str, value: Any) -> int | str:
    if type(value) is int and 0 <= value <= LARGEST_SEED:
        return value
    if isinstance(value, str) and len(value) <= 256:
        return value
    raise InvalidRequest("seed must be an integer from 0 to 2^53 - 1, or a string of up to 256 characters", pointer="/seed")


def _engine_url(engine: dict[str, Any]) -> dict[str, Any]:
    url = engine["url"]
    try:
        parts = urlsplit(url) if isinstance(url, str) and len(url) <= 2048 else None
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or any(ord(c) <= 32 for c in url):
        raise InvalidRequest("engine.url must be an http or https URL", pointer="/engine/url")
    return {"url": url}


def _engine_source(engine: dict[str, Any]) -> dict[str, Any]:
    source, media_type = engine["source"], engine.get("media_type")
    if not isinstance(source, str) or len(source.encode()) > SOURCE_BYTES:
        raise InvalidRequest("engine.source must be a string of up to 1 MiB", pointer="/engine/source")
    if not isinstance(media_type, str) or not _is_media_type(media_type):
        raise InvalidRequest("engine.media_type must be a media type, as text/javascript", pointer="/engine/media_type")
    return {"source": source, "media_type": media_type}


def _is_media_type(text: str) -> bool:
    return len(text) <= 128 and text.isascii() and text.isprintable() and text.count("/") == 1 and all(text.partition("/"))


def _engine_game(engine: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(engine["game_id"], str):
        raise InvalidRequest("engine.game_id must be a string", pointer="/engine/game_id")
    if not isinstance(engine.get("version", ""), str):
        raise InvalidRequest("engine.version must be a string", pointer="/engine/version")
    return engine


_ENGINES: dict[str, tuple[set[str], Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "url": ({"url"}, _engine_url),
    "source": ({"source", "media_type"}, _engine_source),
    "game_id": ({"game_id", "version"}, _engine_game),
}


def _engine(name: str, value: Any) -> dict[str, Any]:
    engine = _object(name, value)
    kinds = [kind for kind in _ENGINES if kind in engine]
    if len(kinds) != 1:
        raise InvalidRequest("engine must have exactly one of url, source and game_id", pointer="/engine")
    fields, check = _ENGINES[kinds[0]]
    for unknown in engine.keys() - fields:
        raise InvalidRequest(f"engine has no field {unknown} beside {kinds[0]}", pointer=f"/engine/{_escaped(unknown)}")
    return check(engine)


def _escaped(key: str) -> str:
    """A key as it stands in a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _states(name: str, value: Any) -> dict[str, Any]:
    states.parse(_object(name, value), f"/{name}")
    return value  # type: ignore[no-any-return]


def _command_schema(name: str, value: Any) -> dict[str, Any] | bool:
    if type(value) is not bool:
        _object(name, value)
    CommandSchema(value)
    return value  # type: ignore[no-any-return]


PLAY_FIELDS: dict[str, Callable[[str, Any], Any]] = {
    "seed": _seed,
    "configuration": _configuration,
    "min_players": _integer(1, MOST_PLAYERS),
    "max_players": _integer(1, MOST_PLAYERS),
    "encoding": _one_of("json", "binary"),
    "input_delay": _integer(1, 16),
    "checksum_interval": _integer(1, 1000),
    "on_divergence": _one_of("halt", "evict", "resync"),
    "patience": _integer(50, 60_000),
    "states": _states,
    "command_schema": _command_schema,
    "viewer_delay": _integer(0, 10_000),
    "viewers": _boolean,
    "journal": _one_of("async", "sync"),
    "public": _boolean,
    "move_seconds": _seconds(1, 86_400),
    "total_seconds": _seconds(1, 86_400),
    "increment_seconds": _seconds(0, 3_600),
    "on_timeout": _one_of("lose", "bot"),
    "bot_level": _integer(1, BOT_LEVELS),
}
"""The fields that shape the play, with their checks; a bundle's `[lockstep]` or `[controller]` may give those of its kind as well."""

TURN_FIELDS = ("move_seconds", "total_seconds", "increment_seconds", "on_timeout", "bot_level")
"""Those that are for turn games."""

FIELDS = {"engine": _engine, **PLAY_FIELDS}
_OPTIONS = {field.name for field in attrs.fields(RoomOptions)}


def check_fields(content: Mapping[str, Any], fields: Mapping[str, Callable[[str, Any], Any]]) -> dict[str, Any]:
    """The checked values; raises `InvalidRequest` with a pointer for an unknown field or a wrong value."""
    for name in content:
        if name not in fields:
            raise InvalidRequest(f"there is no field {name}; known are {', '.join(fields)}", pointer=f"/{_escaped(name)}")
    return {name: fields[name](name, value) for name, value in content.items()}


@attrs.frozen(kw_only=True)
class RoomRequest:
    """A checked wish for a room: a game of the store, or an engine of one's own."""

    game_id: str = ""
    version: str = ""
    """Empty for the latest."""
    engine: dict[str, Any] = attrs.field(factory=dict)
    """`{"url"}` or `{"source", "media_type"}`; empty where there is a game_id."""
    fields: dict[str, Any] = attrs.field(factory=dict)
    """What of `PLAY_FIELDS` was given."""

    @classmethod
    def from_json(cls, content: Any) -> RoomRequest:
        """Check the body of /create; raises `InvalidRequest` with a JSON pointer to the fault."""
        if not isinstance(content, dict):
            raise InvalidRequest("the body must be a JSON object", pointer="")
        checked = check_fields(content, FIELDS)
        engine = checked.pop("engine", None)
        if engine is None:
            raise InvalidRequest("engine is missing: give a url, a source or a game_id", pointer="/engine")
        if "game_id" in engine:
            return cls(game_id=engine["game_id"], version=engine.get("version", ""), fields=checked)
        return cls(engine=engine, fields=checked)

    def options(self, *, drawn_seed: int, base: Mapping[str, Any], most_players: int | None = None) -> tuple[RoomOptions, dict[str, Any]]:
        """The room's options and its first configuration.

        `base` is what the bundle says (hosting, game_id, version, engine and fields of the play); what was asked for goes before it.
        `most_players` is what the bundle allows. Raises `InvalidRequest` where the players' numbers do not fit.
        """
        chosen = {"seed": drawn_seed, "min_players": 1, "max_players": 8, **base, **self.fields}
        if "max_players" not in self.fields:
            chosen["max_players"] = max(chosen["max_players"], self.fields.get("min_players", 1))
        if most_players is not None and chosen["max_players"] > most_players:
            if "max_players" in self.fields or "min_players" in self.fields:
                raise InvalidRequest(f"this game takes at most {most_players} players", pointer="/max_players")
            chosen["max_players"] = most_players
        if chosen["min_players"] > chosen["max_players"]:
            if "min_players" in self.fields:
                raise InvalidRequest("min_players must not be above max_players", pointer="/min_players")
            chosen["min_players"] = chosen["max_players"]
        if chosen.get("command_schema") is not None and chosen.get("encoding") == "binary":
            raise InvalidRequest("command_schema is for JSON rooms; in a binary room commands are bytes", pointer="/command_schema")
        configuration = chosen.pop("configuration", {})
        return RoomOptions(**{name: value for name, value in chosen.items() if name in _OPTIONS}), configuration
