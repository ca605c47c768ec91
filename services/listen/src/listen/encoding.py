"""Encoding off the event loop: one pool of threads a process, one encoder a socket.

libopus releases the interpreter's lock, so the pool is as large as there are cores. A socket's jobs come one at a time
(`session` sees to that), so its encoder and decoders are never in two threads at once.
"""

import os
from concurrent.futures import ThreadPoolExecutor

from audiocodec.encoder import Encoder
from audiocodec.pcm import interleave
from listen.audio_format import AudioFormat
from listen.channel_input import ChannelInput
from listen.encoding_job import Encoded, EncodeJob


def encoder_pool() -> ThreadPoolExecutor:
    """The threads that encode."""
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="encode")


class SocketEncoder:
    """The encoders of one socket, one after another."""

    def __init__(self, audio_format: AudioFormat, *, bitrate: int, complexity: int) -> None:
        """`bitrate` in bit/s, for each channel."""
        self.audio_format = audio_format
        self._bitrate = bitrate * audio_format.channels
        self._complexity = complexity
        self._encoder: Encoder | None = None
        self._inputs: tuple[ChannelInput, ...] = ()
        """Made by the first job: a client whose packets are stored as they are needs none."""

    def run(self, job: EncodeJob) -> Encoded:
        """Does a job. Blocks: for a thread of the pool."""
        encoder = self._begin() if job.fresh or self._encoder is None else self._encoder
        spoiled = sum(channel.spoiled for channel in self._inputs)
        for channel, operations in zip(self._inputs, job.channels, strict=True):
            for operation in operations:
                channel.do(operation)
            if job.end is not None:
                channel.end(job.end)
        # One channel may be ahead: what it has waits for the other one.
        count = min(channel.samples for channel in self._inputs)
        pieces = [channel.take(count) for channel in self._inputs]
        packets = encoder.encode(interleave(*pieces) if len(pieces) > 1 else pieces[0])
        trim = 0
        if job.end is not None:
            last, trim = encoder.finish()
            packets += last
            self._encoder = None
        spoiled = sum(channel.spoiled for channel in self._inputs) - spoiled
        return Encoded(tuple(packets), trim, encoder.lookahead, spoiled)

    def _begin(self) -> Encoder:
        form = self.audio_format
        if not self._inputs:
            self._inputs = tuple(ChannelInput(form) for _ in range(form.channels))
        for channel in self._inputs:
            channel.begin()
        self._encoder = Encoder(
            form.encoder_rate, form.channels, bitrate=self._bitrate, complexity=self._complexity
        )
        return self._encoder
