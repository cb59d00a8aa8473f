"""The lobby, as `gameroom play` reaches it: which server, who is logged in, which game or room is meant."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any, Final

import attrs
import click
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from gameroom.cli.output import fail
from gameroom.cli.play_process import spawn
from gameroom.cli.reacting import CannotDo, Main, carry_out
from gameroom.client.lobby import LobbyClient
from gameroom.client.servers import HOST, LOBBY_PORT, endpoint_of, name_of
from gameroom.client.sessions import Kept, Sessions, default_path
from gameroom.client.stream import ConnectionFailed
from gameroom.errors import BadState, NotFound, Unauthorized
from gameroom.rules import party_codes
from gameroom.wire.commands import PAGE

ROLE: Final = "player"
FOLDER: Final = Path("user") / "downloads"
Payload = dict[str, Any]
Deed = Callable[[LobbyClient], Coroutine[Deferred[Any], Any, None]]


def _connect(server: str, reactor: Any) -> Deferred[LobbyClient]:
    return LobbyClient.connect(endpoint_of(server, LOBBY_PORT, reactor), reactor)


def _in_thread(reactor: Any, work: Callable[..., Any], *args: Any) -> Deferred[Any]:
    return deferToThreadPool(reactor, reactor.getThreadPool(), work, *args)


@attrs.frozen(kw_only=True)
class World:
    """What the commands need of the world outside; a test hands them another one as click's `obj`."""

    run: Callable[[Main], None] = carry_out
    connect: Callable[[str, Any], Deferred[LobbyClient]] = _connect
    sessions: Sessions = attrs.field(factory=lambda: Sessions(default_path()))
    in_thread: Callable[..., Deferred[Any]] = _in_thread
    spawn: Callable[..., Deferred[int]] = spawn
    browse: Callable[[str], Any] = click.launch


@attrs.frozen(kw_only=True)
class Link:
    """One command's server and its way of showing things."""

    world: World
    server: str
    as_json: bool

    @property
    def key(self) -> str:
        """What the server's session is kept under."""
        return name_of(self.server, LOBBY_PORT)

    async def open(self, reactor: Any) -> LobbyClient:
        """A connection, without a session. Raises `ConnectionFailed`."""
        try:
            return await self.world.connect(self.server, reactor)
        except ConnectionFailed as error:
            raise ConnectionFailed(f"{self.key}: {error}; is the server there? --server or GAMEROOM_SERVER names another") from None

    def kept(self) -> Kept | None:
        """Who is logged in."""
        return self.world.sessions.get(ROLE, self.key)

    def player(self) -> str:
        """The name of who is logged in. Raises `CannotDo` where nobody is."""
        kept = self.kept()
        if kept is None:
            raise CannotDo(f"you are not logged in at {self.key}: gameroom play login, or gameroom play register for a new account")
        return kept.username

    def talk(self, deed: Deed, *, always: bool = False) -> None:
        """Carry out a deed on a connection of who is logged in, and exit. `always`: also where nobody is."""

        async def main(reactor: Any) -> None:
            kept = self.kept()
            if not always:
                self.player()
            client = await self.open(reactor)
            client.token = None if kept is None else kept.token
            try:
                await self._carried_out(deed, client)
            finally:
                await client.close()

        self.world.run(main)

    async def _carried_out(self, deed: Deed, client: LobbyClient) -> None:
        try:
            await deed(client)
        except Unauthorized as error:
            if client.token is None:
                raise
            raise Unauthorized(f"{error.message}; gameroom play login begins a new session") from None
        except BadState as error:
            if client.connected and await superseded(client):
                raise BadState(f"{error.message}; gameroom play login takes {self.player()} back") from None
            raise

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


async def superseded(client: LobbyClient) -> bool:
    """Whether a 105 was about the session, which a newer login has ended, and not about what was asked."""
    try:
        await client.who_am_i()
    except BadState:
        return client.token is not None
    except Exception:
        return False
    return False


SERVER: Final = click.option(
    "--server", metavar="SERVER", help=f"Host, host:port, or an endpoint; GAMEROOM_SERVER names one, too.  [default: {HOST}]"
)


def link_of(context: click.Context, server: str | None, as_json: bool) -> Link:
    """The link of a command; `gameroom play --server HOST rooms` means the same as `gameroom play rooms --server HOST`."""
    above = context.parent.params.get("server") if context.parent is not None else None
    server = server or above or os.environ.get("GAMEROOM_SERVER") or HOST
    try:
        name_of(server, LOBBY_PORT)
    except ValueError as error:
        fail(f"--server: {error}")
    return Link(world=context.obj or World(), server=server, as_json=as_json)


def linked(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command `--server` and `--json`, and hands it the `Link` of both as its first argument."""

    @SERVER
    @click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
    @click.pass_context
    @wraps(command)
    def with_link(context: click.Context, /, server: str | None, as_json: bool, **given: Any) -> None:
        command(link_of(context, server, as_json), **given)

    return with_link


async def all_of(page: Callable[..., Deferred[list[Payload]]], key: str, *args: Any) -> list[Payload]:
    """All entries of a list that is answered in pages."""
    found: list[Payload] = []
    while True:
        entries = await page(*args, before=str(found[-1][key]) if found else None)
        found += entries
        if len(entries) < PAGE:
            return found


async def game_meant(client: LobbyClient, text: str) -> Payload:
    """The detail of the game of this id or name. Raises `CannotDo` and what the server refuses."""
    try:
        return await client.game(text)
    except NotFound:
        found = [game for game in await all_of(client.games, "game_id") if str(game["name"]).casefold() == text.casefold()]
    if not found:
        raise CannotDo(f"there is no game {text}; gameroom play games lists those that there are")
    if len(found) > 1:
        raise CannotDo(f"{len(found)} games are called {text}; say which by its id: {', '.join(str(game['game_id']) for game in found)}")
    return await client.game(str(found[0]["game_id"]))


async def room_meant(client: LobbyClient, text: str | None) -> str:
    """The id of the room that is named; without a name the one that the player sits in. Raises `CannotDo`."""
    if text is not None:
        return text
    room_id = (await client.who_am_i()).get("room_id")
    if room_id is None:
        raise CannotDo("you are in no room; say which one, or join one: gameroom play rooms lists them")
    return str(room_id)


async def joined(client: LobbyClient, text: str) -> Payload:
    """Join the room of a party code or an id."""
    try:
        party_codes.canonical(text)
    except NotFound:
        return await client.join_room(text)
    return await client.join_party(text)
