"""Whether two processes behind one port carry twice what one carries, by CPU: what they cost a message, each with as many sockets.

Twice the load costs this very machine more a message, whatever the two have to do with each other: its cores share caches, Redis and the load. So they
are also held against two that know nothing of each other, on ports of their own.
"""

from collections.abc import Iterator

from bench.figure import Figure, Goal
from bench.listen_cpu import microseconds
from bench.load import MESSAGES_A_SECOND
from bench.scale import Scale
from bench.workbench import Workbench

PART = "sockets"


def measure(scale: Scale) -> Iterator[Figure]:
    """Sockets on two cores."""
    one: list[float] = []
    two: list[float] = []
    strangers: list[float] = []
    sockets, seconds = scale.listen_sockets, scale.listen_seconds
    with Workbench() as workbench:
        single = workbench.service("listen")
        pair = [workbench.service("listen")]
        pair.append(workbench.service("listen", port=pair[0].port))
        other = workbench.service("listen")
        both = [service.process for service in pair]
        ports = [single.port, other.port]
        for _ in range(scale.few_rounds):
            one.append(microseconds(workbench, [single.process], [single.port], sockets, seconds))
            two.append(microseconds(workbench, both, [pair[0].port], 2 * sockets, seconds))
            strangers.append(
                microseconds(workbench, [single.process, other.process], ports, sockets, seconds)
            )
    carried = tuple(2e6 / cost / MESSAGES_A_SECOND for cost in two)
    what = f"sockets of two processes on one port, at {MESSAGES_A_SECOND} messages a second"
    yield Figure(
        part=PART,
        what=what,
        unit="sockets",
        ours=carried,
        baseline_name="one process",
        baseline=tuple(1e6 / cost / MESSAGES_A_SECOND for cost in one),
        better="more",
        goal=Goal("ratio", "at least", 1.8),
        notes=(
            f"two processes: by CPU, {sockets} sockets on one and {2 * sockets} on two; the kernel spreads them (SO_REUSEPORT)",
            "that both have a core of their own is assumed: Redis and the load are on the same cores here",
        ),
    )
    yield Figure(
        part=PART,
        what=what,
        unit="sockets",
        ours=carried,
        baseline_name="two processes on ports of their own, under the same load",
        baseline=tuple(2e6 / cost / MESSAGES_A_SECOND for cost in strangers),
        better="more",
    )
