"""How a play of a service room goes on: what is read of it meanwhile, and what is tried again."""

from __future__ import annotations

import itertools

from gameroom.errors import BadState
from gameroom.gameservices.values import ServiceOrder
from gameroom.wire.game_service import Joined, Started
from tests.held import HeldDatabase
from tests.referees.relay_world import Somebody
from tests.referees.service_world import FakeLease, ServiceTestCase


class AgainTests(ServiceTestCase):
    def test_tried_again_now_and_then(self) -> None:
        """A service that cannot be had is asked for every 5 s, however much happens in the room."""
        self.start()
        self.services.play = None
        self.ada.say("game", id=1, body="a")
        tried: list[float] = []
        real = self.services.lease

        def lease(order: ServiceOrder) -> FakeLease:
            tried.append(self.house.clock.seconds())
            return real(order)

        self.patch(self.services, "lease", lease)
        self.services.refuses = BadState("no sandbox")
        self.services.fail(BadState("closed"))
        for number in range(14):
            self.wait(1)
            self.bert.say("game", id=number + 1, body="b")
        self.assertEqual([after - before for before, after in itertools.pairwise(tried)], [5.0, 5.0])


class ReadTests(ServiceTestCase):
    """What is being read of a play while that goes on, or is over."""

    def database(self) -> HeldDatabase:
        self.held = HeldDatabase(holding=False)
        return self.held

    def test_over_meanwhile(self) -> None:
        """It is not shown to those of the next play, and not kept."""
        self.start()
        bert = self._reading()
        read = self.held._held.pop()
        row = self.successResultOf(self.held.database.interact(read.work, *read.args))
        self.held.holding, self.services.play = False, None
        for name in ("Ada", "Bert"):
            self.successResultOf(self.house.registry.leave(self.room.room_id, name))
        self.assertIsNone(self.room.referee._play)  # type: ignore[attr-defined]
        read.done.callback(row)
        self.assertEqual((len(self.states), self.bodies(bert)), (0, []))

    def test_read_once(self) -> None:
        """However many come meanwhile, it is read once for all of them."""
        self.start()
        self._reading()
        others = [self.connect(one.user_id, one.token) for one in (self.ada, self.bert)]
        self.assertEqual(self.held.waiting, ["load"])
        self.held.release()
        for one in others:
            self.assertEqual(len(self.bodies(one)), 2)

    def test_gone_on_meanwhile(self) -> None:
        """What was read is older than the play by now, and what is newer is in memory no more: the next update starts from what is newest."""
        self.start()
        bert = self._reading()
        read = self.held._held.pop()
        row = self.successResultOf(self.held.database.interact(read.work, *read.args))
        self.held.holding = False
        self.ada.say("game", id=1, body="a")
        self.states.forget(self.room.room_id)
        read.done.callback(row)
        self.ada.say("game", id=2, body="b")
        self.assertEqual(self.bodies(bert)[-2:], [{"n": 3, "what": "0:b"}, {"you": 1}])

    def _reading(self) -> Somebody:
        """Bert has come again, and what he is to see is being read."""
        self.states.forget(self.room.room_id)
        self.held.holding = True
        bert = self.connect("Bert", self.bert.token)
        self.assertEqual(self.held.waiting, ["load"])
        bert.connection.take()
        return bert


class BeginTests(ServiceTestCase):
    def database(self) -> HeldDatabase:
        self.held = HeldDatabase(holding=False)
        return self.held

    def test_comes_while_it_begins(self) -> None:
        """Who was away when the service was told of the start, and came before the play was on, is told of as back."""
        self.bert.conversation.lost()
        self.held.holding = True
        self.house.registry.start_room(self.room.room_id, "Ada")
        while self.held.waiting != ["begin"]:
            self.held.release()
        [started] = self.services.updates
        self.assertIsInstance(started.event, Started)
        self.assertEqual([player.connected for player in started.players], [True, False])
        self.connect("Bert", self.bert.token)
        self.held.release_all()
        self.assertEqual([update.event for update in self.services.updates[1:]], [Joined(1)])
