"""What a peer of a JSON-lines door may say, and what it is answered (docs/protocol/lobby.md, "Lines").

Transport-free: a line comes in, its answer goes out, and pushes go through a callable.
The lobby and whatever other door speaks JSON lines each give it their table of commands and what carries them out.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gameroom.errors import GameroomError, InvalidRequest, ServerError, Unauthorized
from gameroom.rules.sessions import Account, Session
from gameroom.settings import Limits
from gameroom.wire import lines
from gameroom.wire.commands import CommandTable, Request

if TYPE_CHECKING:
    from gameroom.accounts import Accounts
    from gameroom.doors.line_requests import LineRequests
    from gameroom.doors.outbox import Outbox
    from gameroom.metrics import Metrics

Answer = dict[str, Any] | None
Handler = Callable[["Call"], "Answer | bytes | Awaitable[Answer]"]
"""Carries out one command: gives the ok payload, None for an empty one, or something to await for either.

Where the answer is kept ready it gives the whole line, as `gameroom.wire.lines.ok` makes it.
"""


SHORT = 256
"""Bytes of a line that is remembered: a session token and what stands around it."""


def new_incident() -> str:
    """What finds an error of ours in the log."""
    return secrets.token_hex(8)


@attrs.frozen(kw_only=True)
class Desk:
    """What all conversations of one door share."""

    door: str
    """Its name, for logs and metrics."""
    role: str
    """Whose tokens are good here: `player` or `developer`."""
    table: CommandTable
    handlers: Mapping[str, Handler]
    """By type: just the table's."""
    accounts: Accounts
    limits: Callable[[], Limits]
    arrive: Callable[[Account], Callable[[], None]]
    """An account has come to this door; what it gives is called when it has gone."""
    metrics: Metrics | None = None
    new_incident: Callable[[], str] = new_incident
    carried_out: Counter[str] = attrs.field(init=False, eq=False, repr=False)
    """How many requests were answered with code 0, by type."""

    def __attrs_post_init__(self) -> None:
        if self.handlers.keys() != self.table.commands.keys():
            odd = sorted(self.handlers.keys() ^ self.table.commands.keys())
            raise ValueError(f"commands that are only declared, or only carried out: {odd}")
        counted = Counter[str]() if self.metrics is None else self.metrics.carried_out(self.door)
        object.__setattr__(self, "carried_out", counted)


@attrs.define
class Call:
    """One request on its way to what carries it out; `payload` is as the table wants it."""

    peer: LineConversation
    session: Session | None
    token: str | None
    payload: dict[str, Any]

    @property
    def account(self) -> Account:
        """Who asks; only for commands that need a token."""
        assert self.session is not None
        return self.session.account


class LineConversation:
    """One peer.

    Its requests are to be given one after another: the next once the former has its answer.
    When `closing` says something after an answer, that answer was the last and the connection ends.
    """

    _log = Logger()

    def __init__(self, desk: Desk, address: str, push: Callable[[bytes], None]) -> None:
        self.desk = desk
        self.address = address
        """The peer's host, for limits that count by address."""
        self.push = push
        """Sends a line that nobody asked for."""
        self.closing = ""
        """Why this connection is to end once its last answer was given; empty while it goes on."""
        self.proved = False
        """Whether a valid token was used here, once."""
        limits = desk.limits()
        self.longest_line = min(limits.line_bytes, limits.unauthenticated_bytes)
        """In bytes; until a token was good a stranger may not make us keep much."""
        self.gone = False
        self._misses = 0
        self._same_line = b""
        self._same: tuple[Request, Call] | None = None
        """What this peer has asked last, and how it said so, where that is short and has no payload."""
        self._present: dict[str, tuple[Callable[[], None], ...]] = {}

    @property
    def streaming(self) -> bool:
        """Whether a file is being sent at the reader's pace: requests are carried out between its chunks."""
        return False

    def attach(self, outbox: Outbox, requests: LineRequests) -> None:
        """Told once, before the first request, what carries it."""

    def reader_has_room(self) -> None:
        """The reader has taken what it was sent."""

    def ending(self) -> None:
        """No further request is carried out, and what is still said now is the last."""

    def is_present(self, session: Session) -> bool:
        """Whether a token of this session was good here, and the session has not ended."""
        return session.token_hash in self._present

    def answer(self, line: bytes) -> bytes | Deferred[bytes]:
        """Carry out the request in `line`: its answer as a line, or a Deferred of it, which never fails.

        What can be said at once is said at once; a Deferred comes only where something has to be waited for.
        """
        kind = "unreadable"
        try:
            if line == self._same_line and self._same is not None:
                # Who polls says the same again and again: that is read once.
                request, call = self._same
            else:
                request, call = self.desk.table.request(lines.decode(line)), None
            command = request.command
            kind, session = command.type, None
            if command.token:
                session = self.desk.accounts.identify_now(request.token, self.desk.role)
                if session is None:
                    return self._settle(self._carry_out(request))
                self.adopt(session)
            if call is None or call.session is not session:
                call = self._call(request, session)
                if not call.payload and len(line) <= SHORT and not self.gone:
                    self._same_line, self._same = line, (request, call)
            result: Any = self.desk.handlers[kind](call)
            if result is None or type(result) is dict or type(result) is bytes:
                self.desk.carried_out[kind] += 1
                return result if isinstance(result, bytes) else lines.ok(result)
            return self._settle(self._finish(kind, result))
        except Exception as error:
            return self._refused(kind, error)

    def too_long(self, error: lines.LineTooLong) -> bytes:
        """The answer to a line over the limit: the last one."""
        self.closing = "line too long"
        return self._refused("unreadable", error)

    def adopt(self, session: Session) -> None:
        """A token of this session was good here: from now on the account is present, until the session or we end."""
        if session.token_hash in self._present or self.gone:
            return
        if not self.proved:
            self.proved, self.longest_line = True, self.desk.limits().line_bytes
        leave = self.desk.arrive(session.account)
        stop = self.desk.accounts.watch_end(session, lambda: self.session_ended(session))
        self._present[session.token_hash] = (stop, leave)

    def session_ended(self, session: Session) -> None:
        """It was logged out of, superseded or suspended."""
        self._leave(session.token_hash)

    def lost(self) -> None:
        """The connection is gone. What was begun is carried to its end, but nothing more is said."""
        self.gone = True
        self._same = None
        for token_hash in tuple(self._present):
            self._leave(token_hash)

    def _leave(self, token_hash: str) -> None:
        for leave in self._present.pop(token_hash, ()):
            leave()

    def _call(self, request: Request, session: Session | None) -> Call:
        """What is to be carried out; raises `InvalidRequest` for a payload that the command does not take."""
        return Call(self, session, request.token, request.command.check(request.payload))

    async def _carry_out(self, request: Request) -> bytes:
        """As `answer` does, for a token that has to be looked up first."""
        kind = request.command.type
        try:
            session = await self.desk.accounts.identify(request.token, self.desk.role)
            self.adopt(session)
            result: Any = self.desk.handlers[kind](self._call(request, session))
            if result is not None and type(result) not in (dict, bytes):
                result = await result
            return self._done(kind, result if type(result) is bytes else lines.ok(result))
        except Exception as error:
            return self._refused(kind, error)

    async def _finish(self, kind: str, result: Awaitable[Answer]) -> bytes:
        try:
            return self._done(kind, lines.ok(await result))
        except Exception as error:
            return self._refused(kind, error)

    def _settle(self, work: Coroutine[Deferred[Any], Any, bytes]) -> bytes | Deferred[bytes]:
        """Run `work` as far as it goes; a Deferred only where it has to wait."""
        deferred = Deferred.fromCoroutine(work)
        if not deferred.called:
            return deferred
        at_once: list[bytes] = []
        deferred.addCallback(at_once.append)
        return at_once[0]

    def _done(self, kind: str, answer: bytes) -> bytes:
        self.desk.carried_out[kind] += 1
        return answer

    def _refused(self, kind: str, error: Exception) -> bytes:
        """The answer to a request that failed, whatever it was that failed."""
        problem = error if isinstance(error, GameroomError) else self._incident(kind, error)
        if isinstance(problem, Unauthorized) and not self.proved:
            self._misses += 1
            if self._misses >= self.desk.limits().unauthenticated_tries:
                self.closing = "unauthorized"
        if self.desk.metrics is not None:
            self.desk.metrics.request(self.desk.door, kind, problem.code)
        return lines.error(problem)

    def _incident(self, kind: str, error: Exception) -> GameroomError:
        if isinstance(error, TypeError) and str(error) == "Recursion limit reached":
            # What JSON can read it cannot always write: it reads deeper than it writes.
            return InvalidRequest("this request is nested too deeply")
        incident = self.desk.new_incident()
        self._log.failure("incident {incident}: {kind} failed at the {door} door", incident=incident, kind=kind, door=self.desk.door)
        return ServerError(incident=incident)
