"""A lock-step client on a socket: it plays its `Player`, and comes back by itself when the connection is gone."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

from tests.system import websocket
from tests.system.network import Link, Message, Socket, Weather
from tests.system.player import Player
from tests.system.web import Seat
from tests.system.websocket import BINARY, TEXT, Closed

COMES_BACK_AFTER = 0.1
NUDGES_AFTER = 1.0


class Client:
    """One member of one room, until the play is over.

    `reconnections` counts how often the connection was made anew; `codes` are the close codes it has seen.
    """

    def __init__(self, seat: Seat, *, binary: bool, finish_at: int | None = None, weather: Weather | None = None, **player: Any) -> None:
        self.seat = seat
        self.weather = weather or Weather()
        self._draw = random.Random(f"seat {seat.seat}")
        self._new_player: Callable[[], Player] = lambda: Player(
            seat=seat.seat, binary=binary, finish_at=finish_at, latency=round(2000 * self.weather.latency) or 5, **player
        )
        self.player = self._new_player()
        self.reconnections = -1
        self.codes: list[int] = []
        self._link: Link | None = None
        self._away = asyncio.Event()
        self._away.set()

    async def play(self) -> None:
        """Play until the play is over, coming back as often as it takes."""
        while self.player.over is None:
            await self._away.wait()
            try:
                await self._one_connection()
            except Closed as closed:
                self.codes.append(closed.code)
                if closed.code >= 4000:
                    raise
            except (OSError, TimeoutError, websocket.HandshakeRefused):
                # The daemon is not there at the moment.
                await asyncio.sleep(COMES_BACK_AFTER)

    async def _one_connection(self) -> None:
        socket = await self._connect()
        self.reconnections += 1
        link = self._link = Link(socket, self.weather, self._draw)
        try:
            self.player.out = self._first_words()
            self.player.welcomed = False
            self._flush(link)
            while self.player.over is None and self._link is link:
                await self._step(link)
        finally:
            await link.cut(politely=self.player.over is not None)

    async def _connect(self) -> Socket:
        return await websocket.connect(self.seat.port, self.seat.path)

    def _first_words(self) -> list[str | bytes]:
        return [self.player.hello(self.seat.token)]

    async def _step(self, link: Link) -> None:
        try:
            async with asyncio.timeout(NUDGES_AFTER + 4 * self.weather.latency):
                opcode, payload = await link.receive(_is_packet)
        except TimeoutError:
            self.player.nudge()
        else:
            if self._link is not link:
                return  # It was cut while this was on its way.
            if opcode == TEXT:
                self.player.text(payload)
            else:
                self.player.packet(payload)
        self._flush(link)

    def _flush(self, link: Link) -> None:
        for message in self.player.out:
            if isinstance(message, bytes):
                link.send(BINARY, message, may_vanish=True)
            else:
                link.send(TEXT, message.encode(), may_vanish='"commands"' in message)
        self.player.out = []

    # -- what a test does to it

    async def cut(self, *, politely: bool = False) -> None:
        """Lose the connection; the client comes back at once by itself."""
        link, self._link = self._link, None
        if link is not None:
            await link.cut(politely=politely)

    async def go_away(self) -> None:
        """Lose the connection and stay away until `come_back`."""
        self._away.clear()
        await self.cut()

    def come_back(self) -> None:
        self._away.set()

    async def reload(self) -> None:
        """As a reload of the page: all that the client knew is gone, but not its seat token."""
        await self.go_away()
        self.forget()
        self.come_back()

    def forget(self) -> None:
        """Know nothing of the play any more."""
        self.player = self._new_player()

    def say(self, message: dict[str, Any]) -> None:
        """Send one more room message."""
        assert self._link is not None
        self._link.send(TEXT, json.dumps(message).encode(), may_vanish=False)

    @staticmethod
    async def moment() -> None:
        """Let something happen."""
        await asyncio.sleep(0.01)

    async def welcomed(self) -> None:
        """Return once the room has welcomed the present connection."""
        while not self.player.welcomed:
            await self.moment()

    async def reached(self, generation: int) -> None:
        """Return once this many generations have been applied (or the play is over)."""
        while self.player.next < generation and self.player.over is None:
            await self.moment()


def _is_packet(message: Message) -> bool:
    opcode, payload = message
    return opcode == BINARY or payload.startswith(b'{"type":"master"')
