"""What a recorder records: numbered packets, each with its place in bytes and in time, in one conversation after another.

A packet says by itself who recorded it and which one it is, so that what lies in the bucket can be held against it. Of PCM, which the server encodes,
only places in bytes and in time can.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tapedeck_testing.simulation.chance import Chance

PACKET_MS: Final = 60
_TOC: Final = bytes([11 << 3])
"""One frame of 60 ms, SILK, wide band (RFC 6716 §3.1)."""
_NUMBER: Final = struct.Struct(">HH")
LEAD: Final = 312
"""Samples at 48 kHz that the encoder looks ahead."""
PCM_BYTES_MS: Final = 32
"""PCM of 16 bits at 16 kHz."""
_TONE: Final = b"".join(
    struct.pack("<h", round(8000 * math.sin(2 * math.pi * at * 300 / 16_000))) for at in range(16 * PACKET_MS)
)


def packet(tape: int, index: int) -> bytes:
    """The packet with this number; their lengths differ."""
    return _TOC + _NUMBER.pack(tape, index) + bytes(3 + (tape + index) % 5)


def number_of(data: bytes) -> tuple[int, int]:
    """Which tape's, and which one."""
    tape, index = _NUMBER.unpack_from(data, 1)
    return int(tape), int(index)


@dataclass(frozen=True, slots=True)
class Tape:
    """One conversation's recording."""

    number: int
    uid: str
    cid: str
    packets: tuple[bytes, ...]
    captured_ms: tuple[int, ...]
    """When the first sample of each packet was captured, unix ms."""
    begins: tuple[int, ...]
    """Bytes before each packet, and behind the last one all of them."""
    run_starts: frozenset[int]
    """Packets before which there is a gap, the first one too."""
    pcm: bool = False
    """Each packet is so much PCM, and a client may be asked to go on within it."""

    @property
    def total(self) -> int:
        """Bytes."""
        return self.begins[-1]

    def index_at(self, offset: int) -> int:
        """The packet that begins at this byte; as many as there are at the end.

        ValueError: none does.
        """
        if self.pcm and offset < self.total:
            return bisect_right(self.begins, offset) - 1
        index = bisect_left(self.begins, offset)
        if index == len(self.begins) or self.begins[index] != offset:
            raise ValueError(f"no packet begins at byte {offset}")
        return index

    def rest(self, offset: int) -> bytes:
        """What is left of the packet with this byte, from there on."""
        index = self.index_at(offset)
        return self.packets[index][offset - self.begins[index] :]

    def at_ms(self, offset: int) -> float:
        """When this byte was captured."""
        index = self.index_at(offset)
        return self.captured_ms[index] + (offset - self.begins[index]) / PCM_BYTES_MS

    def due(self, now_ms: int) -> int:
        """So many packets are recorded by now."""
        return bisect_left(self.captured_ms, now_ms - PACKET_MS + 1)

    @property
    def end_ms(self) -> int:
        """When it is over."""
        return self.captured_ms[-1] + PACKET_MS


def record(number: int, uid: str, cid: str, start_ms: int, chance: Chance, *, pcm: bool = False) -> Tape:
    """A tape of a few seconds, with or without gaps."""
    dice = chance.dice
    count = dice.choice((6, 20, 40, 70, 120))
    gaps = {dice.randrange(1, count) for _ in range(dice.choice((0, 0, 1, 2, 4)))}
    at, captured = start_ms, []
    for index in range(count):
        if index in gaps:
            at += dice.choice((200, 900, 2_500, 9_000))
        captured.append(at)
        at += PACKET_MS
    packets = tuple(_TONE if pcm else packet(number, index) for index in range(count))
    begins = (0, *accumulate(map(len, packets)))
    return Tape(number, uid, cid, packets, tuple(captured), begins, frozenset({0, *gaps}), pcm)
