"""`gameroom play games`, `game`, `reviews`, `review`, `download`: the store, as players see it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from gameroom.cli.output import print_json, shown
from gameroom.cli.play_install import Installed, install
from gameroom.cli.play_link import FOLDER, Link, all_of, game_meant, linked
from gameroom.cli.play_views import show_game, show_games, show_reviews
from gameroom.cli.progress import Bar
from gameroom.client.lobby import LobbyClient

GAME = click.argument("game", metavar="GAME")
DOWNLOADS = click.option(
    "--folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=FOLDER,
    envvar="GAMEROOM_DOWNLOADS",
    show_default=True,
    help="Where downloads go.",
)


@click.command(short_help="The games of the store.")
@linked
def games(link: Link) -> None:
    """The games that are online, the newest first."""

    async def deed(client: LobbyClient) -> None:
        found = await all_of(client.games, "game_id")
        if link.as_json:
            print_json(found)
        else:
            show_games(found)

    link.talk(deed)


@click.command(short_help="All about a game.")
@GAME
@linked
def game(link: Link, game: str) -> None:
    """All about GAME, an id or a name, with its newest reviews."""

    async def deed(client: LobbyClient) -> None:
        found = await game_meant(client, game)
        if link.as_json:
            print_json(found)
        else:
            show_game(found)

    link.talk(deed)


@click.command(short_help="What players say of a game.")
@GAME
@click.option("--limit", metavar="N", type=click.IntRange(1), help="So many at most; all of them without this.")
@linked
def reviews(link: Link, game: str, limit: int | None) -> None:
    """What players say of GAME, the newest first."""

    async def deed(client: LobbyClient) -> None:
        game_id = str((await game_meant(client, game))["game_id"])
        if limit is None:
            found = await all_of(lambda before: client.reviews(game_id, before=before), "created_at")
        else:
            found = await client.reviews(game_id, limit=limit)
        if link.as_json:
            print_json(found)
        else:
            show_reviews(found)

    link.talk(deed)


@click.command(short_help="Review a game.")
@GAME
@click.argument("score", type=click.IntRange(1, 5))
@click.argument("comment", default="")
@linked
def review(link: Link, game: str, score: int, comment: str) -> None:
    """Give GAME a SCORE of 1 to 5, with a COMMENT where you like. It takes the place of your earlier review."""

    async def deed(client: LobbyClient) -> None:
        meant = await game_meant(client, game)
        await client.add_review(str(meant["game_id"]), score, comment)
        fields = {"game_id": meant["game_id"], "score": score, "comment": comment}
        if link.as_json:
            print_json(fields)
        else:
            click.echo(shown(f"You give {meant['name']} {score} of 5."))

    link.talk(deed)


@click.command(short_help="Download a game.")
@GAME
@click.argument("version", required=False)
@DOWNLOADS
@linked
def download(link: Link, game: str, version: str | None, folder: Path) -> None:
    """Download GAME, check it and unpack it, into DIR/<player>/<game>/<version>. A download that was broken off goes on where it was."""

    async def deed(client: LobbyClient) -> None:
        installed = await brought(link, client, await game_meant(client, game), version, folder)
        if link.as_json:
            print_json(installed.to_json())
        else:
            show_installed(installed)

    link.talk(deed)


async def brought(link: Link, client: LobbyClient, game: dict[str, Any], version: str | None, downloads: Path) -> Installed:
    """As `install`, with a bar where somebody looks at it."""
    with Bar(0, sys.stderr) as bar:
        return await install(link, client, reactor=client.clock, game=game, version=version, downloads=downloads, bar=bar)


def show_installed(installed: Installed) -> None:
    record = installed.record
    what = "is downloaded" if installed.new else "was there already"
    click.echo(shown(f"{record.game} {record.version} {what}: {installed.place.folder}"))
