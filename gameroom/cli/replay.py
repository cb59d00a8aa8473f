"""`gameroom replay`: looks at recordings of plays (docs/cli.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import click

from gameroom.cli.output import compact, counted, fail, print_json, print_table, shown
from gameroom.store.replay_check import Check
from gameroom.store.replay_diff import Difference, Dump, differences, pairs_of
from gameroom.store.replays import Glimpse, NoReplay, glimpses, opened, place_of, whole_lines

MOST_SHOWN = 1000
"""Differences of two states, with --all."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group(short_help="Look at recorded plays.")
def replay() -> None:
    """List recorded plays, look into one, verify it, and see where states differ."""


def _options(command: _Command) -> _Command:
    data = click.option(
        "--data",
        metavar="DIR",
        type=click.Path(path_type=Path),
        default=Path("var"),
        envvar="GAMEROOM_DATA",
        show_default=True,
        help="The daemon's folder.",
    )
    return data(click.option("--json", "as_json", is_flag=True, help="JSON for programs.")(command))


_SOURCE = click.argument("source", metavar="PLAY")


@contextmanager
def _lines(source: str, data: Path) -> Iterator[Iterator[bytes]]:
    """A recording's lines; whatever is wrong with it is one line and exit status 2."""
    try:
        with opened(place_of(source, data)) as lines:
            yield lines
    except NoReplay as error:
        fail(f"{'standard input' if source == '-' else source}: {error}")


@replay.command("list")
@_options
def list_plays(data: Path, as_json: bool) -> None:
    """The recorded plays, the newest first."""
    try:
        found = list(glimpses(data))
    except NoReplay as error:
        fail(str(error))
    if as_json:
        print_json([_entry(seen) for seen in found])
        return
    rows = [
        [
            seen.head["play_id"],
            seen.game,
            _names(seen.head),
            _started(seen.head),
            _duration(seen.milliseconds),
            seen.generations,
            seen.ended or "not over",
        ]
        for seen in found
    ]
    if not rows:
        click.echo("No play has been recorded yet.")
        return
    print_table(["play", "game", "players", "started", "length#", "generations#", "ended"], rows)


def _entry(seen: Glimpse) -> dict[str, Any]:
    about = {key: seen.head.get(key) for key in ("play_id", "engine", "players", "started_at", "encoding")}
    if isinstance(about["engine"], dict):
        about["engine"] = {key: value for key, value in about["engine"].items() if key != "source"}
    return {**about, "milliseconds": seen.milliseconds, "generations": seen.generations, "ended": seen.ended, "path": str(seen.path)}


def _names(head: dict[str, Any]) -> str:
    players = head.get("players")
    return ", ".join(str(player.get("name")) for player in players if isinstance(player, dict)) if isinstance(players, list) else "?"


def _started(head: dict[str, Any]) -> str:
    return str(head.get("started_at", "?")).replace("T", " ")[:19]


def _duration(milliseconds: int) -> str:
    minutes, seconds = divmod(milliseconds // 1000, 60)
    return f"{minutes}:{seconds:02}"


@replay.command(short_help="What a play was, and what happened in it.")
@_SOURCE
@click.option("--masters", is_flag=True, help="Every line, masters with their commands included.")
@_options
def show(source: str, masters: bool, data: Path, as_json: bool) -> None:
    """What PLAY was, and what happened in it.

    PLAY is a play_id of --data, a file (also .gz), or - for standard input.
    """
    with _lines(source, data) as lines:
        fields = whole_lines(lines)
        head = next(fields)
        kept, summary = _summary(fields, masters)
    if as_json:
        print_json({"head": head, "summary": summary, "lines": kept})
        return
    for key, value in head.items():
        if key not in ("type", "players"):
            click.echo(f"{shown(key):>20}  {compact(value)}")
    for player in head.get("players") or ():
        click.echo(f"{'seat':>20}  {compact(player)}")
    for key, value in summary.items():
        click.echo(f"{key.replace('_', ' '):>20}  {compact(value)}")
    if kept:
        click.echo()
    for line in kept:
        click.echo(f"{_duration(line.get('t', 0)):>8}  {_told(line, masters)}")


def _summary(lines: Iterator[dict[str, Any]], masters: bool) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What is to be shown, and what the play came to."""
    kept: list[dict[str, Any]] = []
    generations = milliseconds = divergences = dumps = 0
    ended = None
    for fields in lines:
        kind, milliseconds = fields.get("type"), fields.get("t", milliseconds)
        generations += kind == "master"
        divergences += kind == "divergence"
        dumps += kind == "dump"
        ended = fields if kind == "over" else ended
        if masters or kind not in ("master", "dump") or "system" in fields:
            kept.append(fields)
    return kept, {
        "generations": generations,
        "milliseconds": milliseconds,
        "divergences": divergences,
        "dumps": dumps,
        "ended": None if ended is None else ended.get("reason"),
        "results": None if ended is None else ended.get("results"),
    }


def _told(line: dict[str, Any], whole: bool) -> str:
    """A line for people: all of it, or without hashes and commands."""
    generation = f" {line['generation']}" if "generation" in line else ""
    return f"{shown(line.get('type'))}{shown(generation)}  {_about(line, whole)}"


def _about(line: dict[str, Any], whole: bool) -> str:
    fields = {key: value for key, value in line.items() if key not in ("t", "type", "generation")}
    if not whole and "system" in line:
        return compact(line["system"], 100_000)
    groups = line.get("groups")
    if whole or not isinstance(groups, list):
        return compact(fields, 100_000)
    seats = " against ".join(str(group.get("seats")) for group in groups if isinstance(group, dict))
    where = f", in {', '.join(map(str, line['sections']))}" if isinstance(line.get("sections"), list) else ""
    before = "" if line.get("last_agreed") is None else f"; all agreed up to {line['last_agreed']}"
    return shown(f"seats {seats}{where}{before}")


@replay.command(short_help="Whether a recording holds together.")
@_SOURCE
@_options
def verify(source: str, data: Path, as_json: bool) -> None:
    """Look whether PLAY's recording holds together; exit status 1 where it does not.

    PLAY is a play_id of --data, a file (also .gz), or - for standard input.
    """
    check = Check()
    with _lines(source, data) as lines:
        check.lines(lines)
    if as_json:
        found = {name: [finding._asdict() for finding in findings] for name, findings in (("errors", check.findings), ("notes", check.notes))}
        print_json({"play_id": check.head.get("play_id"), "valid": not check.findings, "generations": check.masters, **found})
    else:
        for finding in check.findings:
            click.echo(f"line {finding.line}: {shown(finding.message)}", err=True)
        for finding in check.notes:
            click.echo(f"note, line {finding.line}: {shown(finding.message)}")
        agreed = f"agreed up to {check.agreed}" if check.agreed >= 0 else "no hash agreed"
        counts = counted(check.masters, "generation"), agreed, counted(check.divergences, "divergence"), counted(len(check.findings), "error")
        click.echo(", ".join(counts))
    raise SystemExit(1 if check.findings else 0)


@replay.command(short_help="Where players' states differ.")
@_SOURCE
@click.option("--divergence", "number", type=click.IntRange(1), help="Which of several; the first with two states, without this.")
@click.option("--all", "everything", is_flag=True, help="Every place where they differ, not the first alone.")
@_options
def diff(source: str, number: int | None, everything: bool, data: Path, as_json: bool) -> None:
    """Where the states differ that players gave after a divergence of PLAY; exit status 1 where they do.

    PLAY is a play_id of --data, a file (also .gz), or - for standard input.
    """
    with _lines(source, data) as lines:
        fields = whole_lines(lines)
        binary = next(fields).get("encoding") == "binary"
        divergence, dumps = _chosen(list(_divergences(fields)), number)
    try:
        compared = [(one, other, _differing(one, other, binary, everything)) for one, other in pairs_of(divergence, dumps)]
    except (ValueError, KeyError, TypeError) as error:
        fail(f"these states cannot be compared: {error}")
    if as_json:
        print_json({"divergence": divergence, "binary": binary, "compared": [_comparison(*each) for each in compared]})
    else:
        for comparison in compared:
            _show_comparison(*comparison, binary)
    raise SystemExit(1 if any(found for _, _, found in compared) else 0)


def _divergences(lines: Iterator[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], list[Dump]]]:
    """Each divergence with the states that were given after it."""
    divergence: dict[str, Any] | None = None
    dumps: list[Dump] = []
    for fields in lines:
        if fields.get("type") == "divergence":
            if divergence is not None:
                yield divergence, dumps
            divergence, dumps = fields, []
        elif fields.get("type") == "dump" and divergence is not None:
            dumps.append(Dump(fields.get("seat", -1), fields.get("generation", -1), fields.get("state")))
    if divergence is not None:
        yield divergence, dumps


def _chosen(found: list[tuple[dict[str, Any], list[Dump]]], number: int | None) -> tuple[dict[str, Any], list[Dump]]:
    if not found:
        fail("nothing has diverged in this play")
    if number is not None and number > len(found):
        fail(f"there is no divergence {number}; there are {len(found)}")
    wanted = found if number is None else [found[number - 1]]
    compared = next((each for each in wanted if len({dump.seat for dump in each[1]}) > 1), None)
    if compared is None:
        fail("fewer than two players gave their state, so there is nothing to compare")
    return compared


def _differing(one: Dump, other: Dump, binary: bool, everything: bool) -> list[Difference]:
    return list(islice(differences(one.state, other.state, binary), MOST_SHOWN if everything else 1))


def _comparison(one: Dump, other: Dump, found: list[Difference]) -> dict[str, Any]:
    places = [{"place": each.place, str(one.seat): each.left, str(other.seat): each.right} for each in found]
    return {"generation": one.generation, "seats": [one.seat, other.seat], "differences": places}


def _show_comparison(one: Dump, other: Dump, found: list[Difference], binary: bool) -> None:
    click.echo(f"after generation {one.generation}, seats {one.seat} and {other.seat}:" + ("" if found else " no difference"))
    for each in found:
        click.echo(f"  {'byte ' if binary else ''}{shown(each.place) or '/'}")
        click.echo(f"    seat {one.seat}: {compact(each.left)}")
        click.echo(f"    seat {other.seat}: {compact(each.right)}")
