"""Plays of a micro game service that nobody plays: what a room could send it, by a generator of random numbers with a seed. Pure."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, Final
from uuid import UUID

import attrs

from gameroom.wire.game_service import Event, Joined, Left, Message, Player, Started, State, Timer, Update

MESSAGE_BYTES: Final = 64 << 10
"""The most that a member may send at once."""
LONGEST_PLAY: Final = 40
"""Updates."""
PLAYS_AT_ONCE: Final = 6
_SEED_BITS: Final = 53
_LONGEST_PAUSES_MS: Final = (20_000, 1_000)
"""Of slow plays and of quick ones. In a slow one alone the timer of a short round would run out before anybody has said anything."""


def _nested(levels: int, around: str = "[]") -> bytes:
    return (around[0] * levels + around[-1] * levels).encode()


_ATOMS: Final[tuple[Any, ...]] = (
    None,
    True,
    False,
    0,
    -1,
    0.5,
    2**53,
    2**63,
    -(2**63),
    1e308,
    "",
    "a",
    "0",
    "\0",
    "\u202e",
    "😀" * 100,
    [],
    {},
    [[]],
)
_HOSTILE: Final[tuple[bytes, ...]] = (
    *(json.dumps(atom).encode() for atom in _ATOMS),
    b'{"type":null}',
    b'{"type":"__proto__"}',
    b'{"__proto__":{"polluted":true}}',
    b'{"constructor":{"prototype":null}}',
    b'{"":{"":{"":null}}}',
    b"[null,null,null]",
    _nested(200),
    b'{"a":' * 100 + b"1" + b"}" * 100,
    json.dumps("x" * (MESSAGE_BYTES - 2)).encode(),
    json.dumps(list(range(10_000))).encode(),
    json.dumps({f"key {at}": at for at in range(2000)}).encode(),
)
_BINARY: Final[tuple[bytes, ...]] = (b"", b"\0", b"{}", b"\xff\xfe", bytes(range(256)), b"\0" * MESSAGE_BYTES)


@attrs.frozen(kw_only=True)
class Game:
    """What is played."""

    game_id: str
    version: str
    min_players: int
    max_players: int
    config: bytes = b"{}"
    """The room's configuration, as JSON."""


class Repertoire:
    """What members say: the messages that its developer knows, those with something in them turned bad, and others."""

    def __init__(self, messages: Sequence[Message], random: Random) -> None:
        """Of `messages` the seats do not count."""
        self._good, self._random = list(messages), random
        hostile = [*((data, True) for data in _HOSTILE), *((data, False) for data in _BINARY)]
        random.shuffle(hostile)
        self._hostile = deque(hostile)

    def choose(self) -> tuple[bytes, bool, bool]:
        """Data, whether it is text, and whether it is one of the developer's own."""
        luck = self._random.random()
        if self._good and luck < 0.8:
            message = self._random.choice(self._good)
            if luck < 0.6 or not message.text:
                return message.data, message.text, True
            return _spoilt(message.data, self._random), True, False
        self._hostile.rotate(-1)
        data, text = self._hostile[0]
        return data, text, False


def _spoilt(data: bytes, random: Random) -> bytes:
    """JSON with one value in it that is another, or is not there."""
    whole = [json.loads(data)]
    places: list[tuple[Any, Any]] = []
    look: list[Any] = [whole]
    while look:
        inside = look.pop()
        for key in list(inside) if isinstance(inside, dict) else range(len(inside)):
            places.append((inside, key))
            if isinstance(inside[key], dict | list):
                look.append(inside[key])
    inside, key = random.choice(places)
    if inside is not whole and random.random() < 0.3:
        del inside[key]
    else:
        inside[key] = random.choice(_ATOMS)
    spoilt = json.dumps(whole[0], separators=(",", ":")).encode()
    return spoilt if len(spoilt) <= MESSAGE_BYTES else b"null"


class Play:
    """One room. `following` is the next update, without its `request`, and `answered` what came of it."""

    def __init__(self, game: Game, repertoire: Repertoire, random: Random, *, players: int, now_ms: int) -> None:
        self._game, self._repertoire, self._random = game, repertoire, random
        self._room_id = str(UUID(int=random.getrandbits(128), version=4))
        self._players = [Player(seat, f"player{seat + 1}", ("Ada", "Bob", "Cleo", "Dora")[seat % 4], True) for seat in range(players)]
        self._now_ms = now_ms
        self._sequence = 0
        self._state = b""
        self._due: int | None = None
        self._begun = False
        self._left = random.randint(LONGEST_PLAY // 2, LONGEST_PLAY)
        self._longest_pause_ms = random.choice(_LONGEST_PAUSES_MS)

    @property
    def over(self) -> bool:
        return self._left <= 0

    def following(self) -> Update:
        """What happens next."""
        self._left -= 1
        self._sequence += 1
        self._now_ms += self._random.randrange(self._longest_pause_ms)
        event = self._event()
        return Update(
            request=0,
            room_id=self._room_id,
            sequence=self._sequence,
            state=b"" if isinstance(event, Started) else self._state,
            players=tuple(self._players),
            event=event,
            now_ms=self._now_ms,
            game_id=self._game.game_id,
            version=self._game.version,
        )

    def answered(self, update: Update, state: State | None) -> None:
        """None: nothing that counts as an answer."""
        if state is None or state.rejected is not None:
            return
        self._begun, self._state = state.finished is None, state.state
        if state.finished is not None or state.timer_ms == 0:
            self._due = None
        elif state.timer_ms is not None:
            self._due = update.now_ms + state.timer_ms

    def _event(self) -> Event:
        if not self._begun:
            self._due = None
            return Started(self._game.config, self._random.getrandbits(_SEED_BITS))
        luck = self._random.random()
        if self._due is not None and (self._due <= self._now_ms or luck < 0.15):
            due, self._due = self._due, None
            self._now_ms = max(self._now_ms, due)
            return Timer(due)
        at = self._random.randrange(len(self._players))
        player = self._players[at]
        if luck > 0.98 and len(self._players) > 1:
            del self._players[at]
            return Left(player.seat, self._random.choice(("left", "kicked", "timeout")))
        if luck > 0.86:
            self._players[at] = attrs.evolve(player, connected=not player.connected)
            return Left(player.seat, "away") if player.connected else Joined(player.seat)
        data, text, _ = self._repertoire.choose()
        return Message(player.seat, data, text)


class Plays:
    """Several rooms at a time, one update of one of them after the other, each room's in order.

    >>> plays = Plays(game, messages, Random(0), now_ms=now_ms)
    >>> update = plays.following()
    >>> plays.answered(update, state)
    """

    def __init__(self, game: Game, messages: Iterable[Message], random: Random, *, now_ms: int) -> None:
        self._game, self._random, self._now_ms = game, random, now_ms
        self._repertoire = Repertoire(list(messages), random)
        self._open: list[Play] = []
        self._current: Play | None = None
        self.count = 0
        """How many were begun."""

    def following(self) -> Update:
        """The next update."""
        self._open = [play for play in self._open if not play.over]
        while len(self._open) < PLAYS_AT_ONCE:
            self._open.append(self._play())
        self._current = self._random.choice(self._open)
        return self._current.following()

    def answered(self, update: Update, state: State | None) -> None:
        """What came of the last one."""
        assert self._current is not None
        self._current.answered(update, state)

    def first(self) -> Update:
        """The start of a play that is not played on."""
        return self._play().following()

    def _play(self) -> Play:
        """The first two have as few and as many players as there may be."""
        few, many = self._game.min_players, self._game.max_players
        players = {0: few, 1: many}.get(self.count, self._random.randint(few, many))
        self.count += 1
        return Play(self._game, self._repertoire, self._random, players=players, now_ms=self._now_ms)
