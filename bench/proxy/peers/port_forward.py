"""Twisted's own port forwarder on its own reactor: `port_forward.py PORT TARGET_PORT`."""

import sys

from twisted.internet import epollreactor

epollreactor.install()

from twisted.internet import reactor  # noqa: E402
from twisted.internet.endpoints import TCP4ServerEndpoint  # noqa: E402
from twisted.protocols.portforward import ProxyFactory  # noqa: E402

port, target = map(int, sys.argv[1:])
TCP4ServerEndpoint(reactor, port, interface="127.0.0.1").listen(ProxyFactory("127.0.0.1", target)).addCallback(lambda _: print("ready", flush=True))
reactor.run()
