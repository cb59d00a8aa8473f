"""The menus, against a real lobby in memory, with somebody who types lines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from gameroom.cli import play_screens
from gameroom.cli.play import visit
from gameroom.cli.play_link import Link
from gameroom.cli.play_menu import REDRAWN_AFTER
from gameroom.cli.play_terminal import Left
from gameroom.client.lobby import LobbyClient
from gameroom.client.stream import ConnectionFailed
from tests.cli.play_world import GAME_TOML, PASSWORD, SERVER, PlayCase
from tests.doors.lobby_world import Peer


class Person:
    """Stands for a terminal. What is shown is in `out`; `notes` came above what is being typed."""

    def __init__(self, interactive: bool = True) -> None:
        self.interactive = interactive
        self.out = StringIO()
        self.prompts: list[str] = []
        self.notes: list[str] = []
        self.opened = 0
        self.lent_out = 0
        self.screens = 0
        self._asked: Deferred[str] | None = None
        self.size: os.terminal_size | None = None

    def open(self) -> None:
        self.opened += 1

    def close(self) -> None:
        self.opened -= 1

    @contextmanager
    def lent(self) -> Iterator[None]:
        self.lent_out += 1
        yield

    @property
    def asking(self) -> bool:
        return self._asked is not None

    def ask(self, prompt: str, *, hidden: bool = False) -> Deferred[str]:
        self.prompts.append(prompt + ("(hidden)" if hidden else ""))
        self._asked = Deferred()
        return self._asked

    def draw(self, drawing: Callable[[], None]) -> None:
        self.screens += 1
        self.out.truncate(0)
        self.out.seek(0)
        with redirect_stdout(self.out):
            drawing()

    def note(self, text: str) -> None:
        self.notes.append(text)

    def type(self, line: str | None) -> None:
        asked, self._asked = self._asked, None
        assert asked is not None, "nobody asks"
        if line is None:
            asked.errback(Left())
        else:
            asked.callback(line)


class MenuCase(PlayCase):
    def setUp(self) -> None:
        super().setUp()
        self.person = Person()
        self.visiting: Deferred[None] | None = None

    def visit(self) -> None:
        link = Link(world=self.world, server="127.0.0.1", as_json=False)
        terminal: Any = self.person
        self.visiting = Deferred.fromCoroutine(visit(link, self.reactor, terminal, self.folder / "downloads"))
        self.addCleanup(self.leave, self.visiting)
        self.flush()

    def leave(self, visiting: Deferred[None]) -> None:
        """Who is still there at the end of a test goes, as by Ctrl-C, and gives the terminal back."""
        visiting.addErrback(lambda failure: failure.trap(CancelledError, ConnectionFailed) and None)
        visiting.cancel()
        self.flush()
        self.successResultOf(visiting)
        self.assertEqual(self.person.opened, 0)

    def type(self, *lines: str | None) -> str:
        """Type lines, each once the former is done; what is on the screen then."""
        for line in lines:
            self.person.type(line)
            self.flush()
        return self.person.out.getvalue()

    def logged_in(self) -> str:
        self.done("register", "ann")
        self.visit()
        return self.person.out.getvalue()

    def bob(self) -> Peer:
        return self.lobby.peer("bob")

    def later(self) -> str:
        """What is on the screen after the pushes of a moment."""
        self.flush()
        self.lobby.clock.advance(1)
        self.flush()
        self.reactor.advance(REDRAWN_AFTER)
        self.flush()
        return self.person.out.getvalue()

    @property
    def client(self) -> Any:
        return self.linked[-1].pump.client

    def over(self) -> None:
        assert self.visiting is not None
        self.successResultOf(self.visiting)
        self.assertEqual(self.person.opened, 0)


class EntranceTests(MenuCase):
    def test_register(self) -> None:
        """Name, and the password twice; the session is kept, the terminal given back."""
        self.visit()
        shown = self.type("2", "ann", PASSWORD, PASSWORD)
        self.assertEqual(self.person.prompts[1:4], ["Username: ", "Password: (hidden)", "Password, once more: (hidden)"])
        self.assertIn("you are ann, 1 online", shown)
        self.assertEqual(self.sessions.get("player", SERVER).username, "ann")  # type: ignore[union-attr]
        self.type("quit")
        self.over()

    def test_a_wrong_password(self) -> None:
        """It is said, and asked again."""
        self.done("register", "ann")
        self.done("logout")
        self.visit()
        self.type("1", "ann", "wrong horse")
        self.assertIn("1 log in", self.person.prompts[-1])
        with redirect_stderr(StringIO()) as said:
            self.type("what?")
        self.assertEqual(said.getvalue(), "Type 1, 2 or quit.\n")
        self.type("2", "ann2", PASSWORD, "other horse")
        self.assertIn("1 log in", self.person.prompts[-1])
        self.assertIn("you are ann", self.type("1", "ann", PASSWORD))

    def test_leaving_at_once(self) -> None:
        self.visit()
        self.type("quit")
        self.over()

    def test_the_kept_session(self) -> None:
        """It is taken up; one that is over asks for the password."""
        self.assertIn("you are ann", self.logged_in())
        self.type(None)
        self.over()
        self.lobby.peer().ok("LOGIN_PLAYER", username="ann", password=PASSWORD)
        self.visit()
        self.assertIn("1 log in", self.person.prompts[-1])

    def test_superseded_meanwhile(self) -> None:
        """The next thing that is done asks for the password, and then goes on where it was."""
        self.logged_in()
        self.type("players")
        self.lobby.peer().ok("LOGIN_PLAYER", username="ann", password=PASSWORD)
        self.type("")
        self.assertIn("1 log in", self.person.prompts[-1])
        self.assertIn("Players", self.type("1", "ann", PASSWORD))

    def test_log_out(self) -> None:
        """And somebody else."""
        self.logged_in()
        self.type("logout")
        self.assertIsNone(self.sessions.get("player", SERVER))
        self.assertIn("you are bea", self.type("2", "bea", PASSWORD, PASSWORD))

    def test_a_lost_connection(self) -> None:
        """It is told at once; Enter goes on, and another tries again as long as nobody is there."""
        self.logged_in()
        self.client.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.person.notes, ["the connection was lost; Enter goes on"])
        self.down = True
        self.type("", "")
        self.assertIn("Enter connects again", self.person.prompts[-1])
        self.down = False
        self.assertIn("you are ann", self.type(""))
        self.type(None)
        self.over()

    def test_a_lost_connection_with_nobody_there(self) -> None:
        """Where lines are read from a file the program ends."""
        self.person.interactive = False
        self.logged_in()
        self.client.connectionLost(Failure(ConnectionLost()))
        self.type("games")
        assert self.visiting is not None
        self.failureResultOf(self.visiting, ConnectionFailed)
        self.assertEqual(self.person.opened, 0)

    def test_no_server(self) -> None:
        """The terminal is given back."""
        self.down = True
        self.visit()
        assert self.visiting is not None
        self.failureResultOf(self.visiting, ConnectionFailed)
        self.assertEqual(self.person.opened, 0)


class ScreenTests(MenuCase):
    def test_numbers_and_words(self) -> None:
        """A number, a word, or how it begins; anything else is told."""
        self.logged_in()
        self.assertIn("Games\n", self.type("1"))
        self.assertIn("you are ann", self.type("back"))
        self.assertIn("Players\n", self.type("pl"))
        self.assertIn("you are ann", self.type("1"))
        self.assertIn("'p' is nothing that can be done here", self.type("p"))
        self.assertIn("there is no 99 here", self.type("99"))
        self.assertNotIn("99", self.type(""))
        self.assertIn("'\\x1b' is nothing", self.type("\x1b"))

    def test_a_game(self) -> None:
        """Its details, a review and what others say, and a download."""
        self.logged_in()
        self.assertIn("Join the dots.", self.type("games", "1"))
        self.assertIn("Your review is there.", self.type("review", "4", "Good."))
        self.assertIn("★★★★☆  ann, 2023", self.type("reviews"))
        self.assertIn("a score is 1 to 5", self.type("back", "review", "9"))
        self.assertIn("Dots 1.0.0 is downloaded", self.type("download"))
        self.assertIn("was there already", self.type("download 1.0.0"))
        self.assertIn("there is no 2 here", self.type("back", "2"))

    def test_more_games_than_lines(self) -> None:
        """A page is what the terminal has room for; numbers go on from page to page, and a game that was left is on the page that was left."""
        for number in range(6):
            self.ship(f"Game{number}", GAME_TOML, **{"client.py": "", "engine.js": ""})
        self.logged_in()
        self.person.size = os.terminal_size((80, 17))
        shown = self.type("games")
        self.assertEqual([number for number in range(1, 8) if f"\n {number}  " in shown], [1, 2, 3, 4, 5])
        self.assertIn("more      those behind 5, of 7", shown)
        self.assertNotIn("earlier", shown)
        shown = self.type("more")
        self.assertEqual([number for number in range(1, 8) if f"\n {number}  " in shown], [6, 7])
        self.assertNotIn("more ", shown)
        self.assertIn("players  up to", self.type("7"))
        self.assertEqual(self.type("back"), shown)
        self.assertIn("\n 1  ", self.type("earlier"))
        self.person.size = None
        self.assertIn("\n 7  ", self.type(""))

    def test_more_reviews(self) -> None:
        """A page at a time, to the oldest and back."""
        self.patch(play_screens, "_REVIEWS", 2)
        self.logged_in()
        [game] = self.said("games")
        for name in ("bob", "cat", "dan"):
            self.lobby.peer(name).ok("ADD_REVIEW", game_id=game["game_id"], score=4, comment="")
        shown = self.type("games", "1", "reviews")
        self.assertTrue("dan" in shown and "cat" in shown and "bob" not in shown, shown)
        shown = self.type("more")
        self.assertTrue("bob" in shown and "cat" not in shown and "more " not in shown, shown)
        self.assertIn("dan", self.type("earlier"))

    def test_a_narrow_terminal(self) -> None:
        """What may be chosen is wrapped between words."""
        self.person.size = os.terminal_size((40, 24))
        shown = self.logged_in()
        self.assertIn("  2  rooms     who plays, and where a\n               seat is free\n", shown)

    def test_a_room(self) -> None:
        """Somebody comes in and speaks: the screen is another one, and the message that was typed is theirs."""
        self.logged_in()
        shown = self.type("games", "1", "create")
        self.assertIn("0  ann (host)", shown)
        bob = self.bob()
        [room] = bob.ok("LIST_ROOMS")["rooms"]
        bob.ok("JOIN_ROOM", room_id=room["room_id"])
        self.assertIn("1  bob", self.later())
        bob.ok("CHAT", room_id=room["room_id"], text="hello ann")
        self.assertIn("bob: hello ann", self.later())
        self.assertIn("ann: hi", self.type("chat hi"))
        self.type("kick bob")
        self.assertNotIn("1  bob", self.later())
        self.assertIn("Join the dots.", self.type("leave"))
        self.assertEqual(bob.ok("LIST_ROOMS")["rooms"], [])

    def test_many_pushes_are_one_drawing(self) -> None:
        """What comes while it is asked for is drawn after it."""
        self.logged_in()
        self.type("rooms")
        before = self.person.screens
        for number in range(5):
            self.lobby.room(self.lobby.peer(f"somebody{number}"))
        self.assertIn("somebody4", self.later())
        self.assertEqual(self.person.screens, before + 1)

    def test_other_pushes_draw_nothing(self) -> None:
        """A list of games is the same whoever comes."""
        self.logged_in()
        self.type("games")
        before = self.person.screens
        self.bob()
        self.later()
        self.assertEqual(self.person.screens, before)

    def test_not_redrawn_without_a_terminal(self) -> None:
        """Lines that are read by a program come when it has asked."""
        self.person.interactive = False
        self.logged_in()
        self.type("rooms")
        before = self.person.screens
        self.lobby.room(self.bob())
        self.later()
        self.assertEqual(self.person.screens, before)
        self.assertIn("bob", self.type(""))

    def test_rooms(self) -> None:
        """A number takes a seat, so does a party code; the way home leads back to it."""
        self.logged_in()
        self.assertIn("There is no room", self.type("rooms"))
        bob = self.bob()
        room_id = self.lobby.room(bob)
        code = bob.ok("GET_ROOM", room_id=room_id)["room"]["party_code"]
        self.assertIn("Dots", self.later())
        self.assertIn("1  ann", self.type("1"))
        self.assertIn("myroom", self.type("back", "back"))
        self.assertIn("1  ann", self.type("myroom"))
        self.type("leave")
        self.assertIn("1  ann", self.type(f"party {code.lower()}"))
        self.assertIn("no party", self.type("leave", "party", "BCDFGH"))

    def test_sent_away(self) -> None:
        """Whoever is no longer in the room is told, and is back where they were."""
        self.logged_in()
        bob = self.bob()
        room_id = self.lobby.room(bob)
        self.later()
        self.type("rooms", "1")
        bob.ok("KICK", room_id=room_id, player="ann")
        self.later()
        self.assertEqual(self.person.notes, ["You are no longer in the room."])
        self.assertIn("Rooms\n", self.type(""))
        self.assertIn("You are no longer in the room.", self.person.out.getvalue())

    def test_a_room_that_is_gone(self) -> None:
        self.logged_in()
        self.type("games", "1", "create")
        self.done("leave")
        self.later()
        self.assertIn("The room is gone.", self.person.notes)


class PlayingTests(MenuCase):
    def start(self) -> None:
        """Two in a room of a game with a program of its own."""
        game_id = self.dice_of_lobby()
        self.logged_in()
        peer = self.bob()
        room_id = str(peer.ok("CREATE_ROOM", game_id=game_id)["room_id"])
        self.type("rooms", "1")
        self.assertNotIn("start ", self.person.out.getvalue())
        peer.ok("START_ROOM", room_id=room_id)
        self.assertIn("The play has begun", self.later())

    def dice_of_lobby(self) -> str:
        self.done("register", "maker")
        game_id = self.dice()
        self.done("logout")
        return game_id

    def test_the_games_program(self) -> None:
        """It runs once it is allowed to, with the terminal, and is not asked about again."""
        self.start()
        self.type("play")
        self.assertEqual(self.person.prompts[-1], "Run it? [y/N] ")
        self.type("")
        self.assertEqual(self.ran, [])
        self.status = 3
        self.assertIn("has ended with status 3", self.type("play", "yes"))
        self.status = 0
        self.assertIn("The game's program has ended.", self.type("play"))
        self.assertEqual((len(self.ran), self.person.lent_out), (2, 2))
        environment = self.ran[0][2]
        self.assertEqual((environment["GAMEROOM_HOST"], environment["GAMEROOM_PORT"]), ("play.example", "8080"))

    def test_in_a_browser(self) -> None:
        """The page is named, and opened where that is wanted."""
        self.logged_in()
        self.type("games", "1", "create", "play")
        self.assertEqual(self.person.prompts[-1], "Open it? [y/N] ")
        self.assertIn("It is played at http://play.example:8080/join/", self.type("n"))
        self.assertEqual(self.browsed, [])
        self.type("browser", "y")
        self.assertEqual(len(self.browsed), 1)

    def test_start(self) -> None:
        """By the host, with enough players; then it is played."""
        self.logged_in()
        self.type("games", "1", "create")
        self.assertIn("2 players", self.type("start"))
        bob = self.bob()
        bob.ok("JOIN_ROOM", room_id=bob.ok("LIST_ROOMS")["rooms"][0]["room_id"])
        self.type("start")
        self.assertEqual(self.person.prompts[-1], "Open it? [y/N] ")
        self.assertIn("played at", self.type(""))

    def test_a_page_that_is_none(self) -> None:
        """A server cannot have other things opened."""
        self.logged_in()
        self.type("games", "1", "create")
        room = LobbyClient.room

        def lies(client: LobbyClient, room_id: str) -> Any:
            return room(client, room_id).addCallback(lambda found: {**found, "join_url": "file:///etc/passwd"})

        self.patch(LobbyClient, "room", lies)
        self.assertIn("the server names no page", self.type("", "browser"))
        self.assertEqual(self.browsed, [])
