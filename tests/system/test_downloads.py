"""Files of the store from a real lobby: to readers of any speed, with little memory, and with everything else going on beside them."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from tests.system.garbage import MIB
from tests.system.harness import LOOPBACK, PATIENCE, Daemon
from tests.system.lobby import LobbyPeer, request
from tests.system.store import Fetched, fetch, upload

FILE = random.Random(3).randbytes(24 * MIB + 4321)
CHUNKS_UNDER_WAY = 3 * MIB
"""What a connection has in its transport and in the kernel's buffers on both sides, at the most."""


def test_files_arrive(daemon: Daemon) -> None:
    """A file whole, in chunks of any size; a broken one from where it was; the player is known as one who has it."""
    game_id = upload(daemon, FILE[: 3 * MIB])
    with LobbyPeer(daemon.lobby_port) as peer:
        token = peer.register()
        for size in (None, 1000, 262_144):
            fields: dict[str, Any] = {} if size is None else {"chunk_size": size}
            assert fetch(peer, game_id, token, **fields).whole
        rest = fetch(peer, game_id, token, chunk_size=100_000, from_seq=30)
        assert rest.sha256.hexdigest() == hashlib.sha256(FILE[3_000_000 : 3 * MIB]).hexdigest()
        peer.good("ADD_REVIEW", {"game_id": game_id, "score": 5, "comment": "Well made."}, token)
        detail = peer.good("GET_GAME_DETAIL", {"game_id": game_id}, token)
        assert (detail["avg_score"], [review["score"] for review in detail["reviews_sample"]]) == (5.0, [5])
        assert peer.ask("DOWNLOAD_BEGIN", {"game_id": "nope"}, token)["code"] == 103


def test_half_closed(daemon: Daemon) -> None:
    """`printf … | nc -N`: the file comes whole, then the connection ends."""
    game_id = upload(daemon, FILE[:MIB])
    with LobbyPeer(daemon.lobby_port) as peer:
        token = peer.register()
        peer.send("DOWNLOAD_BEGIN", {"game_id": game_id}, token)
        peer.socket.shutdown(socket.SHUT_WR)
        fetched = Fetched()
        answer = peer.line()
        assert answer is not None
        assert answer["status"] == "ok"
        while line := peer.line():
            fetched.take(line)
        assert (fetched.whole, fetched.size) == (True, MIB)


def test_a_ping_is_answered_between_chunks(daemon: Daemon) -> None:
    """A client that downloads at full speed has its PING answered after what was on its way, and nobody else waits for the file."""
    game_id = upload(daemon, FILE)
    with LobbyPeer(daemon.lobby_port) as peer, LobbyPeer(daemon.lobby_port) as other:
        token = peer.register()
        for size in (4096, 262_144):
            peer.good("DOWNLOAD_BEGIN", {"game_id": game_id, "chunk_size": size}, token)
            fetched, waits, sent_at, asked = Fetched(), list[int](), -1, False
            for push in peer.pushes:
                fetched.take(push)
            peer.pushes.clear()
            while fetched.last is None:
                if sent_at < 0 and fetched.size < len(FILE) // 2:
                    sent_at = fetched.size
                    peer.send("PING")
                if not asked and fetched.size > len(FILE) // 4:
                    # Nothing of the file is read meanwhile.
                    asked = True
                    assert other.good("PING") == {}
                line = peer.line()
                assert line is not None
                if "status" in line:
                    waits.append(fetched.size - sent_at)
                    sent_at = -1
                else:
                    fetched.take(line)
            assert fetched.whole
            assert waits
            assert max(waits) < 2 * CHUNKS_UNDER_WAY, waits
            assert asked


def test_readers_that_do_not_read_cost_little(daemon: Daemon) -> None:
    """Many downloads that nobody reads, with requests beside them: flat memory, others are served; then one reads, a little at a time."""
    game_id = upload(daemon, FILE)
    with LobbyPeer(daemon.lobby_port) as first:
        assert fetch(first, game_id, first.register(), chunk_size=262_144).whole
    before = daemon.resident_bytes()
    deaf = [_deaf(daemon) for _ in range(8)]
    for peer in deaf:
        token = peer.register()
        line = orjson.dumps(request("DOWNLOAD_BEGIN", {"game_id": game_id, "chunk_size": 262_144}, token)) + b"\n"
        peer.send_raw(line * 4 + (orjson.dumps(request("HELP")) + b"\n") * 200)
    with LobbyPeer(daemon.lobby_port) as other:
        for _ in range(20):
            assert other.good("PING") == {}
            time.sleep(0.05)
        assert daemon.resident_bytes() - before < len(deaf) * 2 * MIB
        slow, *rest = deaf
        for peer in rest:
            peer.socket.close()
        lines = _read_slowly(slow, 3 * MIB)
        assert other.good("PING") == {}
        slow.socket.close()
    assert len(lines) > 10
    assert daemon.resident_bytes() - before < len(deaf) * 2 * MIB


def test_a_crowd_that_downloads_holds_nobody_up(daemon: Daemon) -> None:
    """While many download at full speed, somebody else's requests are answered long before any of them is through."""
    game_id = upload(daemon, FILE)
    going_on = threading.Event()
    going_on.set()
    downloads: list[Fetched] = []

    def download() -> None:
        with LobbyPeer(daemon.lobby_port) as peer:
            token = peer.register()
            while going_on.is_set():
                downloads.append(Fetched())
                fetch(peer, game_id, token, downloads[-1], chunk_size=262_144)

    def come() -> int:
        """The bytes that all of them have got."""
        return sum(each.size for each in downloads)

    crowd = [threading.Thread(target=download) for _ in range(6)]
    for thread in crowd:
        thread.start()
    waits = []
    with LobbyPeer(daemon.lobby_port) as other:
        for _ in range(100):
            before = come()
            assert other.good("PING") == {}
            waits.append(come() - before)
            time.sleep(0.005)
    crowd_is_there = all(thread.is_alive() for thread in crowd)
    going_on.clear()
    for thread in crowd:
        thread.join()
    assert crowd_is_there
    assert come() > len(FILE), "the daemon was busy with them"
    # A time would say more of what else the machine does.
    assert sorted(waits)[len(waits) // 2] < len(FILE) // 2, waits


def test_going_down(daemon: Daemon) -> None:
    """Who downloads is told, and the daemon does not wait for who does not read."""
    game_id = upload(daemon, FILE)
    with LobbyPeer(daemon.lobby_port) as peer, _deaf(daemon) as deaf:
        for each in (peer, deaf):
            each.send("DOWNLOAD_BEGIN", {"game_id": game_id, "chunk_size": 4096}, each.register())
        assert peer.answer()["code"] == 0
        time.sleep(0.5)
        with ThreadPoolExecutor(1) as stopper:
            # Raises where it has to be killed.
            stopped = stopper.submit(daemon.stop)
            last = None
            while line := peer.line():
                last = line
            stopped.result()
        assert last is not None
        assert last["type"] in ("DOWNLOAD_ERROR", "DOWNLOAD_END")


def _deaf(daemon: Daemon) -> LobbyPeer:
    """A peer whose kernel takes very little in before it reads."""
    peer = LobbyPeer(daemon.lobby_port)
    peer.socket.close()
    peer.socket = socket.socket()
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.socket.settimeout(PATIENCE)
    peer.socket.connect((LOOPBACK, daemon.lobby_port))
    return peer


def _read_slowly(peer: LobbyPeer, most: int) -> list[bytes]:
    """The lines among the next bytes, read in small pieces; each must be one."""
    data = b""
    while len(data) < most:
        data += peer.socket.recv(9000)
    lines = data.split(b"\n")[:-1]
    for line in lines:
        orjson.loads(line)
    return lines
