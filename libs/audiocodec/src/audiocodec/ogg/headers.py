"""The two header packets of Ogg Opus: OpusHead (RFC 7845 §5.1) and OpusTags (§5.2).

Owns their bytes and their limits. Mapping family 0 only: one stream, mono or stereo.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

from audiocodec.errors import OggError

MAX_HEADER_BYTES = 61_440
"""Longest header packet that is read or written: it always fits into one page."""
MAX_COMMENTS = 1_024
"""Most comments that are read or written."""

_HEAD = struct.Struct("<8sBBHIhB")
_NAME = re.compile(r"[ -<>-}]+")
"""Of a Vorbis comment: ASCII 0x20 to 0x7D, without "="."""


@dataclass(frozen=True, slots=True)
class OpusHead:
    """The identification header. OggError where a field is out of its range."""

    channels: int
    """1 or 2."""
    pre_skip: int
    """Samples at 48 kHz that a decoder drops at the start, 0 to 65,535."""
    input_sample_rate: int
    """Hz, of what was recorded; 0 for unknown. Says nothing about decoding."""

    def __post_init__(self) -> None:
        if self.channels not in (1, 2):
            raise OggError(f"OpusHead: {self.channels} channels, 1 or 2 are possible")
        if not 0 <= self.pre_skip <= 0xFFFF:
            raise OggError(f"OpusHead: pre-skip {self.pre_skip}, 0 to 65535 are possible")
        if not 0 <= self.input_sample_rate <= 0xFFFF_FFFF:
            raise OggError(f"OpusHead: input sample rate {self.input_sample_rate}")

    def encode(self) -> bytes:
        """The packet: 19 bytes, version 1, no gain, mapping family 0."""
        return _HEAD.pack(b"OpusHead", 1, self.channels, self.pre_skip, self.input_sample_rate, 0, 0)

    @classmethod
    def parse(cls, packet: bytes) -> OpusHead:
        """The header in this packet. OggError: another version, a gain, another mapping, or a wrong length."""
        if len(packet) != _HEAD.size:
            raise OggError(f"OpusHead: {len(packet)} bytes instead of {_HEAD.size}")
        magic, version, channels, pre_skip, rate, gain, family = _HEAD.unpack(packet)
        if magic != b"OpusHead":
            raise OggError("OpusHead: the first packet is something else")
        if version != 1:
            raise OggError(f"OpusHead: version {version}, only 1 is known")
        if gain or family:
            raise OggError(f"OpusHead: gain {gain} and mapping family {family}, only 0 and 0 are known")
        return cls(channels, pre_skip, rate)


@dataclass(frozen=True, slots=True)
class OpusTags:
    """The comment header."""

    vendor: str
    comments: list[tuple[str, str]] = field(default_factory=list)
    """Name and value, in their order; names are ASCII, compared without case, and may repeat."""

    def get(self, name: str) -> str | None:
        """The value of the first comment of this name."""
        wanted = name.upper()
        return next((value for key, value in self.comments if key.upper() == wanted), None)

    def encode(self) -> bytes:
        """The packet. OggError: a name that is none, or more or longer comments than the limits."""
        if len(self.comments) > MAX_COMMENTS:
            raise OggError(f"OpusTags: {len(self.comments)} comments, {MAX_COMMENTS} are possible")
        texts = [self.vendor]
        for name, value in self.comments:
            _check_name(name)
            texts.append(f"{name}={value}")
        parts = [b"OpusTags"]
        for number, text in enumerate(texts):
            try:
                raw = text.encode()
            except UnicodeEncodeError as error:
                raise OggError(f"OpusTags: text {number} is no Unicode text: {error.reason}") from error
            parts += [len(raw).to_bytes(4, "little"), raw]
            if number == 0:
                parts.append(len(self.comments).to_bytes(4, "little"))
        packet = b"".join(parts)
        if len(packet) > MAX_HEADER_BYTES:
            raise OggError(f"OpusTags: {len(packet)} bytes, {MAX_HEADER_BYTES} are possible")
        return packet

    @classmethod
    def parse(cls, packet: bytes) -> OpusTags:
        """The comments in this packet; what follows them is padding (RFC 7845 §5.2). OggError names the defect."""
        if len(packet) > MAX_HEADER_BYTES:
            raise OggError(f"OpusTags: {len(packet)} bytes, {MAX_HEADER_BYTES} are possible")
        if packet[:8] != b"OpusTags":
            raise OggError("OpusTags: the second packet is something else")
        vendor, at = _text(packet, 8, "vendor")
        count, at = _number(packet, at, "number of comments")
        if count > MAX_COMMENTS:
            raise OggError(f"OpusTags: {count} comments, {MAX_COMMENTS} are possible")
        comments: list[tuple[str, str]] = []
        for number in range(count):
            text, at = _text(packet, at, f"comment {number}")
            name, equals, value = text.partition("=")
            if not equals:
                raise OggError(f"OpusTags: comment {number} has no =")
            _check_name(name)
            comments.append((name, value))
        return cls(vendor, comments)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise OggError(f"OpusTags: {name[:40]!r} is no name of a comment")


def _number(packet: bytes, at: int, what: str) -> tuple[int, int]:
    end = at + 4
    if end > len(packet):
        raise OggError(f"OpusTags: {what} cut short")
    return int.from_bytes(packet[at:end], "little"), end


def _text(packet: bytes, at: int, what: str) -> tuple[str, int]:
    length, at = _number(packet, at, f"length of {what}")
    end = at + length
    if end > len(packet):
        raise OggError(f"OpusTags: {what} cut short")
    try:
        return packet[at:end].decode(), end
    except UnicodeDecodeError as error:
        raise OggError(f"OpusTags: {what} is no UTF-8") from error
