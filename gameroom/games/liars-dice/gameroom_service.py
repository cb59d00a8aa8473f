"""A micro game service for gameroom in one file: Python 3.9 or newer, and nothing but its standard library.

Copy this file beside your game. You write one function, and the kit does the rest:

    from gameroom_service import Rejected, serve

    def update(state, event):
        if event.kind == "started":
            return {"total": 0}
        if event.kind == "message":
            if type(event.body) is not int:
                raise Rejected("send a whole number")
            state["total"] += event.body
            event.broadcast({"total": state["total"]})
        return state

    if __name__ == "__main__":
        serve(update)

`update` gets the last state and what has happened, and returns the next state. gameroom keeps the state, so this program
can crash, be replaced or run many times over, and no game is lost. Two things make that work:

- Whatever `update` needs is in `state` and `event`. Global variables, files, the clock and `random` are not: after a crash
  gameroom sends the same update again, maybe to another process, and expects the same answer. `event.now_ms` is the time,
  and `random.Random(f"{seed}/{event.sequence}")` are dice, with the seed that came with `started` in your state.
- The state is JSON. What you get is what you returned, but for what JSON does to it: keys of a dict are strings,
  and a tuple has become a list. It is yours alone: change it as you like.

gameroom starts this program with a socket that listens as descriptor 3. By hand: python3 service.py --listen 127.0.0.1:7100
"""

import argparse
import collections
import json
import os
import selectors
import signal
import socket
import struct
import sys
import time
import traceback

__all__ = ["Event", "Player", "Rejected", "serve", "service"]

MOST_BYTES = 16 << 20  # of an update; whoever sends more is not gameroom
STATE_BYTES = 1 << 20  # of a state, and of all that one update broadcasts and shows
RESULTS_BYTES = 16 << 10
MOST_LEVELS = 200  # of lists and dicts within each other, in what is sent to members
READ_BYTES = 1 << 16
ERROR, BAD_STATE = 100, 105  # gameroom's codes: what was sent makes no sense; it makes sense, but not now


# What you write your game with


class Rejected(Exception):
    """Raise it where a member may not do what they ask for: nothing changes, and they alone are told why.

    `code` is 105 (not now) where you say nothing else; 100 is "this makes no sense", 102 "you may not".
    """

    def __init__(self, message, code=BAD_STATE):
        super().__init__(message)
        self.code = code


Player = collections.namedtuple("Player", ["seat", "id", "name", "connected"])
Player.__doc__ = "One who plays: the number of the seat, the id and name of whoever sits there, and whether they are here just now."


class Event:
    """What has happened (`kind`), and what is to be said about it.

    kind       and what comes with it
    started    seed (a secret number), config (the room's configuration); the state is None
    message    seat, and body (JSON) or, for a binary frame, data (bytes; None otherwise)
    joined     seat: who was away is back
    left       seat, reason: "away" may come back; "left", "kicked" and "timeout" are no longer in `players`
    timer      due_ms: the time that you asked for has come

    Each has players, now_ms (Unix time in milliseconds), sequence (1, 2, 3, …), room_id, game_id and version.
    """

    def __init__(self, kind, *, seat=None, body=None, data=None, reason="", seed=0, config=None, due_ms=0, players=(), now_ms=0, sequence=1, **ids):
        self.kind, self.seat, self.body, self.data, self.reason = kind, seat, body, data, reason
        self.seed, self.config, self.due_ms = seed, config, due_ms
        self.players, self.now_ms, self.sequence = list(players), now_ms, sequence
        self.room_id, self.game_id, self.version = (ids.get(name, "") for name in ("room_id", "game_id", "version"))
        self.broadcasts, self.views, self.timer_ms, self.finished, self._room = [], [], None, None, STATE_BYTES

    def broadcast(self, body):
        """Say it to everybody in the room, viewers too: JSON, or bytes."""
        self.broadcasts.append(self._outgoing(body))

    def view(self, seat, body):
        """Show it to one seat alone: JSON, or bytes. So hands of cards stay hidden."""
        self.views.append({"seat": number("a seat", int(seat)), **self._outgoing(body)})  # int: keys of the state are strings

    def timer(self, seconds):
        """Have a `timer` event so many seconds from now, in place of the one before; None takes that back."""
        self.timer_ms = 0 if seconds is None else number("a timer's milliseconds", max(1, round(seconds * 1000)))

    def finish(self, results=None):
        """The game is over; `results` are told to everybody, with the end."""
        encoded = b"" if results is None else to_json(results, "results")
        self.finished = {"results": within(RESULTS_BYTES, "the results", encoded)}

    def _outgoing(self, body):
        binary = isinstance(body, (bytes, bytearray, memoryview))
        data = bytes(body) if binary else to_json(body, "what is sent")
        self._room -= len(data)
        if self._room < 0:
            raise ValueError(f"one update cannot say more than {STATE_BYTES} bytes")
        return {"data": data, "text": not binary}


def serve(update, arguments=None):
    """Answer gameroom's updates with `update`, until the program is ended.

    Updates come one after the other, from many rooms. One that fails is answered as rejected, and the error is printed.
    """
    options = argparse.ArgumentParser(description="A micro game service. gameroom starts it by itself.")
    options.add_argument("--listen", metavar="HOST:PORT", help="wait for gameroom here, instead of at descriptor 3")
    listening = listener(options.parse_args(arguments).listen)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)  # what you print is to be in the log at once
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        Service(update, listening).run()
    except KeyboardInterrupt:
        sys.exit(130)


def service(update):
    """As `@service` above the last function of a file the same as `serve(update)` below it, where the file is the program."""
    if update.__module__ == "__main__":
        serve(update)
    return update


# From here on there is nothing that a game has to know.


def number(what, value):
    if not 0 <= value < 1 << 32:
        raise ValueError(f"{what} cannot be {value}")
    return value


def within(most, what, data):
    if len(data) > most:
        raise ValueError(f"{what} would have {len(data)} bytes, and {most} is the most")
    return data


JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)  # sorted: equal states are equal bytes


def to_json(value, what=None):
    """The bytes of a value; where it is said `what` it is, it is for members."""
    text = JSON.encode(value)
    if what and text.count("[") + text.count("{") > MOST_LEVELS and levels(json.loads(text)) > MOST_LEVELS:
        raise ValueError(f"{what} is nested too deeply")
    return text.encode()


def levels(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(levels, inner), default=0)


# The messages, as Protocol Buffers: number, name and kind of each field. A list is a field that repeats.

VARINTS = ("uint32", "uint64", "int64", "bool", "optional uint32")
DEFAULTS = {"uint32": 0, "uint64": 0, "int64": 0, "bool": False, "string": "", "bytes": b""}


class Message:
    def __init__(self, *fields):
        self.fields = fields
        self.by_tag = {field << 3 | (0 if kind in VARINTS else 2): (name, kind) for field, name, kind in fields}
        self.defaults = {name: DEFAULTS.get(kind) if isinstance(kind, str) else None for _, name, kind in fields}


OUTGOING = ((1, "data", "bytes"), (2, "text", "bool"))
SEATED = (1, "seat", "uint32")
EVENTS = {
    "started": (6, Message((1, "config", "bytes"), (2, "seed", "uint64"))),
    "message": (7, Message(SEATED, (2, "data", "bytes"), (3, "text", "bool"))),
    "joined": (8, Message(SEATED)),
    "left": (9, Message(SEATED, (2, "reason", "string"))),
    "timer": (10, Message((1, "due_ms", "int64"))),
}
GAME_UPDATE = Message(
    (1, "request", "uint64"),
    (2, "room_id", "string"),
    (3, "sequence", "uint64"),
    (4, "state", "bytes"),
    (5, "players", [Message(SEATED, (2, "id", "string"), (3, "name", "string"), (4, "connected", "bool"))]),
    *((field, name, kind) for name, (field, kind) in EVENTS.items()),
    (11, "now_ms", "int64"),
    (12, "game_id", "string"),
    (13, "version", "string"),
)
GAME_STATE = Message(
    (1, "request", "uint64"),
    (2, "sequence", "uint64"),
    (3, "state", "bytes"),
    (4, "broadcast", [Message(*OUTGOING)]),
    (5, "views", [Message(SEATED, (2, "data", "bytes"), (3, "text", "bool"))]),
    (6, "timer_ms", "optional uint32"),
    (7, "finished", Message((1, "results", "bytes"))),
    (8, "rejected", Message((1, "code", "uint32"), (2, "message", "string"))),
)


def read(message, data, values=None):
    """The values of a message by their names; fields that we do not know are left out. Raises `ValueError`."""
    values = dict(message.defaults) if values is None else values
    at, end = 0, len(data)
    while at < end:
        tag, at = varint(data, at, 5)
        wire = tag & 7
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 2:
            length, at = varint(data, at, 5)
            value, at = data[at : at + length], at + length
        elif wire in (1, 5):
            value, at = None, at + (8 if wire == 1 else 4)
        else:
            raise ValueError("groups are not for gameroom")
        if at > end:
            raise ValueError("a field ends before it is whole")
        if not 8 <= tag < 1 << 32:
            raise ValueError("a field has no number")
        name, kind = message.by_tag.get(tag, (None, None))
        if name is not None:
            take(values, name, kind, value)
    return values


def take(values, name, kind, value):
    """One field that was read; of those that do not repeat the last one counts."""
    if kind == "bytes":
        pass
    elif kind == "string":
        value = value.decode()
    elif kind == "bool":
        value = value != 0
    elif kind == "int64":
        value -= value >> 63 << 64
    elif kind in ("uint32", "optional uint32"):
        value &= 0xFFFFFFFF
    elif type(kind) is list:
        value = [*(values[name] or ()), read(kind[0], value)]
    elif type(kind) is Message:
        other = name in EVENTS and values.get("event") != name  # there is one event, and the last one counts
        value = read(kind, value, None if other else values[name])
        if name in EVENTS:
            values["event"] = name
    values[name] = value


def varint(data, at, most=10):
    """A number of up to `most` bytes, 7 bits in each, the low ones first. Gives it and where the next thing begins."""
    value = shift = 0
    for byte in data[at : at + most]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + shift // 7
    raise ValueError("a number has no end")


def write(message, values):
    """The bytes of a message; values that are missing or None are not said, nor those that are what is not said."""
    written = bytearray()
    for field, name, kind in message.fields:
        value = values.get(name)
        if value is None or (type(kind) is str and value == DEFAULTS.get(kind)):
            continue
        if kind in VARINTS:
            written += to_varint(field << 3) + to_varint(value & 0xFFFFFFFFFFFFFFFF)
            continue
        for each in value if type(kind) is list else [value]:
            inner = each if kind == "bytes" else each.encode() if kind == "string" else write(kind[0] if type(kind) is list else kind, each)
            written += to_varint(field << 3 | 2) + to_varint(len(inner)) + inner
    return bytes(written)


def to_varint(value):
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return written


# An update and its answer


def event_of(said):
    """The event of a GameUpdate that was read."""
    kind = said.get("event")
    if kind is None:
        raise Rejected("this service is older than gameroom: it does not know this event", ERROR)
    about = dict(said[kind])
    if kind == "started":
        about["config"] = json.loads(about["config"] or b"null")
    if kind == "message" and about.pop("text"):
        about["body"] = json.loads(about.pop("data"))
    common = {name: said[name] for name in ("now_ms", "sequence", "room_id", "game_id", "version")}
    return Event(kind, players=[Player(**player) for player in said["players"] or ()], **about, **common)


def answer(update, data):
    """The GameState for a GameUpdate, both in bytes. Raises `ValueError` for what is no GameUpdate."""
    said = read(GAME_UPDATE, data)
    told = {"request": said["request"], "sequence": said["sequence"]}
    try:
        event = event_of(said)
        state = update(json.loads(said["state"]) if said["state"] else None, event)
        if state is None and event.finished is None:
            raise TypeError("update() returned None; return the next state, or the one that came where nothing changes")
        kept = within(STATE_BYTES, "the state", to_json(state))
    except Rejected as no:
        message = str(no).encode(errors="replace").decode()
        told["rejected"] = {"code": no.code if type(no.code) is int and 0 < no.code < 1 << 32 else BAD_STATE, "message": message}
    except Exception:  # the other rooms go on; and a function that fails now would fail at every other try, too
        print(f"room {said['room_id']}, update {said['sequence']}, {said.get('event')}:", file=sys.stderr)
        traceback.print_exc()
        told["rejected"] = {"code": BAD_STATE, "message": "the game's rules failed"}
    else:
        told.update(state=kept, broadcast=event.broadcasts, views=event.views, timer_ms=event.timer_ms, finished=event.finished)
    return write(GAME_STATE, told)


# Sockets: 4 bytes of length, then a message, both ways


class Connection:
    """One of gameroom's connections: half a message may have come, and half of one may be on its way out."""

    def __init__(self, sock):
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.came, self.waiting = sock, bytearray(), b""

    def go_on(self, update):
        """Take what has come and answer it. While gameroom does not read no more is taken, so little ever waits."""
        if self.waiting:
            self.send(self.waiting)
        else:
            data = self.socket.recv(READ_BYTES)
            if not data:
                raise EOFError
            self.came += data
        while not self.waiting:
            message = self.message()
            if message is None:
                return
            answered = answer(update, message)
            self.send(struct.pack("!I", len(answered)) + answered)

    def message(self):
        """The next one, where it is whole. Raises `ValueError` for what gameroom would not send."""
        if len(self.came) < 4:
            return None
        length = int.from_bytes(self.came[:4], "big")
        if not 0 < length <= MOST_BYTES:
            raise ValueError(f"a message of {length} bytes")
        if len(self.came) < 4 + length:
            return None
        message = bytes(self.came[4 : 4 + length])
        del self.came[: 4 + length]
        return message

    def send(self, data):
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        self.waiting = data[sent:]


class Service:
    """All connections, one after the other: `update` is never called twice at a time."""

    def __init__(self, update, listening):
        self.update, self.selector = update, selectors.DefaultSelector()
        listening.setblocking(False)
        self.selector.register(listening, selectors.EVENT_READ)

    def run(self):
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    self.accept(key.fileobj)
                else:
                    self.go_on(key.data, key.events)

    def accept(self, listening):
        try:
            connection = Connection(listening.accept()[0])
            self.selector.register(connection.socket, selectors.EVENT_READ, connection)
        except BlockingIOError:
            pass  # gone again
        except OSError as error:
            print(f"a connection could not be taken: {error}", file=sys.stderr)
            time.sleep(0.1)  # too many files are open, say: others may close theirs

    def go_on(self, connection, events):
        try:
            connection.go_on(self.update)
        except (EOFError, OSError):
            self.close(connection)
        except ValueError as error:
            print(f"a connection is closed, this is not gameroom's: {error}", file=sys.stderr)
            self.close(connection)
        else:
            wanted = selectors.EVENT_WRITE if connection.waiting else selectors.EVENT_READ
            if wanted != events:
                self.selector.modify(connection.socket, wanted, connection)

    def close(self, connection):
        self.selector.unregister(connection.socket)
        connection.socket.close()


def listener(place):
    """The socket that listens: descriptor 3 from gameroom, or HOST:PORT. Ends the program with a line where there is none."""
    if place is not None:
        host, _, port = place.rpartition(":")
        host = host.strip("[]")
        try:
            listening = socket.create_server((host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except (OSError, OverflowError, ValueError) as error:
            sys.exit(f"--listen {place}: {error}")
        print(f"gameroom is awaited at {place}; Ctrl-C ends this", file=sys.stderr)
        return listening
    try:
        if "LISTEN_FDS" in os.environ:
            listening = socket.socket(fileno=3)
            if listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return listening
    except OSError:
        pass
    sys.exit(f"gameroom starts this program, with a socket as descriptor 3. By hand: python3 {sys.argv[0]} --listen 127.0.0.1:7100")
