"""What a GameServer is started with, and how it ends (docs/protocol/game-port.md, "GameServers")."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import attrs

from gameroom.rules.manifest import Server

FINISHED: Final = "finished"
"""The GameServer has said that the play is over."""
SERVER_ENDED: Final = "server_ended"
"""Its program came to its own end, with status 0."""
SERVER_CRASHED: Final = "server_crashed"
"""Its program ended in another way, or hung up its control connection."""
SERVER_SILENT: Final = "server_silent"
"""It left three PINGs without a PONG."""
SERVER_MISBEHAVED: Final = "server_misbehaved"
"""It said on its control connection what does not belong there."""

RESULTS_BYTES: Final = 16 << 10
"""`results` of STATUS, as compact JSON: as in a relay room."""
LINE_CHARACTERS: Final = 500
"""Of a sentence of a GameServer's, as a person sees it."""


@attrs.frozen(kw_only=True)
class Participant:
    """A player, as GameServers are told of one. `id` is an account's username or a guest's UUID, never a token."""

    seat: int
    id: str
    name: str

    def to_json(self) -> dict[str, Any]:
        return {"seat": self.seat, "id": self.id, "name": self.name}


@attrs.frozen(kw_only=True)
class ServerOrder:
    """One play of one room that a GameServer is wanted for."""

    room_id: str
    game_id: str
    version: str
    folder: Path
    """Where the bundle is unpacked."""
    server: Server
    """`[server]` of the bundle."""
    max_players: int
    players: tuple[Participant, ...]
    made_from: str = ""
    """The address from which the room was made, where that is known."""


@attrs.frozen(kw_only=True)
class ServerEnd:
    """Why a play at a GameServer is over."""

    reason: str
    """One of those above."""
    results: Any = None
    """What the GameServer said with STATUS `finished`; None elsewhere and where it said nothing."""
    message: str = ""
    """One sentence for a person and for logs, where the reason is not that the play is finished."""


_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def one_line(text: str, most: int = LINE_CHARACTERS) -> str:
    """What a GameServer says to a person, on one line of at most `most` characters; what would change a reader's terminal is replaced."""
    # What is far behind the end is not even looked at.
    line = _UNSEEN.sub("\ufffd", " ".join(text[: 4 * most].split()))
    return line if len(line) <= most else line[: most - 1] + "…"
