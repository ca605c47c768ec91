"""Memory of a server for each socket: one that is open and silent, and one that streams. Beside sinks that keep nothing.

The growth of the process over many sockets, after a few were opened and closed, so that what is loaded at the first socket does
not count as one's.
"""

import time
from collections.abc import Iterator

from bench import memory
from bench.figure import Figure, Goal
from bench.listen_cpu import start_sink
from bench.load import Sends, start_load
from bench.process import Process
from bench.scale import Scale
from bench.workbench import Workbench

PART = "sockets"
SETTLE_S = 2.0
FIRST_SOCKETS = 20
STREAM_S = 14.0
"""`listen` keeps eight seconds of what it acked."""
SINKS = {
    "uvicorn websockets-sansio": "no-op Starlette sink, uvicorn websockets-sansio",
    "picows": "no-op picows sink",
}


def measure(scale: Scale) -> Iterator[Figure]:
    """KiB a socket, unique to the process (USS)."""
    kinds: tuple[tuple[str, Sends, int, float, float], ...] = (
        ("an idle socket", "nothing", scale.idle_sockets, SETTLE_S, 40),
        ("a streaming socket", "paced", scale.many_sockets, STREAM_S, 60),
    )
    for what, sends, sockets, seconds, goal_kib in kinds:
        kib: dict[str, float] = {}
        stays = rss = 0.0
        for name in (*SINKS, "listen"):
            with Workbench() as workbench:
                process, port = _server(workbench, name)
                _grow(workbench, process, port, FIRST_SOCKETS, "paced", SETTLE_S)
                before, during, after = _grow(workbench, process, port, sockets, sends, seconds)
            kib[name] = (during.uss - before.uss) / sockets / 1024
            rss = (during.rss - before.rss) / sockets / 1024
            stays = (after.uss - before.uss) / sockets / 1024
        for name, baseline_name in SINKS.items():
            yield Figure(
                part=PART,
                what=f"memory of {what}",
                unit="KiB",
                ours=(kib["listen"],),
                baseline_name=baseline_name,
                baseline=(kib[name],),
                better="less",
                goal=Goal("value", "at most", goal_kib),
                notes=(
                    f"{what}: growth of USS over {sockets} sockets, after {FIRST_SOCKETS} first ones; RSS grew by {rss:.1f} KiB a socket",
                    f"{what}: {stays:.1f} KiB a socket had not been given back to the system 2 s after all were closed",
                ),
            )


def _server(workbench: Workbench, name: str) -> tuple[Process, int]:
    if name != "listen":
        return start_sink(workbench, name)
    service = workbench.service("listen")
    return service.process, service.port


def _grow(
    workbench: Workbench, process: Process, port: int, sockets: int, sends: Sends, seconds: float
) -> tuple[memory.Memory, memory.Memory, memory.Memory]:
    """The server's memory before, with all sockets after `seconds`, and once they are closed."""
    before = memory.of(process.pids)
    load = start_load(workbench, port, sockets, sends=sends)
    time.sleep(seconds)  # the stretch after which memory is looked at
    load.sent()  # looks whether all are still open
    during = memory.of(process.pids)
    load.stop()
    time.sleep(SETTLE_S)  # what closing takes for a moment is given back
    return before, during, memory.of(process.pids)
