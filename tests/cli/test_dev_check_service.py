"""`gameroom dev check-service`: what it finds at services that are right and at those that are not, without a socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from random import Random
from typing import Any

import attrs
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli import main
from gameroom.cli.check_service.answers import difference, oddities
from gameroom.cli.check_service.caller import Caller, Heartbeat
from gameroom.cli.check_service.cases import Recorded
from gameroom.cli.check_service.checking import LATER, PATIENT, Checking
from gameroom.cli.check_service.findings import Findings, described
from gameroom.cli.check_service.place import SETTLES_WITHIN
from gameroom.cli.check_service.plays import Game, Plays
from gameroom.cli.check_service.probes import Probes
from gameroom.cli.check_service.words import KINDS
from gameroom.client.stream import ConnectionFailed
from gameroom.wire.game_service import (
    Finished,
    Left,
    Message,
    Rejected,
    Said,
    Started,
    State,
    Timer,
    Update,
    View,
    state_to_bytes,
    update_from_bytes,
)
from gameroom.wire.prefixed import Frames, framed
from gameroom.wire.update_file import pair_to_bytes, pairs_from_bytes

GAME = Game(game_id="a game", version="1.0.0", min_players=2, max_players=4)
NOW = 1_750_000_000.0
Answer = Callable[["Service", Update], Iterable[bytes]]
FAILED = Rejected(105, "the game's rules failed")
"""What the kit answers where an author's function has raised something."""


def counted(service: Service, update: Update) -> State:
    """What a good service answers: it counts what happened."""
    count = 1 + (json.loads(update.state)["count"] if update.state else 0)
    said = json.dumps({"count": count}).encode()
    return State(request=update.request, sequence=update.sequence, state=said, broadcast=(Said(said, True),))


def good(service: Service, update: Update) -> Iterable[bytes]:
    yield framed(state_to_bytes(counted(service, update)))


def having(change: Callable[[Service, Update, State], State]) -> Answer:
    """A good service but for something in its answers."""
    return lambda service, update: [framed(state_to_bytes(change(service, update, counted(service, update))))]


@attrs.define
class Service:
    """A service in memory. `answer` gives the bytes for an update; it may raise `Dies`, and `Hangs` where it never answers anything again."""

    answer: Answer = good
    starts: int = 0
    memory: int = 0
    one_read: bool = False
    """Whether it takes each read for one update."""
    dies_of_cuts: bool = False
    asked: int = 0


class Dies(Exception):
    """The program ends."""


class Transport(StringTransport):
    """To a service: what it answers comes a moment later."""

    def __init__(self, place: Place, caller: Caller) -> None:
        super().__init__()
        self._place, self._caller, self._frames = place, caller, Frames(1 << 24)

    def write(self, data: bytes) -> None:
        service = self._place.service
        if service.one_read and int.from_bytes(data[:4]) != len(data) - 4:
            return  # what is no whole update is nothing to it
        for frame in self._frames.feed(data):
            service.asked += 1
            try:
                answers = b"".join(service.answer(service, update_from_bytes(frame)))
            except Dies:
                self._place.ended = "ended with status 3"
                self._place.clock.callLater(0, self._caller.connectionLost)
                return
            if answers:
                self._place.clock.callLater(0.001, self._caller.dataReceived, answers)

    def abortConnection(self) -> None:
        if self._place.service.dies_of_cuts:
            self._place.ended = "ended with status 4"


@attrs.define
class Place:
    """Where it is: nowhere."""

    clock: Clock
    service: Service
    can_restart: bool = True
    ended: str = ""
    refuses: bool = False

    async def begin(self) -> None:
        return None

    async def connect(self, make: Callable[[], Caller]) -> Caller:
        if self.ended or self.refuses:
            raise ConnectionFailed("it refuses")
        caller = make()
        caller.makeConnection(Transport(self, caller))
        return caller

    async def gone(self, within: float = SETTLES_WITHIN) -> str:
        return self.ended

    async def again(self) -> None:
        self.ended, self.service.memory = "", 0
        self.service.starts += 1

    async def stop(self) -> None:
        return None


class CheckingCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)

    def run_to_end(self, deed: Coroutine[Deferred[Any], Any, Any]) -> Any:
        running = Deferred.fromCoroutine(deed)
        for _ in range(200_000):
            if running.called:
                break
            self.clock.advance(0.01)
        return self.successResultOf(running)

    def checked(
        self,
        service: Service,
        *,
        own: tuple[bytes, ...] = (),
        count: int = 60,
        recorded: tuple[Recorded, ...] = (),
        later: float = LATER,
        **place: Any,
    ) -> Checking:
        """All that the command does but for the speed."""
        messages = [Message(0, each, True) for each in own]
        checking = Checking(reactor=self.clock, place=Place(self.clock, service, **place), timeout=1.0, later=later, said=messages)
        plays = Plays(GAME, messages, Random(1), now_ms=int(NOW * 1000))

        async def deed() -> None:
            probes = Probes(checking, plays.first())
            if await probes.answers() is None:
                return
            await probes.all()
            await checking.one_by_one(recorded, plays, count, messages)
            await checking.again()
            await checking.again(restarted=True)

        self.run_to_end(deed())
        return checking

    def wrong(self, service: Service, **more: Any) -> list[str]:
        return [each.kind for each in self.checked(service, **more).findings.wrong]

    def odd(self, service: Service, **more: Any) -> list[str]:
        found = [each.kind for each in self.checked(service, **more).findings.odd]
        return [kind for kind in found if kind != "untried"]


class ServicesTests(CheckingCase):
    """Each fault is found, and no other is told in its place."""

    def test_nothing_is_wrong_with_a_good_one(self) -> None:
        checking = self.checked(Service(), own=(b'{"move":1}',), count=60)
        self.assertEqual(([*checking.findings.wrong], [*checking.findings.odd]), ([], []))
        self.assertEqual(len(checking.cases), 60)
        self.assertEqual(checking.counts.messages, checking.counts.accepted)
        self.assertGreater(checking.counts.accepted, 10)

    def test_no_function(self) -> None:
        """Chance, memory that rooms share, and what is another after each start."""
        random = Random(5)

        def shared(service: Service, update: Update, state: State) -> State:
            service.memory += 1
            return attrs.evolve(state, state=json.dumps({"count": service.memory}).encode())

        chance = having(lambda _, __, state: attrs.evolve(state, timer_ms=random.randrange(1000, 10**9)))
        started = having(lambda service, _, state: attrs.evolve(state, timer_ms=1000 + service.starts))
        self.assertEqual(self.wrong(Service(chance)), ["differs"])
        self.assertEqual(self.wrong(Service(having(shared)))[0], "differs")
        self.assertEqual(self.wrong(Service(started)), ["differs_after_restart"])

    def test_clocks(self) -> None:
        """One in seconds is always found, one in minutes by who waits for one."""
        self.clock.advance(60 - NOW % 60)

        def telling(unit: int) -> Service:
            return Service(having(lambda _, __, state: attrs.evolve(state, timer_ms=1000 + int(self.clock.seconds()) // unit % 1000)))

        self.assertEqual(self.wrong(telling(1), count=10), ["differs"])
        self.clock.advance(60 - self.clock.seconds() % 60)
        self.assertEqual(self.wrong(telling(60), count=10), [])
        self.assertEqual(self.wrong(telling(60), count=10, later=PATIENT), ["differs"])

    def test_the_same_in_another_spelling(self) -> None:
        def spelt(service: Service, update: Update, state: State) -> State:
            pairs = [("a", 1), ("count", json.loads(state.state)["count"])]
            return attrs.evolve(state, state=json.dumps(dict(pairs if service.starts else pairs[::-1])).encode())

        self.assertEqual(self.wrong(Service(having(spelt))), ["spelling"])

    def test_answers_that_are_none(self) -> None:
        """What cannot be read, has another number or another sequence, never comes, or is the end of the connection."""
        self.assertEqual(self.wrong(Service(lambda _, __: [b"HTTP/1.1 400"])), ["unreadable"])
        self.assertEqual(self.wrong(Service(lambda _, __: [framed(b"\xff")])), ["unreadable"])
        other = having(lambda _, __, state: attrs.evolve(state, request=state.request + 1))
        self.assertEqual(self.wrong(Service(other)), ["request"])
        self.assertEqual(self.wrong(Service(having(lambda _, __, state: attrs.evolve(state, sequence=9999)))), ["sequence"])
        self.assertEqual(self.wrong(Service(lambda _, __: [])), ["no_answer"])
        large = having(lambda _, __, state: attrs.evolve(state, state=bytes((1 << 20) + 1)))
        self.assertEqual(self.wrong(Service(large)), ["unreadable"])

    def test_only_the_update_that_ends_the_program_is_blamed(self) -> None:
        def dies(service: Service, update: Update) -> Iterable[bytes]:
            if isinstance(update.event, Message) and update.event.data == b"null":
                raise Dies
            return good(service, update)

        checking = self.checked(Service(dies), own=(b'{"move":1}', b"null"))
        [found] = checking.findings.wrong
        self.assertEqual(found.kind, "ended")
        for each in found.examples:
            assert each.update is not None
            self.assertIn("null", described(each.update))
            self.assertIn("its program ended with status 3", each.said)

    def test_one_that_hangs_is_started_anew_and_others_are_not_blamed(self) -> None:
        def hangs(service: Service, update: Update) -> Iterable[bytes]:
            service.memory = service.memory or isinstance(update.event, Timer | Left)
            return [] if service.memory else good(service, update)

        checking = self.checked(Service(hangs), own=(b'{"move":1}',), count=30)
        [found] = checking.findings.wrong
        self.assertEqual(found.kind, "no_answer")
        for each in found.examples:
            assert each.update is not None
            self.assertIsInstance(each.update.event, Timer | Left)

    def test_too_much_goes_wrong(self) -> None:
        """It is not gone on for ever where nothing is answered but starts."""
        starts = Service(lambda service, update: good(service, update) if isinstance(update.event, Started) else [])
        checking = self.checked(starts)
        self.assertEqual(checking.findings.count("no_answer"), 8)
        self.assertTrue(checking.findings.has("broken_off"))

    def test_streams(self) -> None:
        self.assertEqual(self.wrong(Service(one_read=True))[:2], ["pieces", "together"])
        self.assertEqual(self.wrong(Service(dies_of_cuts=True)), ["cut"])

    def test_it_cannot_be_reached(self) -> None:
        self.assertEqual(self.wrong(Service(), refuses=True), ["not_started"])
        self.assertEqual(self.wrong(Service(), refuses=True, can_restart=False), ["unreachable"])

    def test_floods(self) -> None:
        checking = self.checked(Service(lambda service, update: [*good(service, update)] * 1500), count=3)
        self.assertTrue(checking.findings.has("floods"))
        self.assertLess(checking.counts.asked, 200)

    def test_views_rejections_and_timers(self) -> None:
        self.assertEqual(self.wrong(Service(having(lambda _, __, state: attrs.evolve(state, views=(View(7, b"1", True),))))), ["view"])
        rejects = having(lambda _, __, state: attrs.evolve(state, rejected=Rejected(7, "a\nb")))
        self.assertEqual((self.wrong(Service(rejects)), self.odd(Service(rejects))), (["starts_rejected"], ["code", "message"]))
        self.assertEqual(self.odd(Service(having(lambda _, __, state: attrs.evolve(state, timer_ms=5)))), ["quick_timer"])
        over = having(lambda _, __, state: attrs.evolve(state, timer_ms=500, finished=Finished(b"")))
        self.assertEqual(self.odd(Service(over)), ["at_end"])
        self.assertEqual(self.odd(Service(lambda service, update: [*good(service, update)] * 2)), ["twice"])

    def test_rules_that_fail(self) -> None:
        """At what anybody could send it is odd. At what its developer says that players send, and at what just happens, it is wrong."""

        def failing(at: Callable[[Update], bool]) -> Service:
            return Service(having(lambda _, update, state: attrs.evolve(state, rejected=FAILED if at(update) else None)))

        move = b'{"move":1}'
        hostile = failing(lambda update: isinstance(update.event, Message) and update.event.data != move)
        self.assertEqual((self.wrong(hostile, own=(move,)), self.odd(hostile, own=(move,))), ([], ["rules_failed"]))
        self.assertEqual(
            self.wrong(failing(lambda update: isinstance(update.event, Message) and update.event.data == move), own=(move,)), ["rules_fail"]
        )
        self.assertEqual(self.wrong(failing(lambda update: isinstance(update.event, Left))), ["rules_fail"])
        self.assertEqual(self.wrong(failing(lambda update: isinstance(update.event, Started))), ["starts_rejected", "rules_fail"])

    def test_recorded_updates(self) -> None:
        """Each is asked, and where the answer is another one that is said, which is no fault."""
        update = Plays(GAME, [], Random(3), now_ms=1).first()
        before = State(request=0, sequence=1, state=b'{"count": 2}')
        checking = self.checked(Service(), count=0, recorded=(Recorded(update=update, state=before),))
        self.assertEqual([each.kind for each in checking.findings.wrong], [])
        [found] = checking.findings.odd
        self.assertEqual((found.kind, found.examples[0].said), ("recorded", "state.count: recorded is 2, and now it is 1"))

    def test_what_is_saved_is_what_is_asked(self) -> None:
        checking = self.checked(Service(having(lambda _, __, state: attrs.evolve(state, views=(View(7, b"1", True),)))))
        data, count = checking.findings.file()
        pairs = list(pairs_from_bytes(data))
        self.assertEqual((len(pairs), count), (5, 5))
        self.assertEqual(update_from_bytes(pairs[0][0]), checking.findings.wrong[0].examples[0].update)


class CallerTests(SynchronousTestCase):
    @given(st.lists(st.one_of(st.binary(max_size=40), st.binary(min_size=1, max_size=20).map(framed), st.integers(1, 4)), max_size=8))
    def test_whatever_comes_each_update_has_one_reply(self, comes: list[bytes | int]) -> None:
        """Bytes that are nothing, frames that are nothing, and answers of any of four requests, of which three were asked."""
        clock, strays = Clock(), list[str]()
        caller = Caller(clock, timeout=1.0, heartbeat=Heartbeat(), stray=lambda kind, _: strays.append(kind))
        caller.makeConnection(StringTransport())
        update = Plays(GAME, [], Random(3), now_ms=1).first()
        replies: list[Any] = []
        for request in (1, 2, 3):
            caller.ask(attrs.evolve(update, request=request)).addCallback(replies.append)
        for each in comes:
            caller.dataReceived(each if isinstance(each, bytes) else framed(state_to_bytes(State(request=each, sequence=1))))
        for _ in range(5):
            clock.advance(1.0)
        caller.close()
        self.assertEqual(len(replies), 3)
        self.assertEqual(clock.getDelayedCalls(), [])
        for reply in replies:
            self.assertEqual(reply.state is None, bool(reply.trouble))
        self.assertLessEqual({*strays, *(reply.trouble for reply in replies if reply.trouble)}, set(KINDS))

    def test_given_up(self) -> None:
        """Ctrl-C: nobody is told a reply, and the connection is closed."""
        caller = Caller(Clock(), timeout=1.0, heartbeat=Heartbeat(), stray=lambda *_: None)
        caller.makeConnection(StringTransport())
        asking = caller.ask(Plays(GAME, [], Random(3), now_ms=1).first())
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertFalse(caller.open)


class PlaysTests(SynchronousTestCase):
    @given(st.integers(0, 1000), st.integers(1, 4), st.integers(0, 4))
    def test_what_is_asked_could_be_so(self, seed: int, few: int, more: int) -> None:
        """Sequences without a gap, a start first and with an empty state, events of those who are there, data that a member may send."""
        game = attrs.evolve(GAME, min_players=few, max_players=few + more)
        plays = Plays(game, [Message(0, b'{"bid":{"count":1}}', True)], Random(seed), now_ms=1000)
        begun: dict[str, Update] = {}
        for at in range(60):
            update = plays.following()
            last = begun.get(update.room_id)
            self.assertEqual(update.sequence, 1 if last is None else last.sequence + 1)
            event, seats = update.event, {player.seat: player.connected for player in update.players}
            self.assertTrue(seats)
            if isinstance(event, Started):
                self.assertEqual(update.state, b"")
                self.assertLess(event.seed, 2**53)
            else:
                self.assertIsNotNone(last)
                self.assertEqual(update.state, b"state")
            if isinstance(event, Message):
                self.assertIn(event.seat, seats)
                self.assertLessEqual(len(event.data), 65536)
                if event.text:
                    json.loads(event.data)
            elif isinstance(event, Left):
                self.assertEqual(seats.get(event.seat), False if event.reason == "away" else None)
            elif isinstance(event, Timer):
                self.assertGreaterEqual(update.now_ms, event.due_ms)
            finished = Finished(b"") if at % 30 == 29 else None
            plays.answered(update, State(request=0, sequence=update.sequence, state=b"state", timer_ms=5000, finished=finished))
            begun[update.room_id] = update

    def test_rounds_that_are_short(self) -> None:
        """A timer of three seconds that runs from round to round: in some rounds players say much, in others nothing."""
        plays = Plays(GAME, [Message(0, b"1", True)], Random(6), now_ms=int(NOW * 1000))
        most, quiet = 0, 0
        for _ in range(300):
            update = plays.following()
            said = 0 if isinstance(update.event, Started | Timer) else json.loads(update.state) + isinstance(update.event, Message)
            quiet += isinstance(update.event, Timer) and update.state == b"0"
            most = max(most, said)
            begins = 3000 if isinstance(update.event, Started | Timer) else None
            plays.answered(update, State(request=0, sequence=update.sequence, state=str(said).encode(), timer_ms=begins))
        self.assertGreater(most, 3)
        self.assertGreater(quiet, 10)


class DifferenceTests(SynchronousTestCase):
    def told(self, one: object, other: object) -> str:
        a, b = (
            State(request=at, sequence=1, state=each if isinstance(each, bytes) else json.dumps(each).encode())
            for at, each in enumerate((one, other))
        )
        return str(difference(a, b, NOW))

    def test_the_place_is_named(self) -> None:
        self.assertEqual(self.told({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}), "state.a[1].b: 2, then 3")
        self.assertEqual(self.told({"a": 1}, {"a": 1, "b": 2}), "state.b: not there, then 2")
        self.assertEqual(self.told(b"\x00\x01", b"\x00\x02\x03"), "state, from byte 1: 01, then 02 03. It has 2 bytes, then 3.")
        self.assertEqual(self.told({"a": 1}, {"a": 1}), "None")

    def test_clues(self) -> None:
        self.assertIn("the time of day", self.told({"at": NOW}, {"at": NOW + 1}))
        self.assertIn("the time of day", self.told({"minute": NOW // 60}, {"minute": NOW // 60 + 1}))
        self.assertIn("the time of day", self.told("2026-11-22T02:01:21", "2026-11-22T02:01:22"))
        self.assertIn("last digits", self.told(0.1 + 0.2, 0.3))
        self.assertIn("another order", self.told(["a", "b"], ["b", "a"]))
        self.assertIn("mean the same", self.told(b'{"a":1,"b":2}', b'{"b":2,"a":1}'))

    @given(st.binary(max_size=30), st.binary(max_size=30))
    def test_any_two_states(self, one: bytes, other: bytes) -> None:
        self.assertEqual(self.told(one, other) == "None", one == other)

    def test_answers_of_an_update_may_be_odd_in_several_ways(self) -> None:
        update = Plays(GAME, [], Random(3), now_ms=1).first()
        state = State(request=1, sequence=update.sequence, timer_ms=1, views=(View(9, b"", False),))
        self.assertEqual([kind for kind, _ in oddities(update, state)], ["view", "quick_timer", "empty_state"])
        self.assertEqual({kind for kind, _ in oddities(update, state)} - set(KINDS), set())

    def test_the_same_of_one_update_counts_once(self) -> None:
        findings, update = Findings(), Plays(GAME, [], Random(3), now_ms=1).first()
        for _ in range(3):
            findings.add("view", "seat 9", update)
        self.assertEqual(findings.count("view"), 1)


class CommandTests(SynchronousTestCase):
    """What is asked for and cannot be done is one line, and exit status 2."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def told(self, *words: object) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["dev", "check-service", *map(str, words)])
        self.assertTrue(result.exception is None or isinstance(result.exception, SystemExit), result.exception)
        return result.exit_code, result.stderr

    def bundle(self, kind: str) -> Path:
        extra = '[service]\nendpoint = "tcp:127.0.0.1:1"\n' if kind == "service" else ""
        (self.folder / "game.toml").write_text(f'[hosting]\nkind = "{kind}"\n{extra}')
        return self.folder

    def test_no_service(self) -> None:
        status, said = self.told(self.bundle("relay"))
        self.assertEqual(status, 2)
        self.assertIn('hosting.kind = "relay", so there is no micro game service in it', said)
        self.assertEqual(self.told(self.folder / "nowhere")[0], 2)

    def test_options_that_make_no_sense(self) -> None:
        bundle = self.bundle("service")
        self.assertIn("is not JSON", self.told(bundle, "--message", "{x")[1])
        self.assertIn("the most is 65536", self.told(bundle, "--message", json.dumps("x" * 70000))[1])
        self.assertIn("nowhere: No such file", self.told(bundle, "--updates", self.folder / "nowhere")[1])
        other = self.folder / "other"
        other.write_bytes(b"this is a text, and a long one")
        self.assertIn("no file of updates: at byte 0", self.told(bundle, "--updates", other)[1])
        other.write_bytes(pair_to_bytes(b"\xff\xff"))
        self.assertIn("this is no GameUpdate", self.told(bundle, "--updates", other)[1])
        self.assertEqual(self.told(bundle, "--players", "0")[0], 2)
