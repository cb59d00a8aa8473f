"""What the members of a lock-step room say, and what it must be (docs/protocol/lockstep.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred

from gameroom.errors import BadState, Forbidden, InvalidRequest
from gameroom.interfaces import IRoom
from gameroom.referees.lockstep_stage import Stage
from gameroom.rules.lockstep import DIVERGED
from gameroom.wire.lockstep import CommandPacket
from gameroom.wire.room_messages import size_of

PATCH_BYTES: Final = 64 << 10
RESULTS_BYTES: Final = 16 << 10
PLAY_DIVERGED: Final = "diverged"
"""Why a play is over that its host ended after a divergence."""


def take(stage: Stage | None, user_id: str, parse: Callable[[Any], CommandPacket], data: Any, now: float) -> None:
    """A command packet."""
    if stage is None or not stage.on or (seat := stage.seats.get(user_id)) is None:
        stage, seat = player(stage, user_id)
    packet = parse(data)
    if effects := stage.play.receive(seat, packet, now):
        stage.do(effects)
    if packet.oversized:
        raise InvalidRequest("a command packet must not be over 16 KiB; this one counts as one without commands")


def player(stage: Stage | None, user_id: str) -> tuple[Stage, int]:
    """The play that is on and the member's seat in it; raises `BadState`, or `Forbidden` for one who does not play."""
    if stage is None or not stage.on:
        raise BadState("nothing is played in this room at the moment")
    seat = stage.seats.get(user_id)
    if seat is None:
        raise Forbidden("only the players of this play may do this; you are a viewer")
    return stage, seat


def take_message(room: IRoom, stage: Stage | None, user_id: str, message: dict[str, Any]) -> None:
    """A message that belongs to a play, other than a command packet."""
    deed = MESSAGES.get(message["type"])
    if deed is None:
        raise InvalidRequest(f"there is no message of type {message['type']!r} in a lock-step room")
    stage, seat = player(stage, user_id)
    deed(stage, seat, user_id == room.host, message, room.now())


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


def _finish(stage: Stage, seat: int, host: bool, message: dict[str, Any], now: float) -> None:
    generation, results = message.get("generation"), message.get("results")
    if type(generation) is not int or generation < 0:
        raise InvalidRequest("generation must be the number of the generation after which the game had ended")
    if not isinstance(results, dict):
        raise InvalidRequest("results must be an object")
    _check_size("results", results, RESULTS_BYTES)
    stage.do(stage.play.finish(seat, generation, results, now))


def _drop(stage: Stage, seat: int, host: bool, message: dict[str, Any], now: float) -> None:
    other = message.get("seat")
    if type(other) is not int:
        raise InvalidRequest("seat must be the number of the seat to drop")
    stage.do(stage.play.propose_drop(seat, other, now))


def _resolve(stage: Stage, seat: int, host: bool, message: dict[str, Any], now: float) -> None:
    if not host:
        raise Forbidden("only the host may resolve a divergence")
    how = message.get("how")
    if how in ("evict", "resync"):
        raise InvalidRequest(f"{how} is not available; the only way out of a divergence is abort")
    if how != "abort":
        raise InvalidRequest("how must be abort")
    if stage.play.state != DIVERGED:
        raise BadState("the play has not diverged; there is nothing to resolve")
    stage.over(PLAY_DIVERGED)


MESSAGES: dict[str, Callable[[Stage, int, bool, dict[str, Any], float], None]] = {"finish": _finish, "drop": _drop, "resolve": _resolve}
