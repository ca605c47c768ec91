"""Opus, Ogg Opus, AAC, PCM and WAV: bytes in, bytes out.

Importing this package loads neither libopus nor numpy and PyAV; whatever first needs them does.
"""

from audiocodec.aac import AacDecoder
from audiocodec.adts import AdtsFrame, adts_frames
from audiocodec.decoder import Decoder
from audiocodec.encoder import Encoder
from audiocodec.errors import (
    BadAdtsError,
    BadPacketError,
    BadPcmError,
    CodecError,
    LibopusError,
    OggError,
    WavError,
)
from audiocodec.libopus import Libopus
from audiocodec.ogg import OggOpus, OggOpusWriter, OpusHead, OpusTags, read_ogg_headers, read_ogg_opus
from audiocodec.packet import PacketFacts, packet_facts
from audiocodec.pcm import downmix, interleave
from audiocodec.resampler import Resampler, opus_rate, resample
from audiocodec.silence import silent_packets
from audiocodec.span import Span, decode, join, preroll_after
from audiocodec.wav import Wav, WavHeader, read_wav, read_wav_header, wav_header

__all__ = [
    "AacDecoder",
    "AdtsFrame",
    "BadAdtsError",
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
    "Resampler",
    "Span",
    "Wav",
    "WavError",
    "WavHeader",
    "adts_frames",
    "decode",
    "downmix",
    "interleave",
    "join",
    "opus_rate",
    "packet_facts",
    "preroll_after",
    "read_ogg_headers",
    "read_ogg_opus",
    "read_wav",
    "read_wav_header",
    "resample",
    "silent_packets",
    "wav_header",
]
