"""What the doors share, made once and put together: the database and everything that stands on it.

Beside `gameroom.tap`, which names the reactor, makes the doors and runs them, nothing else knows how the parts fit.
See docs/embedding.md.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from gameroom.accounts import Accounts
from gameroom.catalogue import Catalogue
from gameroom.config import Settings
from gameroom.daemon import DataFolder, Part, Stack
from gameroom.developer_games import DeveloperGames
from gameroom.downloads import Downloads
from gameroom.gameservers.servers import GameServers
from gameroom.gameservices.services import GameServices
from gameroom.hashing import PasswordHasher
from gameroom.housekeeping import Housekeeping
from gameroom.interfaces import IDatabase
from gameroom.metrics import Metrics
from gameroom.own_threads import OwnThreads
from gameroom.presence import Presence
from gameroom.program_logs import ProgramLogs
from gameroom.programs.programs import Programs
from gameroom.referees.controller import ControllerReferee
from gameroom.referees.lockstep import LockstepReferee
from gameroom.referees.relay import RelayReferee
from gameroom.referees.server import ServerReferee
from gameroom.referees.service import ServiceReferee
from gameroom.referees.service_queues import Queues
from gameroom.referees.service_states import KeptStates
from gameroom.referees.service_turns import Turns
from gameroom.registry import Registry
from gameroom.reviews import Reviews
from gameroom.settings import Addresses, Limits
from gameroom.shipped import Shipped
from gameroom.store import open_database
from gameroom.store.bundles import BundleFiles
from gameroom.store.recordings import Recordings
from gameroom.thinking import Thinking
from gameroom.uploads import Uploads

GAMES = Path(__file__).with_name("games")
"""The games of the store from the start."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

LONG_THREADS = 2
"""Threads that check uploads, and as many that unpack: each takes seconds for a large bundle, and a core."""


@attrs.frozen(kw_only=True)
class Ground:
    """What all parts stand on."""

    reactor: Any
    settings: Settings
    limits: Callable[[], Limits]
    metrics: Metrics
    database: IDatabase
    in_thread: Callable[..., Deferred[Any]]


@attrs.frozen(kw_only=True)
class Store:
    """The games: what players find, and what developers do."""

    catalogue: Catalogue
    reviews: Reviews
    downloads: Downloads
    games: DeveloperGames
    uploads: Uploads
    logs: ProgramLogs
    shipped: Shipped

    def parts(self) -> list[Part]:
        """What of it is started, in order."""
        return [
            Part(name="games that ship with it", start=self.shipped.start, stop=lambda: None),
            Part(name="store", start=self.catalogue.start, stop=lambda: None),
            Part(name="uploads", start=self.uploads.start, stop=self.uploads.stop),
        ]


@attrs.frozen(kw_only=True)
class Nouns:
    """What the doors share."""

    addresses: Addresses
    metrics: Metrics
    database: IDatabase
    presence: Presence
    store: Store
    accounts: Accounts
    recordings: Recordings
    programs: Programs
    gameservers: GameServers
    gameservices: GameServices
    registry: Registry
    stack: Stack
    """Starts and stops them in order."""


def make_nouns(reactor: Any, settings: Settings, limits: Callable[[], Limits]) -> Nouns:
    """Make what the doors share; nothing of it is started. Raises `DatabaseUnavailable` for a URL that is none."""
    metrics = Metrics()
    ground = Ground(
        reactor=reactor,
        settings=settings,
        limits=limits,
        metrics=metrics,
        database=open_database(settings.database, settings.data, reactor, metrics.database_seconds.observe),
        in_thread=partial(deferToThreadPool, reactor, reactor.getThreadPool()),
    )
    addresses = Addresses(public_host=settings.public_host, public_url=settings.public_url)
    hasher = PasswordHasher.in_threads(reactor, settings.accounts)
    presence = Presence(reactor)
    accounts = _make_accounts(ground, hasher)
    store = _make_store(ground)
    recordings = _make_recordings(ground)
    thinking = Thinking.in_process(reactor, random.random)
    # No program sees anything below the data folder but its own bundle.
    programs = Programs(reactor=reactor, settings=settings.sandbox, log=store.logs.write, hidden=(settings.data,))
    gameservers = GameServers(
        programs=programs,
        reactor=reactor,
        settings=settings.server,
        sandbox=settings.sandbox,
        random_bytes=secrets.token_bytes,
        log=store.logs.write,
    )
    gameservices = GameServices(
        programs=programs,
        reactor=reactor,
        settings=settings.service,
        sandbox=settings.sandbox,
        limits=limits,
        log=store.logs.write,
        metrics=metrics,
    )
    registry = _make_registry(
        ground,
        accounts=accounts,
        store=store,
        presence=presence,
        addresses=addresses,
        recordings=recordings,
        thinking=thinking,
        gameservers=gameservers,
        gameservices=gameservices,
    )
    metrics.rooms = lambda: [(room.value.status, room.options.hosting, len(room.value.members)) for room in registry.everything()]
    metrics.uploads = lambda: store.uploads.active
    metrics.programs = lambda: programs.count
    return Nouns(
        addresses=addresses,
        metrics=metrics,
        database=ground.database,
        presence=presence,
        store=store,
        accounts=accounts,
        recordings=recordings,
        programs=programs,
        gameservers=gameservers,
        gameservices=gameservices,
        registry=registry,
        stack=_make_stack(
            ground,
            hasher,
            store,
            recordings,
            registry,
            thinking=thinking,
            programs=programs,
            gameservers=gameservers,
            gameservices=gameservices,
        ),
    )


def _make_accounts(ground: Ground, hasher: PasswordHasher) -> Accounts:
    return Accounts(
        database=ground.database,
        hasher=hasher,
        clock=ground.reactor,
        random_bytes=secrets.token_bytes,
        settings=ground.settings.accounts,
        limits=ground.limits,
        metrics=ground.metrics,
    )


def _make_store(ground: Ground) -> Store:
    database, clock, data = ground.database, ground.reactor, ground.settings.data
    checking, unpacking = (OwnThreads(clock, LONG_THREADS, name) for name in ("checking", "unpacking"))
    bundles = BundleFiles(data)
    catalogue = Catalogue(database=database, bundles=bundles, clock=clock, defer_to_thread=ground.in_thread, unpack_in_thread=unpacking)
    reviews = Reviews(database=database, clock=clock, settings=ground.settings.store)
    logs = ProgramLogs(clock)
    uploads = Uploads(
        database=database,
        bundles=bundles,
        folder=data / "uploads",
        clock=clock,
        limits=ground.limits,
        settings=ground.settings.store,
        defer_to_thread=ground.in_thread,
        publish_in_thread=checking,
        random_bytes=secrets.token_bytes,
        boot=_boot(),
    )
    return Store(
        catalogue=catalogue,
        reviews=reviews,
        downloads=Downloads(catalogue=catalogue, reviews=reviews),
        games=DeveloperGames(database=database, clock=clock, logs=logs, random_bytes=secrets.token_bytes),
        uploads=uploads,
        logs=logs,
        shipped=Shipped(database=database, bundles=bundles, games_dir=GAMES, clock=clock, defer_to_thread=ground.in_thread),
    )


def _boot() -> str:
    """Which boot of the machine this is; empty where the system does not say."""
    try:
        return BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def _make_recordings(ground: Ground) -> Recordings:
    settings = ground.settings.lockstep
    return Recordings(
        ground.settings.data / "recordings",
        clock=ground.reactor,
        defer_to_thread=ground.in_thread,
        keep=settings.keep_recordings,
        most=settings.recording_bytes,
    )


def _make_registry(
    ground: Ground,
    *,
    accounts: Accounts,
    store: Store,
    presence: Presence,
    addresses: Addresses,
    recordings: Recordings,
    thinking: Thinking,
    gameservers: GameServers,
    gameservices: GameServices,
) -> Registry:
    settings = ground.settings
    lockstep = partial(
        LockstepReferee,
        recordings=recordings,
        settings=settings.lockstep,
        metrics=ground.metrics,
        room_ttl=settings.rooms.room_ttl,
        clock=ground.reactor,
    )
    controller = partial(ControllerReferee, database=ground.database, thinking=thinking)
    server = partial(ServerReferee, gameservers=gameservers, catalogue=store.catalogue, addresses=addresses, log=store.logs.write)
    service = partial(
        ServiceReferee,
        services=gameservices,
        catalogue=store.catalogue,
        database=ground.database,
        random_bytes=secrets.token_bytes,
        log=store.logs.write,
        states=KeptStates(),
        turns=Turns(),
        queues=Queues(),
    )
    return Registry(
        database=ground.database,
        accounts=accounts,
        catalogue=store.catalogue,
        presence=presence,
        addresses=addresses,
        clock=ground.reactor,
        random_bytes=secrets.token_bytes,
        node=settings.node,
        settings=settings.rooms,
        limits=ground.limits,
        referees={"lockstep": lockstep, "relay": RelayReferee, "controller": controller, "server": server, "service": service},
    )


def _make_stack(
    ground: Ground,
    hasher: PasswordHasher,
    store: Store,
    recordings: Recordings,
    registry: Registry,
    *,
    thinking: Thinking,
    programs: Programs,
    gameservers: GameServers,
    gameservices: GameServices,
) -> Stack:
    settings, database = ground.settings, ground.database
    housekeeping = Housekeeping(database=database, clock=ground.reactor, keep_plays=settings.lockstep.keep_recordings)
    folder = DataFolder(settings.data, exclusive=settings.database.startswith("sqlite:"))
    return Stack(
        [
            Part(name="data folder", start=folder.take, stop=folder.release),
            Part(name="database", start=database.start, stop=database.stop),
            Part(name="passwords", start=lambda: None, stop=hasher.stop),
            *store.parts(),
            Part(name="recordings", start=recordings.start, stop=recordings.stop),
            Part(name="computer players", start=lambda: None, stop=thinking.stop),
            Part(name="programs", start=programs.start, stop=programs.stop),
            Part(name="GameServers", start=lambda: None, stop=gameservers.stop),
            Part(name="micro game services", start=lambda: None, stop=gameservices.stop),
            Part(name="rooms", start=registry.start, stop=registry.stop),
            Part(name="housekeeping", start=housekeeping.start, stop=housekeeping.stop),
        ]
    )
