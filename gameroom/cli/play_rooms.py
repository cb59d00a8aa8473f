"""`gameroom play rooms`, `room`, `create`, `join`, `leave`, `start`, `run`, `chat`, `kick`, `players`: rooms, what is played in them, and by whom."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import orjson
from twisted.internet.defer import Deferred

from gameroom.cli.output import fail, print_json, shown
from gameroom.cli.play_launch import WARNING, allow, join_url, launch, played
from gameroom.cli.play_link import Link, all_of, game_meant, joined, linked, room_meant
from gameroom.cli.play_store import DOWNLOADS, GAME, brought
from gameroom.cli.play_views import news_of, show_players, show_room, show_rooms
from gameroom.cli.reacting import CannotDo
from gameroom.client.lobby import LobbyClient
from gameroom.client.stream import ConnectionFailed
from gameroom.errors import NotFound

_ROOM = click.argument("room", metavar="[ROOM]", required=False)
_STAY = click.option("--stay", is_flag=True, help="Stay there and tell what happens, until Ctrl-C. Without it your seat is free after a minute.")
_YES = click.option("--yes", is_flag=True, help="Run the game's program without asking.")


@click.command(short_help="The open rooms.")
@linked
def rooms(link: Link) -> None:
    """Public rooms and your own, the newest first."""

    async def deed(client: LobbyClient) -> None:
        found = await all_of(client.rooms, "room_id")
        if link.as_json:
            print_json(found)
        else:
            show_rooms(found, await names_of(client))

    link.talk(deed)


@click.command(short_help="All about a room.")
@_ROOM
@linked
def room(link: Link, room: str | None) -> None:
    """All about ROOM, or the one that you sit in: its members, its party code, and where it is played."""

    async def deed(client: LobbyClient) -> None:
        await _show(link, client, await room_meant(client, room))

    link.talk(deed)


@click.command(short_help="Open a room.")
@GAME
@click.option("--private", is_flag=True, help="In nobody else's list; the party code lets friends in.")
@_STAY
@linked
def create(link: Link, game: str, private: bool, stay: bool) -> None:
    """Open a room of GAME and take its first seat."""

    async def deed(client: LobbyClient) -> None:
        meant = await game_meant(client, game)
        opened = await client.create_room(str(meant["game_id"]), public=False if private else None)
        await _seated(link, client, str(opened["room_id"]), stay)

    link.talk(deed)


@click.command(short_help="Take a seat in a room.")
@click.argument("room", metavar="ROOM|CODE")
@_STAY
@linked
def join(link: Link, room: str, stay: bool) -> None:
    """Take a seat in a room, by its id or its party code."""

    async def deed(client: LobbyClient) -> None:
        await _seated(link, client, str((await joined(client, room))["room_id"]), stay)

    link.talk(deed)


async def _seated(link: Link, client: LobbyClient, room_id: str, stay: bool) -> None:
    if stay:
        await client.subscribe(rooms=True)
    await _show(link, client, room_id)
    if stay:
        await _tell(link, client, room_id)


async def _show(link: Link, client: LobbyClient, room_id: str) -> None:
    found = await client.room(room_id)
    if link.as_json:
        print_line(found)
    else:
        show_room(found, await name_of(client, str(found["game_id"])))


async def _tell(link: Link, client: LobbyClient, room_id: str) -> None:
    """Say what happens in the room, until it is gone or we are interrupted."""
    over: Deferred[None] = Deferred()

    def hear(push: str, payload: dict[str, Any]) -> None:
        room = payload.get("room", payload)
        if room.get("room_id") != room_id or over.called:
            return
        if link.as_json:
            print_line({"type": push, "payload": payload})
        else:
            click.echo(news_of(push, payload))
        if room.get("status") == "CLOSED":
            over.callback(None)

    for push in ("ROOM_UPDATED", "CHAT"):
        client.on_push(push, lambda payload, push=push: hear(push, payload))  # type: ignore[misc]
    client.on_lost(lambda why: None if over.called else over.errback(ConnectionFailed(why)))
    await over


def print_line(value: Any) -> None:
    """JSON on one line, for programs that read while we go on."""
    click.echo(orjson.dumps(value).decode())
    sys.stdout.flush()


@click.command(short_help="Leave your room.")
@_ROOM
@linked
def leave(link: Link, room: str | None) -> None:
    """Leave ROOM, or the one that you sit in."""

    async def deed(client: LobbyClient) -> None:
        room_id = await room_meant(client, room)
        await client.leave_room(room_id)
        _say(link, {"room_id": room_id}, f"You have left the room {room_id}.")

    link.talk(deed)


def played_at(started: Mapping[str, Any], room: Mapping[str, Any], url: str, *, runs: bool) -> str:
    """Where a room that was started is played, and how from here: an address alone helps nobody. `runs`: that is done already."""
    how = "" if runs or room.get("hosting") != "server" else "; gameroom play run starts its program here"
    return f"It is played at {started['game_host']}:{started['game_port']}, in a browser at {url}{how}"


@click.command(short_help="Start the play of your room.")
@_ROOM
@click.option("--run", "and_run", is_flag=True, help="Run the game's program, too.")
@_YES
@DOWNLOADS
@linked
def start(link: Link, room: str | None, and_run: bool, yes: bool, folder: Path) -> None:
    """Start the play of ROOM, or of the room that you sit in. You are its host."""

    async def deed(client: LobbyClient) -> None:
        room_id = await room_meant(client, room)
        started = await client.start_room(room_id)
        found = await client.room(room_id)
        url = join_url(found)
        _say(link, {**started, "join_url": url}, played_at(started, found, url, runs=and_run))
        if and_run:
            await _run(link, client, room_id, folder, yes)

    link.talk(deed)


@click.command(short_help="Run the program of your room's game.")
@_ROOM
@click.option("--browser", is_flag=True, help="Open the room's page instead.")
@_YES
@DOWNLOADS
@linked
def run(link: Link, room: str | None, browser: bool, yes: bool, folder: Path) -> None:
    """Play in ROOM, or in the one that you sit in: download its game where it is not there, and run the game's program.

    A game without a program of its own is played in a browser; its page is named, and opened with --browser.
    """

    async def deed(client: LobbyClient) -> None:
        room_id = await room_meant(client, room)
        if browser:
            url = join_url(await client.room(room_id))
            link.world.browse(url)
            _say(link, {"room_id": room_id, "join_url": url}, url)
        else:
            await _run(link, client, room_id, folder, yes)

    link.talk(deed)


async def _run(link: Link, client: LobbyClient, room_id: str, downloads: Path, yes: bool) -> None:
    """Run the game's program; our exit status is its own."""
    found = await client.room(room_id)
    game = await client.game(str(found["game_id"]))
    installed = await brought(link, client, game, str(found["version"]), downloads)
    if installed.record.command and not installed.record.allowed:
        if not yes:
            _ask(installed.record.game, installed.record.command)
        allow(installed)
    if installed.record.command:
        found = await played(client, found, lambda: click.echo("Waiting for the host to start the play; Ctrl-C leaves it.", err=True))
    status = await launch(link, client, client.clock, installed, found)
    if status:
        raise CannotDo(f"the game's program has ended with status {status}")


def _ask(game: str, command: tuple[str, ...]) -> None:
    if not sys.stdin.isatty():
        fail(f"{game} has a program of its own, {' '.join(command)}: {WARNING}; --yes runs it")
    question = f"{game} has a program of its own, {' '.join(command)}: {WARNING}. Run it?"
    if not click.confirm(shown(question), err=True):
        raise SystemExit(1)


@click.command(short_help="Say something to your room.")
@click.argument("words", nargs=-1, required=True)
@linked
def chat(link: Link, words: tuple[str, ...]) -> None:
    """Say something to the room that you sit in."""

    async def deed(client: LobbyClient) -> None:
        room_id = await room_meant(client, None)
        await client.chat(room_id, " ".join(words))
        _say(link, {"room_id": room_id, "text": " ".join(words)}, "")

    link.talk(deed)


@click.command(short_help="Send a member of your room away.")
@click.argument("player")
@linked
def kick(link: Link, player: str) -> None:
    """Send PLAYER away from the room of which you are the host, for good."""

    async def deed(client: LobbyClient) -> None:
        room_id = await room_meant(client, None)
        await client.kick(room_id, player)
        _say(link, {"room_id": room_id, "player": player}, f"{player} is out of the room.")

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


async def names_of(client: LobbyClient) -> dict[str, str]:
    """The games' names by their ids."""
    return {str(game["game_id"]): str(game["name"]) for game in await all_of(client.games, "game_id")}


async def name_of(client: LobbyClient, game_id: str) -> str:
    """A game's name; its id where it has none that can be told."""
    try:
        return str((await client.game(game_id))["name"]) if game_id else "a game of their own"
    except NotFound:
        return game_id


def _say(link: Link, fields: dict[str, Any], text: str) -> None:
    if link.as_json:
        print_line(fields)
    elif text:
        click.echo(shown(text))
