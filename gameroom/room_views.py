"""A room as it is shown: in lists, in `welcome`, in the roster. One place for each form, for all doors."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from gameroom.rules.room import Member, Room

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
    if room.status == "PLAYING":
        detail["game_host"], detail["game_port"] = living.around.addresses.played_at(room.options.hosting)
    return detail


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
    """The answer of `GET /join`, which is also `welcome.room`."""
    room, options = living.value, living.options
    there = {member.user_id for member in room.members if living.audience.is_there(member)}
    return {
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


def _engine(room: Room) -> dict[str, Any]:
    """Where the engine is: a submitted source is served by the web door, everything else says so itself."""
    engine = room.options.engine
    if "source" in engine:
        return {"url": f"/join/{room.room_id}/engine", "media_type": engine["media_type"]}
    return engine
