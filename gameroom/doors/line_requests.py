"""The requests of one peer of a JSON-lines door: carried out one after another, answered in order, and not faster than the peer reads."""

from __future__ import annotations

from collections.abc import Callable

from gameroom.doors.line_conversation import LineConversation
from gameroom.doors.outbox import Outbox
from gameroom.doors.rounds import Rounds
from gameroom.wire.lines import INTERRUPT, NO_TIMING_MARK, LineBuffer, LineTooLong

_SHORT = 512
"""Bytes of a read that is remembered."""

_LINE_END = 2
"""Bytes that end a line, at most."""

_BATCH = 64 * 1024
"""Bytes of answers that are joined into one write."""


class LineRequests:
    """Between the bytes of a peer and its conversation.

    `progressed()` is called whenever as much as is possible now has been carried out and answered. `rounds` says how much is possible.
    """

    def __init__(self, outbox: Outbox, progressed: Callable[[], None], rounds: Rounds) -> None:
        self.conversation: LineConversation
        """To be set before the first byte is fed: it needs `push`."""
        self.waiting = False
        """Whether a request is being carried out that has to wait for something, or the next one for others' turns."""
        self._outbox = outbox
        self._progressed = progressed
        self._rounds = rounds
        self._mark = 0.0
        self._lines = LineBuffer()
        self._read: bytes | None = None
        self._line = b""
        """A short read that was one whole line, answered at once, and that line: who polls sends just this again."""
        self._answers: list[bytes] = []
        self._answered_bytes = 0
        self._working = False
        self._postponed = False
        self._stopped = False

    def feed(self, data: bytes) -> None:
        """The peer has sent this."""
        if data == self._read and self._outbox.ready and self._again():
            return
        self._read, self._line = None, b""
        # Looking for the one byte first is much faster: uploads bring 350 KB a line.
        if b"\xff" in data and INTERRUPT in data:
            self._outbox.send_patiently(NO_TIMING_MARK)
        self._lines.feed(data)
        self.go_on()
        if self._line and len(data) <= _SHORT and len(data) - len(self._line) <= _LINE_END and not self._stopped:
            self._read = data

    def end(self) -> None:
        """The peer has sent its last byte."""
        self._lines.end()
        self.go_on()

    def go_on(self) -> None:
        """Carry out requests until none is left, one has to wait, or the peer does not read its answers."""
        if self._working or self.waiting or self._stopped:
            return
        self._working = True
        rounds = self._rounds
        now = rounds.seconds()
        try:
            self._carry_out(now, rounds.until(now, self._mark))
        finally:
            self._working = False
            if self._answers:
                self.flush()
            self._mark = rounds.spend(rounds.seconds() - now, self._mark)
            if self._postponed:
                self._postponed = False
                self._rounds.turn(self._turn, self._mark)
        self._progressed()

    @property
    def full(self) -> bool:
        """Whether the peer is to read its answers before more requests are carried out.

        While a download fills the connection some answers may wait, so that requests are carried out between its chunks.
        """
        outbox = self._outbox
        return outbox.paused and (outbox.patient_bytes > _BATCH or not self.conversation.streaming)

    def push(self, line: bytes) -> None:
        """Send what was not asked for; answers that were given before go out before it, for they tell of an older world."""
        self.flush()
        self._outbox.send(line)

    def flush(self) -> None:
        """Write the answers that were given in this turn, all in one."""
        if self._answers:
            answers = b"".join(self._answers)
            self._answers.clear()
            self._answered_bytes = 0
            self._outbox.send_patiently(answers)

    def stop(self) -> None:
        """Carry out nothing more. What waits for something comes to its end, unanswered."""
        self._stopped = True
        self._read = None
        self._lines.clear()

    def _carry_out(self, now: float, until: float) -> None:
        """As `go_on`; each request of each peer comes through here."""
        conversation, outbox, take, answers = self.conversation, self._outbox, self._lines.take, self._answers
        seconds = self._rounds.seconds
        while not (self.waiting or self._stopped or conversation.closing or (outbox.paused and self.full)):
            if now >= until:
                self.waiting = self._postponed = True
                return
            try:
                line = take(conversation.longest_line)
            except LineTooLong as error:
                self._say(conversation.too_long(error))
                return
            if line is None:
                return
            answer = conversation.answer(line)
            if isinstance(answer, bytes):
                # As `_say` does it.
                answers.append(answer)
                self._answered_bytes += len(answer)
                if self._answered_bytes > _BATCH:
                    self.flush()
                if not self._lines.more:
                    self._line = line
                    return
                now = seconds()
            else:
                self.waiting = True
                answer.addCallback(self._answered)

    def _again(self) -> bool:
        """As `go_on`, for one line that was answered at once before, with nothing else there. False where it has to wait for its turn."""
        rounds = self._rounds
        now = rounds.seconds()
        if now >= rounds.until(now, self._mark):
            return False
        answer = self.conversation.answer(self._line)
        if isinstance(answer, bytes):
            self._outbox.write(answer)
            self._mark = rounds.spend(rounds.seconds() - now, self._mark)
            if self.conversation.closing:
                self._progressed()
        else:
            self.waiting, self._read = True, None
            answer.addCallback(self._answered)
        return True

    def _turn(self) -> None:
        self.waiting = False
        self.go_on()

    def _answered(self, answer: bytes) -> None:
        self.waiting = False
        if not self._stopped:
            self._say(answer)
            self.go_on()

    def _say(self, answer: bytes) -> None:
        self._answers.append(answer)
        self._answered_bytes += len(answer)
        if self._answered_bytes > _BATCH:
            self.flush()
