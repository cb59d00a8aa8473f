"""One exception for each status code that a user can be told.

The codes are the same at every door: JSON lines carry them in `code`, REST in
a problem document, room messages in `error`.
Whoever raises one of these writes a message for a person that says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class GameroomError(Exception):
    """What a user did, or what we cannot do for them, with its status code.

    `message` is one sentence for a person.
    `payload` is the few fields that an error's answer carries beside it.
    """

    code: ClassVar[int]
    name: ClassVar[str]
    http_status: ClassVar[int]

    def __init__(self, message: str, *, pointer: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer

    @property
    def payload(self) -> dict[str, object]:
        return {}


class InvalidRequest(GameroomError):
    """100: what came is not what this message takes. `pointer` is a JSON pointer to the fault."""

    code, name, http_status = 100, "INVALID_REQUEST", 400


class Unauthorized(GameroomError):
    """101: no token, or one that was never issued or has expired."""

    code, name, http_status = 101, "UNAUTHORIZED", 401


class Forbidden(GameroomError):
    """102: the wrong role, or somebody else's."""

    code, name, http_status = 102, "FORBIDDEN", 403


class NotFound(GameroomError):
    """103: no such game, version, room or account."""

    code, name, http_status = 103, "NOT_FOUND", 404


class Conflict(GameroomError):
    """104: the name is taken."""

    code, name, http_status = 104, "CONFLICT", 409


class BadState(GameroomError):
    """105: right request, wrong moment."""

    code, name, http_status = 105, "BAD_STATE", 409


class RateLimited(GameroomError):
    """106: too much of it; `retry_after` says for how many seconds to wait."""

    code, name, http_status = 106, "RATE_LIMITED", 429

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def payload(self) -> dict[str, object]:
        return {"retry_after": self.retry_after}


class ChunkOutOfOrder(GameroomError):
    """120: the chunk is not the next one; `expected_seq` is."""

    code, name, http_status = 120, "CHUNK_OUT_OF_ORDER", 409

    def __init__(self, message: str, *, expected_seq: int) -> None:
        super().__init__(message)
        self.expected_seq = expected_seq

    @property
    def payload(self) -> dict[str, object]:
        return {"expected_seq": self.expected_seq}


class ChecksumMismatch(GameroomError):
    """121: the bytes are not those that were declared."""

    code, name, http_status = 121, "CHECKSUM_MISMATCH", 422


class ServerError(GameroomError):
    """199: our fault. `incident` finds it in the log; nothing else of it is told."""

    code, name, http_status = 199, "SERVER_ERROR", 500

    def __init__(self, message: str = "something went wrong here; try again", *, incident: str) -> None:
        super().__init__(message)
        self.incident = incident

    @property
    def payload(self) -> dict[str, object]:
        return {"incident": self.incident}


_PLAIN: dict[int, type[GameroomError]] = {
    error.code: error for error in (InvalidRequest, Unauthorized, Forbidden, NotFound, Conflict, BadState, ChecksumMismatch)
}


def error_of(code: int, message: str, payload: Mapping[str, Any]) -> GameroomError:
    """The error that a server has told, for its client; a code that is not in the table is the server's fault."""
    if code in _PLAIN:
        return _PLAIN[code](message)
    if code == RateLimited.code:
        return RateLimited(message, retry_after=_number(payload.get("retry_after")))
    if code == ChunkOutOfOrder.code:
        return ChunkOutOfOrder(message, expected_seq=int(_number(payload.get("expected_seq"))))
    return ServerError(message, incident=str(payload.get("incident", "")))


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) else 0
