"""Threads of their own for work that takes long: nobody else waits behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

T = TypeVar("T")


class OwnThreads:
    """A thread pool that nothing else waits in. It starts with the first work, and ends with the reactor.

    `reactor` provides `IReactorCore` and `IReactorFromThreads`.

    >>> unpack = OwnThreads(reactor, 2, "unpacking")
    >>> await unpack(shutil.unpack_archive, path, folder)
    """

    def __init__(self, reactor: Any, threads: int, name: str) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, threads, name=name)
        self._started = False

    def __call__(self, work: Callable[..., T], /, *args: Any) -> Deferred[T]:
        """Run `work(*args)` when a thread is free; fires in the reactor's thread with what it gives."""
        if not self._started:
            self._started = True
            self._pool.start()
            self._reactor.addSystemEventTrigger("after", "shutdown", self._pool.stop)
        done: Deferred[T] = deferToThreadPool(self._reactor, self._pool, work, *args)
        return done
