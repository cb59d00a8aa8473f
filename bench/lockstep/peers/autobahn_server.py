"""Twisted with autobahn as it is, on Twisted's own reactor: python autobahn_server.py PORT.

A WebSocket is at /<room>/<seat>/<players>/<input delay>.
A room gathers one command packet of each player, makes one master of them, and sends it to all as one prepared message.
The packets are those of binary rooms (docs/protocol/lockstep.md).
"""

from __future__ import annotations

import json
import struct
import sys
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import reactor

GENERATION = struct.Struct("!I")
MASTER_HEAD = struct.Struct("!BBIHIQH")
ENTRY = struct.Struct("!HH")
HEAD = 22


class Room:
    """One room, from its first member on."""

    def __init__(self, factory: Any, players: int, delay: int) -> None:
        self.factory, self.players, self.delay = factory, players, delay
        self.members: set[Member] = set()
        self.ready = self.next = 0
        self.window: dict[int, dict[int, bytes]] = {}

    def take_text(self, member: Member, text: bytes) -> None:
        message = json.loads(text)
        if message["type"] == "hello":
            member.sendMessage(b'{"type":"welcome"}')
        elif message["type"] == "ready":
            self.ready += 1
            if self.ready == self.players:
                self.broadcast(json.dumps({"type": "start", "input_delay": self.delay}).encode(), binary=False)

    def take_packet(self, seat: int, packet: bytes) -> None:
        (generation,) = GENERATION.unpack_from(packet, 2)
        if not self.next <= generation < self.next + self.delay:
            return
        self.window.setdefault(generation, {}).setdefault(seat, packet[HEAD:])
        while len(self.window.get(self.next, ())) == self.players:
            self.broadcast(self.master(self.window.pop(self.next)), binary=True)
            self.next += 1

    def master(self, commands: dict[int, bytes]) -> bytes:
        parts = [MASTER_HEAD.pack(2, 0, self.next, 3, 0, 0, len(commands))]
        for seat in range(self.players):
            parts += ENTRY.pack(seat, len(commands[seat])), commands[seat]
        return b"".join(parts)

    def broadcast(self, payload: bytes, *, binary: bool) -> None:
        prepared = self.factory.prepareMessage(payload, isBinary=binary)
        for member in self.members:
            member.sendPreparedMessage(prepared)


class Member(WebSocketServerProtocol):
    """One connection."""

    room: Room
    seat = 0

    def onConnect(self, request: Any) -> str:
        number, self.seat, players, delay = map(int, request.path[1:].split("/"))
        rooms = self.factory.rooms
        if number not in rooms:
            rooms[number] = Room(self.factory, players, delay)
        self.room = rooms[number]
        self.room.members.add(self)
        return "gameroom.v1"

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if isBinary:
            self.room.take_packet(self.seat, payload)
        else:
            self.room.take_text(self, payload)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        self.room.members.discard(self)


def main() -> None:
    factory = WebSocketServerFactory(protocols=["gameroom.v1"])
    factory.protocol = Member
    factory.rooms = {}
    factory.setProtocolOptions(utf8validateIncoming=False, perMessageCompressionAccept=lambda _offers: None)
    running: Any = reactor
    running.listenTCP(int(sys.argv[1]), factory, backlog=4096, interface="127.0.0.1")
    running.run()


if __name__ == "__main__":
    main()
