"""Opus, Ogg Opus, PCM and WAV: bytes in, bytes out.

Importing this package loads no libopus; the first encoder, decoder or packet does.
"""

from audiocodec.decoder import Decoder
from audiocodec.encoder import Encoder
from audiocodec.errors import BadPacketError, BadPcmError, CodecError, LibopusError, OggError
from audiocodec.libopus import Libopus
from audiocodec.ogg import OggOpus, OggOpusWriter, OpusHead, OpusTags, read_ogg_headers, read_ogg_opus
from audiocodec.packet import PacketFacts, packet_facts
from audiocodec.silence import silent_packets
from audiocodec.span import Span, decode, join, preroll_after
from audiocodec.wav import wav_header

__all__ = [
    "BadPacketError",
    "BadPcmError",
    "CodecError",
    "Decoder",
    "Encoder",
    "Libopus",
    "LibopusError",
    "OggError",
    "OggOpus",
    "OggOpusWriter",
    "OpusHead",
    "OpusTags",
    "PacketFacts",
    "Span",
    "decode",
    "join",
    "packet_facts",
    "preroll_after",
    "read_ogg_headers",
    "read_ogg_opus",
    "silent_packets",
    "wav_header",
]
