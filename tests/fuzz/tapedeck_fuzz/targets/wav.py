"""`audiocodec.wav`: a file that somebody records from; judged by Python's own reader where that knows the form."""

import io
import wave

from audiocodec.errors import WavError
from audiocodec.wav import read_wav, read_wav_header, wav_header
from tapedeck_fuzz import wav_by_hand
from tapedeck_fuzz.target import Target, demand


def check(data: bytes) -> int | None:
    """Taken: its samples lie where the header says, within the file, and written and read again they are the same."""
    try:
        header = read_wav_header(data)
    except WavError as error:
        demand(str(error).startswith("WAV"), f"the error names no structure: {error}")
        header = None
    try:
        sound = read_wav(data)
    except WavError as error:
        demand(str(error).startswith("WAV"), f"the error names no structure: {error}")
        return None
    demand(header is not None and header.bits == 16, "a file whose header alone is refused")
    demand(
        header is not None and data[header.data_offset :][: header.data_bytes] == sound.pcm, "other samples"
    )
    demand(len(sound.pcm) % (2 * sound.channels) == 0, "half a sample frame")
    again = wav_header(sound.sample_rate, sound.channels, len(sound.pcm)) + sound.pcm
    demand(read_wav(again) == sound, "written and read again it is another sound")
    if data[:4] == b"RIFF" and wave_reads_it(data):
        with wave.open(io.BytesIO(data)) as other:
            judged = other.getframerate(), other.getnchannels(), other.readframes(other.getnframes())
        demand(judged == (sound.sample_rate, sound.channels, sound.pcm), "other than Python's reader has it")
    return len(sound.pcm)


def wave_reads_it(data: bytes) -> bool:
    """Whether it is of the plain form: the module refuses others, the extensible one before Python 3.12."""
    return any(chunk.name == b"fmt " and chunk.body[:2] == b"\1\0" for chunk in wav_by_hand.split(data))


TARGET = Target(
    check,
    wav_by_hand.mutate,
    words=(b"RIFF", b"RF64", b"WAVEfmt ", b"data", b"ds64", b"\x10\0\0\0\1\0\1\0", b"\xff\xff\xff\xff"),
)
