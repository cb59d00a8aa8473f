"""`gameroom dev register`, `login`, `logout`, `whoami`: who one is at the developer door."""

from __future__ import annotations

from typing import Any

import click

from gameroom.cli import asking
from gameroom.cli.dev_link import Link, linked
from gameroom.cli.output import print_json, shown
from gameroom.client.developer import DeveloperClient
from gameroom.errors import BadState, Unauthorized

_USERNAME = click.argument("username", required=False)
_PASSWORD = click.option("--password-stdin", is_flag=True, help=f"Read the password from standard input; {asking.VARIABLE} may hold it, too.")


@click.command(short_help="Make a developer's account.")
@_USERNAME
@_PASSWORD
@linked
def register(link: Link, username: str | None, password_stdin: bool) -> None:
    """Make an account of a developer, and log in."""
    name = asking.username(username)
    _enter(link, name, asking.password(password_stdin, twice=True), new=True)


@click.command(short_help="Log in.")
@_USERNAME
@_PASSWORD
@linked
def login(link: Link, username: str | None, password_stdin: bool) -> None:
    """Log in. An older session of the account ends by it."""
    name = asking.username(username)
    _enter(link, name, asking.password(password_stdin, twice=False), new=False)


@click.command(short_help="Log out.")
@linked
def logout(link: Link) -> None:
    """End the session that is kept for the server."""

    async def deed(client: DeveloperClient) -> None:
        try:
            await client.logout()
        except (Unauthorized, BadState):
            pass  # it was over already
        link.forget()
        _say(link, {"server": link.key, "logged_in": False}, f"Logged out of {link.key}.")

    link.talk(deed)


@click.command(short_help="Who is logged in.")
@linked
def whoami(link: Link) -> None:
    """Who is logged in at the server."""

    async def deed(client: DeveloperClient) -> None:
        said = await client.who_am_i()
        _say(link, {"server": link.key, **said}, f"{said['username']}, {said['role']} at {link.key}")

    link.talk(deed)


def _enter(link: Link, username: str, password: str, *, new: bool) -> None:
    async def main(reactor: Any) -> None:
        client = await link.open(reactor)
        try:
            token = await (client.register if new else client.login)(username, password)
            said = await client.who_am_i()
        finally:
            await client.close()
        link.keep(said["username"], token)
        _say(link, {"server": link.key, **said}, f"{'Welcome' if new else 'Logged in'}, {said['username']}. The session is kept for {link.key}.")

    link.world.run(main)


def _say(link: Link, fields: dict[str, Any], text: str) -> None:
    if link.as_json:
        print_json(fields)
    else:
        click.echo(shown(text))
