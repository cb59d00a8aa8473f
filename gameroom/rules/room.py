"""What a room is, and what may be done with it: values and pure functions.

Every function takes a `Room` and gives the next one, or raises a `GameroomError`; nothing here waits or writes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import attrs

from gameroom.errors import BadState, Conflict, Forbidden, InvalidRequest, NotFound
from gameroom.rules import usernames
from gameroom.rules.states import RUNNING, beginning
from gameroom.wire.room_messages import size_of

CONFIGURATION_BYTES = 64 << 10
SETUP, STARTING, PLAYING = "setup", "starting", "playing"
LOCKSTEP = "lockstep"


@attrs.frozen(kw_only=True)
class RoomOptions:
    """What a room was created with; it never changes."""

    hosting: str = LOCKSTEP
    game_id: str = ""
    version: str = ""
    engine: dict[str, Any] = attrs.field(factory=dict)
    """As given: `{"url"}`, `{"source", "media_type"}` or `{"game_id", "version"}`."""
    seed: int | str = 0
    min_players: int = 1
    max_players: int = 8
    encoding: str = "json"
    input_delay: int = 2
    checksum_interval: int = 1
    on_divergence: str = "halt"
    """`halt`, `evict` or `resync`."""
    patience: int | None = None
    """Milliseconds after which a generation is sealed without the seats that are missing."""
    states: dict[str, Any] | None = None
    """A description of an engine's own states; checked."""
    command_schema: dict[str, Any] | bool | None = None
    """A JSON schema of each command; checked."""
    viewer_delay: int = 0
    """Generations that viewers are held behind."""
    viewers: bool = True
    public: bool = True
    journal: str = ""
    """`async` or `sync`; empty for the operator's default."""
    turn_game: str = ""
    """The name of a controller room's game."""
    move_seconds: float | None = None
    """For how long a player may think about a turn."""
    total_seconds: float | None = None
    """And about all turns of a game together."""
    increment_seconds: float = 0.0
    """So much more of that for each turn that was made."""
    on_timeout: str = "lose"
    """`lose`, or `bot`: the server plays on for who has run out of time."""
    bot_level: int = 3
    """Of the bot that plays on."""


@attrs.frozen(kw_only=True)
class Player:
    """A player of one play."""

    seat: int
    user_id: str
    name: str


@attrs.frozen(kw_only=True)
class Member:
    """A player or viewer in a room."""

    user_id: str
    """An account's username, a guest's UUID4."""
    name: str
    account: str = ""
    """The account's canonical name; empty for a guest."""
    seat: int | None = None
    token_hash: str = ""
    """SHA-256 of the seat token, hex; empty while none was asked for."""
    joined: int = 0
    """Grows from member to member and anew when one takes a seat: the longest-seated has the lowest."""
    ready: bool = False
    locked: bool = False
    bot: int | None = None
    """The level of a computer player, who is always there and ready; None for a person."""

    @property
    def viewer(self) -> bool:
        return self.seat is None


@attrs.frozen(kw_only=True)
class Room:
    """A room as it is kept."""

    room_id: str
    party_code: str
    created_ms: int
    options: RoomOptions
    members: tuple[Member, ...] = ()
    """In the order in which they came."""
    host: str | None = None
    """The user_id of the player who may start; None while nobody is seated."""
    phase: str = SETUP
    play_id: str | None = None
    configuration: dict[str, Any] = attrs.field(factory=dict)
    revision: int = 0
    banned: frozenset[str] = frozenset()
    """The user_ids that were kicked."""
    next_joined: int = 1
    setup_state: str = ""
    """The state below `setup`, where the engine describes states of its own; empty where setup begins."""

    @property
    def state(self) -> str:
        """The full path of its state in setup; in a play its referee knows more."""
        return RUNNING if self.phase == PLAYING else self.setup_state or beginning(self.options.states, SETUP)

    @property
    def running(self) -> str:
        """The full path of the state in which a play of it begins."""
        return beginning(self.options.states, RUNNING) if self.options.hosting == LOCKSTEP else RUNNING

    @property
    def status(self) -> str:
        """WAITING or PLAYING; a room that starts counts as playing."""
        return "WAITING" if self.phase == SETUP else "PLAYING"

    @property
    def deserted(self) -> bool:
        """Whether everybody who came has left; nobody may come any more."""
        return self.next_joined > 1 and all(member.bot is not None for member in self.members)

    @property
    def players(self) -> list[Member]:
        """Who is seated, by seat."""
        return sorted((member for member in self.members if member.seat is not None), key=_seat)

    @property
    def locked(self) -> list[Player]:
        """Who plays, or will when the room has started, by seat."""
        return [Player(seat=_seat(member), user_id=member.user_id, name=member.name) for member in self.players if member.locked]

    def find(self, user_id: str) -> Member | None:
        for member in self.members:
            if member.user_id == user_id:
                return member
        return None

    def member(self, user_id: str) -> Member:
        """The member; raises `NotFound`."""
        found = self.find(user_id)
        if found is None:
            raise NotFound(f"{user_id} is not in this room")
        return found


def _seat(member: Member) -> int:
    assert member.seat is not None
    return member.seat


def _with(room: Room, changed: Member, **fields: Any) -> Room:
    """The room with one member in place of the one of the same user_id."""
    members = tuple(changed if member.user_id == changed.user_id else member for member in room.members)
    return attrs.evolve(room, members=members, **fields)


def _free_seat(room: Room) -> int | None:
    taken = {member.seat for member in room.members}
    return next((seat for seat in range(room.options.max_players) if seat not in taken), None)


def _require_seat(room: Room) -> int:
    if room.phase != SETUP:
        watch = ", or look on as a viewer at the web door" if room.options.viewers else ""
        raise BadState(f"this room is playing; wait until it is over{watch}")
    seat = _free_seat(room)
    if seat is None:
        raise BadState(f"this room is full: all {room.options.max_players} seats are taken")
    return seat


def add_member(room: Room, newcomer: Member, *, wish: str, most: int) -> Room:
    """Let somebody in who is not in yet.

    `wish` is `player` (a seat or nothing), `viewer`, or `any`: a seat, else as a viewer.
    `most` is how many members a room may have.
    Raises `Forbidden` for one who was kicked, `Conflict` for a name that another member has,
    `BadState` where there is no place.
    """
    if newcomer.user_id in room.banned:
        raise Forbidden("you were sent away from this room by its host")
    if any(same_name(newcomer.name, member.name) for member in room.members):
        raise Conflict(f"{newcomer.name} is in this room already; choose another name")
    if len(room.members) >= most:
        raise BadState(f"this room has {most} members already; no more can come")
    seat = None
    if wish == "player" or (wish == "any" and room.phase == SETUP and _free_seat(room) is not None):
        seat = _require_seat(room)
    if seat is None and not room.options.viewers:
        raise BadState("this room takes no viewers, and no seat is free" if wish == "any" else "this room takes no viewers")
    newcomer = attrs.evolve(newcomer, seat=seat, joined=room.next_joined, ready=False, locked=False)
    host = newcomer.user_id if room.host is None and seat is not None else room.host
    return attrs.evolve(room, members=(*room.members, newcomer), host=host, next_joined=room.next_joined + 1)


def add_bot(room: Room, by: str, user_id: str, level: int, most: int) -> Room:
    """The host puts a computer player into the lowest free seat. Raises as `add_member` does, and `Forbidden` for another than the host."""
    require_host(room, by, "add a computer player")
    taken = [member.name for member in room.members]
    names = ("Computer" if number == 1 else f"Computer {number}" for number in range(1, len(taken) + 2))
    name = next(name for name in names if not any(same_name(name, other) for other in taken))
    added = add_member(room, Member(user_id=user_id, name=name, bot=level), wish="player", most=most)
    return _with(added, attrs.evolve(added.member(user_id), ready=True))


def same_name(one: str, other: str) -> bool:
    """Whether two shown names are one name, or would be taken for each other."""
    first, second = usernames.any_name(one), usernames.any_name(other)
    if first.key == second.key:
        return True
    return not (first.is_ascii and second.is_ascii) and not set(first.skeletons).isdisjoint(second.skeletons)


def give_token(room: Room, user_id: str, token_hash: str) -> Room:
    """Bind a member to a new seat token; the one before is void."""
    return _with(room, attrs.evolve(room.member(user_id), token_hash=token_hash))


def sit(room: Room, user_id: str) -> Room:
    """A viewer takes the lowest free seat, in setup."""
    member = room.member(user_id)
    if member.seat is not None:
        raise BadState(f"you sit in seat {member.seat} already")
    seated = attrs.evolve(member, seat=_require_seat(room), joined=room.next_joined)
    return _with(room, seated, host=room.host or user_id, next_joined=room.next_joined + 1)


def stand(room: Room, user_id: str) -> Room:
    """A player gives up the seat and is a viewer. Where it was the host, the longest-seated player becomes host."""
    member = room.member(user_id)
    if member.seat is None:
        raise BadState("you have no seat to give up")
    return _with(room, attrs.evolve(member, seat=None, ready=False, locked=False), host=_host_without(room, {user_id}))


def remove(room: Room, user_ids: Iterable[str]) -> Room:
    """Members are gone. When the host is among them, the longest-seated player becomes host."""
    gone = set(user_ids)
    members = tuple(member for member in room.members if member.user_id not in gone)
    return attrs.evolve(room, members=members, host=_host_without(room, gone))


def _host_without(room: Room, gone: Collection[str]) -> str | None:
    """Who is host when these no longer play: the same, or the longest-seated of the others."""
    if room.host not in gone:
        return room.host
    seated = [member for member in room.members if member.seat is not None and member.bot is None and member.user_id not in gone]
    return min(seated, key=lambda member: member.joined).user_id if seated else None


def require_host(room: Room, user_id: str, deed: str) -> None:
    """Raises `Forbidden` for anyone but the host."""
    if room.host != user_id:
        raise Forbidden(f"only the host may {deed}")


def kick(room: Room, by: str, user_id: str) -> Room:
    """The host sends a member away for good."""
    room.member(user_id)
    require_host(room, by, "send somebody away")
    if user_id == by:
        raise BadState("you cannot send yourself away; leave instead")
    return attrs.evolve(remove(room, [user_id]), banned=room.banned | {user_id})


def set_ready(room: Room, user_id: str, ready: bool, revision: int | None) -> Room:
    """A player commits readiness, or takes it back; a `revision` that is not the present one makes not ready."""
    member = room.member(user_id)
    if member.seat is None:
        raise BadState("viewers are never ready; take a seat first")
    if room.phase == PLAYING:
        raise BadState("the play is on already")
    if ready and revision is not None and revision != room.revision:
        raise BadState(f"the configuration has changed: look at revision {room.revision} and be ready for that")
    return room if member.ready == ready else _with(room, attrs.evolve(member, ready=ready))


def merge_patch(target: Any, patch: Any) -> Any:
    """JSON Merge Patch (RFC 7396): a new value, the old ones untouched."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def configure(room: Room, patch: Any) -> Room:
    """Change the configuration; everyone's readiness is taken back."""
    if room.phase == PLAYING:
        raise BadState("the play is on; the configuration can be changed when it is over")
    if not isinstance(patch, dict):
        raise InvalidRequest("patch must be an object (a JSON merge patch)", pointer="/patch")
    configuration = merge_patch(room.configuration, patch)
    if size_of("configuration", configuration) > CONFIGURATION_BYTES:
        raise InvalidRequest("the configuration would be over 64 KiB", pointer="/patch")
    return attrs.evolve(_none_ready(room), configuration=configuration, revision=room.revision + 1)


def enter(room: Room, state: str) -> Room:
    """The engine's own state in setup is another one, or anew the same; everyone's readiness is taken back."""
    if room.phase == PLAYING:
        raise BadState("the play is on; this was an event of its setup")
    return attrs.evolve(_none_ready(room), setup_state=state)


def _none_ready(room: Room) -> Room:
    members = tuple(attrs.evolve(member, ready=False) if member.ready and member.bot is None else member for member in room.members)
    return attrs.evolve(room, members=members)


def all_ready(room: Room, connected: Iterable[str]) -> bool:
    """Whether a play can begin by itself: enough players (the locked ones, once locked), all connected and ready."""
    there = set(connected)
    players = [member for member in room.players if member.locked or room.phase == SETUP]
    return len(players) >= room.options.min_players and all(member.ready and member.user_id in there for member in players)


def lock(room: Room) -> Room:
    """The room starts: its status is PLAYING and its players are fixed."""
    if room.phase != SETUP:
        return room
    least = room.options.min_players
    if len(room.players) < least:
        raise BadState(f"this game needs {least} players; {len(room.players)} are here")
    members = tuple(attrs.evolve(member, locked=member.seat is not None) for member in room.members)
    return attrs.evolve(room, phase=STARTING, members=members)


def begin(room: Room, play_id: str) -> Room:
    """The play is on."""
    return attrs.evolve(lock(room), phase=PLAYING, play_id=play_id)


def finish(room: Room) -> Room:
    """The play is over: setup again from its beginning, nobody ready, nobody locked."""
    return attrs.evolve(unlock(room), setup_state="")


def unlock(room: Room) -> Room:
    """A start came to nothing: setup again, as it was but for nobody ready, nobody locked."""
    members = tuple(attrs.evolve(member, ready=member.bot is not None, locked=False) for member in room.members)
    return attrs.evolve(room, phase=SETUP, play_id=None, members=members)
