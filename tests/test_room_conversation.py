"""What a member may say to a room: the transport-free conversation that every door carries."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.entrance import Guest
from gameroom.errors import BadState, NotFound, RateLimited, Unauthorized
from gameroom.room_conversation import RoomConversation
from tests.held import HeldDatabase
from tests.rooms import House, NotingConnection, account


class ConversationTestCase(SynchronousTestCase):
    """A room with Anna as its host, and conversations with it."""

    def setUp(self) -> None:
        self.house = House()
        self.registry = self.house.registry
        self.room = self.successResultOf(self.registry.create(self.house.request(), account("Anna")))
        self.tokens = {"Anna": self.token(account("Anna"))}

    def token(self, who: Any, wish: str = "any") -> str:
        token: str = self.successResultOf(self.registry.join(self.room.room_id, who, wish)).token
        return token

    def open(self, room_id: str | None = None, door: str = "web") -> tuple[RoomConversation, NotingConnection]:
        connection = NotingConnection(door)
        conversation = RoomConversation(
            registry=self.registry, connection=connection, room_id=room_id or self.room.room_id, limits=lambda: self.house.limits
        )
        return conversation, connection

    def welcomed(self, token: str, **hello: Any) -> tuple[RoomConversation, NotingConnection]:
        conversation, connection = self.open()
        self.say(conversation, type="hello", token=token, **hello)
        self.assertTrue(conversation.proved)
        connection.take()
        return conversation, connection

    def say(self, conversation: RoomConversation, **message: Any) -> None:
        conversation.text(orjson.dumps(message))

    def ask(self, conversation: RoomConversation, connection: NotingConnection, **message: Any) -> dict[str, Any]:
        """Say something with an id; its answer."""
        connection.take()
        self.say(conversation, id=7, **message)
        [answer] = [message for message in connection.take() if message.get("reply_to") == 7]
        return answer


class HelloTests(ConversationTestCase):
    def test_welcome(self) -> None:
        """`hello` with the seat token is answered by `welcome`, which says who one is and what the room is."""
        conversation, connection = self.open()
        self.say(conversation, type="hello", token=self.tokens["Anna"], id=3)
        welcome = connection.take()[0]
        self.assertEqual(welcome["type"], "welcome")
        self.assertEqual(welcome["reply_to"], 3)
        self.assertEqual(welcome["you"], {"user_id": "Anna", "name": "Anna", "seat": 0, "viewer": False, "host": True})
        self.assertEqual((welcome["last_id"], welcome["extra"]), (0, "Anna"))
        fields = "room_id party_code engine seed configuration revision state hosting players min_players max_players encoding"
        self.assertEqual(set(welcome["room"]), set(fields.split()))

    def test_first_of_all(self) -> None:
        """Nothing is carried out before `hello`, and three wrong tokens close the connection; other errors do not count."""
        conversation, connection = self.open()
        conversation.text(b"garbage")
        for message in ({"type": "ready", "ready": True}, {"type": "hello", "token": "wrong"}, {"type": "hello"}):
            self.assertEqual(connection.closed, [])
            self.say(conversation, **message)
        self.assertEqual([message["code"] for message in connection.take()], [100, 101, 101, 101])
        self.assertIsInstance(connection.closed[0], Unauthorized)

    def test_no_such_room(self) -> None:
        """A room that is gone closes the connection with 103."""
        conversation, connection = self.open("nowhere")
        self.say(conversation, type="hello", token="x")
        self.assertEqual(connection.take()[0]["code"], 103)
        self.assertIsInstance(connection.closed[0], NotFound)

    def test_packets_before_hello(self) -> None:
        """A binary frame before `hello` is nobody's."""
        conversation, connection = self.open()
        conversation.binary(b"\x01")
        self.assertEqual(connection.take()[0]["code"], 101)

    def test_present_at_the_web_door(self) -> None:
        """An account is online while a connection of its seat lives."""
        conversation, _ = self.welcomed(self.tokens["Anna"])
        self.assertEqual(self.house.presence.online(), ["Anna"])
        conversation.lost()
        self.assertEqual(self.house.presence.online(), [])

    def test_too_often(self) -> None:
        """Ten hellos a minute are enough for anyone."""
        conversation, connection = self.welcomed(self.tokens["Anna"])
        for _ in range(9):
            self.say(conversation, type="hello")
        connection.take()
        self.say(conversation, type="hello")
        self.assertEqual([message["code"] for message in connection.take()], [106])

    def test_a_generation_that_is_not_there(self) -> None:
        """A `hello` that the referee refuses is answered by 105 alone, and changes nothing."""
        anna, _ = self.welcomed(self.tokens["Anna"])
        token = self.token(Guest("Bert"))
        bert, _ = self.welcomed(token)
        for conversation in (anna, bert):
            self.say(conversation, type="ready", ready=True)
        bert.lost()
        again, connection = self.open()
        self.say(again, type="hello", token=token, last_generation=1000, id=1)
        self.assertEqual([(message["type"], message["code"]) for message in connection.take()], [("error", 105)])
        self.assertFalse(self.room.refereed.is_connected(bert.user_id))
        self.say(again, type="hello", token=token, last_generation=3, id=2)
        self.assertEqual(connection.take()[0]["type"], "welcome")

    def test_last_id(self) -> None:
        """A page that was reloaded goes on counting from the highest id had from this member."""
        conversation, _ = self.welcomed(self.tokens["Anna"])
        self.say(conversation, type="ping", id=41)
        self.say(conversation, type="ping", id=12)
        again, connection = self.open()
        self.say(again, type="hello", token=self.tokens["Anna"])
        self.assertEqual(connection.take()[0]["last_id"], 41)
        self.say(self.open()[0], type="hello", token=self.tokens["Anna"], id=50)
        again, connection = self.open()
        self.say(again, type="hello", token=self.tokens["Anna"])
        self.assertEqual(connection.take()[0]["last_id"], 50)


class SayingTests(ConversationTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.anna, self.annas = self.welcomed(self.tokens["Anna"])
        self.bert, self.berts = self.welcomed(self.token(Guest("Bert")))
        self.annas.take()

    def test_answers(self) -> None:
        """With an id everything is answered: by its own answer, an ack, or an error; without one only by its own answer."""
        self.assertEqual(self.ask(self.anna, self.annas, type="ping", t="x"), {"type": "pong", "t": "x", "reply_to": 7})
        self.annas.take()
        self.anna.text(b'{"type":"ping","id":7,"t":' + b"[" * 300 + b"]" * 300 + b"}")
        [refused] = self.annas.take()
        self.assertEqual((refused["code"], refused["reply_to"]), (100, 7))
        self.assertEqual(self.ask(self.anna, self.annas, type="ready", ready=False), {"type": "ack", "reply_to": 7})
        self.assertEqual(self.ask(self.anna, self.annas, type="echo"), {"type": "echo", "reply_to": 7})
        self.assertEqual(self.ask(self.anna, self.annas, type="sit")["code"], 105)
        self.say(self.anna, type="ready", ready=False)
        self.assertEqual(self.annas.take(), [])

    def test_faults(self) -> None:
        """What is no room message is 100, and says what is wrong."""
        for data in (
            b"",
            b"[]",
            b"{",
            b'{"type": 1}',
            b'{"type": "ping", "id": true}',
            b'{"type": "ping", "id": -1}',
            b'{"type": "ready", "ready": 1}',
            b"\xff",
            b"[" * 5000,
        ):
            self.anna.text(data)
            [error] = self.annas.take()
            self.assertEqual((error["type"], error["code"]), ("error", 100), data[:40])

    def test_our_fault(self) -> None:
        """What breaks inside is 199 with an incident that the log has, and nothing of it is told."""
        answer = self.ask(self.anna, self.annas, type="boom")
        self.assertEqual((answer["code"], "secret" in answer["message"]), (199, False))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(answer["incident"])

    def test_chat(self) -> None:
        """Everybody hears a chat, its sender too; what is too long or would turn the text around is refused."""
        self.say(self.bert, type="chat", text="hello")
        heard = {"type": "chat", "from": self.bert.user_id, "text": "hello"}
        self.assertEqual((self.annas.take(), self.berts.take()), ([heard], [heard]))
        for text in ("x" * 501, "\u202e", "a\nb"):
            self.assertEqual(self.ask(self.anna, self.annas, type="chat", text=text)["code"], 100)

    def test_ready_for_what_was(self) -> None:
        """Ready for an older revision is 105 and not ready, also for one who was."""
        self.ask(self.anna, self.annas, type="ready", ready=True, revision=0)
        self.successResultOf(self.room.refereed.configure({"a": 1}, "Anna"))
        self.ask(self.anna, self.annas, type="ready", ready=True, revision=1)
        self.assertEqual(self.ask(self.anna, self.annas, type="ready", ready=True, revision=0)["code"], 105)
        self.assertFalse(self.room.value.member("Anna").ready)

    def test_start_kick_sit(self) -> None:
        """Only the host starts and sends away; a viewer takes a free seat."""
        self.assertEqual(self.ask(self.bert, self.berts, type="kick", user_id="Anna")["code"], 102)
        self.assertEqual(self.ask(self.bert, self.berts, type="start")["code"], 102)
        viewer, connection = self.welcomed(self.token(Guest("Vera"), "viewer"))
        self.assertEqual(self.ask(viewer, connection, type="sit")["type"], "ack")
        self.assertEqual(self.room.value.member(viewer.user_id).seat, 2)
        self.assertEqual(self.ask(self.anna, self.annas, type="kick", user_id=viewer.user_id)["type"], "ack")
        self.assertEqual(connection.closed[0].code, 102)  # type: ignore[union-attr]
        self.assertEqual(self.ask(self.anna, self.annas, type="start")["type"], "ack")
        self.assertEqual(self.room.value.status, "PLAYING")

    def test_leave(self) -> None:
        """Leaving is answered first, then the connection ends."""
        self.assertEqual(self.ask(self.bert, self.berts, type="leave"), {"type": "ack", "reply_to": 7})
        self.assertEqual(self.berts.closed, [None])
        self.assertEqual([entry["name"] for entry in self.annas.take()[-1]["players"]], ["Anna"])

    def test_floods(self) -> None:
        """Too many messages are left out with 106; ten times that closes; command packets do not count."""
        for _ in range(200):
            self.say(self.anna, type="commands")
        self.assertEqual(self.annas.take(), [])
        self.assertEqual(self.ask(self.anna, self.annas, type="commands"), {"type": "ack", "reply_to": 7})
        for _ in range(31):
            self.say(self.anna, type="ping")
        self.assertEqual([message["type"] for message in self.annas.take()], ["pong"] * 30 + ["error"])
        self.house.clock.advance(1)
        self.assertEqual(self.ask(self.anna, self.annas, type="ping")["type"], "pong")
        for _ in range(400):
            self.say(self.anna, type="ping")
        self.assertIsInstance(self.annas.closed[0], RateLimited)
        self.assertEqual(self.berts.closed, [])

    def test_taken_over(self) -> None:
        """The older connection of a seat is closed with 105; its end does not make the member away."""
        again, _ = self.welcomed(self.tokens["Anna"])
        self.assertIsInstance(self.annas.closed[0], BadState)
        self.anna.lost()
        self.assertTrue(self.room.refereed.is_connected("Anna"))
        again.lost()
        self.assertFalse(self.room.refereed.is_connected("Anna"))

    @given(
        st.binary(max_size=40)
        | st.recursive(
            st.none() | st.integers() | st.text(max_size=5), lambda x: st.dictionaries(st.sampled_from(["type", "id", "token", "ready"]), x)
        ).map(lambda value: json.dumps(value).encode())
    )
    def test_garbage(self, data: bytes) -> None:
        """Garbage is answered by an error or not at all; nothing is raised, and nobody else hears of it."""
        conversation, connection = self.open()
        self.berts.take()
        conversation.text(data)
        conversation.binary(data)
        self.assertTrue(all(message["type"] == "error" for message in connection.take()))
        self.assertEqual(self.berts.take(), [])


class SlowStoreTests(SynchronousTestCase):
    def test_acknowledged_when_durable(self) -> None:
        """An ack means that it is written; a store that fails is 199."""
        held = HeldDatabase(holding=False)
        house = House(held)
        room = self.successResultOf(house.registry.create(house.request(), account("Anna")))
        token = self.successResultOf(house.registry.join(room.room_id, account("Anna"))).token
        connection = NotingConnection()
        conversation = RoomConversation(registry=house.registry, connection=connection, room_id=room.room_id, limits=lambda: house.limits)
        conversation.text(orjson.dumps({"type": "hello", "token": token}))
        connection.take()
        held.holding = True
        conversation.text(b'{"type": "ready", "ready": true, "id": 1}')
        self.assertEqual(connection.take(), [])
        held.release()
        self.assertEqual(connection.types(), ["players", "ack"])
        conversation.text(b'{"type": "ready", "ready": false, "id": 2}')
        held.fail(OSError("disk full"))
        self.assertEqual([message["code"] for message in connection.take()], [199])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_answer_after_the_end(self) -> None:
        """An answer that comes when the connection is gone goes nowhere."""
        held = HeldDatabase(holding=False)
        house = House(held)
        room = self.successResultOf(house.registry.create(house.request(), account("Anna")))
        connection = NotingConnection("lobby")
        conversation = RoomConversation.of_member(
            registry=house.registry, connection=connection, room=room, user_id="Anna", limits=lambda: house.limits
        )
        conversation.begin()
        connection.take()
        held.holding = True
        conversation.text(b'{"type": "ready", "ready": true, "id": 1}')
        conversation.lost()
        held.release_all()
        self.assertEqual(connection.take(), [])
