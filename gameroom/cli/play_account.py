"""`gameroom play register`, `login`, `logout`, `whoami`, `players`: who one is at the lobby, and who else is there."""

from __future__ import annotations

from typing import Any

import click

from gameroom.cli.asking import VARIABLE
from gameroom.cli.asking import password as ask_password
from gameroom.cli.asking import username as ask_username
from gameroom.cli.output import print_json, shown
from gameroom.cli.play_link import Link, linked
from gameroom.cli.play_views import show_players
from gameroom.client.lobby import LobbyClient
from gameroom.errors import BadState, Unauthorized

_USERNAME = click.argument("username", required=False)
_PASSWORD = click.option("--password-stdin", is_flag=True, help=f"Read the password from standard input; {VARIABLE} may hold it, too.")


@click.command(short_help="Make a player's account.")
@_USERNAME
@_PASSWORD
@linked
def register(link: Link, username: str | None, password_stdin: bool) -> None:
    """Make an account of a player, and log in."""
    name = ask_username(username)
    _enter(link, name, ask_password(password_stdin, twice=True), new=True)


@click.command(short_help="Log in.")
@_USERNAME
@_PASSWORD
@linked
def login(link: Link, username: str | None, password_stdin: bool) -> None:
    """Log in. An older session of the account ends by it."""
    name = ask_username(username)
    _enter(link, name, ask_password(password_stdin, twice=False), new=False)


def _enter(link: Link, username: str, password: str, *, new: bool) -> None:
    async def deed(client: LobbyClient) -> None:
        said = await entered(link, client, username, password, new=new)
        about = f"{'Welcome' if new else 'Logged in'}, {said['username']}. The session is kept for {link.key}."
        _say(link, {"server": link.key, **said}, about)

    link.talk(deed, always=True)


async def entered(link: Link, client: LobbyClient, username: str, password: str, *, new: bool) -> dict[str, Any]:
    """Register or log in, and keep the session; what WHOAMI says."""
    token = await (client.register if new else client.login)(username, password)
    said = await client.who_am_i()
    link.keep(str(said["username"]), token)
    return said


@click.command(short_help="Log out.")
@linked
def logout(link: Link) -> None:
    """End the session that is kept for the server."""

    async def deed(client: LobbyClient) -> None:
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
    """Who is logged in at the server, and the room that they sit in."""

    async def deed(client: LobbyClient) -> None:
        said = await client.who_am_i()
        room = f", in room {said['room_id']}" if said.get("room_id") else ""
        _say(link, {"server": link.key, **said}, f"{said['username']}, {said['role']} at {link.key}{room}")

    link.talk(deed)


@click.command(short_help="Who is online.")
@linked
def players(link: Link) -> None:
    """Who is online, sorted."""

    async def deed(client: LobbyClient) -> None:
        found = await client.players()
        if link.as_json:
            print_json(found)
        else:
            show_players(found)

    link.talk(deed)


def _say(link: Link, fields: dict[str, Any], text: str) -> None:
    if link.as_json:
        print_json(fields)
    else:
        click.echo(shown(text))
