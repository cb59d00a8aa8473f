"""One request as a route's method sees it, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import orjson
from twisted.web.resource import IResource
from twisted.web.server import Request
from werkzeug.http import parse_accept_header

from gameroom.doors.web.declare import RawBody, Route
from gameroom.doors.web.problems import HttpProblem
from gameroom.errors import InvalidRequest, Unauthorized
from gameroom.wire.json_lists import check_lists

RAW = "application/octet-stream"


@attrs.frozen(kw_only=True)
class Call:
    """A request that its route's declaration has read."""

    request: Request
    address: str
    """Whose limits it counts to."""
    base: str
    """Scheme, host and port of this door as the caller should use it, without a slash at the end."""
    hosts: tuple[str, ...]
    """With their ports, those that we may be known by: what the operator says, and what the caller has used."""
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    token: str | None
    """What came as `Authorization: Bearer`."""

    @property
    def wants_page(self) -> bool:
        return wants_page(self.request)

    def room_id(self) -> str:
        """The room, from the path or from `?game_id=`."""
        return str(self.path.get("room_id") or self.query["game_id"])

    def require_token(self) -> str:
        if self.token is None:
            raise Unauthorized("send the token as Authorization: Bearer <token>")
        return self.token


@attrs.frozen(kw_only=True)
class Answer:
    """What a route's method gives: a value for JSON, bytes of some media type, or a resource that writes by itself."""

    status: int = 200
    value: Any = None
    data: bytes | None = None
    media_type: str = "application/json"
    headers: Mapping[str, str] = attrs.field(factory=dict)
    resource: IResource | None = None

    @property
    def body(self) -> bytes:
        if self.data is not None:
            return self.data
        return b"" if self.value is None else orjson.dumps(self.value)


def wants_page(request: Request) -> bool:
    """Whether a browser asks: `text/html` is wanted more than JSON."""
    accept = parse_accept_header(header(request, "accept"))
    return accept.best_match(["application/json", "text/html"]) == "text/html"


def header(request: Request, name: str) -> str:
    """A header's only or last value, or the empty string.

    HTTP promises nothing of its characters, and as Latin-1 any byte is one; whoever reads it finds what does not belong there.
    """
    value = request.getHeader(name.encode("ascii"))
    return value.decode("latin-1").strip() if isinstance(value, bytes) else ""


def bearer(request: Request) -> str | None:
    """The token of the `Authorization` header; None without one. Raises `Unauthorized` for another scheme."""
    value = header(request, "authorization")
    if not value:
        return None
    scheme, _, token = value.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("send the token as Authorization: Bearer <token>")
    return token.strip()


def read_body(route: Route, request: Request) -> Any:
    """The checked body of a route that has one; raises `InvalidRequest`, or `HttpProblem` 415."""
    assert request.content is not None
    data = request.content.read()
    if route.body is None:
        if data:
            raise InvalidRequest("this request has no body")
        return None
    if not data and not route.body_needed:
        return route.body.read({})
    media_type = header(request, "content-type").partition(";")[0].strip().lower()
    if isinstance(route.body, RawBody):
        if media_type not in ("", RAW):
            raise HttpProblem(415, f"send the bytes as they are, with Content-Type: {RAW}")
        return route.body.read(data)
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise HttpProblem(415, "send JSON, with Content-Type: application/json")
    check_lists("the body", data)
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is no JSON: {error}", pointer="") from None
    return route.body.read(content)
