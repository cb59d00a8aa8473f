"""Recordings of real plays, looked at from a shell; and commands that are checked on their way."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest

from tests.system.harness import Daemon
from tests.system.network import Weather
from tests.system.player import Player
from tests.system.replaying import replay
from tests.system.scenario import ENCODINGS, lay_table, play_all, run

NEAR = Weather(latency=0.002)
END = 120
WRONG_AT = 40


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("policy", ["evict", "resync"])
def test_a_play_that_diverged_and_went_on(daemon: Daemon, encoding: str, policy: str) -> None:
    """It is listed, it holds together, and the states that were given show where they differ."""
    table = lay_table(daemon, encoding=encoding, players=3, on_divergence=policy, input_delay=4)
    clients = [table.sit(finish_at=END, weather=NEAR, corrupt_at=WRONG_AT if seat == 2 else None) for seat in range(3)]
    for client in clients[:2]:
        client.player.expects_divergence = True
    run(lambda: play_all(clients), within=60)
    play_id = clients[0].player.play_id
    assert play_id is not None
    status, verified = replay(daemon, "verify", play_id)
    assert (status, verified["errors"], verified["notes"]) == (0, [], [])
    assert verified["generations"] >= END
    status, [listed] = replay(daemon, "list")
    assert (listed["play_id"], listed["ended"]) == (play_id, "finished")
    _, shown = replay(daemon, "show", play_id)
    assert shown["summary"]["divergences"] == 1
    if shown["summary"]["dumps"] == 3:
        status, compared = replay(daemon, "diff", play_id)
        assert status == 1
        assert [pair["differences"] != [] for pair in compared["compared"] if pair["seats"][1] == 2] == [True]


def slip_in(player: Player, command: dict[str, Any]) -> list[int]:
    """From now on each packet has this command at its end, of which the player knows nothing. Gives the list of those that are sent."""
    honest, send, sent = player._commands, player._send, list[int]()

    def dishonest(generation: int) -> None:
        sent.append(generation)
        with mock.patch.object(player, "_commands", lambda seat, number: [*honest(seat, number), command]):
            send(generation)

    player._send = dishonest  # type: ignore[method-assign]
    return sent


def test_commands_are_checked_on_their_way(daemon: Daemon) -> None:
    """What does not match the room's schema is in no master, its sender is told once a packet, and the play goes to its end in step."""
    schema = {
        "$ref": "#/$defs/order",
        "$defs": {
            "order": {
                "type": "object",
                "properties": {"unit": {"type": "integer", "minimum": 0, "maximum": 255}, "to": {"type": "array"}, "note": {"maxLength": 20}},
                "required": ["unit", "to"],
            }
        },
    }
    table = lay_table(daemon, command_schema=schema)
    clients = [table.sit(finish_at=END, weather=NEAR) for _ in range(2)]
    sent = slip_in(clients[1].player, {"unit": 256, "to": []})
    run(lambda: play_all(clients), within=60)
    told = clients[1].player.errors
    assert {error["code"] for error in told} == {100}
    assert set(sent) == set(range(END))
    # Where nothing comes for long the player sends some of them again.
    assert END <= len(told) <= len(sent)
    assert all("256 is greater than the maximum of 255 (at /unit)" in error["message"] for error in told)
    told.clear()
    table.assert_agreed()
