"""The clients of the machines that play lock-step, and by what terms they play."""

from __future__ import annotations

import hypothesis.strategies as st

from gameroom.rules.lockstep_values import Terms
from gameroom.wire.lockstep import CommandPacket

TERMS = st.builds(
    Terms,
    input_delay=st.integers(1, 4),
    checksum_interval=st.integers(1, 3),
    lag_after=st.just(1.0),
    drop_after=st.just(10.0),
    room_ttl=st.just(30.0),
    on_divergence=st.sampled_from(["halt", "evict", "resync"]),
    patience=st.sampled_from([None, None, 0.5, 3.0]),
)


class Client:
    """A player's client that follows docs/protocol/lockstep.md, on a network that loses packets."""

    def __init__(self) -> None:
        self.have = 0
        """The masters below this have come."""
        self.made: dict[int, CommandPacket] = {}
        self.connected = True
        self.taint = 0
        """What is wrong with its state; its hashes tell."""
        self.silent = False
        """It leaves its hashes out."""
