"""Services as a daemon runs them, without the daemon: `python -m tests.system.service_host <reactor> <folder> <scenario>…`.

Each scenario is played on services of its own, all at the same time, and tells what came of it in one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.application.reactors import installReactor

reactor: Any = installReactor(sys.argv[1])

from twisted.internet.defer import Deferred, DeferredList  # noqa: E402  # the reactor is installed first
from twisted.internet.endpoints import serverFromString  # noqa: E402
from twisted.internet.protocol import Factory, Protocol  # noqa: E402
from twisted.internet.task import deferLater  # noqa: E402

from gameroom.errors import GameroomError  # noqa: E402
from gameroom.gameservices.services import GameServices, ServiceLease  # noqa: E402
from gameroom.gameservices.values import ServiceOrder  # noqa: E402
from gameroom.programs.programs import Programs  # noqa: E402
from gameroom.rules.manifest import Service  # noqa: E402
from gameroom.settings import Limits, SandboxSettings, ServiceSettings  # noqa: E402
from gameroom.wire.game_service import Message, Player, State, Update, state_to_bytes, update_from_bytes  # noqa: E402
from gameroom.wire.prefixed import Frames, framed  # noqa: E402

FOLDER = Path(sys.argv[2])
LONG = 240.0
"""Seconds that nothing takes, however busy the machine is."""
TLS = ("tls:localhost:{port}:trustRoots={folder}", "ssl:localhost:{port}:hostname=localhost:caCertsDir={folder}", "tls:localhost:{port}")
"""With the certificate trusted, in Twisted's two ways, and without."""


class World:
    """The services of one scenario, of which each has a log of its own."""

    programs: Programs

    def __init__(self, **settings: Any) -> None:
        self.lines: list[str] = []
        self.services = GameServices(
            programs=self.programs,
            reactor=reactor,
            settings=ServiceSettings(**{"timeout": 1.0, "retry_for": LONG, **settings}),
            sandbox=SandboxSettings(),
            limits=Limits,
            log=lambda game_id, text: self.lines.append(text),
        )

    def lease(self, *command: str, endpoint: str = "") -> ServiceLease:
        service = Service(endpoint=endpoint) if endpoint else Service(command=command, memory_mb=128)
        return self.services.lease(
            ServiceOrder(game_id=command[-1] if command else "tls", version="1.0.0", folder=FOLDER / "bundle", service=service)
        )

    async def says_more(self) -> None:
        """Until there is another line in the log."""
        there = len(self.lines)
        await until(lambda: len(self.lines) > there)

    def program(self, lease: ServiceLease) -> Any:
        """The program that runs for it."""
        way: Any = lease._service._way
        return way._program


def say(scenario: str, found: Any) -> None:
    sys.stdout.write(json.dumps({"scenario": scenario, "found": found}) + "\n")
    sys.stdout.flush()


def update(sequence: int) -> Update:
    return Update(
        request=0,
        room_id="room",
        sequence=sequence,
        state=b"7",
        players=(Player(seat=0, id="ada", name="Ada", connected=True),),
        event=Message(seat=0, data=json.dumps(sequence).encode(), text=True),
        now_ms=1_700_000_000_000,
        game_id="g",
        version="1.0.0",
    )


def after(seconds: float) -> Deferred[None]:
    return deferLater(reactor, seconds, lambda: None)


async def until(happened: Callable[[], object]) -> None:
    """Look again and again, and go on when it has happened."""
    while not happened():
        await after(0.02)


async def refusal(asked: Awaitable[State]) -> dict[str, Any]:
    since = reactor.seconds()
    try:
        return {"answered": (await asked).sequence}
    except GameroomError as error:
        return {"code": error.code, "message": error.message, "seconds": reactor.seconds() - since}


async def good() -> Any:
    """A service of the kit's, which tells what it was given."""
    lease = World().lease("python3", "good.py")
    state = await lease.ask_first(update(1))
    return json.loads(state.broadcast[0].data)


async def killed() -> Any:
    """Killed again and again with updates in flight, and between a lease and the first of them."""
    world = World()
    lease, other = world.lease("python3", "slow.py"), world.lease("python3", "slow.py")
    world.program(lease).kill()
    await lease.ask(update(1))
    asked = [(number, each.ask(update(number))) for number in range(2, 102) for each in (lease, other)]
    for _ in range(4):
        await after(0.3)
        await until(lambda: world.program(lease) is not None or all(each.called for _, each in asked))
        if (program := world.program(lease)) is not None:
            program.kill()
    answers = [(number, await each) for number, each in asked]
    wrong = [number for number, state in answers if state.sequence != number or json.loads(state.broadcast[0].data) != number]
    return {"wrong": wrong, "answers": len(answers), "lines": world.lines, "problem": lease.problem}


async def ends_at_once() -> Any:
    """It is started less and less often while somebody wants it, and not at all then."""
    world = World()
    lease = world.lease("sh", "-c", "exit 3")
    first = await refusal(lease.ask_first(update(1)))
    await until(lambda: sum("started again" in line for line in world.lines) >= 3)
    found = {"first": first, "lines": list(world.lines), "problem": lease.problem}
    lease.release()
    await after(0.5)
    return {**found, "more": len(world.lines) - len(found["lines"]), "left": len(world.services._all)}


async def never_accepts() -> Any:
    return await refusal(World(retry_for=1.5).lease("sleep", "60").ask_first(update(1)))


async def closes_its_socket() -> Any:
    return await refusal(World(retry_for=1.5).lease("python3", "-c", "import os, time; os.close(3); time.sleep(60)").ask_first(update(1)))


async def forks() -> Any:
    """Children that hold the socket are gone with their parent, and do not answer for the next one."""
    world = World()
    lease = world.lease("python3", "forks.py")
    answers = []
    for number in (1, 2, 3):
        answers.append(json.loads((await lease.ask(update(number))).broadcast[0].data))
        await world.says_more()
    return {"answers": answers, "lines": len(world.lines)}


async def prints() -> Any:
    """One that prints without end answers all the same, and the reactor has time."""
    lease = World().lease("python3", "prints.py")
    await lease.ask_first(update(1))
    busy = 0.0
    for number in range(2, 22):
        # Its own work, and not that of others on this machine.
        since = time.process_time()
        await after(0.02)
        busy = max(busy, time.process_time() - since)
        await lease.ask(update(number))
    return {"busy": busy}


async def stopped_while_starting() -> Any:
    world = World()
    lease = world.lease("python3", "good.py")
    asked = refusal(lease.ask_first(update(1)))
    program = world.program(lease)
    stopping = world.services.stop()
    found = await asked
    await stopping
    return {**found, "running": program.running}


async def released_while_ended() -> Any:
    world = World()
    lease = world.lease("sh", "-c", "exit 4")
    await world.program(lease).ended()
    lease.release()
    await after(0.4)
    return {"lines": len(world.lines), "left": len(world.services._all)}


class Answering(Protocol):
    """A service at the other end of TLS."""

    def __init__(self) -> None:
        self.frames = Frames(1 << 20)

    def dataReceived(self, data: bytes) -> None:
        for said in map(update_from_bytes, self.frames.feed(data)):
            assert self.transport is not None
            self.transport.write(framed(state_to_bytes(State(request=said.request, sequence=said.sequence, state=b"tls"))))


async def tls() -> Any:
    """Services elsewhere behind a certificate that is trusted, and behind one that is not."""
    folder = FOLDER / "tls"
    server = serverFromString(reactor, f"ssl:0:privateKey={folder}/key.key:certKey={folder}/cert.pem:interface=127.0.0.1")
    port = await server.listen(Factory.forProtocol(Answering))
    endpoints = [each.format(port=port.getHost().port, folder=folder) for each in TLS]
    worlds = [World(allow=tuple(endpoints), retry_for=seconds) for seconds in (LONG, LONG, 2.0)]
    found = [await refusal(world.lease(endpoint=endpoint).ask_first(update(1))) for world, endpoint in zip(worlds, endpoints, strict=True)]
    return {"found": found, "lines": worlds[-1].lines}


async def orphan() -> Any:
    """Tells the program's process, and waits to be killed."""
    world = World()
    lease = world.lease("python3", "good.py")
    await lease.ask_first(update(1))
    say("ready", world.program(lease).pid)
    await after(60)


SCENARIOS: dict[str, Callable[[], Awaitable[Any]]] = {
    each.__name__: each
    for each in (
        good, killed, ends_at_once, never_accepts, closes_its_socket, forks, prints, stopped_while_starting, released_while_ended, tls, orphan
    )
}  # fmt: skip


async def tell(name: str) -> None:
    try:
        found = await SCENARIOS[name]()
    except Exception:
        found = traceback.format_exc()
    say(name, found)


async def main() -> None:
    World.programs = Programs(reactor=reactor, settings=SandboxSettings(programs=50), log=lambda game_id, text: None)
    await World.programs.start()
    await DeferredList([Deferred.fromCoroutine(tell(name)) for name in sys.argv[3:]])
    await World.programs.stop()
    say("end", World.programs.count)


if __name__ == "__main__":
    reactor.callWhenRunning(
        lambda: Deferred.fromCoroutine(main()).addErrback(lambda failure: failure.printTraceback()).addBoth(lambda _: reactor.stop())
    )
    reactor.run()
