"""`kill -9` in the midst of uploads, publishes and reviews: what was answered is there, no half version is seen, and nothing is left over."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.system.harness import Daemon, DaemonMaker
from tests.system.lobby import PASSWORD, LobbyPeer
from tests.system.store import fetch

KILLS = int(os.environ.get("GAMEROOM_TEST_KILLS", "10"))
"""Of each of two daemons, which two processes of tests may kill side by side; before a release 25 and more."""
WINDOW = 8
CHUNKS = (4096, 65_536, 262_144)
SIZES = (1, 30_000, 400_000, 1_500_000)
WORKS_AT_MOST = 0.25
"""Seconds after which the daemon is killed, at the latest."""


class Over(Exception):
    """The daemon was killed under us."""


class Connection(LobbyPeer):
    """Ends with `Over` where the daemon does."""

    def __enter__(self) -> Connection:
        return self

    def line(self) -> dict[str, Any]:
        try:
            found = super().line()
        except (OSError, AssertionError):
            found = None
        if found is None:
            raise Over
        return found

    def send(self, *args: Any) -> None:
        try:
            super().send(*args)
        except OSError:
            raise Over from None


@attrs.define
class Version:
    """One version on its way: what was sent, and what was answered."""

    name: str
    data: bytes
    chunk_bytes: int
    upload_id: str = ""
    accepted: int = 0
    """Chunks that were answered ok."""
    asked_for_end: bool = False

    @property
    def chunks(self) -> list[bytes]:
        return [self.data[first : first + self.chunk_bytes] for first in range(0, len(self.data), self.chunk_bytes)]

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


class Developer:
    """Uploads one version after the other, and goes on where it was."""

    def __init__(self, daemon: Daemon, name: str, draw: random.Random) -> None:
        self.draw = draw
        self.daemon = daemon
        self.numbers = iter(range(1, 1_000_000))
        self.version = self.another()
        self.published: dict[str, str] = {}
        """Checksums by version, as they were answered."""
        with LobbyPeer(daemon.developer_port) as peer:
            self.token = peer.good("REGISTER_DEV", {"username": name, "password": PASSWORD})["session_token"]
            game = {"name": name, "description": "", "game_type": "cli", "max_players": 2}
            self.game_id = str(peer.good("CREATE_GAME", game, self.token)["game_id"])

    def another(self) -> Version:
        return Version(f"1.{next(self.numbers)}.0", self.draw.randbytes(self.draw.choice(SIZES)), self.draw.choice(CHUNKS))

    def work(self) -> None:
        """Until the daemon is gone."""
        with suppress(Over, ConnectionError), Connection(self.daemon.developer_port) as peer:
            while True:
                self.upload(peer)
                self.published[self.version.name] = self.version.checksum
                self.version = self.another()

    def upload(self, peer: Connection) -> None:
        version = self.version
        begin = {"game_id": self.game_id, "version": version.name, "size_bytes": len(version.data), "checksum": version.checksum}
        version.upload_id = peer.good("UPLOAD_BEGIN", begin, self.token)["upload_id"]
        chunks = version.chunks
        first = sent = peer.good("UPLOAD_STATUS", {"upload_id": version.upload_id}, self.token)["next_seq"]
        assert first >= version.accepted
        while version.accepted < len(chunks):
            version.accepted = max(version.accepted, first)
            while sent < min(len(chunks), version.accepted + WINDOW):
                chunk = {"upload_id": version.upload_id, "seq": sent, "data_b64": base64.b64encode(chunks[sent]).decode()}
                peer.send("UPLOAD_CHUNK", chunk, self.token)
                sent += 1
            if version.accepted < len(chunks):
                answer = peer.answer()
                assert answer["status"] == "ok", answer
                version.accepted += 1
        version.asked_for_end = True
        peer.good("UPLOAD_END", {"upload_id": version.upload_id}, self.token)

    def look(self, data: Path, pick: random.Random) -> None:
        """After a restart: all that was answered is there, and what was under way has happened or has not."""
        with LobbyPeer(self.daemon.developer_port) as peer:
            listed = {each["version"] for each in peer.good("LIST_VERSIONS", {"game_id": self.game_id}, self.token)["versions"]}
            if self.version.name in listed:
                assert self.version.asked_for_end, "what was not finished is not published"
                self.published[self.version.name] = self.version.checksum
                self.version = self.another()
            elif self.version.upload_id:
                status = peer.good("UPLOAD_STATUS", {"upload_id": self.version.upload_id}, self.token)
                assert status["next_seq"] >= self.version.accepted, "a chunk that was answered is written"
                assert status["received_bytes"] == sum(map(len, self.version.chunks[: status["next_seq"]]))
        assert listed == set(self.published)
        for name in pick.sample(sorted(listed), min(3, len(listed))):
            folder = data / "uploadedGame" / self.game_id / name
            assert {path.name for path in folder.iterdir()} == {"bundle.bin", "manifest.json"}
            assert hashlib.sha256((folder / "bundle.bin").read_bytes()).hexdigest() == self.published[name]


class Player:
    """Reviews a game again and again."""

    def __init__(self, daemon: Daemon, name: str, game_id: str) -> None:
        self.daemon, self.game_id, self.name = daemon, game_id, name
        self.numbers = iter(range(1_000_000))
        self.said: list[str] = []
        """Since the last answer, which is the first of them."""
        with LobbyPeer(daemon.lobby_port) as peer:
            self.token = peer.register(name)

    def work(self) -> None:
        with suppress(Over, ConnectionError), Connection(self.daemon.lobby_port) as peer:
            while True:
                number = next(self.numbers)
                self.said.append(f"take {number}")
                peer.good("ADD_REVIEW", {"game_id": self.game_id, "score": number % 5 + 1, "comment": self.said[-1]}, self.token)
                self.said = self.said[-1:]

    def look(self) -> None:
        with LobbyPeer(self.daemon.lobby_port) as peer:
            listed = peer.good("LIST_REVIEWS", {"game_id": self.game_id}, self.token)["reviews"]
            mine = [review for review in listed if review["player"] == self.name]
            detail = peer.good("GET_GAME_DETAIL", {"game_id": self.game_id}, self.token)
        # The first said nothing before.
        assert [review["comment"] for review in mine] in [[comment] for comment in self.said] or (len(self.said) <= 1 and not mine)
        for review in mine:
            assert review["score"] == int(review["comment"].split()[1]) % 5 + 1
            self.said = [review["comment"]]
        scores = [review["score"] for review in listed]
        assert detail["avg_score"] == (round(sum(scores) / len(scores), 2) if scores else None), "the sum is that of the reviews"


def strangers(data: Path, developers: list[Developer]) -> Iterator[Path]:
    """Files and folders that are no version's and no unfinished upload's."""
    unfinished = {developer.version.upload_id for developer in developers}
    yield from (path for path in (data / "uploads").iterdir() if path.stem not in unfinished)
    for developer in developers:
        folder = data / "uploadedGame" / developer.game_id
        if folder.exists():
            yield from (path for path in folder.iterdir() if path.name not in developer.published)


def at_once(works: list[Callable[[], None]], then: Callable[[], None]) -> None:
    """Do all these in threads, and this while they work; raises what one of them raised."""
    problems: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    then()
    for thread in threads:
        thread.join()
    for problem in problems:
        raise problem


@pytest.mark.parametrize("seed", [4, 5])
def test_killed_at_any_moment(make_daemon: DaemonMaker, seed: int) -> None:
    """Two developers upload and publish, a player reviews, and the daemon is killed again and again, whatever it is at."""
    draw = random.Random(seed)
    daemon = make_daemon()
    developers = [Developer(daemon, f"developer{number}", random.Random(f"{seed} {number}")) for number in range(2)]
    players = [Player(daemon, f"player{number}", developers[0].game_id) for number in range(2)]
    data = daemon.folder / "var"

    def kill() -> None:
        time.sleep(draw.uniform(0.0, WORKS_AT_MOST))
        daemon.kill9()

    def came_to_something() -> bool:
        return all(len(developer.published) > KILLS // 5 for developer in developers) and all(player.said for player in players)

    for number in range(10 * KILLS):
        if number >= KILLS and came_to_something():
            break
        at_once([*(developer.work for developer in developers), *(player.work for player in players)], kill)
        daemon.start_again()
        for developer in developers:
            developer.look(data, draw)
        for player in players:
            player.look()
        assert list(strangers(data, developers)) == []
    assert came_to_something()
    with LobbyPeer(daemon.lobby_port) as peer:
        for developer in developers:
            assert fetch(peer, developer.game_id, players[0].token).whole
