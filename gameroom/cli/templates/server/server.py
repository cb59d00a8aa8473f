"""Trails: a GameServer in plain Python, with nothing but the standard library.

Everybody draws a trail that never stops. Who runs into a trail or the edge is out, and the last one wins.
The clients only say where they want to go and show what they are told: the truth is here, so nobody can cheat.

gameroom starts this program for each play of a room, in a sandbox. There is no port to open and nobody to log in:

1. Descriptor 3 is a socket that listens already. The first connection that it gives is gameroom's own, for control.
   On it come TYPE and CONTROL, which say who plays; we answer STATUS "ready".
2. Each player is one more connection. On it come TYPE and CLIENT_AUTH, which says who it is and holds CONTROL's token:
   gameroom alone knows that, so it vouches for the player. We answer CONNECTED, then GAME_CONFIG.
3. From there on the connection is the player's, byte by byte. The types from 32 on are ours to define.
4. At the end STATUS "finished" tells the results.

A message is an envelope: a byte 1, a byte with type and encoding, two bytes with the length, and the data.
"""

import hmac
import json
import selectors
import signal
import socket
import struct
import sys
import time

from trails import Game

CONTROL, TYPE, CLIENT_AUTH, CONNECTED, GAME_CONFIG, ERROR, PING, PONG, STATUS = 1, 2, 4, 5, 6, 9, 10, 11, 13
TURN, FIELD = 32, 33  # ours: a player turns, and what the field looks like now
JSON = 1

GATHER_SECONDS, LAST_WORDS_SECONDS = 15, 1
QUEUE_BYTES = 65536


def envelope(type_, data, en=JSON):
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return struct.pack("!BBH", 1, type_ << 2 | en, len(body)) + body


def shown(name):
    """Guests who said no name in a browser have a long id for one; all other names have at most 24 characters."""
    return name if len(name) <= 24 else f"Guest {name[:4]}"


class Connection:
    """A socket with what it needs: half an envelope may have come, and half of one may be on its way out."""

    def __init__(self, sock):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.came, self.waiting = sock, b"", b""
        self.kind, self.seat = None, None

    def envelopes(self):
        """What has come whole; the rest stays for the next time. A stranger's bytes raise ValueError, an end EOFError."""
        try:
            data = self.socket.recv(4096)
        except BlockingIOError:
            return
        if not data:
            raise EOFError
        self.came += data
        while len(self.came) >= 4:
            version, head, length = struct.unpack_from("!BBH", self.came)
            if version != 1:
                raise ValueError("not an envelope")
            if len(self.came) < 4 + length:
                return
            body, self.came = self.came[4 : 4 + length], self.came[4 + length :]
            yield head >> 2, head & 3, body

    def send(self, data=b""):
        """Send it, as far as the other side takes it now. Who never reads is cut off, before its queue eats our memory."""
        self.waiting += data
        try:
            self.waiting = self.waiting[self.socket.send(self.waiting) :]
        except BlockingIOError:
            pass
        if len(self.waiting) > QUEUE_BYTES:
            raise EOFError


class Server:
    def __init__(self, listening):
        self.players, self.connections, self.game = {}, {}, None
        self.selector = selectors.DefaultSelector()
        # gameroom connects for control before it starts us, so this does not wait, and it is surely gameroom.
        self.control = self.add(listening.accept()[0])
        listening.setblocking(False)
        self.listening = listening
        self.selector.register(listening, selectors.EVENT_READ)

    def add(self, sock):
        connection = Connection(sock)
        self.connections[sock] = connection
        self.selector.register(sock, selectors.EVENT_READ)
        return connection

    def close(self, connection):
        if self.connections.pop(connection.socket, None):
            self.selector.unregister(connection.socket)
            connection.socket.close()
            if connection is self.control:
                sys.exit("gameroom has gone")

    def seated(self):
        return {each.seat: each for each in self.connections.values() if each.seat is not None}

    # What comes

    def read(self, sock):
        connection = self.connections.get(sock)
        try:
            if sock is self.listening:
                self.add(sock.accept()[0])
            for type_, en, body in connection.envelopes() if connection else ():
                self.hear(connection, type_, en, body)
        except (EOFError, OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            self.close(connection)  # gone, or no envelope, or not what it has to say

    def hear(self, connection, type_, en, body):
        if type_ == PING:
            self.send(connection, PONG, body, en)  # gameroom asks whether we are alive; a client may ask, too
        elif type_ == TYPE and connection.kind is None:
            connection.kind = "control" if connection is self.control else json.loads(body)["type"]
        elif type_ == CONTROL and connection is self.control:
            self.told(json.loads(body))
        elif type_ == CLIENT_AUTH and connection.kind == "client" and connection.seat is None:
            self.enter(connection, json.loads(body))
        elif type_ == TURN and connection.seat is not None and self.game:
            self.game.turn(connection.seat, json.loads(body)["to"])
        # All else we do not know: newer gamerooms may say more, and it is none of our business.

    def told(self, control):
        """CONTROL: who plays. It comes again whenever somebody has left for good."""
        self.players = {player["seat"]: player for player in control["options"]["players"]}
        if self.game is None:
            self.names = {seat: shown(player["name"]) for seat, player in self.players.items()}
            self.token, config = control["token"], control["options"].get("config") or {}
            self.every, self.countdown = 1 / config.get("steps_per_second", 8), config.get("countdown_seconds", 3)
            self.game = Game(list(self.players), config.get("width", 36), config.get("height", 16))
            self.state, self.until = "gathering", time.monotonic() + GATHER_SECONDS
            self.send(self.control, STATUS, {"state": "ready"})
        for seat in set(self.game.heads) - set(self.players):
            self.game.drop(seat)

    def enter(self, connection, who):
        """CLIENT_AUTH: a player is here, for the first time or once more."""
        seat = who["seat"]
        if not hmac.compare_digest(who["token"].encode(), self.token.encode()) or seat not in self.players:
            self.send(connection, ERROR, {"code": 102, "message": "you are not a player of this game"})
            self.close(connection)
            return
        if seat in self.seated():
            self.close(self.seated()[seat])  # the newer one counts
        connection.seat = seat
        self.send(connection, CONNECTED, {"details": {"game": "trails"}})
        self.send(connection, GAME_CONFIG, {"you": seat, "names": self.names, "width": len(self.game.rows[0]), "height": len(self.game.rows)})
        self.show(connection)

    # What goes out

    def send(self, connection, type_, data, en=JSON):
        try:
            connection.send(envelope(type_, data, en))
        except (EOFError, OSError):
            self.close(connection)

    def show(self, connection):
        """The whole field each time: so who was away knows all, and who is slow just misses a picture."""
        if connection.waiting:
            return
        left = max(1, 1 + int(self.until - time.monotonic())) if self.state == "countdown" else 0
        rows, alive = ["".join(row) for row in self.game.rows], list(self.game.heads)
        self.send(connection, FIELD, {"state": self.state, "starts_in": left, "rows": rows, "alive": alive, "winner": self.game.winner})

    # The clock

    def tick(self):
        """Eight times a second."""
        now, here = time.monotonic(), self.seated()
        if self.state == "gathering" and (len(here) == len(self.players) or now > self.until):
            self.state, self.until = "countdown", now + self.countdown
        elif self.state == "countdown" and now > self.until:
            self.state = "playing"
        elif self.state == "playing":
            self.game.step()
        if self.state != "over" and self.game.over:
            self.state, self.until = "over", now + LAST_WORDS_SECONDS
            winner = self.game.winner
            self.send(self.control, STATUS, {"state": "finished", "results": {"winner": winner, "name": self.names.get(winner)}})
        for connection in here.values():
            self.show(connection)

    def run(self):
        """Until the last words are said, or nobody is left, or gameroom has no more need of us."""
        next_tick = time.monotonic()
        while True:
            for sock in list(self.connections):
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self.connections[sock].waiting else 0)
                self.selector.modify(sock, wanted)
            for key, events in self.selector.select(max(0, next_tick - time.monotonic())):
                if events & selectors.EVENT_WRITE:
                    self.flush(key.fileobj)
                if events & selectors.EVENT_READ:
                    self.read(key.fileobj)
            if self.game and time.monotonic() >= next_tick:
                self.tick()
                next_tick += self.every
                over = self.state == "over" and time.monotonic() > self.until
                if over or not self.players:
                    return

    def flush(self, sock):
        connection = self.connections.get(sock)
        if connection:
            try:
                connection.send()
            except (EOFError, OSError):
                self.close(connection)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Server(socket.socket(fileno=3)).run()
