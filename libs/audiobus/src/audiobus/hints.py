"""When to look at which conversation: `due` (at the latest then) and `ready` (now).

`due` is what nothing can get lost from: a conversation stays on it as long as its buffer exists. `ready` carries hints,
which are harmless twice, for nothing, or lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from redis.exceptions import ResponseError

from audiobus.bus import Bus
from audiobus.connection import Client, translated
from audiobus.conversation import Conversation
from audiobus.keys import GROUP
from audiobus.script import Call, run_together, script

SCHEDULE_LIMIT: Final = 256
CONSUMER_KEPT_MS: Final = 24 * 3_600_000
"""A consumer that holds nothing is known so long after it got its last hint (to Redis 7.2: after it asked for one)."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A hint as a consumer got it."""

    partition: int
    id: bytes
    """Of the entry in `ready`: what to acknowledge."""
    conversation: Conversation | None
    """None where the entry names none: acknowledge and go on."""
    reason: str


class Hints:
    """`due` and `ready` over one bus."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    # -- for everybody ---------------------------------------------------------------------------------------------

    async def due(self, conversation: Conversation, at_ms: int) -> None:
        """Makes sure that the conversation is looked at by `at_ms`, or earlier if that is already so."""
        key = self._bus.keys.due(self._bus.keys.partition(conversation))
        await script("due").run(self._bus.client, [key], [conversation.tag, at_ms, "1"])

    async def ready(self, conversation: Conversation, reason: str) -> None:
        """Hints that the conversation should be looked at now."""
        key = self._bus.keys.ready(self._bus.keys.partition(conversation))
        await script("ready").run(self._bus.client, [key], [conversation.tag, reason])

    async def ready_together(self, conversations: Sequence[Conversation], reason: str) -> int:
        """Hints at all of these; at how many: those whose server does not answer are left out.

        Raises:
            BusUnavailableError: none could be hinted at.
        """
        keys = [self._bus.keys.ready(self._bus.keys.partition(one)) for one in conversations]
        calls = [
            Call(script("ready"), [key], [one.tag, reason])
            for key, one in zip(keys, conversations, strict=True)
        ]
        with translated("ready"):
            answers = await run_together(self._bus.client, calls)
            failed = [answer for answer in answers if isinstance(answer, Exception)]
            if failed and len(failed) == len(calls):
                raise failed[0]
        return len(calls) - len(failed)

    # -- for pushers -----------------------------------------------------------------------------------------------

    async def push_due(self, conversation: Conversation, at_ms: int) -> None:
        """Sets when the conversation is looked at next, later than before too. Only who has just looked may do that."""
        key = self._bus.keys.due(self._bus.keys.partition(conversation))
        await script("due").run(self._bus.client, [key], [conversation.tag, at_ms, "0"])

    async def leave(self, conversation: Conversation, at_ms: int) -> bool:
        """Takes the conversation off `due` if it has no buffer. True if it left.

        Off first, look second, back third: between them an `open` puts it on again itself, or is seen.
        """
        key = self._bus.keys.due(self._bus.keys.partition(conversation))
        await self._bus.command("ZREM", key, conversation.tag)
        if await self._bus.buffered(conversation):
            await self.due(conversation, at_ms)
            return False
        return True

    async def schedule(self, partition: int, now_ms: int, next_ms: int) -> int:
        """Hints at every conversation that is past due and puts its due time off to `next_ms`; answers how many."""
        keys = [self._bus.keys.due(partition), self._bus.keys.ready(partition)]
        return int(await script("schedule").run(self._bus.client, keys, [now_ms, next_ms, SCHEDULE_LIMIT]))

    async def put_on_due(
        self, conversations: Sequence[tuple[Conversation, int]], *, latest_ms: int | None = None
    ) -> None:
        """Puts those on `due` that are missing there, each for its unix ms; what is there keeps its time.

        `latest_ms`: what stands there for later than this is put there anew, too; None where every time is believed.

        Raises:
            BusUnavailableError: not all of them: a server does not answer.
        """
        latest = "" if latest_ms is None else latest_ms
        calls: list[Call] = []
        for conversation, at_ms in conversations:
            key = self._bus.keys.due(self._bus.keys.partition(conversation))
            calls.append(Call(script("found"), [key], [conversation.tag, at_ms, latest]))
        with translated("found"):
            for answer in await run_together(self._bus.client, calls):
                if isinstance(answer, Exception):
                    raise answer

    async def make_group(self, partition: int) -> bool:
        """Makes the consumer group, from the first hint on, also in a Redis that is full. False if it was there."""
        return bool(await script("group").run(self._bus.client, [self._bus.keys.ready(partition)], [GROUP]))

    async def take(
        self,
        client: Client,
        partition: int,
        consumer: str,
        *,
        count: int,
        block_ms: int | None,
        pending: bool = False,
    ) -> list[Hint]:
        """New hints for this consumer, or those that it was given before and never acknowledged.

        Args:
            client: a client of the reader's own, with a socket time-out above `block_ms`. Never cancel this call: what
                it was about to return would be pending.
            partition: which.
            consumer: a name that stays over restarts.
            count: at most so many.
            block_ms: how long to wait for a new one; None does not wait.
            pending: the consumer's own pending hints instead, from the oldest on.
        """
        args: list[str | int] = ["GROUP", GROUP, consumer, "COUNT", count]
        if block_ms is not None and not pending:
            args += ["BLOCK", block_ms]
        args += ["STREAMS", self._bus.keys.ready(partition), "0" if pending else ">"]
        with translated("XREADGROUP"):
            answer = await client.execute_command("XREADGROUP", *args)
        return [hint for _, rows in _streams(answer) for hint in _hints(partition, rows)]

    async def claim(self, partition: int, consumer: str, *, idle_ms: int, count: int) -> list[Hint]:
        """Hints that another consumer has held for `idle_ms` without a word: it is dead, or slow beyond its lease."""
        answer = await self._bus.command(
            "XAUTOCLAIM", self._bus.keys.ready(partition), GROUP, consumer, idle_ms, "0-0", "COUNT", count
        )
        # Redis 6.2 answers two parts, 7 three; deleted entries come as nil in 6.2.
        return _hints(partition, answer[1])

    async def deliveries(self, partition: int, *, count: int) -> dict[bytes, int]:
        """How often each of the oldest pending hints was given to a consumer, by its id; nothing where there is no group yet."""
        key = self._bus.keys.ready(partition)
        with translated("XPENDING"):
            try:
                rows = await cast("Any", self._bus.client).execute_command(
                    "XPENDING", key, GROUP, "-", "+", count, parse_detail=True
                )
            except ResponseError as error:
                if "NOGROUP" in str(error):
                    return {}
                raise
        pairs = (
            (row["message_id"], row["times_delivered"]) if isinstance(row, dict) else (row[0], row[3])
            for row in rows
        )
        return {one: int(times) for one, times in pairs}

    async def unfollowed(self, partition: int) -> int:
        """How many hints nobody has followed to the end; takes those off that were, and lie there all the same."""
        return int(
            await script("unfollowed").run(self._bus.client, [self._bus.keys.ready(partition)], [GROUP])
        )

    async def drop_consumers(self, partition: int) -> int:
        """Takes consumers off the group that hold nothing and got nothing for long; how many. One that asks again is made again."""
        key = self._bus.keys.ready(partition)
        return int(await script("consumers").run(self._bus.client, [key], [GROUP, CONSUMER_KEPT_MS]))

    async def done(self, hint: Hint) -> None:
        """The hint was followed: it leaves the stream."""
        await script("done").run(self._bus.client, [self._bus.keys.ready(hint.partition)], [GROUP, hint.id])


def _streams(answer: Any) -> list[tuple[bytes, Any]]:
    if not answer:
        return []
    return list(answer.items()) if isinstance(answer, dict) else [(row[0], row[1]) for row in answer]


def _hints(partition: int, rows: Any) -> list[Hint]:
    hints = []
    for row in rows:
        if row is None or row[0] is None:
            continue
        fields = row[1] or ()
        pairs = fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
        try:
            conversation = Conversation.from_tag(pairs[b"c"])
        except (KeyError, ValueError):
            conversation = None
        hints.append(Hint(partition, row[0], conversation, pairs.get(b"r", b"").decode(errors="replace")))
    return hints
