"""How long a JSON Schema can take with the worst of instances, told from the schema alone.

Strangers write the schemas and strangers write what they are checked against, in the thread that serves everybody.
So every keyword has a price, measured with instances made to be slow, and a schema is taken only where the sum is bearable.
The price of an instance of n bytes is `each` + `per_byte` × n nanoseconds:

- what is checked at the same place (`allOf`, `anyOf`, `$ref`, …) adds up;
- what is checked for each element of an array costs `each` for every two bytes, since an element has no fewer, its comma included;
- of an object's `properties` each may be there once.

A schema that leads back to itself has no such bound, and one whose parts are used again and again may be small and take for ever:
the first is refused, and the second is as expensive as if it were written out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from gameroom.errors import InvalidRequest

MOST_LEVELS: Final = 32
"""So deep may schemas stand in schemas, those behind `$ref` included."""
MOST_PARTS: Final = 5_000
"""So many schemas may there be in one, with those behind `$ref` counted wherever they are used."""

_STEP: Final = 30.0
_NAME: Final = 20.0
_NUMBER: Final = 2_500.0
_FRACTIONAL_BOUND: Final = 5_500.0
_FRACTION: Final = 40_000.0
_UNIQUE_PER_BYTE: Final = 600.0
_PATTERN: Final = 200.0
_PATTERN_PER_BYTE: Final = 24.0
_LENGTH_PER_BYTE: Final = 2.0

_ROUND: Final = "a $ref must not lead back to where it stands: the check would have no bound"
_TOO_DEEP: Final = f"schemas are nested deeper than {MOST_LEVELS}, with those behind $ref"

SMALLEST: Final = 1e-30
"""Numbers nearer to zero are compared ten times as slowly."""
TINY: Final = 7.0
"""With what the price is to be multiplied where there are such in the instance."""

_WIDE_CLASS: Final = 3
"""One that has characters of several bytes is several states."""


class Cost(NamedTuple):
    """Nanoseconds for an instance, those for each of its bytes, how many schemas there are, and how deep they stand in each other."""

    each: float = 0.0
    per_byte: float = 0.0
    parts: int = 0
    levels: int = 0

    def __add__(self, other: Any) -> Cost:
        return Cost(self.each + other.each, self.per_byte + other.per_byte, self.parts + other.parts, max(self.levels, other.levels))


class Fault(InvalidRequest):
    """A schema that is not taken; `pointer` is within it."""


def cost_of(schema: Any) -> Cost:
    """The price of a JSON Schema of draft 2020-12; raises `Fault` for what has none or is not taken."""
    return _Walk(schema).schema(schema, "", 0)


def escaped(key: str) -> str:
    """A key as it stands in a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


class _Walk:
    """One way through a schema. What is used twice is looked at once."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._open: set[str] = set()
        self._known: dict[str, Cost] = {}

    def schema(self, schema: Any, at: str, level: int) -> Cost:
        if level > MOST_LEVELS:
            raise Fault(_TOO_DEEP, pointer=at)
        if type(schema) is bool:
            return Cost(_STEP, 0.0, 1)
        if not isinstance(schema, dict):
            raise Fault("a schema must be an object, true or false", pointer=at)
        total = Cost(_STEP, 0.0, 1)
        for keyword, value in schema.items():
            place = f"{at}/{escaped(keyword)}"
            price = _PRICES.get(keyword)
            if price is None:
                raise Fault(_unknown(keyword), pointer=place)
            total += price(self, value, place, level + 1)
        if total.parts > MOST_PARTS:
            raise Fault(f"there are over {MOST_PARTS:,} schemas in it, counted wherever they are used", pointer=at)
        if total.levels >= MOST_LEVELS:
            raise Fault(_TOO_DEEP, pointer=at)
        return total._replace(levels=total.levels + 1)

    def reference(self, value: Any, at: str, level: int) -> Cost:
        if value == "#":
            raise Fault(_ROUND, pointer=at)
        target = value.removeprefix("#") if isinstance(value, str) and value.startswith("#/") and "%" not in value else None
        if target is None:
            raise Fault("$ref must be a JSON pointer into this schema, as #/$defs/move", pointer=at)
        if target in self._open or at.startswith(f"{target}/"):
            raise Fault(_ROUND, pointer=at)
        if target not in self._known:
            self._open.add(target)
            self._known[target] = self.schema(self._find(target, at), target, level)
            self._open.discard(target)
        return self._known[target]

    def _find(self, target: str, at: str) -> Any:
        found = self._root
        for step in (escape.replace("~1", "/").replace("~0", "~") for escape in target.split("/")[1:]):
            if isinstance(found, list) and step.isdecimal() and str(int(step)) == step and int(step) < len(found):
                found = found[int(step)]
            elif isinstance(found, dict) and step in found:
                found = found[step]
            else:
                raise Fault("there is nothing where this $ref points to", pointer=at)
        return found

    # The shapes that keywords have.

    def here(self, value: Any, at: str, level: int) -> Cost:
        """A schema for the same place."""
        return self.schema(value, at, level)

    def all_here(self, value: Any, at: str, level: int) -> Cost:
        """A list of schemas for the same place."""
        return sum((self.schema(each, f"{at}/{number}", level) for number, each in enumerate(_list(value, at))), Cost())

    def by_name(self, value: Any, at: str, level: int) -> Cost:
        """A schema for each of an object's members that has one: the bytes are those of one or of another."""
        return _one_or_another(self.schema(each, f"{at}/{escaped(name)}", level) for name, each in _table(value, at).items())

    def by_place(self, value: Any, at: str, level: int) -> Cost:
        """A schema for each of an array's first elements."""
        return _one_or_another(self.schema(each, f"{at}/{number}", level) for number, each in enumerate(_list(value, at)))

    def by_pattern(self, value: Any, at: str, level: int) -> Cost:
        """A schema for all of an object's members whose name matches: each may match all."""
        total = Cost()
        for pattern, each in _table(value, at).items():
            place = f"{at}/{escaped(pattern)}"
            total += _for_each(self.schema(each, place, level)) + _for_each(_pattern(pattern, place))
        return total

    def dependent(self, value: Any, at: str, level: int) -> Cost:
        """A schema for the same place, where a member is there."""
        return sum((self.schema(each, f"{at}/{escaped(name)}", level) for name, each in _table(value, at).items()), Cost())

    def for_each(self, value: Any, at: str, level: int) -> Cost:
        """A schema for every element, member or name."""
        return _for_each(self.schema(value, at, level))

    def definitions(self, value: Any, at: str, level: int) -> Cost:
        """Schemas that are used elsewhere, or not at all: they are looked at, and cost nothing but their number."""
        return self.dependent(value, at, level)._replace(each=0.0, per_byte=0.0)

    # Keywords that look at the instance alone.

    def free(self, value: Any, at: str, level: int) -> Cost:
        return Cost()

    def step(self, value: Any, at: str, level: int) -> Cost:
        return Cost(_STEP)

    def bound(self, value: Any, at: str, level: int) -> Cost:
        return Cost(_NUMBER if type(value) is int else _FRACTIONAL_BOUND)

    def multiple(self, value: Any, at: str, level: int) -> Cost:
        return Cost(_NUMBER if type(value) is int else _FRACTION)

    def length(self, value: Any, at: str, level: int) -> Cost:
        return Cost(_STEP, _LENGTH_PER_BYTE)

    def unique(self, value: Any, at: str, level: int) -> Cost:
        return Cost(_STEP, _UNIQUE_PER_BYTE)

    def names(self, value: Any, at: str, level: int) -> Cost:
        return Cost(_NAME * (1 + _nodes(value)))

    def values(self, value: Any, at: str, level: int) -> Cost:
        return Cost(_worth(value))

    def pattern(self, value: Any, at: str, level: int) -> Cost:
        return _pattern(value, at)


def _for_each(cost: Cost) -> Cost:
    return cost._replace(each=0.0, per_byte=cost.each / 2 + cost.per_byte)


def _one_or_another(costs: Iterator[Cost]) -> Cost:
    total, dearest = Cost(), 0.0
    for cost in costs:
        total += cost._replace(each=cost.each + _NAME)
        dearest = max(dearest, cost.per_byte)
    return total._replace(per_byte=dearest)


def _table(value: Any, at: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Fault("must be an object", pointer=at)
    return value


def _list(value: Any, at: str) -> list[Any]:
    if not isinstance(value, list):
        raise Fault("must be an array", pointer=at)
    return value


def _nodes(value: Any) -> int:
    """How many values there are in a value."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(_nodes(each) for each in inside)


def _worth(value: Any) -> float:
    """What comparing with a value costs; numbers are slow, since 1, 1.0 and 1e0 are equal."""
    if isinstance(value, dict):
        return _STEP + sum(_NAME + _worth(each) for each in value.values())
    if isinstance(value, list):
        return _STEP + sum(_worth(each) for each in value)
    return _NUMBER if type(value) in (int, float) else _STEP


def _pattern(value: Any, at: str) -> Cost:
    if not isinstance(value, str):
        raise Fault("a pattern must be a string", pointer=at)
    return Cost(_PATTERN, _PATTERN_PER_BYTE * _Expression(value, at).states())


class _Expression:
    """A regular expression, read just far enough to know how many states it may be in at once."""

    def __init__(self, text: str, at: str) -> None:
        self._text = text
        self._pointer = at
        self._at = 0

    def states(self) -> int:
        """Counted repetition makes so many copies of what it repeats."""
        total, last, groups = 1, 0, list[tuple[int, int]]()
        while self._at < len(self._text):
            character = self._text[self._at]
            if character == "(":
                self._open_group()
                groups.append((total, 0))
                total, last = 0, 0
                continue
            if character == ")" and groups:
                last = total
                total += groups.pop()[0]
                self._at += 1
            elif character == "{":
                copies = self._count()
                total += last * (copies - 1)
                last *= copies
            elif character in "*+?|^$":
                self._at += 1
            else:
                last = self._atom(character)
                total += last
        return total + sum(before for before, _ in groups)

    def _open_group(self) -> None:
        self._at += 1
        if self._text.startswith("?", self._at) and not self._text.startswith(("?:", "?<"), self._at):
            raise Fault("a pattern must have no flags and no look-around", pointer=self._pointer)

    def _count(self) -> int:
        end = self._text.find("}", self._at)
        numbers = [part.strip() for part in self._text[self._at + 1 : max(end, self._at + 1)].split(",")]
        self._at = end + 1 if end >= 0 else self._at + 1
        most = max((int(part) for part in numbers if part.isdecimal() and len(part) < 7), default=1)
        return max(most, 1) + (numbers[-1] == "")

    def _atom(self, character: str) -> int:
        if character == "\\":
            escape = self._text[self._at + 1 : self._at + 2]
            self._at += 2
            return _WIDE_CLASS if escape in "pPwWsSdDbB" else 1
        if character == "[":
            return self._class()
        self._at += 1
        return _WIDE_CLASS if character == "." or not character.isascii() else 1

    def _class(self) -> int:
        """Dialects differ in what a bracket means within a class, so there it is escaped or refused."""
        start = self._at
        self._at += 2 if self._text.startswith("[^", start) else 1
        if self._text.startswith("]", self._at):
            raise Fault("a class of characters must not begin with ]; write \\]", pointer=self._pointer)
        while self._at < len(self._text) and self._text[self._at] != "]":
            if self._text[self._at] == "[":
                raise Fault("a class of characters must not hold [; write \\[", pointer=self._pointer)
            self._at += 2 if self._text[self._at] == "\\" else 1
        text = self._text[start : self._at]
        self._at += 1
        return 1 if text.isascii() and "\\" not in text and not text.startswith("[^") else _WIDE_CLASS


_Price = Callable[[_Walk, Any, str, int], Cost]

_PRICES: Final[dict[str, _Price]] = {
    **dict.fromkeys(("$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"), _Walk.free),
    **dict.fromkeys(("format", "contentEncoding", "contentMediaType", "minContains", "maxContains"), _Walk.free),
    "$ref": _Walk.reference,
    "$defs": _Walk.definitions,
    **dict.fromkeys(("allOf", "anyOf", "oneOf"), _Walk.all_here),
    **dict.fromkeys(("not", "if", "then", "else"), _Walk.here),
    "properties": _Walk.by_name,
    "patternProperties": _Walk.by_pattern,
    "dependentSchemas": _Walk.dependent,
    "prefixItems": _Walk.by_place,
    **dict.fromkeys(("items", "contains", "additionalProperties", "propertyNames"), _Walk.for_each),
    **dict.fromkeys(("type", "minItems", "maxItems", "minProperties", "maxProperties"), _Walk.step),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _Walk.bound),
    "multipleOf": _Walk.multiple,
    **dict.fromkeys(("minLength", "maxLength"), _Walk.length),
    "pattern": _Walk.pattern,
    "uniqueItems": _Walk.unique,
    **dict.fromkeys(("required", "dependentRequired"), _Walk.names),
    **dict.fromkeys(("enum", "const"), _Walk.values),
}
"""The keywords that are taken."""

_NOT_TAKEN: Final = ("$dynamicRef", "$dynamicAnchor", "$anchor", "$vocabulary", "unevaluatedItems", "unevaluatedProperties")


def _unknown(keyword: str) -> str:
    if keyword in _NOT_TAKEN:
        return f"{keyword} is not taken here: what it costs cannot be told beforehand"
    return f"there is no keyword {keyword[:64]!r} in JSON Schema 2020-12"
