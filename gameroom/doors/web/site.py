"""The web door: REST, pages and room sockets on one port."""

# mypy: disallow-untyped-calls=False
# Twisted's HTTP classes have few types.
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import IResource, getChildForRequest
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from gameroom import __version__
from gameroom.accounts import Accounts
from gameroom.catalogue import Catalogue
from gameroom.developer_games import DeveloperGames
from gameroom.doors.peers import PeerCount, TrustedProxies, address_of
from gameroom.doors.rounds import Rounds
from gameroom.doors.turns import Turns
from gameroom.doors.web import asyncapi, openapi
from gameroom.doors.web.api import Api
from gameroom.doors.web.callers import Callers
from gameroom.doors.web.calls import Answer, Call, header
from gameroom.doors.web.declare import Reply, Route
from gameroom.doors.web.http import HttpLimits, LimitedChannel, LimitedRequest
from gameroom.doors.web.pages import Pages
from gameroom.doors.web.policy import ALWAYS
from gameroom.doors.web.problems import MEDIA_TYPE, HttpProblem, phrase
from gameroom.doors.web.routes_accounts import AccountRoutes
from gameroom.doors.web.routes_developer import DeveloperAccountRoutes, DeveloperRoutes
from gameroom.doors.web.routes_games import GameRoutes, PlayRoutes
from gameroom.doors.web.routes_reviews import DownloadRoutes, ReviewRoutes
from gameroom.doors.web.routes_rooms import RoomRoutes
from gameroom.doors.web.routes_uploads import UploadRoutes
from gameroom.doors.websocket import RoomSocketFactory
from gameroom.registry import Registry
from gameroom.reviews import Reviews
from gameroom.settings import Addresses, Limits, WebSettings
from gameroom.store.recordings import Recordings
from gameroom.uploads import Uploads
from gameroom.wire import game_port, game_service_messages

_PREFLIGHT_SECONDS = "600"
_TEXT = "text/plain; charset=utf-8"


class DescriptionRoutes:
    """The rows that describe the others."""

    routes: ClassVar[tuple[Route, ...]] = (
        Route(
            handler="openapi",
            methods=("GET",),
            path="/openapi.json",
            about="This description (OpenAPI 3.1).",
            replies={200: Reply(about="The description.", media_type="application/json", schema={"type": "object"})},
        ),
        Route(
            handler="asyncapi",
            methods=("GET",),
            path="/asyncapi.json",
            about="The room messages (AsyncAPI 3).",
            replies={200: Reply(about="The description.", media_type="application/json", schema={"type": "object"})},
        ),
        Route(
            handler="game_proto",
            methods=("GET",),
            path="/game.proto",
            about="The messages of micro game services (Protocol Buffers 3).",
            replies={200: Reply(about="The file.", media_type="text/plain", schema={"type": "string"})},
        ),
        Route(
            handler="game_port_proto",
            methods=("GET",),
            path="/game_port.proto",
            about="The messages of the game port (Protocol Buffers 3).",
            replies={200: Reply(about="The file.", media_type="text/plain", schema={"type": "string"})},
        ),
    )

    def __init__(self, routes: Callable[[], list[Route]]) -> None:
        self._routes = routes
        self._openapi: dict[str, Any] | None = None

    async def openapi(self, call: Call) -> Answer:
        if self._openapi is None:
            # The routes do not change, and going through them takes longer than most answers.
            self._openapi = openapi.describe(self._routes(), __version__)
        return Answer(value=self._openapi)

    async def asyncapi(self, call: Call) -> Answer:
        return Answer(value=asyncapi.describe("ws" + call.base.removeprefix("http"), __version__))

    async def game_proto(self, call: Call) -> Answer:
        return Answer(data=game_service_messages.PROTO.proto().encode(), media_type=_TEXT)

    async def game_port_proto(self, call: Call) -> Answer:
        return Answer(data=game_port.PROTO.proto().encode(), media_type=_TEXT)


@implementer(IResource)
class _Root:
    """Every request comes by here: what holds for all answers, CORS, and the way to the room sockets."""

    isLeaf = True

    def __init__(self, *, api: Api, sockets: RoomSocketFactory, callers: Callers, origins: tuple[str, ...]) -> None:
        self._api = api
        self._routes = api.resource()
        self._sockets = sockets
        self._callers = callers
        self._origins = {origin.rstrip("/").lower() for origin in origins}

    def getChildWithDefault(self, name: bytes, request: Any) -> _Root:
        return self

    def putChild(self, path: bytes, child: Any) -> None:
        """Nothing: the routes are declared."""

    def render(self, request: Request) -> Any:
        for name, value in ALWAYS.items():
            request.setHeader(name, value)
        self._allow_origin(request)
        if not header(request, "host").isascii():
            return self._refuse(request, HttpProblem(400, "the Host header names no host"))
        try:
            path = b"/".join([b"", *(request.postpath or [])]).decode("utf-8")
        except UnicodeDecodeError:
            return self._refuse(request, HttpProblem(404, "there is nothing here"))
        if request.method == b"OPTIONS":
            return self._preflight(request, path)
        if path.startswith("/socket/"):
            return self._upgrade(request)
        return getChildForRequest(self._routes, request).render(request)

    def _allow_origin(self, request: Request) -> None:
        if not self._origins:
            return
        request.setHeader("Vary", "Origin")
        origin = header(request, "origin")
        if origin.lower() in self._origins:
            request.setHeader("Access-Control-Allow-Origin", origin)
            request.setHeader("Access-Control-Expose-Headers", "Content-Disposition, Content-Range, ETag, Location, Retry-After")

    def _preflight(self, request: Request, path: str) -> bytes:
        methods = self._api.methods_of(path)
        if not methods:
            return self._refuse(request, HttpProblem(404, "there is nothing here"))
        request.setResponseCode(204)
        allowed = ", ".join([*methods, "OPTIONS"])
        request.setHeader("Allow", allowed)
        if request.responseHeaders.hasHeader("Access-Control-Allow-Origin"):
            request.setHeader("Access-Control-Allow-Methods", allowed)
            request.setHeader("Access-Control-Allow-Headers", "Authorization, Content-Type, If-None-Match, If-Range, Prefer, Range")
            request.setHeader("Access-Control-Max-Age", _PREFLIGHT_SECONDS)
        return b""

    def _upgrade(self, request: Request) -> Any:
        channel: Any = request.channel
        if request.method != b"GET" or "websocket" not in header(request, "upgrade").lower():
            return self._refuse(request, HttpProblem(426, "this is a WebSocket; connect with the subprotocol gameroom.v1", {"Upgrade": "websocket"}))
        socket = channel.site.socket_for(channel, self._callers.address(request))
        if socket is None:
            return self._refuse(request, HttpProblem(429, "your address has too many connections; close some"))
        lines = [b"GET %b HTTP/1.1" % request.uri]
        for name, values in request.requestHeaders.getAllRawHeaders():
            lines += [b"%b: %b" % (name, value) for value in values]
        channel.hand_over(socket, b"\r\n".join([*lines, b"", b""]))
        return NOT_DONE_YET

    def _refuse(self, request: Request, problem: HttpProblem) -> bytes:
        request.setResponseCode(problem.status, phrase(problem.status))
        request.setHeader("Content-Type", MEDIA_TYPE)
        for name, value in problem.headers.items():
            request.setHeader(name, value)
        return problem.problem.body


class WebSite(Site):
    """The factory of the web door.

    To have it in another Twisted program::

        site = WebSite(registry=registry, accounts=accounts, catalogue=catalogue, recordings=recordings,
                       addresses=Addresses(), clock=reactor, limits=Limits)
        serverFromString(reactor, "tcp:8080").listen(site)

    `limits` is called for each new connection; `http` has the limits that no operator needs to know.
    What developers do is there where `games` and `uploads` are given, and reviews where `reviews` are.
    """

    protocol = LimitedChannel  # type: ignore[assignment]
    noisy = False
    _log = Logger()

    def __init__(
        self,
        *,
        registry: Registry,
        accounts: Accounts,
        catalogue: Catalogue,
        recordings: Recordings,
        addresses: Addresses,
        clock: IReactorTime,
        limits: Callable[[], Limits],
        web: WebSettings | None = None,
        metrics: Any = None,
        presence: Any = None,
        http: HttpLimits | None = None,
        games: DeveloperGames | None = None,
        uploads: Uploads | None = None,
        reviews: Reviews | None = None,
    ) -> None:
        web = web or WebSettings()
        self._clock = clock
        self._limits = limits
        self._http = http or HttpLimits()
        self._metrics = metrics
        self._proxies = TrustedProxies(web.trusted_proxies)
        self._peers = PeerCount(lambda: limits().connections_per_address)
        callers = Callers(addresses, self._proxies)
        turns = Turns(clock)
        self.rounds = Rounds(clock)
        pages = Pages(catalogue, turns)
        surfaces: list[Any] = [
            RoomRoutes(registry=registry, accounts=accounts, pages=pages, clock=clock),
            GameRoutes(catalogue, pages),
        ]
        if reviews is not None:
            surfaces.append(ReviewRoutes(reviews=reviews, accounts=accounts))
        surfaces += [DownloadRoutes(catalogue=catalogue, accounts=accounts, turns=turns, reviews=reviews), AccountRoutes(accounts)]
        if games is not None:
            surfaces += [DeveloperAccountRoutes(accounts), DeveloperRoutes(games=games, accounts=accounts, catalogue=catalogue, pages=pages)]
        if uploads is not None:
            surfaces.append(UploadRoutes(uploads=uploads, accounts=accounts, clock=clock))
        surfaces += [
            PlayRoutes(registry=registry, accounts=accounts, recordings=recordings, turns=turns),
            pages,
            DescriptionRoutes(lambda: self.api.routes),
        ]
        self.api = Api(surfaces, callers=callers, metrics=metrics)
        self.sockets = RoomSocketFactory(
            registry=registry, clock=clock, limits=limits, web=web, addresses=addresses, peers=self._peers, metrics=metrics
        )
        root = _Root(api=self.api, sockets=self.sockets, callers=callers, origins=web.origins)
        super().__init__(root, LimitedRequest, reactor=clock, parsePOSTFormSubmission=False)

    def buildProtocol(self, addr: Any) -> Any:
        limits, address = self._limits(), address_of(addr)
        leave = _nothing if self._proxies.trusts(address) else self._peers.enter(address)
        if leave is None:
            return None
        http = self._http.with_limits(limits)
        self.timeOut = http.header_seconds
        channel: Any = super().buildProtocol(addr)
        channel.limits, channel.leave, channel.ended = http, leave, partial(self._ended, address, self._clock.seconds())
        if self._metrics is not None:
            self._metrics.connection_opened("web")
        return channel

    def socket_for(self, channel: LimitedChannel, address: str) -> Any:
        """A room socket that takes over this channel's connection; None where the address has too many."""
        leave: Callable[[], None] | None = channel.leave
        if self._proxies.trusts(address_of(channel.getPeer())):
            leave = self._peers.enter(address)
            if leave is None:
                return None
        return self.sockets.socket_for(address, leave)

    def stop(self) -> Deferred[None]:
        """The daemon goes down: every room socket is closed with 1001. Fires when they are gone, a few seconds later at most."""
        return self.sockets.go_away()

    def log(self, request: Any) -> None:
        """Nothing: requests are counted, and connections, sessions and what happens to rooms have lines of their own."""

    def startFactory(self) -> None:
        super().startFactory()
        self.sockets.doStart()

    def stopFactory(self) -> None:
        self.sockets.doStop()
        super().stopFactory()

    def _ended(self, address: str, since: float) -> None:
        self._log.info("web connection of {address} ended after {seconds:.1f} s", address=address, seconds=self._clock.seconds() - since)
        if self._metrics is not None:
            self._metrics.connection_closed("web", "done")


def _nothing() -> None:
    pass
