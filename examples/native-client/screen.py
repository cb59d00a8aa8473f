"""What a player of Trails sees and types at a terminal."""

import shutil
import sys

COLOURS = (36, 33, 35, 32)  # of the seats, as terminals number them


class Screen:
    """What a player sees. Without a terminal it is a line for whatever is new."""

    def __init__(self):
        self.config, self.last = {"you": None, "names": {}}, None

    def say(self, text):
        print(text, flush=True)

    def show(self, field):
        you, names, winner = self.config["you"], self.config["names"], field["winner"]
        result = "Nobody has won." if winner is None else "You have won!" if winner == you else f"{names[str(winner)]} has won."
        words = {
            "gathering": "Waiting for the others to come.",
            "countdown": f"It begins in {field['starts_in']}.",
            "playing": "Go! w, a, s, d or the arrows turn." if you in field["alive"] else "You are out.",
            "over": result,
        }[field["state"]]
        if sys.stdout.isatty():
            notes = {seat: (" (you)" if int(seat) == you else "") + ("" if int(seat) in field["alive"] else " (out)") for seat in names}
            players = "   ".join(f"{paint(seat)} {name}{notes[seat]}" for seat, name in names.items())
            places = len(field["rows"][0])
            wide = 2 if shutil.get_terminal_size().columns >= 2 * places + 2 else 1
            edge = "─" * (wide * places)
            rows = ["│" + "".join(paint(cell, wide) for cell in row) + "│" for row in field["rows"]]
            lines = [players, f"┌{edge}┐", *rows, f"└{edge}┘", words]
            print("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J", end="", flush=True)
        elif words != self.last:
            self.say(words)
        self.last = words


def paint(cell, wide=2):
    """A place of the field, two columns wide where the terminal is: a trail is its seat's digit, a head its seat's letter."""
    if cell == " ":
        return wide * " "
    seat = int(cell) if cell.isdigit() else ord(cell) - ord("A")
    return f"\x1b[{COLOURS[seat % len(COLOURS)]}m{wide * ('█' if cell.isdigit() else '▓')}\x1b[0m"


def keys(typed):
    """Arrows are three characters, all other keys that we know are one."""
    while typed:
        length = 3 if typed.startswith("\x1b[") else 1
        yield typed[:length]
        typed = typed[length:]
