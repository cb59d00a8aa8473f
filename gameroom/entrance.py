"""How somebody comes into a room, and that nobody sits in two."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

import attrs

from gameroom.errors import BadState, Conflict, NotFound
from gameroom.rules import room as rules
from gameroom.rules import usernames
from gameroom.rules.room import PLAYING, Member, Room
from gameroom.rules.sessions import Account, token_hash
from gameroom.settings import Limits
from gameroom.store import UniqueViolation
from gameroom.store import rooms as table

if TYPE_CHECKING:
    from gameroom.accounts import Accounts
    from gameroom.room import LivingRoom

SEAT_TOKEN_BYTES = 24


@attrs.frozen
class Guest:
    """Somebody without an account, with the name that they want to be shown by."""

    name: str | None = None


@attrs.frozen(kw_only=True)
class Joined:
    """Somebody is in a room."""

    room: LivingRoom
    user_id: str
    name: str
    seat: int | None
    viewer: bool
    token: str
    """The seat token, to be shown to its owner once; empty where none was asked for."""


class Entrance:
    """Lets people into rooms. `seats` is the registry's: account key → room_id, of everybody who is seated."""

    def __init__(self, *, accounts: Accounts, seats: dict[str, str], random_bytes: Callable[[int], bytes], limits: Callable[[], Limits]) -> None:
        self._accounts = accounts
        self._seats = seats
        self._random_bytes = random_bytes
        self._limits = limits

    def seat_host(self, value: Room, host: Account) -> Room:
        """A new room with its host in seat 0; the seat is taken from now on. Raises `BadState` for one who is seated elsewhere."""
        self._require_free(host.key, value.room_id)
        member = Member(user_id=host.username, name=host.username, account=host.key)
        seated = rules.add_member(value, member, wish="player", most=self._limits().members_per_room)
        self._seats[host.key] = value.room_id
        return seated

    async def join(self, room: LivingRoom, who: Account | Guest, wish: str, with_token: bool) -> Joined:
        """See `Registry.join`."""
        if isinstance(who, Guest):
            newcomer = await self._guest(who)
        else:
            newcomer = Member(user_id=who.username, name=who.username, account=who.key)
        token = urlsafe_b64encode(self._random_bytes(SEAT_TOKEN_BYTES)).decode("ascii") if with_token else ""
        latest = room.latest
        if latest.find(newcomer.user_id) is None:
            latest = rules.add_member(latest, newcomer, wish=wish, most=self._limits().members_per_room)
        elif wish == "player" and latest.member(newcomer.user_id).viewer:
            latest = rules.sit(latest, newcomer.user_id)
        if token:
            latest = rules.give_token(latest, newcomer.user_id, token_hash(token))
        await self._commit(room, latest, newcomer.user_id)
        member = room.latest.member(newcomer.user_id)
        return Joined(room=room, user_id=member.user_id, name=member.name, seat=member.seat, viewer=member.viewer, token=token)

    async def sit(self, room: LivingRoom, user_id: str) -> None:
        """A viewer takes a seat."""
        await self._commit(room, rules.sit(room.latest, user_id), user_id)

    async def _commit(self, room: LivingRoom, after: Room, user_id: str) -> None:
        member = after.member(user_id)
        key = member.account if member.seat is not None else ""
        reserved = bool(key) and key not in self._seats
        if key:
            self._require_free(key, room.room_id)
            self._seats[key] = room.room_id
        also = None
        if after.phase == PLAYING and after.play_id is not None:
            also = (table.add_play_member, (after.play_id, member))
        try:
            await room.change(after, also=also)
            if room.closing:
                raise NotFound("this room is gone")
        except BaseException as error:
            if reserved and self._seats.get(key) == room.room_id:
                del self._seats[key]
            if isinstance(error, UniqueViolation):
                raise _seated_elsewhere() from error
            raise

    async def _guest(self, guest: Guest) -> Member:
        user_id = str(UUID(bytes=self._random_bytes(16), version=4))
        if guest.name is None:
            return Member(user_id=user_id, name=user_id)
        name = usernames.shown_name(guest.name)
        if await self._accounts.name_taken(name):
            raise Conflict(f"{name} is somebody's account, or looks like it; log in, or choose another name")
        return Member(user_id=user_id, name=name)

    def _require_free(self, key: str, room_id: str) -> None:
        if self._seats.get(key, room_id) != room_id:
            raise _seated_elsewhere()


def _seated_elsewhere() -> BadState:
    return BadState("you are seated in another room; leave it first")
