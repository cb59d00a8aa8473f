"""One program of a bundle while it runs."""

from __future__ import annotations

from twisted.internet.defer import Deferred


class Program:
    """One program of a bundle, from its start to its end; `Programs.run` makes it."""

    @property
    def running(self) -> bool:
        """Whether any process of it may still be there."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """The process that we started; the program itself is below it."""
        raise NotImplementedError

    def ended(self) -> Deferred[str]:
        """A new Deferred for each call: it fires when no process of the program is left, with why, as `ended with status 1`; at once where that is so already."""
        raise NotImplementedError

    def end(self, patience: float = 5.0) -> Deferred[None]:
        """SIGTERM to the program itself, and after `patience` seconds SIGKILL to all that it started. Fires when nothing is left. May be called again."""
        raise NotImplementedError

    def kill(self) -> None:
        """End all of it at once."""
        raise NotImplementedError
