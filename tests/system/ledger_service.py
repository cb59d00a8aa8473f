"""A ledger whose sum is known: members add to it, and it notes whatever could only be if an update were lost, doubled or out of order.

A bundle's service by the kit that `gameroom dev init` writes; it also listens at an address, and then notes each sequence in the file LEDGER_LOG.
"""

import hashlib
import json
import os

from gameroom_service import Rejected, serve  # type: ignore[import-not-found]

TICK = 0.2
"""Seconds between two ticks of its timer, each of which asks for the next."""
LOG = os.environ.get("LEDGER_LOG")


def begun(event):
    return {
        "sequence": event.sequence,
        "count": 0,
        "chain": "",
        "sums": {str(player.seat): 0 for player in event.players},
        "said": {str(player.seat): 0 for player in event.players},
        "here": {str(player.seat): player.connected for player in event.players},
        "ticks": 0,
        "due": 0,
        "faults": [],
    }


def took_in(state, event):
    """Gives what is to be written down; raises Rejected."""
    if event.kind == "started":
        return "started"
    if event.kind == "timer":
        if event.due_ms < state["due"] or event.now_ms < event.due_ms:
            state["faults"].append(f"tick {state['ticks']} of {state['due']} at {event.now_ms}, due {event.due_ms}")
        state["ticks"] += 1
        return "tick"
    seat = str(event.seat)
    if event.kind in ("joined", "left"):
        if state["here"][seat] == (event.kind == "joined"):
            state["faults"].append(f"{event.sequence}: {event.kind} {seat} twice")
        state["here"][seat] = event.kind == "joined"
        return [event.kind, seat]
    said = event.body
    if "refuse" in said:
        raise Rejected("the ledger takes no such thing", code=said["refuse"])
    if said["number"] != state["said"][seat] + 1:
        state["faults"].append(f"{event.sequence}: {seat} said {said['number']} behind {state['said'][seat]}")
    state["said"][seat] = said["number"]
    if "add" in said:
        state["sums"][seat] += said["add"]
    return [seat, said]


def update(state, event):
    if LOG:
        with open(LOG, "a") as log:
            log.write(json.dumps([event.room_id, event.sequence, event.kind, state and state["sequence"]]) + "\n")
    if event.kind == "started":
        state = begun(event)
    elif event.sequence <= state["sequence"]:
        state["faults"].append(f"{event.sequence} behind {state['sequence']}")
    written = took_in(state, event)
    state["sequence"] = event.sequence
    state["count"] += 1
    state["chain"] = hashlib.sha256(json.dumps([state["chain"], written], sort_keys=True).encode()).hexdigest()[:16]
    here = {str(player.seat): player.connected for player in event.players}
    if here != state["here"]:
        state["faults"].append(f"{event.sequence}: {event.kind}, but {here} are there and not {state['here']}")
    if event.kind in ("started", "timer"):
        state["due"] = event.now_ms + int(TICK * 1000)
        event.timer(TICK)
    event.broadcast({key: state[key] for key in ("sequence", "count", "chain", "sums", "said", "ticks", "faults")})
    if event.kind == "message":
        event.view(event.seat, {"yours": state["sums"][str(event.seat)], "count": state["count"]})
        if "finish" in event.body:
            event.finish({"sums": state["sums"], "count": state["count"], "faults": state["faults"]})
    return state


if __name__ == "__main__":
    serve(update)
