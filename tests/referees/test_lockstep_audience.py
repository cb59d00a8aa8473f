"""Who gets the masters of a lock-step play, and those who come while it is on."""

from __future__ import annotations

from typing import ClassVar
from unittest import mock

from gameroom.doors.outbox import EnvelopeOutbox
from gameroom.errors import BadState, InvalidRequest
from gameroom.wire.lockstep import BINARY, CommandPacket, encode_command
from gameroom.wire.room_messages import Hello
from tests.referees.lockstep_world import PLAY, FakeConnection, RefereeCase


class OutletTests(RefereeCase):
    """Those who hear of masters by an outlet."""

    def outlet(self, connection: FakeConnection) -> list[bytes]:
        """From now on it has one; gives what that will have written."""
        written: list[bytes] = []
        connection.outlet = EnvelopeOutbox(written.append, 1_000_000, self.fail)
        return written

    def test_live(self) -> None:
        """By it each master comes that is made while one is up to date, once and in order; all else comes by the connection."""
        written = [self.outlet(self.room.here[user_id][0]) for user_id in ("ann", "vic")]
        self.begin()
        self.turns(0, 3)
        late = FakeConnection()
        by_outlet = self.outlet(late)
        self.room.here["vic"].append(late)
        self.referee.welcomed("vic", late, Hello())
        self.turns(4, 5)
        masters = [outgoing.enveloped() for outgoing in self.room.here["bob"][0].got if b'"type":"master"' in outgoing.data]
        self.assertEqual((len(masters), written, by_outlet), (6, [masters] * 2, masters[4:]))
        self.assertEqual((self.room.here["ann"][0].generations(), late.generations()), ([], [0, 1, 2, 3]))
        self.room.here["vic"] = [late]
        self.wait(5)
        self.turns(6, 6)
        self.assertEqual(([len(each) for each in written], len(by_outlet)), ([7, 6], 3))


class LateTests(RefereeCase):
    """Those who come while it plays."""

    def test_viewer_from_the_beginning(self) -> None:
        """A new viewer gets `start` with the next generation, all masters, then each as it comes."""
        self.begin()
        self.turns(0, 99)
        late = self.come("vic")
        [start] = late.texts("start")
        self.assertEqual((start["generation"], start["iterations_per_command"]), (100, 3))
        self.turns(100, 101)
        self.assertEqual(late.generations(), list(range(102)))
        self.assertEqual(len(late.texts("masters")), 1)

    def test_from_the_last_that_it_has(self) -> None:
        """With the present play_id and last_generation, what follows; with another play_id, or none, everything."""
        self.begin()
        self.turns(0, 9)
        self.assertEqual(self.come("bob", PLAY, 7).generations(), [8, 9])
        self.assertEqual(self.come("bob", PLAY, 9).generations(), [])
        self.assertEqual(self.come("bob", "other", 7).generations(), list(range(10)))
        self.assertEqual(self.come("bob", None, 7).generations(), list(range(10)))
        self.assertEqual(self.come("bob", PLAY, None).generations(), list(range(10)))
        self.assertRaises(BadState, self.come, "bob", PLAY, 10)

    def test_slow_reader(self) -> None:
        """While it reads history, what is mastered meanwhile is history too; nothing is missing or twice."""
        self.begin()
        for generation in range(8):
            for user_id in ("ann", "bob"):
                self.send(user_id, generation, ["x" * 16000])
            for user_id in ("ann", "bob"):
                self.room.here[user_id][0].got.clear()
        for generation in range(8, 30):
            for user_id in ("ann", "bob"):
                self.send(user_id, generation, ["x" * 16000])
        slow = self.come("vic", reads=False)
        self.assertEqual(slow.generations(), [])
        slow.read()
        self.turns(30, 31)
        self.assertEqual(slow.generations(), list(range(8)))
        for _ in range(10):
            slow.read()
        self.turns(32, 32)
        self.assertEqual(slow.generations(), list(range(33)))
        self.assertTrue(all(len(outgoing.data) <= 256 << 10 for outgoing in slow.got))

    def test_hello_again(self) -> None:
        """Who asks anew, before or after the first answer is read, gets each master once behind the newest `start`."""
        self.begin()
        self.turns(0, 3)
        for reads_first in (True, False):
            viewer = self.come("vic", reads=reads_first)
            viewer.reads = False
            self.referee.welcomed("vic", viewer, Hello())
            first = self.lines()[-1]["generation"] + 1
            self.turns(first, first + 1)
            viewer.reads = True
            for _ in range(20):
                viewer.read()
            self.turns(first + 2, first + 2)
            self.assertEqual(len(viewer.texts("start")), 2)
            viewer.got = viewer.got[viewer.got.index(next(each for each in reversed(viewer.got) if b'"start"' in each.data)) :]
            self.assertEqual(viewer.generations(), list(range(first + 3)))

    def test_history_after_the_end(self) -> None:
        """Who still reads when the play is over and let go of gets the rest at its own pace, and then nothing more."""
        self.begin()
        self.turns(0, 3)
        slow = self.come("vic", reads=False)
        self.referee.end()
        self.clock.advance(1)
        slow.read()
        slow.read()
        self.assertEqual(slow.generations(), [0, 1, 2, 3])

    def test_history_cannot_be_read(self) -> None:
        """A disk that does not read ends that connection with 105, and gives it no masters with a hole before them."""
        self.begin()
        self.turns(0, 3)
        slow = self.come("vic", reads=False)
        with mock.patch("gameroom.store.recording.os.pread", side_effect=OSError(5, "Input/output error")):
            slow.read()
        self.turns(4, 4)
        self.assertEqual(([type(error) for error in slow.closed], slow.generations()), ([BadState], []))

    def test_gone_connections(self) -> None:
        """A connection that the room no longer has gets no more masters."""
        self.begin()
        old = self.room.here["ann"][0]
        self.come("ann")
        self.turns(0, 0)
        self.assertEqual(old.generations(), [])
        second = FakeConnection(binary=False)
        self.room.here["bob"].append(second)
        self.referee.welcomed("bob", second, Hello())
        self.room.here["bob"].remove(second)
        self.wait(6)
        self.turns(1, 1)
        self.assertEqual(second.generations(), [0])

    def test_several_connections(self) -> None:
        """A member with a web and a lobby connection gets each master at both."""
        self.begin()
        lobby = FakeConnection(binary=False)
        self.room.here["bob"].append(lobby)
        self.referee.welcomed("bob", lobby, Hello())
        self.turns(0, 1)
        self.assertEqual((lobby.generations(), self.room.here["bob"][0].generations()), ([0, 1], [0, 1]))


class BinaryTests(RefereeCase):
    """Rooms with binary packets."""

    options: ClassVar = {"encoding": "binary", "input_delay": 1}

    def packet(self, user_id: str, generation: int, commands: bytes = b"", checksum: int | None = None) -> None:
        about = -1 if checksum is None else generation - 1
        frame = encode_command(CommandPacket(generation, 50, 60, about, checksum or 0, commands))
        self.referee.packet(user_id, frame, self.room.here[user_id][0])

    def test_masters(self) -> None:
        """Packets in and out are binary; late ones get a binary batch."""
        self.begin()
        for generation in range(3):
            self.packet("ann", generation, b"\n\0")
            self.packet("bob", generation, checksum=generation or None)
        late = self.come("vic")
        self.assertEqual(late.generations(), [0, 1, 2])
        master = BINARY.read_master(self.room.here["ann"][0].got[-1].data)
        self.assertEqual((master.generation, dict(master.commands)), (2, {0: b"\n\0"}))

    def test_no_packets_at_the_lobby(self) -> None:
        """A lobby connection is told `start`, and gets no packets, live or late."""
        lobby = FakeConnection(binary=False)
        self.room.here["bob"].append(lobby)
        self.begin()
        self.packet("ann", 0)
        self.packet("bob", 0)
        late = self.come("vic", binary=False)
        for connection in (lobby, late):
            self.assertEqual((len(connection.texts("start")), connection.generations()), (1, []))

    def test_json_commands(self) -> None:
        """`commands` as JSON is 100 here."""
        self.begin()
        self.assertRaises(InvalidRequest, self.send, "ann", 0)

    def test_divergence_in_hex(self) -> None:
        """A hash in a JSON message is 16 hex digits."""
        self.begin()
        self.packet("ann", 0)
        self.packet("bob", 0)
        self.packet("ann", 1, checksum=10)
        self.packet("bob", 1, checksum=11)
        [told] = self.room.here["vic"][0].texts("divergence")
        self.assertEqual([group["value"] for group in told["groups"]], ["000000000000000a", "000000000000000b"])

    def test_restored(self) -> None:
        """A binary recording is taken up as well."""
        self.begin()
        self.packet("ann", 0, b"a")
        self.packet("bob", 0)
        self.referee, self.room.here = self.make(), {}
        self.successResultOf(self.referee.restore(PLAY, self.players))
        for user_id in ("ann", "bob"):
            self.come(user_id)
            self.packet(user_id, 1)
        self.assertEqual(self.room.here["ann"][0].generations(), [0, 1])
