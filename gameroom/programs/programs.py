"""All programs of bundles that this daemon runs (docs/protocol/bundles.md, "Running a bundle's program")."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.defer import DeferredList
from twisted.internet.task import deferLater
from twisted.logger import Logger

from gameroom.deferring import deferring
from gameroom.errors import BadState
from gameroom.own_threads import OwnThreads
from gameroom.programs.launch import LIFELINE_FD
from gameroom.programs.order import Order
from gameroom.programs.output import Output
from gameroom.programs.processes import LockedProcesses, PlainProcesses, Processes
from gameroom.programs.program import Program
from gameroom.programs.sandbox import Sandbox
from gameroom.programs.uids import Uids
from gameroom.rules.limits import Shares
from gameroom.settings import SandboxSettings

_TRIED_WITHIN: Final = 10.0
"""Seconds for the first look whether the sandbox works."""
_COUNTING: Final = 4
"""Threads that count the memory of programs."""
_MEMORY_FOR_EACH: Final = 128 << 20
"""Of the machine's memory, where nobody said how many programs may run."""
_STOP_PATIENCE: Final = 1.0
"""Seconds between SIGTERM and SIGKILL where the daemon ends."""


@attrs.frozen(kw_only=True)
class _Start:
    """What a process is started with."""

    about: str
    command: Sequence[str]
    folder: Path
    memory_mb: int
    environment: Mapping[str, str]
    descriptor: int
    """The program's descriptor 3."""
    say: Callable[[str], None]


class Programs:
    """Runs programs of bundles, each in a sandbox of its own, and sees to it that none outlives the daemon.

    `log(game_id, text)` is given what they say, in whole lines.
    `hidden` are files and folders that no program may see, wherever they lie.

    >>> programs = Programs(reactor=reactor, settings=settings.sandbox, log=logs.write, hidden=(data_folder,))
    >>> await programs.start()
    >>> program = programs.run(order)
    >>> why = await program.ended()
    """

    _log = Logger()

    def __init__(self, *, reactor: Any, settings: SandboxSettings, log: Callable[[str, str], None], hidden: Sequence[Path] = ()) -> None:
        """`reactor` provides `IReactorProcess`, `IReactorFDSet` and `IReactorTime`."""
        self._reactor, self._game_log = reactor, log
        self._sandbox = Sandbox.none() if settings.kind == "none" else Sandbox.here(hidden)
        self._uids = Uids.here() if self._sandbox is not None and self._sandbox.own_users else None
        self._counting = OwnThreads(reactor, _COUNTING, "counting")
        self._most = settings.programs or max(2, _memory() // _MEMORY_FOR_EACH)
        self._shares = Shares()
        self._running: set[Program] = set()
        self._full: list[Callable[[], None]] = []
        """To be told where there are as many as there may be."""
        self._problem: str | None = "it has only just started; try again"
        self._stopped = False

    # What the daemon does.

    @deferring
    async def start(self) -> None:
        """Look whether the sandbox works here, by running it once; where not, one line in the log says what the operator is to do. Never fails."""
        if self._sandbox is None:
            self._problem = "bubblewrap is not installed; ask whoever runs it"
            self._log.warn("games' programs cannot be run here, since bubblewrap is not installed: install it (its program is bwrap) and start again")
        elif not _holds_processes():
            self._problem = "its system is too old; ask whoever runs it"
            self._log.warn("games' programs cannot be run here, since they need Linux 5.3 or newer (pidfd_open)")
        elif not self._sandbox.knows_machine:
            self._problem = "its processor is not known to the sandbox; ask whoever runs it"
            self._log.warn("games' programs cannot be run here, since the numbers of this processor's system calls are not known")
        elif self._sandbox.bwrap is None:
            self._problem = None
            self._log.warn("games' programs run with all that the daemon's own user may do, as [sandbox] kind = \"none\" says")
        else:
            said = await self._tried(self._sandbox)
            self._problem = None if said is None else "its sandbox does not work; ask whoever runs it"
            if said is not None:
                self._log.warn(
                    "games' programs cannot be run here, since bubblewrap does not work: {said}; docs/operations.md says what it needs", said=said
                )

    @deferring
    async def stop(self) -> None:
        """End every program, and run none any more. Fires when none is left."""
        self._stopped = True
        await DeferredList([program.end(_STOP_PATIENCE) for program in self._running])

    @property
    def count(self) -> int:
        """How many run."""
        return len(self._running)

    # What those do who want a program to be run.

    def require(self, made_from: str = "") -> None:
        """Raises `BadState` with a sentence for a person where programs cannot be run here, or no more of them, or no more for this address."""
        if self._stopped:
            raise BadState("this server is shutting down; try again in a moment")
        if self._problem is not None:
            raise BadState(f"this server cannot run games' programs: {self._problem}")
        if len(self._running) >= self._most:
            self._tell_full()
            raise BadState("this server runs as many games' programs as it may; try again when another play is over")
        if self._shares.of(made_from) >= self._share:
            self._tell_full()
            raise BadState("rooms made from your address run as many games' programs as they may; try again when one of their plays is over")

    def when_full(self, told: Callable[[], None]) -> None:
        """`told()` is called whenever a program is refused because of those that run: who keeps one that is not needed, ends it then."""
        self._full.append(told)

    def _tell_full(self) -> None:
        for told in self._full:
            told()

    @property
    def _share(self) -> int:
        """So many may be run for one address."""
        return (self._most + 1) // 2

    def run(self, order: Order) -> Program:
        """Run it. Raises `BadState` where it cannot be run here."""
        self.require(order.made_from)
        assert self._sandbox is not None
        order.listening.setblocking(True)
        program = self._start(
            self._sandbox,
            _Start(
                about=order.about,
                command=order.command,
                folder=order.folder,
                memory_mb=order.memory_mb,
                environment=order.environment,
                descriptor=order.listening.fileno(),
                say=partial(self._game_log, order.game_id),
            ),
        )
        self._shares.enter(order.made_from, self._share)
        program.ended().addCallback(lambda _: self._shares.leave(order.made_from))
        return program

    def _start(self, sandbox: Sandbox, start: _Start) -> Program:
        """Raises `BadState`."""
        uid = None
        if self._uids is not None and (uid := self._uids.take()) is None:
            raise BadState("this server runs as many programs as it can; try again later")
        program = Program(about=start.about, memory_mb=start.memory_mb, clock=self._reactor, in_thread=self._counting, tell=start.say)
        try:
            self._spawn(sandbox, start, program, uid)
        except OSError as error:
            if self._uids is not None and uid is not None:
                self._uids.give_back(uid)
            self._log.error("{about}: cannot be started: {error}", about=start.about, error=str(error))
            raise BadState("this server cannot start the game's program just now; try again later") from error
        self._running.add(program)
        program.ended().addCallback(self._ended, program, uid)
        return program

    def _spawn(self, sandbox: Sandbox, start: _Start, program: Program, uid: int | None) -> None:
        """Raises OSError."""
        with ExitStack() as ours, ExitStack() as theirs:
            reading, writing = _pipe(ours, theirs)
            lifeline, held = reversed(_pipe(theirs, ours))
            nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            theirs.callback(os.close, nothing)
            words = sandbox.command(start.command, folder=start.folder, memory_mb=start.memory_mb, environment=start.environment, uid=uid)
            descriptors = {0: nothing, 1: writing, 2: writing, 3: start.descriptor, LIFELINE_FD: held}
            child = self._reactor.spawnProcess(program.child, words[0], words, sandbox.environment(start.environment), childFDs=descriptors)
            ours.pop_all()
        program.begin(child, self._processes_of(sandbox, child.pid), Output(self._reactor, reading, start.say), lifeline)

    def _processes_of(self, sandbox: Sandbox, pid: int) -> Processes:
        return LockedProcesses(pid) if sandbox.bwrap is not None else PlainProcesses(pid)

    def _ended(self, why: str, program: Program, uid: int | None) -> None:
        self._running.discard(program)
        if self._uids is not None and uid is not None:
            self._uids.give_back(uid)

    async def _tried(self, sandbox: Sandbox) -> str | None:
        """Run something that does nothing. Gives what is wrong; None where nothing is."""
        if self._uids is not None and not self._uids.some:
            return "root has no user numbers for them in this container"
        said: list[str] = []
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            program = self._start(
                sandbox,
                _Start(
                    about="the look whether the sandbox works",
                    command=("sleep", str(int(_TRIED_WITHIN))),
                    folder=Path("/usr/bin"),
                    memory_mb=64,
                    environment={},
                    descriptor=nothing,
                    say=said.append,
                ),
            )
        except BadState as error:
            return error.message
        finally:
            os.close(nothing)
        until = self._reactor.seconds() + _TRIED_WITHIN
        while program.running and not program.looks:
            if self._reactor.seconds() >= until:
                program.kill()
                return f"no program was seen in it within {_TRIED_WITHIN:g} s"
            await deferLater(self._reactor, 0.01)
        if program.running:
            program.kill()
            await program.ended()
            return None
        why = await program.ended()
        return " ".join("".join(said).split()) or f"it {why}"


def _memory() -> int:
    """The machine's, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """A new pipe's two ends, each closed with whose it is. Raises OSError."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    reader.callback(os.close, reading)
    writer.callback(os.close, writing)
    return reading, writing


def _holds_processes() -> bool:
    """Whether the kernel gives descriptors of processes, by which each is ended and no other that got its number since."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True
