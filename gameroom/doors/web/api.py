"""Serves declared routes: klein finds the route, its declaration reads the request, a method answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any
from uuid import uuid4

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import RequestRedirect

from gameroom.doors.web.callers import Callers
from gameroom.doors.web.calls import Answer, Call, bearer, read_body, wants_page
from gameroom.doors.web.declare import Route
from gameroom.doors.web.problems import MEDIA_TYPE, HttpProblem, Problem, phrase, problem_of
from gameroom.errors import GameroomError, InvalidRequest, ServerError

Handler = Callable[[Call], Coroutine[Deferred[Any], Any, Answer]]


class Api:
    """The routes of the web door.

    `surfaces` are objects with `routes` and a method for each of them. `callers` says who calls, and by which URL.
    """

    _log = Logger()

    def __init__(
        self,
        surfaces: Iterable[Any],
        *,
        callers: Callers,
        metrics: Any = None,
    ) -> None:
        self._callers = callers
        self._metrics = metrics
        self._app = Klein()
        self.routes: list[Route] = []
        for surface in surfaces:
            for route in surface.routes:
                self._add(route, getattr(surface, route.handler))
        self._app.handle_errors(HTTPException)(self._unrouted)  # type: ignore[arg-type]

    def resource(self) -> IResource:
        return self._app.resource()

    def methods_of(self, path: str) -> list[str]:
        """The methods that a path takes, for a preflight's answer."""
        adapter = self._app.url_map.bind("")
        try:
            return sorted(adapter.allowed_methods(path))
        except HTTPException:
            return []

    def _add(self, route: Route, handler: Handler) -> None:
        self.routes.append(route)

        def serve(request: Request, **path: str) -> Deferred[IResource | None]:
            # klein cancels what it waits for when the peer goes away, but a deed that has begun is carried out whole.
            done: Deferred[IResource | None] = Deferred()
            Deferred.fromCoroutine(self._serve(route, handler, request, path)).chainDeferred(done)
            return done

        self._app.route(route.path, methods=list(route.methods), endpoint=route.name)(serve)

    async def _serve(self, route: Route, handler: Handler, request: Request, path: dict[str, str]) -> IResource | None:
        code, resource = 0, None
        try:
            answer = await handler(self._read(route, request, path))
            resource = answer.resource
            self._write(request, answer, page=route.page)
        except GameroomError as error:
            code = error.code
            self._write_problem(request, problem_of(error), page=route.page)
        except HttpProblem as error:
            code = 100
            self._write_problem(request, error.problem, page=route.page)
        except Exception:
            code = ServerError.code
            self._write_problem(request, self._incident(route.name, Failure()), page=route.page)
        if self._metrics is not None:
            self._metrics.request("web", route.name, code)
        return None if _is_gone(request) else resource

    def _read(self, route: Route, request: Request, path: dict[str, str]) -> Call:
        if any("\0" in value for value in path.values()):
            raise HttpProblem(404, "there is nothing here")
        return Call(
            request=request,
            address=self._callers.address(request),
            base=self._callers.base(request),
            hosts=self._callers.hosts(request),
            path=path,
            query=route.read_query(request.args),
            body=read_body(route, request),
            token=None if route.auth == "none" else bearer(request),
        )

    def _incident(self, name: str, failure: Failure) -> Problem:
        incident = str(uuid4())
        self._log.failure("{route} failed, incident {incident}", failure, route=name, incident=incident)
        return problem_of(ServerError(incident=incident))

    def _unrouted(self, request: Request, failure: Failure) -> None:
        """What klein finds no route for."""
        error = failure.value
        if isinstance(error, RequestRedirect):
            # Only its path: its host is what the peer said.
            path = "/" + error.new_url.split("://", 1)[-1].partition("/")[2].lstrip("/")
            self._write(request, Answer(status=308, headers={"Location": path}))
            return
        if isinstance(error, MethodNotAllowed):
            allowed = ", ".join(sorted(error.valid_methods or ()))
            problem = HttpProblem(405, f"this takes {allowed}", {"Allow": allowed}).problem
        elif isinstance(error, NotFound):
            problem = HttpProblem(404, "there is nothing here; /openapi.json says what there is").problem
        else:
            problem = problem_of(InvalidRequest("this request makes no sense here"))
        self._write_problem(request, problem, page=True)

    def _write_problem(self, request: Request, problem: Problem, *, page: bool = False) -> None:
        if page and request.method in (b"GET", b"HEAD") and wants_page(request):
            answer = Answer(status=problem.status, data=problem.page(), media_type="text/html; charset=utf-8", headers=problem.headers)
        else:
            answer = Answer(status=problem.status, data=problem.body, media_type=MEDIA_TYPE, headers=problem.headers)
        self._write(request, answer, page=page)

    def _write(self, request: Request, answer: Answer, *, page: bool = False) -> None:
        """Begin the answer; klein ends it, but for a resource, which does so by itself."""
        request.setResponseCode(answer.status, phrase(answer.status))
        if page:
            vary = [*(request.responseHeaders.getRawHeaders("Vary") or []), "Accept"]
            request.responseHeaders.setRawHeaders("Vary", [", ".join(vary)])
        if not request.responseHeaders.hasHeader("Cache-Control"):
            request.setHeader("Cache-Control", "no-store")
        for name, value in answer.headers.items():
            request.setHeader(name, value)
        if answer.resource is not None:
            return
        body = answer.body
        if answer.status not in (204, 304):
            request.setHeader("Content-Length", str(len(body)))
            if body:
                request.setHeader("Content-Type", answer.media_type)
        if body:
            request.write(body)


def _is_gone(request: Request) -> bool:
    """Whether the peer has not waited for its answer."""
    return getattr(request, "channel", None) is None
