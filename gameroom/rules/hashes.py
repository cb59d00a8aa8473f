"""The hashes that players report of their state, generation by generation: do they agree (docs/protocol/lockstep.md, hashes).

Reports come in any order, as packets that were lost come late.
Nobody owes a hash of a generation from before it was last connected or taken back into the play.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from gameroom.errors import InvalidRequest
from gameroom.wire.lockstep import Checksum

TOLD_AFTER: Final = 10
"""So many hashes are missing of a player while others reported them: it is told."""
DIVERGED_AFTER: Final = 20
"""So many, and it counts as diverged."""

MISSING = "your client has left out the hashes of 10 generations that others reported; report them, or the play stops"


class Hashes:
    """The reports of one play. Players are named by their seats."""

    def __init__(self, *, interval: int, input_delay: int, seats: Collection[int], owing: Collection[int], generation: int = 0) -> None:
        self.interval = interval
        self.differing: int | None = None
        """The oldest generation found to differ; no master may be made from then on."""
        self.agreed: int | None = None
        """The newest generation that all have reported alike."""
        self.silent: set[int] = set()
        """Who counts as diverged for hashes that are missing."""
        self.suspicious = False
        """Somebody may be leaving out hashes: `overdue` is to be asked."""
        self._agreed_before: int | None = None
        self._input_delay = input_delay
        self._reports: dict[int, dict[int, Checksum]] = {}
        """By generation: what is not complete, and the newest agreed."""
        self._closed = -1
        """The newest generation that is no longer among them: what is not there up to it is settled."""
        self._owes_from = dict.fromkeys(owing, generation)
        self._passed_over = dict.fromkeys(seats, 0)
        self._told: set[int] = set()

    def check(self, about: int, generation: int) -> None:
        """Whether there may be a hash of generation `about` when `generation` is the next; raises `InvalidRequest`."""
        if about >= generation:
            raise InvalidRequest(f"there is no generation {about} yet to report a hash of; the next master is {generation}")
        if about % self.interval:
            raise InvalidRequest(f"hashes are of every {self.interval} generations; {about} is none of them")

    def report(self, seat: int, about: int, value: Checksum) -> bool:
        """A player's hash of its state after generation `about`. Whether a newer generation is agreed now."""
        reports = self._reports.get(about)
        if reports is None:
            if about > self._closed:
                self._reports[about] = {seat: value}
                self.suspicious = self.suspicious or len(self._reports) >= TOLD_AFTER
                return len(self._owes_from) == 1 and self._agree(about)
            return False
        if seat in reports:
            return False
        if value not in reports.values():
            self.differing = about if self.differing is None else min(about, self.differing)
        reports[seat] = value
        return len(reports) >= len(self._owes_from) and self._agree(about)

    def newest_agreed(self) -> tuple[int, Checksum]:
        """The newest agreed generation that was reported here, and its hash."""
        assert self.agreed is not None
        return self.agreed, next(iter(self._reports[self.agreed].values()))

    def _agree(self, about: int) -> bool:
        """If all who owe it have reported this generation, it is done with. Whether it is the newest agreed now."""
        reports, agreed = self._reports[about], self.agreed
        if not reports.keys() >= self._owes_from.keys() and self._missing(about):
            return False
        if self.differing is not None or about == agreed:
            return False
        if agreed is not None and about < agreed:
            self._close(about)
            return False
        self._agreed_before, self.agreed = agreed, about
        if agreed is not None and agreed in self._reports:
            self._close(agreed)
        if len(self._reports) > 1:
            self.suspicious = self._is_suspicious()
        return True

    def _is_suspicious(self) -> bool:
        return len(self._reports) >= TOLD_AFTER or (self.agreed is not None and min(self._reports, default=self.agreed) < self.agreed)

    def _close(self, generation: int) -> None:
        del self._reports[generation]
        self._closed = max(generation, self._closed)

    def _missing(self, generation: int) -> list[int]:
        reports = self._reports[generation]
        return [seat for seat, since in self._owes_from.items() if generation >= since and seat not in reports]

    def owe(self, seat: int, generation: int) -> None:
        """A player is connected and plays: it owes hashes from that generation on."""
        self._owes_from[seat] = generation
        self._passed_over[seat] = 0
        self._told.discard(seat)

    def excuse(self, seat: int) -> bool:
        """A player is away, dropped or gone. Whether a newer generation is agreed now."""
        self._owes_from.pop(seat, None)
        before = self.agreed
        for generation in sorted(self._reports) if self._owes_from else ():
            self._agree(generation)
        return self.agreed != before

    def overdue(self, newest_packet: Callable[[int], int]) -> list[int]:
        """Who is to be told now that its hashes are missing; who goes on so is `silent`, and the play has diverged.

        `newest_packet(seat)` is the newest generation up to which a player has sent its packets: to send that one,
        it must have had the masters up to the input delay before it.
        """
        telling = []
        reach = {seat: newest_packet(seat) - self._input_delay for seat in self._owes_from}
        for seat, since in self._owes_from.items():
            due = [generation for generation, reports in self._reports.items() if since <= generation <= reach[seat] and seat not in reports]
            missing = self._passed_over[seat] + len(due)
            if missing >= TOLD_AFTER and seat not in self._told:
                self._told.add(seat)
                telling.append(seat)
            if missing >= DIVERGED_AFTER and due:
                self.silent.add(seat)
                self.differing = min(due) if self.differing is None else self.differing
        if self.differing is None:
            self._settle_old(min(reach.values(), default=-1) - self._input_delay)
        self.suspicious = self._is_suspicious()
        return telling

    def _settle_old(self, before: int) -> None:
        """No packet that is still on its way has a hash of a generation before that one: who did not report has passed it over."""
        for generation in [each for each in self._reports if each < before and self.agreed is not None and each < self.agreed]:
            for seat in self._missing(generation):
                self._passed_over[seat] += 1
            self._close(generation)

    def reported(self) -> bool:
        """Whether all who owe it have reported the differing generation."""
        assert self.differing is not None
        return not set(self._missing(self.differing)) - self.silent

    def divergence(self, shown: Callable[[Checksum], Any]) -> dict[str, Any]:
        """What is told of the divergence: who reported what, and the sections that differ where hashes have sections."""
        assert self.differing is not None
        groups: list[tuple[Checksum, list[int]]] = []
        for seat, value in sorted(self._reports[self.differing].items()):
            for known, seats in groups:
                if known == value:
                    seats.append(seat)
                    break
            else:
                groups.append((value, [seat]))
        told: dict[str, Any] = {
            "generation": self.differing,
            "groups": [{"value": shown(value), "seats": seats} for value, seats in groups],
        }
        if silent := sorted(self.silent & set(self._missing(self.differing))):
            told["groups"].append({"value": None, "seats": silent})
        values = [value for value, _ in groups]
        if all(isinstance(value, dict) for value in values) and len(values) > 1:
            told["sections"] = _differing_sections([value for value in values if isinstance(value, dict)])
        # Who comes late may differ from what the others had agreed on already.
        told["last_agreed"] = self.agreed if self.agreed != self.differing else self._agreed_before
        return told


def _differing_sections(values: list[dict[str, str]]) -> list[str]:
    names = sorted({name for value in values for name in value})
    return [name for name in names if len({value.get(name) for value in values}) > 1]
