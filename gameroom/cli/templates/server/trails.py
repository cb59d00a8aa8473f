"""The rules of Trails. They know nothing of sockets and clocks, so they are easy to try out and to change."""

WAYS = {"up": (0, -1), "down": (0, 1), "left": (-1, 0), "right": (1, 0)}
STARTS = [(0.1, 0.5, "right"), (0.9, 0.5, "left"), (0.5, 0.1, "down"), (0.5, 0.9, "up")]  # for four players
FREE, HEADS = " ", "ABCDEFGH"  # a trail is the digit of its seat, its head the letter


class Game:
    """One round: `rows` is the field, `heads` who is still in and where."""

    def __init__(self, seats, width, height):
        self.rows = [[FREE] * width for _ in range(height)]
        self.heads, self.way, self.alone = {}, {}, len(seats) == 1
        for seat, (x, y, way) in zip(seats, STARTS):
            self.way[seat] = way
            self._put(seat, (int(width * x), int(height * y)))
        self.next_way = dict(self.way)

    def _put(self, seat, place):
        if seat in self.heads:
            old_x, old_y = self.heads[seat]
            self.rows[old_y][old_x] = str(seat)
        self.heads[seat] = (x, y) = place
        self.rows[y][x] = HEADS[seat]

    def turn(self, seat, way):
        # Turning back would be running into one's own trail, which nobody means.
        if seat in self.heads and way in WAYS and WAYS[way] != tuple(-d for d in WAYS[self.way[seat]]):
            self.next_way[seat] = way

    def drop(self, seat):
        """Out: the trail stays."""
        if seat in self.heads:
            x, y = self.heads.pop(seat)
            self.rows[y][x] = str(seat)

    def step(self):
        """Everybody goes one place on, all at the same time."""
        self.way.update(self.next_way)
        places = {seat: (x + WAYS[self.way[seat]][0], y + WAYS[self.way[seat]][1]) for seat, (x, y) in self.heads.items()}
        for seat, (x, y) in places.items():
            inside = 0 <= y < len(self.rows) and 0 <= x < len(self.rows[0])
            if not inside or self.rows[y][x] != FREE or list(places.values()).count((x, y)) > 1:
                self.drop(seat)
        for seat in list(self.heads):
            self._put(seat, places[seat])

    @property
    def over(self):
        return len(self.heads) <= (0 if self.alone else 1)

    @property
    def winner(self):
        return next(iter(self.heads), None) if self.over else None
