"""Encoding and decoding by audiocodec, beside the bare ctypes loop over the same library, frames and settings."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from audiocodec import Decoder, Encoder
from bench import bare_libopus, libraries, speech
from bench.bare_libopus import Settings
from bench.figure import Figure, Goal
from bench.scale import Scale

PART = "codec"
BITRATE, COMPLEXITY = 24_000, 10
RATE = speech.SAMPLE_RATE
SETTINGS = Settings(RATE, bitrate=BITRATE, complexity=COMPLEXITY)
DECODED_TIMES = 10
"""Decoding is that much faster."""
MESSAGE_FRAMES = 5
"""A device that sends PCM sends some 100 ms at a time."""


def measure(scale: Scale) -> Iterator[Figure]:
    """Frames a second of one core, by the CPU time of this thread."""
    frames = speech.frames(scale.codec_seconds * 50)
    step = MESSAGE_FRAMES
    messages = [b"".join(frames[at : at + step]) for at in range(0, len(frames), step)]
    packets = speech.packets(len(frames) * DECODED_TIMES)
    expected = _bare_encode(frames)
    if _encode(messages) != expected:
        raise RuntimeError("audiocodec and the bare loop do not make the same packets: nothing to compare")
    ours: dict[str, list[float]] = {"encode": [], "decode": []}
    bare: dict[str, list[float]] = {"encode": [], "decode": []}
    for _ in range(scale.rounds):
        ours["encode"].append(_rate(lambda: _encode(messages), len(frames)))
        bare["encode"].append(_rate(lambda: _bare_encode(frames), len(frames)))
        ours["decode"].append(_rate(lambda: _decode(packets), len(packets)))
        bare["decode"].append(_rate(lambda: bare_libopus.decode(packets, RATE), len(packets)))
    names = {"encode": "encoding, 16 kHz mono, 24 kbit/s, complexity 10", "decode": "decoding of the same"}
    for kind, what in names.items():
        yield Figure(
            part=PART,
            what=what,
            unit="20 ms frames a CPU second",
            ours=tuple(ours[kind]),
            baseline_name="bare libopus ctypes loop",
            baseline=tuple(bare[kind]),
            better="more",
            goal=Goal("ratio", "at least", 0.9),
        )
    yield from _versions(frames, scale)


def _versions(frames: Sequence[bytes], scale: Scale) -> Iterator[Figure]:
    """The library that is used against each other one that is here."""
    used, *others = libraries.found()
    newest = used.version >= max((other.version for other in others), default=())
    for other in others:
        ours, theirs = (partial(bare_libopus.encode, frames, SETTINGS, one.path) for one in (used, other))
        rounds = [(_rate(ours, len(frames)), _rate(theirs, len(frames))) for _ in range(scale.rounds)]
        yield Figure(
            part=PART,
            what=f"encoding by {used}, which is used",
            unit="20 ms frames a CPU second",
            ours=tuple(pair[0] for pair in rounds),
            baseline_name=f"{other}, which is there too",
            baseline=tuple(pair[1] for pair in rounds),
            better="more",
            notes=(
                f"the library that is used is {used.path}, {'the newest' if newest else 'NOT the newest'} found",
            ),
        )


def _encode(messages: Sequence[bytes]) -> list[bytes]:
    encoder = Encoder(RATE, 1, BITRATE, COMPLEXITY)
    return [packet for message in messages for packet in encoder.encode(message)]


def _bare_encode(frames: Sequence[bytes]) -> list[bytes]:
    return bare_libopus.encode(frames, SETTINGS)


def _decode(packets: Sequence[bytes]) -> list[bytes]:
    decode = Decoder(RATE, 1).decode
    return [decode(packet) for packet in packets]


def _rate(work: Callable[[], object], count: int) -> float:
    """Items a second of this thread's CPU time."""
    began = time.thread_time()
    work()
    return count / (time.thread_time() - began)
