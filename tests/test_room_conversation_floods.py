"""What counts to the limit of messages: everything but command packets that are of use and not large."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

from gameroom.entrance import Guest
from gameroom.errors import BadState, InvalidRequest, RateLimited
from gameroom.room_conversation import SHORT, RoomConversation
from gameroom.settings import Limits
from gameroom.wire.room_messages import LARGE, read_message
from tests.rooms import NotingConnection
from tests.test_room_conversation import ConversationTestCase

MIB = 1 << 20
PACKET = b'{"type":"commands","generation":1%b}'


class FloodTests(ConversationTestCase):
    """One member, ten messages a second allowed and thirty at once."""

    def setUp(self) -> None:
        super().setUp()
        self.anna, self.annas = self.welcomed(self.tokens["Anna"])
        # What the greeting cost.
        self.house.clock.advance(60)

    def codes(self, say: Callable[[], None], times: int = 31) -> list[int]:
        """Say something so often; the codes of the errors that came."""
        for _ in range(times):
            say()
        return [message["code"] for message in self.annas.take() if message["type"] == "error"]

    def refusing(self) -> mock._patch[object]:
        error = BadState("too far ahead")
        return mock.patch.multiple(self.room.referee, packet=mock.Mock(side_effect=error), text=mock.Mock(side_effect=error))

    def test_no_messages(self) -> None:
        """What is no message at all counts as one."""
        for data in (b"[]", b"{", b'{"type":"ping","id":-1}', b'{"type":1}', b'{"type":1,"id":5}'):
            self.assertEqual(self.codes(lambda: self.anna.text(data)), [100] * 30 + [106], data)  # noqa: B023
            self.house.clock.advance(60)

    def test_refused_packets(self) -> None:
        """So does a command packet that is refused, in whichever way it came."""
        with self.refusing():
            for say in (
                lambda: self.anna.text(PACKET % b""),
                lambda: self.anna.text(PACKET % b',"id":4'),
                lambda: self.anna.binary(b"\x01"),
            ):
                self.assertEqual(self.codes(say), [105] * 30 + [106])
                self.house.clock.advance(60)

    def test_refused_messages(self) -> None:
        """Another message that is refused counts once, as it does when it is carried out."""
        for data in (b'{"type":"chat","text":5}', b'{"type":"chat","text":5,"id":3}'):
            self.assertEqual(self.codes(lambda: self.anna.text(data)), [100] * 30 + [106])  # noqa: B023
            self.house.clock.advance(60)

    def test_packets_of_use(self) -> None:
        """Those do not count, nor does what they are told to be wrong with them stop the ones that follow."""
        fault = InvalidRequest("command 0 was left out")
        with mock.patch.object(self.room.referee, "text", side_effect=fault):
            self.assertEqual(self.codes(lambda: self.anna.text(PACKET % b""), 40), [100] * 30 + [106] * 10)
        self.assertEqual(self.codes(lambda: self.anna.text(PACKET % b""), 1000), [])
        self.assertEqual(self.codes(lambda: self.anna.binary(b"\x01"), 1000), [])

    def test_large(self) -> None:
        """A large message counts as many, a packet too; the largest may be said now and then however few are allowed."""
        padding = b',"x":"%b"' % (b"x" * (9 * SHORT))
        self.assertEqual(self.codes(lambda: self.anna.text(PACKET % padding), 4), [106])
        self.house.clock.advance(60)
        self.assertEqual(self.codes(lambda: self.anna.text(PACKET % (b',"x":"%b"' % (b"x" * (LARGE - 60)))), 40), [])
        self.house.clock.advance(60)
        self.assertEqual(self.codes(lambda: self.anna.text(PACKET % (b',"x":"%b"' % (b"x" * MIB))), 2), [106])
        self.house.clock.advance(60)
        self.assertEqual(self.codes(lambda: self.anna.text(PACKET % b"")), [])


class StormTests(ConversationTestCase):
    """Eight guests who do nothing but send the largest messages there are, by the usual limits."""

    def setUp(self) -> None:
        super().setUp()
        self.house.limits = Limits()
        self.anna, self.annas = self.welcomed(self.tokens["Anna"])
        self.guests = [self.welcomed(self.token(Guest(f"Guest {number}"))) for number in range(8)]

    def storm(self, send: Callable[[RoomConversation], None]) -> None:
        for guest, connection in self.guests:
            told = self.until_closed(guest, connection, send)
            self.assertIn(106, told)
            self.assertIsInstance(connection.closed[0], RateLimited)
        self.assertEqual(self.annas.closed, [])
        self.assertEqual(self.ask(self.anna, self.annas, type="ping", t=1)["type"], "pong")

    def until_closed(self, guest: RoomConversation, connection: NotingConnection, send: Callable[[RoomConversation], None]) -> list[int]:
        for _ in range(4000):
            send(guest)
            if connection.closed:
                break
        return [message["code"] for message in connection.take() if message["type"] == "error"]

    def test_no_message(self) -> None:
        """1 MiB of empty arrays, which take a while to be read: told so after two, closed after some dozens, and nobody else is touched."""
        data = b"[" + b"[]," * (MIB // 3 - 1) + b"1]"
        with mock.patch("gameroom.room_conversation.read_message", wraps=read_message) as parse:
            self.storm(lambda guest: guest.text(data))
        self.assertLessEqual(parse.call_count, 8 * 2 + 1, "and the one that Anna says")

    def test_refused_packets(self) -> None:
        """Packets that are refused, small and large ones."""
        for data in (b"\x01", b"\x01" * MIB):
            self.setUp()
            with mock.patch.object(self.room.referee, "packet", side_effect=BadState("too far ahead")):
                self.storm(lambda guest: guest.binary(data))  # noqa: B023
