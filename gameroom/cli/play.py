"""`gameroom play`: what a player does from a terminal, by menus or by commands (docs/cli.md)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from gameroom.cli import account, play_rooms, play_store
from gameroom.cli.link import SERVER
from gameroom.cli.play_link import Link
from gameroom.cli.play_screens import Home
from gameroom.cli.play_store import DOWNLOADS
from gameroom.cli.play_terminal import Left, Terminal
from gameroom.cli.play_visit import Visit
from gameroom.client.stream import ConnectionFailed

__all__ = ["play"]

_COMMANDS = (
    *account.commands(Link, about_whoami="Who is logged in at the server, and the room that they sit in."),
    play_rooms.players,
    play_store.games,
    play_store.game,
    play_store.reviews,
    play_store.review,
    play_store.download,
    play_rooms.rooms,
    play_rooms.room,
    play_rooms.create,
    play_rooms.join,
    play_rooms.leave,
    play_rooms.start,
    play_rooms.run,
    play_rooms.chat,
    play_rooms.kick,
)


@click.group(short_help="Find games and people, and play.", invoke_without_command=True)
@SERVER
@DOWNLOADS
@click.pass_context
def play(context: click.Context, /, server: str | None, folder: Path) -> None:
    """Find games and people, and play: by menus, or by the commands below."""
    if context.invoked_subcommand is not None:
        return
    link = Link.of(context, server, as_json=False)

    async def main(reactor: Any) -> None:
        await visit(link, reactor, Terminal(reactor, sys.stdin.fileno(), sys.stdout), folder)

    link.world.run(main)


async def visit(link: Link, reactor: Any, terminal: Terminal, downloads: Path) -> None:
    """The whole of it, until the person leaves. Raises `ConnectionFailed` where there is no server."""
    person = Visit(link, reactor, terminal, downloads)
    terminal.open()
    try:
        await person.begin()
        while True:
            try:
                await person.menu.show(Home(person))
            except ConnectionFailed as error:
                await person.reconnect(str(error))
    except Left:
        pass
    finally:
        terminal.close()
        await person.end()


for _command in _COMMANDS:
    play.add_command(_command)
