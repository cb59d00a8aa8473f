"""A page and its GameServer on a real daemon: neither outruns the other, and no play outlives a kill."""

from __future__ import annotations

import asyncio
import json

from tests.system.garbage import MIB
from tests.system.harness import Daemon, DaemonMaker
from tests.system.scenario import run
from tests.system.store import upload
from tests.system.test_browser_relay import packed
from tests.system.test_relay import Program
from tests.system.web import Seat, Web
from tests.system.websocket import BINARY, TEXT

TOML = b"""[hosting]
kind = "server"
max_players = 1

[server]
command = ["python3", "server.py"]
"""
SERVER = b'''"""Reads nothing for a while, then all, says as much at once, and is done."""
import json, socket, struct, time

def heard(of):
    head = of.recv(4, socket.MSG_WAITALL)
    return head[1] >> 2, of.recv(head[2] << 8 | head[3], socket.MSG_WAITALL)

def say(to, type_, value):
    body = json.dumps(value).encode()
    to.sendall(struct.pack("!BBH", 1, type_ << 2 | 1, len(body)) + body)

listening = socket.socket(fileno=3)
control = listening.accept()[0]
heard(control), heard(control)
say(control, 13, {"state": "ready"})
client = listening.accept()[0]
heard(client), heard(client)
say(client, 5, {})
time.sleep(8)
count = 0
while count < 1100:
    type_, body = heard(client)
    assert (type_, len(body)) == (32, 60000), (type_, len(body))
    count += 1
for number in range(1100):
    client.sendall(struct.pack("!BBH", 1, 33 << 2, 60000) + struct.pack("!I", number).ljust(60000, b"."))
say(control, 13, {"state": "finished", "results": {"count": count}})
time.sleep(60)
'''
MUCH = 1100
"""Envelopes of 60,000 bytes: 66 MB. Where its buffers may be 32 MiB each, a kernel keeps some 40 on the way through the daemon."""
KEPT_AT_MOST = 12 * MIB


async def joined(seat: Seat) -> Program:
    """Start the play, and wait for CONNECTED."""
    page = await Program.come(seat)
    page.say(type="start")
    assert (await page.hear_binary())[1] == 5 << 2 | 1
    return page


def test_neither_outruns_the_other(make_daemon: DaemonMaker) -> None:
    """66 MB for a GameServer that does not read, and 66 MB of it for a page that does not: all arrives, and the daemon keeps little of it.

    Then the daemon is killed in the midst of the next play: that is over, its player is told so, and may play again.
    """
    daemon = make_daemon()
    web = Web(daemon.web_port)
    room_id = web.create(web.register(), engine={"game_id": upload(daemon, packed({"game.toml": TOML, "server.py": SERVER}))})
    seat = web.join(room_id)
    run(lambda: flood(daemon, seat), within=120)

    async def in_a_play() -> None:
        await joined(seat)

    run(in_a_play, within=20)
    daemon.kill9()
    daemon.start()
    assert web.ask("GET", f"/join/{room_id}")["state"] == "setup"

    async def after() -> None:
        page = await Program.come(seat)
        assert (await page.hear("over"))["reason"] == "lost"
        page.say(type="start")
        assert (await page.hear_binary())[1] == 5 << 2 | 1

    run(after, within=20)


async def flood(daemon: Daemon, seat: Seat) -> None:
    page = await joined(seat)
    before = daemon.resident_bytes()
    for _ in range(MUCH):
        page.link.send(BINARY, b"\x01\x80\xea\x60" + b"x" * 60000)
    transport = page.link.writer.transport
    await asyncio.sleep(1)
    assert transport.get_write_buffer_size() > 8 * MIB, "the daemon takes no more than it can pass on"
    assert daemon.resident_bytes() - before < KEPT_AT_MOST
    transport.set_write_buffer_limits(0)
    await page.link.writer.drain()
    # Nothing of what comes is taken from the socket but what the stream's small buffer holds.
    await asyncio.sleep(1)
    assert daemon.resident_bytes() - before < KEPT_AT_MOST
    numbers = []
    while True:
        opcode, data = await page.link.receive()
        if opcode == BINARY:
            assert (data[:4], len(data)) == (b"\x01\x84\xea\x60", 60004)
            numbers.append(int.from_bytes(data[4:8], "big"))
        elif opcode == TEXT and (message := json.loads(data))["type"] == "over":
            assert (message["reason"], message["results"]) == ("finished", {"count": MUCH})
            break
    while len(numbers) < MUCH:
        _, data = await page.link.receive()
        if data[:1] == b"\x01":
            numbers.append(int.from_bytes(data[4:8], "big"))
    assert numbers == list(range(MUCH))
    page.link.close()
