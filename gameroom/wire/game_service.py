"""What gameroom and a micro game service say to each other (docs/protocol/game-service.md).

Values here, their bytes by Protocol Buffers. `game.proto` and the page's tables come from the declaration in `game_service_messages`.
This is on the way of every update, so values go straight into protobuf's classes and out of them, without the dictionaries between of `messages`.
Pure values: no Twisted, no clock, no I/O.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

import attrs
import orjson
from google.protobuf.message import DecodeError

from gameroom.errors import InvalidRequest
from gameroom.wire.game_service_messages import GAME_STATE, GAME_UPDATE, PROTO
from gameroom.wire.json_lists import MOST as MOST_LISTS
from gameroom.wire.json_lists import check_lists
from gameroom.wire.room_messages import size_of

STATE_BYTES: Final = 1 << 20
"""Of a room's state."""
SHOWN_BYTES: Final = 1 << 20
"""Of all broadcasts and views of one answer, as they come and with text among them as compact JSON."""
MOST_SHOWN: Final = 1000
"""Broadcasts and views of one answer."""
RESULTS_BYTES: Final = 16 << 10
"""Of `results`, as compact JSON: as in other rooms."""
ANSWER_BYTES: Final = 4 << 20
"""Of a whole answer: no answer within the limits needs so much, and longer ones would take long to refuse."""


@attrs.frozen
class Player:
    """One who has a seat. `id` is an account's username or a guest's UUID, never a token."""

    seat: int
    id: str
    name: str
    connected: bool


@attrs.frozen
class Started:
    """A play begins. `config` is the room's configuration, JSON; `seed` is for this play alone, and nobody else knows it."""

    config: bytes
    seed: int


@attrs.frozen
class Message:
    """What a member said: JSON where it is `text`, else the bytes of a binary frame."""

    seat: int
    data: bytes
    text: bool


@attrs.frozen
class Joined:
    """A player is back."""

    seat: int


@attrs.frozen
class Left:
    """A player's connection is lost (`away`), or the seat is free: `left`, `kicked`, `timeout`."""

    seat: int
    reason: str


@attrs.frozen
class Timer:
    """What the service has asked for is due: `due_ms`, Unix time in milliseconds."""

    due_ms: int


Event = Started | Message | Joined | Left | Timer


@attrs.frozen(kw_only=True)
class Update:
    """One GameUpdate. `now_ms` is the Unix time of the event, in milliseconds."""

    request: int
    room_id: str
    sequence: int
    state: bytes
    players: tuple[Player, ...]
    event: Event
    now_ms: int
    game_id: str
    version: str


@attrs.frozen
class Said:
    """To all members: JSON where it is `text`, else the bytes of a binary frame. `Outgoing` in game.proto."""

    data: bytes
    text: bool


@attrs.frozen
class View:
    """To one seat."""

    seat: int
    data: bytes
    text: bool


@attrs.frozen
class Finished:
    """The play is over. `results` is JSON; empty for none."""

    results: bytes


@attrs.frozen
class Rejected:
    """The update changes nothing, and its sender is told why."""

    code: int
    message: str


@attrs.frozen(kw_only=True)
class State:
    """One GameState. `timer_ms` is None where the timer stays as it is, 0 where it is taken back."""

    request: int
    sequence: int
    state: bytes = b""
    broadcast: tuple[Said, ...] = ()
    views: tuple[View, ...] = ()
    timer_ms: int | None = None
    finished: Finished | None = None
    rejected: Rejected | None = None


_FEW_LEVELS: Final = 200

_Update: Final = PROTO.class_of(GAME_UPDATE)
_State: Final = PROTO.class_of(GAME_STATE)

_EVENTS: Final[dict[type[Event], tuple[str, tuple[str, ...]]]] = {
    kind: (kind.__name__.lower(), tuple(field.name for field in attrs.fields(kind))) for kind in (Started, Message, Joined, Left, Timer)
}
_BY_NAME: Final = {name: (kind, fields) for kind, (name, fields) in _EVENTS.items()}


def update_to_bytes(update: Update, request: int | None = None) -> bytes:
    """The same bytes for the same update; with another `request` where one is given. Raises ValueError for what its fields cannot hold."""
    event = update.event
    name, fields = _EVENTS[type(event)]
    told = _Update(
        request=update.request if request is None else request,
        room_id=update.room_id,
        sequence=update.sequence,
        state=update.state,
        players=[{"seat": one.seat, "id": one.id, "name": one.name, "connected": one.connected} for one in update.players],
        now_ms=update.now_ms,
        game_id=update.game_id,
        version=update.version,
        **{name: {field: getattr(event, field) for field in fields}},
    )
    data: bytes = told.SerializeToString(deterministic=True)
    return data


def update_from_bytes(data: bytes) -> Update:
    """For those who stand in a service's place, and for recordings. Raises `InvalidRequest`."""
    told = _read(_Update, data)
    name = told.WhichOneof("event")
    if name is None:
        raise InvalidRequest("this GameUpdate has no event")
    kind, fields = _BY_NAME[name]
    event = getattr(told, name)
    return Update(
        request=told.request,
        room_id=told.room_id,
        sequence=told.sequence,
        state=told.state,
        players=tuple(Player(one.seat, one.id, one.name, one.connected) for one in told.players[:]),
        event=kind(*(getattr(event, field) for field in fields)),
        now_ms=told.now_ms,
        game_id=told.game_id,
        version=told.version,
    )


def state_to_bytes(state: State) -> bytes:
    """The same bytes for the same state. Raises ValueError for numbers that its fields cannot hold."""
    said = _State(
        request=state.request,
        sequence=state.sequence,
        state=state.state,
        broadcast=[{"data": one.data, "text": one.text} for one in state.broadcast],
        views=[{"seat": one.seat, "data": one.data, "text": one.text} for one in state.views],
        timer_ms=state.timer_ms,
        finished=None if state.finished is None else {"results": state.finished.results},
        rejected=None if state.rejected is None else {"code": state.rejected.code, "message": state.rejected.message},
    )
    data: bytes = said.SerializeToString(deterministic=True)
    return data


def state_from_bytes(data: bytes) -> State:
    """What a service answered, checked for all that does not depend on the update.

    Text and results come as compact JSON, on one line, nested no deeper than what the room's messages may carry.
    A rejected answer has its `request`, `sequence` and `rejected` alone: it changes nothing, so the rest is not looked at.
    Raises `InvalidRequest`, whose sentence tells a developer what is wrong.
    """
    said = _read(_State, data)
    if said.HasField("rejected"):
        rejected = said.rejected
        return State(request=said.request, sequence=said.sequence, rejected=Rejected(rejected.code, rejected.message))
    state = said.state
    if len(state) > STATE_BYTES:
        _too_large("state", STATE_BYTES, len(state))
    if len(data) > MOST_LISTS:
        # No shorter one has so many. Of more than may be shown the first are enough: it is refused anyway.
        shown = (*said.broadcast[:MOST_SHOWN], *said.views[:MOST_SHOWN])
        check_lists("the JSON of an answer", *(one.data for one in shown if one.text), said.finished.results)
    broadcast, views = _shown(said)
    return State(
        request=said.request,
        sequence=said.sequence,
        state=state,
        broadcast=broadcast,
        views=views,
        timer_ms=said.timer_ms if said.HasField("timer_ms") else None,
        finished=Finished(_results(said.finished.results)) if said.HasField("finished") else None,
    )


def shown_from_bytes(data: bytes) -> tuple[tuple[Said, ...], tuple[View, ...]]:
    """Broadcasts and views of what `state_to_bytes` gave for a state that was checked: they are not looked at again, so this is quick."""
    said = _read(_State, data)
    return tuple(Said(one.data, one.text) for one in said.broadcast[:]), tuple(View(one.seat, one.data, one.text) for one in said.views[:])


def _read(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidRequest(f"this is no {kind.DESCRIPTOR.name} in Protocol Buffers") from None


def _shown(said: Any) -> tuple[tuple[Said, ...], tuple[View, ...]]:
    """What members are to see. Raises `InvalidRequest`, before anything is made of what is too much."""
    many = len(said.broadcast) + len(said.views)
    if not many:
        return (), ()
    if many > MOST_SHOWN:
        raise InvalidRequest(f"there may be at most {MOST_SHOWN} broadcasts and views together; here are {many}")
    told: list[Said] = []
    seen: list[View] = []
    left = SHOWN_BYTES
    # Copied into lists of Python's: protobuf's own are slow to go through.
    for at, one in enumerate(said.broadcast[:]):
        data, left = _data(one, left, "broadcast", at)
        told.append(Said(data, one.text))
    for at, one in enumerate(said.views[:]):
        data, left = _data(one, left, "views", at)
        seen.append(View(one.seat, data, one.text))
    return tuple(told), tuple(seen)


def _data(one: Any, left: int, name: str, at: int) -> tuple[bytes, int]:
    """What one holds, and how many bytes are left behind it. Numbers may become longer in compact JSON, so both count."""
    data: bytes = one.data
    size = len(data)
    if one.text and size <= left:
        data = _compact(data, name, at)
        size = max(size, len(data))
    if size > left:
        raise InvalidRequest(f"broadcast and views together may have at most {SHOWN_BYTES >> 10} KiB; here it is more with {name}[{at}]")
    return data, left - size


def _results(data: bytes) -> bytes:
    results = _compact(data, "finished.results") if 0 < len(data) <= SHOWN_BYTES else data
    if len(results) > RESULTS_BYTES:
        _too_large("finished.results", RESULTS_BYTES, len(results))
    return results


def _compact(data: bytes, name: str, at: int | None = None) -> bytes:
    """The same JSON on one line, which messages and lines may carry as it is. Raises `InvalidRequest`."""
    try:
        value = orjson.loads(data)
        # What has so few brackets cannot be nested deeply.
        if data.count(b"[") + data.count(b"{") > _FEW_LEVELS:
            size_of(name, value)
        return orjson.dumps(value)
    except ValueError as error:
        where = name if at is None else f"{name}[{at}].data, which says that it is text,"
        raise InvalidRequest(f"{where} is not JSON: {getattr(error, 'msg', 'it is not UTF-8')}") from None
    except InvalidRequest:
        where = name if at is None else f"{name}[{at}].data"
        raise InvalidRequest(f"{where} is nested too deeply") from None


def _too_large(name: str, most: int, size: int) -> NoReturn:
    raise InvalidRequest(f"{name} may have at most {most >> 10} KiB; here it has {size} bytes")
