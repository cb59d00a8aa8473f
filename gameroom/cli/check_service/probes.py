"""Whether a micro game service gets on with connections as they come: several at once, bytes in any pieces, ends in the midst of an update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.task import deferLater

from gameroom.cli.check_service.caller import Caller, Heartbeat, Reply
from gameroom.cli.check_service.checking import Checking
from gameroom.cli.check_service.words import CLOSED, CONNECTIONS, CUT, FIELD, NOT_STARTED, PIECES, REQUEST, SEQUENCE, SILENT, TOGETHER, UNREACHABLE
from gameroom.cli.reacting import say_wrong
from gameroom.client.stream import ConnectionFailed
from gameroom.wire.game_service import Update, update_to_bytes
from gameroom.wire.prefixed import framed

STARTS_WITHIN: Final = 60.0
"""Seconds for its first answer: so long a daemon waits for one, too, before the room's start fails."""
SAYS_AFTER: Final = 5.5
"""Seconds until whoever looks on is told why nothing happens."""
SOON: Final = 0.1
"""Seconds in which a program is seen to end that a closed connection has ended."""
PAUSE: Final = 0.05
"""Seconds between two pieces of an update."""
UNKNOWN_FIELD: Final = b"\xa2\x06\x05later"
"""Field 100, five letters: as a daemon may send that is newer."""


class Probes:
    """The looks at one service that come before its rules are asked. `update` is a start that it should take."""

    def __init__(self, checking: Checking, update: Update) -> None:
        self._checking, self._update = checking, update
        self._reactor = checking.reactor

    async def answers(self) -> float | None:
        """Seconds until its first answer of all; None where there is none, which is gathered. Raises `BadState`."""
        checking, since = self._checking, self._reactor.seconds()
        try:
            caller = await checking.place.connect(checking.caller)
        except ConnectionFailed as error:
            checking.findings.add(NOT_STARTED if checking.place.can_restart else UNREACHABLE, str(error))
            return None
        checking.counts.asked += 1
        patience = max(STARTS_WITHIN if checking.place.can_restart else 0.0, checking.timeout)
        words = f"no answer yet; its first one is waited for up to {patience:g} s, as programs may take long to start"
        patient = self._reactor.callLater(SAYS_AFTER, say_wrong, words)
        try:
            reply = await caller.ask(checking.numbered(self._update), timeout=patience)
        finally:
            caller.close()
            if patient.active():
                patient.cancel()
        if reply.state is not None:
            return float(self._reactor.seconds() - since)
        why = await checking.place.gone() if reply.trouble == CLOSED else ""
        if why:
            checking.findings.add(NOT_STARTED, f"its program {why}{' (there is no such program)' if why.endswith(' 127') else ''}")
        else:
            checking.findings.add(reply.trouble, f"the first update of all: {reply.said}", self._update, reply.data)
        return None

    async def all(self) -> None:
        """Gathers what it does not get on with."""
        for look in (self._two_connections, self._pieces, self._two_together, self._field, self._cut_off):
            if why := await self._checking.place.gone(SOON):
                self._checking.findings.add(CUT, f"when a connection was closed its program {why}", self._update)
                return
            await look()

    async def _pieces(self) -> None:
        await self._wanted(PIECES, self._in_pieces)

    async def _field(self) -> None:
        await self._wanted(FIELD, self._with_a_field)

    async def _two_connections(self) -> None:
        """Where it does not take a second one while it has the first, nothing else is asked on more than one."""
        first = await self._checking.connect()
        try:
            alone = await self._checking.asked(self._update, first)
            reply = await self._checking.asked(self._update)
        finally:
            first.close()
        if alone.state is not None and reply.state is None and reply.trouble in (SILENT, CLOSED):
            self._checking.findings.add(CONNECTIONS, f"on a second connection: {reply.said}", self._update)
            self._checking.connections = 1

    async def _wanted(self, kind: str, write: Callable[[Caller, bytes], None]) -> None:
        """Ask it in a way of `write`'s."""
        caller = await self._checking.connect()
        try:
            update = self._checking.numbered(self._update)
            reply = await caller.expect(update.request, lambda: write(caller, update_to_bytes(update)))
        finally:
            caller.close()
        self._look(kind, reply)

    def _look(self, kind: str, reply: Reply) -> None:
        self._checking.counts.asked += 1
        if reply.state is None:
            self._checking.findings.add(kind, reply.said, self._update)

    def _in_pieces(self, caller: Caller, data: bytes) -> None:
        whole = framed(data)
        caller.write(whole[:2])
        for at, piece in enumerate((whole[2:6], whole[6:-1], whole[-1:]), 1):
            self._reactor.callLater(at * PAUSE, caller.write, piece)

    def _with_a_field(self, caller: Caller, data: bytes) -> None:
        caller.write(framed(data + UNKNOWN_FIELD))

    async def _two_together(self) -> None:
        caller = await self._checking.connect()
        try:
            one, other = (self._checking.numbered(self._update) for _ in range(2))
            whole = b"".join(framed(update_to_bytes(each)) for each in (one, other))
            waiting = [caller.expect(one.request, lambda: None), caller.expect(other.request, lambda: caller.write(whole))]
            replies = [await each for each in waiting]
        finally:
            caller.close()
        bad = next((each for each in replies if each.state is None), replies[0])
        self._look(TOGETHER, bad)
        if bad.state is None:
            self._checking.in_flight_each = 1

    async def _cut_off(self) -> None:
        """One connection is cut in the midst of an update, one before the answer; the next one is to be served all the same."""
        checking = self._checking
        whole = framed(update_to_bytes(checking.numbered(self._update)))
        for data in (whole[: len(whole) // 2], whole * 3):
            caller = await checking.place.connect(self._deaf)
            caller.write(data)
            await deferLater(self._reactor, PAUSE)
            caller.cut()
            why = await checking.place.gone() if checking.place.can_restart else ""
            if why:
                checking.findings.add(CUT, f"its program {why}", self._update)
                return
        reply = await checking.asked(self._update)
        if reply.state is None and reply.trouble not in (REQUEST, SEQUENCE):
            checking.findings.add(CUT, f"on the next connection: {reply.said}", self._update)

    def _deaf(self) -> Caller:
        """A connection on which answers are nothing."""
        return Caller(self._reactor, timeout=self._checking.timeout, heartbeat=Heartbeat(), stray=lambda *_: None)
