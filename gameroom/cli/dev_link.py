"""The developer door, as the commands of `gameroom dev` reach it, and which game is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from gameroom.cli import link
from gameroom.cli.reacting import CannotDo
from gameroom.client.developer import DeveloperClient
from gameroom.client.servers import DEVELOPER_PORT, address_of
from gameroom.errors import InvalidRequest
from gameroom.rules import manifest
from gameroom.rules.manifest import GameEntry

WEB_PORT = 8080
Payload = dict[str, Any]
_connect = link.connecting(DeveloperClient, DEVELOPER_PORT)


@attrs.frozen(kw_only=True)
class World(link.World[DeveloperClient]):
    """What the commands of `gameroom dev` need of the world outside."""

    connect: link.Connect[DeveloperClient] = _connect


@attrs.frozen(kw_only=True)
class Link(link.Link[DeveloperClient]):
    """One command's server, and the developer who is logged in there."""

    group, role, port = "dev", DeveloperClient.role, DEVELOPER_PORT

    world: World = attrs.field(factory=World)


linked = link.linked(Link)


def web_url(server: str, web: str | None) -> str:
    """The web door's address: what was said, else the usual port of the same host."""
    if web:
        return web.rstrip("/")
    address = address_of(server, DEVELOPER_PORT)
    host = address[0] if address is not None else server.split(":")[1]
    return f"http://[{host}]:{WEB_PORT}" if ":" in host else f"http://{host}:{WEB_PORT}"


async def game_meant(client: DeveloperClient, wanted: str | None) -> Payload:
    """The developer's game of this name or id; that of ./game.toml where nothing is said. Raises `CannotDo`."""
    name = wanted if wanted is not None else named_here()
    found = named(await client.games(), name)
    if found is None:
        raise CannotDo(f"you have no game {name}; gameroom dev games lists those that you have")
    return found


def named(games: list[Payload], name: str) -> Payload | None:
    """The game of this id or name; letters may be small or large."""
    for same in (lambda game: name in (game["game_id"], game["name"]), lambda game: name.casefold() == game["name"].casefold()):
        for game in games:
            if same(game):
                return game
    return None


def named_here() -> str:
    entry = entry_of(Path())
    if entry is None:
        raise CannotDo("say which game, by its name or id; without that it is the one of game.toml's [game] in this folder")
    return entry.name


def entry_of(folder: Path) -> GameEntry | None:
    """`[game]` of the folder's game.toml; None without one. Raises `CannotDo` for one that is wrong."""
    path = folder / "game.toml"
    try:
        return manifest.parse(path.read_text("utf-8"), lambda name: (folder / name).read_bytes())[1]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (InvalidRequest, OSError, UnicodeDecodeError) as error:
        raise CannotDo(f"{path}: {error}") from None
