"""Seams: whether a decoder that begins anew at a batch gives what one that runs through gives, and how much it must hear before.

Owns the judgement of one place between two packets, by decoding it. Pure but for libopus. 320 ms of packets are enough nearly always, but
not always: a decoder of SILK never becomes bit-exact with another, and where speech falls silent or sets in, what is left between the
two may be heard of by a meter (docs/decisions/0005). Two decoders that began at different packets differ there from each other as
much as from one that ran through, which nobody has at hand. So their difference tells.
"""

import hashlib
import math
import threading
from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from audiocodec.decoder import Decoder
from audiocodec.errors import CodecError
from audiocodec.packet import absent_frames, packet_facts
from audiocodec.silence import STEP_SAMPLES as SILENCE_STEP_SAMPLES
from audiocodec.span import PREROLL_SAMPLES
from audiostore.layout import MAX_PRE_SKIP_SAMPLES

LONGEST_SAMPLES: Final = 57_600
"""1.2 s at 48 kHz: the longest pre-roll. With a packet more, and a lead, a pre-skip holds it (RFC 7845 §5.1)."""
CONTEXT_SAMPLES: Final = 480_000
"""10 s: by then a decoder is, measured, as good as one that ran through."""
CONTEXT_BYTES: Final = 32 * 1024
"""No more packets than this are kept beyond LONGEST_SAMPLES: they may lie in Redis for a day after a session's end."""
SETTLED_DB: Final = 44.0
"""Where decoders that heard 320 ms and 1.2 s agree to this, none of 14,000 was less than 35 dB from one that ran through."""
STEP_SAMPLES: Final = 960
"""20 ms: how far apart the beginnings lie that are tried where 320 ms are not enough."""

SILENCE_STEPS: Final = 0.02
"""Of 16 bits: a difference that no player has bits for."""
_encode: Final = msgspec.msgpack.encode
_ECHO_SAMPLES: Final = 4_800
"""100 ms: so long what a decoder made up is heard in what comes after it."""
_HEARD_SAMPLES: Final = 960
"""20 ms at 48 kHz: what is compared, right after the seam."""

_Pcm: TypeAlias = "memoryview[float]"


class _Calm:
    """Seams that were found to need no more than 320 ms, by what was decoded there.

    Nearly every seam is judged twice: where a batch ends, and, a minute later, where the next one begins. It is the same judgement, of the same
    packets, and costs more than all else that is done for a batch but its file.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[bytes, None] = {}

    def __contains__(self, key: bytes) -> bool:
        return key in self._known

    def add(self, key: bytes) -> None:
        """May be called by several threads."""
        self._known[key] = None
        if len(self._known) > self._most:
            # The oldest: batches that nobody went on from, or that another process did.
            self._known.pop(next(iter(self._known)), None)


_calm: Final = _Calm(most=10_000)


class _Decoders(threading.local):
    """Those of each thread, used again and again: to make one costs as much as to decode some packets."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], Decoder] = {}

    def fresh(self, rate: int, channels: int) -> Decoder:
        """One that has heard nothing yet; the one before with this format is over with that."""
        known = self._known.get((rate, channels))
        if known is None:
            known = self._known[rate, channels] = Decoder(rate, channels, floats=True)
        known.reset()
        return known


_decoders: Final = _Decoders()


def last_packets(packets: Sequence[bytes], samples: int) -> tuple[bytes, ...]:
    """As many packets from the end as last at least `samples` at 48 kHz; all where they are fewer."""
    have, at = 0, len(packets)
    while at and have < samples:
        at -= 1
        have += packet_facts(packets[at]).samples
    return tuple(packets[at:])


def worth_keeping(packets: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """What of the packets before a seam the choice of its pre-roll can need."""
    at, size = len(packets), 0
    while at and size + len(packets[at - 1]) <= CONTEXT_BYTES:
        at -= 1
        size += len(packets[at])
    longest = last_packets(packets, LONGEST_SAMPLES)
    return max(packets[at:], longest, key=len)


def unrest(before: Sequence[bytes], after: Sequence[bytes], channels: int, lead: int = 0) -> float:
    """How far a seam between these packets is from one that 320 ms of pre-roll are enough for: up to 1 they are.

    Infinite where decoders make up noise, each its own.

    Args:
        before: the packets before the seam: LONGEST_SAMPLES, or all since the encoder began.
        after: those after it: at least 20 ms after `lead`, else what there is.
        channels: of the recording.
        lead: samples at 48 kHz that are dropped before the first one that is played.
    """
    long, short = last_packets(before, LONGEST_SAMPLES), last_packets(before, PREROLL_SAMPLES)
    if len(short) == len(long):
        return 0.0
    if any(map(absent_frames, (*last_packets(before, _ECHO_SAMPLES), *_first(after, lead)))):
        return math.inf
    try:
        one, other = _heard(short, after, channels, lead), _heard(long, after, channels, lead)
    except CodecError:
        return 0.0  # what no decoder takes sounds the same after any pre-roll
    off, tolerance = _difference(one, other), _tolerance(other)
    if off <= tolerance:
        _calm.add(_seam_key(long, after, channels, lead))
    return off / tolerance


def preroll_for(
    before: Sequence[bytes], after: Sequence[bytes], channels: int, lead: int = 0
) -> tuple[bytes, ...]:
    """The pre-roll of a batch that begins with `after`: 320 ms, or more where they are not enough.

    Args:
        before: the packets before the seam: the more (up to CONTEXT_SAMPLES), the better the choice.
        after: the packets of the batch.
        channels: of the recording.
        lead: samples at 48 kHz that are dropped before the first one that is played.
    """
    room = MAX_PRE_SKIP_SAMPLES - SILENCE_STEP_SAMPLES - lead
    short = _at_most(last_packets(before, PREROLL_SAMPLES), room)
    if len(short) == len(before):
        return short
    if _was_calm(before, short, after, channels, lead):
        return short
    try:
        through = _heard(before, after, channels, lead)
        if _difference(_heard(short, after, channels, lead), through) <= _tolerance(through):
            return short
        tried = [
            _at_most(last_packets(before, samples), room)
            for samples in range(PREROLL_SAMPLES, LONGEST_SAMPLES + 1, STEP_SAMPLES)
        ]
        off = {packets: _difference(_heard(packets, after, channels, lead), through) for packets in tried}
    except CodecError:
        return short  # what no decoder takes sounds the same after any pre-roll
    return min(off, key=lambda packets: off[packets])


def _was_calm(
    before: Sequence[bytes], short: Sequence[bytes], after: Sequence[bytes], channels: int, lead: int
) -> bool:
    """Whether `unrest` has found just what would be decoded now to agree."""
    whole = len(short) == len(last_packets(before, PREROLL_SAMPLES))
    if not whole or len(before) > len(last_packets(before, LONGEST_SAMPLES)):
        return False
    return _seam_key(before, after, channels, lead) in _calm


def _seam_key(before: Sequence[bytes], after: Sequence[bytes], channels: int, lead: int) -> bytes:
    """The same for the same decoding."""
    decoded = _encode((tuple(before), tuple(_first(after, lead)), channels, lead))
    return hashlib.blake2b(decoded, digest_size=16).digest()


def _heard(before: Sequence[bytes], after: Sequence[bytes], channels: int, lead: int) -> _Pcm:
    """The first 20 ms played of `after`, as floats, as a new decoder gives them after `before`."""
    # No wider than what is coded: it costs less.
    rate = 48_000 if packet_facts(after[0]).bandwidth in ("SWB", "FB") else 16_000
    decoder = _decoders.fresh(rate, channels)
    decoder.hear(before)
    pcm = b"".join(map(decoder.decode, _first(after, lead)))
    start, stop = (samples * rate // 48_000 * 4 * channels for samples in (lead, lead + _HEARD_SAMPLES))
    return memoryview(pcm[start:stop]).cast("f")


def _first(packets: Sequence[bytes], lead: int) -> Sequence[bytes]:
    """Those that hold the first 20 ms played."""
    have = -lead
    for count, packet in enumerate(packets, 1):
        have += packet_facts(packet).samples
        if have >= _HEARD_SAMPLES:
            return packets[:count]
    return packets


def _difference(one: _Pcm, other: _Pcm) -> float:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def _tolerance(pcm: _Pcm) -> float:
    """The greatest difference from this that counts as agreement: SETTLED_DB below it, or SILENCE_STEPS, on average."""
    # At least one sample: where nothing of 20 ms is there yet, nothing differs.
    floor = max(1, len(pcm)) * (SILENCE_STEPS / 32_768) ** 2
    return max(floor, sum(value * value for value in pcm) / 10 ** (SETTLED_DB / 10))


def _at_most(packets: tuple[bytes, ...], samples: int) -> tuple[bytes, ...]:
    """As many packets from the end as last no longer than `samples`."""
    have, at = 0, len(packets)
    while at and have + packet_facts(packets[at - 1]).samples <= samples:
        at -= 1
        have += packet_facts(packets[at]).samples
    return packets[at:]
