"""Durable before acknowledged: the only lines of this service that store audio and then tell the client so.

The order must hold. `append` returns only when Redis has confirmed the chunk (and its replicas, where the settings ask for
that); the ack is made by the session's answer to `appended`, and nowhere else. A client drops what was acked: an ack sent
first, or on a time-out, would lose what a crash between the two takes along.
"""

from collections.abc import Callable

from audiobus import Appended, AppendRequest, Misplaced, Replaced, Writer

Answer = Appended | Replaced | Misplaced


async def append_then_acknowledge(
    writer: Writer, request: AppendRequest, acknowledge: Callable[[Answer], None]
) -> None:
    """Stores the chunk, then hands on what Redis answered.

    Raises:
        BusUnavailableError: not known whether it is stored; nothing was acknowledged.
        ConversationDeletedError: a tombstone stands.
    """
    answer = await writer.append(request)
    acknowledge(answer)
