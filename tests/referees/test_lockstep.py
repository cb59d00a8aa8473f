"""The lock-step referee between its room, the rules and the recording."""

from __future__ import annotations

from typing import Any
from unittest import mock

from zope.interface.verify import verifyObject

from gameroom import __version__
from gameroom.errors import BadState, Forbidden, InvalidRequest
from gameroom.interfaces import IReferee
from gameroom.rules.lockstep import ITERATING, LAGGING
from gameroom.store.disk_watch import RecordingFull
from gameroom.wire.lockstep import PACKET_BYTES
from tests.referees.lockstep_world import PLAY, RefereeCase


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

    def test_recording_full(self) -> None:
        """A play whose recording may not go on is over, and its recording says so; any other trouble in the background does not end it."""
        for journal in ("async", "sync"):
            self.lay(journal=journal)
            self.begin()
            self.turns(0, 3)
            [recording] = self.recordings._open
            assert recording.failed is not None
            if journal == "async":
                recording.failed(OSError(5, "Input/output error"))
                self.assertEqual(self.room.ended, [])
            for _ in range(2):
                recording.failed(RecordingFull(27, "File too large"))
            self.assertEqual(self.room.ended, [("recording_failed", None)])
            self.assertEqual((self.lines()[-1]["type"], self.lines()[-1]["reason"]), ("over", "recording_failed"))

    def test_no_space_no_play(self) -> None:
        """Where recordings have all the space that is theirs, no play begins."""
        with mock.patch.object(self.recordings._disk, "short", True):
            self.failureResultOf(self.referee.begin(PLAY, self.players), BadState)
        self.begin()


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
        self.assertEqual(self.metrics.turn_seconds.count, 1)

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

    def test_repeats_without_end(self) -> None:
        """Who asks without end is given so many a second, others theirs, and its packets of the window are taken as ever."""
        self.begin()
        self.turns(0, 3)
        for seconds, given in ((0, 300), (0, 0), (1, 100)):
            self.clock.advance(seconds)
            before = len(self.room.here["ann"][0].got)
            for _ in range(400):
                self.send("ann", 0)
            self.assertEqual(len(self.room.here["ann"][0].got) - before, given)
        self.send("bob", 0)
        self.turns(4, 5)
        self.assertEqual(self.room.here["bob"][0].generations(), [0, 1, 2, 3, 0, 4, 5])

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
