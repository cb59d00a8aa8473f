"""JSON lines over a stream: a Protocol and a Factory that carry a `LineConversation` (docs/protocol/lobby.md, "Lines").

Requests are carried out one after another.
While one waits for something, or the peer does not read its answers, no further request is carried out or read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from gameroom.doors.line_conversation import LineConversation
from gameroom.doors.line_requests import LineRequests
from gameroom.doors.rounds import Rounds
from gameroom.doors.streams import GOING_DOWN, LINGER_SECONDS, StreamFactory, StreamProtocol
from gameroom.settings import Limits

if TYPE_CHECKING:
    from gameroom.metrics import Metrics


class LineProtocol(StreamProtocol):
    """One connection of a JSON-lines door."""

    def __init__(self, factory: LineFactory, address: str, leave: Callable[[], None]) -> None:
        super().__init__(factory, address, leave)
        self._requests = LineRequests(self.outbox, self._progressed, factory.rounds)
        self.conversation = factory.converse(address, self._requests.push, self.outbox.catch_up)
        self._requests.conversation = self.conversation
        self.conversation.attach(self.outbox, self._requests)

    # What comes, and what our transport asks of us.

    def met(self) -> None:
        self.conversation.address = self.address

    def received(self, data: bytes) -> None:
        if self._requests.waiting or (self.outbox.paused and self._requests.full):
            # What is sent ahead of answers waits with its sender.
            self.read(False)
        self._requests.feed(data)

    def said_all(self) -> None:
        self._requests.end()

    def lost(self) -> None:
        self._requests.stop()
        self.conversation.lost()

    def pauseProducing(self) -> None:
        self.outbox.pauseProducing()
        if self._requests.full:
            self.read(False)

    def reads_again(self) -> None:
        self._requests.go_on()
        self.conversation.reader_has_room()

    # How it goes on, and how it ends.

    def _progressed(self) -> None:
        """As much was answered as could be."""
        if self.conversation.closing:
            self.end(self.conversation.closing)
            return
        if self.conversation.proved:
            self.proved()
        if self._requests.waiting or (self.outbox.paused and self._requests.full):
            return
        if not self.half_closed:
            self.read(True)
        elif not self.conversation.streaming:
            self.end("done")

    def leave_off(self) -> None:
        """Carry out no further request, and end once the one under way is answered."""
        self.conversation.closing = self.conversation.closing or GOING_DOWN
        if self._requests.waiting and not self.ending:
            self.linger()
        else:
            self.end(self.conversation.closing)

    def never_proved(self) -> None:
        self.end(self.conversation.closing or "never authorized")

    def last_words(self) -> None:
        self._requests.stop()
        self.conversation.ending()


class LineFactory(StreamFactory):
    """Makes the connections of one JSON-lines door. `converse(address, push, catch_up)` makes a conversation."""

    UNAUTHENTICATED_SECONDS = 60.0
    """People type."""

    def __init__(
        self,
        *,
        door: str,
        converse: Callable[[str, Callable[[bytes], None], Callable[[Callable[[], bytes | None]], None]], LineConversation],
        clock: IReactorTime,
        limits: Callable[[], Limits],
        metrics: Metrics | None = None,
    ) -> None:
        super().__init__(door=door, clock=clock, limits=limits, metrics=metrics)
        self.converse = converse
        self.rounds = Rounds(clock)

    def make(self, address: str, leave: Callable[[], None]) -> LineProtocol:
        return LineProtocol(self, address, leave)


__all__ = ["LINGER_SECONDS", "LineFactory", "LineProtocol"]
