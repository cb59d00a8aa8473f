"""From a wish for a room to what it will be: the game's own word, then what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Any

from gameroom.errors import BadState, InvalidRequest
from gameroom.rules.room import RoomOptions
from gameroom.rules.room_options import RoomRequest
from gameroom.rules.turn_games.games import GAMES

if TYPE_CHECKING:
    from gameroom.catalogue import Bundle, Catalogue


async def plan_room(
    request: RoomRequest, catalogue: Catalogue, hosted: Container[str], random_bytes: Callable[[int], bytes]
) -> tuple[RoomOptions, dict[str, Any]]:
    """The options and the first configuration of a room.

    `hosted` are the hosting kinds that this server plays. A seed that was not given is drawn below 2^32.
    Raises `NotFound` for an unknown game or version, `BadState` for one that is offline or cannot be hosted here,
    `InvalidRequest` for what its bundle does not allow.
    """
    drawn = int.from_bytes(random_bytes(4), "big")
    if not request.game_id:
        return request.options(drawn_seed=drawn, base={"hosting": "lockstep", "engine": request.engine})
    bundle = await catalogue.bundle(request.game_id, request.version or None)
    if bundle.hosting not in hosted:
        raise BadState(f"this server does not host {bundle.hosting} games")
    base = {
        **bundle.lockstep,
        "hosting": bundle.hosting,
        "game_id": bundle.game_id,
        "version": bundle.version,
        "engine": _where(bundle),
        "min_players": bundle.min_players,
        "max_players": bundle.max_players,
    }
    if bundle.hosting == "controller" and (game := GAMES.get(base.get("turn_game", ""))) is not None:
        base["min_players"], base["max_players"] = max(bundle.min_players, game.fewest), min(bundle.max_players, game.most)
        for name in ("min_players", "max_players"):
            if request.fields.get(name, game.fewest) < game.fewest:
                raise InvalidRequest(f"this game takes at least {game.fewest} players", pointer=f"/{name}")
    return request.options(drawn_seed=drawn, base=base, most_players=base["max_players"])


def _where(bundle: Bundle) -> dict[str, Any]:
    """Where the web door serves the bundle's engine, and its page where it has one; the name of the turn game that is the server's."""
    root = f"/play/{bundle.game_id}/{bundle.version}/"
    engine: dict[str, Any] = {"game_id": bundle.game_id, "version": bundle.version}
    if bundle.engine is not None:
        engine["url"] = root + bundle.engine
    if bundle.web is not None:
        engine["page"] = root + bundle.web
    if "turn_game" in bundle.lockstep:
        engine["controller"] = bundle.lockstep["turn_game"]
    return engine
