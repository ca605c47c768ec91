"""Which histories Redis has: another id mostly means that writes which were confirmed may be gone.

A server has another id after each restart, also from a backup, and a replica that is made the master has another one than its master had. The one
of a conversation comes with `turn.take`.

A server that goes on running takes a new id, too, where nothing is lost: with the first replica, or the first `redis-cli --rdb`, that finds no
replication backlog, and when the backlog is freed (`repl-backlog-ttl`, an hour after the last of them). Who only looks more closely for it need not
tell these apart; who counts, and rouses somebody, does: `HistoryWatch`.
"""

from dataclasses import dataclass, field
from typing import Any

from audiobus.bus import Bus
from audiobus.errors import BusContractError, BusUnavailableError
from audiobus.servers import servers


async def histories(bus: Bus) -> frozenset[str]:
    """The ids of all masters that answer.

    Raises:
        BusUnavailableError: not known which masters there are.
    """
    found = set()
    for server in await servers(bus):
        try:
            found.add(_history(await server.info("replication")))
        except BusUnavailableError:
            continue  # it shows another id when it is back, if anything became of it
    return frozenset(found)


@dataclass(slots=True)
class HistoryWatch:
    """Tells, from look to look, whether Redis is another one than before."""

    bus: Bus
    _met: set[str] = field(default_factory=set)
    """The ids of all looks."""
    _running: frozenset[str] = frozenset()
    """`run_id` of each process that was a master at the last look."""

    async def another(self) -> bool:
        """Whether a master shows an id that was never met, and did not take it while it went on running. False at the first look.

        One command to each master: what is compared is of one moment.

        Raises:
            BusUnavailableError: not known which masters there are.
        """
        another, first = False, not self._met
        met, running = set(self._met), set()
        for server in await servers(self.bus):
            try:
                info = await server.info("default")
            except BusUnavailableError:
                continue  # as above
            history = _history(info)
            if history not in met:
                another |= not first and not self._went_on(info)
                met.add(history)
            if info.get("role") == "master" and "run_id" in info:
                running.add(str(info["run_id"]))
        # Not before all are looked at: where one's answer cannot be understood, the next look says it again.
        self._met, self._running = met, frozenset(running)
        return another

    def _went_on(self, info: dict[str, Any]) -> bool:
        """Whether it is a process that was a master at the last look and has been nothing else since.

        As a replica it would have taken another's data. `master_replid2` is what it followed last, and nothing but zeros in one that never did
        since its id changed.
        """
        followed = str(info.get("master_replid2", "unknown")).strip("0")
        return info.get("role") == "master" and str(info.get("run_id")) in self._running and not followed


def _history(info: dict[str, Any]) -> str:
    try:
        return str(info["master_replid"])
    except KeyError as error:
        raise BusContractError("INFO replication: no master_replid") from error
