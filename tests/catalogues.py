"""A catalogue for tests: real files below a folder, and threads that are done at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from gameroom.catalogue import Catalogue
from gameroom.shipped import Shipped
from gameroom.store.bundles import BundleFiles


def make_catalogue(database: Any, data: Path, clock: Any) -> Catalogue:
    """A catalogue that is not started, whose files are below `data`."""
    return Catalogue(database=database, bundles=BundleFiles(data), clock=clock, defer_to_thread=maybeDeferred)


def make_shipped(database: Any, data: Path, clock: Any, games: Path) -> Shipped:
    """The games in the folder `games`, which are not in the store yet."""
    return Shipped(database=database, bundles=BundleFiles(data), games_dir=games, clock=clock, defer_to_thread=maybeDeferred)


def start_catalogue(database: Any, data: Path, clock: Any, games: Path) -> Catalogue:
    """A catalogue with the games of a folder in it, as a daemon starts it. A database that takes its time is waited for by nobody."""
    catalogue = make_catalogue(database, data, clock)
    starting = make_shipped(database, data, clock, games).start().addCallback(lambda _: catalogue.start())
    _raise_failure(starting)
    return catalogue


def _raise_failure(deferred: Deferred[Any]) -> None:
    def broken(failure: Failure) -> None:
        failed.append(failure)

    failed: list[Failure] = []
    deferred.addErrback(broken)
    for failure in failed:
        failure.raiseException()
