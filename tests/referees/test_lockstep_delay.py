"""Viewers who are held back: masters, history, snapshots and chat."""

from __future__ import annotations

from typing import Any, ClassVar
from unittest import mock

from gameroom.errors import BadState
from gameroom.referees.lockstep_delay import CHAT_BYTES
from gameroom.wire.room_messages import Outgoing
from tests.referees.lockstep_world import PLAY, RefereeCase


class DelayCase(RefereeCase):
    options: ClassVar = {"viewer_delay": 5}

    def chat(self, text: str) -> bool:
        return self.referee.chat(Outgoing.json({"type": "chat", "from": "ann", "text": text}))

    def heard(self, user_id: str) -> list[str]:
        return [message["text"] for message in self.room.here[user_id][0].texts("chat")]


class DelayTests(DelayCase):
    """Viewers are five generations behind."""

    def test_live(self) -> None:
        """Players get masters at once, viewers each of them five later, the same bytes."""
        self.begin()
        ann, vic = self.room.here["ann"][0], self.room.here["vic"][0]
        for last, seen in ((4, []), (5, [0]), (12, list(range(8)))):
            self.turns(ann.generations()[-1] + 1 if ann.generations() else 0, last)
            self.assertEqual((ann.generations(), vic.generations()), (list(range(last + 1)), seen))
        self.assertEqual([each.data for each in vic.got if b'"master"' in each.data], [each.data for each in ann.got if b'"master"' in each.data][:8])

    def test_who_comes(self) -> None:
        """A viewer gets `start` and history up to where viewers are, and is live there; a player who comes back gets everything."""
        self.begin()
        self.turns(0, 19)
        vic, bob = self.come("vic"), self.come("bob")
        self.assertEqual((vic.texts("start")[0]["generation"], bob.texts("start")[0]["generation"]), (15, 20))
        self.turns(20, 21)
        self.assertEqual((vic.story(), bob.story()), (["start", "0-16"], ["start", "0-21"]))
        again = self.come("vic", PLAY, 16)
        self.turns(22, 22)
        self.assertEqual(again.story(), ["start", "17-17"])

    def test_said_more_than_it_can_have(self) -> None:
        """One who has had more, as a player perhaps, goes on where viewers are; a generation that is not there is 105."""
        self.begin()
        self.turns(0, 19)
        self.assertEqual(self.come("vic", PLAY, 18).texts("start")[0]["generation"], 15)
        self.assertRaises(BadState, self.come, "vic", PLAY, 20)

    def test_dropped(self) -> None:
        """A dropped player is no viewer."""
        self.begin()
        self.go("bob")
        self.say("ann", {"type": "drop", "seat": 1})
        for generation in range(8):
            self.send("ann", generation)
        bob = self.come("bob")
        self.send("ann", 8)
        self.assertEqual(bob.story(), ["start", "0-8"])

    def test_chat(self) -> None:
        """What is said in generation g players hear at once, and viewers behind master g."""
        self.begin()
        self.turns(0, 6)
        self.assertTrue(self.chat("seven"))
        self.assertEqual((self.heard("ann"), self.heard("vic")), (["seven"], []))
        self.turns(7, 11)
        self.assertEqual(self.heard("vic"), [])
        self.turns(12, 12)
        self.assertEqual(self.room.here["vic"][0].story(), ["start", "0-7", "chat"])

    def test_chat_without_a_delay(self) -> None:
        """Is the room's own."""
        self.lay()
        self.assertFalse(self.chat("x"))
        self.begin()
        self.assertFalse(self.chat("x"))

    def test_chat_is_bounded(self) -> None:
        """What is past a limit viewers do not get."""
        self.begin()
        said = [f"{number}".ljust(500, ".") for number in range(CHAT_BYTES // 500 + 1)]
        for text in said:
            self.chat(text)
        self.turns(0, 5)
        heard = self.heard("vic")
        self.assertEqual(heard, said[: len(heard)])
        self.assertTrue(0.8 * CHAT_BYTES < 500 * len(heard) < CHAT_BYTES)
        self.chat("again")
        self.turns(6, 11)
        self.assertEqual(self.heard("vic")[-1], "again")

    def test_over(self) -> None:
        """At the end viewers get the rest, whether they read history or not, and what was said, before the room says that it is over."""
        self.begin()
        self.turns(0, 9)
        slow = self.come("vic", reads=False)
        self.chat("good game")
        with mock.patch.object(self.room, "over", side_effect=lambda *ended: seen.append(len(slow._waiting))):
            seen: list[int] = []
            for user_id in ("ann", "bob"):
                self.say(user_id, {"type": "finish", "generation": 9, "results": {}})
        self.referee.end()
        for _ in range(5):
            slow.read()
        self.assertEqual((slow.story(), seen), (["start", "0-9", "chat"], [2]))

    def test_over_for_the_live(self) -> None:
        """Likewise for those who are up to date."""
        self.begin()
        self.turns(0, 9)
        self.chat("good game")
        self.say("ann", {"type": "finish", "generation": 9, "results": {}})
        self.say("bob", {"type": "finish", "generation": 9, "results": {}})
        self.assertEqual(self.room.here["vic"][0].story(), ["start", "0-9", "chat"])
        self.assertEqual(self.room.here["ann"][0].story(), ["start", "0-9", "chat"])

    def test_restored(self) -> None:
        """After a kill viewers are as far behind as before."""
        self.begin()
        self.turns(0, 9)
        self.referee, self.room.here = self.make(), {}
        self.successResultOf(self.referee.restore(PLAY, self.players))
        vic = self.come("vic")
        for user_id in ("ann", "bob"):
            self.come(user_id, PLAY, 9)
        self.turns(10, 11)
        self.assertEqual(vic.story(), ["start", "0-6"])

    def test_cannot_be_read(self) -> None:
        """A disk that does not read ends viewers' connections; the players play on."""
        self.begin()
        self.turns(0, 4)
        vic = self.room.here["vic"][0]
        with mock.patch("gameroom.store.recording.os.pread", side_effect=OSError(5, "Input/output error")):
            self.turns(5, 6)
        self.turns(7, 8)
        self.assertEqual(([type(error) for error in vic.closed], vic.generations()), ([BadState], []))
        self.assertEqual(self.room.here["ann"][0].generations(), list(range(9)))

    def test_gone(self) -> None:
        """A viewer who has gone gets nothing more."""
        self.begin()
        old = self.room.here["vic"][0]
        self.come("vic")
        self.turns(0, 6)
        self.assertEqual(old.generations(), [])


class FarTests(DelayCase):
    """Long plays: viewers begin at a snapshot that they may see."""

    def requests(self) -> list[tuple[str, int]]:
        return [(name, message["generation"]) for name in ("ann", "bob") for message in self.room.here[name][0].texts("snapshot_request")]

    def give(self, user_id: str, generation: int) -> None:
        self.say(user_id, {"type": "snapshot", "generation": generation, "checksum": f"h{generation}", "state": "s"})

    def test_when_its_time_has_come(self) -> None:
        """The first viewer gets history, and a snapshot is asked for that the next can use once it is old enough for viewers."""
        self.begin()
        self.hashed(0, 1199)
        self.assertEqual(self.come("vic").story(), ["start", "0-1194"])
        [(asked, wanted)] = self.requests()
        self.hashed(1200, 1202)
        self.give(asked, wanted)
        self.assertEqual(self.come("vic").story(), ["start", "0-1197"])
        self.hashed(1203, 1206)
        self.assertEqual(self.come("vic").story(), ["start", "snapshot 1199", "1200-1201"])
        self.assertEqual(len(self.requests()), 1)

    def test_two_are_kept(self) -> None:
        """While a newer one waits for its time, viewers have the older one; no third is asked for."""
        self.test_when_its_time_has_come()
        self.hashed(1207, 2406)
        viewer = self.come("vic")
        self.assertEqual(viewer.story(), ["start", "snapshot 1199", "1200-2401"])
        asked, wanted = max(self.requests(), key=lambda request: request[1])
        self.hashed(2407, 2410)
        self.give(asked, wanted)
        for _ in range(2):
            self.come("vic")
        self.assertEqual(len(self.requests()), 2)
        names = sorted(path.name.split(".")[1] for path in self.folder.glob("*/*.snapshot"))
        self.assertEqual(names, ["1199", str(wanted)])

    def test_evicted(self) -> None:
        """One who was put out is a viewer, and sees what viewers see."""
        self.third = True
        self.lay(viewer_delay=5, on_divergence="evict")
        self.begin()
        self.hashed(0, 8)
        self.hashed(9, 9, cat="wrong")
        del self.players[2]
        cat = self.room.here["cat"][0]
        self.hashed(10, 20)
        story = cat.story()
        self.assertEqual(story[-2:], ["start", "0-15"])
        generation: Any = cat.texts("start")[-1]["generation"]
        self.assertEqual(generation, 5)
