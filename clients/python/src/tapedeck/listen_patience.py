"""How long a recording client pauses between two sockets, and when it gives up.

Must not do: I/O, wait, or read a clock: it is told the time.
"""

import math
from collections.abc import Iterator

from websockets.client import backoff

from tapedeck.errors import UnreachableError
from tapedeck.listen_options import ListenOptions


class Patience:
    """What a client knows about the way to its server."""

    def __init__(self, url: str, options: ListenOptions, now_s: float) -> None:
        """`now_s`: any clock that never goes back; every call here takes the same one."""
        self._url = url
        self._options = options
        self._last_open_s = now_s
        self._nobody_there = False  # the very first attempt was refused, and no session was opened since
        self._pauses = self._new_pauses()
        self.reconnects = 0
        """How often another socket was needed."""
        self.unreachable: str | None = None
        """Why the last attempt to open a socket failed; None before the first, and once one is open."""
        self.why = "no answer"
        """Why the last socket could not be opened, or closed."""

    def begin(self, now_s: float) -> None:
        """The first socket is about to be opened."""
        self._last_open_s = now_s

    def failed(self, why: str, *, nobody_listens: bool = False) -> None:
        """A socket could not be opened. `nobody_listens`: nothing at all answers at the address."""
        self.unreachable = self.why = why
        if self.reconnects == 0:
            self._nobody_there = nobody_listens

    def opened(self) -> None:
        """A session is open."""
        self.unreachable, self._nobody_there = None, False

    def closed(self, now_s: float) -> None:
        """The socket of an open session is gone."""
        self._last_open_s = now_s

    def calm(self) -> None:
        """Audio goes through: the next trouble is another one."""
        self._pauses = self._new_pauses()

    def pause_s(self, asked_s: float | None, now_s: float, jitter: float) -> float:
        """How long to wait before the next socket, which counts as a reconnect.

        `asked_s`: what the server asked for; None: the client's own pause, which grows (and is anything up to its length
        the first time), times `jitter`. UnreachableError
        where the caller's patience is at its end.
        """
        patience_s = self._options.patience_s
        if self._nobody_there and self._options.first_patience_s is not None:
            patience_s = min(self._options.first_patience_s, patience_s or math.inf)
        away_s = now_s - self._last_open_s
        if patience_s is not None and away_s >= patience_s:
            raise UnreachableError(
                f"{self._url} could not be reached for {away_s:.0f} s ({self.why})",
                hint="is it running? `tapedeck up` starts everything; `--url` or TAPEDECK_LISTEN_URL says where it is",
            )
        pause_s = next(self._pauses) * jitter if asked_s is None else asked_s
        if patience_s is not None:
            pause_s = min(pause_s, patience_s - away_s)
        self.reconnects += 1
        return pause_s

    def _new_pauses(self) -> Iterator[float]:
        first_s, longest_s = self._options.first_pause_s, self._options.longest_pause_s
        return backoff(initial_delay=first_s, min_delay=first_s, max_delay=longest_s)
