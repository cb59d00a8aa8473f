"""The lobby door: JSON lines for players' clients and for people with telnet (docs/protocol/lobby.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IReactorTime

from gameroom.doors.line_conversation import new_incident
from gameroom.doors.line_downloads import DownloadDesk
from gameroom.doors.line_protocol import LineFactory
from gameroom.doors.lobby_conversation import LobbyConversation, lobby_desk
from gameroom.doors.lobby_pushes import News
from gameroom.doors.turns import Turns
from gameroom.settings import Limits

if TYPE_CHECKING:
    from gameroom.accounts import Accounts
    from gameroom.catalogue import Catalogue
    from gameroom.downloads import Downloads
    from gameroom.metrics import Metrics
    from gameroom.presence import Presence
    from gameroom.registry import Registry
    from gameroom.reviews import Reviews


class LobbyFactory(LineFactory):
    """The lobby, as an `IProtocolFactory` for any stream endpoint.

    In a Twisted program of your own, beside a registry and what it stands on:

    >>> lobby = LobbyFactory(registry=registry, accounts=accounts, catalogue=catalogue, reviews=reviews, downloads=downloads,
    ...                      presence=presence, clock=reactor, limits=Limits)
    >>> serverFromString(reactor, "tcp:7000").listen(lobby)
    """

    def __init__(
        self,
        *,
        registry: Registry,
        accounts: Accounts,
        catalogue: Catalogue,
        reviews: Reviews,
        downloads: Downloads,
        presence: Presence,
        clock: IReactorTime,
        limits: Callable[[], Limits],
        metrics: Metrics | None = None,
        new_incident: Callable[[], str] = new_incident,
    ) -> None:
        news = News(registry=registry, presence=presence, clock=clock, limits=limits)
        desk = lobby_desk(
            news=news,
            accounts=accounts,
            catalogue=catalogue,
            reviews=reviews,
            presence=presence,
            limits=limits,
            metrics=metrics,
            new_incident=new_incident,
        )

        download_desk = DownloadDesk(downloads=downloads, accounts=accounts, turns=Turns(clock), new_incident=new_incident)

        def converse(address: str, push: Callable[[bytes], None], catch_up: Callable[[Callable[[], bytes | None]], None]) -> LobbyConversation:
            return LobbyConversation(desk, news, address, push, catch_up, downloads=download_desk)

        super().__init__(door="lobby", converse=converse, clock=clock, limits=limits, metrics=metrics)
