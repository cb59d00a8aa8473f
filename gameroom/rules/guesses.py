"""Who guesses party codes is kept from guessing on.

`now` is in seconds, of any clock that does not run backwards by much.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from gameroom.rules.limits import KEYS, MINUTE, KeyedBuckets, network, too_many


class CodeGuesses:
    """Wrong party codes of each address: whoever has said too many within a minute may say none for a minute, and then begins anew."""

    def __init__(self, keys: int = KEYS) -> None:
        """For at most `keys` addresses at a time; those shut out longest ago are let in again first."""
        self._keys = keys
        self._wrong = KeyedBuckets(0.0, 0.0, keys)
        self._shut: OrderedDict[Hashable, float] = OrderedDict()
        """Until when, the soonest first."""

    def check(self, now: float, address: str) -> None:
        """Raises `RateLimited` for an address that is shut out."""
        wait = self._shut.get(network(address), now) - now
        # A clock that was set back makes it no longer.
        if 0 < wait <= MINUTE:
            raise too_many("too many wrong codes from your address; wait a little", wait)

    def count(self, now: float, most: int, address: str) -> None:
        """Count a wrong code; `most` is how many an address may say in a minute."""
        self._wrong.change(most / MINUTE, most)
        place = network(address)
        self._wrong.take(place, now)
        if self._wrong.wait(place, now) > 0:
            self._shut[place] = now + MINUTE
            self._shut.move_to_end(place)
        while self._shut and (len(self._shut) > self._keys or next(iter(self._shut.values())) <= now):
            self._shut.popitem(last=False)
