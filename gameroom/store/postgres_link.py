"""One connection to PostgreSQL, and the transactions on it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import psycopg2
import psycopg2.extensions
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from txpostgres.txpostgres import Connection
from zope.interface import implementer

from gameroom.interfaces import ICursor, Row
from gameroom.store.cursors import TransactionState
from gameroom.store.errors import DatabaseUnavailable, UniqueViolation
from gameroom.store.sql import for_psycopg2

CONNECT_SECONDS = 10.0

# A server that vanished without a word is noticed after some fifteen seconds, in the middle of a query too.
_SETTINGS = {
    "application_name": "gameroom",
    "client_encoding": "UTF8",
    "keepalives_idle": 10,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15000,
}

_KEY = re.compile(r"\((.+?)\)=\(")
_BYTEA, _NUMERIC = 17, 1700
_LOST = {"57P01", "57P02", "57P03"}
"""The server is going down, has crashed, or is not up yet."""


class TryAgain(DatabaseUnavailable):
    """Nothing of the transaction was kept, and it may well go through when it is run again."""


@implementer(ICursor)
class PostgresCursor(TransactionState):
    """One transaction's way to PostgreSQL. `begin` goes out with its first statement, which saves a turn to the server and back."""

    def __init__(self, link: Link, begin: str) -> None:
        super().__init__()
        self._link = link
        self._begin = f"{begin}; "
        """Empty once it was sent."""

    @property
    def begun(self) -> bool:
        """Whether there is anything to commit."""
        return not self._begin

    async def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """See `ICursor`."""
        self.require_open()
        try:
            begin, self._begin = self._begin, ""
            return await self._link.execute(begin + for_psycopg2(sql), _values(params or {}))
        except Exception as error:
            self.failure = error
            raise


class Link(Connection):
    """A connection that knows when it is lost, for good: nobody connects it again.

    `when_lost` is called once then, also where it was idle.
    """

    def __init__(self, reactor: Any, when_lost: Callable[[Link], None]) -> None:
        super().__init__(reactor)
        self._when_lost: Callable[[Link], None] | None = when_lost

    async def open(self, url: str, clock: IReactorTime, statement_seconds: float) -> None:
        """Connect. Raises `DatabaseUnavailable`, also when it takes over ten seconds."""
        deadline = clock.callLater(CONNECT_SECONDS, self.abandon)
        try:
            await self.connect(url, **_SETTINGS)
            psycopg2.extensions.register_type(_bytes_type, self.pollable())
            psycopg2.extensions.register_type(_number_type, self.pollable())
            milliseconds = int(statement_seconds * 1000)
            await self.execute(f"SET statement_timeout = {milliseconds}; SET idle_in_transaction_session_timeout = {milliseconds}", {})
            await self.execute("SET bytea_output = 'hex'", {})
        except (psycopg2.Error, ConnectionClosed, DatabaseUnavailable, ValueError) as error:
            # ValueError: the reactor was given the socket of a connection that was lost in the moment when it was made.
            self.lose()
            reason = f"no answer within {CONNECT_SECONDS:g} s" if isinstance(error, ConnectionClosed) else _first_line(error)
            raise DatabaseUnavailable(f"cannot connect to PostgreSQL: {reason}; check the URL, and that the server runs and lets us in") from error
        finally:
            if deadline.active():
                deadline.cancel()

    async def execute(self, sql: str, params: Mapping[str, Any]) -> list[Row]:
        """Run one statement; what goes wrong is raised in words of ours, or as it is where it is the program's fault."""
        try:
            raw = self.cursor()
            await raw.execute(sql, params)
            rows: list[Row] = [] if raw.description is None else raw.fetchall()
        except CancelledError as error:
            # What txpostgres makes of the server's "canceling statement due to statement timeout".
            raise DatabaseUnavailable("a statement took too long and was ended; look at the database server's load") from error
        except ConnectionClosed as error:
            raise _lost(error) from error
        except psycopg2.Error as error:
            raise _explained(error) from error
        return rows

    async def transact(self, begin: str, work: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Any:
        """Run a transaction that starts with the statement `begin`."""
        cursor = PostgresCursor(self, begin)
        try:
            result = await work(cursor, *args)
            if cursor.failure is not None:
                raise cursor.failure
        except Exception:
            cursor.end()
            await self._roll_back()
            raise
        cursor.end()
        if not cursor.begun:
            return result
        try:
            await self.execute("COMMIT", {})
        except Lost as error:
            self.lose()
            raise DatabaseUnavailable("the database was lost while a transaction was committed; look whether it is there") from error
        except Exception:
            await self._roll_back()
            raise
        return result

    async def _roll_back(self) -> None:
        """Make the connection fit for the next transaction, or give it up."""
        try:
            await self.execute("ROLLBACK", {})
        except Exception:
            self.lose()

    @property
    def alive(self) -> bool:
        return self._when_lost is not None

    def abandon(self) -> None:
        """Give up connecting, where that is still waited for."""
        # Once the answer is there txpostgres tells of it in the next turn of the reactor, and a socket that was closed until then would
        # be given to the reactor all the same.
        if self._pollingD is not None:
            self.lose()

    def lose(self) -> None:
        """Close it, and tell."""
        told, self._when_lost = self._when_lost, None
        if self.pollable() is not None:
            self.close()
        if told is not None:
            told(self)

    # libpq closes its socket when it finds the server gone, and psycopg2 calls the connection open all the same until
    # something is asked of it. So it is looked at before the reactor is given a socket that is none.

    def doRead(self) -> None:
        """What arrives while it connects or is idle: the server's answer, a notification, or the end."""
        self.reactor.removeReader(self)
        try:
            self.continuePolling()
        except psycopg2.Error:
            self.lose()
            return
        if self.fileno() < 0:
            self.lose()
            return
        self.checkForNotifies()
        self.reactor.addReader(self)

    def cursorFinished(self, cursor: Any) -> None:
        """A query has its answer, or its error."""
        if self.fileno() < 0:
            self._cursors.discard(cursor)
        else:
            super().cursorFinished(cursor)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor found the socket closed, or `close` was called."""
        super().connectionLost(reason)
        if self.alive:
            self.lose()


class Lost(TryAgain):
    """The connection is gone."""


def _lost(error: BaseException) -> Lost:
    return Lost(f"the connection to PostgreSQL was lost ({_first_line(error)}); it is taken up again by itself")


def _explained(error: psycopg2.Error) -> Exception:
    code = error.pgcode
    if isinstance(error, psycopg2.errors.UniqueViolation):
        columns = _KEY.search(error.diag.message_detail or "")
        return UniqueViolation(error.diag.table_name or "", tuple(columns[1].split(", ")) if columns else ())
    if isinstance(error, psycopg2.extensions.TransactionRollbackError):
        return TryAgain("the database was too busy with others' changes of the same things; try again")
    if isinstance(error, psycopg2.InterfaceError) or (isinstance(error, psycopg2.DatabaseError) and _is_lost(error)):
        return _lost(error)
    if isinstance(error, psycopg2.OperationalError) or code == "25006":
        return DatabaseUnavailable(f"PostgreSQL cannot do its work: {_first_line(error)}; look at the server")
    fault_of_ours: Exception = error
    return fault_of_ours


def _is_lost(error: psycopg2.DatabaseError) -> bool:
    code = error.pgcode
    if code is None:
        # The client library's own: the server's errors have codes. DatabaseError itself is what comes of a result that broke off.
        return type(error) in (psycopg2.OperationalError, psycopg2.DatabaseError)
    return code in _LOST or code.startswith("08")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _values(params: Mapping[str, Any]) -> dict[str, Any]:
    """Flags are INTEGER columns, so that both databases have them."""
    return {name: int(value) if value is True or value is False else value for name, value in params.items()}


def _read_bytes(value: str | None, _cursor: Any) -> bytes | None:
    return None if value is None else bytes.fromhex(value.removeprefix("\\x"))


def _read_number(value: str | None, _cursor: Any) -> int | float | None:
    """What SUM and AVG give, as SQLite gives it."""
    if value is None:
        return None
    return int(value) if value.lstrip("-").isdigit() else float(value)


_bytes_type = psycopg2.extensions.new_type((_BYTEA,), "BYTES", _read_bytes)
_number_type = psycopg2.extensions.new_type((_NUMERIC,), "NUMBER", _read_number)
