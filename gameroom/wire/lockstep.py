"""Packets of lock-step rooms: bytes and room messages on one side, values on the other (docs/protocol/lockstep.md).

There are two codecs with the same methods, one for JSON rooms and one for binary rooms.
A player's commands are encoded once, when they come, so that making a master is joining bytes.
Pure values: no Twisted, no clock, no I/O.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from gameroom.build import IS_COMPILED
from gameroom.errors import InvalidRequest
from gameroom.wire.digest import Digest

COMPILED: Final = IS_COMPILED
if COMPILED:
    from gameroom.wire import native

PACKET_BYTES: Final = 16 << 10
"""A command packet's size: of its frame where binary, of its compact JSON else."""
BATCH_BYTES: Final = 256 << 10
"""A batch of masters; one master that is longer goes alone."""
CHECKSUM_CHARACTERS: Final = 128
CHECKSUM_SECTIONS: Final = 64
OVERSIZED: Final = "a command packet must not be over 16 KiB; this one counts as one without commands"
COMMAND: Final = 1
MASTER: Final = 2
MASTERS: Final = 3
"""The kinds of binary packets."""
SEATS: Final = 64
"""So many seats there may be in a room."""
SYSTEM_SEAT: Final = 0xFFFF
U16: Final = 0xFFFF
U32: Final = 0xFFFFFFFF
U64: Final = 0xFFFFFFFFFFFFFFFF
_SIGN: Final = 1 << 63

_HEX: Final = re.compile(r"[0-9a-f]{16}")

COMMAND_HEAD: Final = struct.Struct("!BBIHHIq")
COMMAND_HEAD_BYTES: Final = 22
"""What a binary command packet begins with: kind, flags, generation, latency, framerate, checksum's generation, checksum; and its size."""
_MASTER_HEAD: Final = struct.Struct("!BBIH")
_CHECKSUM: Final = struct.Struct("!Iq")
_COUNT: Final = struct.Struct("!H")
_ENTRY: Final = struct.Struct("!HH")
_MASTERS_HEAD: Final = struct.Struct("!BII")
_LENGTH: Final = struct.Struct("!I")
_NO_CHECKSUM: Final = bytes(_CHECKSUM.size)
_pack_checksum: Final = _CHECKSUM.pack

Checksum = str | int | dict[str, str] | Digest
"""A hash: what the client's JSON says, or a binary packet's 64 bits, as a signed number; or what is kept of one."""
_NO_VALUE: Checksum = 0


class CommandPacket(NamedTuple):
    """What one player says for one generation."""

    generation: int
    latency: float
    """Round trip, milliseconds, up to 65535."""
    framerate: float
    """Frames a second, up to 65535."""
    checksum_generation: int
    """-1 where there is no checksum."""
    checksum: Checksum
    commands: bytes
    """Encoded for a master; empty where there are none."""
    fault: str = ""
    """What is wrong with its commands, for its sender: those that cannot be used are left out."""


class MasterPacket(NamedTuple):
    """A master taken apart: what clients, tests and recordings read."""

    generation: int
    iterations_per_command: int
    checksum: tuple[int, Checksum] | None
    """The generation, and its agreed hash; of a binary master that is a signed number."""
    commands: Mapping[int, bytes]
    """By seat, in the master's order: a JSON array, or the bytes of a binary packet."""
    system: Sequence[dict[str, Any]] = ()


class Packets:
    """What both codecs do."""

    binary: bool

    def checksum(self, generation: int, value: Checksum) -> bytes:
        """The agreed hash as it stands in a master."""
        raise NotImplementedError

    def master(self, generation: int, iterations: int, checksum: bytes, commands: list[bytes | None], system: Sequence[Mapping[str, Any]]) -> bytes:
        """A whole master. `commands` are by seat, encoded, empty or None where there are none; `checksum` is empty while nothing is agreed."""
        raise NotImplementedError

    def masters(self, first: int, masters: Sequence[bytes]) -> bytes:
        """A batch of masters, one after the other from generation `first`."""
        raise NotImplementedError

    def shown(self, value: Checksum) -> Any:
        """A hash as JSON messages of such a room show it."""
        raise NotImplementedError

    def hash_of(self, shown: Any) -> Checksum:
        """A hash that a JSON message shows; raises `InvalidRequest`."""
        raise NotImplementedError

    def read_master(self, data: bytes) -> MasterPacket:
        """Take a master apart; raises `InvalidRequest`."""
        raise NotImplementedError


# A named tuple's own constructor is a Python function; this is none.
_new_packet: Final = tuple.__new__


def _count(name: str, value: Any) -> float:
    """`latency` or `framerate`: a number from 0; above 65535 it is taken as 65535."""
    if type(value) not in (int, float) or not value >= 0:
        raise InvalidRequest(f"{name} must be a number from 0 to 65535")
    number: float = value
    return min(number, U16)


def _generation(value: Any, name: str = "generation") -> int:
    if type(value) is not int or not 0 <= value <= U32:
        raise InvalidRequest(f"{name} must be an integer from 0 to 4294967295")
    return value


def _checksum(given: Any) -> tuple[int, Checksum]:
    if type(given) is not dict:
        raise InvalidRequest("checksum must be an object with generation and value")
    value = _value(given.get("value"), "checksum.value")
    return _generation(given.get("generation"), "checksum.generation"), value


def _value(value: Any, name: str) -> Checksum:
    if type(value) is str:
        good = len(value) <= CHECKSUM_CHARACTERS
    else:
        good = type(value) is dict and 0 < len(value) <= CHECKSUM_SECTIONS and all(_is_section(*section) for section in value.items())
    if not good:
        raise InvalidRequest(f"{name} must be a string of up to 128 characters, or an object of up to 64 such strings by name")
    return value  # type: ignore[no-any-return]


_JSON_SEATS: Final = [b'"%d":' % seat for seat in range(SEATS)]


def _is_section(name: str, value: Any) -> bool:
    return len(name) <= CHECKSUM_CHARACTERS and type(value) is str and len(value) <= CHECKSUM_CHARACTERS


class JSONPackets(Packets):
    """Packets of JSON rooms: text frames."""

    binary = False

    def parse(self, message: Mapping[str, Any]) -> CommandPacket:
        """A `commands` message; raises `InvalidRequest`."""
        get = message.get
        generation, latency, framerate, commands = get("generation"), get("latency"), get("framerate"), get("commands")
        if type(generation) is not int or not 0 <= generation <= U32:
            generation = _generation(generation)
        if type(latency) is not int or not 0 <= latency <= U16:
            latency = _count("latency", latency)
        if type(framerate) is not int or not 0 <= framerate <= U16:
            framerate = _count("framerate", framerate)
        about, checksum = -1, _NO_VALUE
        if (given := get("checksum")) is not None:
            about, checksum = _checksum(given)
        if type(commands) is not list:
            raise InvalidRequest("commands must be an array; an empty one where there are none")
        sections = type(checksum) is dict
        if not commands and not sections:
            return _new_packet(CommandPacket, (generation, latency, framerate, about, checksum, b"", ""))
        try:
            encoded = orjson.dumps(commands) if commands else b""
            # Most packets are small: the whole is measured only where it can matter. All but the commands and a hash in sections is small.
            large = len(encoded) + (len(orjson.dumps(checksum)) if sections else 0) > PACKET_BYTES // 2
            oversized = large and len(orjson.dumps(message)) > PACKET_BYTES
        except (TypeError, ValueError) as error:
            raise InvalidRequest(f"commands cannot be sent on: {error}") from None
        if oversized:
            if sections and len(orjson.dumps(checksum)) > PACKET_BYTES:
                # The hash alone is too large: it is not taken either, since hashes are kept.
                about, checksum = -1, _NO_VALUE
            return _new_packet(CommandPacket, (generation, latency, framerate, about, checksum, b"", OVERSIZED))
        return _new_packet(CommandPacket, (generation, latency, framerate, about, checksum, encoded, ""))

    def checksum(self, generation: int, value: Checksum) -> bytes:
        return b'"checksum":{"generation":%d,"value":%b},' % (generation, orjson.dumps(value))

    def master(self, generation: int, iterations: int, checksum: bytes, commands: list[bytes | None], system: Sequence[Mapping[str, Any]]) -> bytes:
        end = b',"system":%b}' % orjson.dumps(system) if system else b"}"
        return b'{"type":"master","generation":%d,"iterations_per_command":%d,%b"commands":{%b}%b' % (
            generation,
            iterations,
            checksum,
            b",".join([_JSON_SEATS[seat] + said for seat, said in enumerate(commands) if said]),
            end,
        )

    def masters(self, first: int, masters: Sequence[bytes]) -> bytes:
        return b'{"type":"masters","from":%d,"masters":[%b]}' % (first, b",".join(masters))

    def shown(self, value: Checksum) -> Any:
        return value

    def hash_of(self, shown: Any) -> Checksum:
        return _value(shown, "checksum")

    def read_master(self, data: bytes) -> MasterPacket:
        try:
            message = orjson.loads(data)
            checksum = message.get("checksum")
            return MasterPacket(
                _generation(message["generation"]),
                message["iterations_per_command"],
                None if checksum is None else (checksum["generation"], checksum["value"]),
                {int(seat): orjson.dumps(commands) for seat, commands in message["commands"].items()},
                message.get("system", ()),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InvalidRequest("this is no master packet") from None


class BinaryPackets(Packets):
    """Packets of binary rooms: binary frames, everything in network order."""

    binary = True

    def parse(self, data: bytes) -> CommandPacket:
        """A command packet's frame; raises `InvalidRequest`."""
        if len(data) < COMMAND_HEAD_BYTES:
            raise InvalidRequest(f"a command packet has {COMMAND_HEAD_BYTES} bytes at least; this one has {len(data)}")
        kind, flags, generation, latency, framerate, about, checksum = COMMAND_HEAD.unpack_from(data)
        if kind != COMMAND:
            raise InvalidRequest(f"there is no packet of kind {kind} that a client may send; a command packet is 1")
        if flags > 1:
            raise InvalidRequest(f"flags {flags:#x} are not known; bit 0 says that there is a checksum")
        oversized = len(data) > PACKET_BYTES
        commands = b"" if oversized else data[COMMAND_HEAD_BYTES:]
        if not flags:
            about, checksum = -1, _NO_VALUE
        return _new_packet(CommandPacket, (generation, latency, framerate, about, checksum, commands, OVERSIZED if oversized else ""))

    def checksum(self, generation: int, value: Checksum) -> bytes:
        if COMPILED and type(value) is int:
            return native.checksum(generation, value)
        return _pack_checksum(generation, value)

    def master(self, generation: int, iterations: int, checksum: bytes, commands: list[bytes | None], system: Sequence[Mapping[str, Any]]) -> bytes:
        events = orjson.dumps(system) if system else b""
        if COMPILED:
            return native.master(generation, min(iterations, U16), checksum, commands, events)
        head = _MASTER_HEAD.pack(MASTER, 1 if checksum else 0, generation, min(iterations, U16))
        entries = [_ENTRY.pack(seat, len(said)) + said for seat, said in enumerate(commands) if said]
        if events:
            entries.append(_ENTRY.pack(SYSTEM_SEAT, len(events)) + events)
        return b"".join((head, checksum or _NO_CHECKSUM, _COUNT.pack(len(entries)), *entries))

    def masters(self, first: int, masters: Sequence[bytes]) -> bytes:
        parts = [_MASTERS_HEAD.pack(MASTERS, first, len(masters))]
        for master in masters:
            parts += (_LENGTH.pack(len(master)), master)
        return b"".join(parts)

    def shown(self, value: Checksum) -> Any:
        assert isinstance(value, int)
        return f"{value & U64:016x}"

    def hash_of(self, shown: Any) -> Checksum:
        if type(shown) is not str or not _HEX.fullmatch(shown):
            raise InvalidRequest("checksum must be 16 lower-case hex digits")
        return int.from_bytes(bytes.fromhex(shown), "big", signed=True)

    def read_master(self, data: bytes) -> MasterPacket:
        try:
            return self._master(data)
        except (struct.error, ValueError):
            raise InvalidRequest("this is no master packet") from None

    def _master(self, data: bytes) -> MasterPacket:
        kind, flags, generation, iterations = _MASTER_HEAD.unpack_from(data)
        if kind != MASTER:
            raise ValueError(kind)
        checksum = _CHECKSUM.unpack_from(data, _MASTER_HEAD.size) if flags & 1 else None
        offset = _MASTER_HEAD.size + _CHECKSUM.size
        (count,) = _COUNT.unpack_from(data, offset)
        offset += _COUNT.size
        commands: dict[int, bytes] = {}
        for _ in range(count):
            seat, length = _ENTRY.unpack_from(data, offset)
            offset += _ENTRY.size
            commands[seat] = data[offset : offset + length]
            offset += length
        if offset != len(data):
            raise ValueError(offset)
        system = orjson.loads(commands.pop(SYSTEM_SEAT, b"[]"))
        return MasterPacket(generation, iterations, checksum, commands, system)


JSON: Final = JSONPackets()
BINARY: Final = BinaryPackets()


def encode_command(packet: CommandPacket) -> bytes:
    """A client's binary command packet. The 64 bits of its hash may be a signed number or an unsigned one; raises `ValueError` for anything else."""
    flags, about = (1, packet.checksum_generation) if packet.checksum_generation >= 0 else (0, 0)
    value = packet.checksum if flags else 0
    if not isinstance(value, int) or not -_SIGN <= value <= U64:
        raise ValueError(f"the hash of a binary packet has 64 bits; this is {value!r}")
    signed = (value & U64 ^ _SIGN) - _SIGN
    return COMMAND_HEAD.pack(COMMAND, flags, packet.generation, int(packet.latency), int(packet.framerate), about, signed) + packet.commands


def decode_masters(data: bytes) -> tuple[int, list[bytes]]:
    """A binary batch: the first generation and the masters; raises `InvalidRequest`."""
    try:
        kind, first, count = _MASTERS_HEAD.unpack_from(data)
        if kind != MASTERS:
            raise ValueError(kind)
        offset, masters = _MASTERS_HEAD.size, []
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(data, offset)
            offset += _LENGTH.size
            masters.append(data[offset : offset + length])
            offset += length
        if offset != len(data):
            raise ValueError(offset)
    except (struct.error, ValueError):
        raise InvalidRequest("this is no batch of masters") from None
    return first, masters
