"""How the commands of a JSON-lines door are declared: once, in a table.

Parsing, HELP's answer and the tables in docs/protocol come from the same declaration.
Pure: no Twisted, no clock, no I/O.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from gameroom.errors import InvalidRequest

_KINDS: Mapping[str, tuple[type, str]] = {
    "str": (str, "a string"),
    "int": (int, "an integer"),
    "bool": (bool, "true or false"),
    "object": (dict, "an object"),
}


@attrs.frozen
class Field:
    """One field of a request's payload. `least` and `most` bound an integer's value or a string's characters."""

    name: str
    kind: str = attrs.field(default="str", validator=attrs.validators.in_(_KINDS))
    optional: bool = attrs.field(default=False, kw_only=True)
    least: int | None = attrs.field(default=None, kw_only=True)
    most: int | None = attrs.field(default=None, kw_only=True)

    def check(self, value: Any) -> None:
        """Raise `InvalidRequest` unless `value` may stand here."""
        expected, words = _KINDS[self.kind]
        # Not isinstance: to Python `true` is an integer, to JSON it is not.
        if type(value) is not expected:
            raise InvalidRequest(f'"{self.name}" must be {words}', pointer=self.pointer)
        if self.least is None and self.most is None:
            return
        measured: Any = value
        size: int = measured if self.kind == "int" else len(measured)
        if (self.least is not None and size < self.least) or (self.most is not None and size > self.most):
            raise InvalidRequest(f'"{self.name}" must {self._bounds()}', pointer=self.pointer)

    @property
    def pointer(self) -> str:
        return f"/payload/{self.name}"

    @property
    def shown(self) -> str:
        """As the seed writes it: `str`, `str?`."""
        return self.kind + ("?" if self.optional else "")

    def _bounds(self) -> str:
        unit = " characters" if self.kind == "str" else ""
        verb = "have" if self.kind == "str" else "be"
        if self.most is None:
            return f"{verb} at least {self.least}{unit}"
        if self.least is None:
            return f"{verb} at most {self.most}{unit}"
        return f"{verb} {self.least} to {self.most}{unit}"


@attrs.frozen(kw_only=True)
class Command:
    """One command: what it takes, what it answers, and one line about it for a person."""

    type: str
    about: str
    fields: tuple[Field, ...] = ()
    answer: str = "{}"
    """The ok payload, as docs write it."""
    token: bool = True
    """Whether it needs a session token."""
    _by_name: Mapping[str, Field] = attrs.field(init=False, eq=False, repr=False)
    _required: frozenset[str] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {field.name: field for field in self.fields})
        object.__setattr__(self, "_required", frozenset(field.name for field in self.fields if not field.optional))

    def check(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The payload, when it is one that this command takes. Raises `InvalidRequest`, which names the field."""
        for name, value in payload.items():
            field = self._by_name.get(name)
            if field is None:
                raise InvalidRequest(f'{self.type} has no field "{_short(name)}"; {self.takes}', pointer="/payload")
            field.check(value)
        if len(payload) < len(self._by_name) and (missing := self._required.difference(payload)):
            name = next(field.name for field in self.fields if field.name in missing)
            raise InvalidRequest(f'the payload of {self.type} lacks "{name}"; {self.takes}', pointer=f"/payload/{name}")
        return payload

    @property
    def takes(self) -> str:
        """`it takes {"room_id": str}`."""
        if not self.fields:
            return "it takes none"
        return "it takes {" + ", ".join(f'"{field.name}": {field.shown}' for field in self.fields) + "}"


PAGE = 200
"""Entries of a list that are answered at once; a larger wish is answered with so many."""


def page_fields() -> tuple[Field, ...]:
    """What a command takes that answers a part of a list: how much of it, and the entry after which it goes on."""
    return Field("limit", "int", optional=True, least=1), Field("before", optional=True, most=128)


def id_field(name: str, optional: bool = False) -> Field:
    """An id that we have made, or what somebody takes for one."""
    return Field(name, most=128, optional=optional)


@attrs.frozen
class Push:
    """A message that comes without having been asked for."""

    type: str
    fields: str
    about: str


@attrs.define
class Request:
    """A request whose envelope is in order; its payload is looked at once its token is known to be good."""

    command: Command
    token: str | None
    payload: dict[str, Any]


class CommandTable:
    """All commands of one door."""

    def __init__(self, commands: Iterable[Command], pushes: Iterable[Push] = ()) -> None:
        self.commands = {command.type: command for command in commands}
        self.pushes = tuple(pushes)

    def __iter__(self) -> Iterator[Command]:
        return iter(self.commands.values())

    def request(self, envelope: Mapping[str, Any]) -> Request:
        """Read an envelope. Raises `InvalidRequest` for an unknown type or field.

        A `token` of null is the same as none: clients that are not logged in yet have nothing to put there.
        """
        type_ = envelope.get("type")
        command = self.commands.get(type_) if type(type_) is str else None
        if command is None:
            raise self._unknown(type_)
        token, payload, known = None, _EMPTY, 1
        if "payload" in envelope:
            payload = envelope["payload"]
            known += 1
        if "token" in envelope:
            token = envelope["token"]
            known += 1
            if token is not None and type(token) is not str:
                raise InvalidRequest('"token" must be a string', pointer="/token")
        if len(envelope) != known:
            name = next(name for name in envelope if name not in ("type", "token", "payload"))
            raise InvalidRequest(f'unknown field "{_short(name)}" beside "payload"; what {command.type} takes goes into "payload"')
        if type(payload) is not dict:
            raise InvalidRequest('"payload" must be an object', pointer="/payload")
        return Request(command, token, payload)

    def help(self) -> list[dict[str, Any]]:
        """HELP's `commands`."""
        return [{"type": command.type, "fields": {field.name: field.shown for field in command.fields}, "about": command.about} for command in self]

    def markdown(self) -> str:
        """The table of commands in docs/protocol."""
        rows = ["| type | token | payload | ok payload | |", "|---|---|---|---|---|"]
        for command in self:
            fields = ", ".join(f"`{field.name}` {field.shown}" for field in command.fields) or "–"
            rows.append(f"| `{command.type}` | {'yes' if command.token else '–'} | {fields} | `{command.answer}` | {command.about} |")
        return "\n".join(rows)

    def pushes_markdown(self) -> str:
        """The table of pushes in docs/protocol."""
        rows = ["| type | payload | |", "|---|---|---|"]
        rows += [f"| `{push.type}` | `{push.fields}` | {push.about} |" for push in self.pushes]
        return "\n".join(rows)

    def _unknown(self, type_: Any) -> InvalidRequest:
        hint = 'send {"type": "HELP"} for a list'
        if type(type_) is not str:
            return InvalidRequest(f'"type" must name a command; {hint}', pointer="/type")
        near = difflib.get_close_matches(type_[:64].upper(), self.commands, 1)
        hint = f'did you mean "{near[0]}"?' if near else hint
        return InvalidRequest(f'there is no command "{_short(type_)}"; {hint}', pointer="/type")


_EMPTY: dict[str, Any] = {}


def _short(name: str) -> str:
    """A name that a stranger chose, fit for a message."""
    return name if len(name) <= 40 else name[:40] + "…"
