"""How a server is named: `host`, `host:port`, `[::1]:port`, or a Twisted client endpoint string such as `tls:host:port`."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Any, Final

from twisted.internet.endpoints import HostnameEndpoint, clientFromString
from twisted.internet.interfaces import IStreamClientEndpoint

HOST: Final = "127.0.0.1"
LOBBY_PORT: Final = 7000
DEVELOPER_PORT: Final = 7001

_NAMED: Final = re.compile(r"(?P<host>[^:\[\]/=\\\s]+|\[[0-9A-Fa-f:.%]+\])(?::(?P<port>[0-9]{1,5}))?")


def address_of(text: str, default_port: int) -> tuple[str, int] | None:
    """Host and port that `text` names; None for an endpoint string. Raises `ValueError`, in words, where it names nothing."""
    if _is_ipv6(text):
        return text, default_port
    named = _NAMED.fullmatch(text)
    if named is None:
        if ":" not in text or text.startswith("["):
            raise ValueError(f"{text!r} names no server; write host, host:port, [::1]:port or an endpoint such as tls:host:port")
        return None
    port = int(named["port"] or default_port)
    if not 0 < port < 65536:
        raise ValueError(f"{port} is no port; ports are 1 to 65535")
    return named["host"].strip("[]"), port


def endpoint_of(text: str, default_port: int, reactor: Any) -> IStreamClientEndpoint:
    """Where to connect. Raises `ValueError`, in words, where `text` names nothing."""
    address = address_of(text, default_port)
    if address is not None:
        return HostnameEndpoint(reactor, *address)
    try:
        endpoint: IStreamClientEndpoint = clientFromString(reactor, text)
    except Exception as error:
        # Each kind of endpoint reads its own arguments, and fails in its own way.
        raise ValueError(f"{text!r} names no server: {error}; write host, host:port, [::1]:port or an endpoint such as tls:host:port") from None
    return endpoint


def name_of(text: str, default_port: int) -> str:
    """One name for one server, however it is written. Raises `ValueError`."""
    address = address_of(text, default_port)
    if address is None:
        return text
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host.lower()}:{port}"


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text.partition("%")[0])
    except ValueError:
        return False
    return True
