"""A developer door in memory, and `gameroom dev` called against it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
from click.testing import CliRunner, Result
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli import main
from gameroom.cli.dev_link import World
from gameroom.cli.reacting import Main, whole
from gameroom.client.sessions import Kept, Sessions
from gameroom.client.stream import ConnectionFailed
from gameroom.client.upload import Uploaded
from gameroom.errors import BadState, Conflict, GameroomError, NotFound, Unauthorized
from gameroom.rules import versions
from tests.cli import bundles

PASSWORD = "correct horse"
SERVER = "127.0.0.1:7001"
LONGEST_TRY = 5000
"""Half seconds that a command may take, of the clock's."""
__all__ = ["PASSWORD", "SERVER", "Client", "DevCase", "Server", "inside"]
Payload = dict[str, Any]


@attrs.define
class Server:
    """What the door keeps. `troubles` go off one by one, each at the next upload; with `down` nobody can connect so often."""

    passwords: dict[str, str] = attrs.field(factory=dict)
    tokens: dict[str, str] = attrs.field(factory=dict)
    superseded: set[str] = attrs.field(factory=set)
    """The tokens after which a newer login came."""
    games: list[Payload] = attrs.field(factory=list)
    versions: dict[str, list[Payload]] = attrs.field(factory=dict)
    received: dict[tuple[str, str], int] = attrs.field(factory=dict)
    content: dict[tuple[str, str], bytes] = attrs.field(factory=dict)
    troubles: list[Callable[[Server, Payload], Exception | None]] = attrs.field(factory=list)
    down: int = 0
    connections: int = 0
    open: int = 0
    asked: list[str] = attrs.field(factory=list)
    logs: list[str] = attrs.field(factory=list)
    hangs: bool = False
    unfinished: dict[tuple[str, str], tuple[str, str]] = attrs.field(factory=dict)
    """The id and the checksum of each unfinished upload."""
    finishing: set[str] = attrs.field(factory=set)
    """The unfinished uploads that are too late to cancel."""
    cancelled: list[str] = attrs.field(factory=list)

    def publish(self, game_id: str, version: str, content: bytes, checksum: str) -> bool:
        """Whether it is the latest."""
        there = self.versions[game_id]
        self.unfinished.pop((game_id, version), None)
        about = {"version": version, "uploaded_at": "2026-01-02T03:04:05Z", "size_bytes": len(content), "checksum": checksum, "yanked": False}
        there.append({**about, "is_latest": False})
        self.content[game_id, version] = content
        return self.choose_latest(game_id) == version

    def choose_latest(self, game_id: str) -> str | None:
        good = [each for each in self.versions[game_id] if not each["yanked"]]
        best = max(good, key=lambda each: versions.parse(each["version"]).precedence, default=None)
        for each in self.versions[game_id]:
            each["is_latest"] = each is best
        game = next(game for game in self.games if game["game_id"] == game_id)
        game["latest_version"] = None if best is None else best["version"]
        if best is not None and game["status"] == "OFFLINE" and len(self.versions[game_id]) == 1:
            game["status"] = "ONLINE"
        return None if best is None else str(best["version"])


class Client:
    """What `DeveloperClient` is to the commands."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.token: str | None = None
        server.connections += 1
        server.open += 1

    def _do(self, name: str, deed: Callable[[], Any], *, token: bool = True) -> Deferred[Any]:
        self.server.asked.append(name)
        if token and self.token not in self.server.tokens:
            return fail(Unauthorized("your session is over; log in again"))
        if token and self.token in self.server.superseded:
            return fail(BadState("this account has logged in again somewhere else"))
        try:
            return succeed(deed())
        except GameroomError as error:
            return fail(error)

    def register(self, username: str, password: str) -> Deferred[str]:
        def deed() -> str:
            if username in self.server.passwords:
                raise Conflict("this username is taken; choose another")
            self.server.passwords[username] = password
            return self._enter(username)

        return self._do("register", deed, token=False)

    def login(self, username: str, password: str) -> Deferred[str]:
        def deed() -> str:
            if self.server.passwords.get(username) != password:
                raise Unauthorized("wrong username or password")
            return self._enter(username)

        return self._do("login", deed, token=False)

    def _enter(self, username: str) -> str:
        self.token = f"token of {username} {uuid4()}"
        self.server.tokens[self.token] = username
        return self.token

    def logout(self) -> Deferred[None]:
        return self._do("logout", lambda: self.server.tokens.pop(self.token or ""))

    def who_am_i(self) -> Deferred[Payload]:
        return self._do("who_am_i", lambda: {"username": self.server.tokens[self.token or ""], "role": "developer", "room_id": None})

    def create_game(self, name: str, description: str, game_type: str, max_players: int) -> Deferred[str]:
        def deed() -> str:
            if any(game["name"] == name for game in self.server.games):
                raise Conflict("you have a game of that name already")
            game_id = str(uuid4())
            about = {"name": name, "description": description, "game_type": game_type, "max_players": max_players}
            self.server.games.insert(0, {"game_id": game_id, **about, "status": "OFFLINE", "latest_version": None})
            self.server.versions[game_id] = []
            return game_id

        return self._do("create_game", deed)

    def games(self) -> Deferred[list[Payload]]:
        return self._do("games", lambda: [dict(game) for game in self.server.games])

    def update_game(self, game_id: str, **changes: Any) -> Deferred[None]:
        return self._do("update_game", lambda: self._game(game_id).update(changes))

    def set_status(self, game_id: str, status: str) -> Deferred[None]:
        def deed() -> None:
            if status == "ONLINE" and not self.server.versions[game_id]:
                raise BadState("this game has no version yet; upload one first")
            self._game(game_id)["status"] = status

        return self._do("set_status", deed)

    def versions(self, game_id: str, *, details: bool = False) -> Deferred[list[Payload]]:
        return self._do("versions", lambda: [dict(each) for each in self.server.versions[game_id]])

    def yank(self, game_id: str, version: str) -> Deferred[None]:
        def deed() -> None:
            found = next((each for each in self.server.versions[game_id] if each["version"] == version), None)
            if found is None:
                raise NotFound("this game has no such version")
            found["yanked"] = True
            self.server.choose_latest(game_id)

        return self._do("yank", deed)

    def logs(self, game_id: str, lines: int | None = None) -> Deferred[list[str]]:
        return self._do("logs", lambda: self.server.logs[-(lines or 200) :])

    def cancel_upload(self, upload_id: str) -> Deferred[None]:
        def deed() -> None:
            known = [key for key, (each, _) in self.server.unfinished.items() if each == upload_id]
            if not known or upload_id in self.server.finishing:
                raise BadState("there is no such upload, or it is just being finished")
            del self.server.unfinished[known[0]]
            self.server.received.pop(known[0], None)
            self.server.cancelled.append(upload_id)

        return self._do("cancel_upload", deed)

    def uploads(self, game_id: str | None = None) -> Deferred[list[Payload]]:
        begun = [(*key, upload_id) for key, (upload_id, _) in self.server.unfinished.items()]
        return self._do(
            "uploads",
            lambda: [
                {"upload_id": upload_id, "game_id": of, "version": version, "begun_at": "2026-01-02T03:04:05.000Z"}
                for of, version, upload_id in begun
                if game_id in (None, of)
            ],
        )

    def upload(self, game_id: str, version: str, path: Path, *, progress: Callable[[int, int], None]) -> Deferred[Uploaded]:
        content = path.read_bytes()
        checksum = bundles.checksum_of(content)
        same = (key for key in self.server.unfinished if key[0] == game_id and _same(key[1], version))
        _, declared = self.server.unfinished.setdefault(next(same, (game_id, version)), (str(uuid4()), checksum))
        if declared != checksum:
            return fail(Conflict(f"version {version} has an unfinished upload of another size or checksum"))
        before = self.server.received.get((game_id, version), 0)
        progress(before, len(content))
        if self.server.hangs:
            return Deferred()
        about = {"game_id": game_id, "version": version, "content": content, "checksum": checksum}
        if self.server.troubles:
            error = self.server.troubles.pop(0)(self.server, about)
            if error is not None:
                progress(self.server.received.get((game_id, version), 0), len(content))
                return fail(error)
        progress(len(content), len(content))
        is_latest = self.server.publish(game_id, version, content, checksum)
        return self._do("upload", lambda: Uploaded(version, is_latest, len(content) - before))

    def close(self) -> Deferred[None]:
        self.server.open -= 1
        return succeed(None)

    def _game(self, game_id: str) -> Payload:
        return next(game for game in self.server.games if game["game_id"] == game_id)


class DevCase(SynchronousTestCase):
    """`self.server` is there, and somebody is logged in at it."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        self.server = Server()
        self.sessions = Sessions(self.folder / "kept" / "sessions.json")
        self.seconds = 0.0
        self.interrupt_after: float | None = None
        self.log_in()

    def log_in(self) -> None:
        token = self.successResultOf(Client(self.server).register("ann", PASSWORD))
        self.sessions.keep("developer", SERVER, Kept("ann", token))
        self.server.open = self.server.connections = 0
        self.server.asked.clear()

    def _connect(self, server: str, reactor: Any) -> Deferred[Any]:
        if self.server.down:
            self.server.down -= 1
            return fail(ConnectionFailed("cannot connect: Connection refused"))
        return succeed(Client(self.server))

    def carry_out(self, main: Main) -> None:
        """As `carry_out`, with a clock that is as fast as can be."""
        reactor = MemoryReactorClock()
        ended: list[Any] = []
        whole(reactor, main).addBoth(ended.append)
        for _ in range(LONGEST_TRY):
            if ended:
                break
            reactor.advance(0.5)
            self.seconds = reactor.seconds()
            if self.interrupt_after is not None and self.seconds > self.interrupt_after:
                self.interrupt_after = None
                [shut_down] = [trigger for trigger in reactor.triggers["before"]["shutdown"] if trigger]
                shut_down[0](*shut_down[1], **shut_down[2])
        assert ended, "it goes on and on"
        assert not self.server.open, "a connection was left open"
        if isinstance(ended[0], Failure):
            ended[0].raiseException()
        raise SystemExit(0)

    def call(self, *arguments: str | Path, given: str | None = None, environment: dict[str, str] | None = None) -> Result:
        world = World(run=self.carry_out, connect=self._connect, sessions=self.sessions)
        runner = CliRunner(env={"GAMEROOM_SERVER": None, "GAMEROOM_PASSWORD": None, "GAMEROOM_WEB": None, **(environment or {})})
        result = runner.invoke(main, ["dev", *map(str, arguments)], input=given, obj=world)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def done(self, *arguments: str | Path, **more: Any) -> str:
        """What it printed; it went well, and nothing is on standard error."""
        result = self.call(*arguments, **more)
        self.assertEqual((result.exit_code, result.stderr), (0, ""), result.output)
        return str(result.stdout)

    def said(self, *arguments: str | Path, **more: Any) -> Any:
        return json.loads(self.done(*arguments, "--json", **more))

    def refused(self, status: int, *arguments: str | Path, **more: Any) -> str:
        """One line on standard error, nothing else, and this exit status."""
        result = self.call(*arguments, **more)
        self.assertEqual((result.exit_code, len(result.stderr.splitlines())), (status, 1), result.output)
        self.assertTrue(result.stderr.startswith("gameroom: "), result.stderr)
        return str(result.stderr)


class inside:
    """In another folder for a while."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        self._before = Path.cwd()
        os.chdir(self._folder)

    def __exit__(self, *_: object) -> None:
        os.chdir(self._before)


def _same(version: str, other: str) -> bool:
    return versions.parse(version).precedence == versions.parse(other).precedence
