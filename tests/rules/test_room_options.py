"""What may be submitted to make a room."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.rules.room_options import RoomRequest

URL = {"url": "https://games.example/engine.js"}


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def pointer_of(body: Any) -> str | None:
    try:
        RoomRequest.from_json(body)
    except InvalidRequest as error:
        return error.pointer
    raise AssertionError(f"{body} was taken")


class RoomRequestTests(SynchronousTestCase):
    def test_faults_are_pointed_at(self) -> None:
        """Each fault has a JSON pointer to it."""
        for body, pointer in (
            ([], ""),
            ({}, "/engine"),
            ({"engine": URL, "wrong": 1}, "/wrong"),
            ({"engine": URL, "a/b~c": 1}, "/a~1b~0c"),
            ({"engine": {}}, "/engine"),
            ({"engine": {**URL, "game_id": "g"}}, "/engine"),
            ({"engine": {"url": "javascript:alert(1)"}}, "/engine/url"),
            ({"engine": {"url": "https://[bad"}}, "/engine/url"),
            ({"engine": {"url": "https://x/\n"}}, "/engine/url"),
            ({"engine": {**URL, "extra": 1}}, "/engine/extra"),
            ({"engine": {"source": "x" * (1 << 20) + "x", "media_type": "text/javascript"}}, "/engine/source"),
            ({"engine": {"source": "x", "media_type": "text"}}, "/engine/media_type"),
            ({"engine": {"source": "x", "media_type": "text/html\r\nX: y"}}, "/engine/media_type"),
            ({"engine": {"game_id": 1}}, "/engine/game_id"),
            ({"engine": URL, "seed": -1}, "/seed"),
            ({"engine": URL, "seed": True}, "/seed"),
            ({"engine": URL, "seed": 2**53}, "/seed"),
            ({"engine": URL, "seed": "x" * 257}, "/seed"),
            ({"engine": URL, "max_players": 65}, "/max_players"),
            ({"engine": URL, "input_delay": 0}, "/input_delay"),
            ({"engine": URL, "encoding": "xml"}, "/encoding"),
            ({"engine": URL, "public": 1}, "/public"),
            ({"engine": URL, "configuration": {"a": "x" * 70_000}}, "/configuration"),
            ({"engine": URL, "configuration": nested(250)}, "/configuration"),
        ):
            self.assertEqual(pointer_of(body), pointer, str(body)[:80])

    def test_options(self) -> None:
        """What was asked for goes before what the bundle says, which goes before the defaults."""
        request = RoomRequest.from_json({"engine": URL, "input_delay": 4, "configuration": {"map": 1}})
        options, configuration = request.options(drawn_seed=7, base={"input_delay": 3, "checksum_interval": 5, "engine": URL})
        self.assertEqual((options.input_delay, options.checksum_interval, options.seed, options.engine), (4, 5, 7, URL))
        self.assertEqual(configuration, {"map": 1})

    def test_command_schema(self) -> None:
        """A schema of commands is compiled when the room is asked for, and is for JSON rooms, whoever asked for which."""
        self.assertEqual(pointer_of({"engine": URL, "command_schema": {"properties": {"x": {"type": "int"}}}}), "/command_schema/properties/x/type")
        self.assertEqual(pointer_of({"engine": URL, "command_schema": [1]}), "/command_schema")
        request = RoomRequest.from_json({"engine": URL, "command_schema": False})
        self.assertIs(request.options(drawn_seed=0, base={})[0].command_schema, False)
        for fields, base in (
            ({"command_schema": False, "encoding": "binary"}, {}),
            ({"command_schema": False}, {"encoding": "binary"}),
            ({"encoding": "binary"}, {"command_schema": {}}),
        ):
            error = self.assertRaises(InvalidRequest, RoomRequest(fields=fields).options, drawn_seed=0, base=base)
            self.assertEqual(error.pointer, "/command_schema")

    def test_numbers_of_players(self) -> None:
        """They fit each other and the game, or the fault is pointed at."""
        base: dict[str, Any] = {"min_players": 2, "max_players": 4}
        for fields, numbers in (({}, (2, 4)), ({"max_players": 3}, (2, 3)), ({"min_players": 4}, (4, 4)), ({"max_players": 1}, (1, 1))):
            options, _ = RoomRequest(fields=fields).options(drawn_seed=0, base=base, most_players=4)
            self.assertEqual((options.min_players, options.max_players), numbers)
        for fields in ({"max_players": 5}, {"min_players": 5}, {"min_players": 4, "max_players": 3}):
            with self.assertRaises(InvalidRequest):
                RoomRequest(fields=fields).options(drawn_seed=0, base=base, most_players=4)

    @given(
        st.dictionaries(
            st.sampled_from(["engine", "seed", "min_players", "viewers", "x"]),
            st.none() | st.integers() | st.text() | st.dictionaries(st.text(), st.text()),
        )
    )
    def test_garbage(self, body: dict[str, Any]) -> None:
        """Garbage raises our error and nothing else."""
        try:
            RoomRequest.from_json(body)
        except InvalidRequest as error:
            self.assertIsInstance(error.pointer, str)
