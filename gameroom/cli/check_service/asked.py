"""What a micro game service under check is to be asked, as the command line says it: files of updates, messages, players."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs
import orjson

from gameroom.cli.check_service.cases import Recorded
from gameroom.cli.check_service.plays import MESSAGE_BYTES, Game
from gameroom.cli.dev_preview import Preview
from gameroom.cli.output import fail
from gameroom.cli.reacting import say_wrong
from gameroom.errors import InvalidRequest
from gameroom.wire.game_service import Message, Started, state_from_bytes, update_from_bytes
from gameroom.wire.update_file import pairs_from

RECORDED_BYTES: Final = 256 << 20
"""Of all files of updates that are read."""
ELSEWHERE: Final = "elsewhere"
"""The version where no bundle says one."""
_GAME_ID: Final = "00000000-0000-4000-8000-000000000000"
_FEW, _MANY = 2, 4
"""Players, where no bundle says how many."""


@attrs.frozen(kw_only=True)
class Asked:
    """What a service is asked."""

    game: Game
    recorded: tuple[Recorded, ...]
    own: tuple[Message, ...]
    """Messages that players send, those of the recorded updates among them."""
    said: tuple[Message, ...]
    """Those that the developer has named."""


def asked_of(found: Preview | None, *, updates: Sequence[Path], messages: Sequence[str], config: str, players: int | None) -> Asked:
    """By the options' values; `found` is None where there is no bundle. What is wrong with them is one line and exit status 2."""
    recorded = tuple(_recorded(updates))
    said = tuple(Message(0, _json("--message", each), True) for each in messages)
    heard = {(each.data, each.text): each for each in (one.update.event for one in recorded) if isinstance(each, Message)}
    starts = (one.update.event.config for one in recorded if isinstance(one.update.event, Started))
    given = _json("--config", config) if config else next(starts, b"{}")
    few, many = (players, players) if players is not None else _players(found)
    version = found.entry.version if found is not None and found.entry is not None else ELSEWHERE
    game = Game(game_id=_GAME_ID, version=version, min_players=few, max_players=many, config=given)
    return Asked(game=game, recorded=recorded, own=(*said, *heard.values()), said=said)


def _players(found: Preview | None) -> tuple[int, int]:
    if found is None:
        return _FEW, _MANY
    most = found.manifest.max_players
    return found.manifest.min_players, most if found.entry is None else min(most, found.entry.max_players)


def _json(option: str, text: str) -> bytes:
    try:
        data = orjson.dumps(orjson.loads(text))
    except ValueError as error:
        fail(f"{option} {text}: is not JSON ({error}); write it as '{{\"move\": 3}}'")
    except TypeError:
        fail(f"{option}: is nested too deeply")
    if len(data) > MESSAGE_BYTES:
        fail(f"{option}: has {len(data)} bytes, and the most is {MESSAGE_BYTES}")
    return data


def _recorded(paths: Sequence[Path]) -> Iterator[Recorded]:
    """What is in the files, as much of it as is taken."""
    left = RECORDED_BYTES
    for path in paths:
        try:
            with path.open("rb") as file:
                for number, (update, state) in enumerate(pairs_from(file.read), 1):
                    left -= len(update) + len(state)
                    if left < 0:
                        say_wrong(f"{path}: only its first {number - 1} updates are asked, since of all files {RECORDED_BYTES >> 20} MiB are read")
                        return
                    yield _pair(update, state)
        except OSError as error:
            fail(f"{path}: {error.strerror or error}")
        except InvalidRequest as error:
            fail(f"{path}: {error.message}")


def _pair(update: bytes, state: bytes) -> Recorded:
    """Raises `InvalidRequest` for what is no update. An answer that was wrong is none."""
    try:
        answer = state_from_bytes(state) if state else None
    except InvalidRequest:
        answer = None
    return Recorded(update=update_from_bytes(update), state=answer)
