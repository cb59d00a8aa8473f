"""What a schema can cost, told from the schema alone."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.schema_cost import MOST_LEVELS, Cost, Fault, cost_of


def fault_of(schema: Any) -> tuple[str, str]:
    try:
        cost_of(schema)
    except Fault as fault:
        return fault.message, fault.pointer or ""
    raise AssertionError(f"{schema} was taken")


def ladder(steps: int, wide: int = 2) -> dict[str, Any]:
    """Schemas that use the next one twice."""
    rungs: dict[str, Any] = {f"d{step}": {"anyOf": [{"$ref": f"#/$defs/d{step + 1}"}] * wide} for step in range(steps)}
    return {"$ref": "#/$defs/d0", "$defs": {**rungs, f"d{steps}": {"type": "integer"}}}


class CostTests(SynchronousTestCase):
    def test_same_place_adds_up(self) -> None:
        """Alternatives cost what each of them costs, `$ref` what is behind it."""
        one = cost_of({"type": "string"})
        three = cost_of({"anyOf": [{"type": "string"}] * 3})
        self.assertGreaterEqual(three.each, 3 * one.each)
        behind = cost_of({"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}], "$defs": {"a": {"enum": list(range(50))}}})
        self.assertGreaterEqual(behind.each, 2 * cost_of({"enum": list(range(50))}).each)

    def test_elements(self) -> None:
        """What is checked for each element costs by the byte, and arrays of arrays cost no more than their elements."""
        element = {"enum": [1, 2, 3]}
        flat, nested = cost_of({"items": element}), cost_of({"items": {"items": element}})
        self.assertGreaterEqual(flat.per_byte, cost_of(element).each / 2)
        self.assertLess(nested.per_byte, 1.1 * flat.per_byte)

    def test_members(self) -> None:
        """Of the members of an object the bytes are those of one or of another: the dearest counts."""
        by_byte = {"items": {"const": 0}}
        self.assertEqual(cost_of({"properties": {"a": by_byte, "b": by_byte}}).per_byte, cost_of({"properties": {"a": by_byte}}).per_byte)
        self.assertGreater(cost_of({"allOf": [by_byte, by_byte]}).per_byte, 1.9 * cost_of(by_byte).per_byte)

    def test_written_out(self) -> None:
        """A small schema that uses its parts again and again is as large as if it were written out."""
        self.assertGreater(cost_of(ladder(7)).parts, 1.9 * cost_of(ladder(6)).parts)
        self.assertIn("over 5,000 schemas", fault_of(ladder(14))[0])

    def test_forty_twice(self) -> None:
        """Two equal `$ref`s nested forty times are refused at once, not walked."""
        self.assertIn("nested deeper", fault_of(ladder(40))[0])

    def test_levels(self) -> None:
        """Levels count behind `$ref` too, whichever of the definitions is looked at first."""
        chain = {f"d{step}": {"$ref": f"#/$defs/d{step + 1}"} for step in range(MOST_LEVELS)} | {f"d{MOST_LEVELS}": True}
        for definitions in (chain, dict(reversed(chain.items()))):
            self.assertIn("nested deeper", fault_of({"$defs": definitions, "$ref": "#/$defs/d0"})[0])
        inline: Any = True
        for _ in range(MOST_LEVELS - 1):
            inline = {"not": inline}
        cost_of(inline)
        self.assertIn("nested deeper", fault_of({"not": {"not": inline}})[0])

    def test_rounds(self) -> None:
        """A `$ref` never leads back to where it stands, by whatever way."""
        for schema in (
            {"items": {"$ref": "#"}},
            {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"x": {"$ref": "#/$defs/a"}}}}},
            {"$ref": "#/$defs/a", "$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"items": {"$ref": "#/$defs/a"}}}},
            {"$defs": {"a": {"properties": {"x": {"$ref": "#/$defs/b/not"}}}, "b": {"not": {"$ref": "#/$defs/a"}}}},
            {"properties": {"a": {"items": {"$ref": "#/properties/a"}}}},
        ):
            self.assertIn("lead back", fault_of(schema)[0], schema)

    def test_elsewhere(self) -> None:
        """A `$ref` points into the schema, in the one way in which a pointer is written."""
        for reference in ("http://a.example/b", "file:///etc/passwd", "other.json", "#anchor", "#/%24defs/a", 7, ""):
            self.assertEqual(fault_of({"$ref": reference, "$defs": {"a": True}})[1], "/$ref")
        for reference in ("#/$defs/b", "#/allOf/00", "#/allOf/1", "#/allOf/-1", "#/title/0"):
            self.assertIn("nothing where", fault_of({"$ref": reference, "allOf": [True], "title": "t", "$defs": {"a": True}})[0])
        self.assertGreater(cost_of({"$ref": "#/$defs/a~1b~0", "$defs": {"a/b~": {"enum": [1]}}}).each, 1000)

    def test_keywords(self) -> None:
        """What is no keyword, or one whose cost cannot be told, is pointed at, also where nothing refers to it."""
        for keyword in ("frob", "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$anchor", "$vocabulary", "$id", "definitions"):
            self.assertEqual(fault_of({"$defs": {"a/b": {"items": {keyword: True}}}})[1], f"/$defs/a~1b/items/{keyword}")
        for keyword, value in (("items", 3), ("anyOf", {}), ("properties", []), ("pattern", 1)):
            self.assertEqual(fault_of({keyword: value})[1], f"/{keyword}")


class PatternTests(SynchronousTestCase):
    def states(self, pattern: str) -> float:
        return cost_of({"pattern": pattern}).per_byte / cost_of({"pattern": ""}).per_byte - 1

    def test_states(self) -> None:
        """Counted repetition makes copies, of groups too; classes are one state, wide ones more."""
        for pattern, states in (
            ("abc", 3),
            ("^[a-z0-9_-]{1,24}$", 24),
            ("(ab){5}c", 11),
            ("((ab){5}c){3}", 33),
            ("(a{10}){10}", 100),
            ("a{3,}", 4),
            ("a{3}{3}", 9),
            (r"\w{2}", 6),
            (".", 3),
            ("[^a]", 3),
            (r"[\]]{4}", 12),
            ("é", 3),
            ("(?:a|b)*(?<name>c)", 9),
        ):
            with self.subTest(pattern=pattern):
                self.assertGreaterEqual(self.states(pattern), states)
                self.assertLessEqual(self.states(pattern), states + 1)

    def test_not_understood(self) -> None:
        """Where it is not certain how a pattern is read, it is refused."""
        for pattern in ("(?=a)", "(?!a)", "(?i)a", "(?x) a # [", "[]a]", "[^]a]", "[[]", "[a[b]c]"):
            self.assertEqual(fault_of({"pattern": pattern})[1], "/pattern", pattern)

    def test_for_every_name(self) -> None:
        """The patterns of `patternProperties` look at every name."""
        self.assertGreater(cost_of({"patternProperties": {"^x{50}": True}}).per_byte, cost_of({"pattern": "^x{50}"}).per_byte)


def test_sum() -> None:
    """Costs add up, but for how deep they are."""
    assert Cost(1, 2, 3, 4) + Cost(1, 1, 1, 1) == Cost(2, 3, 4, 4)
