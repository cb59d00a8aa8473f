"""docs/protocol/rooms.md says what is served."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.web.asyncapi import FROM_MEMBERS, TO_MEMBERS, Message
from gameroom.doors.web.declare import Route
from gameroom.rules.room_options import FIELDS
from tests.doors.web.sockets import TEXT, SocketPeer
from tests.doors.web.test_routes_rooms import RoomCase

PAGE = (Path(__file__).parents[3] / "docs/protocol/rooms.md").read_text("utf-8")

WITH = {
    "none": "",
    "session": "session",
    "maybe session": "(session)",
    "seat": "seat",
    "session or seat": "session or seat",
    "developer session": "developer",
}


def row_of(route: Route) -> str:
    """The row of a route."""
    query = "&".join(f"{field.name}=" for field in route.query)
    request = f"{', '.join(route.methods)} {route.path.replace('path:', '')}{'?' + query if query else ''}"
    answers = ", ".join(map(str, route.replies))
    return f"| `{request}` | {WITH[route.auth]} | {answers} | {', '.join(map(str, route.problems))} | {route.about} |"


def row_of_message(name: str, message: Message) -> str:
    """The row of a room message."""
    fields = ", ".join([f"`{field}`" for field in message.required] + [f"`{field}`?" for field in message.optional])
    return f"| `{name}` | {fields} | {message.about} |"


class PageTests(SynchronousTestCase):
    """The tables."""

    def test_messages(self) -> None:
        """Every room message has its row, as declared."""
        for messages in (FROM_MEMBERS, TO_MEMBERS):
            for name, message in messages.items():
                self.assertIn(row_of_message(name, message) + "\n", PAGE)

    def test_create(self) -> None:
        """Every field of /create has its place in the table."""
        table = PAGE.partition("### The content of /create")[2].partition("\n## ")[0]
        for field in FIELDS:
            self.assertIn(f"`{field}`", table)


class ServedTests(RoomCase):
    """The tables and what is said byte for byte, against the door."""

    def test_routes(self) -> None:
        """Every route has its row, as declared, and there are no others."""
        rows = [row_of(route) for route in self.world.site.api.routes]
        table = PAGE.partition("| request | with |")[2].partition("\n\n")[0].splitlines()[2:]
        self.assertEqual(table, rows)

    def test_exchange(self) -> None:
        """The exchange is what is said, byte for byte."""
        lines = PAGE.partition("```text\n→ GET /socket/")[2].partition("```")[0].splitlines()
        lines = ["→ GET /socket/" + lines[0], *lines[1:]]
        sent = [line[2:] for line in lines if line.startswith("→")]
        told = [line[2:] for line in lines if line.startswith("←")]
        peer = SocketPeer(self.world, "192.0.2.1")
        peer.raw("\r\n".join([*sent[:-1], ""]).encode())
        self.assertEqual(peer.take(), "\r\n".join([*told[:-1], ""]).encode())
        peer.raw(_frame(sent[-1]))
        self.assertEqual(peer.take(), _frame(told[-1]))


def _frame(line: str) -> bytes:
    """A frame as the page writes it: its head in hex, its text as it is."""
    head, _, text = line.partition("{")
    data = bytes.fromhex(head) + b"{" + text.encode()
    assert data[0] == 0x80 | TEXT
    return data
