"""The lock-step referee between its room, the rules and the recording."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from unittest import mock

from zope.interface.verify import verifyObject

from gameroom import __version__
from gameroom.errors import BadState, Forbidden, InvalidRequest
from gameroom.interfaces import IReferee
from gameroom.rules.lockstep import DIVERGED, ITERATING, LAGGING
from gameroom.wire.lockstep import BINARY, PACKET_BYTES, CommandPacket, encode_command
from gameroom.wire.room_messages import Hello
from tests.referees.lockstep_world import PLAY, FakeConnection, RefereeCase


class SetupTests(RefereeCase):
    """Before a play."""

    def test_is_a_referee(self) -> None:
        """It has all that the room calls."""
        verifyObject(IReferee, self.referee)
        self.assertTrue(self.referee.waits_for_ready and self.referee.keeps_seats)
        self.assertEqual(self.referee.welcome_fields("ann"), {})
        self.assertEqual([self.referee.is_command(kind) for kind in ("commands", "finish")], [True, False])

    def test_patch(self) -> None:
        """A player's patch goes to the room, whose Deferred is the answer."""
        self.assertIsNone(self.successResultOf(self.say("bob", {"type": "setup", "patch": {"map": None}})))
        self.assertEqual(self.room.patches, [({"map": None}, "bob")])

    def test_patch_refused(self) -> None:
        """No object, or over 64 KiB: 100. A viewer: 102. In a play: 105."""
        patches: list[Any] = [None, [], "x", {"a": "x" * 65536}]
        for patch in patches:
            self.assertRaises(InvalidRequest, self.say, "ann", {"type": "setup", "patch": patch})
        self.assertRaises(Forbidden, self.say, "vic", {"type": "setup", "patch": {}})
        self.begin()
        self.assertRaises(BadState, self.say, "ann", {"type": "setup", "patch": {}})
        self.assertEqual(self.room.patches, [])

    def test_nothing_is_played(self) -> None:
        """What belongs to a play is 105, an unknown type 100."""
        for message in ({"type": "finish"}, {"type": "drop"}, {"type": "resolve"}):
            self.assertRaises(BadState, self.say, "ann", message)
        self.assertRaises(BadState, self.send, "ann", 0)
        self.assertRaises(InvalidRequest, self.say, "ann", {"type": "jump"})

    def test_start_abandoned(self) -> None:
        """A play that was reserved and did not begin leaves no recording."""
        self.successResultOf(self.referee.begin(PLAY, self.players))
        self.assertTrue(self.recordings.exists(PLAY))
        other = PLAY.replace("1", "2")
        self.successResultOf(self.referee.begin(other, self.players))
        self.assertFalse(self.recordings.exists(PLAY))
        self.referee.end()
        self.assertFalse(self.recordings.exists(other))

    def test_no_recording_no_play(self) -> None:
        """Where nothing can be written no play begins."""
        with mock.patch("gameroom.store.recording.os.write", side_effect=OSError(28, "No space left on device")):
            self.failureResultOf(self.referee.begin(PLAY, self.players), BadState)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class PlayTests(RefereeCase):
    """A play from its beginning to its end."""

    def test_start(self) -> None:
        """Everybody is told `start`, with all that the specification names; the recording begins with it."""
        self.begin()
        about = {
            "seed": 5,
            "configuration": {"map": "small"},
            "players": [{"seat": 0, "user_id": "ann", "name": "ann"}, {"seat": 1, "user_id": "bob", "name": "bob"}],
            "input_delay": 2,
            "checksum_interval": 1,
        }
        for connection in self.room.everyone():
            self.assertEqual(connection.texts("start"), [{"type": "start", "play_id": PLAY, **about, "iterations_per_command": 3}])
        head = self.lines()[0]
        self.assertEqual({key: head[key] for key in about}, about)
        self.assertEqual((head["engine"], head["versions"], head["play_id"]), (self.room.options.engine, {"gameroom": __version__}, PLAY))

    def test_masters_for_all(self) -> None:
        """One master, encoded once, for players and viewers alike, in the recording before anyone has it."""
        self.begin()
        vic = self.room.here["vic"][0]
        with mock.patch.object(vic, "deliver", side_effect=lambda outgoing: self.assertEqual(self.lines()[-1]["generation"], 0)) as given:
            self.assertIsNone(self.send("ann", 0, [1]))
            self.send("bob", 0)
        given.assert_called_once()
        ann, bob = self.room.here["ann"][0], self.room.here["bob"][0]
        self.assertIs(ann.got[-1], bob.got[-1])
        self.assertEqual(ann.texts("master")[0]["commands"], {"0": [1]})
        self.assertEqual(self.metrics.masters, 1)

    def test_cut_off_while_given(self) -> None:
        """A reader that is cut off in the middle of a master: the others get it, and what follows from its going comes after it."""
        self.begin()
        ann, bob = self.room.here["ann"][0], self.room.here["bob"][0]
        self.go("vic")
        self.send("bob", 1)

        def overflow(outgoing: Any) -> None:
            self.go("bob")
            self.say("ann", {"type": "drop", "seat": 1})
            self.send("ann", 1)

        with mock.patch.object(bob, "deliver", overflow):
            self.send("bob", 0)
            self.send("ann", 0)
        self.assertEqual([line.get("system") for line in self.lines()[1:]], [None, [{"dropped": 1}]])
        self.assertEqual(ann.generations(), [0, 1])

    def test_who_may_send(self) -> None:
        """Viewers' commands, finishes and proposals are 102."""
        self.begin()
        for message in ({"type": "finish", "generation": 0, "results": {}}, {"type": "drop", "seat": 1}, {"type": "resolve", "how": "abort"}):
            self.assertRaises(Forbidden, self.say, "vic", message)
        self.assertRaises(Forbidden, self.send, "vic", 0)

    def test_too_big(self) -> None:
        """A packet over 16 KiB is 100, and counts as one without commands."""
        self.begin()
        self.assertRaises(InvalidRequest, self.send, "ann", 0, ["x" * PACKET_BYTES])
        self.send("bob", 0, [1])
        self.assertEqual(self.room.here["ann"][0].texts("master")[0]["commands"], {"1": [1]})

    def test_frames_of_the_other_kind(self) -> None:
        """A JSON room takes no binary frames."""
        self.begin()
        self.assertRaises(InvalidRequest, self.referee.packet, "ann", b"\1" * 22, None)

    def test_resend(self) -> None:
        """A gap is asked for, of that player alone."""
        self.begin()
        self.send("ann", 1)
        self.assertEqual(self.room.here["ann"][0].texts("resend"), [{"type": "resend", "generation": 0}])
        self.assertEqual(self.room.here["bob"][0].texts("resend"), [])

    def test_repeat(self) -> None:
        """A packet for a mastered generation brings that master once more, to its sender alone."""
        self.begin()
        self.turns(0, 70)
        ann, bob = self.room.here["ann"][0], self.room.here["bob"][0]
        before = list(ann.got)
        self.send("bob", 65)
        self.assertEqual(bob.generations(), [*range(71), 65])
        self.assertEqual(ann.got, before)
        self.assertEqual(bob.got[-1].data, next(outgoing.data for outgoing in ann.got if b'"generation":65,' in outgoing.data))

    def test_lag(self) -> None:
        """The state names who is waited for by user_id, and goes back when the packet comes."""
        self.begin()
        self.send("ann", 0)
        self.wait(1.1)
        self.send("bob", 0)
        self.assertEqual(self.room.states, [(LAGGING, ["bob"]), (ITERATING, None)])

    def test_drop_and_rejoin(self) -> None:
        """A dropped player gets masters as a viewer does, and comes back by a packet."""
        self.begin()
        self.go("bob")
        self.say("ann", {"type": "drop", "seat": 1})
        self.send("ann", 0)
        bob = self.come("bob")
        self.send("ann", 1)
        self.send("bob", 3, ["b"])
        for generation in (2, 3):
            self.send("ann", generation)
        self.assertEqual(bob.generations(), [0, 1, 2, 3])
        masters = [line for line in self.lines() if line["type"] == "master"]
        self.assertEqual([master.get("system") for master in masters], [[{"dropped": 1}], None, [{"rejoined": 1}], None])
        self.assertEqual(masters[3]["commands"], {"1": ["b"]})

    def test_drop_refused(self) -> None:
        """A seat that is no number is 100, one that is there 105."""
        self.begin()
        for seat in (None, "1", True):
            self.assertRaises(InvalidRequest, self.say, "ann", {"type": "drop", "seat": seat})
        self.assertRaises(BadState, self.say, "ann", {"type": "drop", "seat": 1})

    def test_left(self) -> None:
        """Who leaves is told in the next master, and may no longer send."""
        self.begin()
        self.send("ann", 0)
        del self.room.here["bob"]
        self.referee.left("bob", 1, "left")
        self.assertEqual(self.room.here["ann"][0].texts("master")[0]["system"], [{"left": 1}])
        self.assertRaises(Forbidden, self.referee.text, "bob", {"type": "drop", "seat": 0}, None)

    def test_left_before_it_began(self) -> None:
        """Who went while the start was made durable has left."""
        self.successResultOf(self.referee.begin(PLAY, self.players))
        del self.room.members["bob"], self.room.here["bob"]
        self.referee.begun()
        self.send("ann", 0)
        self.assertEqual(self.room.here["ann"][0].texts("master")[0]["system"], [{"left": 1}])

    def test_all_leave(self) -> None:
        """With the last player the play is over."""
        self.begin()
        self.referee.left("bob", 1, "left")
        self.referee.left("ann", 0, "kicked")
        self.assertEqual(self.room.ended, [("abandoned", None)])

    def test_finish(self) -> None:
        """Equal results end it; the recording has them, and is closed when the room lets go."""
        self.begin()
        self.turns(0, 0)
        for user_id in ("ann", "bob"):
            self.say(user_id, {"type": "finish", "generation": 0, "results": {"winner": 1}})
        self.assertEqual(self.room.ended, [("finished", {"winner": 1})])
        self.assertEqual(self.lines()[-1], {"t": 0, "type": "over", "reason": "finished", "results": {"winner": 1}})
        self.assertRaises(BadState, self.send, "ann", 1)
        self.referee.end()
        self.referee.end()
        self.assertEqual(self.lines()[-1]["reason"], "finished")

    def test_finish_refused(self) -> None:
        """Results are an object of up to 16 KiB, for a generation that there is."""
        self.begin()
        self.turns(0, 0)
        deep: dict[str, Any] = {}
        for _ in range(250):
            deep = {"a": deep}
        for wrong in (
            {"generation": -1},
            {"generation": True},
            {"generation": None},
            {"results": 1},
            {"results": {"a": "x" * 16384}},
            {"results": deep},
        ):
            self.assertRaises(InvalidRequest, self.say, "ann", {"type": "finish", "generation": 0, "results": {}} | wrong)
        self.assertRaises(BadState, self.say, "ann", {"type": "finish", "generation": 1, "results": {}})

    def test_room_goes(self) -> None:
        """A play that is on when its room goes is abandoned, as its recording says."""
        self.begin()
        self.referee.end()
        self.assertEqual((self.lines()[-1]["reason"], self.room.ended), ("abandoned", []))

    def test_another_play(self) -> None:
        """The same referee referees the room's next play."""
        self.begin()
        self.turns(0, 3)
        self.referee.end()
        other = PLAY.replace("1", "2")
        self.successResultOf(self.referee.begin(other, self.players))
        self.referee.begun()
        self.turns(0, 0)
        self.assertEqual(self.room.here["ann"][0].generations(), [0, 1, 2, 3, 0])


class DivergenceTests(RefereeCase):
    """Two hashes that differ."""

    def diverge(self) -> None:
        self.begin()
        self.turns(0, 1)
        for user_id, value in (("ann", "a"), ("bob", "b")):
            self.send(user_id, 2, checksum={"generation": 0, "value": value})

    def test_told_and_recorded(self) -> None:
        """Everybody is told the state and what differs; the recording has it; no master follows."""
        self.diverge()
        told = {"type": "divergence", "generation": 0, "groups": [{"value": "a", "seats": [0]}, {"value": "b", "seats": [1]}], "last_agreed": None}
        for connection in self.room.everyone():
            self.assertEqual(connection.texts("divergence"), [told])
        self.assertEqual(self.lines()[-1], {"t": 0, **told})
        self.assertEqual(self.room.states, [(DIVERGED, None)])
        self.turns(3, 3)
        self.assertEqual(self.room.here["vic"][0].generations(), [0, 1])

    def test_resolve(self) -> None:
        """The host ends it; nobody else may, and only by abort."""
        self.diverge()
        self.assertRaises(Forbidden, self.say, "bob", {"type": "resolve", "how": "abort"})
        for how in ("evict", "resync", None, 1):
            self.assertRaises(InvalidRequest, self.say, "ann", {"type": "resolve", "how": how})
        self.assertIsNone(self.say("ann", {"type": "resolve", "how": "abort"}))
        self.assertEqual((self.room.ended, self.lines()[-1]["reason"]), ([("diverged", None)], "diverged"))

    def test_nothing_to_resolve(self) -> None:
        """Without a divergence it is 105."""
        self.begin()
        self.assertRaises(BadState, self.say, "ann", {"type": "resolve", "how": "abort"})

    def test_warned(self) -> None:
        """Who leaves its hashes out is told 100."""
        self.begin()
        self.turns(0, 1)
        for generation in range(2, 14):
            self.send("ann", generation, checksum={"generation": generation - 2, "value": "a"})
            self.send("bob", generation)
        [warning] = self.room.here["bob"][0].texts("error")
        self.assertEqual((warning["code"], self.room.here["ann"][0].texts("error")), (100, []))


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


class RestoreTests(RefereeCase):
    """After the daemon was killed."""

    def killed(self) -> None:
        """Nothing but the recording is left, and nobody is connected."""
        self.referee, self.room.here, self.room.states = self.make(), {}, []

    def restore(self) -> None:
        self.successResultOf(self.referee.restore(PLAY, self.players))

    def test_goes_on(self) -> None:
        """It lags with all away, and goes on by itself when they are back; no generation is lost."""
        self.begin()
        self.turns(0, 5)
        self.send("ann", 6)
        self.killed()
        self.restore()
        self.assertEqual(self.room.states, [(LAGGING, ["ann", "bob"])])
        ann = self.come("ann", PLAY, 5)
        self.assertEqual(ann.texts("start")[0]["generation"], 6)
        bob = self.come("bob", PLAY, 4)
        self.turns(6, 7)
        self.assertEqual((ann.generations(), bob.generations()), ([6, 7], [5, 6, 7]))
        self.assertEqual(self.room.states[-1], (ITERATING, None))
        self.assertEqual([line["generation"] for line in self.lines()[1:]], list(range(8)))

    def test_start_is_as_at_the_beginning(self) -> None:
        """`start` names all players of the play, also one who has left since."""
        self.begin()
        self.referee.left("bob", 1, "left")
        self.send("ann", 0)
        self.killed()
        del self.players[1]
        self.restore()
        start = self.come("ann").texts("start")[0]
        self.assertEqual([player["user_id"] for player in start["players"]], ["ann", "bob"])
        self.send("ann", 1)
        self.assertEqual(sum("system" in line for line in self.lines()), 1)

    def test_left_before_it_was_mastered(self) -> None:
        """Who had left when it was killed, and stands in no master yet, has left."""
        self.begin()
        self.turns(0, 0)
        self.killed()
        del self.players[1]
        self.restore()
        self.come("ann", PLAY, 0)
        self.send("ann", 1)
        self.assertEqual(self.lines()[-1]["system"], [{"left": 1}])

    def test_had_ended(self) -> None:
        """A play whose end was recorded, and not yet the room's, ends as it did."""
        self.begin()
        self.turns(0, 0)
        for user_id in ("ann", "bob"):
            self.say(user_id, {"type": "finish", "generation": 0, "results": {"winner": 0}})
        self.killed()
        self.room.ended.clear()
        self.restore()
        self.assertEqual(self.room.ended, [("finished", {"winner": 0})])

    def test_no_recording(self) -> None:
        """Without its recording a play cannot be taken up."""
        self.failureResultOf(self.referee.restore(PLAY, self.players), FileNotFoundError)

    def test_nobody_comes(self) -> None:
        """It is over after room_ttl."""
        self.begin()
        self.killed()
        self.restore()
        self.wait(119)
        self.assertEqual(self.room.ended, [])
        self.wait(1)
        self.assertEqual(self.room.ended, [("abandoned", None)])


class SyncJournalTests(RefereeCase):
    """`journal` `sync`: masters wait for the disk."""

    options: ClassVar = {"journal": "sync"}

    def test_told_when_on_the_disk(self) -> None:
        """No master is told, shown as history or repeated before it is on the disk; then all are, in order."""
        self.begin()
        ann = self.room.here["ann"][0]
        self.threads = []
        self.turns(0, 1)
        self.send("bob", 0)
        late = self.come("vic")
        self.assertEqual((ann.generations(), late.generations(), late.texts("start")[0]["generation"]), ([], [], 0))
        self.assertRaises(BadState, self.come, "bob", PLAY, 0)
        self.release()
        self.assertEqual((ann.generations(), late.generations()), ([0, 1], [0, 1]))

    def test_disk_fails(self) -> None:
        """When they do not come to the disk the play is over, and nobody is sent them."""
        self.begin()
        with mock.patch("gameroom.store.recording.os.fdatasync", side_effect=OSError(5, "Input/output error")):
            self.turns(0, 0)
        self.assertEqual(self.room.ended, [("recording_failed", None)])
        self.assertEqual(self.room.here["ann"][0].generations(), [])


class DiskFullTests(RefereeCase):
    """A disk that takes no more."""

    def test_play_ends(self) -> None:
        """The play is over with a clear reason; what was not written nobody was sent."""
        self.begin()
        self.turns(0, 0)
        with mock.patch("gameroom.store.recording.os.write", side_effect=OSError(28, "No space left on device")):
            self.turns(1, 1)
        self.assertEqual(self.room.ended, [("recording_failed", None)])
        self.assertEqual(self.room.here["ann"][0].generations(), [0])
        self.assertEqual([line["type"] for line in self.lines()], ["play", "master"])
        self.referee.end()
        self.assertEqual(json.loads(self.recordings.path(PLAY).read_bytes().splitlines()[-1])["generation"], 0)
