# The lobby alone: accounts, rooms and chat by JSON lines, without the web door and its pages.
#
#     GAMEROOM_DATA=/srv/lobby GAMEROOM_LOBBY=tcp:7000 twistd --nodaemon --python tap/lobby.tac
#
# `make_nouns` makes what doors share (database, accounts, registry, …) and the stack that starts it in order;
# any door's factory is then three lines.

import os

from twisted.application.service import Application
from twisted.internet import reactor

from gameroom.config import read_settings
from gameroom.daemon import Daemon, Door
from gameroom.doors.lobby import LobbyFactory
from gameroom.tap import endpoints, node_name
from gameroom.wiring import make_nouns

settings = read_settings({}, os.environ, node=node_name())


def limits():
    return settings.limits


nouns = make_nouns(reactor, settings, limits)
lobby = LobbyFactory(
    registry=nouns.registry,
    accounts=nouns.accounts,
    catalogue=nouns.store.catalogue,
    reviews=nouns.store.reviews,
    downloads=nouns.store.downloads,
    presence=nouns.presence,
    clock=reactor,
    limits=limits,
)
door = Door(name="lobby", endpoints=endpoints(reactor, "lobby", settings.lobby), factory=lobby)

application = Application("gameroom-lobby")
Daemon(clock=reactor, doors=[door], behind=nouns.stack).setServiceParent(application)
