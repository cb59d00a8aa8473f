"""What is to be run: one program of a bundle."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import attrs


@attrs.frozen(kw_only=True)
class Order:
    """One program of a bundle, to be run once."""

    game_id: str
    """Whose log it writes to."""
    version: str
    folder: Path
    """The unpacked bundle: the program's working folder, which it cannot write to."""
    command: tuple[str, ...]
    memory_mb: int
    listening: socket.socket
    """The program's descriptor 3, in blocking mode. Whoever made it closes their own copy after `Programs.run`."""
    environment: Mapping[str, str] = attrs.field(factory=dict)
    """`GAMEROOM_*`; `PATH`, `HOME`, `LISTEN_FDS` and `LISTEN_PID` are added, and nothing of the daemon's."""
    made_from: str = ""
    """The address that it is run for, where that is known: one gets half of all programs at most."""
    about: str
    """What the daemon's log calls it: `GameServer of room …`."""
