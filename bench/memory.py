"""What a process holds in memory, as the kernel counts it. Owns the reading of /proc; must not know what the process does."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes at one moment."""

    rss: int
    """Resident, shared pages too."""
    uss: int
    """Resident and nobody else's: what ending the process would free."""


def of(pid: int) -> Memory:
    """The memory of a process (/proc/pid/smaps_rollup, Linux)."""
    kib: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        kib[name] = int(value.split()[0])
    return Memory(rss=kib["Rss"] * 1024, uss=(kib["Private_Clean"] + kib["Private_Dirty"]) * 1024)
