"""Liar's Dice: a micro game service. The rules are one function of the last state and what has happened; gameroom keeps the state.

Everyone has dice under a cup. In turn each says how many dice of a face lie under all cups at least, and each bid is higher than the one before:
more dice, or as many of a higher face. Ones are wild: they count as any face, and nobody bids on them. Who does not believe the last bid calls.
All cups are lifted: if the bid was true the caller loses a die, else the bidder. Who has none left is out, and the last one with dice has won.

Players say

    {"do": "bid", "count": 3, "face": 5}     at least three fives
    {"do": "call"}                           I do not believe it
    {"do": "next"}                           the lifted cups have been seen

with `"turn": <number>`, if they like, so that what was meant for one turn does nothing in another. Everybody is told `{"table": …}` at every change,
and each seat alone `{"hand": {"deal", "dice"}}`. No dice are in the table until the cups are lifted, nor is the seed that they are made from.
"""

import hashlib

from gameroom_service import Rejected, serve

FACES = range(2, 7)  # that can be bid on
DICE, MOST_DICE = 5, 8
TURN_SECONDS = 45
AWAY_SECONDS = 15  # for whose turn it is while they are away
LOOK_SECONDS = 15  # to see what lay under the cups
BIDS_SHOWN = 24
NO_SENSE, NOT_NOW = 100, 105


def update(state, event):
    if event.kind == "started":
        state = begin(event)
    elif event.kind == "message":
        said(state, event)
    elif event.kind == "timer":
        time_is_up(state, event)
    elif event.kind == "joined":
        back(state, event)
    elif event.kind == "left":
        gone(state, event)
    state["now_ms"] = event.now_ms
    event.broadcast({"table": shown(state)})
    return state


# A match begins


def begin(event):
    config = event.config if isinstance(event.config, dict) else {}
    dice = setting(config, "dice", DICE, 1, MOST_DICE)
    if len(event.players) < 2:
        raise Rejected("Liar's Dice needs two players")
    state = {
        "seed": event.seed,
        "seconds": setting(config, "turn_seconds", TURN_SECONDS, 5, 3600),
        "players": [
            {"seat": one.seat, "id": one.id, "name": one.name, "dice": dice, "away": not one.connected, "left": False} for one in event.players
        ],
        "round": 0,
        "deal": 0,
        "turn": 0,
        "reveal": None,
        "winner": None,
    }
    first = pick(state, "first", len(event.players), 1)[0] - 1
    deal(state, event, state["players"][first]["seat"], {"what": "dealt"})
    return state


def setting(config, name, otherwise, least, most):
    value = config.get(name, otherwise)
    if type(value) is not int or not least <= value <= most:
        raise Rejected(f"{name} in the room's configuration must be a whole number from {least} to {most}", NO_SENSE)
    return value


def deal(state, event, first, happened, anew=False):
    """Everybody shakes; `first` begins, or who comes next where they are out. `anew`: it is the same round, shaken again."""
    state["deal"] += 1
    state["round"] += 0 if anew else 1
    state.update(phase="bidding", bids=[], reveal=None, seen=[], happened=happened)
    for player in alive(state):
        player["hand"] = sorted(pick(state, f"{state['deal']}/{player['seat']}", 6, player["dice"]))
        event.view(player["seat"], {"hand": {"deal": state["deal"], "dice": player["hand"]}})
    turn_to(state, event, first if of(state, first) in alive(state) else after(state, first))


def pick(state, what, sides, count):
    """Numbers from 1 to `sides`, all as likely, which only the seed tells."""
    found, block = [], 0
    while len(found) < count:
        drawn = hashlib.sha256(f"{state['seed']}/{what}/{block}".encode()).digest()
        found += [1 + byte % sides for byte in drawn if byte < 256 - 256 % sides]
        block += 1
    return found[:count]


# Who is there


def of(state, seat):
    return next((player for player in state["players"] if player["seat"] == seat), None)


def alive(state):
    return [player for player in state["players"] if player["dice"] > 0]


def here(state):
    return [player for player in alive(state) if not player["away"]]


def after(state, seat):
    """Who comes next and has dice."""
    seats = [player["seat"] for player in alive(state)]
    return next((one for one in seats if one > seat), seats[0])


# Turns and time


def turn_to(state, event, seat):
    state["turn"] += 1
    state["at"] = seat
    start_clock(state, event)


def start_clock(state, event):
    seconds = state["seconds"] if state["phase"] == "bidding" else LOOK_SECONDS
    state["deadline_ms"] = event.now_ms + 1000 * seconds
    state["allowed_ms"] = 1000 * seconds
    set_clock(state, event)


def set_clock(state, event):
    """When it goes on by itself: sooner where it is somebody's turn who is away, and not at all while nobody is here."""
    until = state["deadline_ms"]
    if not here(state):
        state["until_ms"] = None
        event.timer(None)
        return
    if state["phase"] == "bidding" and of(state, state["at"])["away"]:
        until = min(until, event.now_ms + 1000 * AWAY_SECONDS)
    state["until_ms"] = until
    event.timer(max(0, until - event.now_ms) / 1000)


def time_is_up(state, event):
    if state["until_ms"] is None:
        raise Rejected("nobody waits for this")
    if state["phase"] == "reveal":
        go_on(state, event)
    elif state["bids"]:
        call(state, event, state["at"], late=True)
    else:
        bid(state, event, state["at"], (1, FACES[0]), late=True)


# What players say


def said(state, event):
    body = event.body
    if not isinstance(body, dict) or body.get("do") not in ("bid", "call", "next"):
        raise Rejected('say {"do": "bid", "count": 3, "face": 5}, {"do": "call"} or {"do": "next"}', NO_SENSE)
    if "turn" in body and body["turn"] != state["turn"]:
        raise Rejected("That turn is over.")
    player = of(state, event.seat)
    if player is None or player not in alive(state):
        raise Rejected("You have no dice left.")
    if body["do"] == "next":
        seen(state, event)
        return
    if state["phase"] != "bidding":
        raise Rejected("The cups are lifted. The next round is about to begin.")
    if state["at"] != event.seat:
        raise Rejected("It is not your turn.")
    if body["do"] == "call":
        if not state["bids"]:
            raise Rejected("There is no bid yet: make the first.")
        call(state, event, event.seat)
    else:
        check_bid(state, body.get("count"), body.get("face"))
        bid(state, event, event.seat, (body["count"], body["face"]))


def check_bid(state, count, face):
    if type(count) is not int or type(face) is not int or face not in FACES or count < 1:
        raise Rejected("A bid is a count of dice, and a face from 2 to 6.", NO_SENSE)
    total = sum(player["dice"] for player in alive(state))
    if count > total:
        raise Rejected(f"There are only {total} dice.")
    last = state["bids"][-1] if state["bids"] else None
    if last and (count, face) <= (last["count"], last["face"]):
        raise Rejected(f"Go higher than {last['count']} × {last['face']}: more dice, or as many of a higher face.")


def bid(state, event, seat, bidding, late=False):
    count, face = bidding
    made = {"seat": seat, "count": count, "face": face}
    state["bids"].append(made)
    state["happened"] = {"what": "bid", **made, "late": late}
    turn_to(state, event, after(state, seat))


def call(state, event, seat, late=False):
    """The cups are lifted."""
    last = state["bids"][-1]
    hands = {str(player["seat"]): player["hand"] for player in alive(state)}
    actual = sum(die in (1, last["face"]) for hand in hands.values() for die in hand)
    loser = seat if actual >= last["count"] else last["seat"]
    of(state, loser)["dice"] -= 1
    state["reveal"] = {"by": seat, "bid": last, "actual": actual, "loser": loser, "out": of(state, loser)["dice"] == 0, "hands": hands}
    state["happened"] = {"what": "call", "seat": seat, "late": late}
    if not ended(state, event):
        state["phase"] = "reveal"
        state["turn"] += 1
        state["at"] = None
        start_clock(state, event)


def seen(state, event):
    if state["phase"] != "reveal":
        raise Rejected("The cups are down.")
    if event.seat not in state["seen"]:
        state["seen"].append(event.seat)
    state["happened"] = {"what": "seen", "seat": event.seat}
    go_on_if_all_have_seen(state, event)


def go_on_if_all_have_seen(state, event):
    if here(state) and all(player["seat"] in state["seen"] for player in here(state)):
        go_on(state, event)


def go_on(state, event):
    deal(state, event, state["reveal"]["loser"], {"what": "dealt"})


# Who comes and goes


def back(state, event):
    player = of(state, event.seat)
    if player is None or player["left"]:
        raise Rejected("nobody waits for them", NO_SENSE)
    player["away"] = False
    state["happened"] = {"what": "back", "seat": event.seat}
    if player in alive(state):
        if state["until_ms"] is None:
            start_clock(state, event)
        elif state["at"] == event.seat:
            set_clock(state, event)


def gone(state, event):
    player = of(state, event.seat)
    if player is None or player["left"]:
        raise Rejected("nobody misses them", NO_SENSE)
    playing = player in alive(state)
    player["away"] = True
    if event.reason != "away":
        player.update(left=True, dice=0)
    state["happened"] = {"what": "away" if event.reason == "away" else "left", "seat": event.seat}
    if not playing:
        return
    if player["left"] and ended(state, event):
        return
    if player["left"] and state["phase"] == "bidding":
        # Their dice are gone, and what was bid was bid on those, too.
        deal(state, event, state["at"], state["happened"], anew=True)
        return
    if state["at"] == event.seat or not here(state):
        set_clock(state, event)
    if state["phase"] == "reveal":
        go_on_if_all_have_seen(state, event)


def ended(state, event):
    """Whether only one is left with dice, who has won."""
    if len(alive(state)) > 1:
        return False
    state["winner"] = alive(state)[0]["seat"]
    state.update(phase="over", at=None, until_ms=None)
    event.timer(None)
    event.finish({"winners": [state["winner"]], "rounds": state["round"]})
    return True


# What everybody may know


def shown(state):
    """The table: of the dice under the cups it says how many there are."""
    players = [{key: player[key] for key in ("seat", "id", "name", "dice", "away", "left")} for player in state["players"]]
    plain = ("round", "deal", "turn", "phase", "at", "reveal", "seen", "winner", "happened", "until_ms", "now_ms")
    return {
        **{key: state[key] for key in plain},
        "players": players,
        "bids": state["bids"][-BIDS_SHOWN:],
        "total": sum(player["dice"] for player in players),
        "allowed_ms": state["allowed_ms"],
    }


if __name__ == "__main__":
    serve(update)
