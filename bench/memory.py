"""What a process holds in memory, as the kernel counts it. Owns the reading of /proc; must not know what the process does."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes at one moment."""

    rss: int
    """Resident, shared pages too."""
    uss: int
    """Resident and nobody else's: what ending the process would free."""


def of(pids: Iterable[int]) -> Memory:
    """The memory of processes (/proc/pid/smaps_rollup, Linux)."""
    kib: Counter[str] = Counter()
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, _, value = line.partition(":")
            kib[name] += int(value.split()[0])
    return Memory(rss=kib["Rss"] * 1024, uss=(kib["Private_Clean"] + kib["Private_Dirty"]) * 1024)
