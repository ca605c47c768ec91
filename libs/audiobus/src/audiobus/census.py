"""The books of the audio: what was received, and where it is now.

    received = stored + waiting + dead + deleted

holds for every conversation, in samples at 48 kHz, because each number changes only in the script that moves the audio. Owns the
reading of both sides: the numbers in `td:conv`, and the entries and dead letters that they speak of. It moves nothing.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, fields
from typing import Any, Final, Self, cast

from audiobus.bus import Bus
from audiobus.connection import translate_response, translated
from audiobus.conversation import Conversation
from audiobus.entry_id import EntryId
from audiobus.errors import BadEntryError, MovingError
from audiobus.letter import read_letter
from audiobus.pipeline import execute
from audiobus.routed import Routed

PAGE: Final = 64
"""Entries, or dead letters, in one read: a quarter of a megabyte."""
SCAN_COUNT: Final = 500
TRIES: Final = 200
"""Times that the books of one conversation are opened before it is given up: each time it was recorded into or drained meanwhile."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Samples at 48 kHz."""

    received: int = 0
    """Appended, since the conversation is known."""
    stored: int = 0
    """In the bucket."""
    waiting: int = 0
    """In the buffer."""
    dead: int = 0
    """In the dead letters."""
    deleted: int = 0
    """Deleted on purpose, wherever it lay."""

    @property
    def difference(self) -> int:
        """What was received and is nowhere; negative: what is somewhere and was never received. 0 is the promise."""
        return self.received - self.stored - self.waiting - self.dead - self.deleted

    def __add__(self, other: Self) -> Self:
        """Both together."""
        return type(self)(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class _Page:
    """What stands in the books of one conversation, read in one command."""

    newest: EntryId
    settled: bytes | None
    received: int
    stored: int
    dead: int
    deleted: int

    def only_appended_since(self, before: "_Page") -> bool:
        """Whether nothing left the buffer or the dead letters since `before`, and nothing was lost."""
        gone = (before.settled, before.stored, before.dead, before.deleted)
        return (self.settled, self.stored, self.dead, self.deleted) == gone and self.newest >= before.newest


async def exact(bus: Bus, conversation: Conversation) -> Balance:
    """The balance of one conversation at one moment: `waiting` and `dead` are added up from the entries and the letters themselves.

    It may be recorded into and drained meanwhile: what moved is read again.

    Raises:
        MovingError: it moved each time. Ask again.
        BadEntryError: a field or a letter that no script of ours wrote.
        BusUnavailableError: Redis does not answer.
    """
    page = await _page(bus, conversation)
    waiting, reached = 0, None
    for _ in range(TRIES):
        more, reached = await _waiting(bus, conversation, reached)
        waiting += more
        dead = await _dead(bus, conversation)
        again = await _page(bus, conversation)
        if again == page:
            return Balance(page.received, page.stored, waiting, dead, page.deleted)
        if not again.only_appended_since(page):
            waiting, reached = 0, None
        page = again
    raise MovingError(f"{conversation.tag} was recorded into or drained all the while")


async def totals(bus: Bus) -> Balance:
    """The sum over every conversation that Redis knows, by their numbers alone: cheap, and no proof. See `exact_totals`.

    A conversation that was quiet for thirty days after it was drained is no longer known, and in no sum.

    Raises:
        BadEntryError: a field that no script of ours wrote.
        BusUnavailableError: Redis does not answer.
    """
    total = Balance()
    async for conversations in pages_of_known(bus):
        for balance in await numbers(bus, conversations):
            total += balance
    return total


async def exact_totals(bus: Bus) -> tuple[Balance, dict[Conversation, Balance]]:
    """The sum of `exact` over every conversation that Redis knows, and those whose difference is not 0.

    Every buffer is read whole: for fault runs and for `tapedeck doctor`.
    """
    total = Balance()
    wrong: dict[Conversation, Balance] = {}
    async for conversation in known(bus):
        balance = await exact(bus, conversation)
        total += balance
        if balance.difference:
            wrong[conversation] = balance
    return total, wrong


async def known(bus: Bus) -> AsyncIterator[Conversation]:
    """Every conversation that has numbers, a buffer, or dead letters, each once, in no order. It remembers them all meanwhile."""
    seen: set[Conversation] = set()
    keys = bus.keys
    for pattern in (keys.conv_pattern(), keys.audio_pattern(), keys.dead_pattern()):
        async for page in _scan(bus, pattern):
            for conversation in page:
                if conversation not in seen:
                    seen.add(conversation)
                    yield conversation


def pages_of_known(bus: Bus) -> AsyncIterator[list[Conversation]]:
    """The conversations that have numbers, in pages of some hundreds. One may come twice while Redis grows or moves its tables."""
    return _scan(bus, bus.keys.conv_pattern())


async def numbers(bus: Bus, conversations: Iterable[Conversation]) -> list[Balance]:
    """What their numbers say; `waiting` is what is left of what was received.

    Raises:
        BadEntryError: a field that no script of ours wrote.
        BusUnavailableError: Redis does not answer.
    """
    found: list[Balance] = []
    names = [bus.keys.conv(conversation) for conversation in conversations]
    if not names:
        return found
    with translated("census"):
        rows = await execute(
            bus.client, [Routed(key, ("HMGET", key, "in", "out", "dead", "deleted")) for key in names]
        )
    for row in rows:
        if isinstance(row, Exception):
            raise translate_response("census", row)
        received, stored, dead, deleted = (_number(value) for value in row)
        found.append(Balance(received, stored, received - stored - dead - deleted, dead, deleted))
    return found


async def _scan(bus: Bus, pattern: str) -> AsyncIterator[list[Conversation]]:
    page: list[Conversation] = []
    with translated("SCAN"):
        # On a cluster redis-py asks every master.
        async for key in cast("Any", bus.client).scan_iter(match=pattern, count=SCAN_COUNT):
            conversation = bus.keys.conversation_of(key)
            if conversation is None:
                continue  # not a key of ours
            page.append(conversation)
            if len(page) == SCAN_COUNT:
                yield page
                page = []
    if page:
        yield page


async def _page(bus: Bus, conversation: Conversation) -> _Page:
    newest, settled, *rest = await bus.command(
        "HMGET", bus.keys.conv(conversation), "newest", "settled", "in", "out", "dead", "deleted"
    )
    try:
        id_ = EntryId.parse_or_none(newest) or EntryId(0, 0)
    except ValueError as error:
        raise BadEntryError(f"conversation hash: {error}") from error
    return _Page(id_, settled, *(_number(value) for value in rest))


async def _waiting(bus: Bus, conversation: Conversation, after: EntryId | None) -> tuple[int, EntryId | None]:
    """Samples in the buffer after that entry, and the last entry."""
    samples = 0
    while True:
        entries = await bus.read(conversation, count=PAGE, after=after)
        samples += sum(entry.counted_samples for entry in entries)
        if entries:
            after = entries[-1].id
        if len(entries) < PAGE:
            return samples, after


async def _dead(bus: Bus, conversation: Conversation) -> int:
    """Samples in the dead letters."""
    key = bus.keys.dead(conversation)
    ids = await bus.command("HKEYS", key)
    samples = 0
    for start in range(0, len(ids), PAGE):
        some = ids[start : start + PAGE]
        letters = await bus.command("HMGET", key, *some)
        samples += sum(
            read_letter(id_, letter).samples for id_, letter in zip(some, letters, strict=True) if letter
        )
    return samples


def _number(value: bytes | None) -> int:
    try:
        return int(value or 0)
    except ValueError as error:
        raise BadEntryError(f"conversation hash: {value!r} is no number") from error
