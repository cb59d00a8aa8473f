"""The developer door, as the commands of `gameroom dev` reach it: which server, who is logged in, which game is meant."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any, Final

import attrs
import click
from twisted.internet.defer import Deferred

from gameroom.cli.output import fail
from gameroom.cli.reacting import CannotDo, Main, carry_out
from gameroom.client.developer import DeveloperClient
from gameroom.client.servers import DEVELOPER_PORT, HOST, address_of, endpoint_of, name_of
from gameroom.client.sessions import Kept, Sessions, default_path
from gameroom.client.stream import ConnectionFailed
from gameroom.errors import InvalidRequest
from gameroom.rules import manifest
from gameroom.rules.manifest import GameEntry

WEB_PORT = 8080
ROLE = "developer"
Payload = dict[str, Any]
Deed = Callable[[DeveloperClient], Coroutine[Deferred[Any], Any, None]]


def _connect(server: str, reactor: Any) -> Deferred[DeveloperClient]:
    return DeveloperClient.connect(endpoint_of(server, DEVELOPER_PORT, reactor), reactor)


@attrs.frozen(kw_only=True)
class World:
    """What the commands need of the world outside; a test hands them another one as click's `obj`."""

    run: Callable[[Main], None] = carry_out
    connect: Callable[[str, Any], Deferred[DeveloperClient]] = _connect
    sessions: Sessions = attrs.field(factory=lambda: Sessions(default_path()))


@attrs.frozen(kw_only=True)
class Link:
    """One command's server and its way of showing things."""

    world: World
    server: str
    as_json: bool

    @property
    def key(self) -> str:
        """What the server's session is kept under."""
        return name_of(self.server, DEVELOPER_PORT)

    async def open(self, reactor: Any) -> DeveloperClient:
        """A connection, without a session. Raises `ConnectionFailed`."""
        try:
            return await self.world.connect(self.server, reactor)
        except ConnectionFailed as error:
            raise ConnectionFailed(f"{self.key}: {error}; is the server there? --server or GAMEROOM_SERVER names another") from None
        except ValueError as error:
            raise CannotDo(f"--server: {error}") from None

    async def session(self, reactor: Any) -> DeveloperClient:
        """A connection of who is logged in. Raises `ConnectionFailed`, and `CannotDo` where nobody is."""
        token = self.token()
        client = await self.open(reactor)
        client.token = token
        return client

    def token(self) -> str:
        """That of who is logged in. Raises `CannotDo` where nobody is."""
        kept = self.world.sessions.get(ROLE, self.key)
        if kept is None:
            raise CannotDo(f"you are not logged in at {self.key}: gameroom dev login, or gameroom dev register for a new account")
        return kept.token

    def talk(self, deed: Deed) -> None:
        """Carry out a deed on a connection of who is logged in, and exit."""

        async def main(reactor: Any) -> None:
            client = await self.session(reactor)
            try:
                await deed(client)
            finally:
                await client.close()

        self.world.run(main)

    def keep(self, username: str, token: str) -> None:
        """Remember who is logged in. Raises `CannotDo`."""
        self._written(lambda: self.world.sessions.keep(ROLE, self.key, Kept(username, token)))

    def forget(self) -> None:
        """Raises `CannotDo`."""
        self._written(lambda: self.world.sessions.forget(ROLE, self.key))

    def _written(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            raise CannotDo(f"the session cannot be kept: {error.filename}: {error.strerror}") from None


SERVER: Final = click.option(
    "--server", metavar="SERVER", help=f"Host, host:port, or an endpoint; GAMEROOM_SERVER names one, too.  [default: {HOST}]"
)


def linked(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command `--server` and `--json`, and hands it the `Link` of both as its first argument.

    `gameroom dev --server HOST games` means the same as `gameroom dev games --server HOST`.
    """

    @SERVER
    @click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
    @click.pass_context
    @wraps(command)
    def with_link(context: click.Context, /, server: str | None, as_json: bool, **given: Any) -> None:
        above = context.parent.params.get("server") if context.parent is not None else None
        server = server or above or os.environ.get("GAMEROOM_SERVER") or HOST
        try:
            name_of(server, DEVELOPER_PORT)
        except ValueError as error:
            fail(f"--server: {error}")
        command(Link(world=context.obj or World(), server=server, as_json=as_json), **given)

    return with_link


def web_url(server: str, web: str | None) -> str:
    """The web door's address: what was said, else the usual port of the same host."""
    if web:
        return web.rstrip("/")
    address = address_of(server, DEVELOPER_PORT)
    host = address[0] if address is not None else server.split(":")[1]
    return f"http://[{host}]:{WEB_PORT}" if ":" in host else f"http://{host}:{WEB_PORT}"


async def game_meant(client: DeveloperClient, wanted: str | None) -> Payload:
    """The developer's game of this name or id; that of ./game.toml where nothing is said. Raises `CannotDo`."""
    name = wanted if wanted is not None else named_here()
    found = named(await client.games(), name)
    if found is None:
        raise CannotDo(f"you have no game {name}; gameroom dev games lists those that you have")
    return found


def named(games: list[Payload], name: str) -> Payload | None:
    """The game of this id or name; letters may be small or large."""
    for same in (lambda game: name in (game["game_id"], game["name"]), lambda game: name.casefold() == game["name"].casefold()):
        for game in games:
            if same(game):
                return game
    return None


def named_here() -> str:
    entry = entry_of(Path())
    if entry is None:
        raise CannotDo("say which game, by its name or id; without that it is the one of game.toml's [game] in this folder")
    return entry.name


def entry_of(folder: Path) -> GameEntry | None:
    """`[game]` of the folder's game.toml; None without one. Raises `CannotDo` for one that is wrong."""
    path = folder / "game.toml"
    try:
        return manifest.parse(path.read_text("utf-8"), lambda name: (folder / name).read_bytes())[1]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (InvalidRequest, OSError, UnicodeDecodeError) as error:
        raise CannotDo(f"{path}: {error}") from None
