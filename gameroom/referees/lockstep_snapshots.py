"""The snapshots of a lock-step play: who is asked for one, which are good, and where they are kept (docs/protocol/lockstep.md, coming late).

No engine runs here, so a state is whatever a player says; it is used only where its hash is the one that the players agree on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.errors import BadState, InvalidRequest
from gameroom.rules.lockstep import ITERATING, Play
from gameroom.wire.lockstep import Checksum
from gameroom.wire.room_messages import Outgoing

if TYPE_CHECKING:
    from gameroom.store.snapshot_files import SnapshotFiles

ANOTHER_AFTER: Final = 0.4
"""Seconds until another player is asked as well; in all twice that is waited for."""
ASKED: Final = 2
"""So many players are asked."""
AGAIN_AFTER: Final = 10.0
"""Seconds after asking in vain during which nobody is asked again."""
LATE: Final = 30.0
"""Seconds for which an answer is still taken: somebody else may come."""
REMEMBERED: Final = 10.0
"""Seconds for which a snapshot stays in memory after its last use; it is on the disk."""

Done = Callable[[], None]


@attrs.frozen
class Candidate:
    """A player's state whose hash is not agreed yet."""

    seat: int
    generation: int
    checksum: Checksum
    state: Outgoing
    until: float
    """It is forgotten then."""


class Snapshots:
    """The snapshots of one play.

    `ask(seat, generation)` sends a request, `now` gives seconds, `shown()` is the number of masters that viewers may see,
    and `watch()` is called when there are candidates: `look` is to be called after each master then.
    `metrics` may be None.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        play: Play,
        files: SnapshotFiles,
        ask: Callable[[int, int], None],
        now: Callable[[], float],
        shown: Callable[[], int],
        watch: Callable[[], None],
        metrics: Any,
    ) -> None:
        self.kept: list[int] = []
        """The generations of which there is one, in order: the newest, and for viewers who are held back one that they may see."""
        self._play = play
        self._files = files
        self._ask = ask
        self._now = now
        self._shown = shown
        self._watch = watch
        self._metrics = metrics
        self._memory: dict[int, tuple[Outgoing, float]] = {}
        self._waiting: list[Done] = []
        self._without: set[int] = set()
        self._tried: set[int] = set()
        self._asked_at = self._gave_up = float("-inf")
        self._asked: dict[int, tuple[int, float]] = {}
        """By seat: the generation, and until when its answer is taken."""
        self.candidates: list[Candidate] = []

    # What there is.

    def newest(self, below: int) -> int | None:
        """The newest generation below that one of which there is a snapshot."""
        return max((generation for generation in self.kept if generation < below), default=None)

    def later(self) -> int | None:
        """The oldest generation of which there is one that viewers may not see yet."""
        return min((generation for generation in self.kept if generation >= self._shown()), default=None)

    def load(self, generation: int) -> Deferred[Outgoing]:
        """Fires with a snapshot as it is sent; fails with `OSError`, and then it is there no more."""
        if generation in self._memory:
            return succeed(self._remember(generation, self._memory[generation][0]))
        reading = self._files.read(generation)
        return reading.addCallbacks(lambda data: self._remember(generation, Outgoing(data)), self._lost, errbackArgs=(generation,))

    def _lost(self, failure: Failure, generation: int) -> Failure:
        self.kept = [each for each in self.kept if each != generation]
        return failure

    def _remember(self, generation: int, snapshot: Outgoing) -> Outgoing:
        self._memory[generation] = snapshot, self._now() + REMEMBERED
        return snapshot

    def keep(self, generation: int, snapshot: Outgoing) -> None:
        """A good one. It is there at once, and on the disk soon."""
        if self.kept and generation <= self.kept[-1]:
            return
        if self._metrics is not None:
            self._metrics.snapshots += 1
        self._remember(generation, snapshot)
        self.kept.append(generation)
        usable, later = self.newest(self._shown()), self.later()
        self.kept = sorted({each for each in (usable, later, generation) if each is not None})
        self._memory = {each: remembered for each, remembered in self._memory.items() if each in self.kept}
        self._files.write(generation, snapshot.data).addErrback(self._not_written, generation)
        self._files.keep_only(self.kept).addErrback(self._not_deleted)

    def _not_written(self, failure: Failure, generation: int) -> None:
        # Who comes while it is still in memory gets it all the same.
        self._log.warn("the snapshot of generation {generation} is not kept: {error}", generation=generation, error=failure.getErrorMessage())

    def _not_deleted(self, failure: Failure) -> None:
        self._log.warn("snapshots that are no longer of use are not deleted: {error}", error=failure.getErrorMessage())

    def take_up(self) -> Deferred[None]:
        """After a restart: find what there is on the disk."""
        return self._files.found().addCallback(self._found)

    def _found(self, generations: list[int]) -> None:
        # A recording that lost its end in a power cut may be older than a snapshot.
        self.kept = [generation for generation in generations if generation < self._play.generation]

    def end(self) -> None:
        """The play is over."""
        self.kept, self._memory, self.candidates, self._asked = [], {}, [], {}
        self._files.keep_only(()).addErrback(self._not_deleted)
        self._finish()

    # Asking.

    def wait_for(self, done: Done, without: Collection[int] = ()) -> None:
        """Ask for a fresh one, of nobody in the seats `without`; `done` is called when there is one, or after a second at the latest."""
        self._without |= set(without)
        self._waiting.append(done)
        if len(self._waiting) == 1:
            self._tried = set()
            self._ask_another()

    def _ask_another(self) -> None:
        now = self._now()
        seat = None
        if len(self._tried) < ASKED and now - self._gave_up >= AGAIN_AFTER:
            seat = self._play.snapshot_source(self._without | self._tried)
        if seat is None:
            self._gave_up = now if self._tried else self._gave_up
            self._finish()
            return
        self._tried.add(seat)
        self._asked_at = now
        generation = self._hashed()
        self._asked[seat] = generation, now + LATE
        self._ask(seat, generation)

    def _hashed(self) -> int:
        """The generation to ask for: one whose hash everybody reports.

        A player answers with the state that it has then. Where not all are hashed that must be one to come, if any comes.
        """
        coming, interval = self._play.generation, self._play.terms.checksum_interval
        stands_still = self._play.state != ITERATING or not self._without.isdisjoint(self._play.awaited())
        if coming and (interval == 1 or (stands_still and (coming - 1) % interval == 0)):
            return coming - 1
        return -(-coming // interval) * interval

    def _finish(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._without = set()
        for done in waiting:
            done()

    # Answers.

    def asked(self, seat: int) -> bool:
        """Whether a player was asked and has not answered."""
        return seat in self._asked

    def given(self, seat: int, generation: int, checksum: Checksum | None, state: Outgoing | None) -> None:
        """A player's answer; None where it has no state to give.

        Raises `BadState` where it was not asked, `InvalidRequest` for another generation.
        """
        wanted, _ = self._asked.get(seat, (None, 0.0))
        if wanted is None:
            raise BadState("nobody has asked you for a snapshot, or you were too late")
        if state is not None and not wanted <= generation < self._play.generation:
            raise InvalidRequest(f"a snapshot was asked for of generation {wanted}, or of a later one that you have had the master of")
        del self._asked[seat]
        if state is None or checksum is None:
            self._refused(seat)
            return
        self.candidates.append(Candidate(seat, generation, checksum, state, self._now() + LATE))
        self.look()
        if self.candidates:
            self._watch()

    def look(self) -> None:
        """Are the candidates good? Called while there are any, whenever that can have changed."""
        candidates, self.candidates = self.candidates, []
        for candidate in candidates:
            good = self._play.vouched(candidate.generation, candidate.checksum)
            if good:
                self.keep(candidate.generation, candidate.state)
                self._finish()
            elif good is None and self._now() < candidate.until:
                self.candidates.append(candidate)
            else:
                self._log.info("a snapshot of seat {seat} is not used: its hash is not the agreed one", seat=candidate.seat)
                self._refused(candidate.seat)

    def _refused(self, seat: int) -> None:
        if self._waiting and seat in self._tried:
            self._ask_another()

    def tick(self, now: float) -> None:
        """Look at the time."""
        if self._waiting and now - self._asked_at >= ANOTHER_AFTER:
            self._ask_another()
        if self.candidates:
            self.look()
        if self._asked:
            self._asked = {seat: asked for seat, asked in self._asked.items() if now < asked[1]}
        if self._memory:
            self._memory = {generation: remembered for generation, remembered in self._memory.items() if now < remembered[1]}
