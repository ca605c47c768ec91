"""CPU of `listen` for one 20 ms Opus message with all its work done, beside sinks that do nothing under the same load.

The servers take turns, in an order that moves on by one each round: each gets the same sockets, messages and seconds.
"""

import time
from collections.abc import Iterator

from bench.figure import Figure, Goal
from bench.load import LEAST_SHARE, MESSAGES_A_SECOND, Codec, RunningLoad, start_load
from bench.process import BenchError, Process, listens
from bench.scale import Scale
from bench.workbench import Workbench
from tapedeck.up.ports import LOOPBACK, free_port

PART = "listen"
TRIES = 3
"""Of a round in which the server fell behind."""
WARM_UP_S = 2.0
"""Every device has begun by then."""
SINKS = {
    "uvicorn websockets-sansio": "no-op Starlette sink, uvicorn websockets-sansio",
    "picows": "no-op picows sink, the floor",
}
GOALS = {"uvicorn websockets-sansio": Goal("ratio", "at most", 0.7)}


def measure(scale: Scale) -> Iterator[Figure]:
    """Microseconds of CPU a message, user and system, of the whole server process."""
    with Workbench() as workbench:
        listen = workbench.service("listen")
        servers = {name: start_sink(workbench, name) for name in SINKS}
        servers["listen"] = (listen.process, listen.port)
        cost: dict[str, list[float]] = {name: [] for name in servers}
        names = list(servers)
        for turn in range(scale.rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                process, port = servers[name]
                cost[name].append(
                    microseconds(workbench, [process], [port], scale.listen_sockets, scale.listen_seconds)
                )
    for name, baseline_name in SINKS.items():
        yield Figure(
            part=PART,
            what="CPU for a 20 ms Opus message, v1 dialect, all work done",
            unit="µs a message",
            ours=tuple(cost["listen"]),
            baseline_name=baseline_name,
            baseline=tuple(cost[name]),
            better="less",
            goal=GOALS.get(name),
            notes=(
                f"{scale.listen_sockets} sockets, {MESSAGES_A_SECOND} messages a second each, for {scale.listen_seconds:g} s a round",
                "user and system time of the server's process; Redis and the load generator are not counted",
            ),
        )


def start_sink(workbench: Workbench, name: str) -> tuple[Process, int]:
    """A sink that listens, and its port."""
    port = free_port(LOOPBACK, None)
    process = workbench.python(name.replace(" ", "-"), "bench.sink", name, str(port))
    return process.until(lambda: listens(port), "an answer"), port


def microseconds(
    workbench: Workbench,
    processes: list[Process],
    ports: list[int],
    sockets: int,
    seconds: float,
    codec: Codec = "opus",
) -> float:
    """CPU a message of all `processes` behind `ports`, while `sockets` devices send to each port for so long.

    BenchError: the server read much less than it was sent, again and again.
    """
    share = 0.0
    for _ in range(TRIES):
        loads = [start_load(workbench, port, sockets, codec=codec) for port in ports]
        time.sleep(WARM_UP_S)  # what is measured begins once all send evenly
        taken, cpu_s, began = _taken(loads), _cpu_s(processes), time.monotonic()
        time.sleep(seconds)  # the length of a round
        taken, cpu_s, lasted = _taken(loads) - taken, _cpu_s(processes) - cpu_s, time.monotonic() - began
        for load in loads:
            load.stop()
        share = taken / (lasted * len(ports) * sockets * MESSAGES_A_SECOND)
        if share >= LEAST_SHARE:
            return cpu_s / taken * 1e6
    raise BenchError(f"only {share:.0%} of the messages were read in time: the machine is too busy")


def _taken(loads: list[RunningLoad]) -> float:
    return sum(load.taken() for load in loads)


def _cpu_s(processes: list[Process]) -> float:
    return sum(process.cpu_s for process in processes)
