"""A worse network than loopback, made on the client's own side of a WebSocket."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

import attrs

from tests.system.websocket import Closed

Message = tuple[int, bytes]


class Socket(Protocol):
    """What a link needs of a `WebSocket`, or of another door's connection that carries the same messages."""

    def send(self, opcode: int, payload: bytes) -> None: ...

    async def receive(self) -> Message: ...

    def abort(self) -> None: ...

    def close(self, code: int = 1000) -> None: ...


@attrs.frozen(kw_only=True)
class Weather:
    """One-way delay and its jitter in seconds; `loss` is the part of packets and masters that vanish.

    TCP loses nothing, but a program between may, and the protocol promises to bear it.
    Order is kept, as TCP keeps it.
    """

    latency: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0


class Link:
    """A connection behind some weather."""

    def __init__(self, socket: Socket, weather: Weather, draw: random.Random) -> None:
        self._socket = socket
        self._weather = weather
        self._draw = draw
        self._outgoing: asyncio.Queue[tuple[float, Message]] = asyncio.Queue()
        self._incoming: asyncio.Queue[tuple[float, Message | Exception]] = asyncio.Queue()
        self._tasks = [asyncio.create_task(self._pump_out()), asyncio.create_task(self._pump_in())]

    def send(self, opcode: int, payload: bytes, *, may_vanish: bool) -> None:
        if not (may_vanish and self._vanishes()):
            self._outgoing.put_nowait((self._due(), (opcode, payload)))

    async def receive(self, may_vanish: Callable[[Message], bool]) -> Message:
        """The next message; raises what ended the socket."""
        while True:
            due, message = await self._incoming.get()
            await _until(due)
            if isinstance(message, Exception):
                raise message
            if not (may_vanish(message) and self._vanishes()):
                return message

    def _vanishes(self) -> bool:
        return self._weather.loss > 0 and self._draw.random() < self._weather.loss

    def _due(self) -> float:
        return asyncio.get_running_loop().time() + self._weather.latency + self._draw.random() * self._weather.jitter

    async def _pump_out(self) -> None:
        while True:
            due, (opcode, payload) = await self._outgoing.get()
            await _until(due)
            self._socket.send(opcode, payload)

    async def _pump_in(self) -> None:
        while True:
            try:
                message: Message | Exception = await self._socket.receive()
            except Exception as problem:  # Whatever it is, whoever waits in `receive` is told.
                message = problem
            self._incoming.put_nowait((self._due(), message))
            if isinstance(message, Exception):
                return

    async def cut(self, *, politely: bool = False) -> None:
        """End it; what is under way is lost."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if politely:
            self._socket.close(1001)
        else:
            self._socket.abort()
        while not self._incoming.empty():
            self._incoming.get_nowait()
        self._incoming.put_nowait((0.0, Closed(1006, "cut by ourselves")))


async def _until(due: float) -> None:
    delay = due - asyncio.get_running_loop().time()
    if delay > 0:
        await asyncio.sleep(delay)
