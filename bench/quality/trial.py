"""One setting tried: encoded, decoded, timed, and compared with the source."""

import time
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from audiocodec import Encoder
from bench import bare_libopus
from bench.bare_libopus import Settings
from bench.libraries import Library
from bench.quality.material import Material, Samples, Voices
from bench.quality.measures import Likeness, likeness

TIMES = 2
"""So often the encoder runs; the faster time counts."""
FRAMES_A_MINUTE = 3_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    settings: Settings
    voices: Voices
    library: Library
    like: Likeness
    """The mean of the channels."""
    us_a_frame: float
    """CPU time of encoding 20 ms."""
    bytes_a_minute: float
    """Of packets. In a batch file a minute takes about 6 kB more."""


def run(material: Material, settings: Settings, library: Library, voices: Voices = "one") -> Outcome:
    """Encode and decode with this library and compare."""
    source = material.at(settings.sample_rate, voices)
    frames = _frames(source, settings)
    seconds = []
    packets: list[bytes] = []
    for _ in range(TIMES):
        began = time.thread_time()
        packets = bare_libopus.encode(frames, settings, library.path)
        seconds.append(time.thread_time() - began)
    pcm = b"".join(bare_libopus.decode(packets, settings.sample_rate, settings.channels, library.path))
    late = lookahead(settings.sample_rate)
    decoded = np.frombuffer(pcm, "<i2").reshape(-1, settings.channels)[late : late + len(source)]
    heard = [
        likeness(
            source[: len(decoded), channel].astype(np.float64),
            decoded[:, channel].astype(np.float64),
            settings.sample_rate,
        )
        for channel in range(settings.channels)
    ]
    like = Likeness(
        fmean(one.segmental_snr_db for one in heard),
        fmean(one.spectral_distance_db for one in heard),
        fmean(one.pesq for one in heard),
        fmean(one.stoi for one in heard),
    )
    return Outcome(
        settings,
        voices,
        library,
        like,
        min(seconds) / len(frames) * 1e6,
        sum(map(len, packets)) / len(packets) * FRAMES_A_MINUTE,
    )


def lookahead(sample_rate: int) -> int:
    """Samples at this rate that the decoder lies behind."""
    return Encoder(sample_rate).lookahead * sample_rate // 48_000


def _frames(source: Samples, settings: Settings) -> list[bytes]:
    """Whole frames of 20 ms, with a silent one at the end that brings the last samples out."""
    size = settings.frame_bytes
    data = source.astype("<i2").tobytes() + bytes(size)
    return [data[at : at + size] for at in range(0, len(data) - size + 1, size)]
