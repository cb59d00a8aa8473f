"""Who calls, and by which URL they know us."""

from __future__ import annotations

from urllib.parse import urlsplit

from twisted.web.server import Request

from gameroom.doors.peers import TrustedProxies, address_of
from gameroom.doors.web.calls import header
from gameroom.doors.web.policy import is_host
from gameroom.settings import Addresses

_LOOPBACK = {"127.0.0.1", "localhost", "::1", "[::1]"}


class Callers:
    """Who calls, and by which URL they know us."""

    def __init__(self, addresses: Addresses, proxies: TrustedProxies) -> None:
        self._addresses = addresses
        self._proxies = proxies

    def address(self, request: Request) -> str:
        """The address that limits count for."""
        forwarded = [value.decode("latin-1") for value in request.requestHeaders.getRawHeaders(b"X-Forwarded-For") or []]
        return self._proxies.client(address_of(request.getClientAddress()), forwarded)

    def base(self, request: Request) -> str:
        """Scheme, host and port for links that this caller shall follow.

        What the operator says is told. Where that is no more than the loopback, a phone in the same network would be sent to itself:
        then it is the host that the caller has used.
        """
        host = header(request, "host")
        if self._addresses.public_url or self._addresses.public_host not in _LOOPBACK or not is_host(host):
            return self._addresses.web_url
        return f"{'https' if request.isSecure() else 'http'}://{host}"

    def hosts(self, request: Request) -> tuple[str, ...]:
        """With their ports, the hosts that a policy for this caller's browser names."""
        used, told = header(request, "host"), urlsplit(self.base(request)).netloc
        return (told, used) if used != told and is_host(used) else (told,)
