"""`register`, `login`, `logout`, `whoami` of a group of commands: who one is at its door."""

from __future__ import annotations

from typing import Any

import click

from gameroom.cli import asking
from gameroom.cli.link import Link, linked
from gameroom.client.accounts import AccountClient
from gameroom.errors import BadState, Unauthorized

_USERNAME = click.argument("username", required=False)
_PASSWORD = click.option("--password-stdin", is_flag=True, help=f"Read the password from standard input; {asking.VARIABLE} may hold it, too.")
AnyLink = Link[Any]


def commands(kind: type[AnyLink], *, about_whoami: str) -> tuple[click.Command, ...]:
    """The four, for links of this kind."""

    @click.command(short_help=f"Make a {kind.role}'s account.", help=f"Make an account of a {kind.role}, and log in.")
    @_USERNAME
    @_PASSWORD
    @linked(kind)
    def register(link: AnyLink, username: str | None, password_stdin: bool) -> None:
        name = asking.username(username)
        _enter(link, name, asking.password(password_stdin, twice=True), new=True)

    @click.command(short_help="Log in.")
    @_USERNAME
    @_PASSWORD
    @linked(kind)
    def login(link: AnyLink, username: str | None, password_stdin: bool) -> None:
        """Log in. An older session of the account ends by it."""
        name = asking.username(username)
        _enter(link, name, asking.password(password_stdin, twice=False), new=False)

    @click.command(short_help="Log out.")
    @linked(kind)
    def logout(link: AnyLink) -> None:
        """End the session that is kept for the server."""
        link.talk(lambda client: _leave(link, client))

    @click.command(short_help="Who is logged in.", help=about_whoami)
    @linked(kind)
    def whoami(link: AnyLink) -> None:
        link.talk(lambda client: _tell(link, client))

    return register, login, logout, whoami


def _enter(link: AnyLink, username: str, password: str, *, new: bool) -> None:
    async def main(reactor: Any) -> None:
        client = await link.open(reactor)
        try:
            said = await entered(link, client, username, password, new=new)
        finally:
            await client.close()
        about = f"{'Welcome' if new else 'Logged in'}, {said['username']}. The session is kept for {link.key}."
        link.say({"server": link.key, **said}, about)

    link.world.run(main)


async def entered(link: AnyLink, client: AccountClient, username: str, password: str, *, new: bool) -> dict[str, Any]:
    """Register or log in, and keep the session; what WHOAMI says."""
    token = await (client.register if new else client.login)(username, password)
    said = await client.who_am_i()
    link.keep(str(said["username"]), token)
    return said


async def _leave(link: AnyLink, client: AccountClient) -> None:
    try:
        await client.logout()
    except (Unauthorized, BadState):
        pass  # it was over already
    link.forget()
    link.say({"server": link.key, "logged_in": False}, f"Logged out of {link.key}.")


async def _tell(link: AnyLink, client: AccountClient) -> None:
    said = await client.who_am_i()
    room = f", in room {said['room_id']}" if said.get("room_id") else ""
    link.say({"server": link.key, **said}, f"{said['username']}, {said['role']} at {link.key}{room}")
