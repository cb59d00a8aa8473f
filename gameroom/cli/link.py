"""A door that has accounts, as a group of commands reaches it: which server, who is logged in there, and what is to be done where nobody is."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ClassVar, Final, Generic, Self, TypeVar

import attrs
import click
from twisted.internet.defer import Deferred

from gameroom.cli.output import fail, print_json, shown
from gameroom.cli.reacting import CannotDo, Main, carry_out
from gameroom.client.accounts import AccountClient
from gameroom.client.servers import HOST, endpoint_of, name_of
from gameroom.client.sessions import Kept, Sessions, default_path
from gameroom.client.stream import ConnectionFailed
from gameroom.errors import BadState, Unauthorized

Client = TypeVar("Client", bound=AccountClient)
Connect = Callable[[str, Any], Deferred[Client]]


def connecting(client: type[Client], port: int) -> Connect[Client]:
    """What connects to a server, given as text, by a reactor. Raises `ValueError`, in words, where the text names nothing."""
    return lambda server, reactor: client.connect(endpoint_of(server, port, reactor), reactor)


@attrs.frozen(kw_only=True)
class World(Generic[Client]):
    """What the commands need of the world outside; a test hands them another one as click's `obj`."""

    connect: Connect[Client]
    run: Callable[[Main], None] = carry_out
    sessions: Sessions = attrs.field(factory=lambda: Sessions(default_path()))


@attrs.frozen(kw_only=True)
class Link(Generic[Client]):
    """One command's server and its way of showing things. A group of commands has a subclass, with a default for `world`."""

    group: ClassVar[str]
    """What is typed before its commands."""
    role: ClassVar[str]
    port: ClassVar[int]
    """Where no other is said."""

    world: World[Client]
    server: str
    as_json: bool

    @classmethod
    def of(cls, context: click.Context, server: str | None, as_json: bool) -> Self:
        """The link of a command; `gameroom play --server HOST rooms` means the same as `gameroom play rooms --server HOST`."""
        above = context.parent.params.get("server") if context.parent is not None else None
        server = server or above or os.environ.get("GAMEROOM_SERVER") or HOST
        try:
            name_of(server, cls.port)
        except ValueError as error:
            fail(f"--server: {error}")
        world = {} if context.obj is None else {"world": context.obj}
        return cls(server=server, as_json=as_json, **world)

    @property
    def key(self) -> str:
        """What the server's session is kept under."""
        return name_of(self.server, self.port)

    async def open(self, reactor: Any) -> Client:
        """A connection, without a session. Raises `ConnectionFailed`, and `CannotDo` where the server is no endpoint."""
        try:
            return await self.world.connect(self.server, reactor)
        except ConnectionFailed as error:
            raise ConnectionFailed(f"{self.key}: {error}; is the server there? --server or GAMEROOM_SERVER names another") from None
        except ValueError as error:
            raise CannotDo(f"--server: {error}") from None

    @asynccontextmanager
    async def session(self, reactor: Any) -> AsyncIterator[Client]:
        """Inside, a connection of who is logged in. Raises `ConnectionFailed`, and `CannotDo` where nobody is."""
        who = self.who()
        client = await self.open(reactor)
        client.token = who.token
        try:
            yield client
        except Unauthorized as error:
            raise Unauthorized(f"{error.message}; gameroom {self.group} login begins a new session") from None
        except BadState as error:
            if await superseded(client):
                raise BadState(f"{error.message}; gameroom {self.group} login takes {who.username} back") from None
            raise
        finally:
            await client.close()

    def talk(self, deed: Callable[[Client], Coroutine[Deferred[Any], Any, None]]) -> None:
        """Carry out a deed on a connection of who is logged in, and exit."""

        async def main(reactor: Any) -> None:
            async with self.session(reactor) as client:
                await deed(client)

        self.world.run(main)

    def kept(self) -> Kept | None:
        """Who is logged in."""
        return self.world.sessions.get(self.role, self.key)

    def who(self) -> Kept:
        """Who is logged in. Raises `CannotDo` where nobody is."""
        kept = self.kept()
        if kept is None:
            group = f"gameroom {self.group}"
            raise CannotDo(f"you are not logged in at {self.key}: {group} login, or {group} register for a new account")
        return kept

    def keep(self, username: str, token: str) -> None:
        """Remember who is logged in. Raises `CannotDo`."""
        self._written(lambda: self.world.sessions.keep(self.role, self.key, Kept(username, token)))

    def forget(self) -> None:
        """Raises `CannotDo`."""
        self._written(lambda: self.world.sessions.forget(self.role, self.key))

    def _written(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            raise CannotDo(f"the session cannot be kept: {error.filename}: {error.strerror}") from None

    def say(self, fields: dict[str, Any], text: str) -> None:
        """What was done: fields for programs, text for people."""
        if self.as_json:
            print_json(fields)
        else:
            click.echo(shown(text))


async def superseded(client: AccountClient) -> bool:
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


def linked(kind: type[Link[Any]]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command `--server` and `--json`, and hands it the `Link` of both, of this kind, as its first argument."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @SERVER
        @click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
        @click.pass_context
        @wraps(command)
        def with_link(context: click.Context, /, server: str | None, as_json: bool, **given: Any) -> None:
            command(kind.of(context, server, as_json), **given)

        return with_link

    return decorate
