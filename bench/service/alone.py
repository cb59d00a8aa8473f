"""What an update costs without gameroom: the commits by themselves, and the loop that one would write by hand around service and database.

python bench/service/alone.py commits|loop DATABASE ROOMS STATE WARMUP SECONDS PORT

DATABASE is a file, or the URL of a PostgreSQL database; STATE the bytes of a state, PORT the service's.
Prints "measuring", and at the end one line of JSON, as `load/counting.c` does.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sqlite3
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import attrs

from gameroom.wire.game_service import Message, Player, Started, Update, state_from_bytes, update_to_bytes
from gameroom.wire.prefixed import Frames, framed

CONNECTIONS, MOST_BYTES, REMEMBERED = 8, 16 << 20, 256
TABLES = (
    "CREATE TABLE alone_games (room_id TEXT PRIMARY KEY, play_id TEXT, sequence BIGINT, state {bytes}, players TEXT, shown {bytes}, timer_ms BIGINT)",
    "CREATE TABLE alone_answers (room_id TEXT, user_id TEXT, id BIGINT, answer TEXT, PRIMARY KEY (room_id, user_id, id))",
)
BEGIN = "INSERT INTO alone_games (room_id) VALUES (:room_id)"
STEP = (
    "UPDATE alone_games SET play_id = :play_id, sequence = :id, players = :players, state = :state, shown = :shown WHERE room_id = :room_id",
    "INSERT INTO alone_answers (room_id, user_id, id, answer) VALUES (:room_id, :user_id, :id, :answer)",
    "DELETE FROM alone_answers WHERE room_id = :room_id AND user_id = :user_id AND id <= :old",
)
"""What gameroom writes for each update: the room's row, and what its sender is answered."""

Row = dict[str, Any]


class Commits(Protocol):
    """A database as plain as one can use it."""

    def group(self, statements: Iterable[str], rows: Sequence[Row]) -> None:
        """All of these for each row, in one commit, which is on the disk then."""


class InSQLite:
    """As gameroom has it: a write-ahead log, and a flush at each commit."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", *(table.format(bytes="BLOB") for table in TABLES)):
            self._connection.execute(statement)

    def group(self, statements: Iterable[str], rows: Sequence[Row]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for statement in statements:
            self._connection.executemany(statement, rows)
        self._connection.execute("COMMIT")


class InPostgreSQL:
    """One connection, and rows in batches."""

    def __init__(self, url: str) -> None:
        import psycopg2
        from psycopg2.extras import execute_batch

        self._connection = psycopg2.connect(url)
        self._cursor, self._batch = self._connection.cursor(), execute_batch
        for table in ("alone_games", "alone_answers"):
            self._cursor.execute(f"DROP TABLE IF EXISTS {table}")
        for table in TABLES:
            self._cursor.execute(table.format(bytes="BYTEA"))
        self._connection.commit()

    def group(self, statements: Iterable[str], rows: Sequence[Row]) -> None:
        for statement in statements:
            self._batch(self._cursor, re.sub(r":(\w+)", r"%(\1)s", statement), rows)
        self._connection.commit()


@attrs.define(eq=False)
class Room:
    """One room: what it has come to, and when its update was sent."""

    index: int
    number: int = 0
    state: bytes = b""
    sent: float = 0.0

    @property
    def room_id(self) -> str:
        return f"00000000-0000-4000-8000-{self.index:012}"

    @property
    def players(self) -> tuple[Player, ...]:
        return (Player(seat=0, id=self.room_id, name="Player", connected=True),)

    def update(self, now: float) -> bytes:
        """The next one, framed."""
        self.number, self.sent = self.number + 1, now
        event = Message(seat=0, data=b'{"add":1}', text=True) if self.state else Started(config=b"{}", seed=1 << 52)
        update = Update(
            request=self.number << 20 | self.index,
            room_id=self.room_id,
            sequence=self.number,
            state=self.state,
            players=self.players,
            event=event,
            now_ms=int(time.time() * 1000),
            game_id=self.room_id,
            version="1.0.0",
        )
        return framed(update_to_bytes(update))

    def row(self, shown: bytes) -> Row:
        """What is kept of it."""
        row = {"room_id": self.room_id, "play_id": self.room_id, "user_id": self.room_id, "id": self.number, "old": self.number - REMEMBERED}
        players = json.dumps([attrs.asdict(player) for player in self.players])
        return row | {"state": self.state, "shown": shown, "players": players, "answer": '{"type":"ack"}'}


class Measured:
    """Rates and times after a warm-up."""

    def __init__(self, warmup: float, seconds: float) -> None:
        self._begins = time.monotonic() + warmup
        self._ends = self._begins + seconds
        self._times: list[float] = []
        self._began = self._cpu = 0.0

    def on(self) -> bool:
        """Whether it goes on."""
        now = time.monotonic()
        if not self._began and now >= self._begins:
            self._began, self._cpu = now, time.process_time()
            self._times.clear()
            print("measuring", flush=True)
        return now < self._ends

    def done(self, since: float) -> None:
        self._times.append(time.monotonic() - since)

    def line(self) -> str:
        """What came of it."""
        times = sorted(self._times)
        took, cpu = time.monotonic() - self._began, time.process_time() - self._cpu
        p50, p99 = (times[int(part * (len(times) - 1))] if times else 0.0 for part in (0.5, 0.99))
        return json.dumps({"done": len(times), "seconds": took, "cpu": cpu, "p50": p50, "p99": p99})


def commits(database: Commits, rooms: Sequence[Room], measured: Measured, state_bytes: int) -> None:
    """One commit after the other, each of as many updates as could wait for it: one of each room."""
    shown = b'\x0a\x0b{"n":123456}\x10\x01'
    for room in rooms:
        room.state = b"x" * state_bytes
    while measured.on():
        began = time.monotonic()
        for room in rooms:
            room.number += 1
        database.group(STEP, [room.row(shown) for room in rooms])
        for _ in rooms:
            measured.done(began)


def loop(database: Commits, rooms: Sequence[Room], measured: Measured, port: int) -> None:
    """Send, take what is answered, commit all of it at once, send the next ones."""
    selector = selectors.DefaultSelector()
    links = [socket.create_connection(("127.0.0.1", port)) for _ in range(min(CONNECTIONS, len(rooms)))]
    for link in links:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(link, selectors.EVENT_READ, Frames(MOST_BYTES))
    send(links, rooms)
    while measured.on():
        answers = [frame for key, _ in selector.select(1.0) for frame in key.data.feed(_read(key.fileobj))]
        rows, answered = [], []
        for frame in answers:
            state = state_from_bytes(frame)
            room = rooms[state.request & 0xFFFFF]
            if (state.request >> 20, state.sequence) != (room.number, room.number) or json.loads(state.broadcast[0].data) != {"n": room.number - 1}:
                raise SystemExit(f"the wrong answer to update {room.number}: {state}")
            room.state = state.state
            answered.append(room)
            rows.append(room.row(b"".join(said.data for said in state.broadcast)))
        if answered:
            database.group(STEP, rows)
            for room in answered:
                measured.done(room.sent)
            send(links, answered)


def send(links: Sequence[socket.socket], rooms: Sequence[Room]) -> None:
    """Their next updates, in one write for each connection. Blocks where a service does not read, and that is as well."""
    now = time.monotonic()
    written: dict[socket.socket, list[bytes]] = {}
    for room in rooms:
        written.setdefault(links[room.index % len(links)], []).append(room.update(now))
    for link, updates in written.items():
        link.sendall(b"".join(updates))


def _read(link: Any) -> bytes:
    data: bytes = link.recv(1 << 18)
    if not data:
        raise SystemExit("the service has closed the connection")
    return data


def main(words: Sequence[str]) -> None:
    what, where, count, state_bytes, warmup, seconds, port = words
    database: Commits = InPostgreSQL(where) if "://" in where else InSQLite(where)
    rooms = [Room(index) for index in range(int(count))]
    database.group((BEGIN,), [{"room_id": room.room_id} for room in rooms])
    measured = Measured(float(warmup), float(seconds))
    if what == "commits":
        commits(database, rooms, measured, int(state_bytes))
    else:
        loop(database, rooms, measured, int(port))
    print(measured.line(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
