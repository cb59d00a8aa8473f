"""Who has reported which hash of one generation, and who is right where they differ (docs/protocol/lockstep.md, hashes)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from typing import Any

import attrs

from gameroom.wire.digest import Digest
from gameroom.wire.lockstep import Checksum


class Tally:
    """The hashes of one generation. In the ordinary case there is one value, and a bit for each seat that has reported it."""

    __slots__ = ("about", "bits", "open", "others", "value")

    def __init__(self, about: int, value: Checksum, bits: int) -> None:
        self.about = about
        self.value = value
        self.bits = bits
        """By seat: who has reported `value`."""
        self.others: dict[int, Checksum] | None = None
        """Who has reported something else; None where nobody has."""
        self.open = False
        """Whether it is among those that are neither agreed nor passed over."""

    def has(self, seat: int) -> bool:
        """Whether that player has reported."""
        return bool(self.bits >> seat & 1) or (self.others is not None and seat in self.others)

    def votes(self) -> dict[int, Checksum]:
        """Who has reported what."""
        return {**dict.fromkeys(_seats(self.bits), self.value), **(self.others or {})}

    def become(self, votes: Mapping[int, Checksum]) -> None:
        """These are the reports now; there is one at least."""
        self.value = next(iter(votes.values()))
        self.bits = sum(1 << seat for seat, value in votes.items() if value == self.value)
        self.others = {seat: value for seat, value in votes.items() if value != self.value} or None

    def shorten(self) -> None:
        """Keep no more of its sections than is needed to compare others with them."""
        if isinstance(self.value, dict):
            self.value = Digest(self.value)

    def groups(self) -> list[tuple[Checksum, list[int]]]:
        """The values and who reported them, those of the lowest seats first."""
        groups: list[tuple[Checksum, list[int]]] = []
        for seat, value in sorted(self.votes().items()):
            for known, seats in groups:
                if known == value:
                    seats.append(seat)
                    break
            else:
                groups.append((value, [seat]))
        return groups

    def value_of(self, seats: Set[int]) -> Checksum | None:
        """What more than half of these have reported; None where that is nothing."""
        for value, group in self.groups():
            if 2 * len(seats & set(group)) > len(seats):
                return value
        return None


def _seats(bits: int) -> Iterator[int]:
    for seat in range(bits.bit_length()):
        if bits >> seat & 1:
            yield seat


@attrs.frozen
class Verdict:
    """Who goes on with the state that they have, and who may not. Those who have not said anything yet are neither."""

    right: frozenset[int]
    wrong: frozenset[int]


def judge(tallies: Sequence[Tally], *, present: Collection[int], silent: Set[int], host: int | None) -> Verdict | None:
    """Who is right, by the tallies from the oldest that differs on; None where nobody can tell.

    A group is right if it is a strict majority of those `present`: at the oldest generation, or else at a later one, which
    some may have reported who did not report the oldest. Without one the group of `host` is right, if that is not None.
    `silent` are a group as well, but never a majority.
    """
    turns = [[frozenset(seats) for _, seats in tally.groups()] for tally in tallies]
    groups = [group - silent for groups in turns for group in groups]
    chosen = [group for group in groups if 2 * len(group) > len(present)]
    if host is not None:
        chosen += [frozenset(silent)] if host in silent else [group for group in groups if host in group]
    for group in chosen:
        right = _of_one_mind(group, turns, host)
        wrong = right and _against(right, turns, present, silent)
        if right and wrong:
            return Verdict(right, wrong)
    return None


def _of_one_mind(right: frozenset[int], turns: list[list[frozenset[int]]], host: int | None) -> frozenset[int] | None:
    """Those of them who agree in every generation: more than half of those who have reported it, else the host's group."""
    for groups in turns:
        parts = [group & right for group in groups if group & right]
        if len(parts) > 1:
            said = frozenset[int]().union(*parts)
            chosen = next((part for part in parts if 2 * len(part) > len(said)), None) or next((part for part in parts if host in part), None)
            if chosen is None:
                return None
            right -= said - chosen
    return right


def _against(right: frozenset[int], turns: list[list[frozenset[int]]], present: Collection[int], silent: Set[int]) -> frozenset[int]:
    """Who has said otherwise than these, or nothing."""
    if right <= silent:
        return frozenset(present) - right
    contested = [groups for groups in turns if any(group & right for group in groups)]
    return frozenset(seat for groups in contested for group in groups if not group & right for seat in group) | silent


def told(tally: Tally, silent: Collection[int], shown: Any) -> dict[str, Any]:
    """What is told of a generation that differs: its groups, and the sections that differ where hashes have sections."""
    groups = tally.groups()
    fields: dict[str, Any] = {"generation": tally.about, "groups": []}
    for value, seats in groups:
        fields["groups"].append({"value": value.text if isinstance(value, Digest) else shown(value), "seats": seats})
    if left_out := sorted(seat for seat in silent if not tally.has(seat)):
        fields["groups"].append({"value": None, "seats": left_out})
    values = [value for value, _ in groups if isinstance(value, dict)]
    if len(values) == len(groups) > 1:
        names = sorted({name for value in values for name in value})
        fields["sections"] = [name for name in names if len({value.get(name) for value in values}) > 1]
    return fields
