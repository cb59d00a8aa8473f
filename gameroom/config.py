"""What an operator sets: the table of options, and how a `Settings` comes out of options, environment, file and defaults.

An option beats the environment (`GAMEROOM_PUBLIC_HOST`), which beats the TOML file, which beats the default.
Whatever is wrong is one `ConfigError` of one line that says which value and what to do.
Nothing here looks at the process: the environment and the node's default name are arguments.
See docs/operations.md.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import attrs

from gameroom.config_values import (
    ConfigError,
    a_database,
    a_flag,
    a_folder,
    a_host,
    a_text,
    an_endpoint,
    an_interface,
    an_interval,
    an_origin,
    client_endpoints,
    one_of,
    origins,
    ports,
    proxies,
    seconds,
    whole,
)
from gameroom.settings import (
    AccountSettings,
    Limits,
    LockstepSettings,
    RoomSettings,
    SandboxSettings,
    ServerSettings,
    ServiceSettings,
    StoreSettings,
    WebSettings,
)


@attrs.frozen
class Option:
    """One row of the table of docs/operations.md."""

    name: str
    placeholder: str
    default: Any
    about: str
    check: Callable[[Any], Any]

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return "GAMEROOM_" + self.key.upper()

    @property
    def key(self) -> str:
        """Its name in `Settings`, and in the file as an alternative to `name`."""
        return self.name.replace("-", "_")


OPTIONS = (
    Option("config", "FILE", "", "TOML file with these options and more; etc/gameroom.toml has every key", a_text),
    Option("data", "DIR", "var", "folder of the database, recordings and all else that is kept", a_text),
    Option("database", "URL", "", "sqlite:<path> (default: in the data folder) or postgresql://user@host/db", a_database),
    Option("lobby", "ENDPOINTS", "tcp:7000", "where players' clients and telnet come in, or off", an_endpoint),
    Option("developer", "ENDPOINTS", "tcp:7001", "where game developers' clients and telnet come in, or off", an_endpoint),
    Option("game", "ENDPOINTS", "tcp:7002", "where native game clients come in, or off", an_endpoint),
    Option("web", "ENDPOINTS", "tcp:8080", "where browsers and REST clients come in, or off", an_endpoint),
    Option("admin", "ENDPOINTS", "tcp:9090:interface=127.0.0.1", "where operators look at health and metrics, or off", an_endpoint),
    Option("public-host", "NAME", "127.0.0.1", "what clients are told to connect to", a_host),
    Option("public-url", "URL", "", "scheme, host and port of the web door as browsers see it, behind a TLS proxy", an_origin),
    Option("json-log", "", False, "log JSON lines", a_flag),
    Option("node", "NAME", "", "this node's name among those that share a database (default: host name and pid)", a_text),
    Option("drain", "SECONDS", 30.0, "on SIGTERM wait so long for plays to end", seconds),
)


@attrs.frozen(kw_only=True)
class AdminSettings:
    """`[admin]`: what the admin door asks for as Bearer; nothing where it is empty."""

    token: str = ""


SECTIONS: Mapping[str, type[Any]] = {
    "accounts": AccountSettings,
    "limits": Limits,
    "rooms": RoomSettings,
    "lockstep": LockstepSettings,
    "store": StoreSettings,
    "sandbox": SandboxSettings,
    "server": ServerSettings,
    "service": ServiceSettings,
    "web": WebSettings,
    "admin": AdminSettings,
}

CHECKS: Mapping[tuple[str, str], Callable[[Any], Any]] = {
    ("accounts", "bcrypt_cost"): whole(4, 31),
    ("accounts", "hashing_threads"): whole(1, 64),
    ("lockstep", "journal"): one_of("async", "sync"),
    ("store", "reviews"): one_of("everyone", "players"),
    ("sandbox", "kind"): one_of("bubblewrap", "none"),
    ("sandbox", "direct_ports"): ports,
    ("sandbox", "direct_interface"): an_interface,
    ("sandbox", "programs"): whole(1, 100_000),
    ("server", "ping_interval"): an_interval,
    ("service", "allow"): client_endpoints,
    ("service", "timeout"): an_interval,
    ("service", "record"): a_folder,
    ("limits", "line_bytes"): whole(1024),
    ("limits", "unauthenticated_bytes"): whole(1024),
    ("limits", "queue_bytes"): whole(65536),
    ("web", "origins"): origins,
    ("web", "trusted_proxies"): proxies,
    ("admin", "token"): a_text,
}
"""Beside these a whole number is at least 1, and a number of seconds at least 0."""

DOORS_WITH_SECTION = ("web", "admin")
"""TOML has no room for both `web = "tcp:8080"` and `[web]`: where there is a section, its `endpoint` is the option."""


@attrs.frozen(kw_only=True)
class Settings:
    """All that is set. The doors' endpoint strings are empty where a door is off."""

    data: Path
    database: str
    lobby: tuple[str, ...]
    developer: tuple[str, ...]
    game: tuple[str, ...]
    web: tuple[str, ...]
    admin: tuple[str, ...]
    public_host: str
    public_url: str
    json_log: bool
    node: str
    drain: float
    config: Path | None = None
    accounts: AccountSettings = attrs.field(factory=AccountSettings)
    limits: Limits = attrs.field(factory=Limits)
    rooms: RoomSettings = attrs.field(factory=RoomSettings)
    lockstep: LockstepSettings = attrs.field(factory=LockstepSettings)
    store: StoreSettings = attrs.field(factory=StoreSettings)
    sandbox: SandboxSettings = attrs.field(factory=SandboxSettings)
    server: ServerSettings = attrs.field(factory=ServerSettings)
    service: ServiceSettings = attrs.field(factory=ServiceSettings)
    web_settings: WebSettings = attrs.field(factory=WebSettings)
    admin_token: str = ""


def read_settings(given: Mapping[str, Any], environ: Mapping[str, str], *, node: str) -> Settings:
    """The settings of a daemon; raises `ConfigError`.

    `given` has the options of the command line that were given, by name; `node` is the default of that option.
    """
    values = {option.key: option.check(option.default) if option.default else option.default for option in OPTIONS}
    told = {**_from_environment(environ), **_checked(given, "--{}")}
    path = Path(told["config"]).absolute() if told.get("config") else None
    in_file, sections = _from_file(path) if path else ({}, {})
    values |= in_file | told
    data = Path(values["data"]).absolute()
    settings = Settings(
        **{key: values[key] for key in ("lobby", "developer", "game", "web", "admin", "public_host", "public_url", "json_log", "drain")},
        data=data,
        database=values["database"] or f"sqlite:{data / 'gameroom.db'}",
        node=values["node"] or node,
        config=path,
        admin_token=sections.pop("admin", AdminSettings()).token,
        web_settings=sections.pop("web", WebSettings()),
        **sections,
    )
    if not settings.admin_token:
        for endpoint in settings.admin:
            if not is_local(endpoint):
                raise ConfigError(f"admin: {endpoint} can be reached from elsewhere; set [admin] token in the file, or add interface=127.0.0.1")
    return settings


def read_limits(settings: Settings) -> Limits:
    """The limits as they stand in the file now; raises `ConfigError`."""
    return _from_file(settings.config)[1].get("limits", Limits()) if settings.config else Limits()


def is_local(endpoint: str) -> bool:
    """Whether only this machine can reach an endpoint string."""
    kind, *arguments = [part.replace("\\", "") for part in re.split(r"(?<!\\):", endpoint)]
    if kind == "unix":
        return True
    # Of two the last counts, for Twisted too.
    interface = next((argument.removeprefix("interface=") for argument in reversed(arguments) if argument.startswith("interface=")), "")
    try:
        return kind in ("tcp", "tcp6", "ssl") and (interface == "localhost" or ip_address(interface).is_loopback)
    except ValueError:
        return False


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found = {option.name: environ[option.variable] for option in OPTIONS if option.variable in environ}
    return _checked(found, "{}", lambda option: option.variable)


def _checked(found: Mapping[str, Any], where: str, called: Callable[[Option], str] = lambda option: option.name) -> dict[str, Any]:
    return {option.key: _check(where.format(called(option)), option.check, found[option.name]) for option in OPTIONS if option.name in found}


def _check(where: str, check: Callable[[Any], Any], value: Any) -> Any:
    try:
        return check(value)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _from_file(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options and the sections of a file."""
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"--config: {path}: {error.strerror}; name a file that can be read") from error
    except ValueError as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}; see etc/gameroom.toml for how it is written") from error
    options: dict[str, Any] = {}
    sections: dict[str, Any] = {}
    for key, value in tree.items():
        if key in SECTIONS and isinstance(value, dict):
            if key in DOORS_WITH_SECTION and "endpoint" in value:
                options[key] = _check(f"{path}: [{key}] endpoint", an_endpoint, value.pop("endpoint"))
            sections[key] = _section(path, key, value)
            continue
        option = next((option for option in OPTIONS if key in (option.name, option.key)), None)
        if option is None or option.name == "config" or option.key in options:
            raise ConfigError(f"{path}: {_unknown(key, list(dict.fromkeys([*(option.name for option in OPTIONS[1:]), *SECTIONS])), option)}")
        options[option.key] = _check(f"{path}: {key}", option.check, value)
    return options, sections


def _section(path: Path, name: str, table: Mapping[str, Any]) -> Any:
    """One `[section]` as its class of values."""
    fields = {field.name: field for field in attrs.fields(SECTIONS[name])}
    for key in table:
        if key not in fields:
            known = [*fields, "endpoint"] if name in DOORS_WITH_SECTION else list(fields)
            raise ConfigError(f"{path}: [{name}] {_unknown(key, known)}")
    return SECTIONS[name](**{key: _check(f"{path}: [{name}] {key}", _check_of(name, fields[key]), value) for key, value in table.items()})


def _check_of(section: str, field: attrs.Attribute[Any]) -> Callable[[Any], Any]:
    return CHECKS.get((section, field.name)) or (whole(1) if str(field.type) == "int" else seconds)


def _unknown(key: str, known: list[str], option: Option | None = None) -> str:
    if option is not None:
        return f"{key}: not possible here" if option.name == "config" else f"{key}: is there twice"
    near = difflib.get_close_matches(key, known, 1)
    return f"{key}: unknown key; " + (f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}")
