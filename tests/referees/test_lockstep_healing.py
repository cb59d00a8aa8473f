"""Divergences: who is told, whose state is looked at, who gets another one."""

from __future__ import annotations

from typing import Any, ClassVar
from unittest import mock

from gameroom.errors import BadState, Forbidden, InvalidRequest
from gameroom.referees import lockstep_dumps
from gameroom.referees.lockstep_snapshots import Snapshots
from gameroom.rules.lockstep import DIVERGED, ITERATING
from tests.referees.lockstep_world import PLAY, FakeConnection, RefereeCase


class DivergenceCase(RefereeCase):
    third = True

    def diverge(self) -> None:
        """Cat's state after generation 2 is not that of the others."""
        self.begin()
        self.hashed(0, 3)
        self.hashed(4, 4, cat="wrong")

    def requests(self, user_id: str, kind: str = "snapshot_request") -> list[int]:
        return [message["generation"] for message in self.room.here[user_id][0].texts(kind)]

    def give(self, user_id: str, generation: int, state: Any = "good", checksum: Any = None) -> None:
        value = f"h{generation}" if checksum is None else checksum
        self.say(user_id, {"type": "snapshot", "generation": generation, "checksum": value, "state": state})

    def resolve(self, how: str, by: str = "ann") -> None:
        self.say(by, {"type": "resolve", "how": how})

    def systems(self) -> list[Any]:
        return [event for line in self.lines() for event in line.get("system", ())]


class ToldTests(RefereeCase):
    """Two hashes that differ, with two players."""

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
        self.assertEqual(self.metrics.divergences, 1)
        self.turns(3, 3)
        self.assertEqual(self.room.here["vic"][0].generations(), [0, 1])

    def test_told_again(self) -> None:
        """Who comes while it stands is told once more, behind start and masters, and once."""
        self.diverge()
        self.assertEqual(self.come("vic").story(), ["start", "0-1", "divergence"])
        self.assertEqual(self.come("bob", PLAY, 1).story(), ["start", "divergence"])
        slow = self.come("vic", reads=False)
        self.resolve("abort")
        for _ in range(3):
            slow.read()
        self.assertEqual(slow.story(), ["start", "0-1", "divergence"])

    def resolve(self, how: str) -> None:
        self.say("ann", {"type": "resolve", "how": how})

    def test_resolve(self) -> None:
        """The host ends it; nobody else may, viewers neither, and only by one of three words."""
        self.diverge()
        for other in ("bob", "vic"):
            self.assertRaises(Forbidden, self.say, other, {"type": "resolve", "how": "abort"})
        for how in ("heal", None, 1, ["abort"]):
            self.assertRaises(InvalidRequest, self.say, "ann", {"type": "resolve", "how": how})
        self.resolve("abort")
        self.assertEqual((self.room.ended, self.lines()[-1]["reason"]), ([("diverged", None)], "diverged"))

    def test_host_is_a_viewer(self) -> None:
        """A host who does not play may end it."""
        self.diverge()
        self.room.host = "vic"
        self.assertRaises(BadState, self.say, "vic", {"type": "resolve", "how": "evict"})
        self.say("vic", {"type": "resolve", "how": "abort"})
        self.assertEqual(self.room.ended, [("diverged", None)])

    def test_host_decides(self) -> None:
        """With as many on one side as on the other it is the host's state that counts."""
        self.diverge()
        self.resolve("evict")
        self.assertEqual(self.room.here["ann"][0].texts("master")[-1]["system"], [{"evicted": 1}])

    def test_nothing_to_resolve(self) -> None:
        """Without a divergence it is 105."""
        self.begin()
        for how in ("abort", "evict", "resync"):
            self.assertRaises(BadState, self.say, "ann", {"type": "resolve", "how": how})

    def test_warned(self) -> None:
        """Who leaves its hashes out is told 100."""
        self.begin()
        self.turns(0, 1)
        for generation in range(2, 14):
            self.send("ann", generation, checksum={"generation": generation - 2, "value": "a"})
            self.send("bob", generation)
        [warning] = self.room.here["bob"][0].texts("error")
        self.assertEqual((warning["code"], self.room.here["ann"][0].texts("error")), (100, []))


class EvictTests(DivergenceCase):
    """`evict`: who differs from the others watches from then on."""

    options: ClassVar = {"on_divergence": "evict"}

    def test_evicted(self) -> None:
        """It gets a state of the others and the masters after it, in order, as a viewer; its packets are 102; the others play on."""
        self.diverge()
        self.assertEqual((self.systems(), self.metrics.evictions), ([{"evicted": 2}], 1))
        cat = self.room.here["cat"][0]
        [asked] = [user_id for user_id in ("ann", "bob") if self.requests(user_id)]
        self.assertEqual(cat.generations(), [0, 1, 2, 3, 4])
        self.assertRaises(Forbidden, self.send, "cat", 5)
        del self.players[2]
        self.hashed(5, 7)
        self.assertEqual(self.requests(asked), [4])
        self.give(asked, 5)
        self.hashed(8, 9)
        self.assertEqual(cat.story(), ["start", "0-3", "divergence", "4-4", "snapshot 5", "6-9"])
        self.assertEqual((self.room.states[-1], self.referee.welcome_fields("cat")), ((ITERATING, None), {"evicted": True}))
        self.assertEqual(self.referee.welcome_fields("ann"), {})

    def test_no_snapshot(self) -> None:
        """Where nobody has a state to give it begins anew: start, and everything from the beginning; so does one that can load none."""
        for able in (True, False):
            self.setUp()
            self.begin()
            self.come("cat", PLAY, None, snapshots=able)
            self.hashed(0, 3)
            self.hashed(4, 4, cat="wrong")
            del self.players[2]
            self.hashed(5, 5)
            for _ in range(2):
                self.wait(0.5)
            self.hashed(6, 6)
            self.assertEqual(self.room.here["cat"][0].story(), ["start", "0-3", "divergence", "4-4", "start", "0-6"])

    def test_evicted_while_away(self) -> None:
        """It is told so when it comes, and gets a state that it can go on from, whatever it says that it has."""
        self.diverge()
        # The connection goes while it is being told, before the room has heard of it.
        self.room.here["cat"] = []
        self.referee, self.room.here = self.make(), {}
        self.successResultOf(self.referee.restore(PLAY, self.players))
        for user_id in ("ann", "bob"):
            self.come(user_id, PLAY, 4)
        del self.players[2]
        self.hashed(5, 8)
        cat = self.come("cat", PLAY, 3)
        [asked] = [user_id for user_id in ("ann", "bob") if self.requests(user_id)]
        self.hashed(9, 12)
        self.give(asked, 9)
        self.assertEqual(cat.story(), ["start", "snapshot 9", "10-12"])

    def test_stays_so(self) -> None:
        """Also when the daemon was killed."""
        self.diverge()
        self.referee, self.room.here = self.make(), {}
        self.successResultOf(self.referee.restore(PLAY, self.players))
        for user_id in ("ann", "bob", "cat"):
            self.come(user_id, PLAY, 4)
        self.assertRaises(Forbidden, self.send, "cat", 5)
        del self.players[2]
        self.turns(5, 5)
        self.assertEqual(self.room.here["ann"][0].generations(), [5])
        self.assertEqual(self.referee.welcome_fields("cat"), {"evicted": True})

    def test_by_the_host(self) -> None:
        """Where the room halts the host may say so."""
        self.lay()
        self.diverge()
        self.assertEqual(self.systems(), [])
        self.resolve("evict")
        self.assertEqual(self.systems(), [{"evicted": 2}])


class ResyncTests(DivergenceCase):
    """`resync`: who differs from the others gets their state."""

    options: ClassVar = {"on_divergence": "resync"}

    def test_resync(self) -> None:
        """One of the majority is asked for the newest generation; the others get its state and all play on."""
        self.diverge()
        [asked] = [user_id for user_id in ("ann", "bob", "cat") if self.requests(user_id)]
        self.assertIn(asked, ("ann", "bob"))
        newest = self.room.here["cat"][0].generations()[-1]
        self.assertEqual(self.requests(asked), [newest])
        self.hashed(newest + 2, newest + 2)
        self.give(asked, newest)
        self.hashed(newest + 3, newest + 6)
        cat = self.room.here["cat"][0]
        self.assertEqual(cat.story(), ["start", f"0-{newest}", "divergence", f"snapshot {newest}", f"{newest + 1}-{newest + 6}"])
        for other in ("ann", "bob", "vic"):
            self.assertEqual(self.room.here[other][0].texts("snapshot"), [])
        self.assertEqual((self.metrics.resyncs, self.systems(), self.room.states[-1]), (1, [], (ITERATING, None)))
        self.assertEqual(self.come("vic").texts("divergence"), [])

    def test_cannot(self) -> None:
        """Where the first has no state to give another is asked."""
        self.diverge()
        [asked] = [user_id for user_id in ("ann", "bob") if self.requests(user_id)]
        self.give(asked, self.requests(asked)[0], None)
        [other] = [user_id for user_id in ("ann", "bob") if user_id != asked]
        self.assertEqual(len(self.requests(other)), 1)

    def test_late_answer(self) -> None:
        """An answer that nobody needs any more is no fault of its sender's."""
        self.diverge()
        [asked] = [user_id for user_id in ("ann", "bob") if self.requests(user_id)]
        newest = self.requests(asked)[0]
        self.go("cat")
        self.give(asked, newest)
        self.assertRaises(BadState, self.give, asked, newest)

    def asked_twice(self) -> tuple[str, int, int]:
        """Somebody is asked because of the divergence, which ends without its answer, and again by a newcomer: who, and of which generations."""
        self.diverge()
        [asked] = [user_id for user_id in ("ann", "bob") if self.requests(user_id)]
        newest = self.requests(asked)[0]
        self.go("cat")
        for user_id in ("ann", "bob"):
            self.say(user_id, {"type": "drop", "seat": 2})
        for generation in range(newest + 1, newest + 6):
            for user_id in ("ann", "bob"):
                self.send(user_id, generation, checksum={"generation": generation - 2, "value": f"h{generation - 2}"})
        self.snapshots.wait_for(lambda: None, without=[1 - self.room.members[asked].seat])  # type: ignore[operator]
        wanted = self.requests(asked)[1]
        self.assertGreater(wanted, newest)
        return asked, newest, wanted

    @property
    def snapshots(self) -> Snapshots:
        assert self.referee._stage is not None
        return self.referee._stage.snapshots

    def test_asked_twice(self) -> None:
        """It may still answer the older request, once; the newer one stands."""
        asked, newest, wanted = self.asked_twice()
        self.give(asked, newest)
        self.assertTrue(self.snapshots.waits)
        self.assertRaises(InvalidRequest, self.give, asked, newest)
        self.give(asked, wanted)
        self.assertRaises(BadState, self.give, asked, wanted)

    def test_answers_the_newer_first(self) -> None:
        asked, newest, wanted = self.asked_twice()
        self.give(asked, wanted)
        self.give(asked, newest)
        self.assertRaises(BadState, self.give, asked, newest)


class DumpTests(DivergenceCase):
    """Dumps, by which a divergence can be looked at afterwards."""

    def give_dump(self, user_id: str, state: Any, generation: int = 3) -> None:
        self.say(user_id, {"type": "dump", "generation": generation, "state": state})

    def dumps(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["type"] == "dump"]

    def test_recorded(self) -> None:
        """Each player who is there is asked once, for the newest generation; what they give stands in the recording, null does not."""
        self.diverge()
        newest = self.room.here["vic"][0].generations()[-1]
        self.assertEqual([self.requests(name, "dump_request") for name in ("ann", "bob", "cat", "vic")], [[newest], [newest], [newest], []])
        self.give_dump("ann", {"units": [1, 2]}, newest)
        self.give_dump("cat", "bad", newest)
        self.give_dump("bob", None, newest)
        self.assertEqual(
            self.dumps(),
            [
                {"t": 0, "type": "dump", "generation": newest, "seat": 0, "state": {"units": [1, 2]}},
                {"t": 0, "type": "dump", "generation": newest, "seat": 2, "state": "bad"},
            ],
        )
        for user_id in ("ann", "bob"):
            self.assertRaises(BadState, self.give_dump, user_id, "again")

    def test_refused(self) -> None:
        """Not asked: 105. A viewer: 102. A generation that is not there, or too big: 100, and it may be given again."""
        self.begin()
        self.assertRaises(BadState, self.give_dump, "ann", "x")
        self.setUp()
        self.diverge()
        self.assertRaises(Forbidden, self.give_dump, "vic", "x")
        self.assertRaises(InvalidRequest, self.give_dump, "ann", "x", 500)
        self.assertRaises(InvalidRequest, self.give_dump, "ann", "x" * (700 << 10))
        self.give_dump("ann", "x")
        self.assertEqual(len(self.dumps()), 1)

    def test_bounded(self) -> None:
        """A play may not fill the disk with them, also not one that was killed in between; nobody is asked any more then."""
        with mock.patch.object(lockstep_dumps, "DUMP_BYTES", 300):
            self.lay(on_divergence="evict")
            self.diverge()
            self.give_dump("ann", "x" * 250)
            self.give_dump("bob", "x" * 250)
            self.assertEqual([dump["seat"] for dump in self.dumps()], [0])
            self.referee, self.room.here = self.make(), {}
            self.successResultOf(self.referee.restore(PLAY, self.players))
            newest = max(line["generation"] for line in self.lines() if line["type"] == "master")
            for user_id in ("ann", "bob"):
                self.come(user_id, PLAY, newest)
            for user_id in ("ann", "bob"):
                for generation in (newest + 1, newest + 2):
                    self.send(user_id, generation)
            for user_id in ("ann", "bob"):
                self.send(user_id, newest + 3, checksum={"generation": newest + 1, "value": user_id})
            self.assertEqual(len(self.room.here["ann"][0].texts("divergence")), 1)
            self.assertEqual(self.requests("ann", "dump_request"), [])

    def test_disk_full(self) -> None:
        """A dump that cannot be written ends the play, as anything that cannot be."""
        self.diverge()
        with mock.patch("gameroom.store.recording.os.write", side_effect=OSError(28, "No space left on device")):
            self.give_dump("ann", "x")
        self.assertEqual(self.room.ended, [("recording_failed", None)])


class LobbyTests(RefereeCase):
    """A connection that carries no packets of the play."""

    options: ClassVar = {"encoding": "binary"}

    def test_told_again(self) -> None:
        """It is told of a divergence that stands as well."""
        self.begin()
        stage = self.referee._stage
        assert stage is not None
        stage.healing.diverged(mock.Mock(fields={"generation": 0, "groups": []}))
        lobby: FakeConnection = self.come("bob", binary=False)
        self.assertEqual(lobby.story(), ["start", "divergence"])
