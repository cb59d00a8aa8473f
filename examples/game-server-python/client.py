"""Trails at a terminal: a game client in plain Python, with nothing but the standard library.

    python3 client.py host GAME_ID [--server HOST:PORT] [--name NAME]     opens a room and says its party code
    python3 client.py join PARTY_CODE [--server HOST:PORT] [--name NAME]  takes a seat in that room
    python3 client.py                                                     as `gameroom play` starts it: GAMEROOM_* says where and who

It talks to gameroom's game port. While the room waits gameroom itself answers, by room messages. When it starts comes
CONNECTED with the status PLAYING, and from there on the same connection leads to the game's own server, server.py.
"""

import argparse
import json
import os
import select
import socket
import struct
import sys
import termios
import time
import tty

from screen import Screen, keys

AUTH, CONNECTED, GAME_CONFIG, HOST, JOIN, ERROR, PING, PONG, LEAVE, ROOM_PART, ROOM, START = 3, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16
TURN, FIELD = 32, 33  # the game's own, as server.py has them
JSON = 1
BAD_STATE = 105
WORDS = {"w": "up", "s": "down", "a": "left", "d": "right", "\x1b[A": "up", "\x1b[B": "down", "\x1b[D": "left", "\x1b[C": "right"}
PORT = "7002"
COMES_BACK_WITHIN = 30  # seconds in which a lost connection is made anew; the room keeps the seat for a minute


def envelope(type_, data, en=JSON):
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return struct.pack("!BBH", 1, type_ << 2 | en, len(body)) + body


def shown(name):
    """Guests who said no name in a browser have a long id for one; all other names have at most 24 characters."""
    return name if len(name) <= 24 else f"Guest {name[:4]}"


class Link:
    """The connection, cut into envelopes."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.made, self.came = time.monotonic(), b""

    def send(self, type_, data, en=JSON):
        self.socket.sendall(envelope(type_, data, en))

    def envelopes(self):
        """What has come whole, once there is something to read. Raises EOFError at the end."""
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        self.came += data
        while len(self.came) >= 4:
            _, head, length = struct.unpack_from("!BBH", self.came)
            if len(self.came) < 4 + length:
                return
            body, self.came = self.came[4 : 4 + length], self.came[4 + length :]
            yield head >> 2, head & 3, body


class Client:
    def __init__(self, address, first):
        self.address, self.first = address, first  # `first` is how we come in: HOST, JOIN or AUTH, and what it says
        self.screen, self.quick_ends, self.was_in, self.why = Screen(), 0, False, ""
        self.connect()

    def connect(self):
        self.entered, self.playing, self.host, self.roster, self.parts = False, False, False, None, b""
        self.under_way = False  # the game has started, and CONNECTED with the status PLAYING is to come
        self.link = Link(self.address)
        self.link.send(*self.first)

    def come_back(self):
        """The connection has ended: the play is over, or it is lost. The seat is still ours, and its token leads back to it."""
        self.quick_ends = self.quick_ends + 1 if time.monotonic() - self.link.made < 2 else 0
        if self.quick_ends > 5:
            sys.exit(self.why or "The connection ends again and again. Do you play in another window?")
        until = time.monotonic() + COMES_BACK_WITHIN
        told = False
        while self.first[0] == AUTH and time.monotonic() < until:
            time.sleep(0.2)
            try:
                return self.connect()
            except OSError:
                if not told:
                    self.screen.say(f"The connection is lost. It is tried again for {COMES_BACK_WITHIN} seconds.")
                told = True
        sys.exit("The connection is lost.")

    # What comes

    def hear(self, type_, en, body):
        if type_ == CONNECTED:
            self.connected(json.loads(body))
        elif type_ == ERROR:
            self.refused(json.loads(body))
        elif type_ == GAME_CONFIG:
            self.screen.config = json.loads(body)
        elif type_ == FIELD:
            self.screen.show(json.loads(body))
        elif type_ == PING:
            self.link.send(PONG, body, en)
        elif type_ == ROOM_PART:  # a room message that is too long for one envelope
            self.parts += body
        elif type_ == ROOM and en == JSON:
            message, self.parts = json.loads(self.parts + body), b""
            hear = getattr(self, f"room_{message['type']}", None)
            if hear:
                hear(message)

    def connected(self, seat):
        self.entered, self.was_in, self.under_way, self.code = True, True, False, seat["party_code"]
        if "seat_token" in seat:
            self.first = (AUTH, {"id": seat["seat_token"]})
        self.playing = seat["status"] == "PLAYING"

    def refused(self, error):
        if self.entered:
            self.screen.say(error["message"])
            if self.under_way:
                raise EOFError  # its server could not be reached, and we are in no room until AUTH
        elif self.first[0] == AUTH and error["code"] == BAD_STATE and self.was_in:
            self.why = f"gameroom says: {error['message']}"
            raise EOFError  # the game is just ending; a moment later the room is there again
        else:
            sys.exit(f"gameroom says: {error['message']}")

    def room_welcome(self, message):
        self.me = message["you"]["user_id"]
        self.room_players(message["room"])

    def room_players(self, message):
        self.host = any(member["host"] and member["user_id"] == self.me for member in message["players"])
        roster = ", ".join(shown(member["name"]) for member in message["players"])
        if roster != self.roster:
            self.roster = roster
            todo = "Enter starts the game" if self.host else "The host starts the game"
            self.screen.say(f"Party code {self.code}. Here: {roster}. {todo}, q leaves.")

    def room_state(self, message):
        self.under_way = message["state"] == "running"

    def room_error(self, message):
        self.screen.say(message["message"])

    def room_over(self, message):
        if message["reason"] != "finished":
            self.screen.say(f"The game has ended: {message['reason'].replace('_', ' ')}.")

    # What goes

    def key(self, key):
        if key in ("q", "\x04"):
            self.leave()
            sys.exit()
        if self.playing and key in WORDS:
            self.link.send(TURN, {"to": WORDS[key]})
        elif not self.playing and self.host and key in ("\r", "\n"):
            self.link.send(START, {})

    def leave(self):
        if not self.playing:  # in a game only gameroom's other doors take one out of the room; the seat is free after a minute
            self.link.send(LEAVE, {})

    def run(self):
        sources = [self.link.socket, sys.stdin]
        while True:
            sources[0] = self.link.socket
            readable, _, _ = select.select(sources, [], [])
            try:
                if self.link.socket in readable:
                    for type_, en, body in self.link.envelopes():
                        self.hear(type_, en, body)
                if sys.stdin in readable:
                    typed = os.read(sys.stdin.fileno(), 64).decode(errors="replace")
                    if not typed:
                        sources.pop()  # nobody types any more; we look on
                    for key in keys(typed):
                        self.key(key)
            except (EOFError, OSError):
                self.come_back()


def way_in(environment=os.environ):
    """Where the game port is, and what we say there first."""
    parser = argparse.ArgumentParser(description="Trails, at a terminal.")
    parser.add_argument("what", nargs="?", choices=["host", "join"])
    parser.add_argument("which", nargs="?", metavar="GAME_ID or PARTY_CODE")
    parser.add_argument("--server", metavar="HOST:PORT", help="gameroom's game port; 127.0.0.1:7002 without it")
    parser.add_argument("--name", help="how the others see you")
    said = parser.parse_args()
    if said.what and not said.which:
        parser.error("say which game to host, or the party code to join")
    server = said.server or f"{environment.get('GAMEROOM_HOST', '127.0.0.1')}:{environment.get('GAMEROOM_PORT', PORT)}"
    host, colon, port = server.rpartition(":")
    if not colon:
        host, port = port, PORT
    if not port.isdecimal():
        parser.error(f"{port} is no port; --server is HOST:PORT")
    name = {"name": said.name} if said.name else {}
    if said.what == "host":
        first = HOST, {"game_id": said.which, **name}
    elif said.what == "join":
        first = JOIN, {"party_code": said.which, **name}
    elif "GAMEROOM_SESSION_TOKEN" in environment:
        first = AUTH, {"id": environment["GAMEROOM_SESSION_TOKEN"]}
    elif "GAMEROOM_PARTY_CODE" in environment:
        first = JOIN, {"party_code": environment["GAMEROOM_PARTY_CODE"], **name}
    else:
        parser.error("say host or join; the game's page at gameroom has its id")
    return (host, int(port)), first


if __name__ == "__main__":
    place, opening = way_in()
    modes = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    try:
        client = Client(place, opening)
        if modes:
            tty.setcbreak(sys.stdin)  # keys come one by one, without Enter
        try:
            client.run()
        except KeyboardInterrupt:
            client.leave()
    except OSError as error:
        sys.exit(f"No connection to {place[0]}:{place[1]}: {error.strerror}")
    except KeyboardInterrupt:
        pass
    finally:
        if modes:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, modes)
