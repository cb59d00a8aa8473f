"""Which micro game service is wanted (docs/protocol/game-service.md)."""

from __future__ import annotations

from pathlib import Path
from socket import socket

import attrs

from gameroom.programs.order import Order
from gameroom.rules.manifest import Service


@attrs.frozen(kw_only=True)
class ServiceOrder:
    """The service of one version of a game, as a room wants it."""

    game_id: str
    version: str
    folder: Path | None
    """Where the bundle is unpacked; None where its service runs elsewhere."""
    service: Service
    """`[service]` of the bundle."""
    made_from: str = ""
    """The address from which the room was made, where that is known."""

    def program(self, listening: socket, made_from: str = "") -> Order:
        """What is to be run, with this socket and for this address. Only for one of a bundle."""
        assert self.folder is not None
        port: int = listening.getsockname()[1]
        return Order(
            game_id=self.game_id,
            version=self.version,
            folder=self.folder,
            command=self.service.command,
            memory_mb=self.service.memory_mb,
            listening=listening,
            environment={"GAMEROOM_GAME_ID": self.game_id, "GAMEROOM_VERSION": self.version, "GAMEROOM_PORT": str(port)},
            made_from=made_from,
            about=f"service of game {self.game_id} {self.version}",
        )
