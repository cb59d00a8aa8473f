"""What a lock-step client has to do, without a socket or a clock: messages in, messages out.

It follows docs/protocol/lockstep.md: the window of `input_delay`, one packet for each master applied, repeats,
resends, reconnection with `last_generation`, rejoining after a drop, hashes, snapshots, dumps, eviction, and `finish`.
A seat of None is a viewer, who applies and checks the same and sends nothing.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.system import packets
from tests.system.packets import Command, Master
from tests.system.toy_engine import ToyEngine, bytes_of, commands_of


class Player:
    """One client's view of one play.

    `finish_at` is the number of generations after which this client finishes the game (None: it plays on).
    `bulk` bytes are put on top of what each seat of the room commands in each generation.
    `corrupt_at` is the generation before which this client's state goes wrong, once; then a divergence is no surprise.
    `loads` is whether it can begin at a snapshot.
    `out` fills with messages to be sent, JSON as str and packets of binary rooms as bytes.
    """

    def __init__(
        self,
        *,
        seat: int | None,
        binary: bool,
        finish_at: int | None = None,
        latency: int = 20,
        bulk: int = 0,
        corrupt_at: int | None = None,
        loads: bool = True,
    ) -> None:
        self.seat = self._seated = seat
        self.binary = binary
        self.finish_at = finish_at
        self.latency = latency
        self.expects_divergence = corrupt_at is not None
        self.bulk = bulk
        self.corrupt_at = corrupt_at
        self.loads = loads
        self.wrong = False
        """Whether the state is not the play's."""
        self.divergences: list[dict[str, Any]] = []
        self.snapshots: list[int] = []
        """The generations of the snapshots that were loaded, and of those that were given."""
        self.given: list[int] = []
        self.chats: list[tuple[str, int]] = []
        """What was said, and the generation that was next here then."""
        self.applied = 0
        """How many masters."""
        self.evicted = False
        self.out: list[str | bytes] = []
        self.start: dict[str, Any] | None = None
        self.over: dict[str, Any] | None = None
        self.states: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self.ignored_repeats = 0
        self.welcomed = False
        self.greeted = True
        """Whether a `start` that comes now belongs to our hello, or is that of the room's beginning."""

    def _begin(self, start: dict[str, Any]) -> None:
        self.engine = ToyEngine(start["seed"])
        self.window: int = start["input_delay"]
        self.pending: dict[int, Master] = {}
        self.hashes: dict[int, int] = {}
        self.sendable_from = start.get("generation", 0)
        self.last_sent = self.sendable_from - 1
        self.gone: set[int] = set()
        self.wanted: int | None = None
        """The generation of which our state is asked for."""

    @property
    def next(self) -> int:
        """The generation that is applied next, which is how many there have been."""
        return self.engine.generation if self.start else 0

    @property
    def play_id(self) -> str | None:
        return self.start["play_id"] if self.start else None

    @property
    def hash(self) -> int:
        return self.engine.state

    def hello(self, token: str) -> str:
        """The first message of a connection: with what we have, where we have something."""
        message: dict[str, Any] = {"type": "hello", "token": token} | ({} if self.loads else {"snapshots": False})
        if self.start and self.next:
            message |= {"play_id": self.play_id, "last_generation": self.next - 1}
        return json.dumps(message)

    # -- what comes

    def text(self, data: bytes) -> None:
        """A text message."""
        message = json.loads(data)
        handler = getattr(self, f"_on_{message['type']}", None)
        if handler is not None:
            handler(message)

    def packet(self, data: bytes) -> None:
        """A binary message."""
        for master in packets.masters_of_binary(data):
            self._take(master)

    def _on_welcome(self, message: dict[str, Any]) -> None:
        self.welcomed = self.greeted = True
        you = message["you"]
        assert you["seat"] == self._seated, f"welcomed to seat {you['seat']} and not {self._seated}"
        if message.get("evicted"):
            self.evicted, self.seat = True, None
        if self.seat is not None and not message["room"]["state"].startswith("running"):
            self.out.append(json.dumps({"type": "ready", "ready": True}))

    def _on_start(self, message: dict[str, Any]) -> None:
        unasked = not self.greeted
        self.greeted = False
        if self.start is None or self.start["play_id"] != message["play_id"] or unasked:
            # One that nobody asked for says that our state is not the play's.
            self.wrong = False
            self._begin(message)
        self.start = message
        # What we have not yet had of the masters below `generation` comes as history; our packets count from there.
        self.sendable_from = max(self.sendable_from, message.get("generation", 0))
        self.last_sent = max(self.next, self.sendable_from) - 1
        self._fill_window()
        self._maybe_finish()

    def _on_master(self, message: dict[str, Any]) -> None:
        self._take(packets.master_of_json(message))

    def _on_masters(self, message: dict[str, Any]) -> None:
        for number, master in enumerate(message["masters"]):
            assert master["generation"] == message["from"] + number
            self._take(packets.master_of_json(master))

    def _on_resend(self, message: dict[str, Any]) -> None:
        if self.next - 1000 < message["generation"] <= self.last_sent:
            self._send(message["generation"])

    def _on_state(self, message: dict[str, Any]) -> None:
        self.states.append(message["state"])

    def _on_over(self, message: dict[str, Any]) -> None:
        self.over = message

    def _on_error(self, message: dict[str, Any]) -> None:
        self.errors.append(message)

    def _on_chat(self, message: dict[str, Any]) -> None:
        self.chats.append((message["text"], self.next))

    def _on_divergence(self, message: dict[str, Any]) -> None:
        assert self.expects_divergence, f"the room says that we diverged: {message}"
        self.divergences.append(message)

    # -- states

    def _on_snapshot(self, message: dict[str, Any]) -> None:
        saved = json.loads(base64.b64decode(message["state"])) if self.binary else message["state"]
        value = self.engine.load(saved)
        self.gone, self.wrong = set(saved["gone"]), False
        assert self.next == message["generation"] + 1
        assert f"{value:016x}" == message["checksum"], "a snapshot has the hash that it says"
        self.snapshots.append(message["generation"])
        self.hashes = {message["generation"]: value}
        self.pending = {generation: master for generation, master in self.pending.items() if generation >= self.next}
        self.last_sent, self.sendable_from = message["generation"], self.next
        self._fill_window()

    def _on_snapshot_request(self, message: dict[str, Any]) -> None:
        self.wanted = message["generation"]
        self._give_snapshot()

    def _give_snapshot(self) -> None:
        if self.wanted is not None and self.next > self.wanted:
            self.wanted = None
            self.given.append(self.next - 1)
            checksum = f"{self.hash:016x}"
            self.out.append(json.dumps({"type": "snapshot", "generation": self.next - 1, "checksum": checksum, "state": self._state()}))

    def _on_dump_request(self, message: dict[str, Any]) -> None:
        self.out.append(json.dumps({"type": "dump", "generation": self.next - 1, "state": self._state()}))

    def _state(self) -> Any:
        saved = {**self.engine.save(), "gone": sorted(self.gone)}
        return base64.b64encode(json.dumps(saved).encode()).decode() if self.binary else saved

    def nudge(self) -> None:
        """Nothing has come for long: send the window again, as what we sent or were sent may be lost."""
        if self.start and self.seat is not None:
            for generation in range(max(self.next, self.sendable_from), self.last_sent + 1):
                self._send(generation)
        self._maybe_finish()

    # -- masters

    def _take(self, master: Master) -> None:
        if master.generation < self.next or master.generation in self.pending:
            self.ignored_repeats += 1
            return
        missing = master.generation > self.next and not self.pending
        self.pending[master.generation] = master
        if missing and self.seat is not None and self.next <= self.last_sent:
            self._send(self.next)  # A packet for a generation that is mastered is answered by that master.
        while self.next in self.pending:
            self._apply(self.pending.pop(self.next))
        self._maybe_finish()

    def _apply(self, master: Master) -> None:
        leaving = {event[key] for event in master.system for key in ("dropped", "left", "evicted") if key in event}
        self._check(master, leaving)
        self.gone |= leaving
        if master.generation == self.corrupt_at:
            self.corrupt_at, self.wrong = None, True
            self.engine.corrupt()
        self.hashes[master.generation] = self.engine.apply(master.iterations, master.commands, master.system)
        self.applied += 1
        for event in master.system:
            self.events.append(event)
            self.gone -= {event["rejoined"]} if "rejoined" in event else set()
            if event.get("rejoined") == self.seat:
                # Our packets count from the next master on; those that the room has not are to be sent again.
                self.last_sent = master.generation
            if event.get("evicted") == self.seat is not None:
                self.evicted, self.seat = True, None
        self._give_snapshot()
        self._fill_window()

    def _check(self, master: Master, leaving: set[int]) -> None:
        assert self.start is not None
        for player in self.start["players"]:
            seat = player["seat"]
            held = master.commands.get(seat)
            if seat in self.gone:
                assert not held, f"master {master.generation} holds commands of seat {seat}, which was dropped"
            elif held or seat not in leaving:
                wanted = self._commands(seat, master.generation)
                assert (held or None) == (wanted or None), f"master {master.generation}, seat {seat}: {held!r} and not {wanted!r}"
                assert held is None or held, "a seat with no command is left out"
        if master.checksum is not None and not self.wrong and master.checksum[0] in self.hashes:
            of, value = master.checksum
            assert value == f"{self.hashes[of]:016x}", f"master {master.generation} says that generation {of} had the hash {value}"

    def _commands(self, seat: int, generation: int) -> Any:
        if self.binary:
            return bytes_of(seat, generation) + b"x" * self.bulk
        return commands_of(seat, generation) + ["x" * self.bulk] * (self.bulk > 0)

    # -- packets

    def _fill_window(self) -> None:
        if self.seat is None:
            return
        last = self.next - 1 + self.window
        if self.finish_at is not None:
            last = min(last, self.finish_at - 1)
        while self.last_sent < last:
            self.last_sent += 1
            if self.last_sent >= self.sendable_from:
                self._send(self.last_sent)

    def _send(self, generation: int) -> None:
        assert self.start is not None
        assert self.seat is not None
        applied = generation - self.window
        reports = applied in self.hashes and applied % self.start["checksum_interval"] == 0
        packet = Command(
            generation=generation,
            latency=self.latency,
            framerate=60,
            checksum=(applied, self.hashes[applied]) if reports else None,
            commands=self._commands(self.seat, generation),
        )
        self.out.append(packets.command_to_binary(packet) if self.binary else packets.command_to_json(packet).decode())

    def _maybe_finish(self) -> None:
        if self.seat is not None and self.finish_at is not None and self.next == self.finish_at and self.over is None:
            results = {"winner": self.hash % 2, "hash": f"{self.hash:016x}"}
            self.out.append(json.dumps({"type": "finish", "generation": self.finish_at - 1, "results": results}))
