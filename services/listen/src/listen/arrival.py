"""How long a request has lain in the kernel: who came when is told by that, not by when this process came to read it.

A process that was stopped, or had too much to do, reads handshakes whose clients have long gone to another one. They must not seem to have
come later. Must not decide who owns what.
"""

import socket
import struct
from typing import Any, Final

LAST_DATA_RECV: Final = struct.Struct("=52xI")
"""`tcpi_last_data_recv` of `struct tcp_info` (linux/tcp.h): ms since data came last."""
TICK_MS: Final = 10
"""The kernel counts in its own ticks, 1 to 10 ms long. What came a moment ago may seem to have come a tick ago."""


def lain_ms(raw: Any) -> int:
    """Milliseconds that the peer's last bytes have lain in a TCP socket at least; 0 where the system does not say so."""
    option = getattr(socket, "TCP_INFO", None)
    if raw is None or option is None:
        return 0
    try:
        info = raw.getsockopt(socket.IPPROTO_TCP, option, LAST_DATA_RECV.size)
    except OSError:
        return 0  # no TCP socket, or none any more: whoever came over it came now
    if len(info) != LAST_DATA_RECV.size:
        return 0
    return max(0, int(LAST_DATA_RECV.unpack(info)[0]) - TICK_MS)
