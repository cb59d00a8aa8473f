"""`twistd gameroom`: options, wiring and signals."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from twisted.application.service import Application, IService, IServiceMaker, MultiService
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gameroom import __version__, tap
from gameroom.config import OPTIONS, read_settings
from gameroom.config_values import ConfigError
from gameroom.daemon import Door
from gameroom.settings import Addresses, Limits


class Reactor(MemoryReactorClock):
    """One that also has the thread pool that wiring asks for."""

    def getThreadPool(self) -> object:
        return self


@contextlib.contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Only these GAMEROOM_ variables."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GAMEROOM_", "NOTIFY_SOCKET"))}
    with mock.patch.dict(os.environ, kept | variables, clear=True):
        yield


class OptionsTests(SynchronousTestCase):
    def parse(self, *words: str, **variables: str) -> Any:
        options = tap.Options()
        with environment(**variables):
            options.parseOptions(list(words))
        return options.settings

    def refused(self, *words: str, **variables: str) -> Any:
        return self.assertRaises(SystemExit, self.parse, *words, **variables).code

    def test_version(self) -> None:
        """`--version` says the version and which build it is, and ends with status 0."""
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertEqual(self.refused("--version"), 0)
        self.assertIn(f"gameroom {__version__} (python)", said.getvalue())

    def test_every_option(self) -> None:
        """Each row of the table is an option of the command line."""
        given = {
            "database": "sqlite:x.db",
            "public-host": "h.example",
            "public-url": "https://h.example",
            "node": "n",
            "drain": "0.5",
            "data": "/srv/d",
        }
        given |= {"lobby": "tcp:1 tcp:2", "developer": "tcp:3", "game": "tcp:4", "web": "off", "admin": "unix:/run/x"}
        words = [word for name, value in given.items() for word in (f"--{name}", value)]
        settings = self.parse(*words, "--json-log")
        self.assertEqual({option.name for option in OPTIONS}, {*given, "config", "json-log"})
        doors = (settings.lobby, settings.developer, settings.game, settings.web, settings.admin)
        self.assertEqual(doors, (("tcp:1", "tcp:2"), ("tcp:3",), ("tcp:4",), (), ("unix:/run/x",)))
        self.assertEqual((settings.database, settings.drain, settings.json_log, settings.node), ("sqlite:x.db", 0.5, True, "n"))

    def test_environment(self) -> None:
        """The environment counts where an option is not given; a flag that is not given does not beat it."""
        self.assertEqual(self.parse(GAMEROOM_NODE="e").node, "e")
        self.assertEqual(self.parse("--node", "o", GAMEROOM_NODE="e").node, "o")
        self.assertTrue(self.parse(GAMEROOM_JSON_LOG="1").json_log)

    def test_node(self) -> None:
        """Without a name the node is called after its machine and process."""
        self.assertTrue(self.parse().node.endswith(f"-{os.getpid()}"))

    def test_refusals(self) -> None:
        """What is wrong is one line, which the interpreter prints on stderr before it leaves with 1."""
        self.assertEqual(self.refused("--nonsense"), "gameroom: option --nonsense not recognized; twistd gameroom --help lists the options")
        self.assertEqual(self.refused("play"), "gameroom: play: is no option; twistd gameroom --help lists the options")
        self.assertEqual(self.refused("--drain", "x"), "gameroom: --drain: must be a number of seconds, as 30 or 0.5")
        self.assertEqual(self.refused(GAMEROOM_DRAIN="x"), "gameroom: GAMEROOM_DRAIN: must be a number of seconds, as 30 or 0.5")

    def test_log_that_cannot_be_written(self) -> None:
        """A log file in a folder that is not there is one line too."""
        options = tap.Options()
        with environment():
            options.parseOptions([])
        twistd: Any = {"logfile": "/nowhere/at/all/log", "nodaemon": True}
        options.parent = twistd
        code = self.assertRaises(SystemExit, tap.makeService, options).code
        self.assertEqual(code, "gameroom: --logfile: /nowhere/at/all/log: No such file or directory; choose another")

    def test_help(self) -> None:
        """--help has every option with a line about it."""
        text = str(tap.Options())
        for option in OPTIONS:
            self.assertIn(f"--{option.name}", text)


class WiringTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name, "var")
        self.reactor: Any = Reactor()
        self.said: list[str] = []

    def wire(self, **given: str) -> Any:
        settings = read_settings({"data": str(self.folder), **given}, {}, node="n")
        with environment():
            return tap.wire(self.reactor, settings, Limits, say=self.said.append, failed=self.said.append)

    def test_doors(self) -> None:
        """The doors listen where they are told, and one that is off nowhere."""
        daemon = self.wire(
            lobby="tcp:7000 tcp:7100:interface=10.0.0.1", developer="tcp:7001", game="tcp:7002", web="off", admin="tcp:9090:interface=127.0.0.1"
        )
        daemon.privilegedStartService()
        self.assertEqual(
            [(port, interface) for port, _, _, interface in self.reactor.tcpServers],
            [(7000, ""), (7100, "10.0.0.1"), (7001, ""), (7002, ""), (9090, "127.0.0.1")],
        )

    def test_nothing_is_touched_by_wiring(self) -> None:
        """Making the daemon neither listens nor writes."""
        self.wire()
        self.assertEqual((self.reactor.tcpServers, self.folder.exists()), ([], False))

    def test_bad_endpoint(self) -> None:
        """An endpoint string that Twisted cannot use is named with its door, whatever its plugin raised."""
        for text in ("tcp:x", "nonsense:1", "ssl:8443:privateKey=/nowhere.pem", "systemd:domain=INET:index=7", "tcp:1:2:3:4:5"):
            error = self.assertRaises(ConfigError, self.wire, lobby=text)
            self.assertIn(f"lobby: {text!r} is no endpoint that can be opened", str(error))
            self.assertNotIn("\n", str(error))

    def test_bad_service(self) -> None:
        """So is one of a service that runs elsewhere, among others that are good."""
        for text in ("tcp:", "rules.example:7100", "tcp:rules.example:x", "tls:rules.example:7100:trustRoots=/nowhere", "tls:rules.example"):
            error = self.assertRaises(ConfigError, tap.check_services, self.reactor, ["tcp:rules.example:7100", text])
            self.assertIn(f"[service] allow: {text!r} is no endpoint that can be connected to", str(error))
            self.assertNotIn("\n", str(error))
        tap.check_services(self.reactor, ["tcp:rules.example:7100", "tls:rules.example:7100", "unix:/run/rules.sock", "ssl:rules.example:7100"])

    def test_ports_are_told(self) -> None:
        """Clients are told the port that the web door really has, and https where it speaks TLS itself."""
        addresses = Addresses(public_host="h.example")

        class Web(Door):
            def places(self) -> list[tuple[str, int]]:
                return [("0.0.0.0", 4711)]

        def web(text: str) -> dict[str, Door]:
            game = Web(name="game", endpoints={}, factory=mock.Mock(), ports={"tcp:0": mock.Mock()})
            return {"game": game, "web": Web(name="web", endpoints={}, factory=mock.Mock(), ports={text: mock.Mock()})}

        tap.fill_in(addresses, web("tcp:0"))
        self.assertEqual((addresses.web_url, addresses.game_port), ("http://h.example:4711", 4711))
        tap.fill_in(addresses, web("ssl:0:privateKey=x"))
        self.assertEqual(addresses.web_url, "https://h.example:4711")
        addresses.public_url = "https://play.example"
        tap.fill_in(addresses, web("ssl:0:privateKey=x"))
        self.assertEqual(addresses.web_url, "https://play.example")

    def test_greeting(self) -> None:
        """A person is told where to go, and nothing of doors that are off."""
        daemon = self.wire(lobby="tcp:7000", web="tcp:8080", admin="off")
        daemon.privilegedStartService()
        doors = {door.name: door for door in daemon.doors}
        settings = read_settings({"data": str(self.folder)}, {}, node="n")
        text = tap.greeting(settings, Addresses(), doors)
        self.assertIn("http://127.0.0.1:8080/", text)
        self.assertIn("  gameroom play, or telnet 127.0.0.1 7000\n", text.replace("Lobby:     ", "  "))
        self.assertIn(str(self.folder), text)
        self.assertNotIn("metrics", text)

    def test_greeting_elsewhere(self) -> None:
        """Commands are told of ports, and of hosts, that they would not try by themselves."""
        daemon = self.wire(lobby="tcp:7500", developer="tcp:7001", web="off", admin="off")
        daemon.privilegedStartService()
        doors = {door.name: door for door in daemon.doors}
        settings = read_settings({"data": str(self.folder)}, {}, node="n")
        text = tap.greeting(settings, Addresses(), doors)
        self.assertIn("gameroom play --server 127.0.0.1:7500, or telnet 127.0.0.1 7500\n", text)
        self.assertIn("gameroom dev, or telnet 127.0.0.1 7001\n", text)
        text = tap.greeting(settings, Addresses(public_host="play.example"), doors)
        self.assertIn("gameroom dev --server play.example:7001, or", text)


class SignalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.reactor: Any = mock.Mock()
        self.reactor.callFromThread = lambda call, *args: call(*args)
        self.daemon: Any = mock.Mock(draining=False)
        self.drained: Deferred[None] = Deferred()
        self.daemon.drain.return_value = self.drained
        self.hung_up = 0
        tap.heed_signals(self.reactor, self.daemon, self.hang_up)

    def hang_up(self) -> None:
        self.hung_up += 1

    def send(self, number: signal.Signals) -> None:
        handler: Any = signal.getsignal(number)
        handler(number, None)

    def test_terminate(self) -> None:
        """SIGTERM drains, and stops when that is done."""
        self.send(signal.SIGTERM)
        self.daemon.drain.assert_called_once_with()
        self.reactor.stop.assert_not_called()
        self.drained.callback(None)
        self.reactor.stop.assert_called_once_with()

    def test_terminate_twice(self) -> None:
        """A second SIGTERM stops at once, and what the first began does no harm any more."""
        self.send(signal.SIGTERM)
        self.daemon.draining = True
        self.send(signal.SIGTERM)
        self.daemon.drain.assert_called_once_with()
        self.reactor.stop.assert_called_once_with()
        self.reactor.stop.side_effect = ReactorNotRunning
        self.drained.callback(None)
        self.successResultOf(self.drained)

    def test_hang_up(self) -> None:
        """SIGHUP re-opens and re-reads."""
        self.send(signal.SIGHUP)
        self.assertEqual(self.hung_up, 1)


class ReloadTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "gameroom.toml")
        self.path.write_text("[limits]\ncode_misses = 3")
        self.settings = read_settings({"config": str(self.path)}, {}, node="n")
        self.limits = tap.LiveLimits(self.settings.limits)

    def test_reload(self) -> None:
        """Limits that were changed in the file count for who asks from now on; the log is re-opened."""
        opened: list[int] = []
        self.path.write_text("[limits]\ncode_misses = 4")
        self.assertEqual(self.limits().code_misses, 3)
        tap.reload(self.settings, self.limits, lambda: opened.append(1))
        self.assertEqual((self.limits().code_misses, opened), (4, [1]))

    def test_broken_file(self) -> None:
        """A broken file changes nothing and raises nothing."""
        self.path.write_text("[limits")
        tap.reload(self.settings, self.limits, lambda: None)
        self.assertEqual(self.limits().code_misses, 3)


class FailureTests(SynchronousTestCase):
    def test_one_line_and_status_1(self) -> None:
        """A start that fails is one line on stderr; the exit status follows when twistd has put all away."""
        reactor: Any = MemoryReactorClock()
        reactor.stop = mock.Mock()
        with mock.patch.object(sys, "__stderr__", io.StringIO()) as stderr, mock.patch("atexit.register") as register:
            tap.stop_in_failure(reactor, "web: no")
        self.assertEqual(stderr.getvalue(), "gameroom: web: no\n")
        register.assert_called_once_with(tap.leave_with_status_1)
        for call, args, kwargs in reactor.whenRunningHooks:
            call(*args, **kwargs)
        reactor.stop.assert_called_once_with()
        with mock.patch("os._exit") as leave:
            tap.leave_with_status_1()
        leave.assert_called_once_with(1)


@implementer(ILogObserver)
class Observer:
    def __call__(self, event: object) -> None: ...


class PluginTests(SynchronousTestCase):
    def test_plugin(self) -> None:
        """Twisted knows `twistd gameroom`."""
        found: list[Any] = [plugin for plugin in getPlugins(IServiceMaker) if plugin.tapname == "gameroom"]
        [plugin] = found
        self.assertEqual((plugin.module, plugin.options, plugin.makeService), ("gameroom.tap", tap.Options, tap.makeService))

    def test_log_observer(self) -> None:
        """The application logs as we say, and our service is in it."""
        inner: Any = MultiService()
        application, observer = Application("x"), Observer()
        tap.Logged(inner, observer).setServiceParent(application)
        self.assertIs(application.getComponent(ILogObserver), observer)
        self.assertIs(inner.parent.parent, IService(application))
