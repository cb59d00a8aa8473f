"""Lock-step packets, JSON and binary, written from docs/protocol/lockstep.md alone."""

from __future__ import annotations

import json
import struct
from typing import Any

import attrs

COMMAND, MASTER, MASTERS = 1, 2, 3
SYSTEM_SEAT = 65535


@attrs.frozen(kw_only=True)
class Master:
    """One master packet; `commands` by seat are lists (JSON) or bytes (binary)."""

    generation: int
    iterations: int
    checksum: tuple[int, str] | None
    commands: dict[int, Any]
    system: list[dict[str, Any]]


@attrs.frozen(kw_only=True)
class Command:
    """One command packet, on its way out."""

    generation: int
    latency: int
    framerate: int
    checksum: tuple[int, int] | None
    commands: Any


def command_to_json(packet: Command) -> bytes:
    message: dict[str, Any] = {"type": "commands", "generation": packet.generation, "latency": packet.latency, "framerate": packet.framerate}
    if packet.checksum is not None:
        message["checksum"] = {"generation": packet.checksum[0], "value": f"{packet.checksum[1]:016x}"}
    message["commands"] = packet.commands
    return json.dumps(message).encode()


def command_to_binary(packet: Command) -> bytes:
    of, value = packet.checksum or (0, 0)
    head = struct.pack("!BBIHHIQ", COMMAND, packet.checksum is not None, packet.generation, packet.latency, packet.framerate, of, value)
    return head + bytes(packet.commands)


def master_of_json(message: dict[str, Any]) -> Master:
    checksum = message.get("checksum")
    return Master(
        generation=message["generation"],
        iterations=message["iterations_per_command"],
        checksum=None if checksum is None else (checksum["generation"], checksum["value"]),
        commands={int(seat): commands for seat, commands in message["commands"].items()},
        system=message.get("system", []),
    )


def masters_of_binary(data: bytes) -> list[Master]:
    """The masters of a binary frame: one, or a batch of history."""
    if data[0] == MASTER:
        return [_master_of_binary(data)]
    kind, first, count = struct.unpack_from("!BII", data)
    assert kind == MASTERS
    masters, at = [], 9
    for number in range(count):
        (size,) = struct.unpack_from("!I", data, at)
        masters.append(_master_of_binary(data[at + 4 : at + 4 + size]))
        assert masters[-1].generation == first + number
        at += 4 + size
    assert at == len(data)
    return masters


def _master_of_binary(data: bytes) -> Master:
    kind, flags, generation, iterations, of, value, count = struct.unpack_from("!BBIHIQH", data)
    assert kind == MASTER
    commands: dict[int, Any] = {}
    system: list[dict[str, Any]] = []
    at, last_seat = 22, -1
    for _ in range(count):
        seat, size = struct.unpack_from("!HH", data, at)
        assert seat > last_seat, "a master is ordered by seat, system last"
        content, at, last_seat = data[at + 4 : at + 4 + size], at + 4 + size, seat
        if seat == SYSTEM_SEAT:
            system = json.loads(content)
        else:
            commands[seat] = content
    assert at == len(data)
    checksum = (of, f"{value:016x}") if flags & 1 else None
    return Master(generation=generation, iterations=iterations, checksum=checksum, commands=commands, system=system)
