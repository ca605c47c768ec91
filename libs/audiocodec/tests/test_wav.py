import contextlib
import io
import struct
import subprocess
import wave

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodec.errors import BadPcmError, WavError
from audiocodec.wav import Wav, WavHeader, read_wav, read_wav_header, wav_header

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
        (1 << 30, 2, 0),
    ],
)
def test_refused(rate, channels, data_bytes):
    with pytest.raises(BadPcmError, match="WAV of"):
        wav_header(rate, channels, data_bytes)


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def fmt(tag=1, channels=1, rate=16_000, bits=16, block=None, more=b"") -> bytes:
    block = channels * bits // 8 if block is None else block
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits) + more)


def extension(valid_bits=16, guid="0100000000001000800000aa00389b71") -> bytes:
    return struct.pack("<HHI", 22, valid_bits, 4) + bytes.fromhex(guid)


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def rf64(riff_bytes: int, data_bytes: int, *chunks: bytes, table=b"", entries=0) -> bytes:
    ds64 = chunk(b"ds64", struct.pack("<QQQI", riff_bytes, data_bytes, 0, entries) + table)
    return b"RF64\xff\xff\xff\xffWAVE" + ds64 + b"".join(chunks)


DATA = chunk(b"data", b"abcd")


@given(st.integers(1, 1 << 20), st.integers(1, 255), st.integers(0, 40))
def test_what_the_header_writer_writes_is_read(rate, channels, frames):
    pcm = bytes(2 * channels * frames)
    header = wav_header(rate, channels, len(pcm))
    assert read_wav(header + pcm) == Wav(rate, channels, pcm)
    assert read_wav_header(header) == WavHeader(rate, channels, 16, len(header), len(pcm))


def test_rf64_is_read():
    header = wav_header(48_000, 2, 5 << 30)
    assert read_wav_header(header) == WavHeader(48_000, 2, 16, 80, 5 << 30)


@pytest.mark.parametrize(
    "data",
    [
        riff(fmt(), DATA),
        riff(fmt(more=b"\0\0"), DATA),
        riff(fmt(tag=0xFFFE, more=extension()), DATA),
        riff(chunk(b"LIST", b"INFOodd"), fmt(), chunk(b"fact", bytes(4)), DATA),
        riff(fmt(), DATA, chunk(b"LIST", b"odd")),
        rf64(88, 4, fmt(), b"data\xff\xff\xff\xffabcd"),
        rf64(
            115,
            4,
            b"junk\xff\xff\xff\xffxyz\0",
            fmt(),
            b"data\xff\xff\xff\xffabcd",
            table=b"junk" + struct.pack("<Q", 3),
            entries=1,
        ),
    ],
)
def test_forms_that_there_are(data):
    if data[:4] == b"RF64":
        data = data[:20] + struct.pack("<Q", len(data) - 8) + data[28:]
    assert read_wav(data) == Wav(16_000, 1, b"abcd")


def test_the_header_tells_other_widths_but_they_are_not_read():
    data = riff(fmt(bits=8), chunk(b"data", b"abcd"))
    assert read_wav_header(data).bits == 8
    with pytest.raises(WavError, match="8 bits a sample"):
        read_wav(data)


def test_the_header_needs_no_samples():
    data = riff(fmt(), chunk(b"data", bytes(1_000)))
    assert read_wav_header(data[:44]) == WavHeader(16_000, 1, 16, 44, 1_000)
    with pytest.raises(WavError, match="cut short"):
        read_wav_header(data[:43])


@pytest.mark.parametrize(
    ("data", "defect"),
    [
        (b"", "RIFF header: cut short"),
        (b"OggS" + bytes(40), "no RIFF"),
        (riff(DATA), "before any fmt"),
        (riff(fmt(), fmt(), DATA), "two fmt"),
        (riff(fmt()), "chunk at byte 36: cut short"),
        (riff(fmt(), DATA) + b"x", "49 bytes, where its header says 48"),
        (riff(fmt(), DATA)[:-1], "47 bytes, where its header says 48"),
        (riff(fmt(), b"data\xff\0\0\0abcd"), "past the end"),
        (riff(fmt(), chunk(b"data", b"abc")), "3 bytes, not a multiple of 2"),
        (riff(fmt(tag=3, bits=32), DATA), "format 0x0003"),
        (riff(fmt(bits=12, block=2), DATA), "12 bits"),
        (riff(fmt(bits=0), DATA), "0 bits"),
        (riff(fmt(channels=0), DATA), "0 channels"),
        (riff(fmt(rate=0), DATA), "0 Hz"),
        (riff(fmt(block=4), DATA), "does not add up"),
        (riff(chunk(b"fmt ", bytes(14)), DATA), "fmt chunk: 14 bytes"),
        (riff(chunk(b"fmt ", bytes(258)), DATA), "fmt chunk: 258 bytes"),
        (riff(fmt(tag=0xFFFE), DATA), "too few for the extensible"),
        (riff(fmt(tag=0xFFFE, more=extension(valid_bits=20)), DATA), "20 bits"),
        (riff(fmt(tag=0xFFFE, more=extension(guid="03" + "00" * 15)), DATA), "sub-format"),
        (riff(*[chunk(b"LIST", b"")] * 300, fmt(), DATA), "no samples in the first 256"),
        (b"RF64\xff\xff\xff\xffWAVE" + fmt() + DATA * 3, "without a ds64"),
        (rf64(100, 4, fmt(), DATA, entries=1), "28 bytes and 1 sizes"),
        (rf64(100, 4, fmt(), DATA, table=bytes(12 * 300), entries=300), "300 sizes"),
    ],
)
def test_broken_files(data, defect):
    with pytest.raises(WavError, match=defect):
        read_wav(data)


def test_every_cut_is_noticed():
    data = riff(chunk(b"LIST", b"INFO"), fmt(tag=0xFFFE, more=extension()), DATA)
    for end in range(len(data)):
        with pytest.raises(WavError):
            read_wav(data[:end])


@settings(max_examples=300)
@given(st.data())
def test_any_bytes_are_read_or_refused(data):
    whole = data.draw(
        st.sampled_from([riff(fmt(), DATA), rf64(88, 4, fmt(), DATA, table=bytes(12), entries=1)])
    )
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(0, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged += data.draw(st.binary(max_size=20))
    for read in (read_wav, read_wav_header):
        with contextlib.suppress(WavError):
            read(bytes(damaged))


def test_ffmpegs_own_file_is_read(program, tmp_path):
    path = tmp_path / "tone.wav"
    source = ["-f", "lavfi", "-i", "sine=440:sample_rate=22050:duration=0.1", "-metadata", "title=odd"]
    command = [program("ffmpeg"), "-v", "warning", *source, "-ac", "2", "-c:a", "pcm_s16le", str(path)]
    subprocess.run(command, check=True)
    wav = read_wav(path.read_bytes())
    assert (wav.sample_rate, wav.channels, len(wav.pcm)) == (22_050, 2, 2_205 * 4)
