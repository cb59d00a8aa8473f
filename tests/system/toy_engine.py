"""A deterministic engine for tests: integers only, and a state that remembers every command there ever was.

What a seat commands in a generation is a function of the two, so any client can say what a master must hold: a
generation that is missing, twice, or with somebody else's commands is found by every client at once.
"""

from __future__ import annotations

import hashlib
from typing import Any

MASK = (1 << 64) - 1


def mix(x: int) -> int:
    """One step of splitmix64."""
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def commands_of(seat: int, generation: int) -> list[dict[str, Any]]:
    """What the player of this seat does in this generation of a JSON room: nothing, one or two commands."""
    draw = mix(generation << 8 | seat)
    return [{"unit": draw >> (8 * n) & 0xFF, "to": [draw >> 40 & 0xFF, generation], "note": f"s{seat}–{n}"} for n in range(draw % 3)]


def bytes_of(seat: int, generation: int) -> bytes:
    """The same for a binary room."""
    draw = mix(generation << 8 | seat)
    return bytes((draw >> 8 & 0xFF, seat)) * (draw % 3 * 4) + generation.to_bytes(4, "big") * (draw % 3 > 0)


class ToyEngine:
    """The state of one play."""

    def __init__(self, seed: int) -> None:
        self.generation = 0
        self.state = mix(seed)

    def apply(self, iterations: int, commands: dict[int, Any], system: list[dict[str, Any]]) -> int:
        """Carry out one generation; gives the state's hash after it."""
        turn = repr(([(seat, commands[seat]) for seat in sorted(commands)], [sorted(event.items()) for event in system]))
        self.state ^= int.from_bytes(hashlib.blake2b(turn.encode(), digest_size=8).digest(), "big")
        for _ in range(iterations):
            self.state = mix(self.state)
        self.generation += 1
        return self.state

    def save(self) -> dict[str, Any]:
        """The state as JSON; a hash of 64 bits is more than what JSON's numbers hold everywhere."""
        return {"generation": self.generation, "state": f"{self.state:016x}"}

    def load(self, saved: dict[str, Any]) -> int:
        """Be in that state; gives its hash."""
        self.generation, self.state = saved["generation"], int(saved["state"], 16)
        return self.state

    def corrupt(self) -> None:
        """A bit of the state is not what it should be."""
        self.state ^= 1
