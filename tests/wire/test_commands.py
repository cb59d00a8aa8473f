"""Commands, declared once: the machinery and the lobby's table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.wire.commands import Command, CommandTable, Field
from gameroom.wire.lobby import LOBBY

TABLE = CommandTable(
    [
        Command(
            type="DO",
            about="Does.",
            fields=(
                Field("name", least=1, most=4),
                Field("count", "int", optional=True, least=0, most=9),
                Field("now", "bool", optional=True),
                Field("more", "object", optional=True),
            ),
        ),
        Command(type="REST", about="Does not.", token=False),
    ]
)

PAGE = Path(__file__).parents[2] / "docs" / "protocol" / "lobby.md"


class EnvelopeTests(SynchronousTestCase):
    def refused(self, envelope: dict[str, Any]) -> str:
        with self.assertRaises(InvalidRequest) as caught:
            TABLE.request(envelope)
        return str(caught.exception.message)

    def test_good(self) -> None:
        """`token` and `payload` may be left out; a token of null is none."""
        request = TABLE.request({"type": "DO", "token": "t", "payload": {"name": "x"}})
        self.assertEqual(("DO", "t", {"name": "x"}), (request.command.type, request.token, request.payload))
        bare: tuple[dict[str, Any], ...] = ({"type": "REST"}, {"type": "REST", "token": None, "payload": {}})
        for envelope in bare:
            request = TABLE.request(envelope)
            self.assertEqual((None, {}), (request.token, request.payload))

    def test_bad(self) -> None:
        """A wrong or unknown field of the envelope is named; an unknown type is told what there is."""
        cases: tuple[tuple[dict[str, Any], str], ...] = (
            ({}, '"type" must name a command'),
            ({"type": 1}, '"type" must name a command'),
            ({"type": None}, '"type" must name a command'),
            ({"type": ["DO"]}, '"type" must name a command'),
            ({"type": "REZT"}, 'did you mean "REST"?'),
            ({"type": "do"}, 'did you mean "DO"?'),
            ({"type": "WHATEVER"}, "HELP"),
            ({"type": "x" * 10_000}, "x…"),
            ({"type": "DO", "token": 1}, '"token" must be a string'),
            ({"type": "DO", "token": True}, '"token" must be a string'),
            ({"type": "DO", "payload": None}, '"payload" must be an object'),
            ({"type": "DO", "payload": []}, '"payload" must be an object'),
            ({"type": "DO", "name": "x"}, 'unknown field "name"'),
            ({"type": "REST", "payload": {}, "id": 1}, 'unknown field "id"'),
        )
        for envelope, words in cases:
            message = self.refused(envelope)
            self.assertIn(words, message)
            self.assertLess(len(message), 200)


class PayloadTests(SynchronousTestCase):
    def test_good(self) -> None:
        """What the table allows is given back as it came."""
        for payload in ({"name": "x"}, {"name": "abcd", "count": 9, "now": False, "more": {"a": 1}}, {"name": "ä" * 4, "count": 0}):
            self.assertEqual(payload, TABLE.commands["DO"].check(payload))

    def test_bad(self) -> None:
        """Wrong types, values out of bounds, missing and unknown fields are refused by name; true is not an integer."""
        for payload, words in (
            ({}, 'lacks "name"'),
            ({"count": 1}, 'lacks "name"'),
            ({"name": 1}, '"name" must be a string'),
            ({"name": None}, '"name" must be a string'),
            ({"name": ""}, '"name" must have 1 to 4 characters'),
            ({"name": "abcde"}, '"name" must have 1 to 4 characters'),
            ({"name": "x", "count": True}, '"count" must be an integer'),
            ({"name": "x", "count": 1.0}, '"count" must be an integer'),
            ({"name": "x", "count": 10}, '"count" must be 0 to 9'),
            ({"name": "x", "count": -1}, '"count" must be 0 to 9'),
            ({"name": "x", "now": 1}, '"now" must be true or false'),
            ({"name": "x", "more": []}, '"more" must be an object'),
            ({"name": "x", "extra": 1}, 'DO has no field "extra"; it takes {"name": str, "count": int?, "now": bool?, "more": object?}'),
        ):
            with self.assertRaises(InvalidRequest) as caught:
                TABLE.commands["DO"].check(payload)
            self.assertIn(words, caught.exception.message)
            self.assertTrue((caught.exception.pointer or "").startswith("/payload"))
        self.assertRaises(InvalidRequest, TABLE.commands["REST"].check, {"x": 1})


class LobbyTableTests(SynchronousTestCase):
    def test_page(self) -> None:
        """docs/protocol/lobby.md has the tables as they are declared."""
        page = PAGE.read_text("utf-8")
        self.assertIn(LOBBY.markdown(), page)
        self.assertIn(LOBBY.pushes_markdown(), page)

    def test_help(self) -> None:
        """HELP tells of every command its fields and what it does, optional ones with a question mark as in the seed."""
        by_type = {entry["type"]: entry for entry in LOBBY.help()}
        self.assertEqual(set(LOBBY.commands), set(by_type))
        self.assertEqual({"game_id": "str", "public": "bool?"}, by_type["CREATE_ROOM"]["fields"])
        for entry in by_type.values():
            self.assertEqual({"type", "fields", "about"}, entry.keys())
            self.assertTrue(entry["about"])

    def test_tokens(self) -> None:
        """Just those commands need no token that come before one."""
        self.assertEqual({"REGISTER_PLAYER", "LOGIN_PLAYER", "PING", "HELP"}, {command.type for command in LOBBY if not command.token})
