"""`gameroom dev push` and `check`: a folder or a file becomes a version of a game."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal
from twisted.internet.defer import CancelledError

from gameroom.cli.dev_link import Link, game_meant, linked, web_url
from gameroom.cli.dev_pack import CannotPack
from gameroom.cli.dev_preview import Faulty, Preview, prepared, show
from gameroom.cli.dev_publish import Outcome, Publishing, Wish, to_json
from gameroom.cli.output import counted, fail, print_json, shown
from gameroom.cli.progress import Bar
from gameroom.cli.reacting import REFUSED, CannotDo, say_wrong
from gameroom.client.developer import DeveloperClient
from gameroom.errors import BadState, InvalidRequest
from gameroom.rules import versions

_SOURCE = click.argument("source", metavar="[FOLDER|FILE]", type=click.Path(path_type=Path), default=Path())
_ALL = click.option("--all", "everything", is_flag=True, help="Show every file.")


@click.command(short_help="What a push would send, and whether it is right.")
@_SOURCE
@_ALL
@click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
def check(source: Path, everything: bool, as_json: bool) -> None:
    """Pack FOLDER (or take FILE as it is), check it as the server does, and show what is in it. Nothing is sent.

    Exit status 1 where the server would not take it.
    """
    with looked_at(source) as found:
        if as_json:
            print_json(found.to_json())
        else:
            show(found, everything=everything)


@click.command(short_help="Upload a version and publish it.")
@_SOURCE
@click.option("--game", metavar="NAME|ID", help="Which game; without this the one of [game] in game.toml.")
@click.option("--version", metavar="V", help="Which version; without this the one of [game] in game.toml.")
@click.option("--bump", type=click.Choice(["major", "minor", "patch"]), help="The version after the highest that is there.")
@click.option("--if-changed", is_flag=True, help="Do nothing where the latest version is the same.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--web", metavar="URL", envvar="GAMEROOM_WEB", help="The server's web door, for the link that is shown; port 8080 of the server without this."
)
@_ALL
@linked
def push(link: Link, source: Path, everything: bool, web: str | None, **given: Any) -> None:
    """Pack FOLDER (or take FILE as it is), upload it and publish it; a game that is not there is made from [game] of game.toml.

    An upload that was broken off is taken up by the same command.
    """
    wish = Wish(**given)
    _require(wish)
    try:
        link.who()
    except CannotDo as error:
        fail(str(error))
    with looked_at(source) as found:
        if not link.as_json:
            show(found, everything=everything, version=False)

        async def main(reactor: Any) -> None:
            bar = Bar(found.packed.size_bytes, sys.stderr)
            publishing = Publishing(
                found=found,
                wish=wish,
                session=lambda: link.session(reactor),
                clock=reactor,
                progress=bar.at,
                tell=_teller(bar, link),
            )
            with bar:
                outcome = await _unbroken(publishing)
            _show_outcome(link, outcome, found, wish, f"{web_url(link.server, web)}/games/{outcome.game_id}" if outcome.game_id else "")

        link.world.run(main)


def _teller(bar: Bar, link: Link) -> Callable[[str], None]:
    """Trouble goes above the bar, on standard error."""
    return lambda text: bar.say(f"gameroom: {shown(text)}")


async def _unbroken(publishing: Publishing) -> Outcome:
    try:
        return await publishing.carry_out()
    except CancelledError:
        say_wrong("broken off; the same command goes on with it")
        raise


def _require(wish: Wish) -> None:
    if wish.version is not None and wish.bump is not None:
        fail("--version and --bump exclude each other")
    try:
        versions.parse(wish.version or "0")
    except InvalidRequest as error:
        fail(f"--version: {error.message.removeprefix('version ')}")


@contextmanager
def looked_at(source: Path) -> Iterator[Preview]:
    """Inside, what `prepared` gives; what is wrong with it is one line and exit status 1 or 2."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(prepared(source))
        except Faulty as error:
            say_wrong(str(error))
            raise SystemExit(REFUSED) from None
        except CannotPack as error:
            fail(str(error))
        yield found


def _show_outcome(link: Link, outcome: Outcome, found: Preview, wish: Wish, play_url: str) -> None:
    if link.as_json:
        print_json({**to_json(outcome, found, play_url), "dry_run": wish.dry_run})
        return
    name, version = shown(outcome.name), shown(outcome.version)
    if not outcome.changed:
        click.echo(f"{name} {version} is the latest version and has just these files; nothing was sent")
    elif wish.dry_run:
        click.echo(f"{'The game is not there and would be made. ' if outcome.created else ''}{name} {version} would be published; nothing was sent")
    else:
        made = " (a new game)" if outcome.created else ""
        latest = "and is the latest version" if outcome.is_latest else "but is not the latest version, which is a higher one"
        click.echo(f"{name} {version}{made} is published {latest}; {decimal(outcome.sent_bytes)} sent")
    if outcome.game_id and not wish.dry_run:
        click.echo(f"Play it: {play_url}")
        if outcome.status != "ONLINE":
            click.echo(f"The game is OFFLINE, so nobody can: gameroom dev online {shown(outcome.name)!r}")


@click.command(short_help="Drop unfinished uploads.")
@click.option("--game", metavar="NAME|ID", help="Only those of this game.")
@linked
def cancel(link: Link, game: str | None) -> None:
    """Drop your unfinished uploads, wherever they were begun; the server keeps a few for each developer, for a day."""

    async def deed(client: DeveloperClient) -> None:
        dropped = 0
        game_id = None if game is None else (await game_meant(client, game))["game_id"]
        for each in await client.uploads(game_id):
            # It is over already, or just being published.
            with suppress(BadState):
                await client.cancel_upload(each["upload_id"])
                dropped += 1
        if link.as_json:
            print_json({"cancelled": dropped})
        else:
            click.echo(f"{counted(dropped, 'unfinished upload')} dropped")

    link.talk(deed)
