"""The lobby, as `gameroom play` reaches it, and which game or room is meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
import click
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from gameroom.cli import link
from gameroom.cli.play_process import spawn
from gameroom.cli.reacting import CannotDo
from gameroom.client.lobby import LobbyClient
from gameroom.client.servers import LOBBY_PORT
from gameroom.errors import NotFound
from gameroom.rules import party_codes
from gameroom.wire.commands import PAGE

FOLDER: Final = Path("user") / "downloads"
Payload = dict[str, Any]
_connect = link.connecting(LobbyClient, LOBBY_PORT)


def _in_thread(reactor: Any, work: Callable[..., Any], *args: Any) -> Deferred[Any]:
    return deferToThreadPool(reactor, reactor.getThreadPool(), work, *args)


@attrs.frozen(kw_only=True)
class World(link.World[LobbyClient]):
    """What the commands of `gameroom play` need of the world outside."""

    connect: link.Connect[LobbyClient] = _connect
    in_thread: Callable[..., Deferred[Any]] = _in_thread
    spawn: Callable[..., Deferred[int]] = spawn
    browse: Callable[[str], Any] = click.launch


@attrs.frozen(kw_only=True)
class Link(link.Link[LobbyClient]):
    """One command's server, and the player who is logged in there."""

    group, role, port = "play", LobbyClient.role, LOBBY_PORT

    world: World = attrs.field(factory=World)


linked = link.linked(Link)


async def all_of(page: Callable[..., Deferred[list[Payload]]], key: str, *args: Any) -> list[Payload]:
    """All entries of a list that is answered in pages."""
    found: list[Payload] = []
    while True:
        entries = await page(*args, before=str(found[-1][key]) if found else None)
        found += entries
        if len(entries) < PAGE:
            return found


async def game_meant(client: LobbyClient, text: str) -> Payload:
    """The detail of the game of this id or name. Raises `CannotDo` and what the server refuses."""
    try:
        return await client.game(text)
    except NotFound:
        found = [game for game in await all_of(client.games, "game_id") if str(game["name"]).casefold() == text.casefold()]
    if not found:
        raise CannotDo(f"there is no game {text}; gameroom play games lists those that there are")
    if len(found) > 1:
        raise CannotDo(f"{len(found)} games are called {text}; say which by its id: {', '.join(str(game['game_id']) for game in found)}")
    return await client.game(str(found[0]["game_id"]))


async def room_meant(client: LobbyClient, text: str | None) -> str:
    """The id of the room that is named; without a name the one that the player sits in. Raises `CannotDo`."""
    if text is not None:
        return text
    room_id = (await client.who_am_i()).get("room_id")
    if room_id is None:
        raise CannotDo("you are in no room; say which one, or join one: gameroom play rooms lists them")
    return str(room_id)


async def joined(client: LobbyClient, text: str) -> Payload:
    """Join the room of a party code or an id."""
    try:
        party_codes.canonical(text)
    except NotFound:
        return await client.join_room(text)
    return await client.join_party(text)
