"""On the path of a process, this makes its wall clock one that a test sets: `TAPEDECK_TEST_CLOCK` names a file with eight bytes, ns ahead."""

import mmap
import os
import struct
import time
from pathlib import Path

if path := os.environ.get("TAPEDECK_TEST_CLOCK"):
    with Path(path).open("rb") as file:
        ahead = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)
    real = time.time_ns

    def time_ns() -> int:
        return real() + int(struct.unpack("<q", ahead[:8])[0])

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9
