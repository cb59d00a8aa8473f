"""`gameroom dev`: what a person who makes games does from a terminal (docs/cli.md)."""

from __future__ import annotations

import click

from gameroom.cli import account, dev_check_service, dev_games, dev_init, dev_push, dev_run
from gameroom.cli.dev_link import Link
from gameroom.cli.link import SERVER

__all__ = ["dev"]


@click.group(short_help="Make games, try them, and publish them.")
@SERVER
def dev(server: str | None) -> None:
    """Begin a game, try it here, and publish it in a server's store."""


for _command in (
    dev_init.init,
    dev_run.run,
    dev_push.check,
    dev_check_service.check_service,
    *account.commands(Link, about_whoami="Who is logged in at the server."),
    dev_push.push,
    dev_push.cancel,
    dev_games.games,
    dev_games.create,
    dev_games.update,
    dev_games.versions,
    dev_games.yank,
    dev_games.status,
    dev_games.online,
    dev_games.offline,
    dev_games.logs,
):
    dev.add_command(_command)
