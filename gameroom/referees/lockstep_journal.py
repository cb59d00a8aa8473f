"""A lock-step play's way into its recording, and from there to its audience (docs/protocol/lockstep.md, recordings)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.logger import Logger

from gameroom.histogram import Histogram
from gameroom.referees.lockstep_audience import Audience
from gameroom.rules.master import Master
from gameroom.wire.room_messages import Outgoing, Outgoings

if TYPE_CHECKING:
    from gameroom.store.recording import Recording


class Journal:
    """Records masters, then gives them to the audience: at once, or when they are on the disk where the recording is so.

    `failed(error)` is called where something cannot be recorded; `metrics` may be None.
    """

    _log: ClassVar = Logger()

    def __init__(
        self, *, recording: Recording, audience: Audience, now: Callable[[], float], failed: Callable[[OSError], None], metrics: Any
    ) -> None:
        self._recording = recording
        self._audience = audience
        self._now = now
        self._failed = failed
        self._turn_seconds: Histogram | None = None if metrics is None else metrics.turn_seconds
        self._held: deque[Outgoing | Callable[[], None]] = deque()
        """Masters that are not on the disk yet, and what is to be done between them."""
        if recording.sync:
            recording.synced, recording.failed = self._on_the_disk, failed

    def tell(self, masters: list[Master]) -> None:
        """The next masters: recorded together, then given to everyone together."""
        recording, binary = self._recording, self._recording.binary
        data: list[bytes] = []
        outgoings: list[Outgoing] = []
        for master in masters:
            data.append(master.data)
            outgoings.append(Outgoing(master.data, binary))
        try:
            recording.append(data, self._now())
        except OSError as error:
            self._failed(error)
            return
        if self._turn_seconds is not None:
            for master in masters:
                self._turn_seconds.observe(master.waited)
        if recording.sync:
            self._held.extend(outgoings)
        elif len(outgoings) == 1:
            self._audience.give(outgoings[0])
        else:
            self._audience.give_all(Outgoings(outgoings))

    def _on_the_disk(self, masters: int) -> None:
        audience = self._audience
        while audience.on and self._held and (callable(self._held[0]) or audience.told < masters):
            held = self._held.popleft()
            if callable(held):
                held()
            else:
                audience.give(held)

    def when_told(self, deed: Callable[[], None]) -> None:
        """Do this once all masters that there are have been told."""
        if self._held:
            self._held.append(deed)
        else:
            deed()

    def note(self, fields: Mapping[str, Any]) -> bool:
        """Write a line of something else. False where that cannot be."""
        try:
            self._recording.note(fields, self._now())
        except OSError as error:
            self._failed(error)
            return False
        return True

    def over(self, reason: str, results: Any) -> None:
        """The recording's last line, if it can be written."""
        fields = {"type": "over", "reason": reason} if results is None else {"type": "over", "reason": reason, "results": results}
        try:
            self._recording.note(fields, self._now())
        except OSError as error:
            self._log.error("{path} does not say how its play ended: {error}", path=str(self._recording.path), error=str(error))
