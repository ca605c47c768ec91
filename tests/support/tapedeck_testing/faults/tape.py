"""What a device records: messages made when they are asked for, each with its place in bytes and in time.

A device that keeps minutes of audio keeps a few numbers here. Owns no socket and no clock.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

import av
import numpy as np

from audiocodec import Encoder
from tapedeck_testing.faults.numbered import numbered, padded

RATE: Final = 16_000
_FRAME_BYTES: Final = RATE // 50 * 2
SPEECH: Final = Path(__file__).parents[4] / "clients/python/src/tapedeck/sample/speech.flac"
PCM_MESSAGE_MS: Final = 100
FAR_SECONDS: Final = 7
"""The far channel says what the near one said so much later: the two are told apart."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A minute of speech in every form that is sent. It repeats for ever."""

    pcm: bytes
    packets: tuple[bytes, ...]
    """As `numbered.padded`, each of `frame_ms`."""
    frame_ms: int


def speech(frame_ms: int, seconds: int = 60) -> Speech:
    """The bundled speech at 16 kHz; `frame_ms` is a multiple of 20."""
    with av.open(str(SPEECH)) as container:
        samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])
    pcm = samples[: seconds * RATE].astype("<i2").tobytes()
    single = Encoder(RATE, complexity=2).encode(pcm)
    together = frame_ms // 20
    packets = [padded(single[at : at + together]) for at in range(0, len(single) - together + 1, together)]
    return Speech(pcm, tuple(packets), frame_ms)


class Tape:
    """One device's recording: cyclic messages, at a steady pace but for holes."""

    def __init__(
        self,
        kind: str,
        sound: Speech,
        *,
        device: int,
        seconds: float,
        start_ms: int,
        holes: Sequence[tuple[float, int]] = (),
    ) -> None:
        """`kind`: see `KINDS`. A hole lies before a second of the recording, and is so many ms long."""
        self.kind = kind
        self.codec, self.channels = ("opus" if "opus" in kind else "pcm16"), (2 if kind.endswith("2") else 1)
        self.plain = kind.startswith("plain")
        self.numbered = self.codec == "opus" and self.channels == 1
        self.message_ms = sound.frame_ms if self.codec == "opus" else PCM_MESSAGE_MS
        self.device = device
        near = _messages(sound, self.codec)
        far = _messages(sound, self.codec, FAR_SECONDS)
        self._cycle = (
            [one for pair in zip(near, far, strict=True) for one in pair] if self.channels == 2 else near
        )
        extra = 8 if self.codec == "opus" else 0
        self._ends = list(accumulate(len(message) + extra for message in self._cycle))
        self.messages = int(seconds * 1000 / self.message_ms) * self.channels
        self.total = self.begin(self.messages)
        self.start_ms = start_ms
        self.holes = [(int(at * 1000 / self.message_ms) * self.channels, ms) for at, ms in holes]
        self.run_starts = {0, *(index for index, _ in self.holes)}

    def end_at(self, messages: int) -> None:
        """The device stops recording there."""
        self.messages = min(self.messages, messages)
        self.total = self.begin(self.messages)

    def message(self, index: int) -> bytes:
        """The payload of a message, without its channel byte."""
        base = self._cycle[index % len(self._cycle)]
        return numbered(base, self.device, index) if self.codec == "opus" else base

    def tag(self, index: int) -> bytes:
        """The channel byte, where there are channels."""
        return bytes([index % 2 + 1]) if self.channels == 2 else b""

    def begin(self, index: int) -> int:
        """The offset of a message's first byte."""
        cycles, at = divmod(index, len(self._ends))
        return cycles * self._ends[-1] + (self._ends[at - 1] if at else 0)

    def index_at(self, offset: int) -> int:
        """The message that holds the byte at `offset`."""
        cycles, rest = divmod(offset, self._ends[-1])
        return cycles * len(self._ends) + bisect_right(self._ends, rest)

    def captured_ms(self, index: int) -> int:
        """When the message's first sample was captured, unix ms."""
        before = sum(ms for at, ms in self.holes if at <= index)
        return self.start_ms + before + index // self.channels * self.message_ms

    def due(self, now_ms: float) -> int:
        """How many messages are recorded by now."""
        low, high = 0, self.messages
        while low < high:
            middle = (low + high) // 2
            if self.captured_ms(middle) + self.message_ms <= now_ms:
                low = middle + 1
            else:
                high = middle
        return low

    def runs(self) -> list[tuple[int, int]]:
        """Each run's first message, and the message after its last one."""
        starts = sorted(start for start in self.run_starts if start < self.messages)
        return list(zip(starts, [*starts[1:], self.messages], strict=True))

    def expected_pcm(self, sound: Speech) -> bytes:
        """What a mono listener of s16le should hear of all its messages, gaps left out."""
        bytes_a_message = self.message_ms * RATE // 1000 * 2
        size = self.messages // self.channels * bytes_a_message
        source = sound.pcm[: len(self._cycle) // self.channels * bytes_a_message]
        return (source * (size // len(source) + 1))[:size]


KINDS: Final = ("opus", "pcm16", "pcm2", "opus2", "plain-opus")


def _messages(sound: Speech, codec: str, later_s: int = 0) -> list[bytes]:
    if codec == "opus":
        at = later_s * 1000 // sound.frame_ms
        return [*sound.packets[at:], *sound.packets[:at]]
    size, at = RATE * 2 * PCM_MESSAGE_MS // 1000, later_s * RATE * 2
    pcm = sound.pcm[at:] + sound.pcm[:at]
    return [pcm[begin : begin + size] for begin in range(0, len(pcm), size)]
