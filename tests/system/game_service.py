"""The services' side of docs/protocol/game-service.md for tests: game.proto by Google's library, frames, and programs that are asked directly.

It uses nothing of gameroom's own codec, and needs no gameroom: an author of a service may test one just so.
"""

from __future__ import annotations

import json
import os
import re
import socket
import struct
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PROTO = Path(__file__).parents[2] / "gameroom" / "wire" / "game.proto"
PATIENCE = 60.0
LOOPBACK = "127.0.0.1"
NOW = 1_700_000_000_000

_TOKENS = re.compile(r'//[^\n]*|/\*.*?\*/|"[^"]*"|[\w.]+|[{}=;]', re.DOTALL)
_KINDS = {
    name: getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{name.upper()}") for name in ("uint32", "uint64", "int64", "bool", "string", "bytes")
}
_LABELS = {"": 1, "optional": 1, "repeated": 3}


def classes_of(text: str) -> dict[str, Any]:
    """The messages of a proto3 file that has no more in it than game.proto needs, as classes of Google's library, by name."""
    tokens = [token for token in _TOKENS.findall(text) if not token.startswith(("//", "/*"))]
    file = descriptor_pb2.FileDescriptorProto(name="a service's game.proto", syntax="proto3")
    file.package = tokens[tokens.index("package") + 1]
    while "message" in tokens:
        begin = tokens.index("message")
        tokens = _message(file.message_type.add(name=tokens[begin + 1]), tokens[begin + 3 :])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {each.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{each.name}")) for each in file.message_type}


def _message(into: Any, tokens: list[str]) -> list[str]:
    """Take a message's fields up to its closing brace; gives what comes behind it."""
    oneof, optional = None, []
    while tokens:
        first = tokens[0]
        if first == "}" and oneof is None:
            break
        if first == "}":
            oneof, tokens = None, tokens[1:]
        elif first == "oneof":
            oneof, tokens = len(into.oneof_decl), tokens[3:]
            into.oneof_decl.add(name="event")
        else:
            label = first if first in _LABELS else ""
            kind, name, _, number = tokens[bool(label) :][:4]
            field = into.field.add(name=name, number=int(number), label=_LABELS[label])
            if kind in _KINDS:
                field.type = _KINDS[kind]
            else:
                field.type_name = f".gameroom.v1.{kind}"
            if oneof is not None:
                field.oneof_index = oneof
            if label == "optional":
                optional.append(field)
            tokens = tokens[tokens.index(";") + 1 :]
    for field in optional:
        field.proto3_optional, field.oneof_index = True, len(into.oneof_decl)
        into.oneof_decl.add(name=f"_{field.name}")
    return tokens[1:]


CLASSES = classes_of(PROTO.read_text())
GameUpdate, GameState = CLASSES["GameUpdate"], CLASSES["GameState"]


def framed(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


def body_of(said: Any) -> Any:
    """What a broadcast or a view says."""
    assert said.text
    return json.loads(said.data)


class Peer:
    """A connection to a service, as gameroom has up to eight."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((LOOPBACK, port), PATIENCE)
        self._came = b""

    def send(self, *updates: Any) -> None:
        self.socket.sendall(b"".join(framed(update.SerializeToString()) for update in updates))

    def answer(self) -> Any:
        """The next GameState. Raises EOFError where the service ends the connection."""
        [size] = struct.unpack("!I", self._read(4))
        return GameState.FromString(self._read(size))

    def ask(self, update: Any) -> Any:
        self.send(update)
        return self.answer()

    def ended(self) -> bool:
        """Whether the service ends the connection, without another word."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()

    def _read(self, size: int) -> bytes:
        while len(self._came) < size:
            try:
                data = self.socket.recv(1 << 20)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError
            self._came += data
        taken, self._came = self._came[:size], self._came[size:]
        return taken


class Play:
    """A room's side of one play: it keeps the state, makes updates and takes what is answered."""

    def __init__(self, peer: Peer, *names: str, seed: int = 7, room_id: str = "a room") -> None:
        self.peer, self.seed, self.room_id = peer, seed, room_id
        self.players = [{"seat": seat, "id": name.lower(), "name": name, "connected": True} for seat, name in enumerate(names)]
        self.state, self.sequence, self.now_ms = b"", 0, NOW
        self.table: Any = None
        """The last broadcast."""
        self.views: dict[int, Any] = {}
        """The last one of each seat."""
        self.timer_ms: int | None = None
        """What was asked for last; 0 where it was taken back."""
        self.results: Any = None

    def update(self, **event: Any) -> Any:
        """The next GameUpdate: the event's name with its fields."""
        self.now_ms += 1000
        given = GameUpdate(
            request=self.sequence + 1000, room_id=self.room_id, sequence=self.sequence + 1, state=self.state, now_ms=self.now_ms, **event
        )
        given.game_id, given.version = "a game", "1.0.0"
        for player in self.players:
            given.players.add(**player)
        return given

    def start(self, **configuration: Any) -> Any:
        return self.event(started={"config": json.dumps(configuration).encode(), "seed": self.seed})

    def say(self, seat: int, body: Any) -> Any:
        return self.event(message={"seat": seat, "data": json.dumps(body).encode(), "text": True})

    def event(self, **event: Any) -> Any:
        return self.take(self.peer.ask(self.update(**event)))

    def take(self, answer: Any) -> Any:
        """What gameroom does with an answer; gives it."""
        self.sequence += 1
        assert (answer.request, answer.sequence) == (self.sequence + 999, self.sequence)
        if answer.HasField("rejected"):
            return answer
        self.state = answer.state
        for said in answer.broadcast:
            self.table = body_of(said)
        for view in answer.views:
            self.views[view.seat] = body_of(view)
        if answer.HasField("timer_ms"):
            self.timer_ms = answer.timer_ms
        if answer.HasField("finished"):
            self.results = json.loads(answer.finished.results)
        return answer


class ServiceProcess:
    """A service that runs with a listening socket as descriptor 3. As a context manager it is running inside, and gone outside."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self._peers: list[Peer] = []
        with socket.create_server((LOOPBACK, 0)) as listening:
            self.port: int = listening.getsockname()[1]
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", 'exec "$@" 3<&0 0</dev/null', "sh", *command],
                cwd=folder,
                stdin=listening.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], "LISTEN_FDS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            )

    def peer(self) -> Peer:
        self._peers.append(Peer(self.port))
        return self._peers[-1]

    def ended(self, within: float = PATIENCE) -> int:
        """The exit status."""
        return self.process.wait(within)

    def output(self) -> str:
        """All that it has printed; it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.read().decode()

    def __enter__(self) -> ServiceProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        for peer in self._peers:
            peer.close()
        self.process.kill()
        self.process.communicate()


def wait_for_port(port: int) -> None:
    """Until somebody listens there."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection((LOOPBACK, port), PATIENCE).close()
        except ConnectionRefusedError:
            assert time.monotonic() < until, f"nobody listens on port {port}"
            time.sleep(0.02)
