"""Snapshots of a lock-step play: who is asked, which are used, who gets them, where they are kept."""

from __future__ import annotations

from typing import Any, ClassVar
from unittest import mock

from gameroom.errors import BadState, InvalidRequest
from gameroom.referees.lockstep_messages import STATE_BYTES
from gameroom.rules.lockstep import LAGGING
from gameroom.wire.lockstep import CommandPacket, encode_command
from gameroom.wire.room_messages import Hello
from tests.referees.lockstep_world import PLAY, FakeConnection, RefereeCase

LONG = 1200


class SnapshotCase(RefereeCase):
    def requests(self, user_id: str) -> list[int]:
        return [message["generation"] for message in self.room.here[user_id][0].texts("snapshot_request")]

    def asked(self) -> tuple[str, str]:
        """Who was asked, and the other player."""
        [asked] = [user_id for user_id in ("ann", "bob") if self.requests(user_id)]
        return asked, "bob" if asked == "ann" else "ann"

    def give(self, user_id: str, generation: int, state: Any = "state", checksum: Any = None) -> Any:
        value = f"h{generation}" if checksum is None else checksum
        return self.say(user_id, {"type": "snapshot", "generation": generation, "checksum": value, "state": state})

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*/*.snapshot"))

    def long_play(self) -> None:
        self.begin()
        self.hashed(0, LONG - 1)


class LateTests(SnapshotCase):
    """Those who are far behind."""

    def test_fresh(self) -> None:
        """A player is asked for its state, which goes to the viewer once its hash is agreed, then every master after it, once."""
        self.long_play()
        late = self.come("vic")
        asked, other = self.asked()
        self.assertEqual((self.requests(asked), self.requests(other)), ([LONG - 1], []))
        self.hashed(LONG, LONG)
        self.give(asked, LONG, {"units": [1]})
        self.hashed(LONG + 1, LONG + 1)
        self.assertEqual(late.story(), ["start"])
        self.hashed(LONG + 2, LONG + 5)
        self.assertEqual(late.story(), ["start", f"snapshot {LONG}", f"{LONG + 1}-{LONG + 5}"])
        self.assertEqual(late.texts("snapshot"), [{"type": "snapshot", "generation": LONG, "checksum": f"h{LONG}", "state": {"units": [1]}}])
        self.assertEqual(late.texts("start")[0]["generation"], LONG)
        self.assertEqual((self.files(), self.metrics.snapshots), ([f"{PLAY}.{LONG}.snapshot"], 1))

    def test_near(self) -> None:
        """Up to 1,000 generations are history, and so is everything for a client that can load no snapshot."""
        self.long_play()
        self.assertEqual(self.come("vic", PLAY, LONG - 1001).story(), ["start", f"{LONG - 1000}-{LONG - 1}"])
        self.assertEqual(self.come("vic", snapshots=False).story(), ["start", f"0-{LONG - 1}"])
        self.assertEqual(self.requests("ann") + self.requests("bob"), [])
        self.come("vic", PLAY, LONG - 1002)
        self.asked()

    def test_member_far_behind(self) -> None:
        """So does a player that was away, who is not asked itself."""
        self.long_play()
        self.go("bob")
        self.say("ann", {"type": "drop", "seat": 1})
        for generation in range(LONG, 2 * LONG):
            self.send("ann", generation, checksum={"generation": generation - 2, "value": f"h{generation - 2}"})
        bob = self.come("bob", PLAY, LONG - 1)
        self.assertEqual((self.requests("ann"), self.requests("bob")), ([2 * LONG - 1], []))
        for generation in range(2 * LONG, 2 * LONG + 4):
            self.send("ann", generation, checksum={"generation": generation - 2, "value": f"h{generation - 2}"})
        self.give("ann", 2 * LONG)
        self.assertEqual(bob.story(), ["start", f"snapshot {2 * LONG}", f"{2 * LONG + 1}-{2 * LONG + 3}"])

    def test_kept(self) -> None:
        """The newest is used again while it is near, from the disk once nobody has used it for a while; then a newer one takes its place."""
        self.test_fresh()
        for _ in range(2):
            second = self.come("vic")
            self.assertEqual(second.story(), ["start", f"snapshot {LONG}", f"{LONG + 1}-{LONG + 5}"])
            self.wait(11)
        self.assertEqual(sum(len(self.requests(user_id)) for user_id in ("ann", "bob")), 1)
        self.referee.tick(self.clock.seconds())
        self.hashed(LONG + 6, 2 * LONG + 10)
        third = self.come("vic")
        self.hashed(2 * LONG + 11, 2 * LONG + 13)
        [asked] = [user_id for user_id in ("ann", "bob") if 2 * LONG + 10 in self.requests(user_id)]
        self.give(asked, 2 * LONG + 11)
        self.assertEqual(third.story(), ["start", f"snapshot {2 * LONG + 11}", f"{2 * LONG + 12}-{2 * LONG + 13}"])
        self.assertEqual(self.files(), [f"{PLAY}.{2 * LONG + 11}.snapshot"])

    def test_nobody_answers(self) -> None:
        """After 0.4 s another is asked, after 0.8 s all is history; nobody is asked again for ten seconds."""
        self.long_play()
        late = self.come("vic")
        asked, other = self.asked()
        self.wait(0.3)
        self.assertEqual(self.requests(other), [])
        self.wait(0.125)
        self.assertEqual((self.requests(other), late.story()), ([LONG - 1], ["start"]))
        self.wait(0.5)
        self.assertEqual(late.story(), ["start", f"0-{LONG - 1}"])
        self.assertEqual(self.come("vic").story(), ["start", f"0-{LONG - 1}"])
        self.wait(10)
        self.come("vic")
        self.assertEqual(len(self.requests(asked)), 2)

    def test_late_answer(self) -> None:
        """What comes too late for one is there for the next."""
        self.long_play()
        late = self.come("vic")
        asked, _ = self.asked()
        self.hashed(LONG, LONG + 3)
        self.wait(0.5)
        self.wait(0.5)
        self.give(asked, LONG)
        self.assertEqual(late.story(), ["start", f"0-{LONG + 3}"])
        self.assertEqual(self.come("vic").story(), ["start", f"snapshot {LONG}", f"{LONG + 1}-{LONG + 3}"])

    def test_wrong(self) -> None:
        """A state whose hash is not the agreed one is not used, nor one that cannot be given: another player is asked, once."""
        for state, checksum in (("forged", "x"), (None, None)):
            self.setUp()
            self.long_play()
            late = self.come("vic")
            asked, other = self.asked()
            self.hashed(LONG, LONG + 3)
            self.give(asked, LONG, state, checksum)
            [again] = self.requests(other)
            self.hashed(LONG + 4, LONG + 7)
            self.give(other, again)
            self.assertEqual(late.story(), ["start", f"snapshot {again}", f"{again + 1}-{LONG + 7}"])

    def test_both_wrong(self) -> None:
        """Then it is history, at once."""
        self.long_play()
        late = self.come("vic")
        asked, other = self.asked()
        self.give(asked, 0, None)
        self.give(other, 0, None)
        self.assertEqual(late.story(), ["start", f"0-{LONG - 1}"])

    def test_nobody_to_ask(self) -> None:
        """With no player there it is the newest that was kept, or history."""
        self.long_play()
        for user_id in ("ann", "bob"):
            self.go(user_id)
        self.assertEqual(self.come("vic").story(), ["start", f"0-{LONG - 1}"])

    def test_while_nothing_comes(self) -> None:
        """In a play that waits for somebody the newest generation is asked for, since no other comes."""
        self.long_play()
        self.send("ann", LONG, checksum={"generation": LONG - 2, "value": f"h{LONG - 2}"})
        self.send("ann", LONG + 1, checksum={"generation": LONG - 1, "value": f"h{LONG - 1}"})
        self.go("bob")
        self.wait(1.5)
        self.assertEqual(self.room.states[-1], (LAGGING, ["bob"]))
        bob = self.come("bob")
        self.assertEqual(self.requests("ann"), [LONG - 1])
        self.give("ann", LONG - 1)
        self.assertEqual(bob.story(), ["start", f"snapshot {LONG - 1}"])
        self.send("bob", LONG)
        self.assertEqual(bob.generations(), [LONG])

    def test_reloaded(self) -> None:
        """Likewise where it is the one who comes that is waited for, at once: a page that was loaded anew."""
        self.long_play()
        self.send("ann", LONG, checksum={"generation": LONG - 2, "value": f"h{LONG - 2}"})
        self.send("ann", LONG + 1, checksum={"generation": LONG - 1, "value": f"h{LONG - 1}"})
        self.go("bob")
        bob = self.come("bob")
        self.give("ann", LONG - 1)
        self.assertEqual((bob.story(), self.room.states), (["start", f"snapshot {LONG - 1}"], []))

    def test_taken_over(self) -> None:
        """Also where the new page comes before the old one is found to be gone: what that one still owed is waited for no more."""
        self.long_play()
        self.send("ann", LONG, checksum={"generation": LONG - 2, "value": f"h{LONG - 2}"})
        self.send("ann", LONG + 1, checksum={"generation": LONG - 1, "value": f"h{LONG - 1}"})
        bob = self.come("bob")
        self.give("ann", LONG - 1)
        self.assertEqual((bob.story(), self.room.states), (["start", f"snapshot {LONG - 1}"], []))
        self.send("bob", LONG)
        self.send("bob", LONG + 1)
        self.assertEqual(bob.generations(), [LONG, LONG + 1])

    def test_hello_again(self) -> None:
        """Who asks anew while it waits gets everything once; who goes gets nothing, and nobody minds."""
        self.long_play()
        gone = self.come("vic")
        late = self.come("vic")
        self.referee.welcomed("vic", late, Hello())
        asked, _ = self.asked()
        self.hashed(LONG, LONG + 3)
        self.give(asked, LONG)
        self.hashed(LONG + 4, LONG + 4)
        self.assertEqual(late.story(), ["start", "start", f"snapshot {LONG}", f"{LONG + 1}-{LONG + 4}"])
        self.assertEqual(gone.story(), ["start"])

    def test_slow_reader(self) -> None:
        """While it reads, what is mastered waits its turn."""
        self.long_play()
        late = self.come("vic", reads=False)
        asked, _ = self.asked()
        self.hashed(LONG, LONG + 3)
        self.give(asked, LONG)
        self.hashed(LONG + 4, LONG + 6)
        self.assertEqual(late.story(), ["start"])
        for _ in range(4):
            late.read()
        self.hashed(LONG + 7, LONG + 7)
        self.assertEqual(late.story(), ["start", f"snapshot {LONG}", f"{LONG + 1}-{LONG + 7}"])

    def test_cannot_be_read(self) -> None:
        """A snapshot that is lost on the disk: history."""
        self.test_fresh()
        self.wait(11)
        for path in self.folder.glob("*/*.snapshot"):
            path.unlink()
        self.assertEqual(self.come("vic").story(), ["start", f"0-{LONG + 5}"])

    def test_cannot_be_written(self) -> None:
        """A full disk does not keep it from those who wait."""
        with mock.patch("gameroom.store.snapshot_files.os.fsync", side_effect=OSError(28, "No space left on device")):
            self.long_play()
            late = self.come("vic")
            asked, _ = self.asked()
            self.hashed(LONG, LONG + 3)
            self.give(asked, LONG)
        self.assertEqual(late.story()[1], f"snapshot {LONG}")

    def test_gone_with_the_play(self) -> None:
        """The end of the play deletes it."""
        self.test_fresh()
        self.referee.end()
        self.assertEqual(self.files(), [])

    def test_survives_a_kill(self) -> None:
        """After a restart it is there for who comes first, with nobody to ask."""
        self.test_fresh()
        self.referee, self.room.here = self.make(), {}
        self.successResultOf(self.referee.restore(PLAY, self.players))
        self.assertEqual(self.come("vic").story(), ["start", f"snapshot {LONG}", f"{LONG + 1}-{LONG + 5}"])

    def test_deleted_when_it_had_ended(self) -> None:
        """A play whose end was recorded when the daemon was killed leaves none."""
        self.test_fresh()
        with mock.patch("gameroom.store.snapshot_files.SnapshotFiles.keep_only"):
            self.referee.end()
        self.assertEqual(len(self.files()), 1)
        self.referee = self.make()
        self.successResultOf(self.referee.restore(PLAY, self.players))
        self.assertEqual(self.files(), [])


class IntervalTests(SnapshotCase):
    """Hashes of every tenth generation."""

    options: ClassVar = {"checksum_interval": 10}

    def test_a_hashed_generation(self) -> None:
        """The one that is asked for is a coming one that all report."""
        self.begin()
        self.turns(0, LONG + 3)
        self.come("vic")
        asked, _ = self.asked()
        self.assertEqual(self.requests(asked), [LONG + 10])

    def test_reloaded(self) -> None:
        """Where nothing comes without the one who comes, it is the newest, if that is one of them."""
        self.begin()
        self.turns(0, LONG)
        self.go("bob")
        self.come("bob")
        self.assertEqual(self.requests("ann"), [LONG])


class RefusedTests(SnapshotCase):
    """Answers that are none."""

    def test_not_asked(self) -> None:
        """105, also for a second answer."""
        self.long_play()
        self.assertRaises(BadState, self.give, "ann", 5)
        self.come("vic")
        asked, other = self.asked()
        self.assertRaises(BadState, self.give, other, LONG - 1)
        self.hashed(LONG, LONG)
        self.give(asked, LONG)
        self.assertRaises(BadState, self.give, asked, LONG)

    def test_not_so(self) -> None:
        """Too early, not there yet, too big, too deep, or no hash: 100, and it may answer again."""
        self.long_play()
        self.come("vic")
        asked, _ = self.asked()
        deep: Any = []
        for _ in range(250):
            deep = [deep]
        for generation, state, checksum in (
            (LONG - 2, "x", "h"),
            (LONG, "x", "h"),
            (None, "x", "h"),
            (True, "x", "h"),
            (LONG - 1, "x" * STATE_BYTES, "h"),
            (LONG - 1, deep, "h"),
            (LONG - 1, "x", 5),
        ):
            message = {"type": "snapshot", "generation": generation, "checksum": checksum, "state": state}
            self.assertRaises(InvalidRequest, self.say, asked, message)
        self.hashed(LONG, LONG)
        self.give(asked, LONG)


class BinaryTests(SnapshotCase):
    """Rooms with binary packets."""

    options: ClassVar = {"encoding": "binary", "input_delay": 1}

    def play(self, first: int, last: int) -> None:
        for generation in range(first, last + 1):
            for user_id in ("ann", "bob"):
                about = generation - 1
                self.referee.packet(user_id, encode_command(CommandPacket(generation, 50, 60, about, max(0, about), b"")), FakeConnection())

    def test_fresh(self) -> None:
        """The hash is 16 hex digits, the state base64."""
        self.begin()
        self.play(0, LONG - 1)
        late = self.come("vic")
        asked, _ = self.asked()
        self.play(LONG, LONG + 1)
        good = {"type": "snapshot", "generation": LONG, "checksum": f"{LONG:016x}", "state": "AAEC"}
        for wrong in ({"state": "no base64!"}, {"state": {"a": 1}}, {"checksum": LONG}, {"checksum": f"{LONG:x}"}, {"checksum": f"{LONG:016X}"}):
            self.assertRaises(InvalidRequest, self.say, asked, good | wrong)
        self.say(asked, good)
        self.play(LONG + 2, LONG + 2)
        self.assertEqual(late.story(), ["start", f"snapshot {LONG}", f"{LONG + 1}-{LONG + 2}"])
        self.assertEqual(late.texts("snapshot"), [good])
