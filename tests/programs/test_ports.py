"""Listening sockets for programs, of a machine that the test plays."""

from __future__ import annotations

import socket
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL, EMFILE
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState
from gameroom.programs.ports import BACKLOG, Ports
from gameroom.settings import SandboxSettings


class Socket:
    """A socket of the machine."""

    def __init__(self, machine: Machine, family: int) -> None:
        self.machine, self.family = machine, family
        self.address: tuple[str, int] | None = None
        self.did: list[Any] = []
        self.closed = False

    def setsockopt(self, *option: int) -> None:
        self.did.append(option)

    def setblocking(self, blocking: bool) -> None:
        self.did.append(blocking)

    def bind(self, address: tuple[str, int]) -> None:
        self.machine.tried.append(address[1])
        errno = self.machine.fails.get(address[1])
        if errno is not None:
            raise OSError(errno, "it was the machine")
        self.address = address

    def listen(self, backlog: int) -> None:
        assert self.address is not None
        errno = self.machine.deaf.get(self.address[1])
        if errno is not None:
            raise OSError(errno, "it was the machine")
        self.did.append(backlog)

    def close(self) -> None:
        self.closed = True


class Machine:
    """Its ports, and which of them fail with what."""

    def __init__(self) -> None:
        self.fails: dict[int, int] = {}
        self.deaf: dict[int, int] = {}
        self.tried: list[int] = []
        self.made: list[Socket] = []
        self.full = False

    def make(self, family: int, kind: int) -> Any:
        assert kind == socket.SOCK_STREAM
        if self.full:
            raise OSError(EMFILE, "too many open files")
        self.made.append(Socket(self, family))
        return self.made[-1]


class PortsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.machine = Machine()
        self.ports = Ports(SandboxSettings(direct_ports=(20000, 20003)), self.machine.make)

    def direct(self) -> int:
        listening: Any = self.ports.direct()
        return int(listening.address[1])

    def test_loopback(self) -> None:
        """Any port, which only this machine reaches; blocking, and listening with a long backlog."""
        listening: Any = self.ports.loopback()
        self.assertEqual((listening.address, listening.family), (("127.0.0.1", 0), socket.AF_INET))
        self.assertEqual(listening.did, [(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1), True, BACKLOG])
        self.assertGreaterEqual(BACKLOG, 128)

    def test_in_rotation(self) -> None:
        """A port that was given out is not given out again before all others were."""
        self.assertEqual([self.direct() for _ in range(6)], [20000, 20001, 20002, 20003, 20000, 20001])

    def test_next_free(self) -> None:
        """Ports in use, and those that we may not open, are passed over; nothing stays open of the attempts."""
        self.machine.fails = {20000: EADDRINUSE, 20001: EACCES}
        self.machine.deaf = {20002: EADDRINUSE}
        self.assertEqual([self.direct(), self.direct()], [20003, 20003])
        self.assertEqual([made.closed for made in self.machine.made], [True, True, True, False] * 2)

    def test_none_free(self) -> None:
        """Each is tried once."""
        self.machine.fails = dict.fromkeys(range(20000, 20004), EADDRINUSE)
        error = self.assertRaises(BadState, self.ports.direct)
        self.assertIn("in use", error.message)
        self.assertEqual(self.machine.tried, [20000, 20001, 20002, 20003])

    def test_other_faults(self) -> None:
        """An address that this machine has not, or no descriptors: the log says which, the person to try again."""
        self.machine.fails = {20000: EADDRNOTAVAIL}
        self.assertRaises(BadState, self.ports.direct)
        self.assertEqual(self.machine.tried, [20000])
        self.machine.full = True
        for ask in (self.ports.direct, self.ports.loopback):
            self.assertIn("try again later", self.assertRaises(BadState, ask).message)

    def test_interface(self) -> None:
        """Of the operator's choice, IPv6 too."""
        for interface, family in (("", socket.AF_INET), ("192.0.2.7", socket.AF_INET), ("::", socket.AF_INET6)):
            listening: Any = Ports(SandboxSettings(direct_interface=interface), self.machine.make).direct()
            self.assertEqual((listening.address, listening.family), ((interface, 20000), family))
