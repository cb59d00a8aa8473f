"""Clients for the machine that plays against a whole referee: what each has been given, what it makes of that, and what it sends."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from typing import Any

from gameroom.store.recording import master_of
from gameroom.wire.lockstep import BINARY, CommandPacket, decode_masters, encode_command
from tests.referees.lockstep_world import FakeConnection


def step(state: str, master: bytes) -> str:
    """The state after one more master: a hash of all that there were."""
    return hashlib.blake2b(state.encode() + master, digest_size=8).hexdigest()


class Crowded:
    """One member's client, which follows docs/protocol/lockstep.md. `seat` is None for a viewer.

    It reads what its connection was given only when it is told to, so anything may be on its way.
    Its commands are numbers, each given once; one that was acknowledged and is not in the master that it was for is given again in a later packet.
    """

    def __init__(self, name: str, seat: int | None, *, binary: bool) -> None:
        self.name = name
        self.seat = seat
        self.binary = binary
        self.connection: FakeConnection | None = None
        self.number = 0
        self.wrong = ""
        """What is wrong with the state; it is in the hash."""
        self.forget()

    def forget(self) -> None:
        """The page is loaded anew, and knows nothing."""
        self.given: set[int] = set()
        """The commands that were acknowledged and are in no master that has come."""
        self.again: list[int] = []
        """Those of them that their master came without: to be sent once more."""
        self.made: dict[int, list[int]] = {}
        """By generation: the commands of our packets, of those whose masters have not come."""
        self.play_id: str | None = None
        self.out: list[dict[str, Any]] = []
        self.wanted: int | None = None
        self.greeted = True
        self.delay = self.interval = 1
        self._begin()

    def _begin(self) -> None:
        self.wrong = ""
        self.applied, self.state, self.first = 0, "", 0
        self.sent = -1
        self.hashes: dict[int, str] = {}

    def arrive(self, connection: FakeConnection) -> None:
        """A new connection, which has said hello."""
        self.connection, self.read, self.greeted = connection, 0, True
        self.repeats = Counter[int]()
        """By generation: how often its master comes again, which is once for each packet of ours that came late."""
        self.out, self.wanted = [], None

    # What comes.

    def take(self, most: int) -> None:
        """Read some of what was given to our connection."""
        while self.connection is not None and most and self.read < len(self.connection.got):
            outgoing = self.connection.got[self.read]
            self.read += 1
            most -= 1
            if outgoing.binary:
                for master in [outgoing.data] if outgoing.data[0] == 2 else decode_masters(outgoing.data)[1]:
                    self._master(BINARY.read_master(master).generation, master)
            else:
                self._message(json.loads(outgoing.data), outgoing.data)

    def _message(self, message: dict[str, Any], data: bytes) -> None:
        kind = message["type"]
        if kind == "master":
            self._master(message["generation"], as_sent(data, binary=False))
        elif kind == "masters":
            for number, master in enumerate(message["masters"]):
                self._master(message["from"] + number, as_sent(json.dumps(master).encode(), binary=False))
        elif kind == "start":
            self._start(message)
        elif kind == "snapshot":
            self._load(message)
        elif kind == "resend":
            # What we have not come to yet we send in time.
            if self.seat is not None and message["generation"] <= self.sent:
                self.sent = min(self.sent, message["generation"] - 1)
        elif kind == "snapshot_request":
            self.wanted = message["generation"]
        elif kind == "dump_request":
            self.out.append({"type": "dump", "generation": max(0, self.applied - 1), "state": self._saved()})

    def _start(self, message: dict[str, Any]) -> None:
        if self.play_id != message["play_id"] or not self.greeted:
            # Nobody asked for it: our state is not the play's. What we have commanded may be in masters that come once more.
            self._begin()
        self.greeted = False
        self.play_id = message["play_id"]
        self.delay, self.interval = message["input_delay"], message["checksum_interval"]
        self.first = max(self.first, message.get("generation", 0))
        self.sent = max(self.applied, self.first) - 1

    def _load(self, message: dict[str, Any]) -> None:
        state = json.loads(base64.b64decode(message["state"])) if self.binary else message["state"]
        assert message["generation"] + 1 == state["applied"]
        for generation in [generation for generation in self.made if generation < state["applied"]]:
            # Whether these are in their masters we shall never know.
            self.given -= set(self.made.pop(generation))
        self.again = [number for number in self.again if number in self.given]
        self.applied, self.state, self.wrong = state["applied"], state["state"], state["wrong"]
        assert message["checksum"] == self.hash, "what is given as good has the hash that it is said to have"
        self.hashes = {self.applied - 1: self.hash}
        self.first = max(self.applied, self.first)
        self.sent = self.first - 1

    def _master(self, generation: int, data: bytes) -> None:
        if generation < self.applied:
            assert self.repeats[generation], f"{self.name} is given {generation} once more and did not ask for it"
            self.repeats[generation] -= 1
            return
        assert generation == self.applied, f"{self.name} has {self.applied} masters and is given {generation}"
        self.state = step(self.state, data)
        self.applied += 1
        self.hashes[generation] = self.hash
        self._look(generation, data)

    def _look(self, generation: int, data: bytes) -> None:
        """Whether our commands are in it, and what it says of us."""
        for number in numbers(data, self.binary).get(self.seat, ()):
            self.given.discard(number)
            self.again = [other for other in self.again if other != number]
        self.again += [number for number in self.made.pop(generation, ()) if number in self.given and number not in self.again]
        for event in events(data, self.binary):
            if self.seat is not None and event.get("rejoined") == self.seat:
                self.sent = generation
            if self.seat is not None and event.get("evicted") == self.seat:
                self.seat = None

    @property
    def hash(self) -> str:
        """Of the state that we have."""
        return step(self.state + self.wrong, b"")

    def _saved(self) -> Any:
        saved = {"applied": self.applied, "state": self.state, "wrong": self.wrong}
        return base64.b64encode(json.dumps(saved).encode()).decode() if self.binary else saved

    def snapshot(self) -> dict[str, Any] | None:
        """The answer to a request, once we have come so far."""
        if self.wanted is None or self.applied <= self.wanted:
            return None
        self.wanted = None
        return {"type": "snapshot", "generation": self.applied - 1, "checksum": self.hash, "state": self._saved()}

    # What it sends.

    def packets(self) -> list[CommandPacket]:
        """Those of the window that were not sent yet."""
        if self.seat is None or self.play_id is None:
            return []
        start = max(self.sent + 1, self.applied, self.first)
        return [self._packet(generation) for generation in range(start, self.applied + self.delay)]

    def _packet(self, generation: int) -> CommandPacket:
        if generation not in self.made:
            self.made[generation] = self._new_commands(generation)
        commands = self.made[generation]
        about = generation - self.delay
        report = about in self.hashes and about % self.interval == 0
        value: Any = 0 if not report else int(self.hashes[about], 16) if self.binary else self.hashes[about]
        return CommandPacket(generation, 40, 60, about if report else -1, value, json.dumps(commands).encode() if commands else b"")

    def _new_commands(self, generation: int) -> list[int]:
        if self.again:
            return [self.again.pop(0)]
        if generation % 3 == 0:
            return []
        self.number += 1
        return [self.number]

    def commands(self, packet: CommandPacket) -> list[int]:
        """Those of a packet."""
        return list(json.loads(packet.commands or b"[]"))

    def unseen(self) -> set[int]:
        """The commands that were acknowledged and neither are in a master that has come nor wait for one."""
        return self.given - {number for numbers in self.made.values() for number in numbers}

    def went(self, packet: CommandPacket, repeated: bool) -> None:
        """It was sent, and acknowledged; or it came late, and is answered by its master where that is to be `repeated`."""
        self.repeats[packet.generation] += repeated
        self.sent = max(self.sent, packet.generation)
        self.given |= set(self.made.get(packet.generation, ()))


def as_message(packet: CommandPacket) -> dict[str, Any]:
    """A packet as JSON rooms have it."""
    message: dict[str, Any] = {"type": "commands", "generation": packet.generation, "latency": 40, "framerate": 60}
    if packet.checksum_generation >= 0:
        message["checksum"] = {"generation": packet.checksum_generation, "value": packet.checksum}
    return {**message, "commands": json.loads(packet.commands or b"[]")}


def as_frame(packet: CommandPacket) -> bytes:
    """A packet as binary rooms have it."""
    return encode_command(packet)


def as_sent(master: bytes, binary: bool) -> bytes:
    """A master in one way of writing it, whether it came alone, in a batch or in the recording."""
    return master if binary else json.dumps(json.loads(master)).encode()


def numbers(master: bytes, binary: bool) -> dict[int | None, list[int]]:
    """The commands of a master, by seat."""
    if binary:
        return {seat: json.loads(commands) for seat, commands in BINARY.read_master(master).commands.items()}
    return {int(seat): commands for seat, commands in json.loads(master)["commands"].items()}


def events(master: bytes, binary: bool) -> list[dict[str, Any]]:
    """The system events of a master."""
    return list(BINARY.read_master(master).system) if binary else json.loads(master).get("system", [])


def masters_of(data: bytes, binary: bool) -> list[bytes]:
    """The masters of a recording, whose last line may be torn."""
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    return [master for line in lines if (master := master_of(line, binary)) is not None]
