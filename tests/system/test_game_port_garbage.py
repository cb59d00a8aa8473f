"""Garbage at the game port, with a game going on beside it that does not notice."""

from __future__ import annotations

import socket
import struct
import time
from types import TracebackType

import pytest

from tests.system.garbage import ANY_DOOR, MIB, Vandal, stuff
from tests.system.harness import LOOPBACK, PATIENCE, Daemon, DaemonMaker
from tests.system.native import CONNECTED, ERROR, HOST, JOIN, JSON, LEAVE, PING, PONG, RAW, ROOM, ROOM_PART, START, Native
from tests.system.test_garbage import PATIENT, _assert_unharmed, _vandalise
from tests.system.web import Web

GARBAGE = [b"", b"{}", b"[]", b"\xff" * 40, b'{"id":7}', b'{"id":"\\ud800"}', b"\x0a\xff\xff\xff\xff\x0f", b"[" * 4000, b'{"id":"x"}']
"""Data that may stand in any envelope."""


def _envelope(type_: int, en: int, data: bytes) -> bytes:
    return struct.pack("!BBH", 1, type_ << 2 | en, len(data)) + data


def _answers(connection: socket.socket) -> list[tuple[int, bytes]]:
    """Types and data of all envelopes that come until the end."""
    came = bytearray()
    while data := connection.recv(65536):
        came += data
    found, at = [], 0
    while at < len(came):
        version, head, length = struct.unpack_from("!BBH", came, at)
        assert version == 1
        found.append((head >> 2, bytes(came[at + 4 : at + 4 + length])))
        at += 4 + length
    assert at == len(came)
    return found


def _said(port: int, data: bytes) -> list[tuple[int, bytes]]:
    """What is answered to these bytes by the end of the connection, which comes as ours is half-closed."""
    with socket.create_connection((LOOPBACK, port), timeout=PATIENCE) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return _answers(connection)


def wrong_first_words(port: int) -> None:
    """Each type in each encoding as a stranger's first word: it is answered, and not by a reset."""
    for type_ in range(64):
        for en in range(4):
            for data in (GARBAGE[1], GARBAGE[type_ % len(GARBAGE)]):
                answers = [answer for answer, _ in _said(port, _envelope(type_, en, data))]
                silent = type_ in (ERROR, PONG) and en != 3
                pongs = type_ == PING and en != 3 and len(data) <= 125
                assert answers == ([] if silent else [PONG] if pongs else [ERROR]), (type_, en, data)


def wrong_heads(port: int) -> None:
    """Other versions, announcements that are too large, and envelopes without an end."""
    for data, code in (
        (b"\x00\x05\x00\x02{}", 100),
        (b"\x02", 100),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 100),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 100),
        (b"\x01\x0d\xff\xff", 100),
        (_envelope(3, JSON, b'{"id":"' + b"x" * 16000 + b'"}') + b"\x01\x0d\xff\xff", 101),
    ):
        [(type_, answer), *_] = _said(port, data)
        assert type_ == ERROR
        assert b'"code":%d,' % code in answer, (data[:40], answer)
    for data in (b"\x01", b"\x01\x0d\x00", b"\x01\x0d\x00\x20" + b"x" * 31):
        assert _said(port, data) == []


def crumbs(port: int) -> None:
    """An envelope a byte at a time, with its answer behind the last one."""
    with socket.create_connection((LOOPBACK, port), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in _envelope(PING, RAW, bytes(125)):
            connection.send(bytes((byte,)))
            time.sleep(0.001)
        assert connection.recv(65536) == _envelope(PONG, RAW, bytes(125))


class _Member:
    """A guest in a room of its own, who may say any bytes."""

    def __init__(self, port: int, game_id: str) -> None:
        self.socket = socket.create_connection((LOOPBACK, port), timeout=PATIENCE)
        self._came = self.socket.makefile("rb")
        self.socket.sendall(_envelope(HOST, JSON, b'{"game_id":"%b"}' % game_id.encode()))
        assert self.answer()[0] == CONNECTED

    def answer(self) -> tuple[int, int, bytes]:
        """The next envelope that is no room message. Raises EOFError at the end."""
        while head := self._came.read(4):
            _, kind, length = struct.unpack("!BBH", head)
            data = self._came.read(length)
            if kind >> 2 != ROOM:
                return kind >> 2, kind & 3, data
        raise EOFError

    def __enter__(self) -> _Member:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._came.close()
        self.socket.close()


def wrong_words_of_a_member(game_id: str) -> Vandal:
    """Whoever is in a room may say anything, and gets an answer to each; what is no room message ends it."""
    unanswered = {PONG, ERROR, ROOM, ROOM_PART}
    good_in_a_room = {LEAVE, START}
    endless = [_envelope(ROOM_PART, JSON, bytes(65535)) * 20, _envelope(ROOM_PART, RAW, b"") * 100, _envelope(ROOM, 2, b"")]

    def vandal(port: int) -> None:
        with _Member(port, game_id) as member:
            for type_ in sorted({*range(64)} - unanswered - good_in_a_room):
                for en in range(4):
                    data = GARBAGE[(type_ + en) % len(GARBAGE)]
                    member.socket.sendall(_envelope(type_, en, data))
                    expected = PONG if type_ == PING and en != 3 and len(data) <= 125 else ERROR
                    assert member.answer()[0] == expected, (type_, en, data)
            member.socket.sendall(_envelope(ROOM, JSON, b"\xff") + _envelope(PING, RAW, b"still here"))
            assert member.answer() == (PONG, RAW, b"still here")
        for data in endless:
            with _Member(port, game_id) as member:
                member.socket.sendall(data)
                type_, en, said = member.answer()
                assert type_ == ERROR
                assert said.startswith(b'{"code":100,' if en == JSON else b"\x08\x64"), said
                with pytest.raises(EOFError):
                    member.answer()

    return vandal


def guesses(port: int) -> None:
    """Party codes and tokens are guessed only so often."""
    with Native(port) as guesser:
        for _ in range(3):
            guesser.say(JOIN, {"party_code": "BCDFGH"})
            assert guesser.next()[0] == ERROR
    answers = _said(port, _envelope(3, JSON, b'{"id":"guess"}') * 10)
    assert len(answers) == 3


def flood(port: int) -> None:
    """Sends what is answered, as fast as it can, and does not read: it is told to wait, and then it is sent away."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE)
        connection.connect((LOOPBACK, port))
        stuff(connection, _envelope(PING, RAW, bytes(125)) * 500, most=8 * MIB, patience=PATIENCE)
        answers = _answers(connection)
        assert {type_ for type_, _ in answers} == {PONG, ERROR}
        assert b'"code":106,' in answers[-1][1]
        assert len(answers) < 10_000


def test_garbage_at_the_game_port(make_daemon: DaemonMaker) -> None:
    daemon: Daemon = make_daemon(settings=PATIENT)
    [game, *_] = Web(daemon.web_port).ask("GET", "/games")["games"]
    before = daemon.resident_bytes()
    ours = [wrong_first_words, wrong_heads, crumbs, wrong_words_of_a_member(game["game_id"]), guesses, flood]
    _vandalise(daemon, daemon.game_port, [*ours, *ANY_DOOR])
    _assert_unharmed(daemon, before)
