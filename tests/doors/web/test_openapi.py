"""gameroom.doors.web.openapi and asyncapi: the descriptions say what is served."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from gameroom.doors.web.asyncapi import FROM_MEMBERS, TO_MEMBERS
from gameroom.referees import lockstep_messages
from gameroom.room_conversation import RoomConversation
from gameroom.rules.room_options import FIELDS
from tests.doors.web.sockets import socket_of
from tests.doors.web.test_routes_rooms import SOURCE, RoomCase

CREATE_FIELDS: list[dict[str, Any]] = [
    {},
    {"seed": 2**53},
    {"seed": -1},
    {"seed": "x" * 257},
    {"seed": True},
    {"min_players": 0},
    {"min_players": 65},
    {"encoding": "xml"},
    {"encoding": "binary"},
    {"input_delay": 17},
    {"input_delay": 16},
    {"checksum_interval": 1},
    {"viewers": 1},
    {"viewers": False},
    {"on_divergence": "halt"},
    {"journal": "sync"},
    {"configuration": []},
    {"public": False},
    {"move_seconds": 0.5},
    {"move_seconds": 30},
    {"total_seconds": 300.5, "increment_seconds": 0},
    {"increment_seconds": -1},
    {"on_timeout": "draw"},
    {"on_timeout": "bot", "bot_level": 1},
    {"bot_level": 0},
    {"other": 1},
]
ENGINES: list[Any] = [{}, {"url": "http://a.example"}, {"url": "http://a", "source": "x"}, {"source": "x"}, 3]
JOINS: list[Any] = [{}, {"username": ""}, {"username": "x"}, {"as": "viewer"}, {"as": "x"}, {"x": 1}, [], {"username": "x" * 25}]


def references(value: Any) -> Iterator[str]:
    """Every $ref in a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def resolve(document: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


class DescriptionCase(RoomCase):
    """A description of the door."""

    path = "/openapi.json"

    def setUp(self) -> None:
        super().setUp()
        self.document = self.world.ask("GET", self.path).json

    def validator(self, schema: dict[str, Any]) -> Draft202012Validator:
        """A validator for a schema that refers into the document."""
        resource = DRAFT202012.create_resource(self.document)
        absolute = orjson.loads(orjson.dumps(schema).replace(b'"#/', b'"urn:document#/'))
        return Draft202012Validator(absolute, registry=Registry().with_resource("urn:document", resource))


class OpenApiTests(DescriptionCase):
    """/openapi.json."""

    def test_form(self) -> None:
        """It is OpenAPI 3.1: what must be there is, names are unique, references lead somewhere, schemas are schemas."""
        self.assertTrue(self.document["openapi"].startswith("3.1."))
        self.assertLessEqual({"title", "version"}, self.document["info"].keys())
        names = []
        for path, operations in self.document["paths"].items():
            self.assertTrue(path.startswith("/"))
            for operation in operations.values():
                names.append(operation["operationId"])
                declared = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
                self.assertEqual(declared, set(re.findall(r"\{(.*?)\}", path)))
                self.assertTrue(operation["responses"])
                for response in operation["responses"].values():
                    self.assertTrue(response["description"])
        self.assertEqual(len(names), len(set(names)))
        for reference in references(self.document):
            resolve(self.document, reference)
        for schema in self.document["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)

    def test_every_route(self) -> None:
        """Every path and method that is served is in it, and what is in it is served."""
        for path, operations in self.document["paths"].items():
            allowed = self.world.ask("OPTIONS", re.sub(r"\{.*?\}", "x", path)).headers["allow"].split(", ")
            self.assertEqual({method.upper() for method in operations}, set(allowed) - {"HEAD", "OPTIONS"}, path)
        listed = (
            "/create /join /join/{room_id} /party/{code} /rooms /rooms/{room_id} /games /games/{game_id} /register /login /logout /plays/{play_id} /"
        )
        self.assertLessEqual(set(listed.split()), self.document["paths"].keys())

    def test_answers_are_as_declared(self) -> None:
        """What routes really answer has a declared status, and a body of the declared schema."""
        room_id = self.world.create(self.alice, configuration={"map": "x"})
        self.world.join(room_id, username="Bob")
        game = self.world.game_id()
        asked: list[tuple[str, str, str, Any, str | None]] = [
            ("POST", "/create", "/create", {"engine": SOURCE}, self.alice),
            ("POST", "/create", "/create", {}, self.alice),
            ("POST", "/create", "/create", {"engine": SOURCE}, None),
            ("GET", "/join", f"/join?game_id={room_id}", None, None),
            ("GET", "/join", "/join", None, None),
            ("GET", "/join/{room_id}", f"/join/{room_id}", None, None),
            ("GET", "/join/{room_id}", "/join/none", None, None),
            ("PUT", "/join/{room_id}", f"/join/{room_id}", {"as": "viewer"}, None),
            ("POST", "/join", f"/join?game_id={room_id}", {"username": "Carol"}, None),
            ("POST", "/join/{room_id}", f"/join/{room_id}", {"username": "Bob"}, None),
            ("DELETE", "/join/{room_id}", f"/join/{room_id}", None, "none"),
            ("GET", "/join/{room_id}/qr.svg", f"/join/{room_id}/qr.svg", None, None),
            ("GET", "/party/{code}", "/party/BBBBBB", None, None),
            ("GET", "/rooms", "/rooms", None, None),
            ("GET", "/rooms/{room_id}", f"/rooms/{room_id}", None, None),
            ("GET", "/games", "/games", None, None),
            ("GET", "/games/{game_id}", f"/games/{game}", None, None),
            ("GET", "/games/{game_id}", "/games/none", None, None),
            ("POST", "/register", "/register", {"username": "dave", "password": "correct horse"}, None),
            ("POST", "/login", "/login", {"username": "dave", "password": "correct horse"}, None),
            ("POST", "/login", "/login", {"username": "dave", "password": "wrong horse"}, None),
            ("POST", "/logout", "/logout", None, self.alice),
            ("GET", "/plays/{play_id}", "/plays/none", None, "none"),
            ("GET", "/", "/", None, None),
        ]
        for method, declared, path, body, token in asked:
            response = self.world.ask(method, path, body, token=token)
            replies = self.document["paths"][declared][method.lower()]["responses"]
            self.assertIn(str(response.status), replies, (method, path, response))
            content = replies[str(response.status)].get("content", {})
            media_type = response.headers.get("content-type", "").partition(";")[0]
            if response.body:
                self.assertIn(media_type, content, (method, path))
                schema = content[media_type].get("schema")
                if schema is not None:
                    faults = [error.message for error in self.validator(schema).iter_errors(response.json)]
                    self.assertEqual(faults, [], (method, path))

    def test_bodies_are_as_declared(self) -> None:
        """What is sent is read by the declaration: the fields of /create are those of the rules, and what a schema refuses is refused."""
        paths = self.document["paths"]
        schema = paths["/create"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        self.assertTrue(all(field["description"] for field in schema["properties"].values()))
        self.assertEqual(set(schema["properties"]), set(FIELDS))
        room_id = self.world.create(self.alice)
        creations = [*({"engine": engine} for engine in ENGINES), *({"engine": SOURCE, **fields} for fields in CREATE_FIELDS)]
        samples = [("/create", "/create", body) for body in creations]
        samples += [("/join/{room_id}", f"/join/{room_id}", body) for body in JOINS]
        for declared, path, body in samples:
            schema = paths[declared]["post"]["requestBody"]["content"]["application/json"]["schema"]
            response = self.world.ask("POST", path, body, token=self.alice if declared == "/create" else None)
            self.assertEqual(self.validator(schema).is_valid(body), response.status == 201, (body, response))


class AsyncApiTests(DescriptionCase):
    """/asyncapi.json."""

    path = "/asyncapi.json"

    def test_form(self) -> None:
        """It is AsyncAPI 3: references lead somewhere, every message is in one direction, payloads are schemas."""
        self.assertTrue(self.document["asyncapi"].startswith("3."))
        self.assertEqual(self.document["servers"]["web"], {"host": "play.example:8080", "protocol": "ws"})
        for reference in references(self.document):
            resolve(self.document, reference)
        operations = self.document["operations"].values()
        named = [each["$ref"].rsplit("/", 1)[1] for operation in operations for each in operation["messages"]]
        self.assertEqual(sorted(named), sorted(self.document["components"]["messages"]))
        for message in self.document["components"]["messages"].values():
            Draft202012Validator.check_schema(message.get("payload", {}))

    def test_messages(self) -> None:
        """The room messages of the specification are in it, and those that are said in a room are as it says."""
        self.assertEqual(
            set(FROM_MEMBERS),
            {*RoomConversation._DEEDS, *lockstep_messages.MESSAGES, "resolve", "transition", "setup", "commands", "game", "add_bot", "ack"},
        )
        self.assertLessEqual({"welcome", "players", "state", "chat", "over", "error", "pong", "ack"}, TO_MEMBERS.keys())
        room_id = self.world.create(self.alice)
        peer = socket_of(self.world, self.world.join(room_id), room_id)
        said = [
            {"type": "hello", "id": 1},
            {"type": "ready", "ready": False, "id": 2},
            {"type": "chat", "text": "hi", "id": 3},
            {"type": "sit", "id": 4},
            {"type": "ping", "t": 1.5, "id": 5},
            {"type": "leave", "id": 6},
        ]
        messages = self.document["components"]["messages"]
        for message in said:
            if message["type"] != "hello":
                self.assertTrue(self.validator(messages[f"from_{message['type']}"]["payload"]).is_valid(message))
            peer.say(type_=message["type"], **{key: value for key, value in message.items() if key != "type"})
        heard = [each for each in peer.heard() if isinstance(each, dict)]
        self.assertLessEqual({"welcome", "ack", "chat", "error", "pong"}, {each["type"] for each in heard})
        for message in heard:
            faults = [error.message for error in self.validator(messages[f"to_{message['type']}"]["payload"]).iter_errors(message)]
            self.assertEqual(faults, [], message)
