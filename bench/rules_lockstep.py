"""What a lock-step room's own work costs: packets taken apart, gathered, compared, sealed; no network, no disk.

    python -m bench.rules_lockstep [turns]

Prints CPU microseconds, medians of slices of 200 turns: to take a command packet apart, for the rules to take it
(a share of the master included), and both for a whole turn and for each delivery of a master.
Packets carry 32 bytes of commands, a hash of each generation, and a latency that varies.
"""

from __future__ import annotations

import sys
from statistics import median
from time import process_time
from typing import Any

from gameroom.rules.lockstep import Play
from gameroom.rules.lockstep_values import Terms
from gameroom.rules.master import Master
from gameroom.wire.lockstep import BINARY, JSON, CommandPacket, encode_command

SLICE = 200
DELAY = 2


def binary_packet(generation: int, seat: int) -> bytes:
    about, checksum = (generation - DELAY, generation * 7919) if generation >= DELAY else (-1, 0)
    return encode_command(CommandPacket(generation, 40 + generation * seat % 7, 60, about, checksum, b"c" * 32))


def json_packet(generation: int, seat: int) -> dict[str, Any]:
    packet = {"type": "commands", "generation": generation, "latency": 40 + generation * seat % 7, "framerate": 60, "commands": [{"move": "c" * 19}]}
    if generation >= DELAY:
        packet["checksum"] = {"generation": generation - DELAY, "value": f"{generation * 7919:08x}"}
    return packet


def measure(encoding: str, players: int, turns: int) -> tuple[float, float]:
    """Microseconds a packet: taken apart, and taken by the rules."""
    parse: Any = BINARY.parse if encoding == "binary" else JSON.parse
    make: Any = binary_packet if encoding == "binary" else json_packet
    seats = range(players)
    play = Play(terms=Terms(input_delay=DELAY), packets=BINARY if encoding == "binary" else JSON, seats=seats, connected=seats, now=0.0)
    parsing, receiving = [], []
    for first in range(0, turns, SLICE):
        arriving = [[make(generation, seat) for seat in seats] for generation in range(first, first + SLICE)]
        started = process_time()
        parsed = [[parse(data) for data in turn] for turn in arriving]
        between = process_time()
        masters = 0
        for turn in parsed:
            for seat, packet in enumerate(turn):
                for effect in play.receive(seat, packet, 0.0):
                    masters += type(effect) is Master
        ended = process_time()
        assert masters == SLICE
        parsing.append((between - started) / SLICE / players * 1e6)
        receiving.append((ended - between) / SLICE / players * 1e6)
    return median(parsing), median(receiving)


def main() -> None:
    turns = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print(f"{'':8}{'players':>8}{'parse':>8}{'rules':>8}{'turn':>8}{'delivery':>10}   CPU µs")
    for encoding in ("json", "binary"):
        for players in (2, 4, 8):
            parse, rules = measure(encoding, players, turns)
            # Each player sends one packet and is given one master.
            print(f"{encoding:8}{players:8}{parse:8.2f}{rules:8.2f}{(parse + rules) * players:8.2f}{parse + rules:10.2f}")


if __name__ == "__main__":
    main()
