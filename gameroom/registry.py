"""The one registry of rooms that every door shares.

It owns rooms and party codes, knows no transport, and answers Deferreds, because a room may live in the database,
behind a program that is starting or, some day, on another node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from gameroom.deferring import deferring
from gameroom.entrance import Entrance, Guest, Joined
from gameroom.errors import BadState, NotFound, Unauthorized
from gameroom.interfaces import IDatabase, IReferee, IRegistry, IRoom
from gameroom.room import ABANDONED, LivingRoom, Surroundings
from gameroom.room_looks import RoomLooks
from gameroom.room_plan import plan_room
from gameroom.room_start import START
from gameroom.rules import party_codes
from gameroom.rules.guesses import CodeGuesses
from gameroom.rules.limits import Shares, network
from gameroom.rules.room import SETUP, Member, Room, RoomOptions, require_host
from gameroom.rules.room_options import RoomRequest
from gameroom.rules.sessions import LONGEST_TOKEN, Account, token_hash
from gameroom.settings import Addresses, Limits, RoomSettings
from gameroom.store import UniqueViolation
from gameroom.store import rooms as table

if TYPE_CHECKING:
    from gameroom.accounts import Accounts
    from gameroom.catalogue import Catalogue
    from gameroom.presence import Presence

Watcher = Callable[[LivingRoom, bool], None]


@implementer(IRegistry)
class Registry:
    """All living rooms of this node.

    Embedded in another program it takes a database, accounts and the referees of the hosting kinds that it is to play;
    `gameroom.tap` shows how the daemon makes it.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        database: IDatabase,
        accounts: Accounts,
        catalogue: Catalogue,
        presence: Presence,
        addresses: Addresses,
        clock: IReactorTime,
        random_bytes: Callable[[int], bytes],
        node: str,
        settings: RoomSettings,
        limits: Callable[[], Limits],
        referees: Mapping[str, Callable[[IRoom], IReferee]],
    ) -> None:
        self._catalogue = catalogue
        self._database = database
        self._clock = clock
        self._node = node
        self._presence = presence
        self._random_bytes = random_bytes
        self._limits = limits
        self._referees = referees
        self._rooms: dict[str, LivingRoom] = {}
        self._codes: dict[str, LivingRoom] = {}
        self._seats: dict[str, str] = {}
        self._tokens: dict[str, LivingRoom] = {}
        """By the hashes of the members' seat tokens."""
        self._watchers: list[Watcher] = []
        self._guesses = CodeGuesses()
        self._makers = Shares()
        """How many rooms of each address there are."""
        self._draining: list[Deferred[None]] | None = None
        self._stopped = False
        self._looks = RoomLooks(self._rooms.values, clock)
        self._stop_presence: Callable[[], None] = lambda: None
        self._entrance = Entrance(accounts=accounts, seats=self._seats, random_bytes=random_bytes, limits=limits)
        self._around = Surroundings(
            database=database,
            clock=clock,
            presence=presence,
            addresses=addresses,
            settings=settings,
            limits=limits,
            random_bytes=random_bytes,
            changed=self._changed,
            seen=lambda room: self._tell(room, closed=False),
            closed=self._closed,
            sit=self._entrance.sit,
            draining=lambda: self.draining,
            stopped=lambda: self._stopped,
        )

    # Its life.

    @deferring
    async def start(self) -> None:
        """Take up the rooms that a restart left; their members' windows count from now. Fires when they are there."""
        for value in await self._database.interact(table.load_all):
            if value.deserted:
                # It was killed between the last one's leaving and the room's end.
                await self._database.interact(table.end, value.room_id, value.play_id, int(self._clock.seconds() * 1000), ABANDONED)
                continue
            if value.options.hosting not in self._referees:
                self._log.error("room {room_id} is of a kind that is not played here: {kind}", room_id=value.room_id, kind=value.options.hosting)
                continue
            room = self._admit(value)
            await room.restore()
        self._stop_presence = self._presence.watch_lobby(self._at_lobby)
        self._looks.start()

    @deferring
    async def stop(self) -> None:
        """Let go of every room as it is; it is taken up again at the next start. Fires when all that was told is saved."""
        self._stopped = True
        self._stop_presence()
        self._looks.stop()
        for room in list(self._rooms.values()):
            await room.ledger.settled()

    @property
    def draining(self) -> bool:
        return self._draining is not None

    def drain(self) -> Deferred[None]:
        """From now on nothing starts and no room is made. Members are told; fires when no room plays."""
        if self._draining is None:
            self._draining = []
            for room in self._rooms.values():
                room.refereed.show_state(room.refereed.state, "going_down")
        done: Deferred[None] = Deferred()
        self._draining.append(done)
        self._look_whether_drained()
        return done

    # Rooms.

    @deferring
    async def create(self, request: RoomRequest, host: Account | None = None, address: str = "") -> LivingRoom:
        """Make a room of a game or of an engine of one's own; `host` is seated in seat 0, and it counts to the `address` of who makes it.

        Fires with the room once it is durable. Fails with `NotFound` or `BadState` for the game, `BadState` for a host
        who is seated elsewhere and for an address that has made too many, `InvalidRequest` for options that the game does not take.
        """
        if self.draining:
            raise BadState("this server is going down; make your room in a moment")
        made_from = network(address) if address else ""
        if not self._makers.enter(made_from, self._limits().rooms_per_address):
            raise BadState("there are too many rooms that were made from your address; leave some, or wait until they are gone")
        try:
            return await self._create(request, host, made_from)
        except BaseException:
            self._makers.leave(made_from)
            raise

    async def _create(self, request: RoomRequest, host: Account | None, made_from: str) -> LivingRoom:
        options, configuration = await plan_room(request, self._catalogue, self._referees, self._random_bytes)
        while True:
            value = self._draw(options, configuration)
            if host is not None:
                value = self._entrance.seat_host(value, host)
            try:
                await self._database.interact(table.insert, value, self._node)
            except BaseException as error:
                if host is not None:
                    del self._seats[host.key]
                if not isinstance(error, UniqueViolation):
                    raise
                if error.table == "rooms":
                    # Another node has that party code.
                    continue
                raise BadState("you are seated in another room; leave it first") from error
            self._log.info("room {room_id} of {game} is made", room_id=value.room_id, game=options.game_id or "an engine of its own")
            room = self._admit(value, made_from)
            room.audience.refresh()
            return room

    def _draw(self, options: RoomOptions, configuration: dict[str, Any]) -> Room:
        """A new room, with an id and a party code that no other of this node has."""
        code = party_codes.draw(self._random_bytes)
        while code in self._codes:
            code = party_codes.draw(self._random_bytes)
        room_id = str(UUID(bytes=self._random_bytes(16), version=4))
        created_ms = int(self._clock.seconds() * 1000)
        return Room(room_id=room_id, party_code=code, created_ms=created_ms, options=options, configuration=configuration)

    @deferring
    async def get(self, room_id: str) -> LivingRoom:
        """The living room; fails with `NotFound`."""
        return self.here(room_id)

    def here(self, room_id: str) -> LivingRoom:
        """The room, if it lives on this node; raises `NotFound`."""
        room = self._rooms.get(room_id)
        if room is None:
            raise NotFound("there is no such room; it may be over")
        return room

    @deferring
    async def find_party(self, code: str, address: str) -> LivingRoom:
        """The room of a party code, however it was typed.

        Fails with `NotFound`, or `RateLimited` for an address that has guessed wrong too often lately.
        """
        now = self._clock.seconds()
        self._guesses.check(now, address)
        try:
            return self._codes[party_codes.canonical(code)]
        except (KeyError, NotFound):
            self._guesses.count(now, self._limits().code_misses, address)
            raise NotFound("there is no party with that code; look at it once more") from None

    @deferring
    async def rooms(self, account: Account | None = None) -> list[LivingRoom]:
        """Public rooms and the account's own, newest first."""
        mine = account.username if account is not None else ""
        # A dict keeps the order of arrival.
        return [room for room in reversed(self._rooms.values()) if room.options.public or (mine and room.value.find(mine) is not None)]

    def everything(self) -> list[LivingRoom]:
        """All rooms of this node, for counting."""
        return list(self._rooms.values())

    # Members.

    @deferring
    async def join(self, room_id: str, who: Account | Guest, wish: str = "any", with_token: bool = True) -> Joined:
        """Let somebody into a room.

        `wish` is `player` (a seat or an error), `viewer`, or `any` (a seat, else as a viewer).
        Who is seated already keeps the seat. With `with_token` a new seat token is given and the old one is void.
        Fires with `Joined` once it is durable; fails with `NotFound`, `Forbidden`, `Conflict`, `BadState`.
        """
        return await self._entrance.join(self.here(room_id), who, wish, with_token)

    @deferring
    async def leave(self, room_id: str, user_id: str) -> None:
        """Free the seat; fires when that is durable. Fails with `NotFound`, or `BadState` for one who is not in the room."""
        room = self.here(room_id)
        if room.latest.find(user_id) is None:
            raise BadState("you are not in this room")
        await room.remove([user_id], "left")

    @deferring
    async def leave_by_token(self, room_id: str, token: str) -> None:
        """Free the seat that a seat token binds; fails with `Unauthorized` for another token."""
        room = self.here(room_id)
        await room.remove([room.by_token(token).user_id], "left")

    @deferring
    async def sit(self, room_id: str, user_id: str) -> None:
        """A viewer takes the lowest free seat; fails with `BadState` where there is none."""
        await self._entrance.sit(self.here(room_id), user_id)

    @deferring
    async def start_room(self, room_id: str, user_id: str) -> LivingRoom:
        """The host starts a room: fires with it when its players are locked (lock-step), or when the play has begun.

        Fails with `Forbidden` for another, with `BadState` where it cannot start (its game has been taken offline, say),
        and with the referee's error where the play comes to nothing. Asking again while it starts or plays is fine.
        """
        room = self.here(room_id)
        latest = room.latest
        require_host(latest, user_id, START)
        if latest.phase == SETUP and room.options.game_id:
            await self._catalogue.bundle(room.options.game_id, room.options.version)
        await room.starting.reserve(user_id)
        return room

    @deferring
    async def kick(self, room_id: str, by: str, user_id: str) -> None:
        """The host sends a member away for good; fails with `Forbidden` for another."""
        await self.here(room_id).kick(by, user_id)

    def seat_of(self, account_key: str) -> str | None:
        """The room in which an account is seated."""
        return self._seats.get(account_key)

    def by_seat_token(self, token: str) -> tuple[LivingRoom, Member]:
        """The member whom a seat token binds, and the room; raises `Unauthorized`."""
        room = self._tokens.get(token_hash(token)) if token.isascii() and len(token) <= LONGEST_TOKEN else None
        if room is None:
            raise Unauthorized("this seat token is of no room that there is, or a newer one is in its place; join again")
        return room, room.by_token(token)

    def may_read_play(self, play_id: str, account_key: str = "", token_hash: str = "") -> Deferred[bool | None]:
        """Whether they were in that play; None where there is no such play."""
        return self._database.interact(table.may_read_play, play_id, account_key, token_hash)

    # Who listens.

    def watch(self, callback: Watcher) -> Callable[[], None]:
        """`callback(room, closed)` whenever what lists show of a room has changed, and once when it is gone. Gives what stops it."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback) if callback in self._watchers else None

    def _tell(self, room: LivingRoom, closed: bool) -> None:
        for watcher in list(self._watchers):
            try:
                watcher(room, closed)
            except Exception:
                self._log.failure("somebody who watches rooms could not be told of {room_id}", room_id=room.room_id)

    def _admit(self, value: Room, made_from: str = "") -> LivingRoom:
        room = LivingRoom(value, self._around, self._referees[value.options.hosting], made_from)
        self._rooms[value.room_id] = room
        self._codes[value.party_code] = room
        for member in value.players:
            if member.account:
                self._seats[member.account] = value.room_id
        for member in value.members:
            if member.token_hash:
                self._tokens[member.token_hash] = room
        return room

    def _changed(self, room: LivingRoom, before: Room, after: Room) -> None:
        if before.members is not after.members:
            self._remember(room, before, after)
        self._look_whether_drained()

    def _remember(self, room: LivingRoom, before: Room, after: Room) -> None:
        """Who sits in the room, and what binds whom to it, is so now."""
        for member in before.members:
            self._tokens.pop(member.token_hash, None)
        for member in after.members:
            if member.token_hash:
                self._tokens[member.token_hash] = room
        seated = {member.account for member in after.players if member.account}
        for account in {member.account for member in before.players if member.account} - seated:
            if self._seats.get(account) == room.room_id:
                del self._seats[account]
        for account in seated:
            self._seats[account] = room.room_id

    def _closed(self, room: LivingRoom) -> None:
        if self._rooms.pop(room.room_id, None) is not None:
            self._makers.leave(room.made_from)
        self._codes.pop(room.value.party_code, None)
        # Who is on the way in sits there too, as far as `_seats` knows.
        for member in (*room.value.members, *room.latest.members):
            if self._seats.get(member.account) == room.room_id:
                del self._seats[member.account]
            self._tokens.pop(member.token_hash, None)
        self._tell(room, closed=True)
        self._look_whether_drained()

    def _at_lobby(self, account_key: str) -> None:
        room = self._rooms.get(self._seats.get(account_key, ""))
        if room is not None:
            room.audience.refresh()

    def _look_whether_drained(self) -> None:
        if self._draining and not any(room.value.status == "PLAYING" for room in self._rooms.values()):
            waiting, self._draining = self._draining, []
            for done in waiting:
                done.callback(None)


__all__ = ["Guest", "Joined", "Registry"]
