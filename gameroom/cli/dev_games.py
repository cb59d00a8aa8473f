"""`gameroom dev create`, `games`, `update`, `versions`, `yank`, `status`, `logs`: a developer's games."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.filesize import decimal

from gameroom.cli.dev_link import Link, entry_of, game_meant, linked
from gameroom.cli.output import fail, print_json, print_table, shown
from gameroom.client.developer import DeveloperClient

ONLINE, OFFLINE = "ONLINE", "OFFLINE"
GAME_TYPE, MAX_PLAYERS = "gui", 8
"""Of a game of which nothing else is said."""

_GAME = click.argument("game", metavar="[GAME]", required=False)
_DESCRIPTION = click.option("--description", metavar="TEXT", help="What the game is.")
_TYPE = click.option("--type", "game_type", metavar="TYPE", help="cli, gui, multi, or another word.")
_PLAYERS = click.option("--max-players", metavar="N", type=click.IntRange(1, 64), help="So many may play, 1 to 64.")


@click.command(short_help="Make a game.")
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option("--name", metavar="NAME", help="What it is called; yours have a name each.")
@_DESCRIPTION
@_TYPE
@_PLAYERS
@linked
def create(link: Link, folder: Path, **given: Any) -> None:
    """Make a game, from [game] of the game.toml in FOLDER and from options, which beat it. `push` does it by itself."""

    async def deed(client: DeveloperClient) -> None:
        entry = entry_of(folder)
        if given["name"] is None and entry is None:
            fail("say what the game is called: --name; or write [game] into game.toml")
        defaults = {"description": "", "game_type": GAME_TYPE, "max_players": MAX_PLAYERS}
        own = {} if entry is None else {key: getattr(entry, key) for key in ("name", *defaults)}
        fields: dict[str, Any] = {**defaults, **own, **_without_none(given)}
        game_id = await client.create_game(**fields)
        link.say({"game_id": game_id, **fields}, f"{fields['name']} is there, with the id {game_id}; gameroom dev push uploads its first version")

    link.talk(deed)


def _without_none(given: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if value is not None}


@click.command(short_help="Your games.")
@linked
def games(link: Link) -> None:
    """Your games, the newest first."""

    async def deed(client: DeveloperClient) -> None:
        found = await client.games()
        if link.as_json:
            print_json(found)
        elif not found:
            click.echo("You have no game yet; gameroom dev init begins one.")
        else:
            rows = [[game["name"], game["status"], game["latest_version"] or "none yet", game["game_id"]] for game in found]
            print_table(["name", "status", "latest", "id"], rows)

    link.talk(deed)


@click.command(short_help="Change what a game says of itself.")
@_GAME
@_DESCRIPTION
@_TYPE
@_PLAYERS
@linked
def update(link: Link, game: str | None, **given: Any) -> None:
    """Change a game's description, type or number of players.

    Without an option they are taken from [game] of the game.toml in this folder. GAME is a name or an id; without it, that of game.toml.
    """

    async def deed(client: DeveloperClient) -> None:
        changes = _without_none(given)
        if not changes:
            entry = entry_of(Path())
            if entry is None:
                fail("say what is to change: --description, --type or --max-players; or write it into [game] of game.toml")
            changes = {"description": entry.description, "game_type": entry.game_type, "max_players": entry.max_players}
        meant = await game_meant(client, game)
        await client.update_game(meant["game_id"], **changes)
        link.say({"game_id": meant["game_id"], **changes}, f"{meant['name']} is changed: {', '.join(changes)}")

    link.talk(deed)


@click.command(short_help="A game's versions.")
@_GAME
@linked
def versions(link: Link, game: str | None) -> None:
    """A game's versions, with size and SHA-256."""

    async def deed(client: DeveloperClient) -> None:
        meant = await game_meant(client, game)
        found = await client.versions(meant["game_id"], details=True)
        if link.as_json:
            print_json(found)
        elif not found:
            click.echo(shown(f"{meant['name']} has no version yet; gameroom dev push uploads one"))
        else:
            print_table(["version", "", "uploaded", "size#", "SHA-256"], [_row(version) for version in found])

    link.talk(deed)


def _row(version: dict[str, Any]) -> list[Any]:
    note = "latest" if version["is_latest"] else "yanked" if version.get("yanked") else ""
    uploaded = str(version["uploaded_at"]).replace("T", " ")[:19]
    return [version["version"], note, uploaded, decimal(version["size_bytes"]), version["checksum"]]


@click.command(short_help="Take a version back.")
@click.argument("version")
@_GAME
@linked
def yank(link: Link, version: str, game: str | None) -> None:
    """Take VERSION back: it is never the latest again, and who names it may still have it."""

    async def deed(client: DeveloperClient) -> None:
        meant = await game_meant(client, game)
        await client.yank(meant["game_id"], version)
        latest = next((each["version"] for each in await client.versions(meant["game_id"]) if each["is_latest"]), None)
        about = f"the latest is {latest} now" if latest else "there is no other version, so nobody can play it now"
        fields = {"game_id": meant["game_id"], "version": version, "latest_version": latest}
        link.say(fields, f"{meant['name']} {version} is yanked; {about}")

    link.talk(deed)


@click.command(short_help="Let a game be found and played, or not.")
@click.argument("status", type=click.Choice([ONLINE, OFFLINE], case_sensitive=False))
@_GAME
@linked
def status(link: Link, status: str, game: str | None) -> None:
    """Set a game ONLINE, so that it is listed and played, or OFFLINE."""
    _set_status(link, status.upper(), game)


@click.command(short_help="Let a game be found and played.")
@_GAME
@linked
def online(link: Link, game: str | None) -> None:
    """As `status ONLINE`."""
    _set_status(link, ONLINE, game)


@click.command(short_help="Take a game out of the store.")
@_GAME
@linked
def offline(link: Link, game: str | None) -> None:
    """As `status OFFLINE`: no new rooms; those that play go on."""
    _set_status(link, OFFLINE, game)


def _set_status(link: Link, wanted: str, game: str | None) -> None:
    async def deed(client: DeveloperClient) -> None:
        meant = await game_meant(client, game)
        await client.set_status(meant["game_id"], wanted)
        link.say({"game_id": meant["game_id"], "status": wanted}, f"{meant['name']} is {wanted}")

    link.talk(deed)


@click.command(short_help="What a game's programs wrote.")
@_GAME
@click.option("--lines", metavar="N", type=click.IntRange(1), help="So many of the newest lines.")
@linked
def logs(link: Link, game: str | None, lines: int | None) -> None:
    """What a game's programs wrote lately, and why rooms of it could not start."""

    async def deed(client: DeveloperClient) -> None:
        meant = await game_meant(client, game)
        found = await client.logs(meant["game_id"], lines)
        if link.as_json:
            print_json(found)
            return
        for line in found:
            click.echo(shown(line))
        if not found:
            click.echo("Nothing has been written lately.", err=True)

    link.talk(deed)
