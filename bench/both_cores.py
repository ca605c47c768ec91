"""Bare libopus on all cores: a process each, which decodes its share and does nothing else. What decoding can reach at most here.

Owns the processes.
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from types import TracebackType
from typing import Self

from bench import bare_libopus, speech


@dataclass(frozen=True, slots=True)
class Decoded:
    """One round."""

    wall_s: float
    cpu_s: float
    """Of all processes."""


def _decode(packets: int) -> float:
    """CPU seconds that so many packets took. The PCM is given up a minute at a time, as whoever sends it does."""
    began = time.process_time()
    for at in range(0, packets, speech.BATCH_PACKETS):
        own = speech.packets(min(speech.BATCH_PACKETS, packets - at))
        b"".join(bare_libopus.decode(own, speech.SAMPLE_RATE))
    return time.process_time() - began


class BothCores:
    """The processes, started and warm. Leaving the context ends them."""

    def __init__(self) -> None:
        self.cores = os.cpu_count() or 1
        self._pool = ProcessPoolExecutor(self.cores, mp_context=get_context("spawn"))

    def __enter__(self) -> Self:
        self.decode(self.cores * 500)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def decode(self, packets: int) -> Decoded:
        """All of them decode so many packets in all."""
        began = time.perf_counter()
        cpu_s = sum(self._pool.map(_decode, [packets // self.cores] * self.cores))
        return Decoded(time.perf_counter() - began, cpu_s)
