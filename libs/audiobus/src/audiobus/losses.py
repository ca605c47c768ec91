"""What Redis lost of sessions that it had confirmed: how far it has each, and who counts what is gone.

Owns `td:lost:{uid/cid}`: epoch to the bytes that somebody has counted, so that of all who know of a loss only one counts it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from audiobus.bus import ENDS_KEPT, Bus
from audiobus.connection import translated
from audiobus.conversation import Conversation
from audiobus.entry_id import EntryId
from audiobus.pipeline import execute
from audiobus.routed import Routed
from audiobus.script import script

CLAIM_KEPT_MS: Final = 6 * 3_600_000
"""Longer than anybody looks for what was lost of a session."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How far Redis has one session."""

    offset: int
    """Payload bytes of it that Redis knows of: in the buffer, in the bucket, dead or deleted. 0 where it knows nothing of the session."""
    settled: EntryId | None
    """Everything of the conversation up to here is dealt with: in the bucket, dead or deleted."""


async def extents(bus: Bus, sessions: Sequence[tuple[Conversation, int]]) -> list[Extent | None]:
    """How far Redis has these sessions, each a conversation and an epoch; None where that is not known.

    Raises:
        BusUnavailableError: Redis does not answer. Of a cluster, None in the place of those whose master is away.
    """
    if not sessions:
        return []
    commands = []
    for conversation, epoch in sessions:
        key = bus.keys.conv(conversation)
        commands.append(Routed(key, ("HMGET", key, "newest", "settled", f"end:{epoch}", "ends_look")))
    with translated("HMGET"):
        answers = await execute(bus.client, commands)
    return [_extent(epoch, answer) for (_, epoch), answer in zip(sessions, answers, strict=True)]


async def claim(bus: Bus, conversation: Conversation, epoch: int, since: int, upto: int, *, who: str) -> int:
    """Of the bytes from `since` up to `upto`, which are lost, how many nobody has counted: they are the caller's to count.

    `who` names this claim among all of the session: made again, it gets the same answer.

    Raises:
        BusUnavailableError: it may stand or not. Claim again.
    """
    args: list[str | bytes | int] = [str(epoch), since, upto, who, CLAIM_KEPT_MS]
    return int(await script("claim_loss").run(bus.client, [bus.keys.lost(conversation)], args))


def _extent(epoch: int, answer: Any) -> Extent | None:
    if isinstance(answer, Exception):
        return None
    try:
        newest, settled = EntryId.parse_or_none(answer[0]), EntryId.parse_or_none(answer[1])
        if newest is None or newest.epoch < epoch:
            return Extent(0, settled)
        if newest.epoch == epoch:
            offset = newest.offset
        elif answer[2]:
            offset = int(answer[2].partition(b":")[0])
        elif int(answer[3] or 0) > ENDS_KEPT:
            return None  # there were so many sessions since that the ends of the oldest are not kept
        else:
            offset = 0
    except ValueError:
        return None  # no script of ours wrote that
    return Extent(offset, settled)
