"""How messages are declared that are said as JSON or as Protocol Buffers: once, in a table.

Checking, both codecs, the text of the .proto file and the tables in docs/protocol come from the same declaration.
A field that is JSON of somebody's own (`json`, `object`) is a value in JSON, and its JSON text in `bytes` in Protocol Buffers.
Pure: no Twisted, no clock, no I/O.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, Final

import attrs
import orjson
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from gameroom.errors import InvalidRequest
from gameroom.wire.json_lists import check_lists
from gameroom.wire.room_messages import size_of

UINT32: Final = 0xFFFFFFFF
UINT64: Final = 0xFFFFFFFFFFFFFFFF
INT64: Final = 0x7FFFFFFFFFFFFFFF

_WORDS: Final = {
    "string": "a string",
    "uint32": "an integer from 0 to 4294967295",
    "uint64": "an integer from 0 to 18446744073709551615",
    "int64": "an integer from -9223372036854775808 to 9223372036854775807",
    "double": "a number from 0",
    "bool": "true or false",
    "bytes": "bytes",
    "object": "an object",
}
_INTEGERS: Final = {"uint32": (0, UINT32), "uint64": (0, UINT64), "int64": (-INT64 - 1, INT64)}
_IN_PROTO: Final = {"json": "bytes", "object": "bytes"}
_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


@attrs.frozen
class Field:
    """One field of a message.

    `kind` is string, uint32, uint64, int64, double, bool, json (any value), object, another message, or bytes, which Protocol Buffers alone can say.
    """

    name: str
    number: int
    kind: str | Message = "string"
    optional: bool = attrs.field(default=False, kw_only=True)
    repeated: bool = attrs.field(default=False, kw_only=True)
    choices: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """The only values there are."""
    most_bytes: int = attrs.field(default=0, kw_only=True)
    """Of compact JSON, for json and object; 0 where the message's own size is enough."""
    oneof: str = attrs.field(default="", kw_only=True)
    """The group of fields, next to each other, of which a message has one at most."""
    about: str = attrs.field(default="", kw_only=True)
    """What it means, for the .proto file and the docs."""

    @property
    def type_in_proto(self) -> str:
        return self.kind.name if isinstance(self.kind, Message) else _IN_PROTO.get(self.kind, self.kind)

    @property
    def is_json(self) -> bool:
        """Whether it is JSON of somebody's own."""
        return self.kind in _IN_PROTO

    @property
    def shown(self) -> str:
        """`version?`, `players: [{seat, name}]`, `state: "ready" or "finished"`."""
        name = f"{self.name}?" if self.optional else self.name
        if isinstance(self.kind, Message):
            inner = self.kind.fields_shown
            return f"{name}: [{inner}]" if self.repeated else f"{name}: {inner}"
        return f"{name}: {' or '.join(map(repr, self.choices))}".replace("'", '"') if self.choices else name

    def checked(self, value: Any, above: str) -> Any:
        """The value, when it may stand here. `above` is the JSON pointer of the message. Raises `InvalidRequest`."""
        where = f"{above}/{self.name}"
        if not self.repeated:
            return self._checked(value, where)
        if type(value) is not list:
            raise _wrong(where, "an array")
        return [self._checked(one, f"{where}/{index}") for index, one in enumerate(value)]

    def _checked(self, value: Any, where: str) -> Any:
        kind = self.kind
        if isinstance(kind, Message):
            return kind.checked(value, where)
        # Not isinstance: to Python `true` is an integer, to JSON it is not.
        if kind == "string":
            good = type(value) is str
        elif kind in _INTEGERS:
            least, most = _INTEGERS[kind]
            good = type(value) is int and least <= value <= most
        elif kind == "double":
            good = type(value) in (int, float) and value >= 0 and math.isfinite(value)
            value = float(value) if good else value
        elif kind in ("bool", "bytes"):
            good = type(value).__name__ == kind
        else:
            good = kind == "json" or type(value) is dict
        if not good:
            raise _wrong(where, _WORDS[kind])
        if self.choices and value not in self.choices:
            raise _wrong(where, " or ".join(self.choices))
        if self.is_json and size_of(where[1:], value) > (self.most_bytes or math.inf):
            raise InvalidRequest(f"{where[1:]} is larger than {self.most_bytes >> 10} KiB of JSON", pointer=where)
        return value


@attrs.frozen
class Message:
    """One message: `name` as in the .proto file, and its fields."""

    name: str
    fields: tuple[Field, ...] = ()
    about: str = attrs.field(default="", kw_only=True)
    """What it is, for the .proto file and the docs."""
    whole_with: str = attrs.field(default="", kw_only=True)
    """A field without which a message is a short one: optional fields are all that it has."""

    def checked(self, value: Any, above: str = "") -> dict[str, Any]:
        """The fields that this message has, in their order; others are left out, and null is the same as none. Raises `InvalidRequest`."""
        if type(value) is not dict:
            raise _wrong(above, "an object", self.shown)
        short = self.whole_with and value.get(self.whole_with) in ("", None)
        found = {}
        for field in self.fields:
            given = value.get(field.name)
            if short and not field.optional:
                continue
            if given is not None:
                found[field.name] = field.checked(given, above)
            elif not (field.optional or field.oneof):
                raise InvalidRequest(f"{above[1:] or self.shown} lacks {field.name}", pointer=f"{above}/{field.name}")
        return found

    @property
    def fields_shown(self) -> str:
        """`{game_id, version?, players: [{seat, name}]}`, as docs write it."""
        return "{" + ", ".join(field.shown for field in self.fields) + "}"

    @property
    def shown(self) -> str:
        """What people call it: CLIENT_AUTH for ClientAuth."""
        return _WORD.sub("_", self.name).upper()


def _wrong(where: str, words: str, name: str = "") -> InvalidRequest:
    return InvalidRequest(f"{where[1:] or name} must be {words}", pointer=where or None)


class Messages:
    """All messages of one .proto file."""

    def __init__(self, *, package: str, file: str, about: str, messages: Iterable[Message]) -> None:
        self.package = package
        self.about = about
        self.messages = tuple(messages)
        described = descriptor_pb2.FileDescriptorProto(name=file, package=package, syntax="proto3")
        for each in self.messages:
            _describe(described.message_type.add(name=each.name), each, package)
        # A pool of its own: another program's file of the same name is not in its way.
        pool = descriptor_pool.DescriptorPool()
        pool.Add(described)
        self._classes = {each.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{each.name}")) for each in self.messages}

    def to_json(self, kind: Message, values: Mapping[str, Any]) -> bytes:
        """Raises `InvalidRequest` for values that this message cannot say."""
        return orjson.dumps(kind.checked(dict(values)))

    def to_protobuf(self, kind: Message, values: Mapping[str, Any]) -> bytes:
        """Raises `InvalidRequest` for values that this message cannot say."""
        packed: bytes = self._classes[kind.name](**_packed(kind, kind.checked(dict(values)))).SerializeToString(deterministic=True)
        return packed

    def from_json(self, kind: Message, data: bytes) -> dict[str, Any]:
        """Strict UTF-8 JSON. Raises `InvalidRequest`."""
        return kind.checked(_json(kind.shown, data))

    def from_protobuf(self, kind: Message, data: bytes) -> dict[str, Any]:
        """What the same message in JSON gives. Raises `InvalidRequest`."""
        read = self._classes[kind.name]()
        try:
            read.ParseFromString(data)
        except message.DecodeError:
            raise InvalidRequest(f"this is no {kind.shown} in Protocol Buffers") from None
        return kind.checked(_unpacked(kind, read))

    def class_of(self, kind: Message) -> Any:
        """Protobuf's class for this message, for those who need it quick and check by themselves."""
        return self._classes[kind.name]

    def proto(self) -> str:
        """The text of the .proto file."""
        lines = [*_comment(self.about), 'syntax = "proto3";', "", f"package {self.package};", ""]
        for each in self.messages:
            lines += [*_comment(each.about), f"message {each.name} {{", *_fields_in_proto(each), "}", ""]
        return "\n".join(lines)


def _describe(described: Any, kind: Message, package: str) -> None:
    """The message as protobuf's own description of one."""
    types = descriptor_pb2.FieldDescriptorProto
    # Those that are written stand before those that `optional` makes.
    oneofs = list(dict.fromkeys(field.oneof for field in kind.fields if field.oneof))
    for name in oneofs:
        described.oneof_decl.add(name=name)
    for field in kind.fields:
        added = described.field.add(name=field.name, number=field.number)
        added.label = types.LABEL_REPEATED if field.repeated else types.LABEL_OPTIONAL
        if isinstance(field.kind, Message):
            added.type, added.type_name = types.TYPE_MESSAGE, f".{package}.{field.kind.name}"
        else:
            added.type = types.Type.Value(f"TYPE_{field.type_in_proto.upper()}")
        if field.oneof:
            added.oneof_index = oneofs.index(field.oneof)
        if field.optional:
            # What protoc makes of `optional` in proto3: a oneof of one.
            added.proto3_optional, added.oneof_index = True, len(described.oneof_decl)
            described.oneof_decl.add(name=f"_{field.name}")


def _comment(text: str) -> list[str]:
    return [f"// {line}" for line in text.splitlines()]


def _fields_in_proto(kind: Message) -> list[str]:
    """The fields, each on its line; those of a oneof within its braces."""
    lines: list[str] = []
    for name, group in groupby(kind.fields, key=lambda field: field.oneof):
        inner = "    " if name else "  "
        fields = [f"{inner}{_in_proto(field)}" for field in group]
        lines += [f"  oneof {name} {{", *fields, "  }"] if name else fields
    return lines


def _in_proto(field: Field) -> str:
    label = "repeated " if field.repeated else "optional " if field.optional else ""
    about = field.about or ("JSON" if field.is_json else "")
    note = f"  // {about}" if about else ""
    return f"{label}{field.type_in_proto} {field.name} = {field.number};{note}"


def _packed(kind: Message, values: Mapping[str, Any]) -> dict[str, Any]:
    """Checked values as protobuf's constructors take them."""
    packed = {}
    for field in kind.fields:
        if field.name not in values:
            continue
        value = values[field.name]
        inner = field.kind
        if isinstance(inner, Message):
            value = [_packed(inner, one) for one in value] if field.repeated else _packed(inner, value)
        elif field.is_json:
            value = orjson.dumps(value)
        packed[field.name] = value
    return packed


def _unpacked(kind: Message, read: Any) -> dict[str, Any]:
    """What was read, unchecked; what was not said and may be left out is left out."""
    unpacked: dict[str, Any] = {}
    for field in kind.fields:
        inner = field.kind
        if (field.optional or (isinstance(inner, Message) and not field.repeated)) and not read.HasField(field.name):
            continue
        value = getattr(read, field.name)
        if isinstance(inner, Message):
            value = [_unpacked(inner, one) for one in value] if field.repeated else _unpacked(inner, value)
        elif field.is_json:
            value = _json(field.name, value) if value or field.optional else None
        elif field.repeated:
            value = list(value)
        unpacked[field.name] = value
    return unpacked


def own_object(name: str, data: bytes) -> dict[str, Any]:
    """A JSON object of somebody's own. Raises `InvalidRequest`."""
    value = _json(name, data)
    if type(value) is not dict:
        raise _wrong("", "an object", name)
    size_of(name, value)
    return value


def _json(name: str, data: bytes) -> Any:
    check_lists(name, data)
    try:
        return orjson.loads(data)
    except ValueError as error:
        raise InvalidRequest(f"{name} is not JSON: {getattr(error, 'msg', 'it is not UTF-8')}") from None
