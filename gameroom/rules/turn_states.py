"""The states of a turn game's room and of a controller, as tables (docs/protocol/controller.md, "States").

The theory: the room waits for players, plays one turn after the other, and waits again when the game is over.
A controller follows it by what it is told; each row says which state follows another on what.
What is not in a table changes nothing: chat, cursors, boards, a repeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WAITING, PLAYING = "waiting for players", "playing"

GAME: Final[Mapping[tuple[str, str], str]] = {
    (WAITING, "join"): WAITING,
    (WAITING, "all are ready"): PLAYING,
    (PLAYING, "move"): PLAYING,
    (PLAYING, "won"): WAITING,
    (PLAYING, "draw"): WAITING,
    (PLAYING, "left"): WAITING,
    (PLAYING, "time"): WAITING,
}
"""The room: state and what happens → state."""

CONNECTING, WATCHING, SEATED, THEIR_TURN, MY_TURN, OVER = "connecting", "watching", "waiting", "the others' turn", "my turn", "over"

CONTROLLER: Final[Mapping[tuple[str, str], str]] = {
    (CONNECTING, "player"): SEATED,
    (CONNECTING, "full"): WATCHING,
    (WATCHING, "player"): SEATED,
    (WATCHING, "full"): WATCHING,
    (SEATED, "game_start"): THEIR_TURN,
    (SEATED, "left"): WATCHING,
    (THEIR_TURN, "request_move"): MY_TURN,
    (THEIR_TURN, "game_over"): OVER,
    (THEIR_TURN, "left"): WATCHING,
    (MY_TURN, "dropped"): THEIR_TURN,
    (MY_TURN, "game_over"): OVER,
    (MY_TURN, "left"): WATCHING,
    (OVER, "ready"): SEATED,
    (OVER, "game_start"): THEIR_TURN,
    (OVER, "left"): WATCHING,
}
"""A controller: state and what it is told, or was acknowledged → state. `left` and `ready` are its own messages, answered."""
