"""`gameroom dev check-service`: whether a micro game service is a function, how fast it is, and what it gets wrong."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import time
from typing import Any, Final

import attrs
import click

from gameroom.cli.check_service.asked import Asked, asked_of
from gameroom.cli.check_service.checking import LATER, PATIENT, Checking
from gameroom.cli.check_service.findings import Findings
from gameroom.cli.check_service.place import Elsewhere, Heard, OfBundle, Place, runnable
from gameroom.cli.check_service.plays import Plays
from gameroom.cli.check_service.probes import Probes
from gameroom.cli.check_service.report import Report, counting, show
from gameroom.cli.check_service.speed import Speed, measured
from gameroom.cli.check_service.words import UNREACHABLE
from gameroom.cli.dev_link import World
from gameroom.cli.dev_preview import Preview
from gameroom.cli.dev_push import looked_at
from gameroom.cli.output import fail, print_json, shown
from gameroom.cli.reacting import REFUSED, CannotDo, say_wrong
from gameroom.client.stream import ConnectionFailed
from gameroom.errors import BadState
from gameroom.gameservices.values import ServiceOrder
from gameroom.rules.manifest import Service
from gameroom.rules.room_options import MOST_PLAYERS
from gameroom.store.folders import remove_tree
from gameroom.store.unpacking import unpack

SAVED: Final = Path(".wrong.updates")
"""A hidden file, since those do not get into a bundle."""
_ENDPOINT: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*:[!-~]{1,256}")


@attrs.frozen(kw_only=True)
class Wish:
    """What the command line says beside the service."""

    updates: tuple[Path, ...]
    message: tuple[str, ...]
    config: str
    players: int | None
    count: int
    timeout: float
    patient: bool
    sandbox: bool
    save: Path
    as_json: bool


@click.command(short_help="Whether a micro game service is right, and how fast.")
@click.argument("source", metavar="[FOLDER|FILE|ENDPOINT]", default=".")
@click.option("--updates", multiple=True, metavar="FILE", type=click.Path(path_type=Path), help="Ask what was recorded, too; as often as you like.")
@click.option("--message", multiple=True, metavar="JSON", help="What players of the game send; as often as you like.")
@click.option("--config", default="", metavar="JSON", help="The room's configuration, which a start is given.")
@click.option("--players", type=click.IntRange(1, MOST_PLAYERS), metavar="N", help="So many in each play; without this as many as the game takes.")
@click.option("--count", type=click.IntRange(0, 1_000_000), default=500, show_default=True, metavar="N", help="Updates that are made up.")
@click.option("--timeout", type=click.FloatRange(0.1, 600), default=5.0, show_default=True, metavar="S", help="Seconds that an answer may take.")
@click.option("--patient", is_flag=True, help="Wait for a minute before all is asked again, so that a clock is seen that counts in minutes.")
@click.option("--sandbox/--no-sandbox", default=True, help="Whether a bundle's program runs in the sandbox.")
@click.option(
    "--save", type=click.Path(path_type=Path), default=SAVED, show_default=True, metavar="FILE", help="Where to put updates that show faults."
)
@click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
@click.pass_context
def check_service(context: click.Context, /, source: str, **given: Any) -> None:
    """Start the service of FOLDER's game as a server would, or connect to ENDPOINT, and ask it what rooms would ask.

    Each update is asked several times: the same answer each time is what makes a service one. Members that send anything at all are part of it.
    Exit status 1 where anything is wrong.
    """
    wish = Wish(**given)
    world: World = context.obj or World()
    path = Path(source)
    elsewhere = not path.exists() and _ENDPOINT.fullmatch(source) is not None
    with nullcontext() if elsewhere else looked_at(path) as found:
        service = _service(found, source)
        asked = asked_of(found, updates=wish.updates, messages=wish.message, config=wish.config, players=wish.players)

        async def main(reactor: Any) -> None:
            with _unpacked(found, service) as folder:
                report = await _report(reactor, service, folder, asked, wish)
            _show(report, source, wish)
            if report.findings.wrong:
                raise SystemExit(REFUSED)

        world.run(main)


async def _report(reactor: Any, service: Service, folder: Path | None, asked: Asked, wish: Wish) -> Report:
    """Raises `CannotDo`."""
    heard = Heard()
    place: Place = Elsewhere(reactor=reactor, endpoint=service.endpoint)
    sandboxed: bool | None = None
    if folder is not None:
        programs, sandboxed = await runnable(reactor, wish.sandbox, heard)
        game = asked.game
        order = ServiceOrder(game_id=game.game_id, version=game.version, folder=folder, service=service)
        place = OfBundle(reactor=reactor, programs=programs, order=order)
    checking = Checking(reactor=reactor, place=place, timeout=wish.timeout, later=PATIENT if wish.patient else LATER, said=asked.said)
    plays = Plays(asked.game, asked.own, Random(6), now_ms=int(time() * 1000))
    if not wish.as_json:
        where = {None: "", True: ", in the sandbox", False: ", without a sandbox"}[sandboxed]
        click.echo(f"{shown(_name(service))}{where}")
    try:
        with counting(reactor, lambda: checking.counts.asked):
            answered_after, rounds, speed = await _checked(checking, plays, asked, wish)
    except BadState as error:
        raise CannotDo(error.message) from None
    finally:
        await place.stop()
    saved, saved_count = _save(checking.findings, wish.save)
    return Report(
        service=_name(service),
        sandboxed=sandboxed,
        answered_after=answered_after,
        findings=checking.findings,
        counts=checking.counts,
        plays=plays.count,
        updates=len(checking.cases),
        rounds=rounds,
        speed=speed,
        saved=saved,
        saved_count=saved_count,
        output=tuple(heard.last),
    )


async def _checked(checking: Checking, plays: Plays, asked: Asked, wish: Wish) -> tuple[float | None, int, Speed | None]:
    """The seconds until its first answer, how often each update was asked, and how fast it is."""
    await checking.place.begin()
    probes = Probes(checking, asked.recorded[0].update if asked.recorded else plays.first())
    answered_after = await probes.answers()
    if answered_after is None:
        return None, 0, None
    try:
        await probes.all()
    except ConnectionFailed as error:
        checking.findings.add(UNREACHABLE, f"after it was reached at first: {error}")
        return answered_after, 1, None
    await checking.one_by_one(asked.recorded, plays, wish.count, asked.own)
    if not checking.cases:
        return answered_after, 1, None
    await checking.again()
    rounds = 2
    if checking.place.can_restart:
        await checking.again(restarted=True)
        rounds = 3
    return answered_after, rounds, await measured(checking)


def _service(found: Preview | None, source: str) -> Service:
    """The one that is meant."""
    if found is None:
        return Service(endpoint=source)
    if found.manifest.service is None:
        fail(f'{source}: its game.toml says hosting.kind = "{found.manifest.kind}", so there is no micro game service in it to check')
    return found.manifest.service


def _name(service: Service) -> str:
    return service.endpoint or shlex.join(service.command)


@contextmanager
def _unpacked(found: Preview | None, service: Service) -> Iterator[Path | None]:
    """Inside, the folder of the bundle as a server has it; None where its service is elsewhere. Raises `CannotDo`."""
    if found is None or service.endpoint:
        yield None
        return
    with TemporaryDirectory(prefix="gameroom-") as scratch:
        folder = Path(scratch) / "bundle"
        try:
            unpack(found.packed.path, folder)
        except OSError as error:
            raise CannotDo(f"the bundle cannot be unpacked: {error}") from None
        try:
            yield folder
        finally:
            remove_tree(folder)


def _save(findings: Findings, path: Path) -> tuple[Path | None, int]:
    data, count = findings.file()
    if not data:
        return None, 0
    try:
        path.write_bytes(data)
    except OSError as error:
        say_wrong(f"{path}: the updates that show what is wrong cannot be saved: {error.strerror or error}; --save names another file")
        return None, 0
    return path, count


def _show(report: Report, source: str, wish: Wish) -> None:
    if wish.as_json:
        print_json(report.to_json())
    else:
        show(report, f"gameroom dev check-service {shlex.quote(source)} --count 0 --updates {shlex.quote(str(wish.save))}")
