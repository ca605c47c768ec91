"""What the sessions of one socket have used, until it is known to be written.

Redis adds it up (`audiobus.usage`); here lies what its last answers said. A total is a running one, so that nothing is lost or
counted twice, however often and late it is written.
"""

from collections.abc import Callable

from audiobus.errors import BadEntryError
from audiobus.usage import UsageTotal, former_totals, session_totals


class Tally:
    """One socket's sessions: the one that is open, those before it, and the one whose place it took."""

    def __init__(self) -> None:
        self._session = ("", 0)
        """Conversation and epoch of the session that is open."""
        self._used = b""
        """Of it, as Redis said last."""
        self._former: dict[tuple[int, str], UsageTotal] = {}
        """Of other sessions, by day and session: not known to be written."""
        self._written: dict[int, int] = {}
        """Of the open session, by day: ms that are."""

    @property
    def has_former(self) -> bool:
        """Whether something of a session that is over is to be written."""
        return bool(self._former)

    def open(self, cid: str, epoch: int, used: bytes, used_was: bytes) -> None:
        """A session is open: what it and the one before it have used is known. What the socket's last one used stays."""
        self._keep(self.unwritten())
        self._session = (cid, epoch)
        self._used = used
        self._written = {}
        self._keep(_read(lambda: former_totals(cid, used_was)))

    def reopened(self, used: bytes) -> None:
        """Redis was asked for the open session again, and may have lost what it knew: what of it stands written is not known."""
        self._used = used
        self._written = {}

    def appended(self, used: bytes) -> None:
        """The open session has used more. Cheap: it is read when it is written."""
        self._used = used

    def unwritten(self) -> tuple[UsageTotal, ...]:
        """The totals that are to be written."""
        totals = _read(lambda: session_totals(*self._session, self._used))
        news = [total for total in totals if total.ms > self._written.get(total.day, 0)]
        return (*self._former.values(), *news)

    def written(self, totals: tuple[UsageTotal, ...]) -> None:
        """These stand in Redis."""
        mine = f"{self._session[0]}/{self._session[1]}"
        for total in totals:
            if total.session == mine:
                self._written[total.day] = max(self._written.get(total.day, 0), total.ms)
            elif self._former.get((total.day, total.session)) == total:
                del self._former[total.day, total.session]

    def _keep(self, totals: tuple[UsageTotal, ...]) -> None:
        for total in totals:
            if total.ms:
                self._former[total.day, total.session] = total


def _read(totals: Callable[[], tuple[UsageTotal, ...]]) -> tuple[UsageTotal, ...]:
    """Nothing where Redis holds what no script wrote: a sum that somebody changed by hand is no reason to end a recording."""
    try:
        return totals()
    except BadEntryError:
        return ()
