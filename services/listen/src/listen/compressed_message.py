"""What one message of a compressed codec lasts, from its headers alone.

Owns the check at the door: what passes here has a length that the encoder's thread keeps to, whether it decodes or not.
Library errors become BadAudioError here. Must not decode.
"""

from dataclasses import dataclass

from audiocodec.adts import BLOCK_SAMPLES, adts_frames
from audiocodec.errors import BadAdtsError, BadPacketError
from audiocodec.packet import MAX_FRAME_BYTES, is_bloated, packet_facts
from audiocodec.span import PREROLL_SAMPLES
from listen.audio_format import AudioFormat
from listen.errors import BadAudioError, WrongRateError


@dataclass(frozen=True, slots=True)
class CompressedMessage:
    """One message. Samples are counted at the format's `source_rate`."""

    samples: int
    warm_up: int
    """What a decoder that begins after this message gives wrongly at first: it needs what came before."""


def read_message(audio_format: AudioFormat, payload: bytes) -> CompressedMessage:
    """What a message says about itself.

    Raises:
        BadAudioError: it is no packet of the codec.
        WrongRateError: AAC of another rate.
    """
    if audio_format.codec == "aac":
        return _aac(audio_format.sample_rate, payload)
    return CompressedMessage(opus_samples(payload), PREROLL_SAMPLES)


def opus_samples(packet: bytes) -> int:
    """Samples at 48 kHz that an Opus packet lasts.

    BadAudioError: it is none, or bloated: padding has no time, so with it a second of audio could have any size.
    """
    try:
        facts = packet_facts(packet)
    except BadPacketError as error:
        raise BadAudioError(str(error)) from error
    if is_bloated(packet):
        raise BadAudioError(
            f"Opus packet of {len(packet)} bytes in {facts.frames} frames: no frame can have more than {MAX_FRAME_BYTES} "
            "(RFC 6716 section 3.4), so the rest is padding; leave it away"
        )
    return facts.samples


def _aac(sample_rate: int, payload: bytes) -> CompressedMessage:
    try:
        frames = adts_frames(payload)
    except BadAdtsError as error:
        raise BadAudioError(str(error)) from error
    rates = {frame.sample_rate for frame in frames}
    # HE-AAC plays at twice the rate that its header says.
    if rates == {sample_rate}:
        times = 1
    elif {2 * rate for rate in rates} == {sample_rate}:
        times = 2
    else:
        said = ", ".join(map(str, sorted(rates)))
        raise WrongRateError(f"the audio says {said} Hz where `sample_rate` is {sample_rate}")
    # Blocks overlap by one: the first one after a new decoder's beginning lacks its half.
    return CompressedMessage(times * sum(frame.samples for frame in frames), times * BLOCK_SAMPLES)
