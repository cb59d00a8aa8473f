"""What may stand in each key of a `game.toml`: one check for each sort of value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import PurePosixPath
from typing import Any, Final, TypeAlias

import orjson

from gameroom.errors import InvalidRequest
from gameroom.rules import versions
from gameroom.wire.room_messages import size_of

GAME_TYPE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
LONGEST_NAME = 64
LONGEST_DESCRIPTION = 4096
CONFIG_BYTES: Final = 32 << 10
"""So much CONTROL has room for (docs/protocol/game-port.md)."""
MOST_WORDS: Final = 256
LONGEST_WORD: Final = 4096

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,63}")
_ENDPOINT = re.compile(r"[A-Za-z][A-Za-z0-9]*:[!-~]{1,256}")
_INTERPRETER = re.compile(r"(python|pypy|node|ruby|perl|lua|php|bash|sh|deno|bun)[0-9.]*")
_SCRIPT = re.compile(r"[^-].*\.(py|pyz|js|mjs|cjs|ts|rb|pl|lua|php|sh)")

Check: TypeAlias = Callable[[str, Any], Any]
"""Takes the key and the value that was given; gives the value as it is used, or raises `InvalidRequest`."""


def checked(table: str, given: Mapping[str, Any], checks: Mapping[str, Check], needed: tuple[str, ...] = ()) -> dict[str, Any]:
    """The table's values, each looked at by its check. Raises `InvalidRequest`."""
    prefix = f"{table}." if table else ""
    for key in given:
        if key not in checks:
            raise fault(prefix + _shown(key), f"is not known; known are {', '.join(prefix + known for known in checks)}")
    for key in needed:
        if key not in given:
            raise fault(prefix + key, "is missing")
    return {key: checks[key](prefix + key, value) for key, value in given.items()}


def fault(key: str, reason: str) -> InvalidRequest:
    """What is said of a key."""
    return InvalidRequest(f"game.toml: {key} {reason}")


def _shown(key: str) -> str:
    """A key that may hold anything."""
    return key if key.isprintable() and len(key) <= LONGEST_NAME else ascii(key[:LONGEST_NAME])


def table(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise fault(key, f"must be a table: write [{key}]")
    return value


def one_of(*choices: str) -> Check:
    def check(key: str, value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise fault(key, f"must be {' or '.join(choices)}")
        return value

    return check


def integer(least: int, most: int) -> Check:
    def check(key: str, value: Any) -> int:
        if type(value) is not int or not least <= value <= most:
            raise fault(key, f"must be an integer from {least} to {most}")
        return value

    return check


def seconds(most: int) -> Check:
    def check(key: str, value: Any) -> float:
        if type(value) not in (int, float) or not isfinite(value) or not 0 < value <= most:
            raise fault(key, f"must be a number of seconds above 0, up to {most}")
        return float(value)

    return check


def text(least: int, most: int, allowed: str = "") -> Check:
    def check(key: str, value: Any) -> str:
        if not isinstance(value, str) or not least <= len(value) <= most:
            raise fault(key, f"must be a string of {least} to {most} characters")
        if not all(character.isprintable() or character in allowed for character in value):
            raise fault(key, "must not hold control characters")
        return value

    return check


def game_type(key: str, value: Any) -> str:
    if not isinstance(value, str) or GAME_TYPE.fullmatch(value) is None:
        raise fault(key, f"must match {GAME_TYPE.pattern}, as cli, gui or multi")
    return value


def version(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise fault(key, 'must be a string, as "1.0.0"')
    try:
        return versions.parse(value).text
    except InvalidRequest as error:
        raise fault(key, error.message.removeprefix("version ")) from None


def slug(key: str, value: Any) -> str:
    if not isinstance(value, str) or _SLUG.fullmatch(value) is None:
        raise fault(key, "must be a name of small letters, digits and -, as connect-four")
    return value


def endpoint(key: str, value: Any) -> str:
    if not isinstance(value, str) or _ENDPOINT.fullmatch(value) is None:
        raise fault(key, "must be where to connect to, as tcp:rules.example:7100")
    return value


def file(key: str, value: Any) -> str:
    """A path inside of the bundle, in its plain form."""
    path = PurePosixPath(value) if isinstance(value, str) else PurePosixPath()
    if not path.parts or path.is_absolute() or ".." in path.parts or str(path) != value or not value.isprintable() or "\\" in value:
        raise fault(key, "must name a file of the bundle by its path from the bundle's root")
    return str(path)


def command(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(word, str) for word in value) or not value[0]:
        raise fault(key, "must be a list of strings: the program and its arguments")
    if len(value) > MOST_WORDS or any(len(word) > LONGEST_WORD or "\0" in word for word in value):
        raise fault(key, f"must have up to {MOST_WORDS} words, each of up to {LONGEST_WORD} characters without NUL")
    return tuple(value)


def file_of_command(words: tuple[str, ...]) -> str | None:
    """The file of the bundle that a command names for sure; None where it may be the system's, or an argument."""
    named = None
    if words and "/" in words[0] and not words[0].startswith("/"):
        named = words[0]
    elif len(words) > 1 and _INTERPRETER.fullmatch(words[0].rpartition("/")[2]) and _SCRIPT.fullmatch(words[1]):
        named = words[1]
    if named is None or named.startswith("/") or ".." in PurePosixPath(named).parts:
        return None
    return str(PurePosixPath(named))


def config(key: str, value: Any) -> dict[str, Any]:
    """A table that is handed on as JSON."""
    table(key, value)
    try:
        orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATETIME)
        size = size_of(key, value)
    except (TypeError, InvalidRequest):
        raise fault(key, "must hold what JSON can say: no dates, no integers of over 64 bits, and not nested too deeply") from None
    if size > CONFIG_BYTES:
        raise fault(key, f"must not be over {CONFIG_BYTES >> 10} KiB as JSON")
    return value  # type: ignore[no-any-return]


def play_field(check: Check) -> Check:
    """A field of /create, with the fault told as one of the manifest."""

    def as_ours(key: str, value: Any) -> Any:
        name = key.rpartition(".")[2]
        try:
            return check(name, value)
        except InvalidRequest as error:
            raise fault(key, told_of(name, error)) from None

    return as_ours


def told_of(name: str, error: InvalidRequest) -> str:
    """What was wrong with a field of /create, without its name, and with the place inside of it."""
    inside = (error.pointer or "").removeprefix(f"/{name}")
    return error.message.removeprefix(f"{name} ") + (f" (at {inside})" if inside else "")
