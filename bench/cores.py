"""Whether two cores encode twice as fast as one: an encoder in each of two threads, beside one alone.

libopus runs without the interpreter's lock, so the threads of one process should hardly disturb each other.
"""

import threading
import time
from collections.abc import Iterator, Sequence

from audiocodec import Encoder
from bench import speech
from bench.figure import Figure, Goal
from bench.scale import Scale

PART = "cores"
MESSAGE_FRAMES = 5
SECONDS = 2
"""Audio that a thread encodes in a round: short, and many times, because anybody else at work on the cores counts against the two
threads. Only the best round of each says what is possible."""
ROUNDS = 20
"""Times those of the other parts."""


def measure(scale: Scale) -> Iterator[Figure]:
    """Frames a second of wall time."""
    frames = speech.frames(SECONDS * 50)
    messages = [b"".join(frames[at : at + MESSAGE_FRAMES]) for at in range(0, len(frames), MESSAGE_FRAMES)]
    two: list[float] = []
    one: list[float] = []
    for _ in range(scale.rounds * ROUNDS):
        two.append(2 * len(frames) / _seconds(messages, threads=2))
        one.append(len(frames) / _seconds(messages, threads=1))
    yield Figure(
        part=PART,
        what="encoding on two cores: two encoders in two threads",
        unit="20 ms frames a second",
        ours=(max(two),),
        baseline_name="one encoder in one thread",
        baseline=(max(one),),
        better="more",
        goal=Goal("ratio", "at least", 1.8),
        notes=(
            f"wall time; the best of {len(two)} rounds of {SECONDS} s of audio each, as others may use the cores",
        ),
    )


def _seconds(messages: Sequence[bytes], threads: int) -> float:
    """From when the first thread begins to encode all messages until the last one has."""
    together = threading.Barrier(threads)
    times: list[float] = []

    def encode() -> None:
        encoder = Encoder(speech.SAMPLE_RATE)
        together.wait()
        times.append(time.perf_counter())
        for message in messages:
            encoder.encode(message)
        times.append(time.perf_counter())

    running = [threading.Thread(target=encode) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return max(times) - min(times)
