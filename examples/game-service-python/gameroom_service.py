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
import hashlib
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
CPU_SECONDS = 4  # of one update; gameroom's patience is 5 seconds
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
    place = options.parse_args(arguments).listen
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: sys.exit(0))  # nothing is lost: gameroom has it
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)  # what you print is to be in the log at once
    run(limited(update), listener(place))


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
    try:
        text = JSON.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"{what or 'the state'} is not JSON: {error}") from None
    if what and text.count("[") + text.count("{") > MOST_LEVELS and levels(json.loads(text)) > MOST_LEVELS:
        raise ValueError(f"{what} is nested too deeply")
    return text.encode()


def levels(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(levels, inner), default=0)


# The messages of game.proto: the fields of each, numbered from 1. A * repeats; a ? may be left out, which is not the same as 0.

MESSAGES = {
    "Player": "seat uint32, id string, name string, connected bool",
    "Started": "config bytes, seed uint64",
    "Message": "seat uint32, data bytes, text bool",
    "Joined": "seat uint32",
    "Left": "seat uint32, reason string",
    "Timer": "due_ms int64",
    "GameUpdate": "request uint64, room_id string, sequence uint64, state bytes, players Player*, started Started, message Message, "
    "joined Joined, left Left, timer Timer, now_ms int64, game_id string, version string",
    "Outgoing": "data bytes, text bool",
    "View": "seat uint32, data bytes, text bool",
    "Finished": "results bytes",
    "Rejected": "code uint32, message string",
    "GameState": "request uint64, sequence uint64, state bytes, broadcast Outgoing*, views View*, timer_ms uint32?, "
    "finished Finished, rejected Rejected",
}
EVENTS = ("started", "message", "joined", "left", "timer")  # of these an update has one
VARINTS = ("uint32", "uint64", "int64", "bool", "uint32?")
DEFAULTS = {"uint32": 0, "uint64": 0, "int64": 0, "bool": False, "string": "", "bytes": b""}  # all else is None

FIELDS = {message: [(number, *field.split()) for number, field in enumerate(text.split(", "), 1)] for message, text in MESSAGES.items()}
BY_TAG = {message: {n << 3 | (0 if kind in VARINTS else 2): (name, kind) for n, name, kind in fields} for message, fields in FIELDS.items()}
NOTHING = {message: {name: DEFAULTS.get(kind) for _, name, kind in fields} for message, fields in FIELDS.items()}


def read(message, data, values=None):
    """The values of a message by their names; fields that we do not know are left out. Raises `ValueError`."""
    values = dict(NOTHING[message]) if values is None else values
    known, at, end = BY_TAG[message], 0, len(data)
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
        if tag in known:
            take(values, *known[tag], value)
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
    elif kind in ("uint32", "uint32?"):
        value &= 0xFFFFFFFF
    elif kind[-1] == "*":
        value = [*(values[name] or ()), read(kind[:-1], value)]
    elif kind != "uint64":
        other = name in EVENTS and values.get("event") != name
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
    """The bytes of a message. What is missing, or as it would be where it is missing, is not said."""
    written = bytearray()
    for number, name, kind in FIELDS[message]:
        value = values.get(name)
        if value is None or value == DEFAULTS.get(kind):
            continue
        if kind in VARINTS:
            written += to_varint(number << 3) + to_varint(value & 0xFFFFFFFFFFFFFFFF)
            continue
        for each in value if kind[-1] == "*" else [value]:
            inner = each if kind == "bytes" else each.encode() if kind == "string" else write(kind.rstrip("*"), each)
            written += to_varint(number << 3 | 2) + to_varint(len(inner)) + inner
    return bytes(written)


def to_varint(value):
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return written


# An update and its answer


class TooSlow(BaseException):
    """Raised in an update that takes too long: no `except Exception` of a game's is in its way."""


STOPPED = collections.deque(maxlen=64)  # the SHA-256 of updates that took too long: on a busy machine gameroom has asked again meanwhile


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


def next_state(update, said):
    """What a GameState has of an update that went well."""
    event = event_of(said)
    state = update(json.loads(said["state"]) if said["state"] else None, event)
    if state is None and event.finished is None:
        raise TypeError("update() returned None; return the next state, or the one that came where nothing changes")
    kept = within(STATE_BYTES, "the state", to_json(state))
    return {"state": kept, "broadcast": event.broadcasts, "views": event.views, "timer_ms": event.timer_ms, "finished": event.finished}


def answer(update, data):
    """The GameState for a GameUpdate, both in bytes. Raises `ValueError` for what is no GameUpdate."""
    said = read("GameUpdate", data)
    try:
        if STOPPED and hashlib.sha256(data).digest() in STOPPED:
            raise TooSlow("the same update again, which took too long before")
        told = next_state(update, said)
    except Rejected as no:
        code = no.code if type(no.code) is int and 0 < no.code < 1 << 32 else BAD_STATE
        told = {"rejected": {"code": code, "message": str(no).encode(errors="replace").decode()}}
    except (Exception, TooSlow) as error:  # the other rooms go on; and a function that fails now would fail at every other try, too
        if isinstance(error, TooSlow):
            STOPPED.append(hashlib.sha256(data).digest())
        print(f"room {said['room_id']}, update {said['sequence']}, {said.get('event')}:", file=sys.stderr)
        print("".join(explained(error)), end="", file=sys.stderr)
        told = {"rejected": {"code": BAD_STATE, "message": "the game's rules failed"}}
    return write("GameState", {"request": said["request"], "sequence": said["sequence"], **told})


def explained(error):
    """The lines of a traceback, without the kit's own calls: the fault is in what the author wrote."""
    told = traceback.TracebackException.from_exception(error)
    theirs = [frame for frame in told.stack if frame.filename != explained.__code__.co_filename]
    told.stack = traceback.StackSummary.from_list(theirs)
    return told.format() if theirs else told.format_exception_only()


def limited(update):
    """The same function, stopped by `TooSlow` after CPU_SECONDS of this program's own time: a loop that has no end."""
    if not hasattr(signal, "setitimer"):
        return update  # Windows
    running = []

    def stop(*_):
        if running:
            raise TooSlow(f"update() has run for {CPU_SECONDS} seconds")

    def call(state, event):
        running.append(event)
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS, 1)
        try:
            return update(state, event)
        finally:
            running.clear()
            signal.setitimer(signal.ITIMER_PROF, 0)

    signal.signal(signal.SIGPROF, stop)
    return call


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


def run(update, listening):
    """All connections, one after the other: `update` is never called twice at a time."""
    selector = selectors.DefaultSelector()
    listening.setblocking(False)
    selector.register(listening, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            connection = key.data
            if connection is None:
                connection = accepted(listening)
                if connection is not None:
                    selector.register(connection.socket, selectors.EVENT_READ, connection)
            elif not goes_on(connection, update):
                selector.unregister(connection.socket)
                connection.socket.close()
            else:
                wanted = selectors.EVENT_WRITE if connection.waiting else selectors.EVENT_READ
                if wanted != key.events:
                    selector.modify(connection.socket, wanted, connection)


def accepted(listening):
    try:
        return Connection(listening.accept()[0])
    except BlockingIOError:
        return None  # it has gone again
    except OSError as error:
        print(f"a connection could not be taken: {error}", file=sys.stderr)
        time.sleep(0.1)  # too many files are open, say: others may close theirs
        return None


def goes_on(connection, update):
    """Whether the connection is still to be used."""
    try:
        connection.go_on(update)
    except ValueError as error:
        print(f"a connection is closed, as what came on it is not gameroom's: {error}", file=sys.stderr)
        return False
    except (EOFError, OSError):
        return False  # it has gone
    return True


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
