"""The values that an operator may set, with their defaults.

They stand beside the stairs, since every floor may be handed some of them.
`gameroom.config` reads them from the options, the environment and the file.
All times are in seconds and all sizes in bytes.
"""

from __future__ import annotations

import attrs

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@attrs.frozen(kw_only=True)
class Limits:
    """The `[limits]` of the configuration; what happens past each is in docs/operations.md."""

    line_bytes: int = 512 * KIB
    service_message_bytes: int = 16 * MIB
    websocket_message_bytes: int = 1 * MIB
    websocket_fragments: int = 64
    unauthenticated_seconds: float | None = None
    """In all, for each connection; without a value 60 s on JSON lines and 10 s elsewhere."""
    unauthenticated_tries: int = 3
    unauthenticated_bytes: int = 16 * KIB
    http_body_bytes: int = 2 * MIB
    connections_per_address: int = 256
    queue_bytes: int = 4 * MIB
    bundle_bytes: int = 256 * MIB
    bundle_unpacked_bytes: int = 1 * GIB
    bundle_files: int = 10_000
    members_per_room: int = 256
    login_tries: int = 10
    messages_per_second: int = 100
    code_misses: int = 20
    rooms_per_address: int = 256


@attrs.frozen(kw_only=True)
class RoomSettings:
    """`[rooms]`."""

    reconnect_window: float = 60.0
    room_ttl: float = 120.0


@attrs.frozen(kw_only=True)
class LockstepSettings:
    """`[lockstep]`."""

    lag_after: float = 1.0
    drop_after: float = 60.0
    journal: str = "async"
    keep_recordings: float = 30 * 86400.0
    recording_bytes: int = 4 * GIB


@attrs.frozen(kw_only=True)
class AccountSettings:
    """`[accounts]`."""

    bcrypt_cost: int = 12
    session_seconds: float = 30 * 86400.0
    hashing_threads: int = 2
    hashing_queue: int = 64


@attrs.frozen(kw_only=True)
class StoreSettings:
    """`[store]`: who may review a game (`everyone` with an account, or only its `players`), and how long an unfinished upload is kept."""

    reviews: str = "everyone"
    keep_uploads: float = 86400.0


@attrs.frozen(kw_only=True)
class SandboxSettings:
    """`[sandbox]`: how games' programs are run, and where those listen that clients connect to themselves."""

    kind: str = "bubblewrap"
    """`bubblewrap`, or `none`: with all that the daemon's user may do."""
    direct_ports: tuple[int, int] = (20000, 20999)
    """The first and the last."""
    direct_interface: str = ""
    """The address of this machine that those ports are opened on; all of them where it is empty."""
    programs: int | None = None
    """How many may run at a time; without a value one for each 128 MiB of the machine's memory."""


@attrs.frozen(kw_only=True)
class ServerSettings:
    """`[server]`: how often a GameServer is asked whether it lives."""

    ping_interval: float = 10.0


@attrs.frozen(kw_only=True)
class ServiceSettings:
    """`[service]`: micro game services."""

    allow: tuple[str, ...] = ()
    """The client endpoints of services elsewhere that bundles may name, each exactly as it stands there."""
    timeout: float = 5.0
    """An update that is not answered for so long is sent again."""
    retry_for: float = 60.0
    """After so long without an answer the room is paused, and its members are told."""
    record: str = ""
    """A folder into which every update is written with its answer; empty for none (docs/protocol/game-service.md)."""


@attrs.frozen(kw_only=True)
class WebSettings:
    """`[web]`: origins that may use the web door beside its own, and proxies whose forwarded address counts."""

    origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()


@attrs.define(kw_only=True)
class Addresses:
    """What clients are told to connect to. The ports are filled in once the doors listen."""

    public_host: str = "127.0.0.1"
    public_url: str = ""
    """Scheme, host and port of the web door as browsers see it, without a slash at the end."""
    web_port: int = 8080
    game_port: int = 7002

    @property
    def web_url(self) -> str:
        return self.public_url or f"http://{self.public_host}:{self.web_port}"

    def join_url(self, room_id: str) -> str:
        return f"{self.web_url}/join/{room_id}"

    def socket_url(self, room_id: str) -> str:
        """The ws: or wss: URL of a room."""
        return "ws" + self.web_url.removeprefix("http") + f"/socket/{room_id}"

    def played_at(self, hosting: str) -> tuple[str, int]:
        """`(game_host, game_port)` of the door where a room of this hosting kind is played."""
        return self.public_host, self.game_port if hosting == "server" else self.web_port
