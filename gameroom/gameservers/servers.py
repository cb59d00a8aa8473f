"""GameServers: one program for each play, with its control connection (docs/protocol/game-port.md, "GameServers")."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import orjson
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectingCancelledError
from twisted.logger import Logger

from gameroom.errors import BadState, ServerError
from gameroom.gameservers.control import ControlFactory, ControlProtocol
from gameroom.gameservers.server import GameServer, NotReady
from gameroom.gameservers.values import ServerEnd, ServerOrder
from gameroom.programs.order import Order
from gameroom.programs.ports import LOOPBACK, Ports

if TYPE_CHECKING:
    from gameroom.programs.programs import Programs
    from gameroom.settings import SandboxSettings, ServerSettings

__all__ = ["GameServer", "GameServers"]

TOKEN_BYTES: Final = 32
"""Of randomness in a control token."""


class GameServers:
    """Starts GameServers, and ends them with the daemon.

    >>> gameservers = GameServers(programs=programs, reactor=reactor, settings=settings, sandbox=sandbox, random_bytes=urandom, log=logs.write)
    >>> server = await gameservers.start(order, ended=lambda end: room.over(end.reason, end.results))
    >>> link = server.link(entrant)
    """

    _log = Logger()

    def __init__(
        self,
        *,
        programs: Programs,
        reactor: Any,
        settings: ServerSettings,
        sandbox: SandboxSettings,
        random_bytes: Callable[[int], bytes],
        log: Callable[[str, str], None],
        ports: Ports | None = None,
    ) -> None:
        """`log(game_id, text)` writes to the developer's log. `ports` gives the listening sockets, without it those of `sandbox`."""
        self._programs, self._reactor, self._settings = programs, reactor, settings
        self._random_bytes, self._write_log = random_bytes, log
        self._ports = ports or Ports(sandbox)
        self._starting: set[Deferred[GameServer]] = set()
        self._servers: set[GameServer] = set()
        """Those whose programs are not gone, or whose end is not known yet."""
        self._stopped = False

    def check(self, made_from: str = "") -> None:
        """Raises `BadState` where programs cannot be run here, or no more of them for rooms that were made from this address."""
        self._programs.require(made_from)

    def start(self, order: ServerOrder, ended: Callable[[ServerEnd], None]) -> Deferred[GameServer]:
        """Fires with a GameServer that is ready. Cancelling it ends the program.

        `ended` is called once, later, when the GameServer ends the play or comes to an end; never after `GameServer.end` was called.
        Fails with `BadState` where it cannot be tried (no sandbox, no free port, a configuration that does not fit),
        and with `ServerError` where the GameServer does not get ready; its message is for a person.
        """
        starting = Deferred.fromCoroutine(self._start(order, ended))
        self._starting.add(starting)

        def started(result: Any) -> Any:
            self._starting.discard(starting)
            return result

        return starting.addBoth(started)

    def stop(self) -> Deferred[None]:
        """End all of them, for good. Fires when none is left."""
        self._stopped = True
        for starting in list(self._starting):
            starting.cancel()
        return DeferredList([server.end(at_once=True) for server in list(self._servers)]).addCallback(lambda _: None)

    async def _start(self, order: ServerOrder, ended: Callable[[ServerEnd], None]) -> GameServer:
        if self._stopped:
            raise BadState("this server is being shut down; try again later")
        self.check(order.made_from)

        def told(line: str) -> None:
            self._write_log(order.game_id, f"room {order.room_id}: {line}")

        token = urlsafe_b64encode(self._random_bytes(TOKEN_BYTES)).rstrip(b"=").decode()
        server = await self._launch(order, token, ended, told)
        try:
            await server.ready(order.server.ready_timeout)
        except NotReady as problem:
            raise self._failed(order, str(problem)) from None
        except Exception:
            server.end()
            raise
        return server

    async def _launch(self, order: ServerOrder, token: str, ended: Callable[[ServerEnd], None], told: Callable[[str], None]) -> GameServer:
        """Its program, with the control connection made before: so that is the first that its `accept` gives it."""
        direct = order.server.connect == "direct"
        factory = None if direct else self._control(order, token, told)
        with self._ports.direct() if direct else self._ports.loopback() as listening:
            port: int = listening.getsockname()[1]
            control = None if factory is None else await self._connect(order, factory, port)
            try:
                program = self._programs.run(
                    Order(
                        game_id=order.game_id,
                        version=order.version,
                        folder=order.folder,
                        command=order.server.command,
                        memory_mb=order.server.memory_mb,
                        listening=listening,
                        environment=_environment(order, port),
                        made_from=order.made_from,
                        about=f"GameServer of room {order.room_id}",
                    )
                )
            except Exception:
                if control is not None:
                    control.close()
                raise
        server = GameServer(
            reactor=self._reactor, room_id=order.room_id, token=token, port=port, program=program, control=control, ended=ended, told=told
        )
        if factory is not None:
            factory.ended = server.control_ended
        self._servers.add(server)
        program.ended().addCallback(lambda _why: server.over).addCallback(lambda _: self._servers.discard(server))
        return server

    def _control(self, order: ServerOrder, token: str, told: Callable[[str], None]) -> ControlFactory:
        """Raises `BadState` for what does not fit."""
        try:
            return ControlFactory(
                clock=self._reactor,
                token=token,
                id=order.room_id,
                max_players=order.max_players,
                players=order.players,
                config=order.server.config,
                ended=lambda end: None,
                told=told,
                ping_interval=self._settings.ping_interval,
            )
        except BadState as problem:
            told(problem.message)
            raise

    async def _connect(self, order: ServerOrder, factory: ControlFactory, port: int) -> ControlProtocol:
        """The kernel makes the connection, though nobody accepts it yet."""
        try:
            control: Any = await TCP4ClientEndpoint(self._reactor, LOOPBACK, port).connect(factory)
        except (CancelledError, ConnectingCancelledError):
            raise CancelledError from None
        except Exception as error:
            raise self._failed(order, f"the game's server cannot be reached ({error})", "the game's server cannot be reached") from None
        assert isinstance(control, ControlProtocol)
        return control

    def _failed(self, order: ServerOrder, what: str, told: str = "") -> ServerError:
        incident = str(UUID(bytes=self._random_bytes(16), version=4))
        self._log.warn(
            "incident {incident}: room {room_id} of game {game_id} {version} could not start: {what}",
            incident=incident,
            room_id=order.room_id,
            game_id=order.game_id,
            version=order.version,
            what=what,
        )
        return ServerError(f"{told or what}; try again, or tell the game's developer", incident=incident)


def _environment(order: ServerOrder, port: int) -> dict[str, str]:
    environment = {
        "GAMEROOM_ROOM_ID": order.room_id,
        "GAMEROOM_GAME_ID": order.game_id,
        "GAMEROOM_VERSION": order.version,
        "GAMEROOM_PORT": str(port),
    }
    if order.server.connect == "direct":
        environment["GAMEROOM_PLAYERS"] = orjson.dumps([player.to_json() for player in order.players]).decode()
    return environment
