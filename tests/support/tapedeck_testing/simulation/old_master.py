"""A master that was replaced and does not know it: whoever has not noticed either goes on reading and writing there, for nothing.

Owns what it answers for as long as it lives. No replica confirms what is written to it, and all of it is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis import exceptions as redis_errors

from tapedeck_testing.simulation.lost_cuts import CONV, KEY, standing_cut

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from tapedeck_testing.simulation.redis_model import RedisModel
    from tapedeck_testing.simulation.virtual_loop import Process


class OldMaster:
    """Lives until its time is over; then it gives up what it has, and closes every connection."""

    def __init__(
        self,
        model: RedisModel,
        holdouts: Collection[Process],
        until_s: float,
        on_cut: Callable[[str], None],
    ) -> None:
        """`model`: all that it had when another took its place. `holdouts`: the processes that still talk to it.

        `on_cut`: told the name of the object of each cut that stands here, also of those that the new master has.
        """
        self._model = model
        self._holdouts = holdouts
        self._on_cut = on_cut
        self.until_s = until_s
        """By the loop's clock."""

    def is_heard_by(self, process: Process, now_s: float) -> bool:
        """Whether what the process asks for now comes here."""
        return process in self._holdouts and now_s < self.until_s

    def execute(self, args: Sequence[Any]) -> Any:
        """The reply, or the error that the client raises."""
        if args[0] == "WAIT":
            return 0
        if args[0] == "INFO":
            return {
                "master_replid": self._model.state.history,
                "used_memory": 100,
                "maxmemory": 1000,
                "maxmemory_policy": "noeviction",
                "aof_enabled": 1,
            }
        try:
            reply = self._model.execute(args)
        except redis_errors.ResponseError as error:
            return error
        if len(args) > KEY and (key := str(args[KEY]).encode()).startswith(CONV):
            name = standing_cut(self._model, key)
            if name:
                self._on_cut(name)
        return reply
