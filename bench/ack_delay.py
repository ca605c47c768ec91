"""How long an ack takes under load, and while a neighbour floods; and how many such sockets a core carries.

A delay counts from sending the newest message that an ack covers until the ack has come. The baseline is a sink that acks at once and
stores nothing: what is above it is Redis, the wait for company (`audiobus.writer.LINGER_S`) and the queue before them.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import quantiles

from bench.figure import Figure
from bench.listen_cpu import SINKS, WARM_UP_S, start_sink
from bench.load import MESSAGES_A_SECOND, start_load
from bench.process import Process
from bench.scale import Scale
from bench.workbench import Workbench

PART = "sockets"
SANSIO = "uvicorn websockets-sansio"
ACKS = "picows-acks"
FLOODED = "listen, flooded"
PERCENTILES = (50, 99)


def measure(scale: Scale) -> Iterator[Figure]:
    """Sockets a core, and milliseconds of delay."""
    cost: dict[str, list[float]] = {name: [] for name in ("listen", SANSIO, ACKS, FLOODED)}
    delay: dict[str, list[list[float]]] = {name: [] for name in cost}
    least_share = 1.0
    with Workbench() as workbench:
        listen = workbench.service("listen")
        here = (listen.process, listen.port)
        servers = {name: start_sink(workbench, name) for name in (SANSIO, ACKS)}
        servers |= {"listen": here, FLOODED: here}
        for _ in range(scale.few_rounds):
            for name, (process, port) in servers.items():
                one = _round(workbench, process, port, scale, floods=name == FLOODED)
                cost[name].append(one.micros)
                if name != FLOODED:
                    least_share = min(least_share, one.share)
                if one.delays_s:
                    cuts = quantiles(one.delays_s, n=100)
                    delay[name].append([cuts[percent - 1] * 1e3 for percent in PERCENTILES])
    load = f"{scale.many_sockets} sockets, {MESSAGES_A_SECOND} messages a second each"
    yield Figure(
        part=PART,
        what=f"sockets a core at {MESSAGES_A_SECOND} messages a second",
        unit="sockets",
        ours=tuple(_sockets(cost["listen"])),
        baseline_name=SINKS[SANSIO],
        baseline=tuple(_sockets(cost[SANSIO])),
        better="more",
        notes=(
            f"sockets a core: from the CPU of a server that has {load}, for {scale.listen_seconds:g} s a round; each read {least_share:.0%} of it in time, or more",
        ),
    )
    pairs = (
        ("", "listen", ACKS, "picows sink that acks at once"),
        (" while a neighbour floods", FLOODED, "listen", "the same without the neighbour"),
    )
    for when, name, base, baseline_name in pairs:
        for index, percent in enumerate(PERCENTILES):
            yield Figure(
                part=PART,
                what=f"ack delay p{percent}{when}",
                unit="ms",
                ours=tuple(figures[index] for figures in delay[name]),
                baseline_name=baseline_name,
                baseline=tuple(figures[index] for figures in delay[base]),
                better="less",
                notes=(
                    f"ack delay: {load}, at phases of their own, acked once a second",
                    "a neighbour floods: one more socket sends Opus packets as fast as the server takes them",
                ),
            )


@dataclass(frozen=True, slots=True)
class _Round:
    micros: float
    """CPU a message."""
    share: float
    """Of what was sent, what the server read in time. Means nothing beside a flood, whose queue counts too."""
    delays_s: list[float]
    """Of all acks."""


def _round(workbench: Workbench, process: Process, port: int, scale: Scale, *, floods: bool) -> "_Round":
    flood = start_load(workbench, port, 1, sends="flood") if floods else None
    load = start_load(workbench, port, scale.many_sockets)
    time.sleep(WARM_UP_S)  # what is measured begins once all send evenly
    load.delays_s()
    taken, cpu_s, began = load.taken(), process.cpu_s, time.monotonic()
    time.sleep(scale.listen_seconds)  # the length of a round
    taken, cpu_s, lasted = load.taken() - taken, process.cpu_s - cpu_s, time.monotonic() - began
    delays_s = load.delays_s()
    load.stop()
    if flood is not None:
        flood.stop()
    share = taken / (lasted * scale.many_sockets * MESSAGES_A_SECOND)
    return _Round(cpu_s / taken * 1e6, share, delays_s)


def _sockets(micros: list[float]) -> list[float]:
    return [1e6 / cost / MESSAGES_A_SECOND for cost in micros]
