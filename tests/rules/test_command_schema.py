"""The schema that each command of a room must match."""

from __future__ import annotations

import resource
import subprocess
import sys
from datetime import UTC, datetime
from random import Random
from time import process_time
from typing import Any
from unittest.mock import patch

import orjson
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.rules import command_schema
from gameroom.rules.command_schema import DIALECT, CommandSchema
from gameroom.wire.lockstep import OVERSIZED, PACKET_BYTES

MOVES: dict[str, Any] = {
    "type": "object",
    "properties": {"kind": {"enum": ["move", "stop"]}, "x": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["kind"],
    "additionalProperties": False,
}

KEYWORDS = (
    "type enum const items prefixItems properties patternProperties anyOf oneOf not if then contains "
    "minimum multipleOf maxLength pattern uniqueItems required dependentSchemas propertyNames $ref $defs frob"
)
keywords = st.sampled_from(KEYWORDS.split())
words = st.sampled_from(
    [
        "type",
        "enum",
        "const",
        "items",
        "prefixItems",
        "properties",
        "patternProperties",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "then",
        "contains",
        "minimum",
        "multipleOf",
        "maxLength",
        "pattern",
        "uniqueItems",
        "required",
        "dependentSchemas",
        "propertyNames",
        "$ref",
        "$defs",
        "frob",
    ]
)
words = st.sampled_from(["integer", "string", "a", "(a|b)*c{2}", "(", "[a", "#/$defs/a", "#/anyOf/0", "http://x.example/", "\ud83d\ude00"])
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats()
garbage: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | words | st.text(max_size=4),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(keywords | st.sampled_from(["a", "b"]), inside, max_size=4),
    max_leaves=24,
)


def packet(commands: list[Any]) -> dict[str, Any]:
    return {"type": "commands", "generation": 3, "latency": 1, "framerate": 60, "commands": commands}


def fault_of(schema: Any) -> tuple[str, str | None]:
    try:
        CommandSchema(schema)
    except InvalidRequest as error:
        return error.message, error.pointer
    raise AssertionError(f"{schema} was taken")


class PacketTests(SynchronousTestCase):
    def test_left_out(self) -> None:
        """Commands that match stay, in order; of the others the first is told, with its place and the reason."""
        parsed = CommandSchema(MOVES).parse(packet([{"kind": "move", "x": 1}, {"kind": "jump"}, {"kind": "stop"}, 7]))
        self.assertEqual(orjson.loads(parsed.commands), [{"kind": "move", "x": 1}, {"kind": "stop"}])
        self.assertIn("command 1 was left out", parsed.fault)
        self.assertIn('"jump"', parsed.fault)
        self.assertIn("(at /kind)", parsed.fault)
        self.assertEqual(parsed.generation, 3)

    def test_all_or_none(self) -> None:
        """Where all match the packet is as without a schema; where none does it has no commands."""
        schema = CommandSchema(MOVES)
        self.assertEqual(schema.parse(packet([{"kind": "stop"}]))[-2:], (b'[{"kind":"stop"}]', ""))
        self.assertEqual(schema.parse(packet([]))[-2:], (b"", ""))
        self.assertEqual(schema.parse(packet([1, 2])).commands, b"")

    def test_booleans(self) -> None:
        """`true` takes every command, `false` none."""
        self.assertEqual(CommandSchema(True).parse(packet([1, None]))[-2:], (b"[1,null]", ""))
        self.assertEqual(CommandSchema(False).parse(packet([1])).commands, b"")

    def test_oversized(self) -> None:
        """A packet over 16 KiB counts as one without commands, and none of them is looked at."""
        self.assertEqual(CommandSchema(False).parse(packet(["x" * PACKET_BYTES])).fault, OVERSIZED)

    def test_short_sentence(self) -> None:
        """The reason never repeats a long command."""
        fault = CommandSchema({"maxLength": 3}).parse(packet(["x" * 400])).fault
        self.assertLess(len(fault), 300)
        self.assertLess(len(CommandSchema(MOVES).parse(packet([{"k" * 9000: 1}])).fault), 300)

    def test_too_deep(self) -> None:
        """A command that is nested as deeply as any can be is looked at like others."""
        command: Any = 0
        for _ in range(250):
            command = [command]
        self.assertIn("command 0", CommandSchema({"items": {"items": {"type": "integer"}}}).parse(packet([command])).fault)

    def test_budget(self) -> None:
        """A packet whose check could take too long is checked as far as there is time, and its sender told."""
        schema = CommandSchema({"enum": list(range(400))})
        commands = list(range(400))
        taken, fault = schema.check(commands, orjson.dumps(commands))
        self.assertEqual(taken, commands[: len(taken)])
        self.assertTrue(8 <= len(taken) < 400)
        self.assertIn(f"command {len(taken)} and what comes after it", fault)
        self.assertEqual(schema.check(commands[:8], orjson.dumps(commands[:8])), (commands[:8], ""))

    def test_slow_numbers(self) -> None:
        """Numbers with large negative exponents are compared slowly: there is time for fewer of them."""
        schema = CommandSchema({"const": 1e-5})
        plain, slow = [1e-5] * 1500, [1e-5, *[1e-300] * 1499]
        few, fault = schema.check(slow, orjson.dumps(slow))
        self.assertEqual((len(few), schema.check(plain, b"")[1]), (1, ""))
        self.assertIn("command 1 was left out", fault)


def peak_memory() -> int:
    """The most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


class SchemaTests(SynchronousTestCase):
    def test_faults_are_pointed_at(self) -> None:
        """A bad schema is refused with the place of its fault in the body of /create."""
        for schema, pointer in (
            ({"properties": {"a/b": {"type": "integr"}}}, "/properties/a~1b/type"),
            ({"minLength": -1}, "/minLength"),
            ({"pattern": "(a"}, "/pattern"),
            ({"pattern": r"(a)\1"}, "/pattern"),
            ({"patternProperties": {"(a": True}}, "/patternProperties/(a"),
            ({"items": {"$ref": "https://a.example/b"}}, "/items/$ref"),
            ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/$schema"),
            ({"$schema": 7}, "/$schema"),
            ({"items": {"$id": "https://a.example/b"}}, "/items/$id"),
            ({"items": {"const": [{"$id": "x"}]}}, "/items/const/0/$id"),
            ({"enum": [1e-300]}, "/enum/0"),
            ({"enum": list(range(5000))}, ""),
            ({"pattern": "(a{100}){100}"}, ""),
            ({"const": "x" * (64 << 10)}, ""),
            ({"const": datetime(2026, 1, 1, tzinfo=UTC)}, ""),
            ({"const": 2**70}, ""),
        ):
            self.assertEqual(fault_of(schema)[1], f"/command_schema{pointer}", str(schema)[:80])

    def test_patterns_together(self) -> None:
        """All patterns of a schema share what one might have: hundreds of large ones would take seconds to compile, and hundreds of MiB."""

        def patterns(pattern: str, count: int) -> dict[str, Any]:
            return {"properties": {f"a{number}": {"pattern": f"{pattern}{number}"} for number in range(count)}}

        before = process_time()
        message, pointer = fault_of(patterns(r"\p{L}{9}", 500))
        self.assertLess(process_time() - before, 1.0)
        self.assertIn("too large", message)
        self.assertRegex(str(pointer), "^/command_schema/properties/a[0-9]+/pattern$")
        for taken in (patterns(r"^[a-z0-9_]{1,20}$", 200), patterns(r"\p{L}", 40), patterns(r"^.{1,64}$", 15), {"pattern": r"\p{L}{18}"}):
            CommandSchema(taken)

    def test_what_patterns_remember(self) -> None:
        """What a command makes a pattern remember is bounded, whatever it is: each of these would take 2 MiB."""
        schema = CommandSchema({"properties": {f"a{number}": {"pattern": f"(a|b)*a(a|b){{9}}{number}"} for number in range(200)}})
        draw, before = Random(1), peak_memory()
        for number in range(200):
            schema.check([{f"a{number}": "".join(draw.choices("ab", k=4000))}], b"")
        self.assertLess(peak_memory() - before, 50 << 20)

    def test_compiled_once(self) -> None:
        """A schema is checked at /create and used in its room: it is compiled once."""
        with patch("gameroom.rules.command_schema._compiled", wraps=command_schema._compiled) as compiled:
            for _ in range(3):
                CommandSchema({"title": "compiled once", "type": "integer"})
        self.assertEqual(compiled.call_count, 1)

    def test_nested(self) -> None:
        """Neither a value nor a schema may be nested without end."""
        value: Any = 0
        for _ in range(240):
            value = [value]
        self.assertIn("nested too deeply", fault_of({"const": value})[0])
        for _ in range(9000):
            value = [value]
        self.assertIn("nested too deeply", fault_of({"const": value})[0])

    def test_names(self) -> None:
        """At its top a schema may say which draft it is of and what it is called."""
        schema = CommandSchema({"$schema": DIALECT, "$id": "https://a.example/b", "$ref": "#/$defs/x", "$defs": {"x": {"type": "integer"}}})
        self.assertEqual(schema.check([1, "a"], b"")[0], [1])

    def test_formats(self) -> None:
        """`format` says something to people, and checks nothing, as the draft has it."""
        self.assertEqual(CommandSchema({"format": "email"}).check(["x"], b"")[1], "")

    @given(garbage, st.lists(garbage, max_size=4))
    def test_garbage(self, schema: Any, commands: list[Any]) -> None:
        """Whatever a schema and commands are: it is refused, or of the commands some are left."""
        try:
            compiled = CommandSchema(schema)
            given = packet(orjson.loads(orjson.dumps(commands)))
        except (InvalidRequest, TypeError):
            return
        parsed = compiled.parse(given)
        left = orjson.loads(parsed.commands or b"[]")
        self.assertTrue(all(command in given["commands"] for command in left))
        self.assertEqual(len(left) == len(given["commands"]), not parsed.fault)


DEEP = """
from gameroom.errors import InvalidRequest
from gameroom.rules.command_schema import CommandSchema
import orjson
def nest(levels, wrap, inner=True):
    for _ in range(levels):
        inner = wrap(inner)
    return inner
wraps = [lambda s: {"not": s}, lambda s: {"items": s}, lambda s: {"anyOf": [s, True]}, lambda s: {"properties": {"a": s}}, lambda s: {"allOf": [s]}]
chain = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(1500)} | {"d1500": True}
schemas = [nest(levels, wrap) for wrap in wraps for levels in (1, 5, 12, 30, 31, 32, 60, 200, 900)]
schemas += [{"$defs": chain, "$ref": "#/$defs/d0"}, {"$defs": dict(reversed(chain.items())), "$ref": "#/$defs/d0"}]
schemas += [{"pattern": "(" * n + "a" + ")" * n} for n in (50, 300, 5000)] + [{"pattern": "(?:" * 900 + "a" + ")*" * 900}]
commands = [nest(levels, wrap, 0) for levels in (1, 100, 250) for wrap in (lambda c: [c], lambda c: {"a": c}, lambda c: [c, 1])]
for schema in schemas:
    try:
        compiled = CommandSchema(schema)
    except InvalidRequest:
        continue
    for command in commands:
        compiled.check([command], orjson.dumps(command))
print("alive")
"""


def test_deep_recursion() -> None:
    """Nothing that is nested brings the process down: schemas, references, patterns, commands."""
    done = subprocess.run([sys.executable, "-c", DEEP], check=False, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr[-2000:]
