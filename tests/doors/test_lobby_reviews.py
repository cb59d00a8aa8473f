"""Reviews at the lobby: LIST_REVIEWS, ADD_REVIEW, and what they change in the lists of games."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gameroom.interfaces import ICursor
from gameroom.settings import StoreSettings
from tests.doors.lobby_world import World


async def go_offline(cursor: ICursor) -> None:
    await cursor.execute("UPDATE games SET status = 'OFFLINE'")


class ReviewTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.ann, self.bob = self.world.peer("Ann"), self.world.peer("Bob")
        self.game_id = self.world.game_id(self.ann)

    def test_seeds_flow(self) -> None:
        """Just the seed's fields; the average is rounded to two places, and null before the first."""
        self.assertIsNone(self.ann.ok("LIST_GAMES")["games"][0]["avg_score"])
        self.assertEqual(self.ann.ok("LIST_REVIEWS", game_id=self.game_id), {"reviews": []})
        self.assertEqual(self.ann.ok("ADD_REVIEW", game_id=self.game_id, score=5, comment="Well made.\nI mean it."), {})
        self.bob.ok("ADD_REVIEW", game_id=self.game_id, score=4, comment="")
        self.world.peer("Carl").ok("ADD_REVIEW", game_id=self.game_id, score=4, comment="Fine")
        reviews = self.bob.ok("LIST_REVIEWS", game_id=self.game_id)["reviews"]
        self.assertEqual([each.keys() for each in reviews], [{"player", "score", "comment", "created_at"}] * 3)
        self.assertEqual([each["player"] for each in reviews], ["Carl", "Bob", "Ann"])
        detail = self.ann.ok("GET_GAME_DETAIL", game_id=self.game_id)
        self.assertEqual(detail["reviews_sample"], [{key: each[key] for key in ("player", "score", "comment")} for each in reviews])
        self.assertEqual((detail["avg_score"], self.ann.ok("LIST_GAMES")["games"][0]["avg_score"]), (4.33, 4.33))
        self.ann.ok("ADD_REVIEW", game_id=self.game_id, score=1, comment="It broke.")
        self.assertEqual(self.ann.ok("GET_GAME_DETAIL", game_id=self.game_id)["avg_score"], 3.0)

    def test_sample(self) -> None:
        """Five of them, the newest."""
        for number in range(7):
            self.world.peer(f"player-{number}").ok("ADD_REVIEW", game_id=self.game_id, score=3, comment=str(number))
        sample = self.ann.ok("GET_GAME_DETAIL", game_id=self.game_id)["reviews_sample"]
        self.assertEqual([each["comment"] for each in sample], list("65432"))
        first = self.ann.ok("LIST_REVIEWS", game_id=self.game_id, limit=3)["reviews"]
        rest = self.ann.ok("LIST_REVIEWS", game_id=self.game_id, limit=10**6, before=first[-1]["created_at"])["reviews"]
        self.assertEqual([each["comment"] for each in first + rest], list("6543210"))

    def test_refused(self) -> None:
        """100 for what is no review, 103 for what is no game."""
        good = {"game_id": self.game_id, "score": 3, "comment": "x"}
        wrong: list[dict[str, Any]] = [
            {"score": 0},
            {"score": 6},
            {"score": 3.0},
            {"score": True},
            {"score": "3"},
            {"comment": "x" * 2049},
            {"comment": "é" * 1025},
        ]
        for fields in [*wrong, {"comment": "a\u202eb"}, {"comment": "\x07"}, {"comment": None}, {"player": "Bob"}]:
            self.assertEqual(self.ann.code("ADD_REVIEW", **{**good, **fields}), 100, fields)
        self.assertEqual(self.ann.code("ADD_REVIEW", game_id=self.game_id, score=3), 100)
        self.assertEqual(self.ann.code("ADD_REVIEW", **{**good, "game_id": "nope"}), 103)
        self.assertEqual(self.ann.code("ADD_REVIEW", game_id="nope", score=3, comment="\0"), 100)
        self.assertEqual(self.ann.code("LIST_REVIEWS", game_id="nope"), 103)
        self.assertEqual(self.ann.code("LIST_REVIEWS", game_id=self.game_id, before="yesterday"), 100)
        self.assertEqual(self.ann.code("LIST_REVIEWS", game_id=self.game_id, limit=0), 100)

    def test_offline(self) -> None:
        """What was said of a game is there also when it is OFFLINE."""
        self.ann.ok("ADD_REVIEW", game_id=self.game_id, score=3, comment="x")
        self.successResultOf(self.world.database.interact(go_offline))
        self.assertEqual(len(self.bob.ok("LIST_REVIEWS", game_id=self.game_id)["reviews"]), 1)
        self.assertEqual(self.bob.ok("GET_GAME_DETAIL", game_id=self.game_id)["avg_score"], 3.0)

    def test_only_players(self) -> None:
        """Where the operator wants it so: from the moment a play began, all who sat in it may."""
        self.world = World(store=StoreSettings(reviews="players"))
        ann, bob, eve = (self.world.peer(name) for name in ("Ann", "Bob", "Eve"))
        game_id = self.world.game_id(ann)
        review = {"game_id": game_id, "score": 5, "comment": ""}
        room_id = self.world.room(ann)
        bob.ok("JOIN_ROOM", room_id=room_id)
        answer = ann.ask("ADD_REVIEW", **review)
        self.assertEqual((answer["code"], "download" in answer["message"]), (102, True))
        for peer in (ann, bob):
            peer.ok("ROOM_MESSAGE", room_id=room_id, body={"type": "ready", "ready": True})
        ann.ok("START_ROOM", room_id=room_id)
        self.assertEqual([ann.code("ADD_REVIEW", **review), bob.code("ADD_REVIEW", **review), eve.code("ADD_REVIEW", **review)], [0, 0, 102])

    def test_download_makes_a_player(self) -> None:
        """Who has heard DOWNLOAD_END may review."""
        self.world = World(store=StoreSettings(reviews="players"))
        ann = self.world.peer("Ann")
        game_id = self.world.game_id(ann)
        ann.send("DOWNLOAD_BEGIN", game_id=game_id)
        self.world.clock.advance(0)
        self.assertEqual(ann.answers()[0]["code"], 0)
        self.assertEqual(ann.pushes[-1]["type"], "DOWNLOAD_END")
        self.assertEqual(ann.code("ADD_REVIEW", game_id=game_id, score=5, comment=""), 0)
