"""JSON with too many lists and objects is refused before anything is made of it."""

from __future__ import annotations

import time

import attrs
import orjson
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.wire import lines, messages
from gameroom.wire.game_service import Finished, Said, State, View, shown_from_bytes, state_from_bytes, state_to_bytes
from gameroom.wire.json_lists import MOST, check_lists
from gameroom.wire.room_messages import read_message


def lists(count: int) -> bytes:
    """So many of them, one in which all others are."""
    return b"[" + b",".join([b"{}", b"[]"] * (count // 2) + [b"[]"] * (count % 2))[: 3 * count - 4] + b"]"


def containers(value: object) -> int:
    """How many are in a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + sum(map(containers, inner))


JSON = st.recursive(st.none() | st.text('["{\\a') | st.booleans(), lambda inner: st.lists(inner) | st.dictionaries(st.text('[{"\\'), inner))


class CheckListsTests(SynchronousTestCase):
    """How they are counted."""

    def refused(self, *texts: bytes) -> bool:
        try:
            check_lists("this", *texts)
        except InvalidRequest as error:
            self.assertEqual(error.message, "this may have at most 65536 lists and objects")
            return True
        return False

    def test_as_many_as_may_be(self) -> None:
        """The outermost counts, too, and so do those of several texts together."""
        self.assertEqual(containers(orjson.loads(lists(MOST))), MOST)
        self.assertFalse(self.refused(lists(MOST)))
        self.assertTrue(self.refused(lists(MOST + 1)))
        self.assertFalse(self.refused(lists(MOST - 1000), lists(1000)))
        self.assertTrue(self.refused(lists(MOST - 1000), lists(1001)))

    def test_what_is_in_a_string_is_text(self) -> None:
        """Also behind quotes that do not end it, and where it does not end at all."""
        for text in (rb'["%s"]', rb'{"\"%s": 1}', rb'["\\\"%s\\"]', b'["%s', b'["%s\\', b'["\xf0\x9f\x98\x80%s"]'):
            self.assertFalse(self.refused(text % (b"[{" * MOST)), text)
        self.assertTrue(self.refused(rb'["\\"' + b"[" * MOST))

    @given(JSON)
    def test_none_is_counted_that_is_not_there(self, value: object) -> None:
        """However strings and names look: text of the same kind around it makes no list of them."""
        many = b'["' + b"[" * MOST + b'",' + orjson.dumps(value) + b"]"
        self.assertFalse(self.refused(many))
        self.assertTrue(self.refused(many, lists(MOST - containers(value))))

    def test_no_text_takes_long(self) -> None:
        """The time grows with the length, whatever a text is made of."""
        for piece in (b'"', b'\\"', b'"\\', b"[", b'["', b'"["', b"\\", b'[\\"', b'"[\\'):
            since = time.process_time()
            self.refused(b"[" * (MOST + 1) + b'"' + piece * ((1 << 20) // len(piece)))
            self.assertLess(time.process_time() - since, 2.0, piece)


class DoorsTests(SynchronousTestCase):
    """Where what others say is read."""

    def test_each_of_them_looks(self) -> None:
        """Room messages, lines, and JSON in Protocol Buffers."""
        for wrap in (read_message, lines.decode, lambda text: messages._json("it", text)):
            wrap(b'{"a": %s}' % lists(MOST - 1))
            with self.assertRaisesRegex(InvalidRequest, "at most 65536 lists and objects"):
                wrap(b'{"a": %s}' % lists(MOST))

    def test_answers_of_services(self) -> None:
        """All JSON of one answer together; what is no text is not looked at."""
        part = lists(MOST // 2)
        said = State(request=1, sequence=1, broadcast=(Said(part, True), Said(b"[" * MOST, False)), views=(View(0, part, True),))
        self.assertEqual(state_from_bytes(state_to_bytes(said)), said)
        for more in (attrs.evolve(said, broadcast=(*said.broadcast, Said(b"[]", True))), attrs.evolve(said, finished=Finished(b"{}"))):
            with self.assertRaisesRegex(InvalidRequest, "the JSON of an answer may have at most 65536 lists and objects"):
                state_from_bytes(state_to_bytes(more))

    def test_what_was_looked_at(self) -> None:
        """Of a room's own what it has shown is not read again for everyone who comes."""
        said = State(request=0, sequence=0, broadcast=(Said(b"whatever it is", True),), views=(View(3, b"\0", False),))
        self.assertEqual(shown_from_bytes(state_to_bytes(said)), (said.broadcast, said.views))
