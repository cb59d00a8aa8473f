"""Closest: everybody picks a number in secret, and whoever is closest to two thirds of the average gets the point.

A micro game service: gameroom calls `update` with the last state of a room and what has happened, and keeps what it returns.
This file has no network in it and needs no server to be tried: `update(None, Event("started", players=[...]))`.
"""

from gameroom_service import Rejected, serve

POINTS_TO_WIN = 3
SECONDS = 30  # for a round


def update(state, event):
    if event.kind == "started":
        state = {"points": {str(player.seat): 0 for player in event.players}, "picks": {}, "last": None}
        return begin(state, event)
    if event.kind == "message":
        pick(state, event)
    if event.kind == "joined":
        show(state, event)
    playing = {str(player.seat) for player in event.players}  # keys of the state are strings: it is JSON
    if event.kind == "left":
        state["picks"] = {seat: number for seat, number in state["picks"].items() if seat in playing}
        show(state, event)
    if state["picks"] and (event.kind == "timer" or playing <= set(state["picks"])):
        return judge(state, event)
    if event.kind == "timer":
        return begin(state, event)  # nobody has picked: once more
    return state


def begin(state, event):
    """A round: nobody has picked, and the time runs."""
    state["picks"], state["until"] = {}, event.now_ms + SECONDS * 1000
    event.timer(SECONDS)
    show(state, event)
    return state


def pick(state, event):
    number = event.body.get("pick") if isinstance(event.body, dict) else None
    if type(number) is not int or not 0 <= number <= 100:
        raise Rejected("pick a whole number from 0 to 100", code=100)
    state["picks"][str(event.seat)] = number
    show(state, event)


def judge(state, event):
    """Everybody has picked, or the time is up."""
    picks = state["picks"]
    aim = 2 / 3 * sum(picks.values()) / len(picks)
    best = min(abs(number - aim) for number in picks.values())
    winners = [seat for seat, number in picks.items() if abs(number - aim) == best]
    for seat in winners:
        state["points"][seat] += 1
    state["last"] = {"picks": picks, "aim": round(aim, 2), "winners": winners}
    if max(state["points"].values()) < POINTS_TO_WIN:
        return begin(state, event)
    champions = [int(seat) for seat, points in state["points"].items() if points == POINTS_TO_WIN]
    show(state, event)
    event.finish({"winners": champions, "points": state["points"]})
    return state


def show(state, event):
    """What everybody may know; and to each seat its own number, which nobody else is told."""
    event.broadcast({"points": state["points"], "picked": sorted(state["picks"]), "until": state["until"], "last": state["last"]})
    for player in event.players:
        event.view(player.seat, {"mine": state["picks"].get(str(player.seat))})


if __name__ == "__main__":
    serve(update)
