"""What can go wrong in audiocodec, as one tree.

    CodecError
    ├── LibopusError      no usable libopus, or libopus refused a setting
    ├── BadPacketError    bytes that are no Opus packet (RFC 6716 §3.4)
    ├── BadPcmError       PCM that is no whole number of samples, or of a rate or channel count Opus has not
    ├── BadAdtsError      bytes that are no ADTS frames, or frames of another rate (ISO/IEC 13818-7 §6.2)
    ├── WavError          bytes that are no WAV file of 16-bit PCM (RIFF, EBU Tech 3306)
    └── OggError          bytes that are no Ogg Opus stream, or a stream that cannot be written (RFC 3533, RFC 7845)

None of them is worth another try with the same input. Texts carry sizes and positions, never audio.
"""


class CodecError(Exception):
    """Everything that this package raises on purpose."""


class LibopusError(CodecError):
    """No usable libopus was found, or libopus refused what it was told to do."""


class BadPacketError(CodecError):
    """Bytes that are no valid Opus packet."""


class BadPcmError(CodecError):
    """PCM that cannot be taken: half samples, or a rate or channel count that Opus has not."""


class BadAdtsError(CodecError):
    """Bytes that are no whole ADTS frames, or frames that the stream cannot have; the text names frame and defect."""


class WavError(CodecError):
    """A WAV file that breaks its format, or holds something else than 16-bit PCM; the text names chunk and defect."""


class OggError(CodecError):
    """An Ogg Opus stream that breaks its format; the text names structure and defect."""
