"""What holds of every turn game: all of it is seen through `ITurnGame` alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, GameroomError, InvalidRequest
from gameroom.rules.turn_games import BUTTONS, GONE, TIME, ITurnGame, request_move
from gameroom.rules.turn_games.bots import BOTS, bot_of, presses
from gameroom.rules.turn_games.games import GAMES, turn_game

KEYS = st.sampled_from(("first", "columns", "cursors", "last", "out", "loners", "turn"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 50) | st.floats(allow_nan=False) | st.text("12xyz", max_size=7),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(KEYS, inner),
    max_leaves=20,
)


@st.composite
def under_way(draw: Callable[[Any], Any]) -> ITurnGame:
    """Any game, somewhere between its beginning and its end."""
    kind = GAMES[draw(st.sampled_from(sorted(GAMES)))]
    most = draw(st.integers(kind.fewest, kind.most))
    players = tuple(range(1, most + 1))
    game: ITurnGame = kind.new(players, draw(st.sampled_from(players)))
    for which, do in draw(st.lists(st.tuples(st.integers(0, 7), st.sampled_from((*BUTTONS, "drop", "drop", "out"))), max_size=80)):
        if game.over is not None:
            break
        try:
            player = game.to_move[which % len(game.to_move)]
            game = (game.forfeit(player, GONE if which else TIME) if do == "out" and which < 2 else game.move(player, do.replace("out", "left"))).game
        except BadState:
            continue  # a full column
    return game


class GamesTests(SynchronousTestCase):
    def test_names(self) -> None:
        """The games that there are; each has its computer player."""
        self.assertEqual(set(GAMES), {"connect-four", "loners"})
        self.assertEqual(set(BOTS), set(GAMES))
        self.assertIs(turn_game("loners"), GAMES["loners"])
        self.assertIn("connect-four, loners", self.assertRaises(InvalidRequest, turn_game, "chess").message)

    def test_colors(self) -> None:
        """As many as players may be, all different."""
        for kind in GAMES.values():
            self.assertEqual(len(set(kind.colors)), kind.most)

    @given(under_way())
    def test_kept(self, game: ITurnGame) -> None:
        """What is kept as JSON comes back as it was."""
        kept = orjson.dumps(game.to_json())
        self.assertEqual(type(game).from_json(orjson.loads(kept)), game)

    @given(under_way(), st.sampled_from(sorted(GAMES)), JSON, st.randoms(use_true_random=False))
    def test_garbage(self, game: ITurnGame, name: str, garbage: Any, chance: Any) -> None:
        """Of anything else comes our error, or a game that works: never another error."""
        spoiled = _spoiled(copy.deepcopy(game.to_json()), garbage, chance)
        for kind, value in ((GAMES[name], garbage), (type(game), spoiled)):
            try:
                read = kind.from_json(value)
            except InvalidRequest:
                continue
            self.assertEqual(orjson.dumps(read.to_json(), option=orjson.OPT_SORT_KEYS), orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
            for player in (*read.players, None):
                orjson.dumps(read.view(player))
            self.assertEqual(bool(read.to_move), read.over is None)

    @given(under_way())
    def test_turns(self, game: ITurnGame) -> None:
        """Somebody can move as long as it goes on; then nobody, and all of it is refused. Others are refused always."""
        self.assertEqual(bool(game.to_move), game.over is None)
        self.assertLessEqual(set(game.to_move), set(game.players))
        for player in set(range(10)) - set(game.to_move):
            for do in BUTTONS:
                self.assertRaises(BadState, game.move, player, do)
        for player in range(10):
            self.assertRaises(InvalidRequest, game.move, player, "jump")
        if game.over is not None:
            self.assertIn(game.over.reason, ("won", "draw", "left", "time"))
            self.assertEqual(game.over.event["event"], "game_over")
            for player in game.players:
                self.assertRaises(BadState, game.forfeit, player, GONE)

    @given(under_way(), st.integers(0, 7), st.sampled_from(BUTTONS))
    def test_a_move(self, game: ITurnGame, which: int, do: str) -> None:
        """It answers with cursor and board, asks those whose turn begins, and changes nothing of the game that it was made in."""
        if game.over is not None:
            return
        player, before = game.to_move[which % len(game.to_move)], game.to_json()
        try:
            moved = game.move(player, do)
        except GameroomError:
            self.assertEqual(do, "drop")
        else:
            seen = moved.game.view(player)
            self.assertEqual(moved.answer, {"event": "move_received", "cursor": seen["cursor"], "board": seen["board"]})
            self.assertIn(moved.game.turn - game.turn, (0, 1) if do == "drop" else (0,))
            self.assertEqual(moved.asked, moved.game.to_move if moved.game.turn > game.turn else ())
            if do == "drop":
                self.assertEqual(moved.event, moved.game.board())
        self.assertEqual(game.to_json(), before)

    @given(under_way())
    def test_seen(self, game: ITurnGame) -> None:
        """What everybody sees has what pages and controllers build on."""
        self.assertEqual(set(game.board()), {"event", "board", "last"})
        for player in (*game.players, None):
            seen = game.view(player)
            self.assertLessEqual({"board", "cursor", "turn", "to_move"}, set(seen))
            self.assertEqual((seen["turn"], seen["board"]), (game.turn, game.board()["board"]))
            if player is not None:
                asked = {"event": "request_move", "board": seen["board"], "cursor": seen["cursor"], "turn": seen["turn"]}
                self.assertEqual(request_move(game, player), asked)


def _spoiled(value: Any, garbage: Any, chance: Any) -> Any:
    """The same with something in it replaced."""
    if not value or not isinstance(value, dict | list) or chance.random() < 0.1:
        return garbage
    key = chance.choice(sorted(value)) if isinstance(value, dict) else chance.randrange(len(value))
    value[key] = _spoiled(value[key], garbage, chance)
    return value


class BotsTests(SynchronousTestCase):
    @given(under_way(), st.floats(0, 1, exclude_max=True), st.integers(1, 3))
    def test_they_can_play(self, game: ITurnGame, luck: float, level: int) -> None:
        """A computer player always finds something that the game takes, given nothing but what a player sees, as JSON."""
        name = next(name for name, kind in GAMES.items() if isinstance(game, kind))
        bot = BOTS[name]
        for player in game.to_move:
            view = orjson.loads(orjson.dumps(game.view(player)))
            places = [*bot.think(view, player, min(level, bot.levels), luck), bot.quick(view, player, luck)]
            self.assertGreaterEqual(len(places), 2)
            for place in places:
                after = game
                for do in presses(game, player, place):
                    self.assertIn(player, after.to_move)
                    after = after.move(player, do).game

    def test_levels(self) -> None:
        """Levels are integers from 1; who asks for another is told which there are."""
        for name, bot in BOTS.items():
            self.assertIs(bot_of(name, bot.levels), bot)
            for level in (0, bot.levels + 1, True, "1", 1.0, None):
                self.assertIn(f"from 1 to {bot.levels}", self.assertRaises(InvalidRequest, bot_of, name, level).message)
        self.assertRaises(InvalidRequest, bot_of, "chess", 1)
