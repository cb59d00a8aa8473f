"""A whole referee with a recording on a real disk, for a machine: it may be killed at any time, and what it has given is looked at.

What else may happen is in tests/referees/test_lockstep_machine.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gameroom.errors import BadState, Forbidden
from gameroom.referees.lockstep_stage import Stage
from gameroom.rules.lockstep import Play
from gameroom.rules.room import Member
from gameroom.rules.seats import PLAYS
from tests.referees.lockstep_crowd import Crowded, as_sent, events, masters_of, numbers, step
from tests.referees.lockstep_world import PLAY, RefereeCase

MENU = {
    "running": {
        "states": {
            "iterating": {"on": {"menu": "running.paused.menu"}},
            "paused": {"states": {"menu": {"on": {"resume": "running.iterating"}}}},
        }
    }
}
NAMES = ("ann", "bob", "cat", "vic")


class _World(RefereeCase):
    """The room and the disk of one run."""

    third = True
    __test__ = False

    def setUp(self) -> None:
        """No room yet."""

    def runTest(self) -> None:
        """It is used for what it has, and runs nothing."""


class Killable(RuleBasedStateMachine):
    """The referee, the disk, three clients who play and one who looks on."""

    @initialize(
        binary=st.booleans(),
        sync=st.booleans(),
        options=st.fixed_dictionaries(
            {
                "input_delay": st.integers(1, 4),
                "checksum_interval": st.integers(1, 2),
                "on_divergence": st.sampled_from(["halt", "evict", "resync"]),
                "viewer_delay": st.sampled_from([0, 0, 3]),
                "patience": st.sampled_from([None, None, 500]),
                "states": st.sampled_from([None, MENU]),
            }
        ),
    )
    def begin(self, binary: bool, sync: bool, options: dict[str, Any]) -> None:
        self.world = world = _World()
        # What is on the disk is what the machine says, and the real one is slow.
        self.disk = mock.patch("gameroom.store.recording.os.fdatasync")
        self.disk.start()
        world.lay(encoding="binary" if binary else "json", journal="sync" if sync else "async", **options)
        self.binary, self.sync, self.delay = binary, sync, options["viewer_delay"]
        self.clients = {name: Crowded(name, NAMES.index(name) if name != "vic" else None, binary=binary) for name in NAMES}
        self.recorded: list[bytes] = []
        """The masters that anybody has, the states after each, and what they carry out."""
        self.states = [""]
        self.carried_out: set[tuple[int | None, int]] = set()
        self.durable = 0
        """Bytes of the recording that no loss of power takes."""
        self.ever_wrong = False
        self.taken: dict[tuple[int, int], list[int]] = {}
        """By seat and generation: the commands that a seat which counts gave in time, and which are in no master yet."""
        self.mastered = self.on_disk = 0
        world.begin()
        world.threads = []
        self.durable = self.path().stat().st_size
        for name, client in self.clients.items():
            client.arrive(world.room.here[name][0])

    # Helpers.

    @property
    def on(self) -> bool:
        return not self.world.room.ended

    @property
    def stage(self) -> Stage:
        stage = self.world.referee._stage
        assert stage is not None
        return stage

    @property
    def play(self) -> Play:
        return self.stage.play

    def client(self, choice: int) -> Crowded:
        return self.clients[NAMES[choice]]

    def say(self, client: Crowded, message: dict[str, Any]) -> bool:
        """Whether it was taken."""
        try:
            self.world.referee.text(client.name, message, client.connection)
        except (BadState, Forbidden):
            return False
        return True

    def path(self) -> Path:
        return self.world.recordings.path(PLAY)

    # The disk.

    @precondition(lambda self: self.on)
    @rule()
    def disk_is_done(self) -> None:
        """What was on its way to the disk is there."""
        while self.world.threads:
            self.durable, self.on_disk = self.path().stat().st_size, self.play.generation if self.on else self.on_disk
            self.world.release()

    @precondition(lambda self: self.on)
    @rule(power=st.booleans(), torn=st.integers(0, 40), sure=st.integers(0, 3))
    def killed(self, power: bool, torn: int, sure: int) -> None:
        """The daemon is killed, or where masters wait for the disk the power fails, and it is started again: there is the file, and nothing else."""
        if not sure:
            self.start_again(power, torn)

    def start_again(self, power: bool, torn: int) -> None:
        world, data = self.world, self.path().read_bytes()
        if power and self.sync:
            data = data[: self.durable + torn]
        else:
            data += b'{"t":123456,"type":"master","generation":7'[:torn]
        for client in self.clients.values():
            newest = max(client.connection.generations(), default=-1) if client.connection is not None else -1
            assert newest < len(masters_of(data, self.binary)), "nobody was given what this loses"
        old = world.referee
        here = [name for name, client in self.clients.items() if client.connection is not None]
        folder, options, members, host = world.folder, world.room.options, world.room.members, world.room.host
        self.afterwards(old)
        # What was given and is in no master is to be given again; some that was mastered nobody was told yet.
        self.taken, self.mastered = {}, len(masters_of(data, self.binary))
        self.on_disk = self.mastered
        world.lay(**{name: getattr(options, name) for name in self.OPTIONS})
        world.folder.mkdir(parents=True, exist_ok=True)
        for file in folder.glob("*/*"):
            new = world.folder / file.parent.name / file.name
            new.parent.mkdir(exist_ok=True)
            new.write_bytes(data if file.suffix == ".ndjson" else file.read_bytes())
        world.room.members, world.room.host, world.room.here = dict[str, Member](members), host, {}
        for name in here:
            self.clients[name].connection = None
        world.successResultOf(world.referee.restore(PLAY, [player for player in world.players if player.user_id in members]))
        world.threads = []
        self.durable = self.path().stat().st_size

    OPTIONS = ("encoding", "journal", "input_delay", "checksum_interval", "on_divergence", "viewer_delay", "patience", "states")

    def afterwards(self, referee: Any) -> None:
        """A dead daemon holds no files open."""
        referee._stage.agenda.on = False
        self.world.threads = None
        self.world.recordings.close(referee._stage.recording)

    # What always holds.

    @invariant()
    def all_are_given_the_same(self) -> None:
        """Every master that anybody has is in the recording, at its place, and stays there; no command is in two of them."""
        if not hasattr(self, "world"):
            return
        masters = masters_of(self.path().read_bytes(), self.binary)
        most = max(client.applied for client in self.clients.values())
        assert most <= (self.on_disk if self.sync else len(masters)), "nothing is given that is not recorded"
        assert masters[: len(self.recorded)] == self.recorded, "what was given stays"
        self.look_for_taken(masters)
        for master in masters[len(self.recorded) : most]:
            self.recorded.append(master)
            self.states.append(step(self.states[-1], as_sent(master, self.binary)))
            for seat, commands in numbers(master, self.binary).items():
                for number in commands:
                    assert (seat, number) not in self.carried_out, f"command {number} of seat {seat} is in two masters"
                    self.carried_out.add((seat, number))
        for client in self.clients.values():
            assert client.state == self.states[client.applied], f"{client.name} was given something else"
        if self.on and self.delay:
            assert self.clients["vic"].applied <= max(0, len(masters) - self.delay), "a viewer is held back"

    def look_for_taken(self, masters: list[bytes]) -> None:
        """What was taken in time is in its very master, unless that says that its seat does not count."""
        for generation in range(self.mastered, len(masters)):
            out = [event[name] for event in events(masters[generation], self.binary) for name in ("dropped", "left", "evicted") if name in event]
            self.taken = {key: given for key, given in self.taken.items() if key[0] not in out}
            there = numbers(masters[generation], self.binary)
            for seat, about in [key for key in self.taken if key[1] == generation]:
                assert there.get(seat, []) == self.taken.pop((seat, about)), f"generation {generation} is without what seat {seat} gave"
        self.mastered = len(masters)
        status = self.play.seats.status if self.on else {}
        self.taken = {key: given for key, given in self.taken.items() if status.get(key[0]) is PLAYS}
