"""The exchange in docs/protocol/controller.md is what is said."""

from __future__ import annotations

from pathlib import Path

import orjson

from gameroom.wire.room_messages import Outgoing
from tests.referees.controller_world import ControllerCase

PAGE = Path(__file__).parents[2] / "docs" / "protocol" / "controller.md"


class ExchangeTests(ControllerCase):
    def test_exchange(self) -> None:
        """Each line, byte for byte: what the page says player 1 hears is what player 1 hears when it says what the page says."""
        lines = PAGE.read_text("utf-8").partition("```text\n")[2].partition("```")[0].splitlines()
        said = [line[2:] for line in lines if line.startswith("→")]
        heard: list[str] = []
        connection = self.ada.somebody.connection
        # The host has heard two rosters by now, and has answered neither: that is what is left out.
        self.ada.read()
        deliver = connection.deliver

        def note(outgoing: Outgoing) -> None:
            deliver(outgoing)
            if b'"type":"players"' not in outgoing.data:
                heard.append(outgoing.data.decode())

        self.patch(connection, "deliver", note)
        self.bob.do("join")
        for line in said:
            self.ada.somebody.conversation.text(line.encode())
            while came := connection.take():
                for message in came:
                    if message["type"] == "players" and "id" in message:
                        self.ada.somebody.say("ack", reply_to=message["id"])
        self.assertEqual(heard, [line[2:] for line in lines if line.startswith("←")])
        self.assertTrue(all(orjson.loads(line) for line in said))
