"""The declarations of our Protocol Buffers, for who compiles them or gives them to a library."""

from __future__ import annotations

from pathlib import Path

from gameroom import wire
from tests.doors.web.test_routes_rooms import RoomCase


class ProtoTests(RoomCase):
    def test_files(self) -> None:
        """Each is served as it comes with the package, as text that a browser shows."""
        for name in ("game.proto", "game_port.proto"):
            response = self.world.ask("GET", f"/{name}")
            self.assertEqual((response.status, response.headers["content-type"]), (200, "text/plain; charset=utf-8"))
            self.assertEqual(response.body, (Path(wire.__file__).parent / name).read_bytes())
