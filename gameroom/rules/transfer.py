"""What an upload accepts (spec: lobby.md, Upload).

Theory. A file comes in chunks numbered from 0. Only the next chunk is written, and only what was written is answered `ok`; so where the
answer was lost the client sends the chunk again, and one that is the same as what was written is `ok` once more, however long ago that was.
Everything else that is not the next chunk is told which one is.

    OPEN ──chunk──▸ OPEN          the next chunk, or one that is there already
    OPEN ──end────▸ FINISHING     all bytes are there
    OPEN ──cancel─▸ GONE          so does expiry
    FINISHING ────▸ GONE          it is published, or will never be (another checksum, a faulty bundle)
    FINISHING ────▸ OPEN          it is not to blame (the disk is full, the database is away): END may be tried again

While it is FINISHING, END waits with the one before it, and chunks, CANCEL and expiry are too late.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from gameroom.errors import BadState, ChunkOutOfOrder, Conflict, InvalidRequest

LARGEST_CHUNK: Final = 262_144
"""Decoded bytes."""
USUAL_CHUNK: Final = 4096
MOST_UNFINISHED: Final = 4
"""Uploads of one developer."""

_CHECKSUM = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)


class State(Enum):
    """Where an upload is between its BEGIN and its end."""

    OPEN = "open"
    FINISHING = "finishing"
    GONE = "gone"


def suggested_chunk(wanted: int | None) -> int:
    """The `chunk_size` that BEGIN answers. Raises `InvalidRequest`."""
    if wanted is None:
        return USUAL_CHUNK
    if wanted < 1:
        raise InvalidRequest("chunk_size must be at least 1", pointer="/chunk_size")
    return min(wanted, LARGEST_CHUNK)


def declared_checksum(text: str | None) -> str:
    """A checksum as it is kept: 64 small hex digits, or empty where none was declared. Raises `InvalidRequest`."""
    if text is None:
        return ""
    match = _CHECKSUM.fullmatch(text)
    if match is None:
        raise InvalidRequest('checksum must be the SHA-256 of the file: 64 hex digits, also with "sha256:" before them', pointer="/checksum")
    return match[1].lower()


def check_size(size_bytes: int, most: int) -> None:
    """Whether a file may be so large. Raises `InvalidRequest`."""
    if size_bytes < 1:
        raise InvalidRequest("size_bytes must be at least 1: an empty file cannot be uploaded", pointer="/size_bytes")
    if size_bytes > most:
        raise InvalidRequest(f"size_bytes may be at most {most} on this server; make the bundle smaller", pointer="/size_bytes")


def check_chunk(length: int) -> None:
    """Whether a chunk may have so many bytes. Raises `InvalidRequest`."""
    if not 1 <= length <= LARGEST_CHUNK:
        raise InvalidRequest(f"a chunk has 1 to {LARGEST_CHUNK} bytes; this one has {length}", pointer="/data_b64")


def is_next(seq: int, length: int, next_seq: int, received: int, size_bytes: int) -> bool:
    """Whether this chunk of `length` bytes is to be written; False where it has to be compared with what was written as `seq`.

    `next_seq` chunks with `received` bytes are written, of a file of `size_bytes`.
    Raises `ChunkOutOfOrder`, or `BadState` past the file's size.
    """
    if seq != next_seq:
        if 0 <= seq < next_seq:
            return False
        raise out_of_order(next_seq)
    if received + length > size_bytes:
        over = received + length - size_bytes
        raise BadState(f"this chunk is {over} bytes past the {size_bytes} that UPLOAD_BEGIN declared; send what is left of those")
    return True


def out_of_order(next_seq: int) -> ChunkOutOfOrder:
    """The error for a chunk that is neither the next one nor the same as one that was written."""
    return ChunkOutOfOrder(f"the next chunk is number {next_seq}; go on from there", expected_seq=next_seq)


def require_open(state: State) -> None:
    """Raises `BadState` where nothing may be done to the upload any more."""
    if state is State.FINISHING:
        raise BadState("this upload is just being finished; wait for the answer to UPLOAD_END")
    if state is State.GONE:
        raise unknown_upload()


def require_whole(received: int, size_bytes: int) -> None:
    """Raises `BadState` unless all bytes are there."""
    if received != size_bytes:
        raise BadState(f"{received} of {size_bytes} bytes are here; send the others, then UPLOAD_END again")


def unknown_upload() -> BadState:
    return BadState("there is no such upload: it was finished, cancelled or dropped, or never begun; send UPLOAD_BEGIN")


def is_uploaded(version: str) -> Conflict:
    return Conflict(f"version {version} is already uploaded; choose a higher version")


def is_begun(version: str) -> Conflict:
    return Conflict(
        f"version {version} has an unfinished upload of yours with another size or checksum; choose another version, or drop that upload: "
        "LIST_UPLOADS tells its id for CANCEL_UPLOAD, and gameroom dev cancel does both"
    )


def too_many() -> BadState:
    return BadState(
        f"you have {MOST_UNFINISHED} unfinished uploads, which is the most; finish one, or drop it: "
        "LIST_UPLOADS tells its id for CANCEL_UPLOAD, and gameroom dev cancel does both"
    )


def may_resume(had: tuple[int, str], asked: tuple[int, str]) -> bool:
    """Whether a BEGIN means the upload that is unfinished; both are `(size_bytes, checksum)`."""
    return had == asked
