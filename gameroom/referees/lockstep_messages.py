"""What the members of a lock-step room say, and what it must be (docs/protocol/lockstep.md)."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Any, Final

import orjson
from twisted.internet.defer import Deferred

from gameroom.errors import BadState, Forbidden, InvalidRequest
from gameroom.interfaces import IRoom
from gameroom.referees.lockstep_stage import Stage
from gameroom.wire.room_messages import Outgoing, size_of

PATCH_BYTES: Final = 64 << 10
RESULTS_BYTES: Final = 16 << 10
STATE_BYTES: Final = 700 << 10
"""Of a snapshot or a dump."""


def player(stage: Stage | None, user_id: str) -> tuple[Stage, int]:
    """The play that is on and the member's seat in it; raises `BadState`, or `Forbidden` for one who does not play."""
    stage = _on(stage)
    seat = stage.seats.get(user_id)
    if seat is None:
        raise Forbidden("only the players of this play may do this; you are a viewer")
    return stage, seat


def _on(stage: Stage | None) -> Stage:
    if stage is None or not stage.on:
        raise BadState("nothing is played in this room at the moment")
    return stage


def take_message(room: IRoom, stage: Stage | None, user_id: str, message: dict[str, Any]) -> None:
    """A message that belongs to a play, other than a command packet."""
    kind = message["type"]
    if kind == "resolve":
        _resolve(_on(stage), room, user_id, message)
        return
    deed = MESSAGES.get(kind)
    if deed is None:
        raise InvalidRequest(f"there is no message of type {kind!r} in a lock-step room")
    stage, seat = player(stage, user_id)
    deed(stage, seat, message, room.now())


def take_setup(room: IRoom, playing: bool, user_id: str, message: dict[str, Any]) -> Deferred[None]:
    """A patch of the configuration; fires when it is durable and everyone was told."""
    if playing:
        raise BadState("the configuration stands while the room plays; change it when the play is over")
    if room.member(user_id).viewer:
        raise Forbidden("only players may change the configuration; you are a viewer")
    patch = message.get("patch")
    if not isinstance(patch, dict):
        raise InvalidRequest("patch must be an object, a JSON merge patch (RFC 7396)")
    _check_size("patch", patch, PATCH_BYTES)
    return room.configure(patch, user_id)


def _check_size(name: str, value: Any, most: int) -> None:
    if size_of(name, value) > most:
        raise InvalidRequest(f"{name} must not be over {most >> 10} KiB")


def _finish(stage: Stage, seat: int, message: dict[str, Any], now: float) -> None:
    generation, results = message.get("generation"), message.get("results")
    if type(generation) is not int or generation < 0:
        raise InvalidRequest("generation must be the number of the generation after which the game had ended")
    if not isinstance(results, dict):
        raise InvalidRequest("results must be an object")
    _check_size("results", results, RESULTS_BYTES)
    stage.do(stage.play.finish(seat, generation, results, now))


def _drop(stage: Stage, seat: int, message: dict[str, Any], now: float) -> None:
    other = message.get("seat")
    if type(other) is not int:
        raise InvalidRequest("seat must be the number of the seat to drop")
    stage.do(stage.play.propose_drop(seat, other, now))


def _resolve(stage: Stage, room: IRoom, user_id: str, message: dict[str, Any]) -> None:
    if user_id != room.host:
        raise Forbidden("only the host may resolve a divergence")
    how = message.get("how")
    if how not in ("abort", "evict", "resync"):
        raise InvalidRequest("how must be abort, evict or resync")
    stage.do(stage.play.resolve(how, stage.seat_of(user_id), room.now()))


def _snapshot(stage: Stage, seat: int, message: dict[str, Any], now: float) -> None:
    healing = stage.healing.asked(seat)
    if not healing and not stage.snapshots.asked(seat):
        if stage.healing.forgives(seat):
            return
        raise BadState("nobody has asked you for a snapshot, or you were too late")
    generation, state = _generation(stage, message), _state(stage, message)
    if not healing and state is not None and not stage.snapshots.fits(seat, generation) and stage.healing.forgives(seat):
        # It was asked twice, and this answers what nobody needs any more.
        return
    checksum, snapshot = None, None
    if state is not None:
        checksum = stage.codec.hash_of(message.get("checksum"))
        fields = {"type": "snapshot", "generation": generation, "checksum": stage.codec.shown(checksum), "state": orjson.Fragment(state)}
        snapshot = Outgoing.json(fields)
    (stage.healing if healing else stage.snapshots).given(seat, generation, checksum, snapshot)


def _dump(stage: Stage, seat: int, message: dict[str, Any], now: float) -> None:
    stage.healing.dumps.expects(seat)
    stage.healing.dumps.given(seat, _generation(stage, message), _state(stage, message))


def _generation(stage: Stage, message: dict[str, Any]) -> int:
    generation = message.get("generation")
    if type(generation) is not int or not 0 <= generation < stage.play.generation:
        raise InvalidRequest("generation must be the newest that your client has applied", pointer="/generation")
    return generation


def _state(stage: Stage, message: dict[str, Any]) -> bytes | None:
    """A client's state as JSON; None where its engine can give none."""
    state = message.get("state")
    if state is None:
        return None
    if stage.recording.binary and not _is_base64(state):
        raise InvalidRequest("state must be a string in base64, in a binary room", pointer="/state")
    _check_size("state", state, STATE_BYTES)
    return orjson.dumps(state)


def _is_base64(state: Any) -> bool:
    try:
        return isinstance(state, str) and binascii.a2b_base64(state, strict_mode=True) is not None
    except ValueError:
        return False


MESSAGES: dict[str, Callable[[Stage, int, dict[str, Any], float], None]] = {
    "finish": _finish,
    "drop": _drop,
    "snapshot": _snapshot,
    "dump": _dump,
}
"""What players say. `resolve` is the host's, who may be none."""
