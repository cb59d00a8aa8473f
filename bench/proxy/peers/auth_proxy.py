"""gameroom's AuthProxyFactory in a program of its own: `auth_proxy.py REACTOR PORT TARGET_PORT`, REACTOR being `gameroom` or `epoll`."""

import sys

if sys.argv[1] == "gameroom":
    from gameroom.reactor import install
else:
    from twisted.internet.epollreactor import install
install()

from twisted.internet import reactor  # noqa: E402
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint  # noqa: E402

from gameroom.doors.authproxy import AuthProxyFactory, Destination  # noqa: E402
from gameroom.settings import Limits  # noqa: E402

port, target = map(int, sys.argv[2:])
endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", target)
limits = Limits(connections_per_address=10_000)


def determine(id: str) -> Destination:
    return Destination(endpoint=endpoint, token="secret", id="somebody", room_id="bench")


proxy = AuthProxyFactory(determine=determine, clock=reactor, limits=lambda: limits)
TCP4ServerEndpoint(reactor, port, 1024, interface="127.0.0.1").listen(proxy).addCallback(lambda _: print("ready", flush=True))
reactor.run()
