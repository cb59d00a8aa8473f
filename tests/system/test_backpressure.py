"""Peers that send and never read, at every door: the daemon stops reading them, or closes them, and keeps its memory."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time

from tests.system.garbage import MIB, stuff
from tests.system.harness import LOOPBACK, PATIENCE, Daemon, DaemonMaker, wait_until
from tests.system.lobby import LobbyPeer, request
from tests.system.network import Weather
from tests.system.scenario import lay_table, play_all, run
from tests.system.websocket import PING, TEXT, frame, request_head

KEPT_AT_MOST = 32 * MIB


def _deaf_socket(port: int) -> socket.socket:
    """A connection that takes very little in before somebody reads it."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.settimeout(PATIENCE)
    deaf.connect((LOOPBACK, port))
    return deaf


def test_requests_at_the_lobby_wait_for_their_reader(daemon: Daemon) -> None:
    """Pipelined requests whose answers nobody reads: they are not read further, others are served, and all answers come once they are read."""
    line = json.dumps(request("HELP")).encode().ljust(2047) + b"\n"
    before = daemon.resident_bytes()
    with _deaf_socket(daemon.lobby_port) as deaf:
        sent = stuff(deaf, line * 100)
        assert daemon.resident_bytes() - before < KEPT_AT_MOST
        with LobbyPeer(daemon.lobby_port) as peer:
            assert peer.good("PING") == {}
        whole, rest = divmod(sent, len(line))
        # Now somebody reads; what is left of a cut request may be completed meanwhile.

        def finish() -> None:
            deaf.sendall(line[rest:] if rest else b"")
            deaf.shutdown(socket.SHUT_WR)

        finisher = threading.Thread(target=finish)
        finisher.start()
        answers = 0
        while data := deaf.recv(1 << 16):
            answers += data.count(b"\n")
        finisher.join()
        assert answers == whole + (rest > 0)


def test_rest_requests_wait_for_their_reader(daemon: Daemon) -> None:
    """Pipelined GETs whose answers nobody reads keep no memory."""
    before = daemon.resident_bytes()
    with _deaf_socket(daemon.web_port) as deaf:
        stuff(deaf, b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 500)
        assert daemon.resident_bytes() - before < KEPT_AT_MOST
    assert daemon.ready()


def test_pings_of_a_web_socket_that_never_reads_keep_no_memory(daemon: Daemon) -> None:
    """Neither the protocol's own pings nor room messages pile up answers."""
    table = lay_table(daemon)
    seat = table.web.join(table.room_id)
    hello = frame(TEXT, json.dumps({"type": "hello", "token": seat.token}).encode())
    for flood in (frame(PING, b"p" * 125) * 500, frame(TEXT, json.dumps({"type": "ping", "t": 1, "id": 1}).encode()) * 500):
        before = daemon.resident_bytes()
        with _deaf_socket(daemon.web_port) as deaf:
            deaf.sendall(request_head(daemon.web_port, seat.path)[0])
            assert b" 101 " in deaf.recv(4096)
            deaf.sendall(hello)
            stuff(deaf, flood)
            assert daemon.resident_bytes() - before < KEPT_AT_MOST
    assert daemon.ready()


def test_a_viewer_who_never_reads_is_closed_and_the_game_goes_on(make_daemon: DaemonMaker) -> None:
    """Past `queue_bytes` of unread masters the connection is closed; players and another viewer notice nothing."""
    daemon = make_daemon(settings={"limits": {"queue_bytes": 256 * 1024}})
    table = lay_table(daemon, encoding="binary")
    first, second = (table.sit(finish_at=700, weather=Weather(latency=0.001), bulk=8000) for _ in range(2))
    viewer = table.sit(viewer=True, bulk=8000)
    seat = table.web.join(table.room_id, viewer=True)
    deaf = _deaf_socket(daemon.web_port)
    deaf.sendall(request_head(daemon.web_port, seat.path)[0])
    time.sleep(0.2)
    deaf.sendall(frame(TEXT, json.dumps({"type": "hello", "token": seat.token}).encode()))

    async def look() -> None:
        before = 0
        await first.reached(100)
        before = daemon.resident_bytes()
        await first.reached(650)
        # The masters of the room itself are kept for late comers; they are ten megabytes or so in all.
        assert daemon.resident_bytes() - before < 2 * KEPT_AT_MOST

    run(lambda: play_all([first, second, viewer], look()), within=90)
    table.assert_agreed()
    # What the kernel had taken over before comes, and then the end.
    deaf.settimeout(PATIENCE)

    def ended() -> bool:
        try:
            return not deaf.recv(1 << 20)
        except ConnectionResetError:
            return True

    wait_until(ended, "the connection that nobody read is closed")
    deaf.close()


def test_out_of_descriptors_it_serves_those_it_has(make_daemon: DaemonMaker) -> None:
    """With all file descriptors used up the living connections are served, and new ones again when there is room."""
    daemon = make_daemon(descriptors=96)
    table = lay_table(daemon)
    players = [table.sit(finish_at=400, weather=Weather(latency=0.003)) for _ in range(2)]
    with LobbyPeer(daemon.lobby_port) as peer:
        token = peer.register()
        crowd: list[socket.socket] = []

        async def flood() -> None:
            await players[0].reached(100)
            ports = [daemon.lobby_port, daemon.web_port] * 60
            crowd.extend([await asyncio.to_thread(socket.create_connection, (LOOPBACK, port), PATIENCE) for port in ports])
            answer = await asyncio.to_thread(peer.ask, "LIST_ROOMS", None, token)
            assert answer["code"] == 0
            await players[0].reached(200)
            for connection in crowd:
                connection.close()

        run(lambda: play_all(players, flood()), within=60)
        table.assert_agreed()
        assert peer.good("PING") == {}

    def serves() -> bool:
        try:
            with LobbyPeer(daemon.lobby_port) as late:
                return bool(late.ask("PING")["status"] == "ok")
        except (OSError, AssertionError):
            return False

    wait_until(serves, "new connections are served again")
    said = [line for line in daemon.log().splitlines() if "EMFILE" in line or "file descriptor" in line]
    assert 1 <= len(said) <= 5, "it is logged once, and not for each connection"
