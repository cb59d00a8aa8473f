"""Service and daemon are killed at random in a game whose result is known: nothing that was answered is lost, and nothing is done twice.

The members come by three doors into one room, on both databases, with a service of the bundle and with one that runs elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

import gameroom
from tests.postgres import shared_server
from tests.system.harness import LOOPBACK, Daemon, DaemonMaker, free_port, wait_until
from tests.system.ledger import Table
from tests.system.store import upload
from tests.system.test_browser_relay import packed

KILLS = int(os.environ.get("GAMEROOM_TEST_KILLS", "3"))
"""About so many in one play of each daemon; before a release some hundreds in all, and services and databases in every pair."""
STEPS = 12
"""Of one play, at most."""
PROGRAM = Path(__file__).with_name("ledger_service.py")
KIT = Path(gameroom.__file__).parent / "cli" / "templates" / "service" / "gameroom_service.py"
SETTINGS = {
    "service": {"timeout": 1.0},
    "limits": {"messages_per_second": 5000},
    "rooms": {"reconnect_window": 60.0, "room_ttl": 120.0},
}
TOML = '[hosting]\nkind = "service"\nmax_players = 4\n\n[service]\n'


class OfTheBundle:
    """A service that the daemon starts itself, and starts again."""

    def __init__(self, folder: Path) -> None:
        self.toml = TOML + f'command = ["python3", "{PROGRAM.name}"]\n'
        self.settings: dict[str, Any] = SETTINGS
        self.files = {PROGRAM.name: PROGRAM.read_bytes(), KIT.name: KIT.read_bytes()}

    def start(self) -> None:
        """The daemon does it."""

    def kill9(self, daemon: Daemon) -> None:
        for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if command[:2] == [b"python3", PROGRAM.name.encode()] and daemon.pid in ancestors(pid):
                    os.kill(pid, signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                continue

    def check(self, room_id: str) -> None:
        """What it was told is in its state."""

    def close(self) -> None:
        """The daemon does it."""


class Elsewhere:
    """A service that listens at an address, whose operator starts it again."""

    def __init__(self, folder: Path) -> None:
        self._address = f"{LOOPBACK}:{free_port()}"
        endpoint = f"tcp:{self._address}"
        self.toml = TOML + f"endpoint = {json.dumps(endpoint)}\n"
        self.settings = {**SETTINGS, "service": {"timeout": 1.0, "allow": [endpoint]}}
        self.files: dict[str, bytes] = {}
        self._folder = folder / "elsewhere"
        self._folder.mkdir()
        for file in (PROGRAM, KIT):
            shutil.copy(file, self._folder)
        self._log = self._folder / "sequences"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self._process is None:
            command = [sys.executable, PROGRAM.name, "--listen", self._address]
            environment = {**os.environ, "LEDGER_LOG": str(self._log)}
            self._process = subprocess.Popen(command, cwd=self._folder, env=environment, stderr=subprocess.DEVNULL)

    def kill9(self, daemon: Daemon) -> None:
        self.close()

    def check(self, room_id: str) -> None:
        """Each update was the next one or the one before once more, and told the state of the last that was answered for good."""
        last = 0
        for line in self._log.read_text().splitlines():
            try:
                room, sequence, _, behind = json.loads(line)
            except ValueError:
                continue  # Torn by a kill.
            if room == room_id:
                assert sequence in (last, last + 1), f"{sequence} came behind {last}"
                assert behind is None or behind < sequence
                last = sequence

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


SERVICES: dict[str, type[OfTheBundle | Elsewhere]] = {"bundle": OfTheBundle, "elsewhere": Elsewhere}


def ancestors(pid: int) -> list[int]:
    found = []
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(pid)
    return found


class World:
    """A daemon, its service, and a game of it."""

    def __init__(self, daemon: Daemon, service: OfTheBundle | Elsewhere, database: str | None) -> None:
        self.daemon, self.service, self.database = daemon, service, database
        self.game_id = upload(daemon, packed({"game.toml": service.toml.encode(), **service.files}), max_players=4)
        self.kills = 0

    async def strike(self, victims: set[str], after: float, away: float) -> None:
        """Kill these after so many seconds; what is killed is started again so many seconds later."""
        await asyncio.sleep(after)
        self.kills += len(victims & {"service", "daemon"})
        if "service" in victims:
            self.service.kill9(self.daemon)
        if "daemon" in victims:
            self.daemon.kill9()
        if "database" in victims and self.database is not None:
            name = self.database.partition("?")[0].rpartition("/")[2]
            shared_server().execute("postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        await asyncio.sleep(away)
        self.service.start()
        if "daemon" in victims:
            await asyncio.to_thread(self.daemon.start_again)


VICTIMS = st.sampled_from([{"service"}, {"daemon"}, {"service", "daemon"}])
PERHAPS = st.one_of(st.just(set[str]()), VICTIMS)
MOMENTS = st.integers(0, 30).map(lambda hundredths: hundredths / 100)
"""Seconds."""
INSTANTS = st.integers(0, 30).map(lambda thousandths: thousandths / 1000)
"""Seconds, of which a start and an end take no more."""
SETTLES = st.sampled_from([False, False, True])
Word = tuple[str, int, int]
WORDS = st.lists(st.tuples(st.sampled_from(["add", "add", "add", "refuse", "cut"]), st.integers(0, 2), st.integers(1, 40)), max_size=12)
"""What is done, by which player, how much or how often."""
CODES = (102, 103, 104, 105)


def machine(world: World) -> type[RuleBasedStateMachine]:
    """Plays in rooms of this world; a class of its own, since Hypothesis makes the machines."""

    class Ledger(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.runner = asyncio.Runner()
            self.table = Table(world.daemon, world.game_id)

        @initialize(victims=PERHAPS, after=INSTANTS, away=MOMENTS, last=st.tuples(PERHAPS, INSTANTS, MOMENTS))
        def begins(self, victims: set[str], after: float, away: float, last: tuple[set[str], float, float]) -> None:
            """Perhaps something is killed in the very start, and in the very end."""
            self.last = last

            async def begun() -> None:
                self.table.begin()
                await asyncio.gather(self.table.started(), world.strike(victims, after, away))

            self.runner.run(begun())

        @rule(words=WORDS, after=MOMENTS, away=MOMENTS, settles=SETTLES)
        def service_dies(self, words: list[Word], after: float, away: float, settles: bool) -> None:
            self.struck({"service"}, words, after, away, settles)

        @rule(words=WORDS, after=MOMENTS, away=MOMENTS, settles=SETTLES)
        def daemon_dies(self, words: list[Word], after: float, away: float, settles: bool) -> None:
            self.struck({"daemon"}, words, after, away, settles)

        @rule(words=WORDS, after=MOMENTS, away=MOMENTS, settles=SETTLES)
        def both_die(self, words: list[Word], after: float, away: float, settles: bool) -> None:
            self.struck({"service", "daemon"}, words, after, away, settles)

        @precondition(lambda self: world.database is not None)
        @rule(words=WORDS, after=MOMENTS, settles=SETTLES)
        def database_hangs_up(self, words: list[Word], after: float, settles: bool) -> None:
            self.struck({"database"}, words, after, 0.0, settles)

        def struck(self, victims: set[str], words: list[Word], after: float, away: float, settles: bool) -> None:
            """While they talk; then perhaps all is answered, and as it must be. Where it is not, this was not long ago."""
            self.talk(words)
            self.runner.run(world.strike(victims, after, away))
            if settles:
                self.runner.run(self.table.settled())

        def talk(self, words: list[Word]) -> None:
            for what, seat, much in words:
                player = self.table.players[seat]
                if what == "add":
                    for amount in range(1, much + 1):
                        player.add(amount)
                elif what == "refuse":
                    player.refused(CODES[much % len(CODES)])
                else:
                    player.cut()

        async def finished(self) -> None:
            await asyncio.gather(self.table.finished(), world.strike(*self.last))

        def teardown(self) -> None:
            try:
                if self.table.told:
                    self.runner.run(self.table.settled())
                    self.runner.run(self.finished())
                    world.service.check(self.table.room_id)
            finally:
                self.runner.run(self.table.end())
                self.runner.close()

    return Ledger


KINDS = [("sqlite", "bundle"), ("postgresql", "elsewhere"), ("sqlite", "elsewhere"), ("postgresql", "bundle")]


@pytest.mark.parametrize(("database", "service"), KINDS if KILLS > STEPS else KINDS[:2])
def test_killed_at_any_moment(make_daemon: DaemonMaker, tmp_path: Path, database: str, service: str) -> None:
    """Members of three doors add to a ledger; in the end the sums are theirs, nothing was ever taken back, and the timer ticks on."""
    url = shared_server().create_database() if database == "postgresql" else None
    program = SERVICES[service](tmp_path)
    program.start()
    try:
        daemon = make_daemon(database=url, settings=program.settings, expects="DatabaseUnavailable")
        world = World(daemon, program, url)
        steps = min(KILLS, STEPS)
        run_state_machine_as_test(
            machine(world),
            settings=settings(
                max_examples=max(2, KILLS // STEPS + 1),
                stateful_step_count=steps,
                deadline=None,
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            ),
        )
        wait_until(daemon.ready, "it is still there")
        assert world.kills, "somebody died"
    finally:
        program.close()
