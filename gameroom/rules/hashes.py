"""The hashes that players report of their state, generation by generation: do they agree (docs/protocol/lockstep.md, hashes).

Reports come in any order, as packets that were lost come late.
Nobody owes a hash of a generation from before it was last connected, missed, restored, or taken back into the play.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from gameroom.errors import InvalidRequest
from gameroom.rules.open_tallies import OpenTallies
from gameroom.rules.tally import Tally, Verdict, judge, told
from gameroom.wire.lockstep import Checksum

TOLD_AFTER: Final = 10
"""So many hashes are missing of a player while at least half of those who owe them reported them: it is told."""
DIVERGED_AFTER: Final = 20
"""So many, and it counts as diverged."""
KEPT: Final = 256
"""So many agreed generations are kept, to compare late reports and snapshots with."""
WHOLE: Final = 8
"""So many of them with all sections of their hash, which may be 16 KiB; of the others a digest."""
OPEN: Final = 1000
"""No more generations than that are open at once, whatever clients report."""

MISSING = "your client has left out the hashes of 10 generations that others reported; report them, or the play stops"


class Hashes:
    """The reports of one play. Players are named by their seats."""

    def __init__(
        self, *, interval: int, input_delay: int, owing: Collection[int], generation: int = 0, past: tuple[int, Checksum] | None = None
    ) -> None:
        """`past` is what was agreed when the play was taken up again."""
        self.interval = interval
        self.differing: int | None = None
        """The oldest generation found to differ; no master may be made from then on."""
        self.agreed: int | None = None
        """The newest generation that all have reported alike."""
        self.suspicious = False
        """Somebody may be leaving out hashes: `overdue` is to be asked."""
        self._input_delay = input_delay
        self._open = OpenTallies()
        """What is reported and not agreed."""
        self._agreed: list[Tally | None] = [None] * KEPT
        """Round and round, by generation: the newest that are agreed."""
        self._whole: list[Tally] = []
        """Those of them that have their sections yet."""
        self._closed = -1
        """Up to here nothing is opened any more: what is neither open nor agreed was passed over."""
        self._owes_from: dict[int, int] = {}
        self._owing = 0
        """By bit: who owes hashes."""
        self._all_from = 0
        """From here on all of them owe."""
        self._deaf: dict[int, int] = {}
        """By seat: up to which generation its reports do not count, as its state has been replaced since."""
        self._silent: dict[int, int] = {}
        """Who counts as diverged for hashes that are missing, and the first of these."""
        self._passed_over: dict[int, int] = {}
        self._told: set[int] = set()
        for seat in owing:
            self.owe(seat, generation)
        if past is not None:
            self.agreed = past[0]
            self._agreed[past[0] // interval % KEPT] = Tally(*past, 0)

    def check(self, about: int, generation: int) -> None:
        """Whether there may be a hash of generation `about` when `generation` is the next; raises `InvalidRequest`."""
        if about >= generation:
            raise InvalidRequest(f"there is no generation {about} yet to report a hash of; the next master is {generation}")
        if about % self.interval:
            raise InvalidRequest(f"hashes are of every {self.interval} generations; {about} is none of them")

    # Reports.

    def report(self, seat: int, about: int, value: Checksum) -> bool:
        """A player's hash of its state after generation `about`; its first word counts. Whether a newer generation is agreed now."""
        tally = self._open.get(about)
        if tally is None:
            return self._first(seat, about, value)
        if value != tally.value or tally.others is not None:
            self._differs(tally, seat, value)
            return False
        bits = tally.bits = tally.bits | 1 << seat
        return (bits & self._owing == self._owing or about < self._all_from) and self._agree(tally)

    def _first(self, seat: int, about: int, value: Checksum) -> bool:
        if self._deaf and about <= self._deaf.get(seat, -1):
            return False
        kept = self._kept(about)
        if kept is not None:
            if value != kept.value and not kept.has(seat) and (votes := {each: kept.value for each in self._owes_from if kept.has(each)}):
                kept.become(votes)
                self._agreed[about // self.interval % KEPT] = None
                self._open.add(kept)
                self._differs(kept, seat, value)
            return False
        if about <= self._closed or self._open.count >= OPEN:
            return False
        tally = Tally(about, value, 1 << seat)
        self._open.add(tally)
        if self._open.count >= TOLD_AFTER:
            self.suspicious = True
        return (1 << seat == self._owing or about < self._all_from) and self._agree(tally)

    def _differs(self, tally: Tally, seat: int, value: Checksum) -> None:
        if not tally.has(seat):
            tally.become({**tally.votes(), seat: value})
            self._compare()

    def _compare(self) -> bool:
        """After something out of the ordinary: what differs, what is agreed. Whether a newer generation is."""
        # A generation that only those had reported who are gone is none that anybody misses.
        tallies = self._open.listed()
        counted = {tally.about for tally in tallies if self._counts(tally)} if self._silent else ()
        self._silent = {seat: about for seat, about in self._silent.items() if about in counted}
        differing = [tally.about for tally in tallies if tally.others is not None]
        self.differing = min([*differing, *self._silent.values()], default=None)
        newer = False
        for tally in tallies:
            newer |= self._agree(tally)
        return newer

    def _agree(self, tally: Tally) -> bool:
        """If all who owe it have reported this generation, it is done with. Whether the newest that is agreed is another, or is agreed otherwise."""
        about, agreed = tally.about, self.agreed
        if about < self._all_from or tally.bits & self._owing != self._owing:
            owing = sum(1 << seat for seat, since in self._owes_from.items() if since <= about) or self._owing
            if tally.bits & owing != owing:
                return False
        if self.differing is not None or not self._owing:
            return False
        self._open.remove(tally)
        self._agreed[about // self.interval % KEPT] = tally
        if type(tally.value) is dict:
            self._shorten_older(tally)
        newer = agreed is None or about > agreed
        if newer:
            self.agreed = about
            if agreed is not None and agreed > self._closed:
                self._closed = agreed
        if self._open.count:
            self._suspect()
        # One that had been agreed, and was contested then, may be agreed otherwise.
        return newer or about == agreed

    def _shorten_older(self, tally: Tally) -> None:
        self._whole.append(tally)
        if len(self._whole) > WHOLE:
            oldest = min(self._whole, key=lambda each: each.about)
            self._whole.remove(oldest)
            oldest.shorten()

    def _kept(self, about: int) -> Tally | None:
        tally = self._agreed[about // self.interval % KEPT]
        return tally if tally is not None and tally.about == about else None

    def _suspect(self) -> None:
        agreed = self.agreed
        self.suspicious = self._open.count >= TOLD_AFTER or (agreed is not None and self._open.has_before(agreed))

    # Who owes.

    def owe(self, seat: int, generation: int) -> None:
        """A player is connected and plays: it owes hashes from that generation on."""
        self._owes_from[seat] = generation
        self._owing |= 1 << seat
        self._all_from = max(self._owes_from.values())
        self._passed_over[seat] = 0
        self._told.discard(seat)

    def excuse(self, seat: int) -> bool:
        """A player is away, dropped or gone: it owes nothing, and what it has reported counts no longer. Whether a newer generation is agreed now."""
        if self._owes_from.pop(seat, None) is None:
            return False
        self._owing &= ~(1 << seat)
        self._all_from = max(self._owes_from.values(), default=0)
        self._silent.pop(seat, None)
        for tally in self._open.listed():
            votes = tally.votes()
            if votes.pop(seat, None) is not None:
                self._revote(tally, votes)
        return self._compare()

    def miss(self, seat: int, generation: int) -> bool:
        """The generation before that one is mastered without a player. Whether a newer generation is agreed now."""
        if seat not in self._owes_from:
            return False
        self._owes_from[seat] = self._all_from = generation
        return self._compare()

    def restore(self, seats: Collection[int], generation: int, right: Collection[int]) -> bool:
        """These have been given the state after that generation of one who is right; what they report up to it counts no longer.

        Whether a newer generation is agreed now.
        """
        for seat in seats:
            self._silent.pop(seat, None)
            self._deaf[seat] = generation
            self.owe(seat, generation + 1)
        for tally in self._open.listed():
            votes = {seat: value for seat, value in tally.votes().items() if seat not in seats}
            value = next((votes[seat] for seat in right if seat in votes), None)
            # They have that state now. So they count where their like are counted.
            self._revote(tally, votes if value is None else {**votes, **dict.fromkeys(seats, value)})
        return self._compare()

    def _revote(self, tally: Tally, votes: dict[int, Checksum]) -> None:
        if votes:
            tally.become(votes)
        else:
            self._open.remove(tally)

    def _missing(self, tally: Tally) -> list[int]:
        return [seat for seat, since in self._owes_from.items() if tally.about >= since and not tally.has(seat)]

    def _counts(self, tally: Tally) -> bool:
        """Whether at least half of those who owe that generation have reported it: else it is not missing of the others."""
        owing = [seat for seat, since in self._owes_from.items() if since <= tally.about]
        return 2 * sum(map(tally.has, owing)) >= len(owing)

    def overdue(self, newest_packet: Callable[[int], int]) -> list[int]:
        """Who is to be told now that its hashes are missing; who goes on so is `silent`, and the play has diverged.

        `newest_packet(seat)` is the newest generation up to which a player has sent its packets: to send that one,
        it must have had the masters up to the input delay before it.
        """
        telling = []
        wanted = [tally for tally in self._open.listed() if self._counts(tally)]
        reach = {seat: newest_packet(seat) - self._input_delay for seat in self._owes_from}
        for seat, since in self._owes_from.items():
            due = [tally.about for tally in wanted if since <= tally.about <= reach[seat] and not tally.has(seat)]
            missing = self._passed_over[seat] + len(due)
            if missing >= TOLD_AFTER and seat not in self._told:
                self._told.add(seat)
                telling.append(seat)
            if missing >= DIVERGED_AFTER and due:
                self._silent[seat] = min(due)
        if self._silent:
            self._compare()
        if self.differing is None:
            self._settle_old(min(reach.values(), default=-1) - self._input_delay)
        self._suspect()
        return telling

    def _settle_old(self, before: int) -> None:
        """No packet that is still on its way has a hash of a generation before that one: who did not report has passed it over."""
        newest = -1 if self.agreed is None else self.agreed
        for tally in [each for each in self._open.listed() if each.about < before]:
            counts = self._counts(tally)
            if counts and tally.about >= newest:
                continue
            for seat in self._missing(tally) if counts else ():
                self._passed_over[seat] += 1
            self._open.remove(tally)
            self._closed = max(tally.about, self._closed)

    # What follows.

    @property
    def silent(self) -> frozenset[int]:
        """Who counts as diverged for hashes that are missing."""
        return frozenset(self._silent)

    def newest_agreed(self) -> tuple[int, Checksum]:
        """The newest agreed generation, and its hash; there is one."""
        assert self.agreed is not None
        tally = self._kept(self.agreed)
        assert tally is not None
        return self.agreed, tally.value

    def agreed_on(self, about: int) -> Checksum | None:
        """The agreed hash of a generation; None where it is not agreed, or too long ago."""
        kept = self._kept(about)
        return None if kept is None else kept.value

    def is_open(self, about: int) -> bool:
        """Whether a generation is reported and neither agreed nor passed over."""
        return self._open.get(about) is not None

    def reported_by(self, about: int, seats: Collection[int]) -> Checksum | None:
        """What more than half of these have reported of a generation."""
        tally = self._open.get(about) or self._kept(about)
        return None if tally is None else tally.value_of(frozenset(seats))

    def has_reported(self, seat: int, about: int) -> bool:
        """Whether that player has reported that generation, which is not too long ago."""
        tally = self._open.get(about) or self._kept(about)
        return tally is not None and tally.has(seat)

    def _contested(self) -> Tally:
        assert self.differing is not None
        tally = self._open.get(self.differing)
        assert tally is not None
        return tally

    def reported(self) -> bool:
        """Whether all who owe it have reported the differing generation."""
        return self._silent.keys() >= set(self._missing(self._contested()))

    def verdict(self, host: int | None) -> Verdict | None:
        """Who is right; see `judge`. Something differs."""
        oldest = self._contested().about
        tallies = [tally for tally in self._open.listed() if tally.about >= oldest]
        return judge(tallies, present=self._owes_from, silent=self.silent, host=host)

    def divergence(self, shown: Callable[[Checksum], Any]) -> dict[str, Any]:
        """What is told of the divergence."""
        contested = self._contested()
        older = [tally.about for tally in self._agreed if tally is not None and tally.about < contested.about]
        # Who comes late may differ from what the others had agreed on already.
        return {**told(contested, self.silent, shown), "last_agreed": max(older, default=None)}
