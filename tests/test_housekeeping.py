"""What is thrown away by and by."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.housekeeping import Housekeeping
from gameroom.store import DatabaseUnavailable, rooms
from tests.held import HeldDatabase
from tests.memory import MemoryDatabase
from tests.rooms import House, account


class HousekeepingTests(SynchronousTestCase):
    def test_plays(self) -> None:
        """A play is known for as long as its recording is kept after its end, and no longer; one that is on stays."""
        house = House()
        room = self.successResultOf(house.registry.create(house.request(), account("Anna")))
        for play_id in ("over", "on"):
            self.successResultOf(house.database.interact(rooms.begin_play, play_id, room.value, 0))
        self.successResultOf(house.database.interact(rooms.end_play, "over", 1000, "finished"))
        keeping = Housekeeping(database=house.database, clock=house.clock, keep_plays=10.0)
        for seconds, known in ((10.9, [False, False]), (0.2, [None, False])):
            house.clock.advance(seconds)
            self.successResultOf(keeping.clear())
            self.assertEqual([self.successResultOf(house.registry.may_read_play(play_id)) for play_id in ("over", "on")], known)

    def test_every_day(self) -> None:
        """It is done at the start and once a day, also after a day on which it failed, until it is stopped."""
        clock, database = Clock(), HeldDatabase()
        keeping = Housekeeping(database=database, clock=clock, keep_plays=10.0)
        keeping.start()
        self.assertEqual(database.waiting, ["forget_sessions"])
        database.fail(DatabaseUnavailable("the server is down"))
        clock.advance(86400)
        self.assertEqual(database.waiting, ["forget_sessions"])
        database.release_all()
        keeping.stop()
        clock.advance(86400)
        self.assertEqual(database.waiting, [])

    def test_sessions(self) -> None:
        """Sessions that have expired are gone, whoever's they were."""
        clock, database = Clock(), MemoryDatabase()
        for statement in (
            "INSERT INTO accounts (account_id, role, username, key, password_hash, created_ms, login_ms) VALUES ('a', 'player', 'A', 'a', '', 0, 0)",
            "INSERT INTO sessions (token_hash, account_id, created_ms, expires_ms, superseded_ms) VALUES ('old', 'a', 0, 1000, 500)",
            "INSERT INTO sessions (token_hash, account_id, created_ms, expires_ms) VALUES ('new', 'a', 0, 9000)",
        ):
            self.successResultOf(database.interact(lambda cursor, sql: cursor.execute(sql), statement))
        clock.advance(1)
        self.successResultOf(Housekeeping(database=database, clock=clock, keep_plays=10.0).clear())
        left = self.successResultOf(database.interact(lambda cursor: cursor.execute("SELECT token_hash FROM sessions")))
        self.assertEqual(left, [("new",)])
