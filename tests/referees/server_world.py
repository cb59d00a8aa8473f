"""A room of a server game, with GameServers that the test plays and connections as the doors have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.errors import BadState, GameroomError
from gameroom.gameservers.link import ServerLink
from gameroom.gameservers.values import Participant, ServerEnd, ServerOrder
from gameroom.interfaces import IFramedConnection, IPipeConnection, IReferee, IRoom
from gameroom.referees.server import ServerReferee
from gameroom.rules.manifest import Server
from gameroom.settings import Addresses
from gameroom.wire import game_port
from gameroom.wire.envelope import EnvelopeReader
from tests.gameservers.world import Endpoint, Wire
from tests.held import HeldDatabase
from tests.referees.relay_world import KindTestCase, Somebody
from tests.rooms import NotingConnection

TOKEN = "control-token"
FOLDER = Path("/unpacked/bundle")


class Dials(Endpoint):
    """As its parent; a connection that is given up is not waited for."""

    def connect(self, factory: Any) -> Deferred[Any]:
        def cancel(done: Deferred[Any]) -> None:
            self.waiting = [each for each in self.waiting if each[1] is not done]

        done: Deferred[Any] = Deferred(cancel)
        self.waiting.append((factory, done))
        return done


class FakeServer:
    """A GameServer that is ready; what it does is the test's to say."""

    def __init__(self, clock: Clock, order: ServerOrder, ended: Callable[[ServerEnd], None]) -> None:
        self.token = TOKEN
        self.port = 40000
        self.direct = order.server.connect == "direct"
        self.order = order
        self.endpoint = Dials()
        self.links: list[ServerLink] = []
        self.told: list[list[str]] = []
        """The ids of each CONTROL after the first."""
        self.wanted = True
        """Whether the room still wants it."""
        self._clock = clock
        self._ended = ended

    def link(self, entrant: Participant, after: Deferred[None] | None = None) -> ServerLink:
        assert not self.direct
        self.links.append(ServerLink(endpoint=self.endpoint, clock=self._clock, token=self.token, entrant=entrant, after=after))
        return self.links[-1]

    def players_are(self, players: Sequence[Participant]) -> None:
        self.told.append([player.id for player in players])

    def end(self) -> Deferred[None]:
        self.wanted = False
        return succeed(None)

    # What it does.

    def lets_in(self, **connected: Any) -> tuple[str, Wire]:
        """It accepts the connection that has waited longest, and says CONNECTED: whose it is, and its end of it."""
        wire = self.endpoint.connected()
        [_, (_, auth)] = wire.said()
        assert auth["token"] == TOKEN
        wire.say(game_port.CONNECTED, **connected)
        return auth["id"], wire

    def over(self, reason: str = "finished", results: Any = None) -> None:
        """The play is over."""
        if self.wanted:
            self._ended(ServerEnd(reason=reason, results=results))


class FakeGameServers:
    """Starts GameServers at once, or when the test says so."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.refuses: BadState | None = None
        self.patient = False
        """Whether starts wait for `ready` or `fail`."""
        self.starting: list[tuple[FakeServer, Deferred[FakeServer]]] = []
        self.servers: list[FakeServer] = []
        """Those that became ready."""
        self.cancelled = 0

    def check(self, made_from: str = "") -> None:
        if self.refuses is not None:
            raise self.refuses

    def start(self, order: ServerOrder, ended: Callable[[ServerEnd], None]) -> Deferred[FakeServer]:
        done: Deferred[FakeServer] = Deferred(self._cancel)
        self.starting.append((FakeServer(self.clock, order, ended), done))
        if not self.patient:
            self.ready()
        return done

    def ready(self) -> FakeServer:
        server, done = self.starting.pop(0)
        self.servers.append(server)
        done.callback(server)
        return server

    def fail(self, error: Exception) -> None:
        self.starting.pop(0)[1].errback(error)

    def _cancel(self, done: Deferred[FakeServer]) -> None:
        self.cancelled += 1
        self.starting = [each for each in self.starting if each[1] is not done]

    @property
    def running(self) -> int:
        """How many programs there are."""
        return len(self.starting) + sum(server.wanted for server in self.servers)


@implementer(IFramedConnection)
class FramedConnection(NotingConnection):
    """A web socket."""

    def __init__(self) -> None:
        super().__init__("web")
        self.held = False
        self.reads = True
        """Whether the member reads."""
        self._sources: list[Any] = []

    def hold(self) -> None:
        self.held = True

    def let_go(self) -> None:
        self.held = False

    def deliver(self, outgoing: Any) -> None:
        if self._sources:
            # What is delivered waits behind what is caught up with.
            once = iter((outgoing, None))
            self._sources.append(lambda: next(once))
        else:
            super().deliver(outgoing)

    def catch_up(self, source: Any) -> None:
        self._sources.append(source)
        self.read(0)

    def read(self, pieces: int = 1) -> None:
        """The member takes as many pieces of what waits, or all where it reads."""
        while self._sources and (self.reads or pieces > 0):
            outgoing = self._sources[0]()
            pieces -= 1
            if outgoing is None:
                self._sources.pop(0)
            else:
                super().deliver(outgoing)

    def envelopes(self) -> list[tuple[str, Any]]:
        """What has come by binary frames since the last look, by name; each of them is one envelope."""
        found = []
        for frame in [each["binary"] for each in self.delivered if "binary" in each]:
            reader = EnvelopeReader()
            reader.feed(frame)
            envelope = reader.next()
            assert envelope is not None
            assert not reader.buffered
            known = envelope.type in (game_port.CONNECTED, game_port.ERROR)
            found.append((game_port.name_of(envelope.type), game_port.decode(envelope) if known else envelope.data))
        self.delivered = [each for each in self.delivered if "binary" not in each]
        return found


@implementer(IPipeConnection)
class PipedConnection(NotingConnection):
    """A connection of the game port; once it has entered it hears no room messages."""

    def __init__(self) -> None:
        super().__init__("game")
        self.link: ServerLink | None = None
        self.joined: list[dict[str, Any]] = []
        """What each CONNECTED of the GameServer said."""
        self.refused: list[GameroomError] = []
        self.ended: list[str] = []
        """How the pipe ended."""

    def deliver(self, outgoing: Any) -> None:
        if self.link is None:
            super().deliver(outgoing)

    def enter(self, link: ServerLink) -> None:
        self.link = link
        link.open().addCallbacks(self._opened, self._refused, callbackArgs=(link,))

    def _opened(self, said: dict[str, Any], link: ServerLink) -> None:
        self.joined.append(said)
        link.on_finish = lambda: self.ended.append("finish")
        link.on_close = lambda: self.ended.append("close")
        link.take(_Far(self, link))

    def _refused(self, failure: Failure) -> None:
        if isinstance(failure.value, GameroomError):
            self.refused.append(failure.value)


class _Far(Protocol):
    """The pipe's end at the GameServer."""

    def __init__(self, connection: PipedConnection, link: ServerLink) -> None:
        self.connection, self.link = connection, link

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.link.lost()
        self.connection.ended.append("lost")


class ServerCase(KindTestCase):
    """A room of a server game for two to three players; Ada is its host."""

    kind = "server"
    connect_by = "proxy"

    def setUp(self) -> None:
        self.logged: list[tuple[str, str]] = []
        self.gameservers = FakeGameServers(Clock())
        super().setUp()
        self.gameservers.clock = self.house.clock

    def database(self) -> Any:
        self.held = HeldDatabase(holding=False)
        return self.held

    def make(self, room: IRoom) -> IReferee:
        return ServerReferee(
            room,
            gameservers=self.gameservers,  # type: ignore[arg-type]
            catalogue=self.house.catalogue,  # type: ignore[arg-type]
            addresses=Addresses(public_host="play.example"),
            log=lambda game_id, text: self.logged.append((game_id, text)),
        )

    def sell(self) -> None:
        super().sell()
        server = Server(command=("python3", "server.py"), connect=self.connect_by, config={"map": "hills"})
        self.house.catalogue.the = attrs.evolve(self.house.catalogue.the, min_players=2, folder=FOLDER, server=server)

    def connection(self, door: str) -> Any:
        return {"web": FramedConnection, "game": PipedConnection}.get(door, lambda: NotingConnection(door))()

    @property
    def server(self) -> FakeServer:
        """The newest GameServer that is ready."""
        return self.gameservers.servers[-1]

    def play(self, host: Somebody) -> FakeServer:
        """The host starts; everybody's messages are forgotten."""
        answer = host.ask("start")
        assert answer == {"type": "ack", "reply_to": 7}, answer
        return self.server

    def leave(self, somebody: Somebody) -> None:
        """Its connection is lost."""
        somebody.conversation.lost()

    def again(self, somebody: Somebody, door: str = "web") -> Somebody:
        """The member comes by another connection."""
        return self.connect(somebody.user_id, somebody.token, door)
