"""Sealed Bids: a micro game service in plain Python. ../game-service-node plays the same game, message for message.

In each round there is a prize of 1 to 10 points, and everybody bids coins in secret: {"bid": 3}. When all have bid, or the time
is up (who has not bid bids nothing), the bids are shown. The highest pays its coins and gets the points; if two are the
highest, nobody does. After the last round most points win, then most coins.

Everybody is told the table: {"round", "rounds", "prize", "ends_ms", "over", "players": [{"seat", "name", "coins", "points",
"bid": true where there is one, "connected"}], "last": {"prize", "bids": {"<seat>": coins}, "winner": seat or null} or null}.
Each player alone is told {"you": seat, "coins", "bid": coins or null}: that is a view, and nobody else ever has it.

The rules are one function, `update`. It remembers nothing: all that it needs comes in, and gameroom keeps what it returns.
"""

import hashlib

from gameroom_service import Rejected, serve

USUAL = {"rounds": 5, "coins": 20, "seconds": 30}
MOST = {"rounds": 20, "coins": 1000, "seconds": 3600}


def update(state, event):
    if event.kind == "started":
        return start(event)
    if event.kind == "message":
        bid(state, event)
    elif event.kind == "timer":
        close(state, event)
    elif event.kind == "joined" or event.reason == "away":
        player_at(state, event.seat)["connected"] = event.kind == "joined"  # the bid stands, and the time runs on
        show(state, event)
    elif event.kind == "left":
        leave(state, event)
    return state


def start(event):
    rounds, coins, seconds = (wished(event.config or {}, key) for key in ("rounds", "coins", "seconds"))
    players = [
        {"seat": player.seat, "name": player.name, "coins": coins, "points": 0, "bid": None, "connected": player.connected}
        for player in event.players
    ]
    # Nobody else knows the seed, so nobody can tell the prizes beforehand. It is all the chance that there is: a service draws none itself.
    state = {"seed": event.seed, "rounds": rounds, "seconds": seconds, "round": 0, "players": players, "last": None}
    begin_round(state, event)
    return state


def wished(config, key):
    """What whoever made the room wished for, or what is usual."""
    value = config.get(key)
    if value is None:
        return USUAL[key]
    if type(value) is not int or not 1 <= value <= MOST[key]:
        raise Rejected(f"configuration.{key} must be a whole number from 1 to {MOST[key]}", code=100)
    return value


def begin_round(state, event):
    """Everybody is told what it is for, and each what is left to bid."""
    state["round"] += 1
    state["prize"] = 1 + hashlib.sha256(f"{state['seed']}:{state['round']}".encode()).digest()[0] % 10
    state["ends_ms"] = event.now_ms + state["seconds"] * 1000
    event.timer(state["seconds"])
    for player in state["players"]:
        player["bid"] = None
        view(player, event)
    show(state, event)


def bid(state, event):
    coins = event.body.get("bid") if isinstance(event.body, dict) else None
    player = player_at(state, event.seat)
    if type(coins) is not int or coins < 0:
        raise Rejected('say {"bid": coins}, a whole number', code=100)
    if player["bid"] is not None:
        raise Rejected("you have bid already; wait for the others")
    if coins > player["coins"]:
        raise Rejected(f"you have {player['coins']} coins")
    player["bid"] = coins
    if all_have_bid(state):
        close(state, event)
    else:
        view(player, event)
        show(state, event)


def all_have_bid(state):
    return all(player["bid"] is not None for player in state["players"])


def close(state, event):
    """The bids are shown, and the highest gets the prize."""
    bids = {str(player["seat"]): player["bid"] or 0 for player in state["players"]}
    highest = max(bids.values())
    leaders = [player for player in state["players"] if bids[str(player["seat"])] == highest]
    winner = leaders[0] if highest > 0 and len(leaders) == 1 else None
    if winner:
        winner["coins"] -= highest
        winner["points"] += state["prize"]
    state["last"] = {"prize": state["prize"], "bids": bids, "winner": winner["seat"] if winner else None}
    for player in state["players"]:
        player["bid"] = None
    if state["round"] < state["rounds"]:
        begin_round(state, event)
    else:
        end(state, event)


def leave(state, event):
    """Somebody left for good: the others go on, and one alone has won."""
    state["players"] = [player for player in state["players"] if player["seat"] != event.seat]
    if len(state["players"]) < 2:
        end(state, event)
    elif all_have_bid(state):
        close(state, event)
    else:
        show(state, event)


def end(state, event):
    scores = [{key: player[key] for key in ("seat", "name", "points", "coins")} for player in state["players"]]
    ranked = sorted(scores, key=lambda score: (-score["points"], -score["coins"]))
    tied = len(ranked) > 1 and (ranked[0]["points"], ranked[0]["coins"]) == (ranked[1]["points"], ranked[1]["coins"])
    show(state, event, over=True)
    event.timer(None)
    event.finish({"scores": scores, "winner": ranked[0]["seat"] if ranked and not tied else None})


def player_at(state, seat):
    return next(player for player in state["players"] if player["seat"] == seat)


def view(player, event):
    event.view(player["seat"], {"you": player["seat"], "coins": player["coins"], "bid": player["bid"]})


def show(state, event, over=False):
    """The table as everybody sees it: that there is a bid, and not what."""
    players = [{**player, "bid": player["bid"] is not None} for player in state["players"]]
    table = {key: state[key] for key in ("round", "rounds", "prize", "ends_ms", "last")}
    event.broadcast({**table, "over": over, "players": players})


if __name__ == "__main__":
    serve(update)
