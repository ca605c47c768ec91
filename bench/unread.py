"""What a server has not read yet of what it was sent: in the kernel's receive queues. Owns the reading of /proc/net/tcp (Linux)."""

from pathlib import Path

ESTABLISHED = "01"


def unread_bytes(port: int) -> int:
    """Bytes that lie unread in all connections of the server at `port`."""
    total = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues, *_ = line.split()
        if state == ESTABLISHED and int(local.rpartition(":")[2], 16) == port:
            total += int(queues.rpartition(":")[2], 16)
    return total
