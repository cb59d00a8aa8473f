"""The counting game with the kit that `gameroom dev init --kind service` writes; it lies beside this file when it is run."""

import os

from gameroom_service import serve

PAD = "x" * max(0, int(os.environ["STATE_BYTES"]) - 24)


def update(state, event):
    if event.kind == "started":
        state = {"n": 0, "pad": PAD}
    elif event.kind == "message":
        state["n"] += 1
    else:
        return state
    event.broadcast({"n": state["n"]})
    return state


if __name__ == "__main__":
    serve(update)
