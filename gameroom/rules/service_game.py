"""One play of a room whose rules are a micro game service's: what it is told, in which order, and what its answers do.

Theory. Whatever happens waits in one queue, each event with the time and the players of its moment. One of them is in flight:

    queue ──ask──> asked ──take──> answered ──settled──> queue
                     └── asked again, as often as it takes, with the same update

`kept` is what is durable, and what the next update starts from; an answer becomes that by `settled`, when it was stored.
So a play can be taken up from `kept` at any time: what was in the queue or in flight has not happened, and nobody was told that it had.
No clock and no I/O: `now_ms` is Unix time in milliseconds. docs/protocol/game-service.md, "How a room is played".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

import attrs

from gameroom.errors import Forbidden, RateLimited
from gameroom.rules.service_shown import Shown
from gameroom.wire.game_service import Event, Joined, Left, Message, Player, Said, Started, State, Timer, Update, View

MOST_MESSAGES: Final = 1000
"""Messages of members that may wait."""
MOST_MESSAGE_BYTES: Final = 1 << 20
"""And what they may have together."""
MOST_MOVEMENTS: Final = 32
"""So often may a player go and come back while the service is waited for; of more it is told only how it ended."""
AWAY: Final = "away"
"""The reason of `left` for a player whose connection is lost."""


@attrs.frozen(kw_only=True)
class Kept:
    """How far a play has come, without what may be large."""

    play_id: str
    sequence: int
    """Of the last update that was answered; 0 before the first."""
    players: tuple[Player, ...] = ()
    """As the service was told them last."""
    timer_ms: int | None = None
    """When it is to be told that its time has come."""


@attrs.frozen
class Held:
    """What may be large of how far a play has come."""

    state: bytes = b""
    shown: Shown = attrs.field(factory=Shown)

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.state) + self.shown.size


@attrs.frozen(eq=False)
class Waiting:
    """An event that waits. `ticket` is what a member's message is answered by, and None for all else."""

    event: Event
    now_ms: int
    players: tuple[Player, ...]
    ticket: Any = None


@attrs.frozen(eq=False)
class Asked:
    """An update that is in flight."""

    update: Update
    held: Held
    ticket: Any


@attrs.frozen(kw_only=True, eq=False)
class Outcome:
    """What came of an update; to be stored, then told."""

    kept: Kept
    held: Held | None
    """None where it was rejected, and all is as before."""
    answer: State
    views: tuple[View, ...]
    """Those of `answer` that are for a player."""
    ticket: Any

    @property
    def broadcast(self) -> tuple[Said, ...]:
        return self.answer.broadcast


class ServiceGame:
    """One play. Its room tells it what happens, asks the service what it wants asked, and stores what comes of it."""

    def __init__(self, *, room_id: str, game_id: str, version: str, kept: Kept) -> None:
        """`kept` is what was kept last, or where a new play begins."""
        self._about = {"room_id": room_id, "game_id": game_id, "version": version}
        self.kept = kept
        self.asked: Asked | None = None
        self.answered: Outcome | None = None
        """What came of the update that was asked, and is not stored yet."""
        self._players = {player.id: player for player in kept.players}
        self._queue: deque[Waiting] = deque()
        self._messages = self._bytes = 0

    @property
    def players(self) -> tuple[Player, ...]:
        """Those who have not left, by seat, as of now."""
        return tuple(self._players.values())

    @property
    def waits(self) -> bool:
        """Whether something waits to be asked."""
        return bool(self._queue)

    def player(self, user_id: str) -> Player | None:
        """None for one who does not play."""
        return self._players.get(user_id)

    # What happens.

    def begin(self, players: Iterable[Player], config: bytes, seed: int, now_ms: int) -> None:
        """The play begins with these players, by seat."""
        self._players = {player.id: player for player in players}
        self._put(Started(config, seed), now_ms)

    def say(self, user_id: str, data: bytes, text: bool, now_ms: int, ticket: Any) -> None:
        """A member has sent something. Raises `Forbidden` for one who does not play, and `RateLimited` where too much waits."""
        player = self._players.get(user_id)
        if player is None:
            raise Forbidden("only those who play may send; you are watching")
        if self._messages >= MOST_MESSAGES or self._bytes + len(data) > MOST_MESSAGE_BYTES:
            raise RateLimited("too much waits for the game's service already; send it again in a moment", retry_after=1)
        self._messages += 1
        self._bytes += len(data)
        self._put(Message(player.seat, data, text), now_ms, ticket)

    def came(self, user_id: str, now_ms: int) -> None:
        """A player has a connection again; nothing where it is known."""
        self._moved(user_id, True, now_ms)

    def went(self, user_id: str, now_ms: int) -> None:
        """A player's last connection is gone; nothing where it is known."""
        self._moved(user_id, False, now_ms)

    def _moved(self, user_id: str, connected: bool, now_ms: int) -> None:
        player = self._players.get(user_id)
        if player is None or player.connected == connected:
            return
        self._players[user_id] = attrs.evolve(player, connected=connected)
        seat = player.seat
        before = [waiting for waiting in self._queue if isinstance(waiting.event, Joined | Left) and waiting.event.seat == seat]
        if len(before) >= MOST_MOVEMENTS:
            # They take turns, so this one and the last make nothing.
            self._queue.remove(before[-1])
        else:
            self._put(Joined(seat) if connected else Left(seat, AWAY), now_ms)

    def gone(self, user_id: str, reason: str, now_ms: int) -> None:
        """A player is gone for good: `left`, `kicked` or `timeout`."""
        player = self._players.pop(user_id, None)
        if player is not None:
            self._put(Left(player.seat, reason), now_ms)

    def tick(self, now_ms: int) -> None:
        """The service is told, once, that its time has come."""
        due = self.kept.timer_ms
        if due is None or now_ms < due or (self.asked is not None and isinstance(self.asked.update.event, Timer)):
            return
        if not any(isinstance(waiting.event, Timer) for waiting in self._queue):
            self._put(Timer(due), now_ms)

    def _put(self, event: Event, now_ms: int, ticket: Any = None) -> None:
        self._queue.append(Waiting(event, now_ms, self.players, ticket))

    # What the service is asked.

    def ask(self, held: Held) -> Update:
        """The next update: the first of what waits, behind `held`, which goes with `kept`. It is in flight from now on."""
        assert self.asked is None
        first = self._queue.popleft()
        if isinstance(first.event, Message):
            self._messages -= 1
            self._bytes -= len(first.event.data)
        update = Update(
            request=0,
            sequence=self.kept.sequence + 1,
            state=held.state,
            players=first.players,
            event=first.event,
            now_ms=first.now_ms,
            **self._about,
        )
        self.asked = Asked(update, held, first.ticket)
        return update

    def take(self, answer: State, now_ms: int) -> Outcome:
        """The answer to what was asked, which was checked. Gives what is to be stored; then say `settled`."""
        assert self.asked is not None
        asked, update = self.asked, self.asked.update
        seats = {player.seat for player in update.players}
        timer_ms = None if isinstance(update.event, Timer) else self.kept.timer_ms
        if answer.rejected is None and answer.timer_ms is not None:
            timer_ms = now_ms + answer.timer_ms if answer.timer_ms else None
        if answer.finished is not None:
            timer_ms = None
        self.answered = Outcome(
            kept=Kept(play_id=self.kept.play_id, sequence=update.sequence, players=update.players, timer_ms=timer_ms),
            held=None if answer.rejected is not None else Held(answer.state, asked.held.shown.after(answer, seats)),
            answer=answer,
            views=tuple(view for view in answer.views if view.seat in seats),
            ticket=asked.ticket,
        )
        return self.answered

    def settled(self) -> None:
        """What came of it is stored."""
        assert self.answered is not None
        before, self.kept = self.kept, self.answered.kept
        self.asked = self.answered = None
        if self.kept.timer_ms != before.timer_ms:
            # Taken back, or another is in its place.
            self._queue = deque(waiting for waiting in self._queue if not isinstance(waiting.event, Timer))

    def end(self) -> list[Any]:
        """Nothing more is asked. Gives the tickets of messages that nothing comes of."""
        tickets = [waiting.ticket for waiting in self._queue]
        if self.asked is not None:
            tickets.append(self.asked.ticket)
        self._queue.clear()
        self._messages = self._bytes = 0
        self.asked = self.answered = None
        return [ticket for ticket in tickets if ticket is not None]
