"""CPU of `listen` for one 20 ms Opus message, beside a sink that does nothing under the same load.

The servers take turns: each gets the same sockets, the same messages and the same seconds, a round after another.
"""

import time
from collections.abc import Iterator

from bench.figure import Figure
from bench.load import MESSAGES_A_SECOND, start_load
from bench.process import BenchError, Process, listens
from bench.scale import Scale
from bench.workbench import Workbench
from tapedeck.up.ports import LOOPBACK, free_port

PART = "listen"
WARM_UP_S = 1.5
LEAST_SHARE = 0.97
"""Of the load asked for: below it the machine was too busy for the round to mean anything."""
SINKS = {"uvicorn": "no-op Starlette sink, uvicorn", "hypercorn": "no-op Starlette sink, Hypercorn"}


def measure(scale: Scale) -> Iterator[Figure]:
    """Microseconds of CPU a message, user and system, of the whole server process."""
    with Workbench() as workbench:
        listen = workbench.service("listen")
        servers: dict[str, tuple[Process, int]] = {}
        for name in SINKS:
            port = free_port(LOOPBACK, None)
            process = workbench.python(name, "bench.sink", name, str(port))
            servers[name] = (process.until(lambda port=port: listens(port), "an answer"), port)  # type: ignore[misc] # a default argument binds the port now; mypy cannot infer such lambdas
        servers["listen"] = (listen.process, listen.port)
        cost: dict[str, list[float]] = {name: [] for name in servers}
        for _ in range(scale.rounds):
            for name, (process, port) in servers.items():
                cost[name].append(_microseconds(workbench, process, port, scale))
    for name, baseline_name in SINKS.items():
        yield Figure(
            part=PART,
            what="CPU for a 20 ms Opus message, v1 dialect",
            unit="µs a message",
            ours=tuple(cost["listen"]),
            baseline_name=baseline_name,
            baseline=tuple(cost[name]),
            better="less",
            notes=(
                f"{scale.sockets} sockets, {MESSAGES_A_SECOND} messages a second each, for {scale.listen_seconds:g} s a round",
                "user and system time of the server's process; Redis and the load generator are not counted",
            ),
        )


def _microseconds(workbench: Workbench, process: Process, port: int, scale: Scale) -> float:
    load = start_load(workbench, port, scale.sockets)
    time.sleep(WARM_UP_S)
    sent, cpu_s, began = load.sent(), process.cpu_s, time.monotonic()
    time.sleep(scale.listen_seconds)
    sent, cpu_s, lasted = load.sent() - sent, process.cpu_s - cpu_s, time.monotonic() - began
    load.stop()
    if sent < lasted * scale.sockets * MESSAGES_A_SECOND * LEAST_SHARE:
        raise BenchError(f"only {sent / lasted:.0f} messages a second could be sent: the machine is too busy")
    return cpu_s / sent * 1e6
