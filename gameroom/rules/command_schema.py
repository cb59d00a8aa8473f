"""The schema that each command of a room must match (docs/protocol/lockstep.md, Checked commands).

A room makes one `CommandSchema` and keeps it. Schemas and commands are written by strangers:
nothing is fetched, regular expressions take linear time, and no packet is looked at for much longer than `BUDGET`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import orjson

from gameroom.errors import InvalidRequest
from gameroom.rules.schema_cost import MOST_LEVELS, SMALLEST, TINY, Cost, Fault, cost_of, escaped
from gameroom.wire.lockstep import JSON, CommandPacket

SCHEMA_BYTES: Final = 64 << 10
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
BUDGET: Final = 10_000_000.0
"""Nanoseconds for the commands of one packet."""
FEWEST_COMMANDS, FEWEST_BYTES = 8, 256
"""A packet of so many commands with so many bytes must be within the budget."""
EXPLAINED_BYTES: Final = 512
CHEAP: Final = BUDGET / 100
"""Why a longer command does not match, or one that takes long, is not told: making that sentence takes many times as long as the check."""
LONGEST_WHY: Final = 160

_TOO_LARGE: Final = "is too large: all of a schema share 2 MiB, a letter of any script takes 40 KiB"

_DEEP_IN_VALUES: Final = 2 * MOST_LEVELS + 32
EXPRESSIONS_BYTES: Final = 2 << 20
"""For all regular expressions of a schema together, compiled, and once more for what they remember: 1 MiB takes some 20 ms to compile."""
_EXPRESSION_BYTES: Final = 1 << 20
_REMEMBERED_BYTES: Final = 64 << 10
"""For one of them."""
KEPT: Final = 16
"""Compiled schemas that are kept for rooms to come: to check one at /create and to make its room is to compile it once."""


class CommandSchema:
    """A compiled schema."""

    def __init__(self, schema: dict[str, Any] | bool) -> None:
        """Check and compile it; raises `InvalidRequest` with a JSON pointer that begins with /command_schema."""
        try:
            self._cost, self._schema = _made(_json(schema))
        except Fault as fault:
            where = f"/command_schema{fault.pointer}"
            raise InvalidRequest(f"command_schema cannot be used: {fault.message}", pointer=where) from None

    def _price(self, commands: int, size: int) -> float:
        return _price(self._cost, commands, size)

    def parse(self, message: Mapping[str, Any]) -> CommandPacket:
        """A `commands` message, without the commands that do not match; raises `InvalidRequest`."""
        packet = JSON.parse(message)
        if not packet.commands:
            return packet
        good, fault = self.check(message["commands"], packet.commands)
        if not fault:
            return packet
        return packet._replace(commands=orjson.dumps(good) if good else b"", fault=fault)

    def check(self, commands: Sequence[Any], encoded: bytes) -> tuple[list[Any], str]:
        """The commands that match, and what is wrong with the first that does not: empty where all are good.

        `encoded` is what they are as JSON.
        """
        if self._price(len(commands), len(encoded)) * _slowness(encoded) > BUDGET:
            return self._check_some(commands)
        good = [self._matches(command) for command in commands]
        if all(good):
            return list(commands), ""
        first = good.index(False)
        return [command for command, is_good in zip(commands, good, strict=True) if is_good], self._why(first, commands[first])

    def _check_some(self, commands: Sequence[Any]) -> tuple[list[Any], str]:
        """As many as there is time for; the others are left out."""
        left, taken, why = BUDGET, list[Any](), ""
        for number, command in enumerate(commands):
            encoded = orjson.dumps(command)
            left -= self._price(1, len(encoded)) * _slowness(encoded)
            if left < 0:
                why = why or f"command {number} and what comes after it was left out: to check so much takes too long; send less in one packet"
                break
            if self._matches(command):
                taken.append(command)
            elif not why:
                why = self._why(number, command)
        return taken, why

    def _matches(self, command: Any) -> bool:
        try:
            return bool(self._schema.is_valid(command))
        except ValueError:
            # Nested too deeply to be looked at.
            return False

    def _why(self, number: int, command: Any) -> str:
        reason = ""
        if len(orjson.dumps(command)) <= EXPLAINED_BYTES and self._price(1, EXPLAINED_BYTES) <= CHEAP:
            reason = self._reason(command)
        return f"command {number} was left out, it does not match the room's command_schema{reason}"

    def _reason(self, command: Any) -> str:
        try:
            self._schema.validate(command)
        except jsonschema_rs.ValidationError as error:
            place = "".join(f"/{step}" for step in error.instance_path)
            reason = error.message if len(error.message) <= LONGEST_WHY else f"{error.message[:LONGEST_WHY]}…"
            return f": {reason}" + (f" (at {place[:LONGEST_WHY]})" if place else "")
        except ValueError:
            pass
        return ""


def _price(cost: Cost, commands: int, size: int) -> float:
    return cost.each * commands + cost.per_byte * size


def _json(schema: Any) -> bytes:
    """The schema as JSON. What a bundle's TOML says may be no JSON at all."""
    if isinstance(schema, dict):
        dialect = schema.get("$schema", DIALECT)
        if not isinstance(dialect, str) or dialect.rstrip("#") != DIALECT:
            raise Fault(f"$schema must be {DIALECT}, or left out", pointer="/$schema")
    try:
        data = orjson.dumps(schema, option=orjson.OPT_PASSTHROUGH_DATETIME)
    except TypeError:
        raise Fault("it is no JSON, or nested too deeply", pointer="") from None
    if len(data) > SCHEMA_BYTES:
        raise Fault(f"it must not be over {SCHEMA_BYTES >> 10} KiB", pointer="")
    return data


@lru_cache(KEPT)
def _made(data: bytes) -> tuple[Cost, jsonschema_rs.Draft202012Validator]:
    plain = _plain(data)
    cost = cost_of(plain)
    if _price(cost, FEWEST_COMMANDS, FEWEST_BYTES) > BUDGET:
        raise Fault("it could take too long to check; use fewer alternatives, shorter lists of numbers, simpler patterns", pointer="")
    return cost, _compiled(plain)


def _plain(data: bytes) -> Any:
    """The schema without what only names it."""
    if _depth(data) > _DEEP_IN_VALUES:
        raise Fault("it is nested too deeply", pointer="")
    plain = orjson.loads(data)
    _look_inside(plain, "")
    if isinstance(plain, dict):
        plain.pop("$id", None)
        plain.pop("$schema", None)
    return plain


def _depth(data: bytes) -> int:
    """How deep JSON may be nested; brackets in strings count too, which refuses nothing that anybody writes."""
    depth = deepest = 0
    for character in data:
        if character in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in b"]}":
            depth -= 1
    return deepest


def _look_inside(value: Any, at: str) -> None:
    """A schema with a name of its own inside of another would be another place for `$ref` to begin at."""
    inside: list[tuple[Any, Any]] = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    for key, each in inside:
        if at and key in ("$id", "$schema") and isinstance(each, str):
            raise Fault(f"{key} may stand at the top only", pointer=f"{at}/{key}")
        _look_inside(each, f"{at}/{escaped(str(key))}")
    if isinstance(value, float) and 0 < abs(value) < SMALLEST:
        raise Fault(f"numbers nearer to 0 than {SMALLEST} are not taken", pointer=at)


def _slowness(encoded: bytes) -> float:
    """Whether there may be numbers that take long: those are written with an exponent."""
    return TINY if b"e-" in encoded else 1.0


def _expressions(value: Any) -> Iterator[str]:
    """The regular expressions of a schema. What only looks like one, in an `enum`, is one too many and does no harm."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "pattern" and isinstance(each, str):
                yield each
            elif key == "patternProperties" and isinstance(each, dict):
                yield from each
            yield from _expressions(each)
    elif isinstance(value, list):
        for each in value:
            yield from _expressions(each)


def _shares(expressions: int) -> jsonschema_rs.RegexOptions:
    """How large each of so many may be; how many there are says nothing of how large they are, which a few characters can make anything."""
    share = EXPRESSIONS_BYTES // max(expressions, 1)
    return jsonschema_rs.RegexOptions(size_limit=min(share, _EXPRESSION_BYTES), dfa_size_limit=min(share, _REMEMBERED_BYTES))


def _compiled(schema: Any) -> jsonschema_rs.Draft202012Validator:
    options = _shares(len(set(_expressions(schema))))
    try:
        return jsonschema_rs.Draft202012Validator(schema, pattern_options=options, validate_formats=False, offline=True)
    except jsonschema_rs.ValidationError as error:
        pointer = "".join(f"/{escaped(str(step))}" for step in error.instance_path)
        if pointer.endswith("/pattern") or "/patternProperties" in pointer:
            raise Fault(f"a pattern is no regular expression, or has look-around or back references, or {_TOO_LARGE}", pointer=pointer) from None
        raise Fault(error.message[:LONGEST_WHY], pointer=pointer) from None
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise Fault(str(error)[:LONGEST_WHY], pointer="") from None
