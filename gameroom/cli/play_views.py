"""How games, reviews, rooms and players are shown to people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from gameroom.cli.output import counted, print_table, shown

Payload = Mapping[str, Any]


def score(value: Any) -> str:
    """`4.5`, or a dash where nobody has reviewed it yet."""
    return "–" if value is None else f"{value:.1f}"


def stars(value: Any) -> str:
    number = value if isinstance(value, int) and 0 <= value <= 5 else 0
    return "★" * number + "☆" * (5 - number)


def text(value: Any) -> str:
    """Text of several lines that others have written; its line ends are kept."""
    return "\n".join(shown(line) for line in str(value).split("\n"))


def game_rows(games: Iterable[Payload]) -> list[list[Any]]:
    return [[game["name"], score(game["avg_score"]), game["latest_version"] or "–", game["game_id"]] for game in games]


def show_games(games: list[Any]) -> None:
    if not games:
        click.echo("There is no game yet.")
        return
    print_table(["game", "score#", "version", "id"], game_rows(games))


def show_game(game: Payload) -> None:
    """All about a game, with its newest reviews."""
    click.echo(shown(game["name"]))
    if game["description"]:
        click.echo(text(game["description"]))
    click.echo()
    for word, value in (
        ("type", game["game_type"]),
        ("players", f"up to {game['max_players']}"),
        ("status", game["status"]),
        ("version", game["latest_version"] or "none yet"),
        ("score", score(game["avg_score"])),
        ("id", game["game_id"]),
    ):
        click.echo(f"{word:>9}  {shown(value)}")
    if game["reviews_sample"]:
        click.echo()
        show_reviews(game["reviews_sample"])


def show_reviews(reviews: list[Any]) -> None:
    if not reviews:
        click.echo("Nobody has reviewed it yet.")
    for review in reviews:
        when = str(review.get("created_at", "")).replace("T", " ")[:16]
        click.echo(f"{stars(review['score'])}  {shown(review['player'])}{f', {shown(when)}' if when else ''}")
        if review["comment"]:
            click.echo("    " + text(review["comment"]).replace("\n", "\n    "))


def room_rows(rooms: Iterable[Payload], names: Mapping[str, str]) -> list[list[Any]]:
    """`names`: of the games, by game_id."""
    return [
        [names.get(room["game_id"], room["game_id"] or "–"), room["host"], ", ".join(room["players"]), room["status"].lower(), room["room_id"]]
        for room in rooms
    ]


def show_rooms(rooms: list[Any], names: Mapping[str, str]) -> None:
    if not rooms:
        click.echo("There is no room; gameroom play create opens one.")
        return
    print_table(["game", "host", "players", "status", "id"], room_rows(rooms, names))


def show_room(room: Payload, game: str) -> None:
    """All about a room: who is in it, and how others come in."""
    click.echo(f"{shown(game)} {shown(room['version'])}, {shown(room['status']).lower()}")
    click.echo()
    for seat, name in sorted(room["seats"].items(), key=lambda each: int(each[0]) if str(each[0]).isdecimal() else -1):
        click.echo(f"{shown(seat):>9}  {shown(name)}{' (host)' if name == room['host'] else ''}")
    click.echo(f"{'seats':>9}  {len(room['seats'])} of {shown(room['max_players'])}")
    click.echo(f"{'party':>9}  {shown(room['party_code'])}")
    click.echo(f"{'page':>9}  {shown(room['join_url'])}")
    if "game_host" in room:
        click.echo(f"{'played at':>9}  {shown(room['game_host'])}:{shown(room['game_port'])}")
    click.echo(f"{'id':>9}  {shown(room['room_id'])}")


def show_players(players: list[str]) -> None:
    for player in players:
        click.echo(shown(player))
    click.echo(f"{counted(len(players), 'player')} online", err=True)


def news_of(push: str, payload: Payload) -> str:
    """A push as one line for people; empty for one that says nothing to them."""
    if push == "CHAT":
        return f"{shown(payload.get('from'))}: {shown(payload.get('text'))}"
    if push == "ROOM_UPDATED":
        room = payload["room"]
        return f"room {shown(room['room_id'])} is {shown(room['status']).lower()}: {shown(', '.join(room['players'])) or 'nobody'}"
    if push == "PLAYER_PRESENCE":
        came, went = payload.get("online", ()), payload.get("offline", ())
        parts = [f"{shown(', '.join(came))} came" if came else "", f"{shown(', '.join(went))} went" if went else ""]
        return "; ".join(part for part in parts if part)
    return ""
