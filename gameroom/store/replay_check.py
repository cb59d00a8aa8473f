"""Does a recording hold together? What a play's rules promise, looked at from its lines alone (docs/cli.md, `gameroom replay verify`).

The hashes that players reported are not in it; what was agreed, who differed and what came of it is.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from gameroom.errors import InvalidRequest
from gameroom.wire.lockstep import BINARY, JSON, Checksum, MasterPacket

HEAD: Final = ("play_id", "engine", "seed", "configuration", "players", "input_delay", "checksum_interval", "versions", "started_at")
PLAYS, DROPPED, LEFT, EVICTED = "plays", "is dropped", "has left", "is evicted"
_BECOMES: Final = {
    "dropped": (DROPPED, (PLAYS,)),
    "rejoined": (PLAYS, (DROPPED,)),
    "left": (LEFT, (PLAYS, DROPPED)),
    "evicted": (EVICTED, (PLAYS, DROPPED)),
}
"""By event: what the seat is then, and what it may have been before."""


class Finding(NamedTuple):
    """Something about one line; lines count from 1."""

    line: int
    message: str


class _Wrong(Exception):
    """A line is not what it must be."""


class Check:
    """Looks at a recording line by line; `findings` are its faults, `notes` what is worth a word and no fault."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.notes: list[Finding] = []
        self.masters = 0
        self.agreed: int = -1
        """The newest generation whose hash was agreed."""
        self.divergences = 0
        self.over: dict[str, Any] | None = None
        self.head: dict[str, Any] = {}
        self._number = 0
        self._status: dict[int, str] = {}
        self._agreed_value: Checksum | None = None
        self._differed = False
        """Whether there was a divergence after the newest master."""
        self._kinds = {"master": self._master, "divergence": self._divergence, "dump": self._dump, "state": self._state, "over": self._over}

    def lines(self, lines: Iterable[bytes]) -> None:
        """All lines of a recording, with their ends."""
        for line in lines:
            self._number += 1
            if not line.endswith(b"\n"):
                self.notes.append(Finding(self._number, "the last line is torn; it counts as not written"))
                break
            try:
                self._line(line[:-1])
            except _Wrong as wrong:
                self.findings.append(Finding(self._number, str(wrong)))
            except (TypeError, ValueError, KeyError, AttributeError):
                self.findings.append(Finding(self._number, "something in this line is not of the kind that it must be"))
        if not self.head and not self.findings:
            self.findings.append(Finding(1, "the recording is empty"))
        if self.head and self.over is None:
            self.notes.append(Finding(self._number, "the play is not over: it goes on, or was never taken up again"))

    def _line(self, line: bytes) -> None:
        try:
            fields = orjson.loads(line)
        except ValueError:
            raise _Wrong("this line is no JSON") from None
        if not isinstance(fields, dict):
            raise _Wrong("a line must be a JSON object")
        if self._number == 1:
            self._play(fields)
            return
        if self.over is not None:
            raise _Wrong("nothing comes after `over`")
        kind = self._kinds.get(str(fields.get("type")))
        if kind is None:
            raise _Wrong(f"there is no line of type {fields.get('type')!r}")
        if type(fields.get("t")) is not int or fields["t"] < 0:
            raise _Wrong("t must be milliseconds since the start")
        kind(fields)

    # The head.

    def _play(self, fields: dict[str, Any]) -> None:
        if fields.get("type") != "play":
            raise _Wrong("the first line must be of type play")
        self.head = fields
        missing = [name for name in HEAD if name not in fields]
        if missing:
            raise _Wrong(f"the head lacks {', '.join(missing)}")
        try:
            seats = [player["seat"] for player in fields["players"]]
        except (TypeError, KeyError):
            seats = []
        if not seats or len(set(map(str, seats))) != len(seats) or not all(type(seat) is int and seat >= 0 for seat in seats):
            raise _Wrong("players must be those who play, each with a seat of its own")
        for name in ("input_delay", "checksum_interval"):
            if type(fields[name]) is not int or fields[name] < 1:
                raise _Wrong(f"{name} must be a positive integer")
        self._status = dict.fromkeys(sorted(seats), PLAYS)

    # Masters.

    def _master(self, fields: dict[str, Any]) -> None:
        binary = self.head.get("encoding") == "binary"
        try:
            master = BINARY.read_master(binascii.a2b_base64(fields["data"])) if binary else JSON.read_master(orjson.dumps(fields))
        except (ValueError, KeyError, TypeError, InvalidRequest):
            raise _Wrong("this is no master") from None
        expected, self.masters = self.masters, master.generation + 1
        differed, self._differed = self._differed, False
        if master.generation != expected:
            raise _Wrong(f"generation {expected} should come here, not {master.generation}")
        if type(master.iterations_per_command) is not int or master.iterations_per_command < 1:
            raise _Wrong("iterations_per_command must be a positive integer")
        self._commands(master, self._events(master, differed))
        if master.checksum is not None:
            self._checksum(master.generation, *master.checksum)

    def _events(self, master: MasterPacket, differed: bool) -> set[int]:
        """What the master tells of who takes part. Gives the seats that have no commands in it."""
        before, silent = dict(self._status), {seat for seat, status in self._status.items() if status != PLAYS}
        event: Any
        for event in master.system:
            name = next(iter(event), "") if isinstance(event, dict) and len(event) == 1 else ""
            if name == "missed":
                silent |= self._missed(event[name], before)
            elif name in _BECOMES:
                if name == "evicted" and not differed:
                    raise _Wrong("somebody is evicted, and nothing has diverged before")
                self._become(name, event[name])
                silent.add(event[name])
            else:
                raise _Wrong(f"there is no such system event: {str(event)[:80]}")
        return silent

    def _missed(self, seats: Any, before: Mapping[int, str]) -> set[int]:
        if not isinstance(seats, list) or not seats or not all(type(seat) is int and before.get(seat) == PLAYS for seat in seats):
            raise _Wrong(f"only who takes part can be missed, not {str(seats)[:80]}")
        return set(seats)

    def _become(self, name: str, seat: Any) -> None:
        status, allowed = _BECOMES[name]
        present = self._status.get(seat) if type(seat) is int else None
        if present is None:
            raise _Wrong(f"{name}: there is no seat {str(seat)[:80]}")
        if present not in allowed:
            raise _Wrong(f"{name}: seat {seat} {present}")
        self._status[seat] = status

    def _commands(self, master: MasterPacket, silent: set[int]) -> None:
        seats = list(master.commands)
        if seats != sorted(seats):
            raise _Wrong(f"the commands are not in the order of seats: {seats}")
        for seat in seats:
            if seat not in self._status:
                raise _Wrong(f"there are commands of seat {seat}, which nobody has")
            if seat in silent:
                raise _Wrong(f"there are commands of seat {seat}, which has none in this generation")

    def _checksum(self, master: int, generation: int, value: Checksum) -> None:
        if generation % self.head["checksum_interval"]:
            raise _Wrong(f"the agreed hash is of generation {generation}, which is not of the interval {self.head['checksum_interval']}")
        if generation >= master:
            raise _Wrong(f"the agreed hash is of generation {generation}, which nobody had when this was mastered")
        if generation < self.agreed:
            raise _Wrong(f"the agreed hash goes back, from generation {self.agreed} to {generation}")
        if generation == self.agreed and self._agreed_value not in (None, value):
            raise _Wrong(f"the agreed hash of generation {generation} has changed")
        self.agreed, self._agreed_value = generation, value

    # What else is recorded.

    def _divergence(self, fields: dict[str, Any]) -> None:
        self.divergences += 1
        self._differed = True
        generation, last = fields.get("generation"), fields.get("last_agreed")
        if type(generation) is not int or generation % self.head["checksum_interval"] or not 0 <= generation < self.masters:
            raise _Wrong(f"a divergence is of a generation of the interval that is mastered, not of {str(generation)[:80]}")
        # Who comes late may differ from what the others had agreed on already, and a restart forgets what was agreed.
        least = self.agreed if generation > self.agreed else 0
        if last is not None and (type(last) is not int or not least <= last < generation):
            raise _Wrong(f"last_agreed is {str(last)[:80]}, where generation {generation} differs and {self.agreed} was agreed")
        sections = _differing(self._groups(fields.get("groups")))
        if sections is not None and sorted(map(str, fields.get("sections", ()))) != sections:
            raise _Wrong(f"the sections that differ are {', '.join(sections)}, not {str(fields.get('sections'))[:80]}")

    def _groups(self, groups: Any) -> list[Any]:
        """The values of a divergence's groups."""
        try:
            seats = [seat for group in groups for seat in group["seats"]]
            values = [group["value"] for group in groups]
        except (TypeError, KeyError):
            raise _Wrong("groups must be a list of values with the seats that have them") from None
        if len(groups) < 2 or not all(group["seats"] for group in groups):
            raise _Wrong("a divergence has two groups at least, with a seat each")
        if any(value == other for number, value in enumerate(values) for other in values[:number]):
            raise _Wrong("two groups have the same value")
        for seat in seats:
            if type(seat) is not int or seat not in self._status:
                raise _Wrong(f"in the groups is seat {str(seat)[:80]}, which nobody has")
            if self._status[seat] != PLAYS:
                raise _Wrong(f"in the groups is seat {seat}, which {self._status[seat]}")
        if len(set(seats)) != len(seats):
            raise _Wrong("a seat is in two groups")
        return [value for value in values if value is not None]

    def _dump(self, fields: dict[str, Any]) -> None:
        if not self.divergences:
            raise _Wrong("there is a dump, and nothing has diverged before")
        if fields.get("seat") not in self._status or type(fields.get("generation")) is not int or not fields["generation"] < self.masters:
            raise _Wrong("a dump is of a seat, after a generation that is mastered")
        if "state" not in fields:
            raise _Wrong("a dump has a state")

    def _state(self, fields: dict[str, Any]) -> None:
        if not isinstance(fields.get("state"), str | None):
            raise _Wrong("a state is named by a string")

    def _over(self, fields: dict[str, Any]) -> None:
        self.over = fields
        if not isinstance(fields.get("reason"), str):
            raise _Wrong("`over` has a reason")


def _differing(values: list[Any]) -> list[str] | None:
    """The names of the sections that differ; None where hashes have none."""
    if not values or not all(isinstance(value, dict) for value in values):
        return None
    names = {str(name) for value in values for name in value}
    return sorted(name for name in names if any(value.get(name) != values[0].get(name) for value in values))
