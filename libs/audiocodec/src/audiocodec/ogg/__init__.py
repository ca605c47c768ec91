"""Ogg Opus (RFC 3533, RFC 7845): one mono or stereo stream, written as it comes, read strictly."""

from audiocodec.ogg.headers import OpusHead, OpusTags
from audiocodec.ogg.packed import OggPacked, PackedPackets, read_ogg_packed
from audiocodec.ogg.paging import Paged, paged
from audiocodec.ogg.reader import MAX_FILE_BYTES, OggOpus, read_ogg_headers, read_ogg_opus
from audiocodec.ogg.writer import OggOpusWriter

__all__ = [
    "MAX_FILE_BYTES",
    "OggOpus",
    "OggOpusWriter",
    "OggPacked",
    "OpusHead",
    "OpusTags",
    "PackedPackets",
    "Paged",
    "paged",
    "read_ogg_headers",
    "read_ogg_opus",
    "read_ogg_packed",
]
