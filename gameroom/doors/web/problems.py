"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from math import ceil
from typing import Any

import attrs
import orjson

from gameroom.errors import ChunkOutOfOrder, GameroomError, RateLimited, ServerError

MEDIA_TYPE = "application/problem+json"

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<h1>{title}</h1>
<p>{detail}</p>
<p><a href="/">To the start page</a></p>
</html>
"""


class HttpProblem(Exception):
    """What is wrong with a request as HTTP, before it means anything. Its `code` is 103 for a 404 and else 100."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}

    @property
    def problem(self) -> Problem:
        document = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": 103 if self.status == HTTPStatus.NOT_FOUND else 100,
        }
        return Problem(status=self.status, document=document, headers=self.headers)

    def as_response(self) -> bytes:
        """The whole HTTP response, for a connection that is not listened to any further."""
        body = self.problem.body
        head = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\nContent-Type: {MEDIA_TYPE}\r\n"
        return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@attrs.frozen(kw_only=True)
class Problem:
    """A problem document with its status and the headers that belong to it."""

    status: int
    document: dict[str, Any]
    headers: dict[str, str] = attrs.field(factory=dict)

    @property
    def body(self) -> bytes:
        return orjson.dumps(self.document)

    def page(self) -> bytes:
        """The same for a person's browser."""
        return PAGE.format(title=escape(str(self.document["title"])), detail=escape(str(self.document["detail"]))).encode()


def phrase(status: int) -> bytes:
    """What stands behind the status in a response's first line; Twisted knows none for 426 and 429."""
    return HTTPStatus(status).phrase.encode("ascii")


def problem_of(error: GameroomError) -> Problem:
    """The document of one of our errors: see "Errors" in docs/protocol/rooms.md."""
    document: dict[str, Any] = {
        "type": f"urn:gameroom:status:{error.code}",
        "title": error.name,
        "status": error.http_status,
        "detail": error.message,
        "code": error.code,
    }
    headers: dict[str, str] = {}
    if error.pointer is not None:
        document["pointer"] = error.pointer
    if isinstance(error, RateLimited):
        document["retry_after"] = error.retry_after
        headers["Retry-After"] = str(max(1, ceil(error.retry_after)))
    if isinstance(error, ServerError):
        document["incident"] = error.incident
    if isinstance(error, ChunkOutOfOrder):
        document["expected_seq"] = error.expected_seq
    if error.http_status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="gameroom"'
    return Problem(status=error.http_status, document=document, headers=headers)
