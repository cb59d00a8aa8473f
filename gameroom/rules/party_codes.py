"""Party codes: six characters that a friend can be told over the phone (spec: README, Words)."""

from __future__ import annotations

from collections.abc import Callable

from gameroom.errors import NotFound

ALPHABET = "BCDFGHJKLMNPQRSTVWXZ23456789"
"""No vowels, so no words; no 0/O and 1/I, which look alike."""
LENGTH = 6
RUDE = ("FCK", "FKK", "SHT", "CNT", "DCK", "CCK", "BTCH", "TWT", "NGR", "NGGR", "FGT", "PRN", "WTF", "KKK", "H88", "88H")


def draw(random_bytes: Callable[[int], bytes]) -> str:
    """A code, each character equally likely, without one that reads as something rude.

    `random_bytes(n)` gives n random bytes.
    """
    fair = 256 - 256 % len(ALPHABET)
    while True:
        code = ""
        while len(code) < LENGTH:
            code += "".join(ALPHABET[byte % len(ALPHABET)] for byte in random_bytes(2 * LENGTH) if byte < fair)
        code = code[:LENGTH]
        if not any(word in code for word in RUDE):
            return code


def canonical(typed: str) -> str:
    """The code as it is kept: upper case, without the spaces and hyphens that people put in.

    Raises `NotFound` for what cannot be a code.
    """
    code = typed.upper().replace(" ", "").replace("-", "")
    if len(code) != LENGTH or any(character not in ALPHABET for character in code):
        raise NotFound("there is no party with that code; look at it once more")
    return code
