"""Valid Opus packets that are mostly padding (RFC 6716 §3.2.5): listeners take none, but a buffer may hold those of former builds."""


def bloated(packet: bytes, size: int) -> bytes:
    """The packet, of one frame (code 0), with padding up to `size` bytes: at least three more than it has."""
    counts, left = b"", size - len(packet) - 2
    while left > 254:
        counts, left = counts + b"\xff", left - 255  # the count itself, and 254 bytes
    head = bytes((packet[0] | 3, 0x41)) + counts + bytes((left,))
    return head + packet[1:] + bytes(254 * len(counts) + left)
