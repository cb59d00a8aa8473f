"""gameroom.doors.web.declare: what a declaration reads is what its schema says."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.web.declare import Body, Choice, Field, Kind, Number, RawBody, Reply, Route, Text
from gameroom.errors import InvalidRequest

FIELDS = (
    Field(name="name", kind=Text(1, 4), required=True),
    Field(name="as", kind=Choice(("player", "viewer"))),
    Field(name="n", kind=Number(-3, 5)),
)
BODY = Body(FIELDS)
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-6, 8), st.text(max_size=6), st.sampled_from(["player", "viewer"]), st.just([]), st.just({}), st.just(0.5)
)


def reads(body: Body, content: Any) -> bool:
    try:
        body.read(content)
    except InvalidRequest:
        return False
    return True


class BodyTests(SynchronousTestCase):
    """Bodies."""

    @given(st.dictionaries(st.sampled_from(["name", "as", "n", "other", "a/b"]), VALUES))
    def test_schema(self, content: dict[str, Any]) -> None:
        """An object is read just when the schema takes it, and then as it is; digits in a string are for queries alone."""
        taken = Draft202012Validator(BODY.schema()).is_valid(content)
        if isinstance(content.get("n"), str):
            return
        self.assertEqual(reads(BODY, content), taken)
        if taken:
            self.assertEqual(BODY.read(content), content)

    def test_pointers(self) -> None:
        """A fault has a JSON pointer to it."""
        for content, pointer in [([], ""), ({}, "/name"), ({"name": "x", "~/": 1}, "/~0~1"), ({"name": "x", "n": True}, "/n")]:
            with self.assertRaises(InvalidRequest) as caught:
                BODY.read(content)
            self.assertEqual(caught.exception.pointer, pointer)


class QueryTests(SynchronousTestCase):
    """Queries."""

    def route(self, *fields: Field, page: bool = False) -> Route:
        return Route(handler="x", methods=("GET",), path="/x", about="", replies={200: Reply(about="")}, query=fields, page=page)

    @given(st.integers(-(10**20), 10**20))
    def test_numbers(self, number: int) -> None:
        """A number in its bounds is read, and no other."""
        route = self.route(Field(name="n", kind=Number(0, 200)))
        if 0 <= number <= 200:
            self.assertEqual(route.read_query({b"n": [b"%d" % number]}), {"n": number})
        else:
            self.assertRaises(InvalidRequest, route.read_query, {b"n": [b"%d" % number]})

    def test_unknown(self) -> None:
        """Unknown parameters are told where a row reads some, and passed over by pages and where it reads none."""
        field = Field(name="n", kind=Number(0, 1))
        self.assertRaises(InvalidRequest, self.route(field).read_query, {b"m": [b"1"]})
        self.assertEqual(self.route(field, page=True).read_query({b"m": [b"1"], b"n": [b"1"]}), {"n": 1})
        self.assertEqual(self.route().read_query({b"\xff": [b"1"]}), {})

    def test_twice_and_missing(self) -> None:
        """A parameter stands once, and one that is required stands there."""
        route = self.route(Field(name="n", kind=Number(0, 1), required=True))
        self.assertRaises(InvalidRequest, route.read_query, {b"n": [b"1", b"1"]})
        self.assertRaises(InvalidRequest, route.read_query, {})

    def test_digits(self) -> None:
        """Digits are a number in a query, and a string in a body."""
        self.assertEqual(Number(0, 9).read("n", "7", None), 7)
        self.assertRaises(InvalidRequest, Number(0, 9).read, "n", "7", "/n")

    def test_raw(self) -> None:
        """A raw body is 1 to so many bytes, as they are."""
        raw = RawBody(3)
        self.assertEqual(raw.read(b"\0{}"), b"\0{}")
        for content in (b"", b"abcd"):
            self.assertRaises(InvalidRequest, raw.read, content)

    def test_kinds(self) -> None:
        """Each kind says what it is."""
        kinds: list[tuple[Kind, Any]] = [(Text(0, 3), "abc"), (Choice(("a",)), "a"), (Number(1, 2), 2)]
        for kind, value in kinds:
            self.assertTrue(Draft202012Validator(kind.schema()).is_valid(value))
            self.assertEqual(kind.read("x", value, None), value)
