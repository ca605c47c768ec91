"""Sessions whose sockets are gone, as far as their audio is not known to be in the bucket: what Redis had confirmed of each.

While a socket is open it finds by itself what Redis lost. Afterwards nobody asks: so each session stays here until it is seen to be stored,
is looked at now and then, and at once when Redis is another than before. What is missing, and missing still after a while in which its
client may have come back, was lost. Pure: what Redis answered and `now_ms` in, losses out. Must not ask Redis, nor count.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final, TypeAlias

from audiobus import Conversation
from audiobus.losses import Extent
from listen.actions import Left, Lost

KEPT_MOST: Final = 10_000
"""Sessions; one more, and the one that ended first is forgotten."""
KEPT_MS: Final = 3_600_000
"""Who is not stored for so long has a bucket that is away."""
FIRST_LOOK_MS: Final = 4_000
"""Who said `close` is stored by then; each further look comes after twice as long."""
LONGEST_PAUSE_MS: Final = 600_000
AGAIN_MS: Final = 10_000
"""After a look that was not answered."""
GRACE_MS: Final = 20_000
"""Something is missing: its client may be about to come back with it."""
COUNTED_MOST: Final = 1_000
"""Losses that open sockets counted, and Redis was not told of yet."""

Key: TypeAlias = tuple[Conversation, int]
"""A conversation and the epoch of a session."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Payload bytes of a session that Redis confirmed and no longer has."""

    key: Key
    since: int
    """The first of them."""
    upto: int
    """After the last."""
    samples_per_byte: float = 0.0
    """How much audio each was, about, at 48 kHz."""
    left_ms: int = 0
    """When the socket ended, unix ms; 0: an open one has counted it."""


@dataclass(slots=True)
class _Former:
    """One session."""

    left: Left
    left_ms: int
    look_ms: int
    """When to look at it next."""
    pause_ms: int
    missing_at: int | None = None
    """Up to where Redis had it when something was found missing; None while nothing is."""
    sure_ms: int = 0
    """When what is missing then counts as lost."""


class FormerSessions:
    """Those of one process."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[Key, _Former] = OrderedDict()
        """Who ended first comes first."""
        self._counted: deque[Loss] = deque(maxlen=COUNTED_MOST)

    def __len__(self) -> int:
        return len(self._sessions) + len(self._counted)

    def note(self, uid: str, news: Left | Lost, now_ms: int) -> None:
        """What a session of the user says of itself."""
        key = (Conversation(uid, news.conversation_id), news.epoch)
        if isinstance(news, Lost):
            self._counted.append(Loss(key, news.since, news.upto))
            return
        before = self._sessions.get(key)
        if before is not None and before.left.acked > news.acked:
            return  # Redis has lost some of it since, and this socket did not bring all of that back
        self._sessions.pop(key, None)
        if news.acked <= news.stored:
            return
        self._sessions[key] = _Former(news, now_ms, now_ms + FIRST_LOOK_MS, FIRST_LOOK_MS)
        if len(self._sessions) > KEPT_MOST:
            self._sessions.popitem(last=False)

    def suspect(self) -> None:
        """Redis is another than before: all are to be looked at now."""
        for former in self._sessions.values():
            if former.missing_at is None:
                former.look_ms = 0

    def due(self, now_ms: int) -> list[Key]:
        """Those that are to be looked at now. Who is here for too long goes."""
        for key, former in list(self._sessions.items()):
            if now_ms - former.left_ms < KEPT_MS:
                break
            if former.missing_at is None:
                del self._sessions[key]
        # Farther ahead than any pause: the clock was set back.
        return [
            key
            for key, former in self._sessions.items()
            if not now_ms < former.look_ms <= now_ms + LONGEST_PAUSE_MS
        ]

    def looked(self, key: Key, extent: Extent | None, now_ms: int) -> Loss | None:
        """Redis' answer: what is lost for certain. It is named again at the next look, until it is `counted`."""
        former = self._sessions.get(key)
        if former is None:
            return None  # it has come and gone meanwhile
        if extent is None:
            former.look_ms = now_ms + AGAIN_MS
            return None
        known = max(extent.offset, former.left.stored)
        if known >= former.left.acked:
            former.missing_at = None
            if extent.settled is not None and extent.settled >= (key[1], former.left.acked):
                del self._sessions[key]
            else:
                former.pause_ms = min(LONGEST_PAUSE_MS, 2 * former.pause_ms)
                former.look_ms = now_ms + former.pause_ms
            return None
        if former.missing_at is None or known > former.missing_at:
            # Its client may be sending it again.
            former.missing_at, former.sure_ms = known, now_ms + GRACE_MS
        if now_ms < former.sure_ms <= now_ms + GRACE_MS:
            former.look_ms = former.sure_ms
            return None
        former.look_ms = now_ms + AGAIN_MS
        left = former.left
        return Loss(key, known, left.acked, left.samples / left.appended_bytes, former.left_ms)

    def counted(self, loss: Loss) -> None:
        """Somebody has counted it: it is not looked for any more."""
        former = self._sessions.get(loss.key)
        if former is not None and former.left.acked == loss.upto:
            del self._sessions[loss.key]

    def untold(self) -> list[Loss]:
        """The losses that open sockets have counted, and Redis was not told of. Each is named once."""
        losses = list(self._counted)
        self._counted.clear()
        return losses

    def again(self, loss: Loss) -> None:
        """Redis could not be told of it."""
        if not loss.left_ms:  # else it is found again by itself
            self._counted.append(loss)
