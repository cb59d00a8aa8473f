"""Who is here: accounts with a living connection, at whichever door (lobby.md LIST_PLAYERS, PLAYER_PRESENCE)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

C = TypeVar("C", bound=Callable[..., object])

WINDOW = 1.0
"""Seconds in which changes are gathered."""

LOBBY = "lobby"


@attrs.define(eq=False)
class _Here:
    username: str
    doors: Counter[str] = attrs.field(factory=Counter)


class Presence:
    """Counts the connections of each account.

    >>> leave = presence.arrive(session.account.key, session.account.username, "lobby")
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._here: dict[str, _Here] = {}
        self._sorted: list[str] | None = None
        self._before: dict[str, str | None] = {}
        """By account: its username when this window began, None for who was not here."""
        self._window: IDelayedCall | None = None
        self._watchers: dict[object, Callable[[list[str], list[str]], object]] = {}
        self._lobby_watchers: dict[object, Callable[[str], object]] = {}

    def arrive(self, account_key: str, username: str, door: str) -> Callable[[], None]:
        """A connection of the account is there; gives what to call, once or more often, when it is gone."""
        here = self._here.get(account_key)
        if here is None:
            self._note(account_key)
            here = self._here[account_key] = _Here(username)
        here.doors[door] += 1
        if door == LOBBY and here.doors[LOBBY] == 1:
            self._tell_lobby(account_key)
        connections = [door]

        def leave() -> None:
            if connections:
                self._leave(account_key, connections.pop())

        return leave

    def online(self) -> list[str]:
        """Usernames, sorted."""
        if self._sorted is None:
            self._sorted = sorted(here.username for here in self._here.values())
        return list(self._sorted)

    def at_lobby(self, account_key: str) -> bool:
        """Whether the account has a lobby connection."""
        here = self._here.get(account_key)
        return here is not None and here.doors[LOBBY] > 0

    def watch(self, callback: Callable[[list[str], list[str]], object]) -> Callable[[], None]:
        """Call `callback(online, offline)` with who came and who went, sorted, at most once a second.

        Who came and went, or went and came back, within that second is in neither. Gives a function that stops it.
        """
        return _add(self._watchers, callback)

    def watch_lobby(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """Call `callback(account_key)` at once when `at_lobby` of it changes. Gives a function that stops it."""
        return _add(self._lobby_watchers, callback)

    def _leave(self, account_key: str, door: str) -> None:
        here = self._here[account_key]
        here.doors[door] -= 1
        if not here.doors.total():
            self._note(account_key)
            del self._here[account_key]
        if door == LOBBY and not here.doors[LOBBY]:
            self._tell_lobby(account_key)

    def _note(self, account_key: str) -> None:
        """Somebody is about to come or go."""
        self._sorted = None
        here = self._here.get(account_key)
        self._before.setdefault(account_key, None if here is None else here.username)
        if self._window is None:
            self._window = self._clock.callLater(WINDOW, self._close_window)

    def _close_window(self) -> None:
        self._window = None
        before, self._before = self._before, {}
        online = sorted(self._here[key].username for key, was in before.items() if was is None and key in self._here)
        offline = sorted(was for key, was in before.items() if was is not None and key not in self._here)
        if online or offline:
            for watcher in list(self._watchers.values()):
                self._call(partial(watcher, list(online), list(offline)))

    def _tell_lobby(self, account_key: str) -> None:
        for watcher in list(self._lobby_watchers.values()):
            self._call(partial(watcher, account_key))

    def _call(self, watcher: Callable[[], object]) -> None:
        try:
            watcher()
        except Exception:
            self._log.failure("whoever watched who is here failed")


def _add(watchers: dict[object, C], callback: C) -> Callable[[], None]:
    watch = object()
    watchers[watch] = callback

    def stop() -> None:
        watchers.pop(watch, None)

    return stop
