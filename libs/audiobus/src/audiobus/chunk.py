"""The chunk entry: about one second of Opus packets, as `listen` appends and `pusher` and `storage-api` read it.

One field, `c`, holds a msgpack array whose first element is the version. An entry that opens a session has the field `o`
instead, with the session's format. Readers refuse versions that they do not know.
"""

from typing import Final

import msgspec

from audiobus.errors import BadEntryError
from audiocodec.errors import CodecError
from audiocodec.packet import packet_durations
from audiocodec.span import Span

VERSION: Final = 1
CHUNK_FIELD: Final = b"c"
OPEN_FIELD: Final = b"o"
SAMPLES_FIELD: Final = b"s"
"""Beside the chunk: how many samples `append` counted for it. Entries of earlier versions lack it."""
TRACE_FIELD: Final = b"t"
"""Beside the chunk, where traces are on: the `traceparent` of its session. Nothing depends on it."""
HEAD_BYTES: Final = 11
"""The beginning of a chunk that says its version and when it was made: array, version, at_ms."""
MAX_CHUNK_BYTES: Final = 4 * 1024 * 1024
"""An entry above this is refused before it is parsed: eight seconds of the largest packets stay below."""
MAX_PACKETS: Final = 8192


class Chunk(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Packets that follow one another, and where they lie in their run. Samples are at 48 kHz."""

    version: int
    at_ms: int
    """When `listen` made the chunk, unix ms: from here its waiting time counts."""
    source: str
    """The codec that the client sends: `pcm8`, `pcm16`, `opus`, `opus_fs320`, `aac`."""
    sample_rate: int
    """Hz: the rate of what the client records, whatever the packets are coded at; OpusHead says it."""
    channels: int
    run_start_ms: int
    """Unix ms of sample 0 of the run."""
    first_sample: int
    """Position in the run of the first played sample."""
    samples: int
    """Played samples: what the packets decode to less lead and trim."""
    lead: int
    """Samples to drop at the front: the encoder's lead-in."""
    trim: int
    """Samples of padding to drop at the end, after the encoder was flushed."""
    starts: bool
    """The encoder began with the first packet of this chunk."""
    first_offset: int
    """Payload bytes of the session before this chunk; its entry id has the offset at its end."""
    packets: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The value of the field `c`."""
        return _ENCODER.encode(self)

    def span(self, conversation_id: str, epoch: int, end_offset: int) -> Span:
        """The chunk as a piece of the timeline."""
        return Span(
            conversation=conversation_id,
            epoch=epoch,
            first_offset=self.first_offset,
            end_offset=end_offset,
            run_start_ms=self.run_start_ms,
            first_sample=self.first_sample,
            samples=self.samples,
            lead=self.lead,
            trim=self.trim,
            starts=self.starts,
            packets=self.packets,
        )


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Chunk)


def decode_chunk(data: bytes) -> Chunk:
    """The chunk in a field `c`, checked: its packets are Opus and last as long as it says.

    Raises:
        BadEntryError: too large, not msgpack, an unknown version, or numbers that contradict each other.
    """
    if len(data) > MAX_CHUNK_BYTES:
        raise BadEntryError(f"chunk entry: {len(data)} bytes, above the limit of {MAX_CHUNK_BYTES}")
    # The version stands first, so a later version with other fields is told from damage.
    if len(data) < 2 or not (0x90 <= data[0] <= 0x9F or data[0] == 0xDC):
        raise BadEntryError("chunk entry: not a msgpack array")
    version = data[1] if data[0] != 0xDC else -1
    if version != VERSION:
        raise BadEntryError(f"chunk entry: version {version} is unknown to this build")
    try:
        chunk = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadEntryError(f"chunk entry: {error}") from error
    _check(chunk)
    return chunk


def made_ms(head: bytes) -> int | None:
    """When a chunk was made (`at_ms`), from its first HEAD_BYTES: what `decode_chunk` says where it is one.

    None where a chunk of this version does not begin so.
    """
    if len(head) < 3 or head[0] & 0xF0 != 0x90 or head[1] != VERSION:
        return None
    # All ways in which msgpack writes an integer: a clock before February 1970 fits into fewer bytes than ours.
    width = _INTEGERS.get(head[2])
    if width is None:
        return head[2] if head[2] < 0x80 else None
    if len(head) < 3 + width:
        return None
    at_ms = int.from_bytes(head[3 : 3 + width], "big", signed=head[2] >= 0xD0)
    return at_ms if at_ms >= 0 else None


_INTEGERS: Final = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
"""The first byte of an integer in msgpack, unsigned and signed, and how many follow."""


def _check(chunk: Chunk) -> None:
    if len(chunk.packets) > MAX_PACKETS:
        raise BadEntryError(f"chunk entry: {len(chunk.packets)} packets, above the limit of {MAX_PACKETS}")
    numbers = (
        chunk.at_ms,
        chunk.run_start_ms,
        chunk.first_sample,
        chunk.samples,
        chunk.lead,
        chunk.trim,
        chunk.first_offset,
    )
    if min(numbers) < 0:
        raise BadEntryError("chunk entry: a negative number")
    if chunk.channels not in (1, 2) or not 8_000 <= chunk.sample_rate <= 48_000:
        raise BadEntryError(f"chunk entry: {chunk.channels} channels at {chunk.sample_rate} Hz")
    try:
        decoded = sum(packet_durations(chunk.packets))
    except CodecError as error:
        raise BadEntryError(f"chunk entry: {error}") from error
    if decoded != chunk.samples + chunk.lead + chunk.trim:
        raise BadEntryError(
            f"chunk entry: packets of {decoded} samples where {chunk.samples} + {chunk.lead} + {chunk.trim} are said"
        )
