"""The control channel, with a GameServer that the test plays."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState
from gameroom.gameservers.control import BEFORE_READY_BYTES, CLOSE_SECONDS, MOST_MESSAGES, ControlFactory, ControlProtocol
from gameroom.gameservers.values import FINISHED, RESULTS_BYTES, SERVER_CRASHED, SERVER_ENDED, SERVER_MISBEHAVED, SERVER_SILENT, ServerEnd
from gameroom.wire import game_port
from gameroom.wire.envelope import JSON, PROTOBUF, RAW, Envelope
from tests.gameservers.world import ADA, BOB, TOKEN, Wire, about

CONFIG = {"map": "islands"}
READY = game_port.encode(game_port.STATUS, {"state": "ready"})
FINISHED_3 = game_port.encode(game_port.STATUS, {"state": "finished", "results": {"winner": 3}})


class Channel:
    """A control channel and what came of it."""

    def __init__(self, ping_interval: float = 10.0, config: Any = CONFIG) -> None:
        self.clock = Clock()
        self.ends: list[ServerEnd] = []
        self.lines: list[str] = []
        self.factory = ControlFactory(
            clock=self.clock,
            token=TOKEN,
            id="room",
            max_players=4,
            players=[ADA, BOB],
            config=config,
            ended=self.ends.append,
            told=self.lines.append,
            ping_interval=ping_interval,
        )
        self.control: ControlProtocol = self.factory.buildProtocol(None)
        self.wire = Wire(self.control)

    def play(self) -> None:
        self.wire.send(READY)
        self.wire.clear()

    def reason(self) -> str:
        """Why it has ended; it has, once."""
        (end,) = self.ends
        return end.reason


class ControlTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.channel = Channel()
        self.wire, self.control, self.clock = self.channel.wire, self.channel.control, self.channel.clock

    def tearDown(self) -> None:
        """Whatever happened, nothing of it is left on the clock once the connection is gone."""
        self.wire.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_it_says_first(self) -> None:
        """TYPE and CONTROL, with TCP_NODELAY and keep-alive."""
        options = {"max_players": 4, "players": about([ADA, BOB]), "config": CONFIG}
        self.assertEqual(self.wire.said(), [("TYPE", {"type": "control"}), ("CONTROL", {"token": TOKEN, "id": "room", "options": options})])
        self.assertEqual(self.wire.options, {"no_delay": True, "keep_alive": True})

    def test_over_another_kind_of_transport(self) -> None:
        """Whoever embeds it may reach the GameServer in another way than by TCP."""
        transport = StringTransport()
        Channel().factory.buildProtocol(None).makeConnection(transport)
        self.assertTrue(transport.value().startswith(b"\x01\x09\x00"))

    def test_ready(self) -> None:
        """All who wait for it hear it, and who asks later hears it at once."""
        before = [self.control.ready(), self.control.ready()]
        for waits in before:
            self.assertNoResult(waits)
        self.wire.send(READY)
        for waits in [*before, self.control.ready()]:
            self.assertIsNone(self.successResultOf(waits))

    def test_ready_again(self) -> None:
        """As an answer to a CONTROL that came again; it is not another start."""
        self.channel.play()
        self.wire.send(READY)
        self.assertEqual(self.channel.ends, [])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_protocol_buffers(self) -> None:
        """A GameServer may speak them."""
        self.wire.send(game_port.encode(game_port.STATUS, {"state": "ready"}, PROTOBUF))
        self.wire.send(game_port.encode(game_port.STATUS, {"state": "finished", "results": [1, 2]}, PROTOBUF))
        self.assertEqual(self.channel.ends, [ServerEnd(reason=FINISHED, results=[1, 2])])

    def test_finished(self) -> None:
        """With results or without; what comes behind it is thrown away, and the loss of the connection is no second end."""
        self.channel.play()
        self.wire.send(FINISHED_3 + FINISHED_3 + b"garbage")
        self.wire.send(b"more of it")
        self.wire.hang_up()
        self.assertEqual(self.channel.ends, [ServerEnd(reason=FINISHED, results={"winner": 3})])
        other = Channel()
        other.play()
        other.wire.say(game_port.STATUS, state="finished")
        self.assertEqual(other.ends, [ServerEnd(reason=FINISHED)])

    def test_most_results(self) -> None:
        """16 KiB as JSON, as in a relay room."""
        for size, reason in ((RESULTS_BYTES, FINISHED), (RESULTS_BYTES + 1, SERVER_MISBEHAVED)):
            channel = Channel()
            channel.play()
            channel.wire.say(game_port.STATUS, state="finished", results="x" * (size - 2))
            self.assertEqual(channel.reason(), reason)

    def test_garbage(self) -> None:
        """What does not belong there ends the play, with ERROR 100 to the GameServer and its connection closed."""
        garbage = {
            "another version": b"\x02\x05\x00\x00",
            "en 3": Envelope(game_port.STATUS, b"", 3).to_bytes(),
            "en 3 of the game's own": Envelope(40, b"", 3).to_bytes(),
            "raw STATUS": Envelope(game_port.STATUS, b'{"state":"ready"}', RAW).to_bytes(),
            "no JSON": Envelope(game_port.STATUS, b"ready", JSON).to_bytes(),
            "no message": Envelope(game_port.STATUS, b"[]", JSON).to_bytes(),
            "another state": Envelope(game_port.STATUS, b'{"state":"tired"}', JSON).to_bytes(),
            "nested results": Envelope(game_port.STATUS, b'{"state":"finished","results":%s}' % (b"[" * 300 + b"]" * 300), JSON).to_bytes(),
            "type 0": Envelope(0, b"{}").to_bytes(),
            "an unknown type": Envelope(17, b"{}").to_bytes(),
            "the other direction": game_port.encode(game_port.TYPE, {"type": "control"}),
            "a client's": game_port.encode(game_port.AUTH, {"id": "x"}),
            "a link's": game_port.encode(game_port.CONNECTED, {}),
            "a link's own": game_port.encode(game_port.GAME_CONFIG, {}),
            "a room's": Envelope(game_port.ROOM, b"{}").to_bytes(),
            "a long PING": Envelope(game_port.PING, b"x" * 126).to_bytes(),
        }
        for begins in (b"", READY):
            for what, data in garbage.items():
                channel = Channel()
                channel.wire.clear()
                channel.wire.send(begins + data + READY)
                self.assertEqual(channel.reason(), SERVER_MISBEHAVED, what)
                (said,) = channel.wire.said()
                self.assertEqual((said[0], said[1]["code"]), ("ERROR", 100), what)
                self.assertTrue(channel.wire.disconnecting)
                channel.wire.hang_up()
                self.assertEqual(channel.clock.getDelayedCalls(), [])

    def test_who_does_not_read_the_last_word(self) -> None:
        """Its connection is aborted after a while."""
        self.wire.send(b"garbage")
        self.clock.advance(CLOSE_SECONDS - 0.1)
        self.assertFalse(self.wire.aborted)
        self.clock.advance(0.1)
        self.assertTrue(self.wire.aborted)

    def test_finished_before_it_was_ready(self) -> None:
        """Nothing was played."""
        waits = self.control.ready()
        self.wire.send(FINISHED_3)
        self.assertEqual(self.channel.reason(), SERVER_MISBEHAVED)
        self.assertIn("before STATUS ready", self.failureResultOf(waits, BadState).value.message)

    def test_large_before_it_is_ready(self) -> None:
        """As with all who have not said yet who they are; the header is enough to tell. Later anything that an envelope can hold is fine."""
        self.wire.send(Envelope(32, b"x" * (BEFORE_READY_BYTES + 1)).to_bytes()[:4])
        self.assertEqual(self.channel.reason(), SERVER_MISBEHAVED)
        other = Channel()
        other.play()
        other.wire.say_data(32, b"x" * 65535)
        self.assertEqual(other.ends, [])

    def test_the_games_own(self) -> None:
        """Types from 32 on are for nobody here, whatever is in them."""
        for type_ in (32, 63):
            for en in (RAW, JSON, PROTOBUF):
                self.wire.say_data(type_, b"anything", en)
        self.assertEqual(self.channel.ends, [])

    def test_a_flood(self) -> None:
        """Costs no more than so many messages between two PINGs."""
        self.channel.play()
        for _ in range(3):
            self.wire.send(Envelope(32, b"").to_bytes() * (MOST_MESSAGES - 1))
            self.wire.say_data(game_port.PONG, b"{}")
            self.clock.advance(10)
        self.assertEqual(self.channel.ends, [])
        self.wire.send(Envelope(32, b"").to_bytes() * (MOST_MESSAGES + 1))
        self.assertEqual(self.channel.reason(), SERVER_MISBEHAVED)

    def test_refuses(self) -> None:
        """An ERROR before it is ready ends the start, on one clean line."""
        waits = self.control.ready()
        self.wire.say(game_port.ERROR, code=105, message="no such map:\n\x1b[31mislands")
        self.assertEqual(self.channel.reason(), SERVER_ENDED)
        self.assertIn("ERROR 105: no such map: \ufffd[31mislands", self.failureResultOf(waits, BadState).value.message)

    def test_complains(self) -> None:
        """An ERROR while it plays is for the developer's log."""
        self.channel.play()
        self.wire.say(game_port.ERROR, code=100, message="what?")
        self.assertEqual(self.channel.ends, [])
        self.assertEqual(self.channel.lines, ["the game's server said on its control connection: ERROR 100: what?"])

    def test_it_asks(self) -> None:
        """A PING is answered with its own bytes and encoding."""
        self.wire.clear()
        for en in (RAW, JSON, PROTOBUF):
            self.wire.say_data(game_port.PING, b"x" * 125, en)
        self.assertEqual(self.wire.value(), b"".join(Envelope(game_port.PONG, b"x" * 125, en).to_bytes() for en in (RAW, JSON, PROTOBUF)))

    def test_it_lives(self) -> None:
        """A PONG each third time is enough."""
        self.channel.play()
        for _ in range(4):
            self.clock.pump([10] * 3)
            self.assertEqual(self.wire.said(), [("PING", b"{}")] * 3)
            self.wire.say_data(game_port.PONG, b"{}")
        self.assertEqual(self.channel.ends, [])

    def test_silent(self) -> None:
        """Three PINGs without a PONG, whatever else it says."""
        self.channel.play()
        self.clock.pump([10] * 3)
        self.wire.say_data(40, b"busy")
        self.clock.advance(9.9)
        self.assertEqual(self.channel.ends, [])
        self.clock.advance(0.1)
        self.assertEqual(self.channel.reason(), SERVER_SILENT)
        self.assertIn("30 s", self.channel.ends[0].message)

    def test_not_asked_before_it_is_ready(self) -> None:
        """It may be busy with getting ready."""
        self.wire.clear()
        self.clock.pump([10] * 60)
        self.assertEqual((self.wire.value(), self.channel.ends), (b"", []))

    def test_hangs_up(self) -> None:
        """Before it is ready, and while it plays."""
        waits = self.control.ready()
        self.wire.hang_up()
        self.assertEqual(self.channel.reason(), SERVER_CRASHED)
        self.failureResultOf(waits, BadState)
        self.failureResultOf(self.control.ready(), BadState)
        other = Channel()
        other.play()
        other.wire.hang_up(cleanly=False)
        self.assertEqual(other.reason(), SERVER_CRASHED)
        self.assertEqual(other.clock.getDelayedCalls(), [])

    def test_inside_of_an_envelope(self) -> None:
        """Nothing of a part of an envelope is acted on."""
        self.channel.play()
        self.wire.send(FINISHED_3[:-1])
        self.wire.hang_up()
        self.assertEqual(self.channel.reason(), SERVER_CRASHED)

    def test_closed_by_us(self) -> None:
        """That is no end of the GameServer's; again is fine, also when the connection is gone."""
        waits = self.control.ready()
        self.control.close()
        self.control.close()
        self.failureResultOf(waits, BadState)
        self.assertTrue(self.wire.disconnecting)
        self.wire.send(FINISHED_3)
        self.wire.hang_up()
        self.control.close()
        self.assertEqual(self.channel.ends, [])

    def test_somebody_is_gone(self) -> None:
        """CONTROL comes again, with those who are still there, and not once it is over."""
        self.channel.play()
        self.control.players_are([BOB])
        options = {"max_players": 4, "players": about([BOB]), "config": CONFIG}
        self.assertEqual(self.wire.said(), [("CONTROL", {"token": TOKEN, "id": "room", "options": options})])
        self.wire.send(FINISHED_3)
        self.control.players_are([])
        self.assertEqual(self.wire.said(), [])

    def test_who_does_not_read(self) -> None:
        """Is not read either while its answers wait, and is silent in the end."""
        self.channel.play()
        assert self.wire.producer is self.control
        assert self.wire.streaming
        self.wire.producer.pauseProducing()
        self.assertTrue(self.wire.paused)
        self.wire.producer.resumeProducing()
        self.assertFalse(self.wire.paused)
        self.wire.producer.stopProducing()

    def test_most_configuration(self) -> None:
        """32 KiB of JSON; more is refused before anything is started."""
        Channel(config={"a": "x" * (32 * 1024 - 8)})
        error = self.assertRaises(BadState, Channel, config={"a": "x" * (32 * 1024)})
        self.assertIn("32 KiB", error.message)

    @given(st.lists(st.integers(1, 400), max_size=30), st.sampled_from([b"", b"\x02", Envelope(17, b"").to_bytes()]))
    def test_any_split(self, cuts: list[int], last: bytes) -> None:
        """However the bytes arrive, the same comes of them."""
        data = READY + Envelope(game_port.PING, b"1").to_bytes() + Envelope(33, b"x" * 300, 0).to_bytes() + last + FINISHED_3
        whole, split = Channel(), Channel()
        whole.wire.send(data)
        for cut in [*cuts, len(data)]:
            piece, data = data[:cut], data[cut:]
            split.wire.send(piece)
        self.assertEqual(split.ends, whole.ends)
        self.assertEqual(split.wire.value(), whole.wire.value())

    @given(st.lists(st.binary(max_size=200), max_size=8), st.booleans())
    def test_any_bytes(self, pieces: list[bytes], plays: bool) -> None:
        """At most one end comes of whatever a GameServer sends, and nothing is raised or left."""
        channel = Channel()
        if plays:
            channel.play()
        for piece in pieces:
            channel.wire.send(piece)
        channel.wire.hang_up()
        self.assertEqual(len(channel.ends), 1)
        self.assertEqual(channel.clock.getDelayedCalls(), [])
