"""One place between two threads, in which the newest thing replaces one that nobody has taken yet."""

import threading
from collections.abc import Callable, Iterator


class Mailbox:
    """Holds at most one thing; what comes late is dropped, so that nobody lags behind.

    Parameters
    ----------
    drop : bool
        False: `put` waits until the place is free, so that nothing is lost.
    merge : callable, optional
        (dropped thing, newer thing) -> what is left in their place; default: the newer one.
    """

    def __init__(self, *, drop: bool = True, merge: Callable | None = None):
        self.drop = drop
        self.dropped = 0
        self.error: BaseException | None = None
        self._merge = merge
        self._changed = threading.Condition()
        self._things: list = []
        self._closed = False

    def put(self, thing) -> bool:
        """Leave a thing; false where nobody wants one any more."""
        with self._changed:
            while self._things and not self.drop and not self._closed:
                self._changed.wait()
            if self._closed:
                return False
            if self._things:
                self.dropped += 1
                thing = self._merge(self._things[0], thing) if self._merge else thing
            self._things = [thing]
            self._changed.notify_all()
            return True

    def get(self, timeout: float | None = None):
        """Wait for a thing and take it; None where none came in so many seconds, or none will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._things or self._closed, timeout)
            if not self._things:
                return None
            self._changed.notify_all()
            return self._things.pop()

    @property
    def done(self) -> bool:
        """Whether it is closed and empty."""
        with self._changed:
            return self._closed and not self._things

    def close(self, error: BaseException | None = None) -> None:
        """Say that nothing more will come, or is wanted; the first error is kept as `error`."""
        with self._changed:
            self._closed, self.error = True, self.error or error
            self._changed.notify_all()

    def __iter__(self) -> Iterator:
        """Take things until it is closed and empty; then raise the error that it was closed with."""
        while (thing := self.get()) is not None:
            yield thing
        if self.error:
            raise self.error
