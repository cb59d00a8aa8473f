# A program of one's own whose rules are a micro game service's: tables by telnet, without rooms, accounts or a database.
#
#     python service.py --listen 127.0.0.1:7100        # any micro game service; `gameroom dev init --kind service` writes one
#     TABLE_SERVICE=tcp:127.0.0.1:7100 TABLE_PORT=tcp:7200 twistd --nodaemon --python tap/table.tac
#
# Whoever connects sits alone at a table of its own. A line of JSON is what the player says, and what the service shows comes back as lines.
# The state is here, one to a table, and the service keeps nothing, so that it may be ended and started again in the midst of a game.

import os
import random
import time
from uuid import uuid4

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import Application, MultiService
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver

from gameroom.gameservices.client import ServiceClient
from gameroom.wire.game_service import Message, Player, Started, Update

log = Logger("table")

# The three lines.
endpoint = clientFromString(reactor, os.environ.get("TABLE_SERVICE", "tcp:127.0.0.1:7100"))
client = ServiceClient(connect=endpoint.connect, clock=reactor, told=lambda line: log.warn("{line}", line=line))
# … and then: state = await client.ask(update)


class Table(LineOnlyReceiver):
    delimiter = b"\n"

    def connectionMade(self):
        self.id, self.state, self.sequence = str(uuid4()), b"", 0
        self.one_at_a_time, self.asking = DeferredLock(), set()
        self.happened(Started(b"{}", random.SystemRandom().getrandbits(53)))

    def lineReceived(self, line):
        if len(self.asking) < 10:
            self.happened(Message(0, line, True))
        else:
            self.sendLine(b'{"error": "wait for the answer"}')

    def connectionLost(self, reason):
        for asking in list(self.asking):
            asking.cancel()

    def happened(self, event):
        asking = self.one_at_a_time.run(lambda: Deferred.fromCoroutine(self.ask(event)))
        self.asking.add(asking)
        asking.addBoth(self.over, asking)

    def over(self, result, asking):
        self.asking.discard(asking)

    async def ask(self, event):
        self.sequence += 1
        answer = await client.ask(
            Update(
                request=0,  # the client numbers it
                room_id=self.id,
                sequence=self.sequence,
                state=self.state,
                players=(Player(seat=0, id="you", name="You", connected=True),),
                event=event,
                now_ms=int(time.time() * 1000),
                game_id="table",
                version="1.0.0",
            )
        )
        if answer.rejected is not None:
            self.sendLine(b'{"error": %d}' % answer.rejected.code)
            return
        self.state = answer.state
        for shown in (*answer.broadcast, *answer.views):
            if shown.text:
                self.sendLine(shown.data)
        if answer.finished is not None:
            self.transport.loseConnection()


class Tables(MultiService):
    async def _stop(self):
        await super().stopService()
        await client.close()

    def stopService(self):
        return Deferred.fromCoroutine(self._stop())


application = Application("table")
tables = Tables()
StreamServerEndpointService(serverFromString(reactor, os.environ.get("TABLE_PORT", "tcp:7200")), Factory.forProtocol(Table)).setServiceParent(tables)
tables.setServiceParent(application)
