"""How much is too much: token buckets, one or many, and the limits of log-ins.

`now` is in seconds, of any clock that does not run backwards by much.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from ipaddress import IPv6Address, ip_address
from math import ceil

from gameroom.errors import RateLimited

KEYS = 65536
MINUTE = 60.0
PER_ADDRESS = 4
"""An address may try this many times what an account may."""
HELLOS_A_MINUTE = 10
STORM = 10
"""So many times the limit of messages is a storm."""


class TokenBucket:
    """Holds up to `burst` and is filled by `rate` a second. It is made full."""

    __slots__ = ("_burst", "_level", "_rate", "_since")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._level, self._since = burst, float("-inf")

    def take(self, now: float, n: float = 1) -> bool:
        """Take `n`; False, and nothing is taken, where there is not that much."""
        self._fill(now)
        if self._level < n:
            return False
        self._level -= n
        return True

    def wait(self, now: float, n: float = 1) -> float:
        """In how many seconds `n` can be taken; 0 for at once. More than the burst never can: infinity."""
        self._fill(now)
        if self._level >= n:
            return 0.0
        if n > self._burst or self._rate <= 0:
            return float("inf")
        return (n - self._level) / self._rate

    def is_full(self, now: float) -> bool:
        self._fill(now)
        return self._level >= self._burst

    def change(self, rate: float, burst: float) -> None:
        """Go on with other limits; what was used stays used."""
        self._level = max(0.0, self._level + burst - self._burst)
        self._rate, self._burst = rate, burst

    def _fill(self, now: float) -> None:
        if now > self._since:
            if self._level < self._burst:
                self._level = min(self._burst, self._level + (now - self._since) * self._rate)
            self._since = now
        elif now < self._since:
            # The wall clock was set back: go on from there, else nothing would flow until it has caught up.
            self._since = now


class KeyedBuckets:
    """A bucket for each key, for at most `keys` of them: full buckets are forgotten first, then those used longest ago."""

    def __init__(self, rate: float, burst: float, keys: int = KEYS) -> None:
        self._rate, self._burst, self._keys = rate, burst, keys
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, now: float, n: float = 1) -> bool:
        """Take `n` of the key's; False, and nothing is taken, where there is not that much."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst)
        self._buckets.move_to_end(key)
        taken = bucket.take(now, n)
        self._tidy(now)
        return taken

    def wait(self, key: Hashable, now: float, n: float = 1) -> float:
        """In how many seconds `n` of the key's can be taken; 0 for at once."""
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else bucket.wait(now, n)

    def change(self, rate: float, burst: float) -> None:
        """Go on with other limits."""
        if (rate, burst) != (self._rate, self._burst):
            self._rate, self._burst = rate, burst
            for bucket in self._buckets.values():
                bucket.change(rate, burst)

    def _tidy(self, now: float) -> None:
        # Those used longest ago come first; two a call keep up with one new key a call.
        for _ in range(2):
            key, bucket = next(iter(self._buckets.items()))
            if len(self._buckets) > self._keys or bucket.is_full(now):
                del self._buckets[key]
            if not self._buckets:
                return


class Shares:
    """How many of something each address has at a time. Nothing is counted for an empty address."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def of(self, address: str) -> int:
        return self._counts.get(address, 0)

    def enter(self, address: str, most: int) -> bool:
        """One more; False, and nothing is counted, where that would be more than `most`."""
        if not address:
            return True
        count = self.of(address)
        if count >= most:
            return False
        self._counts[address] = count + 1
        return True

    def leave(self, address: str) -> None:
        """One of those that came in is gone."""
        if address:
            count = self._counts.pop(address) - 1
            if count:
                self._counts[address] = count


class Flood:
    """How much one member has said lately, over all its connections. `rate` is in messages a second; three times that may come at once."""

    __slots__ = ("_buckets", "_hellos", "_rate", "storms")

    def __init__(self, rate: float) -> None:
        self.storms = False
        """Whether what was counted last was too much for a storm, too."""
        self._rate = rate
        self._buckets: tuple[TokenBucket, TokenBucket] | None = None
        """For messages and for a storm of them; none for those who only listen."""
        self._hellos = TokenBucket(HELLOS_A_MINUTE / MINUTE, HELLOS_A_MINUTE)

    def count(self, now: float, messages: float = 1) -> None:
        """Count a message, or one that is as many. Raises `RateLimited`."""
        rate = self._rate
        if self._buckets is None:
            self._buckets = TokenBucket(rate, 3 * rate), TokenBucket(STORM * rate, 3 * STORM * rate)
        calm, storm = self._buckets
        # The largest there is may be said now and then, however few messages are allowed.
        messages = min(messages, 3 * rate)
        self.storms = not storm.take(now, messages)
        if not calm.take(now, messages):
            raise too_many("you are sending too much; this message was left out", calm.wait(now, messages))

    def count_hello(self, now: float) -> None:
        """Count a `hello` that brings history. Raises `RateLimited`."""
        if not self._hellos.take(now):
            raise too_many("you say hello too often; wait a little", self._hellos.wait(now))


class LoginTries:
    """Log-in tries a minute: so many for each account, four times that for each address. Registering counts to the address."""

    def __init__(self) -> None:
        self._accounts = KeyedBuckets(0.0, 0.0)
        self._addresses = KeyedBuckets(0.0, 0.0)

    def count(self, now: float, tries: int, address: str, account: Hashable | None = None) -> None:
        """Count one try. Raises `RateLimited`."""
        self._accounts.change(tries / MINUTE, tries)
        self._addresses.change(PER_ADDRESS * tries / MINUTE, PER_ADDRESS * tries)
        place = network(address)
        if not self._addresses.take(place, now):
            raise too_many("too many tries from your address; wait a little", self._addresses.wait(place, now))
        if account is not None and not self._accounts.take(account, now):
            raise too_many("too many tries for this account; wait a little", self._accounts.wait(account, now))


def too_many(message: str, wait: float) -> RateLimited:
    """The error of a bucket that is empty for `wait` seconds, told in tenths and never too short."""
    return RateLimited(message, retry_after=ceil(min(wait, MINUTE) * 10) / 10)


def network(address: str) -> str:
    """What counts as one address: an IPv4 address, also one written as IPv6, or the /64 that an IPv6 host can choose from."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> 64 << 64)) + "/64"
    return str(parsed)
