"""Which micro game service is wanted (docs/protocol/game-service.md)."""

from __future__ import annotations

from pathlib import Path

import attrs

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
