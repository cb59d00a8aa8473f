"""GameUpdate and GameState as the protocol's page has them, by Google's library and none of gameroom's code."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_TYPES = {
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "uint64": descriptor_pb2.FieldDescriptorProto.TYPE_UINT64,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
}
EVENTS = ("started", "message", "joined", "left", "timer")

_PAGE = """
Player: seat uint32, id string, name string, connected bool
Started: config bytes, seed uint64
Message: seat uint32, data bytes, text bool
Joined: seat uint32
Left: seat uint32, reason string
Timer: due_ms int64
GameUpdate: request uint64, room_id string, sequence uint64, state bytes, players Player*, started Started|, message Message|, joined Joined|, \
left Left|, timer Timer|, now_ms int64, game_id string, version string
Outgoing: data bytes, text bool
View: seat uint32, data bytes, text bool
Finished: results bytes
Rejected: code uint32, message string
GameState: request uint64, sequence uint64, state bytes, broadcast Outgoing*, views View*, timer_ms uint32?, finished Finished, rejected Rejected
"""
"""Fields are numbered as they stand; `*` is repeated, `?` optional, `|` one of `event`."""


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="page.proto", package="page", syntax="proto3")
    for line in _PAGE.strip().splitlines():
        name, _, fields = line.partition(": ")
        message = file.message_type.add(name=name)
        if "|" in fields:
            message.oneof_decl.add(name="event")
        for number, field in enumerate(fields.split(", "), 1):
            _declare(message, field, number)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {each.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"page.{each.name}")) for each in file.message_type}


def _declare(message: descriptor_pb2.DescriptorProto, field: str, number: int) -> None:
    name, kind = field.split()
    declared = message.field.add(name=name, number=number, label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL)
    if kind.endswith("*"):
        declared.label = descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
    elif kind.endswith("|"):
        declared.oneof_index = 0
    elif kind.endswith("?"):
        declared.proto3_optional = True
        declared.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{name}")
    kind = kind.rstrip("*|?")
    if kind in _TYPES:
        declared.type = _TYPES[kind]
    else:
        declared.type, declared.type_name = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE, f".page.{kind}"


_CLASSES = _classes()
GameUpdate: Any = _CLASSES["GameUpdate"]
GameState: Any = _CLASSES["GameState"]
