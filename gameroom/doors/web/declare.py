"""How a route of the REST door is declared: parsing, routing and the OpenAPI description come from one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import attrs

from gameroom.errors import InvalidRequest

Schema = dict[str, Any]
Auth = Literal["none", "session", "maybe session", "seat", "session or seat", "developer session"]


class Kind(Protocol):
    """What a field's value is."""

    def read(self, name: str, value: Any, pointer: str | None) -> Any:
        """The value, or `InvalidRequest`."""

    def schema(self) -> Schema: ...


@attrs.frozen
class Text:
    """A string of so many characters."""

    least: int = 0
    most: int = 1024

    def read(self, name: str, value: Any, pointer: str | None) -> str:
        if not isinstance(value, str) or not self.least <= len(value) <= self.most:
            raise InvalidRequest(f"{name} must be a string of {self.least} to {self.most} characters", pointer=pointer)
        return value

    def schema(self) -> Schema:
        return {"type": "string", "minLength": self.least, "maxLength": self.most}


@attrs.frozen
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    def read(self, name: str, value: Any, pointer: str | None) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise InvalidRequest(f"{name} must be {' or '.join(self.words)}", pointer=pointer)
        return value

    def schema(self) -> Schema:
        return {"type": "string", "enum": list(self.words)}


@attrs.frozen
class Number:
    """An integer, also as it stands in a query or a path, where there is no pointer."""

    low: int
    high: int

    def read(self, name: str, value: Any, pointer: str | None) -> int:
        digits = pointer is None and isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20
        number = int(value) if digits else value
        if type(number) is not int or not self.low <= number <= self.high:
            raise InvalidRequest(f"{name} must be an integer from {self.low} to {self.high}", pointer=pointer)
        return number

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@attrs.frozen(kw_only=True)
class Field:
    """A field of a body, or a parameter of a query."""

    name: str
    kind: Kind
    required: bool = False
    about: str = ""


class IsBody(Protocol):
    """What a body may be."""

    def read(self, content: Any) -> Any:
        """The checked body, or `InvalidRequest` with a JSON pointer. `content` is JSON that was read, and for a `RawBody` bytes."""

    def schema(self) -> Schema: ...


@attrs.frozen
class Body:
    """A JSON object of these fields and no others."""

    fields: tuple[Field, ...]

    def read(self, content: Any) -> dict[str, Any]:
        if not isinstance(content, dict):
            raise InvalidRequest("the body must be a JSON object", pointer="")
        known = {field.name: field for field in self.fields}
        for name in content:
            if name not in known:
                pointer = "/" + name.replace("~", "~0").replace("/", "~1")
                raise InvalidRequest(f"there is no field {name}; known are {', '.join(known)}", pointer=pointer)
        for field in self.fields:
            if field.required and field.name not in content:
                raise InvalidRequest(f"{field.name} is missing", pointer=f"/{field.name}")
        return {name: known[name].kind.read(name, value, f"/{name}") for name, value in content.items()}

    def schema(self) -> Schema:
        return {
            "type": "object",
            "properties": {field.name: _described(field) for field in self.fields},
            "required": [field.name for field in self.fields if field.required],
            "additionalProperties": False,
        }


@attrs.frozen
class RawBody:
    """Bytes as they are, so many of them at most."""

    most: int

    def read(self, content: Any) -> bytes:
        if not content:
            raise InvalidRequest("the body is empty; send the bytes as they are, as application/octet-stream")
        if len(content) > self.most:
            raise InvalidRequest(f"the body has {len(content)} bytes; send at most {self.most} at a time")
        return bytes(content)

    def schema(self) -> Schema:
        return {"type": "string", "format": "binary", "minLength": 1, "maxLength": self.most}


@attrs.frozen(kw_only=True)
class Reply:
    """What a route answers when all is well."""

    about: str
    schema: Schema | None = None
    media_type: str = "application/json"
    headers: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Route:
    """One row of the table in docs/protocol/rooms.md."""

    handler: str
    """The name of the method that serves it, and of the operation."""
    methods: tuple[str, ...]
    path: str
    about: str
    replies: Mapping[int, Reply]
    auth: Auth = "none"
    query: Sequence[Field] = ()
    body: IsBody | None = None
    body_needed: bool = True
    problems: tuple[int, ...] = ()
    """HTTP statuses of what can go wrong beside 400, which every route has that reads something, and 500."""
    page: bool = False
    """True where a browser gets a page instead."""
    operation: str = ""
    """The operation's name where the same handler serves several routes."""

    @property
    def name(self) -> str:
        return self.operation or self.handler

    def read_query(self, args: Mapping[bytes, Sequence[bytes]]) -> dict[str, Any]:
        """The checked parameters of a query; raises `InvalidRequest`.

        Links grow parameters on their way through the world: a page, and what reads none, leaves unknown ones aside.
        """
        known = {field.name: field for field in self.query}
        found: dict[str, Any] = {}
        for raw, values in args.items():
            name = raw.decode("utf-8", "replace")
            if name not in known and (self.page or not known):
                continue
            if name not in known:
                raise InvalidRequest(f"there is no parameter {name[:64]} here")
            if len(values) != 1:
                raise InvalidRequest(f"{name} may be given once")
            found[name] = known[name].kind.read(name, values[0].decode("utf-8", "replace"), None)
        for field in self.query:
            if field.required and field.name not in found:
                raise InvalidRequest(f"the parameter {field.name} is missing")
        return found


def _described(field: Field) -> Schema:
    return {**field.kind.schema(), "description": field.about} if field.about else field.kind.schema()
