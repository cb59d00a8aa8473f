"""What services need of a daemon, as a test plays it."""

from __future__ import annotations

from gameroom.errors import BadState
from tests.gameservers.world import FakePrograms


class ProgramsOfAddresses(FakePrograms):
    """Programs of which an address may run no more than its share."""

    def __init__(self) -> None:
        super().__init__()
        self.full: set[str] = set()

    def require(self, made_from: str = "") -> None:
        super().require(made_from)
        if made_from in self.full:
            raise BadState(f"{made_from} runs as many as it may")
