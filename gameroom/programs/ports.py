"""The sockets that games' programs listen on: made here, and handed over to them (docs/protocol/bundles.md)."""

from __future__ import annotations

import socket
from collections.abc import Callable
from errno import EACCES, EADDRINUSE
from typing import Final

from twisted.logger import Logger

from gameroom.errors import BadState
from gameroom.settings import SandboxSettings

BACKLOG: Final = 256
"""Clients that may wait before the program first accepts one; a machine may allow fewer."""
LOOPBACK: Final = "127.0.0.1"

_TRY_AGAIN: Final = "this server cannot open a port for the game's program now; try again later"


class Ports:
    """Gives out listening sockets. Whoever asked for one closes it once the program has its own copy.

    >>> ports = Ports(settings.sandbox)
    >>> with ports.direct() as listening: ...
    """

    _log = Logger()

    def __init__(self, sandbox: SandboxSettings, make: Callable[[int, int], socket.socket] = socket.socket) -> None:
        """`make(family, type)` makes a socket."""
        self._interface = sandbox.direct_interface
        self._first, last = sandbox.direct_ports
        self._count = last - self._first + 1
        self._next = 0
        """From the first: the port to be tried first. A port that was just given back comes last, as clients of its old play may still call it."""
        self._make = make

    def loopback(self) -> socket.socket:
        """A listening socket that only this machine reaches, on a port that the system chooses. Raises `BadState`."""
        try:
            return self._listen(LOOPBACK, 0)
        except OSError as error:
            raise self._failed(LOOPBACK, 0, error) from None

    def direct(self) -> socket.socket:
        """A listening socket on the next free one of the direct ports. Raises `BadState` where none is free."""
        for step in range(self._count):
            place = (self._next + step) % self._count
            port = self._first + place
            try:
                listening = self._listen(self._interface, port)
            except OSError as error:
                if error.errno in (EADDRINUSE, EACCES):
                    continue
                raise self._failed(self._interface, port, error) from None
            self._next = (place + 1) % self._count
            return listening
        last = self._first + self._count - 1
        self._log.warn("none of the direct ports {first} to {last} is free for a GameServer", first=self._first, last=last)
        raise BadState("every port for games that are connected to directly is in use; try again later")

    def _listen(self, host: str, port: int) -> socket.socket:
        listening = self._make(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        try:
            # Connections of an earlier play that are still being forgotten are not in the way.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setblocking(True)
            listening.bind((host, port))
            listening.listen(BACKLOG)
        except OSError:
            listening.close()
            raise
        return listening

    def _failed(self, host: str, port: int, error: OSError) -> BadState:
        self._log.error("no game's program can listen on {host}:{port}: {error}", host=host or "*", port=port, error=str(error))
        return BadState(_TRY_AGAIN)
