"""The user's account as one socket knows it: token, settings, limit and use; when to look again, what to tell, whether to go on.

A look writes what was used and reads settings and limit in one command (`LookUser`), once a minute, each socket at its own
moment. A look that fails is no reason to close: the next one makes it good. Nor does the socket go on where its conversation goes into another
one (`merge_watch`). Must not know phases; the session closes.
"""

from dataclasses import dataclass
from typing import Final
from zlib import crc32

from audiobus import Appended, Opened, UsageTotal, UserState, utc_day
from listen import close_codes, messages
from listen.actions import Action, Count, LookMerging, LookUser, SendText, WriteUsage
from listen.allowance import OVER_LIMIT, STORING_OFF, retry_after_ms
from listen.merge_watch import MergeWatch
from listen.messages import ErrorCode
from listen.tally import Tally
from listen.terms import Terms

EXPIRED: Final = "the token has expired: reconnect with a new one"
FAILED_SHARE: Final = 10
"""After a look that failed the next one comes in this part of the usual time."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the socket must end: what the client is told, and the close code."""

    code: ErrorCode
    close_code: int
    message: str
    retry_after_ms: int | None = None


class Account:
    """One socket's view of its user's account."""

    def __init__(self, terms: Terms) -> None:
        """As the handshake found it."""
        self._terms = terms
        self._allowance = terms.allowance
        self._user = terms.user
        self._day = utc_day(terms.arrived_ms)
        """Of the last look: what was used on another day says nothing."""
        self._tally = Tally()
        self._merging = MergeWatch(terms.owner)
        self._told: dict[str, int] = {}
        """`near`, `exceeded`: the day on which the client was told."""
        self._looking: tuple[UsageTotal, ...] | None = None
        """What the look under way writes; None while none is."""
        self._from_ms = 0
        """When the wait for the next look began."""
        self._pause_ms: int | None = None
        """How long it is; None before the first session is open."""

    def opened(self, cid: str, answer: Opened, now_ms: int) -> None:
        """A session is open."""
        self._merging.begun(cid, now_ms)
        self._tally.open(cid, answer.epoch, answer.used, answer.used_was)
        if self._pause_ms is None:
            every_ms = self._allowance.look_every_ms
            # Sockets that came together do not look together.
            self._wait(now_ms, every_ms - crc32(self._terms.owner.encode()) % (every_ms // 2))
        if self._tally.has_former:
            self._wait(now_ms, 0)  # a session's end is written at once

    def reopened(self, answer: Opened) -> None:
        """The session that is open was opened again: Redis had lost something."""
        if answer.resumed:  # else the socket ends, with what it knew
            self._tally.reopened(answer.used)

    def appended(self, answer: Appended, now_ms: int) -> None:
        """Redis has counted another chunk."""
        self._tally.appended(answer.used)
        self._merging.told(answer.merging, now_ms)

    def looked_merging(self, cid: str, target: str | None) -> None:
        """The answer to `LookMerging`."""
        self._merging.looked(cid, target)

    def advance(self, now_ms: int) -> list[Action]:
        """What is to be done now: a look at the user, once a minute, and at the conversation, where nothing comes."""
        cid = self._merging.look(now_ms)
        return [*([LookMerging(cid)] if cid else []), *self._look(now_ms)]

    def _look(self, now_ms: int) -> list[Action]:
        if self._looking is not None or self._pause_ms is None:
            return []
        if (
            self._from_ms <= now_ms < self._from_ms + self._pause_ms
        ):  # a clock that was set back waits no longer
            return []
        self._looking = self._tally.unwritten()
        self._day = utc_day(now_ms)
        self._wait(now_ms, self._allowance.look_every_ms)
        return [LookUser(self._day, self._allowance.default_limit_ms, self._looking)]

    def looked(self, user: UserState) -> list[Action]:
        """The answer."""
        totals, self._looking = self._looking or (), None
        self._user = user
        if user.written:
            self._tally.written(totals)
        return [Count("looked", 1, "done" if user.written else "unwritten")]

    def unavailable(self, now_ms: int) -> list[Action]:
        """Redis did not answer."""
        self._looking = None
        self._wait(now_ms, self._allowance.look_every_ms // FAILED_SHARE)
        return [Count("looked", 1, "failed")]

    def news(self, now_ms: int) -> list[Action]:
        """What the client is told about its limit: each state once a day."""
        if self._exceeded(now_ms):
            return self._tell("exceeded", now_ms)
        near = self._day == utc_day(now_ms) and self._allowance.near(self._user)
        return self._tell("near", now_ms) if near else []

    def verdict(self, now_ms: int) -> Verdict | None:
        """Whether the socket must end."""
        if self._terms.expires_at_ms is not None and now_ms >= self._terms.expires_at_ms:
            return Verdict("token_expired", close_codes.UNAUTHORIZED, EXPIRED)
        if not self._user.stores_audio:
            return Verdict("storing_off", close_codes.FORBIDDEN, STORING_OFF)
        if self._allowance.policy == "reject" and self._exceeded(now_ms):
            again_ms = retry_after_ms(now_ms, self._terms.owner)
            return Verdict("limit", close_codes.SPENT, OVER_LIMIT, again_ms)
        if (target := self._merging.target) is not None:
            return Verdict("merging", close_codes.REPLACED, messages.merging(target))
        return None

    def last_words(self) -> list[Action]:
        """The socket ends: what is not known to be written, for the process to write."""
        totals = self._tally.unwritten()
        return [WriteUsage(totals)] if totals else []

    def _exceeded(self, now_ms: int) -> bool:
        return self._day == utc_day(now_ms) and self._allowance.exceeded(self._user)

    def _tell(self, state: messages.UsageState, now_ms: int) -> list[Action]:
        today = utc_day(now_ms)
        if self._told.get(state) == today:
            return []
        self._told[state] = today
        return [SendText(messages.usage(state)), Count("told", 1, state)]

    def _wait(self, now_ms: int, pause_ms: int) -> None:
        self._from_ms, self._pause_ms = now_ms, pause_ms
