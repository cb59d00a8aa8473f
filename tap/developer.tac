# The developer door alone, in an application of one's own: a studio's server that takes builds and puts them into a folder.
#
#     STUDIO_DEVELOPER=tcp:7001 STUDIO_DATA=/srv/studio twistd --nodaemon --python tap/developer.tac
#
# Builds appear as uploadedGame/<game_id>/<version>/ below STUDIO_DATA, each in one step, with a manifest.json beside.
# Everything is made by hand here, to show what the door needs; `gameroom.wiring.make_nouns` makes the same with one call.

import os
import secrets
from pathlib import Path

from twisted.application.service import Application, Service
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.threads import deferToThread

from gameroom.accounts import Accounts
from gameroom.developer_games import DeveloperGames
from gameroom.doors.developer import DeveloperFactory
from gameroom.hashing import PasswordHasher
from gameroom.program_logs import ProgramLogs
from gameroom.settings import AccountSettings, Limits, StoreSettings
from gameroom.store import open_database
from gameroom.store.bundles import BundleFiles
from gameroom.uploads import Uploads

data = Path(os.environ.get("STUDIO_DATA", "studio")).absolute()
data.mkdir(mode=0o700, parents=True, exist_ok=True)
boot = Path("/proc/sys/kernel/random/boot_id")

database = open_database("sqlite:studio.db", data, reactor)
hasher = PasswordHasher.in_threads(reactor, AccountSettings())
accounts = Accounts(database=database, hasher=hasher, clock=reactor, random_bytes=secrets.token_bytes)
games = DeveloperGames(database=database, clock=reactor, logs=ProgramLogs(reactor), random_bytes=secrets.token_bytes)
uploads = Uploads(
    database=database,
    bundles=BundleFiles(data),
    folder=data / "uploads",
    clock=reactor,
    limits=Limits,
    settings=StoreSettings(),
    defer_to_thread=deferToThread,
    random_bytes=secrets.token_bytes,
    # After a power cut the last bytes may be lost, and this tells whether there was one.
    boot=boot.read_text().strip() if boot.exists() else secrets.token_hex(),
)


class Builds(Service):
    """Starts what the door stands on with the application, then opens the door, and puts it away with the application."""

    def startService(self):
        super().startService()
        self.port = None
        Deferred.fromCoroutine(self.open()).addErrback(self.broken)

    async def open(self):
        await database.start()
        await uploads.start()
        # The three lines.
        developer = DeveloperFactory(accounts=accounts, games=games, uploads=uploads, clock=reactor, limits=Limits)
        endpoint = serverFromString(reactor, os.environ.get("STUDIO_DEVELOPER", "tcp:7001"))
        self.port = await endpoint.listen(developer)

    def broken(self, failure):
        failure.printTraceback()
        reactor.stop()

    def stopService(self):
        return Deferred.fromCoroutine(self.close())

    async def close(self):
        super().stopService()
        if self.port is not None:
            await self.port.stopListening()
            await uploads.stop()
            hasher.stop()
            await database.stop()


application = Application("studio")
Builds().setServiceParent(application)
