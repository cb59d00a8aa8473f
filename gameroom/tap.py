"""`twistd gameroom`: its options, and the one place where everything is wired and the reactor is named.

In a .tac file, or beside other services:

    settings = read_settings({}, os.environ, node=node_name())
    make_service(settings).setServiceParent(application)

See docs/operations.md for the options and docs/embedding.md for using parts of it.
"""

from __future__ import annotations

import atexit
import os
import platform
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

import attrs
from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import ILogObserver, Logger
from twisted.python import usage
from twisted.python.components import Componentized

import twisted
from gameroom import __version__
from gameroom.build import build
from gameroom.client.servers import DEVELOPER_PORT, HOST, LOBBY_PORT
from gameroom.config import OPTIONS, Settings, read_limits, read_settings
from gameroom.config_values import ConfigError
from gameroom.daemon import READY, Daemon, Door, notify_systemd
from gameroom.doors.admin import AdminSite
from gameroom.doors.developer import DeveloperFactory
from gameroom.doors.game_port import GamePortFactory
from gameroom.doors.lobby import LobbyFactory
from gameroom.doors.web import WebSite
from gameroom.logs import for_twistd
from gameroom.memory import keep_freed, look_less_for_cycles
from gameroom.settings import Addresses, Limits
from gameroom.store import DatabaseUnavailable
from gameroom.wiring import Nouns, make_nouns

log = Logger()


def node_name() -> str:
    """This node's name where none is given."""
    return f"{socket.gethostname()}-{os.getpid()}"


class Options(usage.Options):
    """The command line of `twistd gameroom`. Whatever is wrong is one line and exit status 1."""

    optParameters: ClassVar = [[option.name, None, None, option.about] for option in OPTIONS if option.placeholder]
    optFlags: ClassVar = [[option.name, None, option.about] for option in OPTIONS if not option.placeholder]
    longdesc = "Options beat GAMEROOM_* in the environment, which beat the file of --config. See docs/operations.md."

    def __init__(self) -> None:
        usage.Options.__init__(self)
        self.settings: Settings

    def opt_version(self) -> None:
        """Say the version, and whether it is compiled."""
        sys.stdout.write(f"gameroom {__version__} ({build()}), Twisted {twisted.__version__}, Python {platform.python_version()}\n")
        sys.exit(0)

    def parseArgs(self, *words: str) -> None:
        if words:
            raise usage.UsageError(f"{words[0]}: is no option")

    def parseOptions(self, options: Any = None) -> None:
        try:
            usage.Options.parseOptions(self, options)
        except usage.UsageError as error:
            sys.exit(f"gameroom: {error}; twistd gameroom --help lists the options")

    def postOptions(self) -> None:
        given = {option.name: self[option.name] for option in OPTIONS if self[option.name] not in (None, 0)}
        try:
            self.settings = read_settings(given, os.environ, node=node_name())
        except ConfigError as error:
            sys.exit(f"gameroom: {error}")


def makeService(options: Options) -> MultiService:
    """What `twistd gameroom` runs: the daemon, with its own log, and its own word on the terminal."""
    keep_freed()
    twistd: Mapping[str, Any] = options.parent or {}
    settings = options.settings
    try:
        observer, reopen = for_twistd(twistd, sys.stdout, json=settings.json_log)
    except OSError as error:
        sys.exit(f"gameroom: --logfile: {error.filename}: {error.strerror}; choose another")
    say = (lambda text: None) if settings.json_log else partial(print, file=sys.stdout, flush=True)
    service = make_service(settings, say=say, reopen=reopen, background=not twistd.get("nodaemon", True))
    look_less_for_cycles()
    return Logged(service, observer) if observer is not None else service


class Logged(MultiService):
    """A service that says to twistd how its application logs."""

    def __init__(self, service: MultiService, observer: ILogObserver) -> None:
        MultiService.__init__(self)
        self._observer = observer
        Service.setServiceParent(service, self)

    def setServiceParent(self, parent: Any) -> None:
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)
        MultiService.setServiceParent(self, parent)


@attrs.define
class LiveLimits:
    """The limits that count now; whoever is handed this asks anew for each connection."""

    now: Limits

    def __call__(self) -> Limits:
        return self.now


def make_service(
    settings: Settings, *, say: Callable[[str], object] = print, reopen: Callable[[], None] = lambda: None, background: bool = False
) -> MultiService:
    """The whole daemon as a service, signals included.

    `say` is told where to go once it is ready; `reopen` takes up the log file anew.
    With `background` a port that cannot be opened is an exception of `privilegedStartService`, where twistd waits for it.
    """
    from twisted.internet import reactor

    limits = LiveLimits(settings.limits)
    try:
        daemon = wire(reactor, settings, limits, say=say, failed=partial(stop_in_failure, reactor))
    except (ConfigError, DatabaseUnavailable) as error:
        sys.exit(f"gameroom: {error}")
    daemon.raise_early = background
    reactor.callWhenRunning(heed_signals, reactor, daemon, partial(reload, settings, limits, reopen))
    service = MultiService()
    Service.setServiceParent(daemon, service)
    return service


def make_doors(reactor: Any, settings: Settings, limits: Callable[[], Limits], nouns: Nouns, ready: Callable[[], Deferred[None]]) -> list[Door]:
    """The doors, none of them open. Raises `ConfigError` for an endpoint string that is none."""
    store = nouns.store
    common: dict[str, Any] = {"accounts": nouns.accounts, "metrics": nouns.metrics, "clock": reactor, "limits": limits}
    shared = {**common, "registry": nouns.registry, "catalogue": store.catalogue, "presence": nouns.presence}
    lobby = LobbyFactory(**shared, reviews=store.reviews, downloads=store.downloads)
    developer = DeveloperFactory(**common, games=store.games, uploads=store.uploads)
    game = GamePortFactory(**shared)
    web = WebSite(
        **shared,
        addresses=nouns.addresses,
        recordings=nouns.recordings,
        web=settings.web_settings,
        games=store.games,
        uploads=store.uploads,
        reviews=store.reviews,
    )
    return [
        Door(name="lobby", endpoints=endpoints(reactor, "lobby", settings.lobby), factory=lobby, goodbye=lobby.stop),
        Door(name="developer", endpoints=endpoints(reactor, "developer", settings.developer), factory=developer, goodbye=developer.stop),
        Door(name="game", endpoints=endpoints(reactor, "game", settings.game), factory=game, goodbye=game.stop),
        Door(name="web", endpoints=endpoints(reactor, "web", settings.web), factory=web, goodbye=web.stop),
        Door(
            name="admin",
            endpoints=endpoints(reactor, "admin", settings.admin),
            factory=AdminSite(ready=ready, metrics=nouns.metrics, clock=reactor, token=settings.admin_token),
            waits=False,
        ),
    ]


def wire(reactor: Any, settings: Settings, limits: Callable[[], Limits], say: Callable[[str], object], failed: Callable[[str], None]) -> Daemon:
    """The daemon with all its parts. Raises `ConfigError` or `DatabaseUnavailable`."""
    check_services(reactor, settings.service.allow)
    nouns = make_nouns(reactor, settings, limits)
    notify = notify_systemd(os.environ.get("NOTIFY_SOCKET", ""))

    def ready() -> Deferred[None]:
        return daemon.ready()

    doors = make_doors(reactor, settings, limits, nouns, ready)

    def announce(state: str) -> None:
        notify(state)
        if state == READY:
            say(greeting(settings, nouns.addresses, {door.name: door for door in doors}))

    daemon = Daemon(
        clock=reactor,
        doors=doors,
        behind=nouns.stack,
        metrics=nouns.metrics,
        drain_seconds=settings.drain,
        drain_rooms=nouns.registry.drain,
        check_database=nouns.database.check,
        opened=partial(fill_in, nouns.addresses),
        announce=announce,
        failed=failed,
    )
    return daemon


def endpoints(reactor: Any, door: str, strings: Sequence[str]) -> dict[str, IStreamServerEndpoint]:
    """A door's endpoints by their strings; raises `ConfigError`."""
    made = {}
    for text in strings:
        try:
            made[text] = serverFromString(reactor, text)
        except Exception as error:  # each plugin of Twisted's raises what it likes
            raise ConfigError(f"{door}: {text!r} is no endpoint that can be opened ({_why(error)}); write one as tcp:7000, or off") from error
    return made


def check_services(reactor: Any, allow: Sequence[str]) -> None:
    """Raises `ConfigError` for an endpoint of `[service] allow` that nobody could connect to."""
    for text in allow:
        try:
            clientFromString(reactor, text)
        except Exception as error:
            example = "tcp:rules.example:7100"
            raise ConfigError(f"[service] allow: {text!r} is no endpoint that can be connected to ({_why(error)}); write one as {example}") from error


def _why(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())


def fill_in(addresses: Addresses, doors: Mapping[str, Door]) -> None:
    """What clients are told to connect to, now that ports are known."""
    game_places = doors["game"].places()
    if game_places:
        addresses.game_port = game_places[0][1]
    places = doors["web"].places()
    if places:
        addresses.web_port = places[0][1]
        if next(iter(doors["web"].ports)).startswith("ssl:") and not addresses.public_url:
            addresses.public_url = f"https://{addresses.public_host}:{addresses.web_port}"


def greeting(settings: Settings, addresses: Addresses, doors: Mapping[str, Door]) -> str:
    """Where a person goes now that it runs."""
    lines = ["gameroom is ready."]
    if doors["web"].ports:
        lines.append(f"  Play:      {addresses.web_url}/ in two browser windows")
    lines += [f"  Lobby:     {_by_hand('play', addresses.public_host, port, LOBBY_PORT)}" for _, port in doors["lobby"].places()]
    lines += [f"  Clients:   {addresses.public_host}:{port}, for programs that speak the game port's envelopes" for _, port in doors["game"].places()]
    if doors["web"].ports and doors["developer"].ports:
        lines.append(f"  Publish:   {addresses.web_url}/developer")
    lines += [f"  Publish:   {_by_hand('dev', addresses.public_host, port, DEVELOPER_PORT)}" for _, port in doors["developer"].places()]
    lines += [f"  Operators: http://{host}:{port}/metrics" for host, port in doors["admin"].places()]
    lines.append(f"  Kept in:   {settings.data}")
    return "\n".join(lines)


def _by_hand(command: str, host: str, port: int, usual: int) -> str:
    """The two ways to a door from a terminal; the command knows by itself where its door usually is."""
    at = "" if (host, port) == (HOST, usual) else f" --server {host}:{port}"
    return f"gameroom {command}{at}, or telnet {host} {port}"


def stop_in_failure(reactor: Any, message: str) -> None:
    """One line for the operator, and exit status 1 once twistd has put everything away."""
    print(f"gameroom: {message}", file=sys.__stderr__, flush=True)
    atexit.register(leave_with_status_1)
    reactor.callWhenRunning(reactor.stop)


def leave_with_status_1() -> None:
    """Twistd knows no exit status of ours: it would leave with 0. By now nothing is left to do but to flush."""
    sys.stdout.flush()
    os._exit(1)


def heed_signals(reactor: Any, daemon: Daemon, hang_up: Callable[[], None]) -> None:
    """SIGTERM drains, and a second one stops at once; SIGHUP re-opens the log and re-reads limits."""

    def stop(result: object = None) -> None:
        with suppress(ReactorNotRunning):  # somebody was quicker
            reactor.stop()

    def terminate() -> None:
        if daemon.draining:
            stop()
        else:
            daemon.drain().addBoth(stop)

    signal.signal(signal.SIGTERM, lambda number, frame: reactor.callFromThread(terminate))
    signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(hang_up))


def reload(settings: Settings, limits: LiveLimits, reopen: Callable[[], None]) -> None:
    """What SIGHUP does. Whatever is wrong is logged in one line and changes nothing."""
    try:
        reopen()
        limits.now = read_limits(settings)
    except (ConfigError, OSError) as error:
        log.error("nothing was re-read: {why}", why=str(error))
    else:
        log.info("the log is open anew, and limits are re-read")
