"""How fast training goes, and how long it has still to go."""

import time


class Clock:
    """Speed of the training itself, and the time left at the pace so far, validations included."""

    def __init__(self, update: int) -> None:
        self.first_update, self.start = update, time.monotonic()
        self.pieces, self.busy, self.tick = 0, 0.0, time.monotonic()

    def count(self, pieces: int) -> None:
        """An update has ended."""
        self.pieces += pieces
        self.busy += time.monotonic() - self.tick
        self.tick = time.monotonic()

    def restart(self) -> None:
        """The next update begins."""
        self.tick = time.monotonic()

    def pieces_per_second(self) -> float:
        """Since the last call."""
        speed = self.pieces / max(self.busy, 1e-9)
        self.pieces, self.busy = 0, 0.0
        return speed

    def seconds_left(self, update: int, updates: int) -> float:
        """At the average pace since this process began."""
        return (time.monotonic() - self.start) / max(1, update - self.first_update) * (updates - update)
