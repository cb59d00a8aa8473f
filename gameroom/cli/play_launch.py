"""Starts what a room is played with: the game's own program, or a browser (docs/cli.md)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from gameroom.cli.play_install import Installed
from gameroom.cli.play_link import Link
from gameroom.cli.reacting import CannotDo
from gameroom.client.lobby import LobbyClient
from gameroom.client.stream import ConnectionFailed

Payload = dict[str, Any]
LOOKS_EVERY: Final = 0.25
"""Seconds between two looks whether a room that is being started can be played."""
WARNING: Final = "it can do whatever you can do on this computer, and play in your name"
"""What is to be known before a stranger's program runs."""


def environment(link: Link, room: Mapping[str, Any], player: str, token: str, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a client program finds in its environment; what does not apply to this room is not there."""
    seat = next((seat for seat, name in room.get("seats", {}).items() if name == player), None)
    ours = {
        "GAMEROOM_SERVER": link.key,
        "GAMEROOM_HOST": room.get("game_host"),
        "GAMEROOM_PORT": room.get("game_port"),
        "GAMEROOM_ROOM_ID": room["room_id"],
        "GAMEROOM_GAME_ID": room["game_id"],
        "GAMEROOM_VERSION": room["version"],
        "GAMEROOM_HOSTING": room.get("hosting"),
        "GAMEROOM_PLAYER": player,
        "GAMEROOM_SEAT": seat,
        "GAMEROOM_SESSION_TOKEN": token,
        "GAMEROOM_PARTY_CODE": room.get("party_code"),
        "GAMEROOM_JOIN_URL": room.get("join_url"),
    }
    others = os.environ if inherited is None else inherited
    kept = {name: value for name, value in others.items() if not name.startswith("GAMEROOM_")}
    return {**kept, **{name: str(value) for name, value in ours.items() if value is not None and "\0" not in str(value)}}


def allow(installed: Installed) -> None:
    """Its program may run from now on."""
    attrs.evolve(installed.record, allowed=True).write(installed.place.record)


async def played(client: LobbyClient, room: Payload, waits: Callable[[], None]) -> Payload:
    """The room once it can be played: one that a GameServer plays when its host has started it; `waits` is called where that is yet to come.

    Raises `CannotDo` where it is over first, and `ConnectionFailed`.
    """
    room_id = str(room["room_id"])
    if room.get("hosting") != "server" or "game_port" in room:
        return room
    news: Deferred[str] = Deferred()

    def hear(push: Payload) -> None:
        entry = push.get("room", {})
        if entry.get("room_id") == room_id and entry.get("status") in ("PLAYING", "CLOSED") and not news.called:
            news.callback(entry["status"])

    stops = [client.on_push("ROOM_UPDATED", hear), client.on_lost(lambda why: None if news.called else news.errback(ConnectionFailed(why)))]
    try:
        await client.subscribe(rooms=True)
        while True:
            room = await client.room(room_id)
            if "game_port" in room:
                return room
            starts = room["status"] == "PLAYING"
            if starts:  # its server is not ready yet; nobody is told when it is, since the lobby's lists show no difference
                await deferLater(client.clock, LOOKS_EVERY)
            else:
                waits()
            if not starts or news.called:
                if await news == "CLOSED":
                    raise CannotDo("the room is gone")
                news = Deferred()
    finally:
        for stop in stops:
            stop()
        news.addErrback(lambda _: None)


async def launch(link: Link, client: LobbyClient, reactor: Any, installed: Installed, room: Mapping[str, Any]) -> int:
    """Run the game's program for a room; its exit status. Raises `CannotDo` where it has none."""
    if not installed.record.command:
        raise CannotDo(f"{installed.record.game} has no program of its own; it is played at {join_url(room)}")
    assert client.token is not None
    surroundings = environment(link, room, link.who().username, client.token)
    return await link.world.spawn(reactor, installed.record.command, installed.place.folder, surroundings)


def join_url(room: Mapping[str, Any]) -> str:
    """Where a browser plays the room. Raises `CannotDo` where the server names nothing that a browser should be sent to."""
    url = str(room.get("join_url", ""))
    if not url.startswith(("http://", "https://")):
        raise CannotDo("the server names no page for this room")
    return url
