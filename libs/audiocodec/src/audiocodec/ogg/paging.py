"""How many pages and bytes packets take in a stream that OggOpusWriter writes, told by their sizes and durations alone.

Owns no rule: where a page ends is the writer's, and stands there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audiocodec.ogg.page import HEADER_BYTES, MAX_SEGMENTS
from audiocodec.ogg.writer import PAGE_SAMPLES

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Paged:
    """What packets take whose first one begins a page, with all of the page that their last one lies on."""

    pages: int
    bytes: int


def paged(packets: Iterable[tuple[int, int]]) -> Paged:
    """That of packets given by their bytes and their samples at 48 kHz; none take none."""
    pages = size = segments = samples = 0
    for packet_bytes, packet_samples in packets:
        laced = packet_bytes // 255 + 1
        segments += laced
        samples += packet_samples
        if not pages or samples > PAGE_SAMPLES or segments > MAX_SEGMENTS:
            pages += 1
            segments, samples = laced, packet_samples
        size += laced + packet_bytes
    return Paged(pages, pages * HEADER_BYTES + size)
