# AuthProxy alone, in front of one's own servers, with one's own way to say who may go to which.
#
#     ARENA_KEY=secret ARENA_SERVERS='red=tcp:127.0.0.1:7301 blue=tcp:127.0.0.1:7302' ARENA_PORT=tcp:7002 \
#         twistd --reactor=gameroom --nodaemon --python tap/authproxy.tac
#
# An arena's web site has its own accounts and puts players into matches. It gives each of them a ticket, a line of text that they say in AUTH:
# server, seat and name, and the HMAC of these, so the proxy needs no database to believe it:
#
#     python tap/authproxy.tac red 0 Ada        # prints Ada's ticket
#
# The servers speak the game port's envelopes, as GameServers do. They are told who comes, and never see a ticket.

import hmac
import os
import sys

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import Application

from gameroom.doors.authproxy import AuthProxyFactory, Destination
from gameroom.errors import BadState, Unauthorized

key = os.environ.get("ARENA_KEY", "").encode()
if not key:
    sys.exit("arena: set ARENA_KEY to a secret that only the web site and the servers know")


def sign(text):
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def ticket(server, seat, name):
    """What the web site gives to a player."""
    text = f"{server}/{seat}/{name}"
    return f"{text}/{sign(text)}"


if __name__ == "__main__":
    print(ticket(*sys.argv[1:4]))
    sys.exit()

from twisted.internet import reactor
from twisted.internet.endpoints import clientFromString, serverFromString

servers = {}
for entry in os.environ.get("ARENA_SERVERS", "red=tcp:127.0.0.1:7301").split():
    name, _, description = entry.partition("=")
    servers[name] = clientFromString(reactor, description)


def determine(id):
    """Where whoever says this goes. It may take time and give a Deferred, or be a coroutine."""
    text, _, signature = id.rpartition("/")
    if not hmac.compare_digest(sign(text).encode(), signature.encode()):
        raise Unauthorized("this is no ticket of ours; take the one from your page on the web site")
    server, seat, name = text.split("/", 2)
    if server not in servers:
        raise BadState(f"there is no match on {server} now; join one on the web site")
    return Destination(endpoint=servers[server], token=key.decode(), id=name, seat=int(seat), name=name, room_id=server)


# The three lines.
proxy = AuthProxyFactory(determine=determine, clock=reactor)
endpoint = serverFromString(reactor, os.environ.get("ARENA_PORT", "tcp:7002"))
application = Application("arena")
StreamServerEndpointService(endpoint, proxy).setServiceParent(application)
