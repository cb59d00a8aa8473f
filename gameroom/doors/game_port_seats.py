"""Who comes to the game port, and where they sit: AUTH, HOST and JOIN (docs/protocol/game-port.md, "Party Manager").

Transport-free. A token is a session token, by which an account has its room, or a seat token, by which a member has its seat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

from gameroom.entrance import Guest
from gameroom.errors import BadState, Conflict, NotFound, Unauthorized
from gameroom.rules import party_codes, usernames
from gameroom.rules.room_options import RoomRequest

if TYPE_CHECKING:
    from gameroom.accounts import Accounts
    from gameroom.registry import Registry
    from gameroom.room import LivingRoom
    from gameroom.rules.sessions import Account

NAMELESS = 4
"""Characters behind `guest-`, of which there are 810,000."""
DRAWS = 8
"""So often another is drawn where somebody has that name."""


@attrs.frozen(kw_only=True)
class Seated:
    """Somebody who sits in a room, or looks on."""

    room: LivingRoom
    user_id: str
    token: str | None = None
    """The seat token that was given just now."""
    guest: bool = False
    """Whether that token is all by which they are ever known again."""


class Seats:
    """Finds and takes seats. `proved()` of each is called as soon as a token was good, whatever comes of it then."""

    def __init__(self, *, registry: Registry, accounts: Accounts, random_bytes: Callable[[int], bytes]) -> None:
        self._registry = registry
        self._accounts = accounts
        self._random_bytes = random_bytes

    async def known(self, token: str, proved: Callable[[], None]) -> Seated:
        """AUTH. Raises `Unauthorized`, `BadState` for no room or an account that has logged in again, `Forbidden`."""
        try:
            room, member = self._registry.by_seat_token(token)
        except Unauthorized:
            try:
                account = await self._account(token, proved)
            except Unauthorized:
                # It may have been either.
                raise Unauthorized(
                    "this token is not good any more, or never was: its seat is gone or has a newer one, or its log-in has ended; JOIN or log in"
                ) from None
            room_id = self._registry.seat_of(account.key)
            if room_id is None:
                raise BadState("you are seated in no room; HOST a party, or JOIN one by its code") from None
            return Seated(room=self._registry.here(room_id), user_id=account.username)
        proved()
        return Seated(room=room, user_id=member.user_id)

    async def hosted(self, message: dict[str, Any], address: str, proved: Callable[[], None]) -> Seated:
        """HOST: a room of that game, with its host in it. Where that fails there is no room."""
        token = message.get("id")
        account = None if token is None else await self._account(token, proved)
        name = _name_of(message) if account is None else None
        request = RoomRequest(game_id=_game_of(message), version=message.get("version", ""), fields={})
        room = await self._registry.create(request, account, address)
        try:
            return await self._seat(room, account, name)
        except BaseException:
            room.close("its host could not be seated")
            raise

    async def joined(self, message: dict[str, Any], address: str, proved: Callable[[], None]) -> Seated:
        """JOIN: a seat in the party of that code. Raises `NotFound`, `RateLimited`, and `BadState` for one that is full or plays."""
        token = message.get("id")
        account = None if token is None else await self._account(token, proved)
        name = _name_of(message) if account is None else None
        room = await self._registry.find_party(message["party_code"], address)
        return await self._seat(room, account, name)

    async def _account(self, token: str, proved: Callable[[], None]) -> Account:
        session = await self._accounts.identify(token)
        proved()
        return session.account

    async def _seat(self, room: LivingRoom, account: Account | None, name: str | None) -> Seated:
        if account is not None or name is not None:
            who: Account | Guest = account if account is not None else Guest(name)
            joined = await self._registry.join(room.room_id, who, "player")
        else:
            joined = await self._seat_nameless(room)
        return Seated(room=room, user_id=joined.user_id, token=joined.token, guest=account is None)

    async def _seat_nameless(self, room: LivingRoom) -> Any:
        for _ in range(DRAWS):
            try:
                name = f"guest-{party_codes.draw(self._random_bytes)[:NAMELESS]}"
                return await self._registry.join(room.room_id, Guest(name), "player")
            except Conflict:
                continue
        raise Conflict("this server ran out of names for guests; say a name of your own")

    async def give_up(self, seated: Seated) -> None:
        """Who took this seat was gone before hearing of it. A guest could never come back to it."""
        if seated.guest and not seated.room.closing:
            await self._registry.leave(seated.room.room_id, seated.user_id)


def _name_of(message: dict[str, Any]) -> str | None:
    name = message.get("name")
    return None if name is None else usernames.shown_name(name)


def _game_of(message: dict[str, Any]) -> str:
    game_id: str = message["game_id"]
    if not game_id:
        # To the registry this is a room of an engine of one's own.
        raise NotFound("there is no game without an id; the lobby's LIST_GAMES shows what there is")
    return game_id
