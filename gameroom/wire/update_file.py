"""The files of updates and their answers: what `[service] record` writes, and `gameroom dev check-service --updates` reads and writes.

A file is pairs, one behind the other: a GameUpdate and the GameState that answered it, each behind its 4 bytes of length (network order), as on
the wire (docs/protocol/game-service.md). An update that nothing answered has a GameState of length 0. There is no head, so that a file is only
ever appended to, and two files put together are a file. Whoever is cut off in the midst of writing leaves a torn pair at the end, which is no
fault: reading ends before it.

Pure: bytes in, bytes out. What is in a message is for `wire.game_service`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Final

from gameroom.errors import InvalidRequest

LENGTH_BYTES: Final = 4

MOST_BYTES: Final = 16 * 1024 * 1024
"""Bytes of one message: more than any that is sent. A length beyond it means that the file holds something else."""


def pair_to_bytes(update: bytes, state: bytes = b"") -> bytes:
    """What is appended for one update, as it was sent, and its answer, as it came; b"" where there was none.

    Raises `ValueError` for an update that is empty and for either that is over MOST_BYTES.
    """
    if not update:
        raise ValueError("an update has at least a byte")
    if max(len(update), len(state)) > MOST_BYTES:
        raise ValueError(f"a message of a file of updates has at most {MOST_BYTES} bytes")
    return b"".join((_length(update), update, _length(state), state))


def pairs_from_bytes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """As `pairs_from`, out of what is in memory already."""
    return pairs_from(BytesIO(data).read)


def pairs_from(read: Callable[[int], bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Each whole pair of a file, in order, holding one at a time; `read(n)` gives up to n bytes and fewer at the end only, as a file's does.

    Raises `InvalidRequest`, behind the pairs that are before it, where a length can be none: the file holds something else.
    """
    at = 0
    while True:
        update = _message(read, at)
        if update is None:
            return
        if not update:
            raise InvalidRequest(f"no file of updates: at byte {at} there is an update of length 0")
        state = _message(read, at + LENGTH_BYTES + len(update))
        if state is None:
            return
        yield update, state
        at += 2 * LENGTH_BYTES + len(update) + len(state)


def _message(read: Callable[[int], bytes], at: int) -> bytes | None:
    """The message whose length begins at byte `at` of the file; None where the file ends before it does."""
    head = read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    length = int.from_bytes(head)
    if length > MOST_BYTES:
        raise InvalidRequest(f"no file of updates: at byte {at} there is a length of {length}, and {MOST_BYTES} is the most")
    data = read(length)
    return data if len(data) == length else None


def _length(data: bytes) -> bytes:
    return len(data).to_bytes(LENGTH_BYTES)
