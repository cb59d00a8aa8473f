"""What the floors promise each other.

Doors speak to the registry, to accounts and to the catalogue; the registry speaks to
connections through `IConnection` and to the rules of a hosting kind through `IReferee`;
everything that is kept goes through `IDatabase`.
None of them knows more of the other than what stands here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from gameroom.entrance import Guest, Joined
    from gameroom.errors import GameroomError
    from gameroom.gameservers.link import ServerLink
    from gameroom.listeners import Outlet
    from gameroom.referees.lockstep_lane import SeatLane
    from gameroom.room import LivingRoom
    from gameroom.rules.room import Member, Player, RoomOptions
    from gameroom.rules.room_options import RoomRequest
    from gameroom.rules.sessions import Account
    from gameroom.wire.room_messages import Hello, Outgoing, Outgoings

T = TypeVar("T")
Work = tuple[Callable[..., Awaitable[Any]], tuple[Any, ...]]
"""A coroutine function for `IDatabase.interact`, and its arguments behind the cursor."""
Row = tuple[Any, ...]


class ICursor(Interface):
    """One transaction's way to the database."""

    def execute(sql: str, params: Mapping[str, Any] | None = None) -> Awaitable[list[Row]]:
        """Run one statement with `:name` parameters.

        Awaiting it gives the rows (tuples; an empty list where the statement has none).
        `RETURNING` is how an UPDATE or DELETE tells what it touched.
        """


class IDatabase(Interface):
    """Where things are kept: SQLite in the daemon, or PostgreSQL."""

    def start() -> Deferred[None]:
        """Connect and migrate. Fails with `gameroom.store.DatabaseUnavailable`, one line for the operator."""

    def interact(work: Callable[..., Awaitable[T]], *args: Any) -> Deferred[T]:
        """Run `work(cursor, *args)`, a coroutine function, in one transaction.

        Fires with its result once the transaction is durable; when `work` raises, everything
        is rolled back and the Deferred fails with that exception.
        `work` awaits nothing but its cursor, changes nothing but the database (it may run in
        another thread, and more than once), and effects happen after this has fired.
        """

    def check() -> Deferred[None]:
        """Fires when the database answers; fails when it does not."""

    def stop() -> Deferred[None]:
        """Finish what is under way, then close."""


class IConnection(Interface):
    """One connection that carries room messages of one member, at whichever door."""

    door = Attribute("The door's name, for logs and metrics: 'web', 'lobby' or 'game'.")
    exclusive = Attribute("True where a newer such connection of the same member takes over (web, game); False at the lobby.")
    binary = Attribute("True where the connection can carry binary packets (web, game).")
    outlet: Outlet | None = Attribute("what `deliver` and `deliver_all` are for compiled code, once and for all; None where there is none (lobby).")

    def deliver(outgoing: Outgoing) -> None:
        """Give one message to the member. Never raises; a reader that is too slow is closed by its door."""

    def deliver_all(outgoings: Outgoings) -> None:
        """Give several messages to the member, as `deliver` gives one."""

    def catch_up(source: Callable[[], Outgoing | None]) -> None:
        """Send history at the reader's pace.

        `source()` is called each time that the reader has room for more, until it gives None.
        What is delivered meanwhile waits behind the history. History does not count to `queue_bytes`.
        """

    def close(error: GameroomError | None) -> None:
        """End it: with 4000 + the code of `error`, or normally. At the lobby this only ends the room's part of it."""


class IPipeConnection(IConnection):
    """A connection that can become a byte pipe between the member and a GameServer (game port)."""

    def enter(link: ServerLink) -> None:
        """The play is at a GameServer: from the next envelope boundary on this connection is the member's pipe to it.

        The connection opens the link, and takes it. Messages are dropped from now on. Never raises.
        """


class IFramedConnection(IConnection):
    """A connection that carries binary frames in a stream of its own, and can make its peer wait (web)."""

    def hold() -> None:
        """Take nothing more from the peer for now. What is read already may still come. Never raises."""

    def let_go() -> None:
        """Go on with taking what the peer sends. Never raises."""


class IRoom(Interface):
    """What a referee may ask of the room that it referees."""

    room_id: str = Attribute("UUID4")
    options: RoomOptions = Attribute("what the room was created with")
    made_from: str = Attribute("the address or network from which the room was made; empty where that is not known, as after a restart")
    configuration: dict[str, Any] = Attribute("the setup's configuration")
    revision: int = Attribute("the number of the configuration")
    host: str | None = Attribute("the user_id of the member who may start and resolve")
    setup_state: str = Attribute("the full path of its state while it is set up")
    seated: Sequence[str] = Attribute("the user_ids of the players, by seat")
    last_over: Outgoing | None = Attribute("how the last play ended, as members were told it; None where none has since this process began")

    def now() -> float:
        """Unix time in seconds."""

    def connected_fields(user_id: str, details: Any = None) -> dict[str, Any]:
        """CONNECTED's fields for a member, with what the GameServer has told of itself; raises `NotFound`."""

    def member(user_id: str) -> Member:
        """The member; raises `NotFound`."""

    def is_connected(user_id: str) -> bool:
        """Whether the member has a connection that room messages go to."""

    def connections(user_id: str) -> Sequence[Any]:
        """The member's `IConnection`s that have been welcomed."""

    def everyone() -> Iterable[Any]:
        """Every welcomed `IConnection` of every member."""

    def broadcast(outgoing: Outgoing) -> None:
        """Give it to every welcomed connection of every member."""

    def tell(user_id: str, outgoing: Outgoing) -> None:
        """Give it to every welcomed connection of one member."""

    def configure(patch: Mapping[str, Any], by: str) -> Deferred[None]:
        """Apply a JSON merge patch to the configuration; fires when it is durable and everyone was told."""

    def enter(state: str) -> Deferred[None]:
        """While it is set up: this is its state, and nobody is ready. Fires when that is durable and told; raises `BadState` in a play."""

    def show_state(state: str, reason: str | None = None, members: Sequence[str] | None = None, message: str | None = None) -> None:
        """Tell everyone the referee's state, as `running.paused.lagging`. The state is kept for those who come later.

        `message` is a sentence for a person.
        """

    def wake() -> None:
        """Something has begun of which `IReferee.rests_until` did not know: the room is looked at at the next occasion.

        Changes of the room and connections that come and go wake it by themselves.
        """

    def over(reason: str, results: Any = None) -> None:
        """The play has ended: the room goes back to setup and everyone is told."""


class ITurnRoom(IRoom):
    """What a referee may ask beside that whose room makes each of its steps durable, and answers its members' messages."""

    members: Sequence[Member] = Attribute("everybody who is in it, in the order in which they came")

    def finish(reason: str, results: Any, also: Work, told: Callable[[], None]) -> None:
        """As `over`, and `also` is done in the transaction that makes it durable; `told` is called then, before anyone hears of the end.

        It is tried again until it is durable.
        """

    def keep(work: Work, told: Callable[[], None]) -> Deferred[None]:
        """Do `work` in a transaction of the room's changes, in their order. `told` is called when it is durable; fails when it cannot be saved."""

    def set_ready(user_id: str, ready: bool) -> Deferred[None]:
        """A player is ready, or no longer. Raises `BadState`; fires when it is durable and told."""

    def take_seat(user_id: str) -> Deferred[None]:
        """A viewer takes the lowest free seat. Raises, or fails with, `BadState` where there is none."""

    def add_bot(by: str, level: int) -> Deferred[None]:
        """The host puts a computer player into a free seat; fires when that is durable and told.

        Raises `Forbidden` for another, and `BadState` where there is no free seat.
        """

    def give_up_seat(user_id: str) -> Deferred[None]:
        """A player becomes a viewer, or is gone where the room takes none; fires when that is durable and told."""

    def withdraw(user_id: str, event: str) -> None:
        """An event of this name that waits to be told to a player is out of date."""

    def send_again() -> None:
        """In a room whose messages are answered: say once more what was not answered in time."""


class IReferee(Interface):
    """Plays one room: the rules of one hosting kind (the Game Manager of the micro services seed).

    It is made with its room, lives as long as it, and never sees how a member is connected.
    The room calls it for one thing after the other, never from inside of one of its own calls to the room.
    A call that refuses raises a `GameroomError`, which goes to the sender alone.
    """

    waits_for_ready: bool = Attribute("True where a play begins only when all locked players are connected and ready (lock-step).")

    keeps_seats: bool = Attribute("True where a locked player who is away keeps the seat for as long as the play lasts (lock-step).")

    packets_are_messages: bool = Attribute("True where binary frames count to the limit of messages (relay); command packets do not.")

    transactional: bool = Attribute("True where messages are answered and players are told one thing at a time (controller).")

    acts_once: bool = Attribute(
        "True where a `game` message under an id acts once, however often it comes, also over a restart: the referee keeps its answer (service)."
    )

    begins_once: bool = Attribute(
        "True where a play that has got ready begins though players have left meanwhile, if enough are there: `left` is told behind `begun` (server)."
    )

    at_server: bool = Attribute("True while the play is at a GameServer to which members' connections become pipes (server rooms in proxy mode).")

    played_at: tuple[str, int] | None = Attribute(
        "(game_host, game_port) while clients connect to the GameServer themselves (direct mode); else None: they come by the kind's own door."
    )

    def check_start() -> None:
        """May a play begin here at all? Raises `BadState` where games of this kind cannot be run; asked before anything is locked."""

    def begin(play_id: str, players: Sequence[Player]) -> Deferred[None]:
        """A play begins with these players, by seat. Fires when it may be called playing; failing abandons the start."""

    def begun() -> None:
        """The room's status is durable and members were told `state`: tell them `start`, take packets."""

    def restore(play_id: str, players: Sequence[Player]) -> Deferred[None]:
        """After a restart of the daemon: take up the play where it stood, with everyone away. Failing ends the play."""

    def recall() -> Deferred[None]:
        """After a restart of the daemon, where nothing is played: what members may not have heard of the last play is told once more."""

    def welcome_fields(user_id: str) -> dict[str, Any]:
        """What the hosting kind adds to `welcome`."""

    def check_hello(hello: Hello) -> None:
        """While it plays: may somebody who has this be brought up to date? Raises `BadState` for a generation not yet there."""

    def welcomed(user_id: str, connection: Any, hello: Hello) -> None:
        """While it plays: the `IConnection` has its `welcome`, and `check_hello` did not refuse; bring it up to date."""

    def returned(user_id: str, connection: Any) -> None:
        """While nothing is played: the `IConnection` has its `welcome`."""

    def text(user_id: str, message: dict[str, Any], connection: Any) -> dict[str, Any] | None | Deferred[Any]:
        """A room message of a type that the room itself does not know.

        Gives the answer's fields (with `type`), None for a plain ack, or a Deferred of either.
        """

    def packet(user_id: str, data: bytes, connection: Any) -> None:
        """A binary frame of a member."""

    def lane(user_id: str) -> SeatLane | None:
        """The short way for the command packets of a player, while there is one; None for all who have none (lock-step)."""

    def chat(outgoing: Outgoing) -> bool:
        """While it plays: a member has said this. True where the referee gives it to everyone itself, each in its time."""

    def is_command(message_type: str) -> bool:
        """Whether a room message of this type is a command packet, which floods' limits leave aside."""

    def connected(user_id: str) -> None:
        """While it plays: the member has a connection again."""

    def parted(user_id: str, connection: Any) -> None:
        """While it plays: this `IConnection` of the member is gone; others may be left. Not told of one that was taken over."""

    def disconnected(user_id: str) -> None:
        """While it plays: the member's last connection is gone."""

    def left(user_id: str, seat: int, reason: str) -> None:
        """While it plays: this player is gone for good, `reason` being `left`, `kicked` or `timeout`."""

    def tick(now: float) -> None:
        """Look at deadlines. Called when `rests_until` is over and when the room was woken: ten times a second at most, about once a second at least.

        Not while the room in setup saves something.
        """

    def rests_until(now: float) -> float:
        """Until when `tick` has nothing to do unless the room is woken; `now` where it is to be called as often as can be.

        Asked behind each look, and answered from what is so then.
        """

    def end() -> None:
        """The room is going, or its play is over: let go of everything. A play that is still on is over, `abandoned`."""


class IRegistry(Interface):
    """The one registry of rooms that all doors share; `gameroom.registry.Registry` says what each fires with and fails with."""

    def create(request: RoomRequest, host: Account | None = None, address: str = "") -> Deferred[LivingRoom]:
        """Make a room; `host` is seated in seat 0."""

    def get(room_id: str) -> Deferred[LivingRoom]:
        """The living room."""

    def find_party(code: str, address: str) -> Deferred[LivingRoom]:
        """The room of a party code."""

    def rooms(account: Account | None = None) -> Deferred[list[LivingRoom]]:
        """Public rooms and the account's own, newest first."""

    def join(room_id: str, who: Account | Guest, wish: str = "any", with_token: bool = True) -> Deferred[Joined]:
        """Let somebody in, as a player or viewer."""

    def leave(room_id: str, user_id: str) -> Deferred[None]:
        """Free the seat."""

    def leave_by_token(room_id: str, token: str) -> Deferred[None]:
        """Free the seat that a seat token binds."""

    def sit(room_id: str, user_id: str) -> Deferred[None]:
        """A viewer takes a seat."""

    def start_room(room_id: str, user_id: str) -> Deferred[LivingRoom]:
        """The host starts the room."""

    def kick(room_id: str, by: str, user_id: str) -> Deferred[None]:
        """The host sends a member away for good."""

    def seat_of(account_key: str) -> str | None:
        """The room in which an account is seated."""

    def watch(callback: Callable[[LivingRoom, bool], None]) -> Callable[[], None]:
        """Be told when what lists show of a room has changed, or the room is gone."""
