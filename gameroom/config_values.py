"""What each value that an operator sets may be: one check for each sort of value.

A check takes what stands in the file, the environment or an option, and gives the value as it is used, or raises `ConfigError`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit


class ConfigError(Exception):
    """A setting that cannot be used, in one line for the operator."""


def a_text(value: Any) -> str:
    """A string on one line that is not empty."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ConfigError("must be text on one line")
    return value


def an_endpoint(value: Any) -> tuple[str, ...]:
    """The endpoint strings of one door; none where it is `off`."""
    strings = tuple(a_text(value).split())
    if strings == ("off",):
        return ()
    for string in strings:
        if not re.match(r"[a-z][a-z0-9]*:", string):
            raise ConfigError(f"{string!r} is no endpoint; write one as tcp:7000, several separated by spaces, or off")
    return strings


def a_database(value: Any) -> str:
    """A database's URL."""
    text = a_text(value)
    if not re.match(r"sqlite:.|postgres(ql)?://.", text):
        raise ConfigError("must be sqlite:<path> or postgresql://user@host/db")
    return text


def a_host(value: Any) -> str:
    """What clients connect to: a name, an IPv4 address, or an IPv6 address in brackets."""
    text = a_text(value)
    if not re.fullmatch(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", text):
        raise ConfigError(f"{text!r} is no host name; write it without scheme, port and path")
    return text


def an_origin(value: Any) -> str:
    """Scheme, host and port of a web site, without anything after it."""
    text = a_text(value).removesuffix("/")
    try:
        url = urlsplit(text)
        good = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        good = False
    if not good or url.path or url.query or url.fragment or url.username is not None:
        raise ConfigError(f"{text!r} must be a scheme, a host and perhaps a port, as https://play.example:8443")
    return text


def origins(value: Any) -> tuple[str, ...]:
    """A list of web sites."""
    return tuple(an_origin(one) for one in a_list(value))


def proxies(value: Any) -> tuple[str, ...]:
    """A list of IP addresses and networks; `unix` stands for peers on Unix sockets."""
    found = tuple(a_text(one) for one in a_list(value))
    for one in found:
        try:
            if one != "unix":
                ip_network(one, strict=False)
        except ValueError as error:
            raise ConfigError(f"{one!r} is no IP address or network, as 10.0.0.1 or 10.0.0.0/8") from error
    return found


def client_endpoints(value: Any) -> tuple[str, ...]:
    """Where services are that run elsewhere, each as Twisted's client endpoints are written."""
    return tuple(a_text(one) for one in a_list(value))


def a_folder(value: Any) -> str:
    """A folder; empty for none."""
    return "" if value == "" else a_text(value)


def a_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigError('must be a list, as ["one", "another"]')
    return value


def a_flag(value: Any) -> bool:
    """True or false; in the environment 1, true, yes, on and 0, false, no, off, or nothing."""
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off", ""):
        return False
    raise ConfigError("must be true or false")


def seconds(value: Any) -> float:
    """A time that is not negative; fractions are fine."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e10:
        raise ConfigError("must be a number of seconds, as 30 or 0.5")
    return float(value)


def an_interval(value: Any) -> float:
    """A number of seconds between two things that are done again and again."""
    every = seconds(value)
    if every < 0.05:
        raise ConfigError("must be at least 0.05 seconds")
    return every


def ports(value: Any) -> tuple[int, int]:
    """A range of ports, as "20000-20999"."""
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", a_text(value), re.ASCII)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 0 < first <= last < 1 << 16:
        raise ConfigError('must be a range of ports, as "20000-20999"')
    return first, last


def an_interface(value: Any) -> str:
    """An IP address of this machine; empty for all of them."""
    if value == "":
        return ""
    try:
        return str(ip_address(a_text(value)))
    except ValueError as error:
        raise ConfigError(f'{value!r} is no IP address of this machine, as 192.0.2.1; "" stands for all of them') from error


def whole(least: int, most: int = 1 << 53) -> Callable[[Any], int]:
    """A whole number between two bounds, both included."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            at_most = f" and at most {most}" if most < 1 << 53 else ""
            raise ConfigError(f"must be a whole number of at least {least}{at_most}")
        return value

    return check


def one_of(*choices: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in choices:
            raise ConfigError("must be " + " or ".join(choices))
        return str(value)

    return check
