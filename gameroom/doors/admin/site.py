"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.http import NOT_ALLOWED, NOT_FOUND, SERVICE_UNAVAILABLE, UNAUTHORIZED, Request
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

from gameroom.doors.rounds import Rounds
from gameroom.doors.web.http import HttpLimits, LimitedChannel, LimitedRequest
from gameroom.metrics import CONTENT_TYPE, Metrics

ANSWER_SECONDS = 5.0
"""A database that has not answered after so long does not answer."""


class AdminSite(Site):
    """The factory of the admin door.

    `ready()` gives a Deferred that fires where this node takes players, and fails with the reason where not.
    Where `token` is not empty all but `/healthz` and `/readyz` needs it as Bearer.
    """

    protocol = LimitedChannel  # type: ignore[assignment]
    noisy = False

    def __init__(self, *, ready: Callable[[], Deferred[None]], metrics: Metrics, clock: IReactorTime, token: str = "") -> None:
        root = NotFound()
        root.putChild(b"healthz", Healthz())
        root.putChild(b"readyz", Readyz(ready, clock))
        root.putChild(b"metrics", Guarded(MetricsPage(metrics), token) if token else MetricsPage(metrics))
        Site.__init__(self, root, LimitedRequest, timeout=30, reactor=clock)
        self.displayTracebacks = False
        self.rounds = Rounds(clock)
        self._metrics = metrics

    def buildProtocol(self, addr: Any) -> Any:
        channel: Any = Site.buildProtocol(self, addr)
        channel.limits = HttpLimits()
        channel.leave = lambda: None
        channel.ended = lambda: self._metrics.connection_closed("admin", "done")
        self._metrics.connection_opened("admin")
        return channel

    def log(self, request: Request) -> None:
        """Those who look every few seconds are not worth a line."""


class NotFound(Resource):
    """The root, and whatever is not there."""

    def __init__(self) -> None:
        Resource.__init__(self)

    def getChild(self, path: bytes, request: Request) -> Resource:
        return self

    def render(self, request: Request) -> bytes:
        request.setResponseCode(NOT_FOUND)
        return _text(request, "there are /healthz, /readyz and /metrics\n")


class Page(Resource):
    """What is only looked at."""

    isLeaf = True

    def __init__(self) -> None:
        Resource.__init__(self)

    def render(self, request: Request) -> bytes | int:
        if request.method not in (b"GET", b"HEAD"):
            request.setResponseCode(NOT_ALLOWED)
            request.setHeader(b"Allow", b"GET, HEAD")
            return _text(request, "this can only be looked at: GET\n")
        rendered: bytes | int = Resource.render(self, request)
        return rendered


class Healthz(Page):
    """The process answers."""

    def render_GET(self, request: Request) -> bytes:
        return _text(request, "ok\n")


class Readyz(Page):
    """The doors are open and the database answers; else 503 and why not."""

    def __init__(self, ready: Callable[[], Deferred[None]], clock: IReactorTime) -> None:
        super().__init__()
        self._ready = ready
        self._clock = clock

    def render_GET(self, request: Request) -> int:
        asked = self._ready().addTimeout(ANSWER_SECONDS, self._clock)
        gone: list[Failure] = []
        request.notifyFinish().addErrback(gone.append)

        def answer(why: Failure | None) -> None:
            if not gone:
                request.write(_text(request, "ready\n") if why is None else _not_ready(request, why))
                request.finish()

        asked.addBoth(answer)
        return NOT_DONE_YET


class MetricsPage(Page):
    """What Prometheus reads."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__()
        self._metrics = metrics

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"Content-Type", CONTENT_TYPE)
        request.setHeader(b"Cache-Control", b"no-store")
        return self._metrics.render()


@implementer(IResource)
class Guarded:
    """A resource that only answers to who has the token."""

    isLeaf = True

    def __init__(self, inner: Page, token: str) -> None:
        self._inner = inner
        self._digest = sha256(token.encode()).digest()

    def getChildWithDefault(self, name: bytes, request: Request) -> IResource:
        return self

    def putChild(self, path: bytes, child: IResource) -> None:
        self._inner.putChild(path, child)

    def render(self, request: Request) -> bytes | int:
        scheme, _, credentials = (request.getHeader(b"Authorization") or b"").partition(b" ")
        given = sha256(credentials.strip()).digest()
        if scheme.lower() == b"bearer" and hmac.compare_digest(given, self._digest):
            return self._inner.render(request)
        request.setResponseCode(UNAUTHORIZED)
        request.setHeader(b"WWW-Authenticate", b'Bearer realm="gameroom admin"')
        return _text(request, "send the [admin] token of the configuration as Authorization: Bearer\n")


def _not_ready(request: Request, failure: Failure) -> bytes:
    request.setResponseCode(SERVICE_UNAVAILABLE)
    return _text(request, f"not ready: {failure.getErrorMessage()}\n")


def _text(request: Request, text: str) -> bytes:
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"Cache-Control", b"no-store")
    return text.encode()
