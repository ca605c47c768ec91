"""Usage: ms of audio taken from a user, by UTC day and session, and what is set for the user; read and written in one script.

`append` adds a session's samples up where it adds the chunk (`used` in `td:conv`), so no total is lost with a process, and none
counts twice. Here that is read, and carried to `td:usage`, where a total never shrinks. Days are counted since 1970, in UTC.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError, BusContractError
from audiobus.keys import Keys
from audiobus.script import Argument

DAY_MS: Final = 86_400_000
KEPT_S: Final = 2 * 86_400
"""A day's usage is gone so long after its last write."""
SAMPLES_PER_MS: Final = 48

_DAY: Final = r"(0|[1-9][0-9]{0,6}):(0|[1-9][0-9]{0,17})"
_USED: Final = re.compile(rf"{_DAY}(?:,{_DAY})?", re.ASCII)
_USED_WAS: Final = re.compile(rf"(0|[1-9][0-9]{{0,19}});({_DAY}(?:,{_DAY})?)", re.ASCII)


class UsageTotal(NamedTuple):
    """How much of one session was taken on one day, up to now."""

    day: int
    session: str
    """`<conversation>/<epoch>`: the field of `td:usage`."""
    ms: int


@dataclass(frozen=True, slots=True)
class UserState:
    """What is set for a user, and what they have used."""

    settings: Mapping[str, str]
    """`protection`, `store_audio`, `daily_limit_ms`; missing where nothing is set."""
    limit_ms: int
    """Of audio a day; 0 for none."""
    used_ms: int
    """Of the day that was asked for. 0 where there is no limit: nobody needs to know then."""
    written: bool = True
    """Whether the totals stand."""

    @property
    def stores_audio(self) -> bool:
        """Whether the user's audio may be stored."""
        return self.settings.get("store_audio", "").lower() not in ("0", "false")


@dataclass(frozen=True, slots=True)
class UserRequest:
    """Totals to write, and a user to look at. Both may be done again."""

    uid: str
    day: int
    """Whose sum is answered."""
    default_limit_ms: int = 0
    """The limit of a user who has none of their own."""
    totals: tuple[UsageTotal, ...] = ()

    script_name = "usage"

    @property
    def size(self) -> int:
        """About how many bytes it is."""
        return 100 * (1 + len(self.totals))

    def command(self, keys: Keys) -> tuple[list[str], list[Argument]]:
        """Keys and arguments of the script."""
        args: list[Argument] = [self.default_limit_ms, KEPT_S]
        for total in self.totals:
            args += [total.session, total.ms]
        days = [self.day, *(total.day for total in self.totals)]
        pairs = [key for day in days for key in (keys.usage(self.uid, day), keys.usage_sum(self.uid, day))]
        return [keys.user(self.uid), *pairs], args

    def read(self, answer: Sequence[Any]) -> UserState:
        """The script's answer.

        Raises:
            BusContractError: no answer of that script.
        """
        match answer:
            case [int(written), int(limit_ms), int(used_ms), list(rows)]:
                pairs = zip(rows[::2], rows[1::2], strict=True)
                settings = {
                    key.decode(errors="replace"): value.decode(errors="replace") for key, value in pairs
                }
                return UserState(settings, limit_ms, used_ms, written=bool(written))
            case other:
                raise BusContractError(f"usage answered {other!r}")


def utc_day(now_ms: int) -> int:
    """The UTC day of a unix time, counted from 1970."""
    return now_ms // DAY_MS


def session_totals(cid: str, epoch: int, used: bytes) -> tuple[UsageTotal, ...]:
    """What a session has used, by day, from the field `used`; nothing where that is empty.

    Raises:
        BadEntryError: the field is none that `append` wrote.
    """
    if not used:
        return ()
    match = _USED.fullmatch(used.decode("ascii", "replace"))
    if match is None:
        raise BadEntryError(f"used: {used[:60]!r} is no sum by days")
    session = f"{cid}/{epoch}"
    pairs = ((match[1], match[2]), (match[3], match[4]))
    return tuple(
        UsageTotal(int(day), session, int(samples) // SAMPLES_PER_MS) for day, samples in pairs if day
    )


def former_totals(cid: str, used_was: bytes) -> tuple[UsageTotal, ...]:
    """What the last session before this one used, from the field `used_was`; nothing where that is empty.

    Raises:
        BadEntryError: the field is none that `open` wrote.
    """
    if not used_was:
        return ()
    match = _USED_WAS.fullmatch(used_was.decode("ascii", "replace"))
    if match is None:
        raise BadEntryError(f"used_was: {used_was[:60]!r} is no session with its sum")
    return session_totals(cid, int(match[1]), match[2].encode())


def conversation_totals(
    cid: str, newest: bytes | None, used: bytes | None, used_was: bytes | None
) -> tuple[UsageTotal, ...]:
    """What a conversation's newest session and the one before it used, from the fields of `td:conv`; None where one is missing.

    Raises:
        BadEntryError: a field is none that a script wrote.
    """
    epoch = EntryId.parse(newest).epoch if newest else 0
    return (*session_totals(cid, epoch, used or b""), *former_totals(cid, used_was or b""))
