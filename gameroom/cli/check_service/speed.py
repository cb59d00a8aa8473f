"""How fast a micro game service answers, from here: one update at a time, and many on several connections."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any, Final

import attrs

from gameroom.cli.check_service.cases import Case
from gameroom.cli.check_service.checking import Checking
from gameroom.cli.check_service.lanes import Lane, side_by_side
from gameroom.cli.check_service.words import SLOW
from gameroom.wire.game_service import Update

LASTS: Final = 1.0
"""Seconds for each of the two looks."""
SLOW_SECONDS: Final = 0.1


@attrs.frozen(kw_only=True)
class Speed:
    """Seconds until an answer where one update is asked at a time, and updates a second."""

    p50: float
    p99: float
    one: float
    """Updates a second, one after the other on one connection."""
    many: float
    """Updates a second on `connections`, `in_flight` at a time."""
    connections: int
    in_flight: int

    def to_json(self) -> dict[str, Any]:
        return attrs.asdict(self)


async def measured(checking: Checking) -> Speed | None:
    """None where it has not answered throughout. Slow ones are told among what was found."""
    sample = _sample(checking.cases)
    if not sample:
        return None
    one, lasted = await _look(checking, sample, 1, 1)
    many, lasted_many = await _look(checking, sample, checking.connections, checking.in_flight_each)
    if not one or not many:
        return None
    took = sorted(one)
    speed = Speed(
        p50=took[len(took) // 2],
        p99=took[min(len(took) - 1, len(took) * 99 // 100)],
        one=len(one) / lasted,
        many=len(many) / lasted_many,
        connections=checking.connections,
        in_flight=checking.connections * checking.in_flight_each,
    )
    if speed.p50 > SLOW_SECONDS:
        checking.findings.add(SLOW, f"half of its answers take {speed.p50 * 1000:.0f} ms or more, when one at a time is asked")
    return speed


def _sample(cases: Sequence[Case]) -> list[Update]:
    """What changes something is what a room does; without any, what there is."""
    good = [case.update for case in cases if case.state.rejected is None]
    return good or [case.update for case in cases]


async def _look(checking: Checking, sample: Sequence[Update], connections: int, in_flight: int) -> tuple[list[float], float]:
    """Seconds of each answer, none where one has failed, and of all of it."""
    clock = checking.reactor
    since, todo = clock.seconds(), cycle(sample)
    took: list[float] = []
    failed: list[str] = []
    lanes = [Lane(checking) for _ in range(connections)]

    async def work(lane: Lane) -> None:
        while clock.seconds() < since + LASTS and not failed:
            reply = await lane.ask(next(todo))
            if reply.state is None:
                failed.append(reply.said)
            else:
                took.append(reply.seconds)

    try:
        await side_by_side(work(lane) for lane in lanes for _ in range(in_flight))
    finally:
        for lane in lanes:
            lane.close()
    return [] if failed else took, clock.seconds() - since
