"""The connections to PostgreSQL that live, and those who wait for one.

A connection that is lost leaves the pool at once; a new one takes its place as soon as the server lets it.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import Logger

from gameroom.store.errors import DatabaseUnavailable
from gameroom.store.postgres_link import Link

LONGEST_PAUSE = 5.0
"""Between two tries to connect, in seconds."""


class Pool:
    """Up to `size` connections, each for one user at a time. Whoever takes one gives it back."""

    _log = Logger()

    def __init__(self, url: str, *, reactor: Any, size: int, statement_seconds: float) -> None:
        self._url = url
        self._reactor = reactor
        self._size = size
        self._statement_seconds = statement_seconds
        self._closed = False
        self._links: set[Link] = set()
        self._idle: deque[Link] = deque()
        self._waiting: deque[Deferred[Link]] = deque()
        self._connecting: set[Link] = set()
        self._pauses: set[Deferred[None]] = set()
        self._replacing: set[Deferred[None]] = set()

    async def open(self) -> None:
        """Open the first connection. Raises `DatabaseUnavailable`."""
        self._welcome(await self._connect())

    def fill(self) -> None:
        """Open the others, in the background."""
        for _ in range(self._size - 1):
            self._replace()

    async def take(self, wait: float) -> Link:
        """A connection that lives. Raises `DatabaseUnavailable` where none is free within `wait` seconds."""
        if self._idle:
            return self._idle.popleft()
        free: Deferred[Link] = Deferred()
        self._waiting.append(free)
        deadline = self._reactor.callLater(wait, self._give_up, free, wait)
        try:
            return await free
        finally:
            if deadline.active():
                deadline.cancel()

    def give(self, link: Link) -> None:
        """A connection is free again; a lost one is given to nobody."""
        if not link.alive:
            return
        if self._waiting:
            self._waiting.popleft().callback(link)
        else:
            self._idle.append(link)

    async def close(self) -> None:
        """Close all of them. Nobody may be using one, or waiting for it."""
        self._closed = True
        for link in list(self._links):
            link.lose()
        for link in list(self._connecting):
            link.abandon()
        for pause in list(self._pauses):
            pause.cancel()
        await DeferredList(list(self._replacing))

    def _give_up(self, free: Deferred[Link], wait: float) -> None:
        self._waiting.remove(free)
        why = f"all {len(self._links)} connections to PostgreSQL were busy" if self._links else "PostgreSQL could not be reached"
        free.errback(DatabaseUnavailable(f"{why} for {wait:g} s; try again, and look at the database server"))

    async def _connect(self) -> Link:
        link = Link(self._reactor, self._lost)
        self._connecting.add(link)
        try:
            await link.open(self._url, self._reactor, self._statement_seconds)
        finally:
            self._connecting.discard(link)
        return link

    def _welcome(self, link: Link) -> None:
        self._links.add(link)
        if self._closed:
            link.lose()
        else:
            self.give(link)

    def _lost(self, link: Link) -> None:
        if link not in self._links:
            # It never came to be open.
            return
        self._links.discard(link)
        if link in self._idle:
            self._idle.remove(link)
        if not self._closed:
            self._log.warn("a connection to PostgreSQL was lost; connecting again")
            self._replace()

    def _replace(self) -> None:
        replaced = Deferred.fromCoroutine(self._connect_again())
        self._replacing.add(replaced)
        replaced.addErrback(lambda failure: self._log.failure("connecting to PostgreSQL went wrong", failure))
        replaced.addCallback(lambda _: self._replacing.discard(replaced))

    async def _connect_again(self) -> None:
        """Connect, however long the server takes to come back."""
        seconds = 0.1
        while not self._closed:
            try:
                link = await self._connect()
            except DatabaseUnavailable as error:
                await self._pause(seconds, error.message)
                seconds = min(2 * seconds, LONGEST_PAUSE)
            else:
                self._welcome(link)
                return

    async def _pause(self, seconds: float, reason: str) -> None:
        """Wait before the next try, but not where there will be none."""
        if self._closed:
            return
        self._log.warn("{reason}", reason=reason)
        pause: Deferred[None] = deferLater(self._reactor, seconds)
        self._pauses.add(pause)
        try:
            await pause
        except CancelledError:
            pass
        finally:
            self._pauses.discard(pause)
