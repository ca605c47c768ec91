"""What a message and a silent socket cost under each server that could carry the audio socket, with an app that does nothing.

For the decision about `listen`'s shell. Granian is no dependency: it is measured where `TAPEDECK_BENCH_GRANIAN` names its command (of an
environment that has Starlette, uvloop and what `bench.sink` imports).
"""

import os
import time
from collections.abc import Iterator

from bench import memory
from bench.figure import Figure
from bench.listen_cpu import microseconds, start_sink
from bench.load import MESSAGES_A_SECOND, start_load
from bench.process import Process, listens
from bench.scale import Scale
from bench.workbench import Workbench
from tapedeck.up.ports import LOOPBACK, free_port

PART = "shells"
BASELINE = "uvicorn websockets-sansio"
SERVERS = ("hypercorn asyncio", "hypercorn uvloop", "uvicorn websockets", "picows", BASELINE)
GRANIAN = "TAPEDECK_BENCH_GRANIAN"
SETTLE_S = 2.0


def measure(scale: Scale) -> Iterator[Figure]:
    """Microseconds a message, and KiB a silent socket."""
    names = ("granian", *SERVERS) if GRANIAN in os.environ else SERVERS
    cost: dict[str, list[float]] = {name: [] for name in names}
    kib: dict[str, float] = {}
    with Workbench() as workbench:
        servers = {name: _start(workbench, name) for name in names}
        for name, (process, port) in servers.items():
            kib[name] = _kib(workbench, process, port, scale.idle_sockets)
        for turn in range(scale.few_rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                process, port = servers[name]
                cost[name].append(
                    microseconds(workbench, [process], [port], scale.sockets, scale.listen_seconds)
                )
    load = f"{scale.sockets} sockets, {MESSAGES_A_SECOND} messages a second each, for {scale.listen_seconds:g} s a round"
    for name in names[:-1]:
        yield Figure(
            part=PART,
            what=f"CPU for a 60-byte message, {name}",
            unit="µs a message",
            ours=tuple(cost[name]),
            baseline_name=BASELINE,
            baseline=tuple(cost[BASELINE]),
            better="less",
            notes=(load,),
        )
    for name in names[:-1]:
        yield Figure(
            part=PART,
            what=f"memory of a silent socket, {name}",
            unit="KiB",
            ours=(kib[name],),
            baseline_name=BASELINE,
            baseline=(kib[BASELINE],),
            better="less",
            notes=(f"growth of USS over {scale.idle_sockets} sockets",),
        )


def _start(workbench: Workbench, name: str) -> tuple[Process, int]:
    if name != "granian":
        return start_sink(workbench, name)
    port = free_port(LOOPBACK, None)
    options = ["--interface", "asgi", "--loop", "uvloop", "--workers", "1", "--no-access-log"]
    command = [os.environ[GRANIAN], *options, "--host", LOOPBACK, "--port", str(port), "bench.sink:app"]
    return workbench.start(command, name).until(lambda: listens(port), "an answer"), port


def _kib(workbench: Workbench, process: Process, port: int, sockets: int) -> float:
    before = memory.of(process.pids)
    load = start_load(workbench, port, sockets, sends="nothing")
    time.sleep(SETTLE_S)  # what opening takes for a moment is given back
    load.sent()  # looks whether all are still open
    grown = memory.of(process.pids).uss - before.uss
    load.stop()
    return grown / sockets / 1024
