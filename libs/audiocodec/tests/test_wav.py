import io
import struct
import subprocess
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodec.errors import BadPcmError
from audiocodec.wav import wav_header

LAST_RIFF = 0xFFFF_FFFE - 36  # bytes of PCM in the largest file that plain RIFF can tell


def test_golden():
    assert wav_header(16_000, 1, 4).hex() == (
        "524946462800000057415645"  # RIFF, 40, WAVE
        "666d74201000000001000100803e0000007d000002001000"  # fmt: PCM, mono, 16000 Hz, 32000 B/s, 2, 16
        "6461746104000000"  # data, 4
    )


@given(st.sampled_from([8_000, 16_000, 44_100, 48_000]), st.integers(1, 8), st.integers(0, 500))
def test_the_standard_library_reads_it(rate, channels, frames):
    pcm = bytes(range(256)) * 32
    pcm = pcm[: frames * 2 * channels]
    with wave.open(io.BytesIO(wav_header(rate, channels, len(pcm)) + pcm)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (rate, channels, 2)
        assert file.readframes(1 << 20) == pcm


def test_rf64_begins_where_riff_ends():
    assert wav_header(48_000, 1, LAST_RIFF)[:4] == b"RIFF"
    assert wav_header(48_000, 1, LAST_RIFF + 2)[:4] == b"RF64"
    assert wav_header(48_000, 2, 1 << 32)[:4] == b"RF64"


def test_rf64_says_its_sizes_in_ds64():
    data_bytes = 5 << 30
    header = wav_header(48_000, 2, data_bytes)
    assert len(header) == 80
    riff, riff_size, kind, ds64, ds64_size, size, data, samples, table = struct.unpack_from(
        "<4sI4s4sIQQQI", header
    )
    assert (riff, riff_size, kind, ds64, ds64_size) == (b"RF64", 0xFFFFFFFF, b"WAVE", b"ds64", 28)
    assert (size, data, samples, table) == (len(header) + data_bytes - 8, data_bytes, data_bytes // 4, 0)
    assert header[48:52] == b"fmt "
    assert header[72:] == b"data\xff\xff\xff\xff"


def test_ffprobe_reads_rf64(program, tmp_path):
    path = tmp_path / "big.wav"
    data_bytes = (4 << 30) + 400
    with path.open("wb") as file:
        file.write(wav_header(48_000, 2, data_bytes))
        file.truncate(80 + data_bytes)  # sparse
    entries = ["-show_entries", "stream=duration_ts,sample_rate,channels", "-of", "csv=p=0"]
    command = [program("ffprobe"), "-v", "warning", *entries, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == f"48000,2,{data_bytes // 4}"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("rate", "channels", "data_bytes"),
    [
        (16_000, 1, 3),
        (16_000, 2, 6),
        (16_000, 1, -2),
        (0, 1, 0),
        (16_000, 0, 0),
        (16_000, 256, 0),
        (1 << 31, 1, 0),
    ],
)
def test_refused(rate, channels, data_bytes):
    with pytest.raises(BadPcmError, match="WAV of"):
        wav_header(rate, channels, data_bytes)
