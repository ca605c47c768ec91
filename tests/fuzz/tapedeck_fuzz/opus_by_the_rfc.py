"""The framing of an Opus packet (RFC 6716 §3.2), written down a second time: the judge of what the parser says."""

_SIZES = {0: (480, 960, 1920, 2880), 1: (480, 960, 480, 960), 2: (120, 240, 480, 960)}
MAX_FRAME_BYTES = 1275
MAX_SAMPLES = 5760


def frame_samples(toc: int) -> int:
    """Samples at 48 kHz of each frame of a packet with this first byte (§3.1)."""
    config = toc >> 3
    kind = 0 if config < 12 else 1 if config < 16 else 2
    return _SIZES[kind][config & 3]


def frame_sizes(data: bytes) -> list[int] | None:
    """The bytes of each frame; None where the framing breaks one of R1 to R7."""
    if not data:
        return None
    rest = data[1:]
    match data[0] & 3:
        case 0:
            sizes = [len(rest)]
        case 1:
            sizes = [len(rest) // 2] * 2 if len(rest) % 2 == 0 else [-1]
        case 2:
            first = _length(rest, 0)
            sizes = [first[0], len(rest) - first[1] - first[0]] if first else [-1]
        case _:
            sizes = _code_3(data[0], rest)
    fits = all(0 <= size <= MAX_FRAME_BYTES for size in sizes)
    return sizes if fits and len(sizes) * frame_samples(data[0]) <= MAX_SAMPLES else None


def _code_3(toc: int, rest: bytes) -> list[int]:
    """§3.2.5: frame count byte, padding, then frames of equal or of told sizes; [-1] where it does not add up."""
    count = rest[0] & 63 if rest else 0
    if not count or count * frame_samples(toc) > MAX_SAMPLES:
        return [-1]
    at, end = 1, len(rest)
    if rest[0] & 0x40:
        while True:
            if at >= len(rest):
                return [-1]
            end -= min(rest[at], 254)
            at += 1
            if rest[at - 1] != 255:
                break
    if not rest[0] & 0x80:
        left = end - at
        return [left // count] * count if left >= 0 and left % count == 0 else [-1]
    sizes = []
    for _ in range(count - 1):
        size = _length(rest[: max(end, 0)], at)
        if size is None:
            return [-1]
        sizes.append(size[0])
        at = size[1]
    return [*sizes, end - at - sum(sizes)]


def _length(data: bytes, at: int) -> tuple[int, int] | None:
    """A frame length of one or two bytes (§3.2.1), and where it ends."""
    if at < len(data) and data[at] < 252:
        return data[at], at + 1
    if at + 1 < len(data):
        return data[at + 1] * 4 + data[at], at + 2
    return None
