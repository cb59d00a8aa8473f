"""Short ways through the lean reactor (docs/reactor.md), for those who have many small messages to take or to give.

Each does nothing, or the ordinary thing, where a transport is not lean or speaks TLS: whoever asks for one need not know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gameroom.lean_tcp import LeanConnection
from gameroom.reactor_round import Lane, Sender, Way


def pass_on(source: Any, target: Any) -> None:
    """What comes at one transport is written to the other by the shortest way; with None as `target` that is over.

    The source's protocol is to do the same, `protocol.dataReceived = target.write`: it is called whenever the short way cannot be gone.
    """
    if not isinstance(source, LeanConnection) or not source.connected:
        return
    shortcuts, fd = source.reactor.shortcuts, source.fileno()
    if _is_plain(target) and not source.TLS:
        shortcuts[fd] = Way(source, sender_of(target))
    else:
        shortcuts.pop(fd, None)


def let_take(transport: Any, take: Callable[[bytes], bytes] | None) -> None:
    """What comes in small reads is given to `take`, which gives back what it leaves to the protocol; with None that is over.

    `take` never raises, and is called without a logging context.
    The protocol's `dataReceived` is to ask `take` itself: it is called whenever the short way cannot be gone.
    """
    if not _is_plain(transport):
        return
    shortcuts, fd = transport.reactor.shortcuts, transport.fileno()
    shortcuts.pop(fd, None)
    transport.lane = None if take is None else Lane(transport, take)
    if transport.lane is not None and transport.reads_little:
        shortcuts[fd] = transport.lane


def sender(transport: Any) -> Callable[[bytes], None]:
    """What writes to the transport in as few steps as can be, for those whose messages come whole, and not in pieces."""
    write: Callable[[bytes], None] = sender_of(transport) if _is_plain(transport) else transport.write
    return write


def sender_of(connection: LeanConnection) -> Sender:
    """The connection's own. It has one only: two would not know what the other has."""
    if connection.sender is None:
        connection.sender = Sender(connection)
    return connection.sender


def _is_plain(transport: Any) -> bool:
    return isinstance(transport, LeanConnection) and bool(transport.connected) and not transport.TLS
