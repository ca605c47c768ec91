"""Encoding off the event loop: one pool of threads a process, one encoder a socket.

libopus releases the interpreter's lock, so the pool is as large as there are cores. A socket's jobs come one at a time
(`session` sees to that), so its encoder is never in two threads at once.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from audiocodec.encoder import Encoder
from listen.audio_format import AudioFormat
from listen.encoding_job import Encoded, EncodeJob

_HIGH_BYTE: Final = bytes(value ^ 0x80 for value in range(256))
"""Unsigned 8-bit, whose middle is 128, as the high byte of signed 16-bit."""


def encoder_pool() -> ThreadPoolExecutor:
    """The threads that encode."""
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="encode")


def to_s16le(codec: str, pcm: bytes) -> bytes:
    """PCM as the client sent it, as signed 16-bit little-endian."""
    if codec != "pcm8":
        return pcm
    wide = bytearray(2 * len(pcm))
    wide[1::2] = pcm.translate(_HIGH_BYTE)
    return bytes(wide)


class SocketEncoder:
    """The encoders of one socket, one after another."""

    def __init__(self, audio_format: AudioFormat, *, bitrate: int, complexity: int) -> None:
        self.audio_format = audio_format
        self._bitrate = bitrate
        self._complexity = complexity
        self._encoder: Encoder | None = None

    def run(self, job: EncodeJob) -> Encoded:
        """Does a job. Blocks: for a thread of the pool."""
        if job.fresh or self._encoder is None:
            self._encoder = Encoder(
                self.audio_format.sample_rate,
                self.audio_format.channels,
                bitrate=self._bitrate,
                complexity=self._complexity,
            )
        encoder = self._encoder
        packets = encoder.encode(to_s16le(self.audio_format.codec, job.pcm))
        trim = 0
        if job.flush:
            last, trim = encoder.finish()
            packets += last
            self._encoder = None
        return Encoded(tuple(packets), trim, encoder.lookahead)
