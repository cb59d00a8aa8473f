# One factory of gameroom in somebody else's Twisted application.
#
#     CLUB_SITE=tcp:8081 CLUB_LOBBY=tcp:7000 CLUB_DATA=/srv/club twistd --nodaemon --python tap/embedded.tac
#
# The application is the web site of a club of players, which was there before.
# It gives its visitors gameroom's lobby on a port beside the site, and shows on its own page who is online and which
# rooms are open, by asking the same registry that the lobby uses. Everything is made by hand here, to show what needs what.

import os
import secrets
from html import escape
from pathlib import Path

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import Application, Service
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

import gameroom
from gameroom.accounts import Accounts
from gameroom.catalogue import Catalogue
from gameroom.doors.lobby import LobbyFactory
from gameroom.downloads import Downloads
from gameroom.hashing import PasswordHasher
from gameroom.presence import Presence
from gameroom.referees.lockstep import LockstepReferee
from gameroom.registry import Registry
from gameroom.reviews import Reviews
from gameroom.settings import AccountSettings, Addresses, Limits, LockstepSettings, RoomSettings
from gameroom.shipped import Shipped
from gameroom.store import open_database
from gameroom.store.bundles import BundleFiles
from gameroom.store.recordings import Recordings

data = Path(os.environ.get("CLUB_DATA", "club")).absolute()
data.mkdir(mode=0o700, parents=True, exist_ok=True)

# What a lobby stands on.
database = open_database("sqlite:club.db", data, reactor)
hasher = PasswordHasher.in_threads(reactor, AccountSettings())
accounts = Accounts(database=database, hasher=hasher, clock=reactor, random_bytes=secrets.token_bytes)
bundles = BundleFiles(data)
catalogue = Catalogue(database=database, bundles=bundles, clock=reactor, defer_to_thread=deferToThread)
games_dir = Path(gameroom.__file__).with_name("games")
shipped = Shipped(database=database, bundles=bundles, games_dir=games_dir, clock=reactor, defer_to_thread=deferToThread)
reviews = Reviews(database=database, clock=reactor)
downloads = Downloads(catalogue=catalogue, reviews=reviews)
presence = Presence(reactor)
recordings = Recordings(data / "recordings", clock=reactor, defer_to_thread=deferToThread)
addresses = Addresses()


def lockstep(room):
    return LockstepReferee(room, recordings=recordings, settings=LockstepSettings())


registry = Registry(
    database=database,
    accounts=accounts,
    catalogue=catalogue,
    presence=presence,
    addresses=addresses,
    clock=reactor,
    random_bytes=secrets.token_bytes,
    node="club",
    settings=RoomSettings(),
    limits=Limits,
    referees={"lockstep": lockstep},
)


class Club(Resource):
    """The club's own page."""

    isLeaf = True

    def render_GET(self, request):
        Deferred.fromCoroutine(self.show(request)).addErrback(request.processingFailed)
        return NOT_DONE_YET

    async def show(self, request):
        rooms = await registry.rooms()
        online = ", ".join(presence.online()) or "nobody"
        items = "".join(f"<li>{escape(room.room_id)}: {escape(room.value.status)}</li>" for room in rooms)
        request.setHeader("Content-Type", "text/html; charset=utf-8")
        request.write(f"<!DOCTYPE html><title>Club</title><p>Online: {escape(online)}</p><ul>{items}</ul>".encode())
        request.finish()


class ClubGames(Service):
    """Starts what the lobby stands on with the application, then opens the lobby, and puts it away with the application."""

    def startService(self):
        super().startService()
        self.port = None
        Deferred.fromCoroutine(self.open()).addErrback(self.broken)

    async def open(self):
        await database.start()
        await shipped.start()
        await catalogue.start()
        recordings.start()
        await registry.start()
        # The three lines.
        lobby = LobbyFactory(
            registry=registry,
            accounts=accounts,
            catalogue=catalogue,
            reviews=reviews,
            downloads=downloads,
            presence=presence,
            clock=reactor,
            limits=Limits,
        )
        endpoint = serverFromString(reactor, os.environ.get("CLUB_LOBBY", "tcp:7000"))
        self.port = await endpoint.listen(lobby)

    def broken(self, failure):
        failure.printTraceback()
        reactor.stop()

    def stopService(self):
        return Deferred.fromCoroutine(self.close())

    async def close(self):
        super().stopService()
        if self.port is not None:
            await self.port.stopListening()
            await registry.stop()
            await recordings.stop()
            hasher.stop()
            await database.stop()


application = Application("club")
ClubGames().setServiceParent(application)
StreamServerEndpointService(serverFromString(reactor, os.environ.get("CLUB_SITE", "tcp:8081")), Site(Club())).setServiceParent(application)
