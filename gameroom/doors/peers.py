"""Who is at the other end of a connection, and how many connections each address has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from sys import intern
from typing import Any

from gameroom.rules.limits import network

UNIX = "unix"
"""The address of a peer on a Unix socket, and the word that trusts such peers as proxies."""


def address_of(peer: Any) -> str:
    """The host of an `IAddress`; a Unix socket's peers are all one address."""
    return str(getattr(peer, "host", UNIX))


class TrustedProxies:
    """The proxies whose word on their clients' addresses counts.

    `entries` are addresses or networks, as `10.0.0.1` and `10.0.0.0/8`, and `unix`. Raises `ValueError` for anything else.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        wanted = tuple(entries)
        self._unix = UNIX in wanted
        self._networks: list[IPv4Network | IPv6Network] = [ip_network(entry, strict=False) for entry in wanted if entry != UNIX]

    def trusts(self, address: str) -> bool:
        if address == UNIX:
            return self._unix
        if not self._networks:
            return False
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """The address that limits count for: the last of X-Forwarded-For that no trusted proxy wrote about itself.

        `forwarded` are the header's values in the order they came.
        An entry that is no address ends the search: what stands before it could be anybody's invention.
        """
        client = peer
        for entry in reversed([part.strip() for value in forwarded for part in value.split(",")]):
            if not self.trusts(client):
                break
            try:
                client = str(ip_address(entry))
            except ValueError:
                break
        return client


class PeerCount:
    """Connections by address, with a limit that is read anew for each connection."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._counts: dict[str, int] = {}

    def enter(self, address: str) -> Callable[[], None] | None:
        """Count one more connection; gives what to call when it is gone, or None where there are too many."""
        place = intern(network(address))
        count = self._counts.get(place, 0)
        if count >= self._limit():
            return None
        self._counts[place] = count + 1
        return _Place(self._counts, place)


class _Place:
    """One connection that is counted. Calling it ends that, once."""

    __slots__ = ("_counts", "_of")

    def __init__(self, counts: dict[str, int], of: str) -> None:
        self._counts: dict[str, int] | None = counts
        self._of = of

    def __call__(self) -> None:
        counts, self._counts = self._counts, None
        if counts is None:
            return
        left = counts[self._of] - 1
        if left:
            counts[self._of] = left
        else:
            del counts[self._of]
