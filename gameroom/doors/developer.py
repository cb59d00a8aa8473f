"""The developer door: JSON lines for those who make games, and their programs (docs/protocol/developer.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from gameroom.doors.developer_conversation import developer_desk
from gameroom.doors.line_conversation import LineConversation, new_incident
from gameroom.doors.line_protocol import LineFactory
from gameroom.doors.upload_conversation import UploadConversation
from gameroom.settings import Limits

if TYPE_CHECKING:
    from gameroom.accounts import Accounts
    from gameroom.developer_games import DeveloperGames
    from gameroom.metrics import Metrics
    from gameroom.uploads import Uploads


class DeveloperFactory(LineFactory):
    """The developer door, as an `IProtocolFactory` for any stream endpoint.

    In a Twisted program of your own, beside the accounts, games and uploads that it stands on:

    >>> door = DeveloperFactory(accounts=accounts, games=games, uploads=uploads, clock=reactor, limits=Limits)
    >>> serverFromString(reactor, "tcp:7001").listen(door)
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        games: DeveloperGames,
        uploads: Uploads,
        clock: IReactorTime,
        limits: Callable[[], Limits],
        metrics: Metrics | None = None,
        new_incident: Callable[[], str] = new_incident,
    ) -> None:
        desk = developer_desk(accounts=accounts, games=games, uploads=uploads, limits=limits, metrics=metrics, new_incident=new_incident)

        def converse(address: str, push: Callable[[bytes], None], catch_up: Callable[[Callable[[], bytes | None]], None]) -> LineConversation:
            return UploadConversation(desk, address, push, uploads)

        super().__init__(door="developer", converse=converse, clock=clock, limits=limits, metrics=metrics)
