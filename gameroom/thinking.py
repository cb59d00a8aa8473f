"""Computer players think in a process of their own, never in the reactor's (docs/protocol/controller.md, "Computer players").

The process is started when it is first needed and ended when it has had nothing to do for a while, and with the daemon;
when the daemon is killed, it ends by itself (gameroom/thinking_process.py).
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, Final

import attrs
import orjson
from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.rules.turn_games.bots import Bot, bot_of

LIMIT: Final = 3.0
"""Seconds for one move."""
PATIENCE: Final = 10.0
"""Seconds that a move waits for those before it."""
IDLE: Final = 60.0
"""Seconds without work after which the process is ended."""


@attrs.define(kw_only=True, eq=False)
class Task:
    """One move to think over."""

    number: int
    bot: Bot
    question: dict[str, Any]
    done: Deferred[int]
    deadline: IDelayedCall
    place: int | None = None
    """The best that was found so far."""

    @property
    def line(self) -> bytes:
        return orjson.dumps({"id": self.number, **self.question}) + b"\n"

    def settle(self) -> None:
        """Fire with what was found, or else with a quick move."""
        if self.deadline.active():
            self.deadline.cancel()
        if self.place is None:
            self.place = self.bot.quick(self.question["view"], self.question["player"], self.question["luck"])
        if not self.done.called:
            self.done.callback(self.place)


class Thinking:
    """Runs computer players, one move at a time, the others wait in a row. Bots that fail or take too long still move: quickly.

    >>> thinking = Thinking.in_process(reactor, random.random)
    >>> place = await thinking.choose("connect-four", game.view(2), player=2, level=4)
    >>> for do in presses(game, 2, place): ...
    """

    _log = Logger()

    def __init__(
        self,
        *,
        processes: IReactorProcess,
        clock: IReactorTime,
        random: Callable[[], float],
        command: Sequence[str],
        environment: Mapping[str, str],
        limit: float = LIMIT,
        patience: float = PATIENCE,
        idle: float = IDLE,
    ) -> None:
        self._processes, self._clock, self._random = processes, clock, random
        self._command, self._environment = list(command), dict(environment)
        self._limit, self._patience, self._idle = limit, patience, idle
        self._numbers = count(1)
        self._waiting: deque[Task] = deque()
        self._task: Task | None = None
        """What the process thinks about."""
        self._mind: _Mind | None = None
        self._ending: set[_Mind] = set()
        """Processes that were killed, or have closed up, and are not gone yet."""
        self._idling: IDelayedCall | None = None
        self._stopped = False

    @classmethod
    def in_process(cls, reactor: Any, random: Callable[[], float]) -> Thinking:
        """With this Python, its libraries, and nothing else of our environment."""
        return cls(
            processes=reactor,
            clock=reactor,
            random=random,
            # -P: what lies in the folder in which it is started is none of its libraries.
            command=[sys.executable, "-P", "-m", "gameroom.thinking_process"],
            environment={"PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if path)},
        )

    def choose(self, game: str, view: Mapping[str, Any], *, player: int, level: int) -> Deferred[int]:
        """Fires with the place where to drop. `view` is what the game shows to the player, whose turn it is.

        Raises `InvalidRequest` for a level or a game that no computer player knows.
        It may be cancelled, and is by `stop`; it does not fail otherwise.
        """
        bot = bot_of(game, level)
        if self._stopped:
            return fail(CancelledError())
        question = {"game": game, "view": dict(view), "player": player, "level": level, "luck": self._random()}
        task = Task(
            number=next(self._numbers),
            bot=bot,
            question=question,
            done=Deferred(lambda _: self._forget(task)),
            deadline=self._clock.callLater(self._patience, lambda: self._too_late(task)),
        )
        self._waiting.append(task)
        self._next()
        return task.done

    def stop(self) -> Deferred[None]:
        """End it, for good; moves that are not found yet are cancelled. Fires when the process is gone."""
        self._stopped = True
        for task in [*self._waiting, *([self._task] if self._task else [])]:
            task.deadline.cancel()
            if not task.done.called:
                task.done.errback(CancelledError())
        self._waiting.clear()
        self._task = None
        self._kill()
        return DeferredList([mind.gone() for mind in self._ending]).addCallback(lambda _: None)

    # One after the other.

    def _next(self) -> None:
        if self._task is not None or self._stopped:
            return
        if not self._waiting:
            self._rest()
            return
        task = self._task = self._waiting.popleft()
        task.deadline.reset(self._limit)
        mind = self._awake()
        if mind is None:
            self._finish(task)
        else:
            mind.ask(task.line)

    def _finish(self, task: Task) -> None:
        """That was it: the next."""
        self._task = None
        task.settle()
        self._next()

    def _forget(self, task: Task) -> None:
        """Nobody wants to know any more. What is thought over already runs to its end or its deadline."""
        if task in self._waiting:
            self._waiting.remove(task)
            task.deadline.cancel()

    def _too_late(self, task: Task) -> None:
        if task is self._task:
            self._log.warn("a computer player has not come to an end within {limit} s; it does what it has", limit=self._limit)
            self._kill()
            self._finish(task)
        elif task in self._waiting:
            self._waiting.remove(task)
            task.settle()

    # The process.

    def _awake(self) -> _Mind | None:
        """The process; None where none can be started."""
        if self._idling is not None:
            self._idling.cancel()
            self._idling = None
        if self._mind is None:
            mind = _Mind(found=self._found, ended=self._ended)
            try:
                self._processes.spawnProcess(mind, self._command[0], self._command, self._environment, path="/")
            except OSError as error:
                self._log.error("computer players cannot think, and move at random: {error}", error=str(error))
                return None
            self._mind = mind
        return self._mind

    def _rest(self) -> None:
        if self._mind is not None and self._idling is None:
            self._idling = self._clock.callLater(self._idle, self._fall_asleep)

    def _fall_asleep(self) -> None:
        self._idling = None
        self._kill()

    def _kill(self) -> None:
        """It has nothing that would be lost."""
        if self._idling is not None:
            self._idling.cancel()
            self._idling = None
        if self._mind is not None:
            self._ending.add(self._mind)
            self._mind.kill()
            self._mind = None

    def _found(self, mind: _Mind, answer: dict[str, Any]) -> None:
        task = self._task
        if mind is not self._mind or task is None or answer["id"] != task.number:
            return
        task.place = answer["place"]
        if answer["last"]:
            self._finish(task)

    def _ended(self, mind: _Mind, why: str) -> None:
        self._ending.discard(mind)
        if mind is not self._mind:
            return
        self._log.warn("the process in which computer players think has ended: {why}", why=why)
        self._mind = None
        if self._idling is not None:
            self._idling.cancel()
            self._idling = None
        if self._task is not None:
            self._finish(self._task)


class _Mind(ProcessProtocol):
    """The process, as Twisted shows it."""

    _log = Logger()

    def __init__(self, *, found: Callable[[_Mind, dict[str, Any]], None], ended: Callable[[_Mind, str], None]) -> None:
        self._on_found, self._on_ended = found, ended
        self._begun = b""
        """A line that has not come whole yet."""
        self._gone: list[Deferred[None]] = []

    def ask(self, line: bytes) -> None:
        assert self.transport is not None
        self.transport.write(line)

    def kill(self) -> None:
        assert self.transport is not None
        try:
            self.transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass

    def gone(self) -> Deferred[None]:
        """Fires when it is no more."""
        gone: Deferred[None] = Deferred()
        self._gone.append(gone)
        return gone

    def outReceived(self, data: bytes) -> None:
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            self._on_found(self, orjson.loads(line))

    def errReceived(self, data: bytes) -> None:
        self._log.error("a computer player says: {text}", text=data.decode(errors="replace").rstrip())

    def processEnded(self, reason: Failure) -> None:
        self._on_ended(self, "it had no more to do" if reason.check(ProcessDone) else reason.getErrorMessage())
        for gone in self._gone:
            gone.callback(None)
