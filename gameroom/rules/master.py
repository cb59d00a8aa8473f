"""What the rules of a lock-step play make most often. It is by itself so that it can be compiled."""

from __future__ import annotations


class Master:
    """Record it, then give it to everyone."""

    __slots__ = ("data", "generation", "waited")

    def __init__(self, generation: int, data: bytes, waited: float) -> None:
        self.generation = generation
        self.data = data
        self.waited = waited
        """Seconds since the generation's first packet."""
