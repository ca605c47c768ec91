"""How many PCM sessions a core carries, beside the loop that only encodes."""

import time
from collections.abc import Iterator

from bench import bare_libopus, speech
from bench.codec import SETTINGS
from bench.figure import Figure
from bench.listen_cpu import microseconds
from bench.load import MESSAGES_A_SECOND
from bench.scale import Scale
from bench.workbench import Workbench

PART = "sockets"
ENCODED_FRAMES = 1_000


def measure(scale: Scale) -> Iterator[Figure]:
    """Sessions a core, by CPU time."""
    ours: list[float] = []
    bare: list[float] = []
    frames = speech.frames(ENCODED_FRAMES)
    with Workbench() as workbench:
        listen = workbench.service("listen")
        for _ in range(scale.few_rounds):
            micros = microseconds(
                workbench,
                [listen.process],
                [listen.port],
                scale.pcm_sockets,
                scale.listen_seconds,
                codec="pcm16",
            )
            ours.append(1e6 / micros / MESSAGES_A_SECOND)
            began = time.thread_time()
            bare_libopus.encode(frames, SETTINGS)
            bare.append(len(frames) / (time.thread_time() - began) / MESSAGES_A_SECOND)
    yield Figure(
        part=PART,
        what="PCM sessions a core, 16 kHz mono in messages of 20 ms",
        unit="sessions",
        ours=tuple(ours),
        baseline_name="bare libopus ctypes loop, which only encodes",
        baseline=tuple(bare),
        better="more",
        notes=(
            f"PCM sessions: from the CPU of a process that has {scale.pcm_sockets} of them; encoded at 24 kbit/s, complexity 10",
        ),
    )
