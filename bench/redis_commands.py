"""Commands that the whole system sends to Redis for one second of one recording session.

Counted from before the first socket opens until the last is about to close, so opening, due times, stored offsets, the pusher's work
and the processes' own heartbeat are all in it. With `--quick` no batch gets full, and the pusher's share is too small.
"""

import time
from collections import Counter
from collections.abc import Iterator

from bench.figure import Figure, Goal
from bench.load import start_load
from bench.monitor import Monitor
from bench.scale import Scale
from bench.workbench import Service, Workbench

PART = "redis"
GOAL = Goal("value", "at most", 1.5)
IDLE_S = 5.0
STEP_S = 1.0
TOP = 20


def measure(scale: Scale) -> Iterator[Figure]:
    """Commands a session-second: `listen`'s own, and those of `listen` and `pusher` together."""
    with Workbench() as workbench:
        services = {name: workbench.service(name) for name in ("listen", "pusher")}
        with Monitor(workbench.redis_port) as monitor:
            before = monitor.counts
            time.sleep(IDLE_S)  # what is counted is the idle stretch
            idle = (monitor.counts - before).total() / IDLE_S
            before, began = monitor.counts, time.monotonic()
            load = start_load(workbench, services["listen"].port, scale.sockets)
            opened = time.monotonic()
            owners = _watch_owners(services, opened + scale.redis_seconds)
            counted, messages = monitor.counts - before, load.sent()
            # Each socket records from its own opening on; half the time of opening them is the mean of what is missing.
            session_s = scale.sockets * (time.monotonic() - (began + opened) / 2)
            load.stop()
        stored = sum(1 for _ in workbench.store.rglob("*.batch.bin"))
    by_service = _by_service(counted, owners)
    notes = (
        f"{scale.sockets} sockets for {scale.redis_seconds:g} s, {stored} batches stored meanwhile",
        "what clients send, counted by MONITOR without the commands that scripts run inside",
        f"both processes without any session send {idle:.1f} commands a second in all; that is in the figures",
    )
    parts = {"listen": by_service["listen"], "listen and pusher": sum(by_service.values(), Counter())}
    for what, counts in parts.items():
        yield Figure(
            part=PART,
            what=f"commands a session-second, {what}",
            unit="commands",
            ours=(counts.total() / session_s,),
            baseline_name="one command a message",
            baseline=(messages / session_s,),
            better="less",
            goal=GOAL,
            notes=(*notes, f"{what}: {_breakdown(counts, session_s)}"),
        )


def _watch_owners(services: dict[str, Service], until: float) -> dict[int, str]:
    """Which service each client port belongs to, looked at until then: pools open connections when they need them."""
    owners: dict[int, str] = {}
    while True:
        for name, service in services.items():
            owners |= dict.fromkeys(service.process.ports, name)
        remaining = until - time.monotonic()
        if remaining <= 0:
            return owners
        time.sleep(min(STEP_S, remaining))  # between two looks


def _by_service(counted: Counter[tuple[int, str]], owners: dict[int, str]) -> dict[str, Counter[str]]:
    """What is nobody's by now came from a connection that was closed again: it counts as listen's, which has the most."""
    split: dict[str, Counter[str]] = {"listen": Counter(), "pusher": Counter()}
    for (port, command), times in counted.items():
        split[owners.get(port, "listen")][command] += times
    return split


def _breakdown(counts: Counter[str], session_s: float) -> str:
    return ", ".join(f"{command} {times / session_s:.3f}" for command, times in counts.most_common(TOP))
