"""A cut that somebody wrote down before: whether it may be carried out.

A master that is none any more does not know it for some seconds, and a cut can stand on it alone: whoever wrote it down was told that no
replica has it, and did not follow it. Whoever finds it there must not follow it either: the new master knows nothing of it, and the
same audio would be cut again there, elsewhere. So with replicas to wait for, a found cut is confirmed like one that is written.
"""

from audiobus.bus import Bus
from audiobus.connection import translated
from audiobus.conversation import Conversation
from audiobus.pipeline import execute
from audiobus.routed import Routed


async def still_stands(bus: Bus, conversation: Conversation, cut: bytes) -> bool:
    """Whether that very cut stands, and as many replicas as are asked for have it. Without replicas to wait for nothing is asked.

    Raises:
        NotReplicatedError: too few replicas confirmed it; it may stand on a former master.
        BusUnavailableError: Redis does not answer.
    """
    if not bus.wait_replicas:
        return True
    key = bus.keys.conv(conversation)
    with translated("HGET"):
        # WAIT speaks of everything that the server had written when it answered, so a read before it is enough.
        [stands] = await execute(
            bus.client, [Routed(key, ("HGET", key, "cut"))], wait_replicas=bus.wait_replicas
        )
        if isinstance(stands, Exception):
            raise stands
    return bool(stands == cut)
