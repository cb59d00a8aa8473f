"""A room as it is shown: in lists, in `welcome`, in the roster. One place for each form, for all doors."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from gameroom.rules.manifest import SERVER
from gameroom.rules.room import PLAYING, STARTING, Member, Room

if TYPE_CHECKING:
    from gameroom.room import LivingRoom


def lobby_entry(room: Room) -> dict[str, Any]:
    """An entry of LIST_ROOMS, with the seed's fields alone."""
    host = room.find(room.host) if room.host is not None else None
    return {
        "room_id": room.room_id,
        "game_id": room.options.game_id,
        "version": room.options.version,
        "host": host.name if host is not None else "",
        "players": [member.name for member in room.players],
        "status": room.status,
    }


def lobby_detail(living: LivingRoom) -> dict[str, Any]:
    """GET_ROOM's `room`; where it is played only while it plays."""
    room = living.value
    detail = {
        **lobby_entry(room),
        "party_code": room.party_code,
        "max_players": room.options.max_players,
        "hosting": room.options.hosting,
        "seats": {str(member.seat): member.name for member in room.players},
        "join_url": living.around.addresses.join_url(room.room_id),
    }
    if room.phase == PLAYING or (room.phase == STARTING and room.options.hosting != SERVER):
        detail["game_host"], detail["game_port"] = living.played_at()
    return detail


def address(living: LivingRoom) -> dict[str, Any]:
    """Where clients connect to the GameServer of the play themselves; nothing where they do not."""
    where = living.referee.played_at
    return {} if where is None else {"game_host": where[0], "game_port": where[1]}


def connected(living: LivingRoom, member: Member, details: Any = None, seat_token: str | None = None) -> dict[str, Any]:
    """The fields of the game port's CONNECTED (`gameroom.wire.game_port`).

    Of a server room `PLAYING` means that what follows is the byte pipe to the GameServer: whoever gets none, a viewer say, reads `WAITING`.
    A viewer has no `seat`.
    """
    room, options = living.value, living.options
    plays = living.referee.at_server and member.seat is not None if options.hosting == SERVER else room.status == "PLAYING"
    fields: dict[str, Any] = {
        "room_id": room.room_id,
        "game_id": options.game_id,
        "version": options.version,
        "hosting": options.hosting,
        "status": "PLAYING" if plays else "WAITING",
        "players": [{"seat": player.seat, "name": player.name} for player in room.players],
        "max_players": options.max_players,
        "party_code": room.party_code,
    }
    if member.seat is not None:
        fields["seat"] = member.seat
    if seat_token is not None:
        fields["seat_token"] = seat_token
    if details is not None:
        fields["details"] = details
    return fields


def roster(room: Room, there: Collection[str]) -> list[dict[str, Any]]:
    """`players`: everybody in the room, players by seat and then viewers."""
    viewers = [member for member in room.members if member.viewer]
    return [_entry(room, member, member.user_id in there) for member in (*room.players, *viewers)]


def _entry(room: Room, member: Member, connected: bool) -> dict[str, Any]:
    entry = {
        "user_id": member.user_id,
        "name": member.name,
        "seat": member.seat,
        "viewer": member.viewer,
        "host": member.user_id == room.host,
        "connected": connected,
        "ready": member.ready,
    }
    return entry if member.bot is None else {**entry, "bot": member.bot}


def you(room: Room, member: Member) -> dict[str, Any]:
    """`welcome.you`."""
    return {
        "user_id": member.user_id,
        "name": member.name,
        "seat": member.seat,
        "viewer": member.viewer,
        "host": member.user_id == room.host,
    }


def join_view(living: LivingRoom) -> dict[str, Any]:
    """The answer of `GET /join`, which is also `welcome.room`; of a server room with the door that programs come in by."""
    room, options = living.value, living.options
    there = {member.user_id for member in room.members if living.audience.is_there(member)}
    view = {
        "room_id": room.room_id,
        "party_code": room.party_code,
        "engine": _engine(room),
        "seed": options.seed,
        "configuration": room.configuration,
        "revision": room.revision,
        "state": living.refereed.state,
        "hosting": options.hosting,
        "players": roster(room, there),
        "min_players": options.min_players,
        "max_players": options.max_players,
        "encoding": options.encoding,
    }
    if options.hosting == SERVER:
        view["game_host"], view["game_port"] = living.around.addresses.played_at(SERVER)
    return view


def _engine(room: Room) -> dict[str, Any]:
    """Where the engine is: a submitted source is served by the web door, everything else says so itself."""
    engine = room.options.engine
    if "source" in engine:
        return {"url": f"/join/{room.room_id}/engine", "media_type": engine["media_type"]}
    return engine
