"""The clock that all processes share: that of the Redis which holds a conversation.

Which of two sockets came later decides who records. Processes on several machines compare their arrivals, so these are told in the
time of the one server that all of them ask. Own clocks may be seconds apart, and may be set: only the monotonic one is looked at here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from redis.asyncio import RedisCluster

from audiobus.connection import translated

if TYPE_CHECKING:
    from audiobus.bus import Bus
    from audiobus.conversation import Conversation

KEPT_S: Final = 60.0
"""How long one look at Redis' clock serves."""
QUICK_S: Final = 0.25
"""An answer within this time tells the clock well enough; a slower one serves only where nothing else is known, and not for long."""
SLOW_KEPT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Look:
    ahead_ms: int
    """How far Redis' clock stands ahead of this process' monotonic one."""
    at_s: float
    """When, on the monotonic clock."""
    quick: bool

    def serves(self, now_s: float) -> bool:
        return now_s - self.at_s < (KEPT_S if self.quick else SLOW_KEPT_S)


class RedisClock:
    """Tells the time of Redis, asking for it once a minute."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._looks: dict[str, _Look] = {}

    async def ms(self, conversation: Conversation, ago_ms: int = 0) -> int:
        """Unix ms of the server that holds the conversation, as it was `ago_ms` ago.

        Raises:
            BusUnavailableError: Redis does not answer.
        """
        asked_ms = round(time.monotonic() * 1000) - ago_ms
        node = await self._node(conversation)
        name = "" if node is None else str(node.name)
        look = self._looks.get(name)
        if look is None or not look.serves(time.monotonic()):
            new = await self._look(node)
            if not new.quick:
                # It may have been this process that was stopped meanwhile. Of two that were slow both tell too little: the more is truer.
                again = await self._look(node)
                new = again if again.quick else max(new, again, key=lambda one: one.ahead_ms)
            if look is None or new.quick or not look.quick:
                look = self._looks[name] = new
        return asked_ms + look.ahead_ms

    async def _node(self, conversation: Conversation) -> Any:
        client = self._bus.client
        if not isinstance(client, RedisCluster):
            return None
        with translated("TIME"):
            await client.initialize()
            return client.get_node_from_key(self._bus.keys.conv(conversation))

    async def _look(self, node: Any) -> _Look:
        where = {} if node is None else {"target_nodes": node}
        began_s = time.monotonic()
        with translated("TIME"):
            answer = await cast("Any", self._bus.client).execute_command("TIME", **where)
        ended_s = time.monotonic()
        # A command to one node of a cluster is answered under the node's name.
        seconds, micros = next(iter(answer.values())) if isinstance(answer, dict) else answer
        redis_ms = int(seconds) * 1000 + int(micros) // 1000
        quick = ended_s - began_s <= QUICK_S
        # A slow answer may have been given at any time since it was asked for. The earliest moment that it allows is safe: whoever seems
        # to have come too early is refused and comes again; who seems to have come later than he did ends the one that came after him.
        read_s = (began_s + ended_s) / 2 if quick else ended_s
        return _Look(redis_ms - round(read_s * 1000), ended_s, quick)
