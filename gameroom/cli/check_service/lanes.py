"""Several connections to a micro game service under check, with many updates on their way at a time."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredLock, FirstError, gatherResults

from gameroom.cli.check_service.caller import Caller, Reply
from gameroom.cli.check_service.words import CLOSED
from gameroom.client.stream import ConnectionFailed
from gameroom.wire.game_service import Update

if TYPE_CHECKING:
    from gameroom.cli.check_service.checking import Checking


class Lane:
    """One connection among several, which is made again when it is gone. Several may ask on it."""

    def __init__(self, checking: Checking) -> None:
        self._checking = checking
        self._caller: Caller | None = None
        self._making = DeferredLock()

    async def ask(self, update: Update) -> Reply:
        """What comes of it among others."""
        try:
            caller = await self._connection()
        except ConnectionFailed as error:
            return Reply(seconds=0.0, trouble=CLOSED, said=str(error))
        self._checking.counts.asked += 1
        return await caller.ask(self._checking.numbered(update))

    async def _connection(self) -> Caller:
        await self._making.acquire()
        try:
            if self._caller is None or not self._caller.open:
                self._caller = await self._checking.connect()
            return self._caller
        finally:
            self._making.release()

    def close(self) -> None:
        if self._caller is not None:
            self._caller.close()


async def side_by_side(works: Iterable[Coroutine[Deferred[Any], Any, None]]) -> None:
    """Until all of them are done; what one raises ends all. Cancelling it cancels them."""
    working = gatherResults([Deferred.fromCoroutine(work) for work in works], consumeErrors=True)
    try:
        await working
    except FirstError as error:
        working.cancel()
        error.subFailure.raiseException()
