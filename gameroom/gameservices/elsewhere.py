"""A micro game service that runs elsewhere, at an endpoint that the operator allows (docs/protocol/game-service.md)."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.logger import Logger

from gameroom.deferring import deferring
from gameroom.errors import BadState
from gameroom.gameservers.values import one_line

UNREACHED = "the game's service cannot be reached"


class ServiceElsewhere:
    """A service that somebody else runs, as one that can be connected to."""

    _log = Logger()

    def __init__(self, endpoint: str, *, reactor: Any) -> None:
        """`endpoint` is Twisted's string for it."""
        self._at, self._reactor = endpoint, reactor
        self._endpoint: IStreamClientEndpoint | None = None
        self.problem = ""
        """Why it cannot be reached just now: a sentence for a person."""

    @property
    def running(self) -> bool:
        """Whether it can be tried; whether it runs is nobody's concern here."""
        return self._endpoint is not None

    def start(self) -> None:
        """Raises `BadState` where it cannot even be tried, as with a folder of certificates that is not there any more."""
        if self._endpoint is not None:
            return
        try:
            self._endpoint = clientFromString(self._reactor, self._at)
        except Exception as error:  # each plugin of Twisted's raises what it likes
            self._log.error("service {endpoint} cannot be connected to: {why}", endpoint=self._at, why=_words(error))
            raise BadState(f"{UNREACHED} from this server; ask whoever runs it") from error

    @deferring
    async def connect(self, factory: IProtocolFactory) -> IProtocol:
        """Fires with a protocol of the factory's that is connected with it. Fails as endpoints do. May be cancelled."""
        assert self._endpoint is not None
        try:
            protocol: IProtocol = await self._endpoint.connect(factory)
        except (CancelledError, ConnectingCancelledError):
            raise
        except Exception as error:
            self._unreached(_words(error))
            raise
        return protocol

    def answered(self) -> None:
        """It has answered, so that nothing is wrong with it."""
        self.problem = ""

    def end(self, patience: float = 0.0) -> Deferred[None]:
        """It is called no more."""
        return succeed(None)

    def _unreached(self, why: str) -> None:
        """Logged once, until it has answered again."""
        if not self.problem:
            self._log.warn("service {endpoint} cannot be reached: {why}", endpoint=self._at, why=why)
        self.problem = UNREACHED


def _words(error: Exception) -> str:
    return one_line(str(error) or type(error).__name__)
