"""The downloads of one connection of a JSON-lines door: chunks at the reader's pace, and everything else between them.

Theory. A chunk is read, and goes to the transport, when the connection has nothing else to send, the transport has room, and it is
this connection's turn among all that download. So what waits in memory is what the transport has taken, which pauses us past 64 KiB;
answers and pushes stand behind that much and no more; and who plays waits for a few pieces in each round of the reactor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gameroom.doors.line_conversation import Call
from gameroom.doors.turns import AT_ONCE, PIECE, Turns
from gameroom.errors import BadState, Forbidden, GameroomError, ServerError
from gameroom.rules.sessions import Session
from gameroom.wire import downloads as wire

if TYPE_CHECKING:
    from gameroom.accounts import Accounts
    from gameroom.doors.line_requests import LineRequests
    from gameroom.doors.outbox import Outbox
    from gameroom.downloads import Download, Downloads

MOST_AT_A_TIME = 4
"""Downloads of one connection."""


@attrs.frozen(kw_only=True)
class DownloadDesk:
    """What the downloads of all connections share."""

    downloads: Downloads
    accounts: Accounts
    turns: Turns
    new_incident: Callable[[], str]


@attrs.define(eq=False)
class _UnderWay:
    """A download of this connection, and the session that asked for it."""

    download: Download
    session: Session
    token: str | None


class LineDownloads:
    """The downloads of one connection."""

    _log = Logger()

    def __init__(self, desk: DownloadDesk, outbox: Outbox, requests: LineRequests) -> None:
        self._desk = desk
        self._outbox = outbox
        self._requests = requests
        self._under_way: dict[str, _UnderWay] = {}
        self._next: deque[_UnderWay] = deque()
        """Those that have something left, whose turn it is first."""
        self._asked = False

    @property
    def busy(self) -> bool:
        """Whether any is under way."""
        return bool(self._under_way)

    async def begin(self, call: Call) -> dict[str, Any]:
        """DOWNLOAD_BEGIN. The first chunk comes later, and so after the answer."""
        payload = call.payload
        assert call.session is not None
        download = await self._desk.downloads.begin(
            call.account, payload["game_id"], payload.get("version"), payload.get("chunk_size"), payload.get("from_seq", 0)
        )
        try:
            await self._require_room(call, call.session)
        except GameroomError:
            download.close()
            raise
        under_way = self._under_way[download.download_id] = _UnderWay(download, call.session, call.token)
        self._next.append(under_way)
        self.go_on()
        return {
            "download_id": download.download_id,
            "version": download.stored.version,
            "size_bytes": download.stored.size_bytes,
            "chunk_size": download.chunk_size,
        }

    async def _require_room(self, call: Call, session: Session) -> None:
        if not call.peer.is_present(session):
            # It has ended while the file was looked for.
            await self._desk.accounts.identify(call.token, session.account.role)
            raise BadState("this session has ended; log in again")
        if len(self._under_way) >= MOST_AT_A_TIME:
            raise BadState(f"{MOST_AT_A_TIME} downloads at a time on one connection; wait for the end of one, or DOWNLOAD_CANCEL it")

    def cancel(self, call: Call) -> None:
        """DOWNLOAD_CANCEL: nothing of it comes after the answer. Raises `BadState` or `Forbidden`."""
        under_way = self._under_way.get(call.payload["download_id"])
        if under_way is None:
            raise BadState("there is no such download on this connection; perhaps it has come to its end")
        if under_way.session.account != call.account:
            raise Forbidden("this download is somebody else's")
        self._drop(under_way)

    def go_on(self) -> None:
        """The reader may have room for more: ask for a turn."""
        if self._next and not self._asked and self._outbox.ready:
            self._asked = True
            self._desk.turns.ask(self._turn, _cost(self._next[0].download))

    def session_ended(self, session: Session) -> None:
        """Its downloads stop, each with what a request with its token is answered from now on."""
        for under_way in tuple(self._under_way.values()):
            if under_way.session.token_hash == session.token_hash:
                self._halt(under_way)
                Deferred.fromCoroutine(self._tell_why(under_way))

    def stop(self, problem: GameroomError) -> None:
        """Each of them ends with this."""
        for under_way in tuple(self._under_way.values()):
            self._fail(under_way, problem)

    def lost(self) -> None:
        """The connection is gone."""
        for under_way in tuple(self._under_way.values()):
            self._drop(under_way)

    def _turn(self) -> None:
        self._asked = False
        if not self._next or not self._outbox.ready:
            return
        under_way = self._next.popleft()
        download = under_way.download
        try:
            lines = download.more()
        except Exception:
            self._broken(under_way)
        else:
            if lines:
                self._outbox.write(lines)
            if download.next_bytes:
                self._next.append(under_way)
            else:
                self._desk.downloads.finished(download).addCallback(self._finished, under_way)
        self.go_on()

    def _finished(self, result: None, under_way: _UnderWay) -> None:
        self._drop(under_way, under_way.download.end())

    def _broken(self, under_way: _UnderWay) -> None:
        incident = self._desk.new_incident()
        stored = under_way.download.stored
        self._log.failure(
            "incident {incident}: {path} of game {game_id} could not be read on", incident=incident, path=stored.path, game_id=stored.game_id
        )
        message = f"this file cannot be read here; tell whoever runs this server of incident {incident}, and try again later"
        self._fail(under_way, ServerError(message, incident=incident))

    async def _tell_why(self, under_way: _UnderWay) -> None:
        problem: GameroomError = BadState("this session has ended; log in again")
        try:
            await self._desk.accounts.identify(under_way.token, under_way.session.account.role)
        except GameroomError as error:
            problem = error
        except Exception:
            self._log.failure("why a session has ended could not be found out")
        self._fail(under_way, problem)

    def _fail(self, under_way: _UnderWay, problem: GameroomError) -> None:
        self._drop(under_way, wire.error(under_way.download.download_id, problem))

    def _halt(self, under_way: _UnderWay) -> None:
        """Nothing more of the file is sent."""
        under_way.download.close()
        if under_way in self._next:
            self._next.remove(under_way)

    def _drop(self, under_way: _UnderWay, last: bytes = b"") -> None:
        """It is over, unless it was already; `last` is the last that is said of it."""
        if self._under_way.pop(under_way.download.download_id, None) is None:
            return
        self._halt(under_way)
        if last:
            self._requests.flush()
            self._outbox.send_patiently(last)
        if not self._under_way:
            # Who has half-closed the connection waited for this alone.
            self._requests.go_on()


def _cost(download: Download) -> int:
    return max(1, min(AT_ONCE, -(-download.next_bytes // PIECE)))
