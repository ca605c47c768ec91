"""From the PCM of a file to the messages of a codec, a stream for each channel.

Owns what the client's own encoders are set to. Must not do: I/O, or put the channel byte before a message: the recording does.
"""

from typing import Protocol

import numpy as np

from audiocodec.encoder import Encoder
from tapedeck.aac_encoder import PRE_SKIP_SAMPLES, AacEncoder
from tapedeck.send_codec import SendCodec


class Stream(Protocol):
    """One channel's way into messages."""

    def encode(self, pcm: bytes) -> list[bytes]:
        """The messages that are complete with these whole samples, s16le mono."""

    def finish(self) -> list[bytes]:
        """The last messages."""


class _Pcm:
    """PCM as it is."""

    def encode(self, pcm: bytes) -> list[bytes]:
        return [pcm] if pcm else []

    def finish(self) -> list[bytes]:
        return []


class _Opus:
    """Packets of 20 ms."""

    def __init__(self, sample_rate: int) -> None:
        self._encoder = Encoder(sample_rate)
        self.lookahead = self._encoder.lookahead

    def encode(self, pcm: bytes) -> list[bytes]:
        return self._encoder.encode(pcm)

    def finish(self) -> list[bytes]:
        return self._encoder.finish()[0]


class Payloads:
    """The messages of a recording of one channel or two."""

    def __init__(self, codec: SendCodec, sample_rate: int, channels: int) -> None:
        """`sample_rate` in Hz, one that the codec has (`audio_format.codec_rate`)."""
        self.pre_skip: int | None = None
        """As the server wants to know it (`AudioFormat`)."""
        self._channels = channels
        self._streams: list[Stream] = []
        for _ in range(channels):
            if codec == "opus":
                opus = _Opus(sample_rate)
                self._streams.append(opus)
                self.pre_skip = opus.lookahead
            elif codec == "aac":
                self._streams.append(AacEncoder(sample_rate))
                self.pre_skip = PRE_SKIP_SAMPLES
            else:
                self._streams.append(_Pcm())

    def encode(self, pcm: bytes) -> list[tuple[int, bytes]]:
        """Channel (0 for mono; 1 near, from the left, 2 far) and payload of each message that is complete with this PCM.

        Interleaved; what is no whole sample of all channels at the end is left out. The channels take turns, message by
        message: the server places one by where the other stands when it begins to speak.
        """
        samples = np.frombuffer(pcm[: len(pcm) // (2 * self._channels) * 2 * self._channels], "<i2")
        return self._in_turns(
            [
                stream.encode(samples[number :: self._channels].tobytes())
                for number, stream in enumerate(self._streams)
            ]
        )

    def finish(self) -> list[tuple[int, bytes]]:
        """The last messages."""
        return self._in_turns([stream.finish() for stream in self._streams])

    def _in_turns(self, messages: list[list[bytes]]) -> list[tuple[int, bytes]]:
        # Streams of one codec that take as many samples give as many messages.
        return [
            (self._tag(number), one)
            for turn in zip(*messages, strict=True)
            for number, one in enumerate(turn)
        ]

    def _tag(self, number: int) -> int:
        return 0 if self._channels == 1 else number + 1
