"""Packets of lock-step rooms: the documented bytes, and the laws of the codecs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import orjson
from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.wire.lockstep import (
    BINARY,
    JSON,
    OVERSIZED,
    PACKET_BYTES,
    SYSTEM_SEAT,
    U16,
    U32,
    CommandPacket,
    decode_masters,
    encode_command,
)

PAGE = (Path(__file__).parents[2] / "docs/protocol/lockstep.md").read_text()

u16, u32, i64 = st.integers(0, U16), st.integers(0, U32), st.integers(-(2**63), 2**63 - 1)
HIGH = 0xFEDCBA9876543210 - 2**64
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
events = st.lists(st.dictionaries(st.sampled_from(["dropped", "rejoined", "left"]), st.integers(0, 63), min_size=1, max_size=1), max_size=3)


def commands(**fields: Any) -> dict[str, Any]:
    return {"type": "commands", "generation": 7, "latency": 42, "framerate": 60, "commands": []} | fields


def listed(by_seat: dict[int, bytes]) -> list[bytes | None]:
    return [by_seat.get(seat) for seat in range(max(by_seat, default=-1) + 1)]


def documented(title: str) -> bytes:
    """The bytes that stand below this line of the page."""
    [found] = re.findall(rf"^{re.escape(title)}.*\n([0-9a-f ]+)$", PAGE, re.MULTILINE)
    return bytes.fromhex(found)


class GoldenTests(SynchronousTestCase):
    """What docs/protocol/lockstep.md shows is what is sent."""

    def test_binary_command_packets(self) -> None:
        """Both command packets of the page are read as it says, and made so."""
        full = CommandPacket(7, 42, 60, 5, 0x0123456789ABCDEF, b"\x01\x02\x03")
        bare = CommandPacket(0, 42, 60, -1, 0, b"")
        for title, packet in (("command 7", full), ("command 0", bare)):
            self.assertEqual(BINARY.parse(documented(title)), packet)
            self.assertEqual(encode_command(packet), documented(title))

    def test_binary_master(self) -> None:
        """The page's master is made of what stands above it."""
        commands = [b"\x01\x02\x03", None, b"\xff"]
        made = BINARY.master(7, 3, BINARY.checksum(4, HIGH), commands, [{"dropped": 1}])
        self.assertEqual(made, documented("master 7"))
        self.assertEqual(BINARY.shown(HIGH), "fedcba9876543210")

    def test_hash_of_a_message(self) -> None:
        """What JSON messages show of a hash is read again; anything else is 100."""
        self.assertEqual(BINARY.hash_of("fedcba9876543210"), HIGH)
        self.assertEqual((JSON.hash_of("x" * 128), JSON.hash_of({"map": "a"})), ("x" * 128, {"map": "a"}))
        binary: list[Any] = [None, 1, "", "fedcba987654321", "FEDCBA9876543210", "fedcba98765432100", " fedcba987654321", {"map": "a"}]
        json: list[Any] = [None, 1, "x" * 129, {}, {"map": 1}, ["a"]]
        for packets, wrong in ((BINARY, binary), (JSON, json)):
            for shown in wrong:
                self.assertRaises(InvalidRequest, packets.hash_of, shown)

    def test_binary_batch(self) -> None:
        """The page's batch holds its two masters."""
        masters = [BINARY.master(0, 3, b"", [], []), BINARY.master(1, 3, b"", [b"\x09"], [])]
        self.assertEqual(BINARY.masters(0, masters), documented("masters 0"))
        self.assertEqual(decode_masters(documented("masters 0")), (0, masters))

    def test_json(self) -> None:
        """The page's JSON packets: the command is read, the master is made byte for byte."""
        blocks = re.findall(r"```json\n(.*)\n```", PAGE)
        packet = JSON.parse(json.loads(blocks[0]))
        self.assertEqual(packet, CommandPacket(7, 42, 60, 5, "9f3c", b'[{"move":"left"}]'))
        made = JSON.master(7, 3, JSON.checksum(4, "9f3c"), [packet.commands, b"", b"[1,2]"], [{"dropped": 1}])
        self.assertEqual(made.decode(), blocks[1])


class JSONCommandTests(SynchronousTestCase):
    """What a JSON command packet may be."""

    def test_refused(self) -> None:
        """Each field has its own sentence when it is wrong."""
        deep: list[Any] = []
        for _ in range(300):
            deep = [deep]
        for field, value in (
            ("generation", None),
            ("generation", True),
            ("generation", -1),
            ("generation", 1.0),
            ("generation", U32 + 1),
            ("latency", None),
            ("latency", -1),
            ("latency", "42"),
            ("latency", False),
            ("latency", float("nan")),
            ("framerate", None),
            ("framerate", -0.5),
            ("checksum", "9f3c"),
            ("checksum", {"generation": 1}),
            ("checksum", {"generation": -1, "value": "a"}),
            ("checksum", {"generation": 1, "value": 5}),
            ("checksum", {"generation": 1, "value": "a" * 129}),
            ("checksum", {"generation": 1, "value": {}}),
            ("checksum", {"generation": 1, "value": {"units": 1}}),
            ("checksum", {"generation": 1, "value": {str(n): "" for n in range(65)}}),
            ("commands", None),
            ("commands", {"0": 1}),
            ("commands", "left"),
            ("commands", [deep]),
        ):
            error = self.assertRaises(InvalidRequest, JSON.parse, commands(**{field: value}))
            self.assertIn(field, error.message)

    def test_clamped(self) -> None:
        """Fractions are taken, and what is above 65535 counts as that; a checksum of null is none."""
        packet = JSON.parse(commands(latency=1e9, framerate=59.94, checksum=None))
        self.assertEqual((packet.latency, packet.framerate, packet.checksum_generation), (U16, 59.94, -1))
        self.assertEqual(JSON.parse(commands(latency=U16 + 1)).latency, U16)

    def test_sections(self) -> None:
        """A hash may be an object of named sections."""
        sections = {"units": "a" * 128, "map": ""}
        self.assertEqual(JSON.parse(commands(checksum={"generation": 3, "value": sections})).checksum, sections)

    def test_too_big(self) -> None:
        """Past 16 KiB of compact JSON a packet counts as one without commands; up to there it is whole."""
        room = PACKET_BYTES - len(orjson.dumps(commands(commands=[""])))
        fits, big = JSON.parse(commands(commands=["x" * room])), JSON.parse(commands(commands=["x" * (room + 1)]))
        self.assertEqual((fits.fault, len(fits.commands)), ("", room + 4))
        self.assertEqual((big.fault, big.commands, big.generation), (OVERSIZED, b"", 7))

    def test_oversized_by_sections(self) -> None:
        """The sections of a hash count as well, with and without commands."""
        sections = {f"{number:0>128}": "x" * 128 for number in range(61)}
        for moves in ([], [{"move": "left"}]):
            packet = commands(commands=moves, checksum={"generation": 5, "value": sections})
            room = PACKET_BYTES - len(orjson.dumps(packet))
            sections["rest"] = "€" * 80 + "y" * (room - 240 - len(',"rest":""'))
            fits = JSON.parse(commands(commands=moves, checksum={"generation": 5, "value": sections}))
            self.assertEqual((fits.fault, fits.commands), ("", orjson.dumps(moves) if moves else b""))
            sections["rest"] += "y"
            big = JSON.parse(commands(commands=moves, checksum={"generation": 5, "value": sections}))
            self.assertEqual((big.fault, big.commands, big.checksum_generation), (OVERSIZED, b"", 5))
            del sections["rest"]

    def test_oversized_hash(self) -> None:
        """A hash that is over 16 KiB by itself is not taken either, as hashes are kept."""
        sections = {f"{number:0>128}": "x" * 128 for number in range(62)}
        sections["rest"] = "€" * 40 + "y" * (PACKET_BYTES - len(orjson.dumps(sections)) - 120 - len(',"rest":""'))
        packet = commands(commands=[{"move": "left"}], checksum={"generation": 5, "value": sections})
        self.assertEqual(JSON.parse(packet)[3:], (5, sections, b"", OVERSIZED))
        sections["rest"] += "y"
        self.assertEqual(JSON.parse(packet)[3:], (-1, 0, b"", OVERSIZED))

    @given(st.dictionaries(st.sampled_from(["generation", "latency", "framerate", "checksum", "commands", "else"]), json_values))
    def test_garbage(self, message: dict[str, Any]) -> None:
        """Whatever a message holds, it is a packet or `InvalidRequest`."""
        try:
            JSON.parse(message)
        except InvalidRequest:
            return


class BinaryCommandTests(SynchronousTestCase):
    """What a binary command packet may be."""

    @given(u32, u16, u16, st.none() | st.tuples(u32, i64), st.binary(max_size=100))
    def test_round_trip(self, generation: int, latency: int, framerate: int, checksum: tuple[int, int] | None, data: bytes) -> None:
        """Every packet comes out as it went in."""
        about, value = checksum or (-1, 0)
        packet = CommandPacket(generation, latency, framerate, about, value, data)
        self.assertEqual(BINARY.parse(encode_command(packet)), packet)
        self.assertEqual(encode_command(packet._replace(checksum=value % 2**64)), encode_command(packet))

    def test_no_hash(self) -> None:
        """What is no 64 bits is not sent as if it were."""
        for value in ("9f3c", {"map": "a"}, 2**64, -(2**63) - 1):
            self.assertRaises(ValueError, encode_command, CommandPacket(3, 42, 60, 1, value, b""))

    def test_refused(self) -> None:
        """Short ones, other kinds and unknown flags."""
        good = documented("command 7")
        for bad in (b"", good[:21], b"\x02" + good[1:], b"\x01\x02" + good[2:]):
            self.assertRaises(InvalidRequest, BINARY.parse, bad)

    def test_no_checksum(self) -> None:
        """Without its flag the checksum's bytes say nothing."""
        packet = BINARY.parse(b"\x01\x00" + documented("command 7")[2:])
        self.assertEqual((packet.checksum_generation, packet.checksum), (-1, 0))

    def test_too_big(self) -> None:
        """Past 16 KiB with its head a packet counts as one without commands."""
        head = documented("command 0")
        fits, big = BINARY.parse(head.ljust(PACKET_BYTES, b"x")), BINARY.parse(head.ljust(PACKET_BYTES + 1, b"x"))
        self.assertEqual((fits.fault, len(fits.commands)), ("", PACKET_BYTES - 22))
        self.assertEqual((big.fault, big.commands), (OVERSIZED, b""))


class MasterTests(SynchronousTestCase):
    """Masters are read as they were made."""

    @given(u32, u16, st.none() | st.tuples(u32, i64), st.dictionaries(st.integers(0, 63), st.binary(min_size=1, max_size=30)), events)
    def test_binary(self, generation: int, iterations: int, checksum: tuple[int, int] | None, by_seat: dict[int, bytes], system: list[Any]) -> None:
        """A binary master round trips, commands in the order of seats and `system` last; cut short or with more behind it is none."""
        data = BINARY.master(generation, iterations, BINARY.checksum(*checksum) if checksum else b"", listed(by_seat), system)
        master = BINARY.read_master(data)
        self.assertEqual((master.generation, master.iterations_per_command, master.checksum), (generation, iterations, checksum))
        self.assertEqual((list(master.commands.items()), list(master.system)), (sorted(by_seat.items()), system))
        if system:
            said = orjson.dumps(system)
            self.assertTrue(data.endswith(SYSTEM_SEAT.to_bytes(2, "big") + len(said).to_bytes(2, "big") + said))
        for bad in (data[:-1], data + b"\0"):
            self.assertRaises(InvalidRequest, BINARY.read_master, bad)

    @given(
        u32, u16, st.none() | st.tuples(u32, st.text(max_size=128)), st.dictionaries(st.integers(0, 63), st.lists(json_values, min_size=1)), events
    )
    def test_json(self, generation: int, iterations: int, checksum: tuple[int, str] | None, by_seat: dict[int, Any], system: list[Any]) -> None:
        """A JSON master round trips."""
        commands = listed({seat: orjson.dumps(value) for seat, value in by_seat.items()})
        data = JSON.master(generation, iterations, JSON.checksum(*checksum) if checksum else b"", commands, system)
        master = JSON.read_master(data)
        self.assertEqual((master.generation, master.iterations_per_command, master.checksum), (generation, iterations, checksum))
        self.assertEqual({seat: orjson.loads(value) for seat, value in master.commands.items()}, by_seat)
        self.assertEqual((list(master.commands), list(master.system)), (sorted(by_seat), system))

    def test_nothing_to_say(self) -> None:
        """A seat without commands is left out, by either codec."""
        for packets in (JSON, BINARY):
            self.assertEqual(packets.master(0, 3, b"", [b"", None], []), packets.master(0, 3, b"", [], []))

    @given(u32, st.lists(st.binary(max_size=40), max_size=5))
    def test_batches(self, first: int, masters: list[bytes]) -> None:
        """A binary batch gives its masters back; cut short or with more behind it is none."""
        data = BINARY.masters(first, masters)
        self.assertEqual(decode_masters(data), (first, masters))
        for bad in (data[:-1], data + b"\0", b"\x02" + data[1:]):
            self.assertRaises(InvalidRequest, decode_masters, bad)

    def test_json_batch(self) -> None:
        """A JSON batch is one message with the masters as they are."""
        masters = [JSON.master(generation, 3, b"", [], []) for generation in (4, 5)]
        batch = json.loads(JSON.masters(4, masters))
        self.assertEqual(batch, {"type": "masters", "from": 4, "masters": [json.loads(master) for master in masters]})

    @given(st.binary(max_size=60))
    def test_garbage(self, data: bytes) -> None:
        """Whatever comes, only our error is raised."""
        for read in (BINARY.read_master, JSON.read_master, decode_masters, BINARY.parse):
            try:
                read(data)
            except InvalidRequest:
                continue
