"""What is compared: the servers, the work, and everything that came of it, as it is kept in a file."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from measuring import Figures
from peer_servers import Colyseus, Peer
from peer_setup import Peers
from servers import GamePort, Gameroom, ServerUnderTest

OURS = "gameroom"
"""As `make run` has it: compiled, where that can be."""
PLAIN = "gameroom plain"
PORT = "gameroom, game port"
COLYSEUS, WS, AUTOBAHN, LIMIT, EAGER = "Colyseus", "Node ws", "autobahn", "C", "C eager"
"""Those that ratios are taken to."""
WINDOW = 2


@attrs.frozen(kw_only=True)
class Case:
    """Some work: so many rooms of so many players, as fast as it goes or so many turns a second."""

    key: str
    rooms: int
    players: int
    rate: float = 0.0

    def __str__(self) -> str:
        paced = f", {self.rate:g} turns a second" if self.rate else ", closed loop"
        return f"{self.rooms} rooms × {self.players} players{paced}"


# A room of ours has 64 players at most.
CASES = {
    case.key: case
    for case in (
        Case(key="50x4", rooms=50, players=4),
        Case(key="250x4", rooms=250, players=4),
        Case(key="10x16", rooms=10, players=16),
        Case(key="2x64", rooms=2, players=64),
        Case(key="paced", rooms=250, players=4, rate=10.0),
    )
}


@attrs.frozen
class Contender:
    """A server in the table."""

    make: Callable[[], ServerUnderTest]
    encoding: str = "binary"


def contenders(peers: Peers) -> dict[str, Contender]:
    """By the name in the table; those whose programs stand ready."""
    ours = {
        OURS: Contender(partial(Gameroom, "gameroom", peers.compiled)),
        f"{OURS} JSON": Contender(partial(Gameroom, "gameroom", peers.compiled), "json"),
        PORT: Contender(partial(GamePort, "gameroom", peers.compiled)),
        f"{OURS} epoll": Contender(partial(Gameroom, "epoll", peers.compiled)),
    }
    if peers.compiled is not None:
        ours |= {
            PLAIN: Contender(partial(Gameroom, "gameroom")),
            f"{PLAIN} JSON": Contender(partial(Gameroom, "gameroom"), "json"),
            f"{PLAIN}, game port": Contender(partial(GamePort, "gameroom")),
        }
    kinds: dict[str, type[Peer]] = {COLYSEUS: Colyseus}
    return ours | {name: Contender(partial(kinds.get(name, Peer), command, extra)) for name, (command, extra) in peers.commands.items()}


@attrs.define
class Results:
    """All runs, and where and with what they were made."""

    about: dict[str, str]
    versions: dict[str, str]
    left_out: dict[str, str]
    runs: dict[str, dict[str, list[Figures]]] = attrs.field(factory=dict)
    """By case, by server."""

    def add(self, case: str, server: str, figures: Figures) -> None:
        self.runs.setdefault(case, {}).setdefault(server, []).append(figures)

    def to_json(self) -> str:
        return json.dumps(attrs.asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Results:
        kept: dict[str, Any] = json.loads(text)
        runs: Mapping[str, Mapping[str, list[dict[str, float]]]] = kept.pop("runs")
        read = {case: {server: [Figures(**run) for run in of_server] for server, of_server in of_case.items()} for case, of_case in runs.items()}
        return cls(**kept, runs=read)


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    model = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {"cpu": model[0] if model else platform.machine(), "system": f"{platform.system()} {platform.release()}"}
