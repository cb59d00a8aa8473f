"""A play from its beginning to its end, in the messages that `gameroom.doors.web.asyncapi` declares.

A message that is not declared, or not with the fields that are shown, is an error: so this figure cannot tell of one that is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from diagrams.svg import arrow, box, page, text
from gameroom.doors.web.asyncapi import FROM_MEMBERS, TO_MEMBERS

ANN, ROOM, BOB = 130, 450, 770
LANES = {ANN: "Ann's client", ROOM: "gameroom", BOB: "Bob's client"}
WIDTH, STEP, TOP = 900, 38, 84


class Said(NamedTuple):
    """One message: who says it, which, the fields that are shown, and what there is to remark."""

    by: int
    to: tuple[int, ...]
    name: str
    fields: tuple[str, ...] = ()
    note: str = ""


def told(name: str, *fields: str, note: str = "", to: tuple[int, ...] = (ANN, BOB)) -> Said:
    return Said(ROOM, to, name, fields, note)


def said(by: int, name: str, *fields: str, note: str = "") -> Said:
    return Said(by, (ROOM,), name, fields, note)


PLAY: Sequence[tuple[str, Sequence[Said]]] = (
    (
        "Coming in",
        (
            said(ANN, "hello", "token", note="the seat token that joining gave"),
            told("welcome", "room", "you", "last_id", to=(ANN,)),
            told("players", "players"),
        ),
    ),
    (
        "Setup",
        (
            said(BOB, "setup", "patch"),
            told("setup", "configuration", "revision", "by"),
            said(ANN, "transition", "event", note="an event of the engine's own states"),
            told("state", "state"),
            said(ANN, "ready", "ready"),
            said(BOB, "ready", "ready", note="all are: the play begins"),
        ),
    ),
    ("Start", (told("state", "state", note="running.iterating"), told("start", "play_id", "seed", "players"))),
    (
        "Turns",
        (
            said(ANN, "commands", "generation", "commands", note="0 … input_delay − 1"),
            said(BOB, "commands", "generation", "commands"),
            told("master", "generation", "commands", note="recorded, then sent"),
            said(ANN, "commands", "generation", "checksum", note="one for each master"),
            said(BOB, "commands", "generation", "checksum"),
            told("master", "generation", "checksum", note="the hash that all agree on"),
        ),
    ),
    (
        "Divergence",
        (
            told("state", "state", note="running.paused.diverged"),
            told("divergence", "generation", "groups"),
            told("dump_request", "generation"),
            said(ANN, "dump", "generation", "state"),
            said(BOB, "dump", "generation", "state", note="kept with the recording"),
            said(ANN, "resolve", "how", note="the host: resync"),
            told("snapshot_request", "generation", to=(ANN,)),
            said(ANN, "snapshot", "generation", "checksum", "state"),
            told("snapshot", "generation", "checksum", "state", to=(BOB,), note="good, so Bob goes on from it"),
            told("state", "state", note="running.iterating"),
        ),
    ),
    (
        "Return",
        (
            said(BOB, "hello", "play_id", "last_generation", note="after more than 1,000 generations"),
            told("welcome", "room", "you", "last_id", to=(BOB,)),
            told("start", "play_id", "generation", to=(BOB,)),
            told("snapshot_request", "generation", to=(ANN,)),
            said(ANN, "snapshot", "generation", "checksum", "state"),
            told("snapshot", "generation", "checksum", "state", to=(BOB,)),
            told("masters", "from", "masters", to=(BOB,), note="what comes after it, then live"),
        ),
    ),
    (
        "Over",
        (
            said(ANN, "finish", "generation", "results"),
            said(BOB, "finish", "generation", "results"),
            told("over", "reason", "results"),
            told("state", "state", note="setup"),
        ),
    ),
)


def draw() -> str:
    """The figure. Raises `KeyError` for a message that is not declared, `ValueError` for a field that is not."""
    shapes: list[str] = []
    y = TOP
    for title, messages in PLAY:
        height = STEP * len(messages) + 34
        shapes += [box("band", 16, y, WIDTH - 32, height), text("name", (30, y + 23), title)]
        y += height + 10
    lives = [f'<line class="life" x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{y - 4}"/>' for x in LANES]
    heads = [box("state", x - 74, 24, 148, 40) + text("name", (x, 49), name, "middle") for x, name in LANES.items()]
    y = TOP
    arrows: list[str] = []
    for _, messages in PLAY:
        for place, message in enumerate(messages):
            arrows += _message(message, y + 46 + STEP * place)
        y += STEP * len(messages) + 44
    about = "; ".join(f"{title}: {', '.join(message.name for message in messages)}" for title, messages in PLAY)
    return page(WIDTH, y + 6, "A lock-step play from its beginning to its end", about, [*shapes, *lives, *heads, *arrows])


def _message(message: Said, y: float) -> list[str]:
    declared = (TO_MEMBERS if message.by == ROOM else FROM_MEMBERS)[message.name]
    if missing := set(message.fields) - {*declared.required, *declared.optional}:
        raise ValueError(f"{message.name} has no {', '.join(sorted(missing))} any more")
    shapes = []
    for to in message.to:
        gap = 4 if to > message.by else -4
        shapes.append(arrow([(message.by + gap, y), (to - gap, y)]))
    beside = next(iter(message.to)) if message.by == ROOM else message.by
    label = f"{message.name} {{{', '.join(message.fields)}}}"
    middle = (beside + ROOM) / 2
    shapes.append(text("code", (middle, y - 6), label, "middle"))
    if message.note:
        shapes.append(text("note", ((ANN + BOB - beside + ROOM) / 2, y + (-6 if len(message.to) > 1 else 4)), message.note, "middle"))
    return shapes
