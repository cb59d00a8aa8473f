"""The admin door: health, readiness and metrics."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.admin import AdminSite
from gameroom.metrics import Metrics
from tests.doors.web.world import TCP, Response, read_responses


class AdminCase(SynchronousTestCase):
    token = ""

    def setUp(self) -> None:
        self.clock = Clock()
        self.answer: Deferred[None] = succeed(None)
        self.metrics = Metrics()
        self.site = AdminSite(ready=lambda: self.answer, metrics=self.metrics, clock=self.clock, token=self.token)
        self.addCleanup(self.site.doStop)
        self.site.doStart()

    def connect(self) -> tuple[Any, TCP]:
        channel: Any = self.site.buildProtocol(IPv4Address("TCP", "127.0.0.1", 40000))
        transport = TCP()
        channel.makeConnection(transport)
        return channel, transport

    def ask(self, path: str, authorization: str = "", method: str = "GET", body: str = "") -> list[Response]:
        """What is answered so far."""
        channel, self.transport = self.connect()
        lines = [f"{method} {path} HTTP/1.1", "Host: x"]
        lines += [f"Authorization: {authorization}"] if authorization else []
        lines += [f"Content-Length: {len(body)}"] if body else []
        channel.dataReceived("\r\n".join([*lines, "", body]).encode())
        return read_responses(self.transport.value())

    def get(self, path: str, authorization: str = "") -> Response:
        [response] = self.ask(path, authorization)
        return response


class OpenTests(AdminCase):
    def test_healthz(self) -> None:
        """The process answers, whether or not anything behind it does."""
        self.answer = Deferred()
        self.assertEqual((self.get("/healthz").status, self.get("/healthz").body), (200, b"ok\n"))

    def test_ready(self) -> None:
        """200 where this node takes players, 503 with the reason where not."""
        self.assertEqual(self.get("/readyz").status, 200)
        self.answer = fail(Exception("going down"))
        response = self.get("/readyz")
        self.assertEqual((response.status, response.body), (503, b"not ready: going down\n"))

    def test_database_that_hangs(self) -> None:
        """A database that does not answer is not waited for: 503 after five seconds."""
        self.answer = Deferred()
        self.assertEqual(self.ask("/readyz"), [])
        self.clock.advance(5.0)
        [response] = read_responses(self.transport.value())
        self.assertEqual(response.status, 503)

    def test_peer_that_goes(self) -> None:
        """Who hangs up while we ask the database disturbs nothing."""
        self.answer = Deferred()
        channel, _ = self.connect()
        channel.dataReceived(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        channel.connectionLost(Failure(ConnectionDone()))
        self.answer.callback(None)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_metrics(self) -> None:
        """What Prometheus reads, in its format, not to be cached; the door counts itself."""
        response = self.get("/metrics")
        self.assertEqual(response.status, 200)
        self.assertEqual(response.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertEqual(response.headers["cache-control"], "no-store")
        self.assertIn(b'gameroom_connections{door="admin"} 1.0', response.body)

    def test_nothing_else(self) -> None:
        """Other paths and methods are not there, and a body is bounded."""
        self.assertEqual(self.get("/").status, 404)
        self.assertEqual(self.get("/nothing").status, 404)
        self.assertEqual(self.ask("/healthz", method="POST")[0].status, 405)
        channel, transport = self.connect()
        channel.dataReceived(b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 300000000\r\n\r\n")
        self.assertEqual(read_responses(transport.value())[0].status, 413)


class GuardedTests(AdminCase):
    token = "s3cret"

    def test_token(self) -> None:
        """With a token in the configuration metrics need it as Bearer."""
        self.assertEqual(self.get("/metrics", "Bearer s3cret").status, 200)
        self.assertEqual(self.get("/metrics", "bearer  s3cret").status, 200)
        for authorization in ("", "Bearer", "Bearer s3cre", "Basic s3cret", "s3cret"):
            response = self.get("/metrics", authorization)
            self.assertEqual(response.status, 401, authorization)
            self.assertEqual(response.headers["www-authenticate"], 'Bearer realm="gameroom admin"')

    def test_health_is_open(self) -> None:
        """A load balancer has no token."""
        self.assertEqual((self.get("/healthz").status, self.get("/readyz").status), (200, 200))
