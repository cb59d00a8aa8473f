"""A micro game service that a test answers by hand: what comes to it, on which connection, and whatever the test says to that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import attrs

from tests.system.harness import LOOPBACK, free_port
from tests.system.service_messages import EVENTS, GameState, GameUpdate

Body = Any
"""What is told: bytes as a binary frame, anything else as JSON."""
WITHIN = 60.0


@attrs.define(eq=False)
class Link:
    """One connection of gameroom's to the service."""

    number: int
    writer: asyncio.StreamWriter
    closed: asyncio.Event = attrs.field(factory=asyncio.Event)

    def raw(self, data: bytes) -> None:
        self.writer.write(data)

    def framed(self, data: bytes) -> None:
        self.raw(len(data).to_bytes(4, "big") + data)

    def close(self) -> None:
        self.writer.close()

    async def is_closed(self) -> None:
        """Until the daemon has closed it."""
        async with asyncio.timeout(WITHIN):
            await self.closed.wait()


@attrs.define(eq=False)
class Asked:
    """An update, as it came."""

    data: bytes
    update: Any
    link: Link

    @property
    def event(self) -> str:
        """Which one it is."""
        return str(self.update.WhichOneof("event"))

    @property
    def body(self) -> Any:
        """What a member has said, where that is JSON."""
        assert self.update.message.text
        return json.loads(self.update.message.data)

    def connected(self) -> dict[int, bool]:
        """Who is there, by seats."""
        return {player.seat: player.connected for player in self.update.players}

    def state(self, **said: Any) -> bytes:
        """The bytes of an answer; `broadcast` is a list of bodies, `views` of (seat, body), `rejected` is (code, message).

        What is not said is repeated from the update, `state` as well.
        """
        fields: dict[str, Any] = {"request": self.update.request, "sequence": self.update.sequence, "state": self.update.state, **said}
        fields["broadcast"] = [_outgoing(body) for body in said.get("broadcast", ())]
        fields["views"] = [{"seat": seat, **_outgoing(body)} for seat, body in said.get("views", ())]
        if "finished" in said:
            results = said["finished"]
            fields["finished"] = {"results": results if isinstance(results, bytes) else json.dumps(results).encode()}
        if "rejected" in said:
            code, message = said["rejected"]
            fields["rejected"] = {"code": code, "message": message}
        return bytes(GameState(**fields).SerializeToString())

    def answer(self, **said: Any) -> None:
        """Answer on the connection that it came on."""
        self.link.framed(self.state(**said))


class HandService:
    """Listens, and keeps what comes until it is asked for. As an async context manager it is there inside."""

    def __init__(self) -> None:
        self.port = free_port()
        self.links: list[Link] = []
        self.came: list[Asked] = []
        """All that has come, repeats included."""
        self.rule: Callable[[Asked], bool] = lambda asked: False
        """May answer an update at once, and says whether it has; then nobody waits for it."""
        self._untaken: list[Asked] = []
        self._settled: dict[int, dict[str, Any]] = {}
        """What each more of a request is answered with."""
        self._something = asyncio.Condition()
        self._server: asyncio.Server | None = None

    @property
    def endpoint(self) -> str:
        return f"tcp:{LOOPBACK}:{self.port}"

    @property
    def open(self) -> list[Link]:
        return [link for link in self.links if not link.closed.is_set()]

    async def __aenter__(self) -> HandService:
        await self.listen()
        return self

    async def __aexit__(self, *problem: object) -> None:
        await self.vanish()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)

    async def vanish(self) -> None:
        """As if its machine were gone: nobody listens, and all connections are over."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for link in self.open:
            link.writer.transport.abort()

    async def next(self, event: str | None = None, *, room: str | None = None) -> Asked:
        """The next update (of this room) that was not had before, repeats aside; fails where that is not of this event."""
        asked = await self._taken(lambda each: room in (None, each.update.room_id) and not self._is_repeat(each), f"there is {event or 'an update'}")
        assert event in (None, asked.event), (event, asked.update)
        return asked

    async def again(self, first: Asked) -> Asked:
        """The same request once more."""
        return await self._taken(lambda each: each is not first and each.update.request == first.update.request, "it comes again")

    def settle(self, asked: Asked, **said: Any) -> None:
        """Answer it, and the same request again as often as it still comes: the first answer may be too late."""
        self._settled[asked.update.request] = said
        asked.answer(**said)

    async def quiet(self, seconds: float = 0.15) -> None:
        """Nothing comes for so long."""
        await asyncio.sleep(seconds)
        assert not self._untaken, [each.update for each in self._untaken]

    async def _taken(self, is_it: Callable[[Asked], bool], what: str) -> Asked:
        try:
            async with asyncio.timeout(WITHIN), self._something:
                while True:
                    for asked in self._untaken:
                        if is_it(asked):
                            self._untaken.remove(asked)
                            return asked
                    await self._something.wait()
        except TimeoutError:
            raise AssertionError(f"{WITHIN} s have gone by until {what}; what came: {[each.update for each in self._untaken]}") from None

    def _is_repeat(self, asked: Asked) -> bool:
        return any(each.update.request == asked.update.request for each in self.came[: self.came.index(asked)])

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(len(self.links), writer)
        self.links.append(link)
        try:
            while True:
                await self._take(link, await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big")))
        except (OSError, EOFError, asyncio.CancelledError):
            link.closed.set()
            writer.close()

    async def _take(self, link: Link, data: bytes) -> None:
        update = GameUpdate.FromString(data)
        assert update.SerializeToString(deterministic=True) == data, "nothing is in it that the page does not name"
        assert update.WhichOneof("event") in EVENTS
        asked = Asked(data, update, link)
        self.came.append(asked)
        if update.request in self._settled:
            asked.answer(**self._settled[update.request])
            return
        if self.rule(asked):
            return
        async with self._something:
            self._untaken.append(asked)
            self._something.notify_all()


def _outgoing(body: Body) -> dict[str, Any]:
    return {"data": body, "text": False} if isinstance(body, bytes) else {"data": json.dumps(body).encode(), "text": True}
