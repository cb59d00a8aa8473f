"""A lobby in memory, and `gameroom play` called against it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli import main
from gameroom.cli.play_link import World
from gameroom.cli.reacting import Main, whole
from gameroom.client.lobby import LobbyClient
from gameroom.client.sessions import Sessions
from gameroom.client.stream import ConnectionFailed
from tests.catalogues import make_shipped
from tests.client.links import Linked, ToFactory
from tests.doors import lobby_world

PASSWORD = "correct horse"
SERVER = "127.0.0.1:7000"
GAME_TOML = '[hosting]\nkind = "lockstep"\n[lockstep]\nengine = "engine.js"\n[client]\ncommand = ["python3", "client.py"]\n'


class PlayCase(SynchronousTestCase):
    """Commands against a real lobby. `ran` is what of games' programs was started, which end with `status`."""

    def setUp(self) -> None:
        self.lobby = lobby_world.World()
        self.reactor = MemoryReactorClock()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.sessions = Sessions(self.folder / "sessions.json")
        self.linked: list[Linked] = []
        self.ran: list[tuple[Sequence[str], Path, Mapping[str, str]]] = []
        self.status = 0
        self.browsed: list[str] = []
        self.down = False
        self.world = World(
            run=self.run_main,
            connect=self.connect,
            sessions=self.sessions,
            in_thread=lambda reactor, work, *args: maybeDeferred(work, *args),
            spawn=self.spawn,
            browse=self.browsed.append,
        )

    def connect(self, server: str, reactor: Any) -> Deferred[LobbyClient]:
        if self.down:
            raise ConnectionFailed("cannot connect: refused")
        endpoint = ToFactory(self.lobby.lobby, reactor)
        connecting = LobbyClient.connect(endpoint, reactor)
        self.linked.append(Linked(None, endpoint, reactor))
        return connecting

    def spawn(self, reactor: Any, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Deferred[int]:
        self.ran.append((command, folder, environment))
        return succeed(self.status)

    def flush(self) -> None:
        """Everything that was said is heard."""
        for _ in range(5):
            for linked in self.linked:
                linked.flush()
            self.lobby.clock.advance(0)

    def run_main(self, main: Main) -> None:
        """As `carry_out`, without a reactor."""
        running = whole(self.reactor, main)
        results: list[Any] = []
        running.addBoth(results.append)
        for _ in range(50):
            if results:
                break
            self.flush()
        assert results, "it waits for ever"
        if isinstance(results[0], Failure):
            results[0].raiseException()

    def call(self, *arguments: str, input: str | None = None, env: Mapping[str, str] | None = None) -> Result:
        result = CliRunner().invoke(main, ["play", *arguments], obj=self.world, input=input, env={"GAMEROOM_PASSWORD": PASSWORD, **(env or {})})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def done(self, *arguments: str, **more: Any) -> str:
        result = self.call(*arguments, **more)
        self.assertEqual((result.exit_code, result.stderr), (0, ""), result.output)
        return result.stdout

    def said(self, *arguments: str) -> Any:
        return json.loads(self.done(*arguments, "--json"))

    def refused(self, status: int, *arguments: str, **more: Any) -> str:
        """The one line that a command ends with."""
        result = self.call(*arguments, **more)
        self.assertEqual((result.exit_code, result.stdout), (status, ""), result.output)
        [line] = result.stderr.splitlines()
        self.assertTrue(line.startswith("gameroom: "), line)
        return line.removeprefix("gameroom: ")

    def ship(self, name: str, toml: str, **files: str) -> None:
        """One more game in the store."""
        folder = self.lobby.data / "games" / name.lower()
        folder.mkdir()
        head = f'[game]\nname = "{name}"\ndescription = "About {name}."\ngame_type = "cli"\nmax_players = 4\nversion = "1.0.0"\n'
        for file, text in {"game.toml": head + toml, **files}.items():
            (folder / file).write_text(text)
        self.successResultOf(make_shipped(self.lobby.database, self.lobby.data, self.lobby.clock, folder.parent).start())

    def dice(self) -> str:
        """A game with a program of its own; its id."""
        self.ship("Dice", GAME_TOML, **{"client.py": "print('hi')", "engine.js": ""})
        return next(str(game["game_id"]) for game in self.said("games") if game["name"] == "Dice")
