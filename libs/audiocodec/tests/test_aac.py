import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodec.aac import AacDecoder, load
from audiocodec.adts import SAMPLE_RATES, adts_frames
from audiocodec.errors import BadAdtsError

PRIMING = 1_024
"""Samples that an AAC encoder puts before the first one."""
SBR_DELAY = 962
"""Samples, at the doubled rate, that ffmpeg's SBR comes later."""
SBR_START = f"{0xD:04b}" + "11" + "0101" + "1001" + "000" + "00" + "00"
"""SBR_DATA with a header (ISO/IEC 14496-3 §4.4.2.8): it starts at band 5, stops at 9."""
SBR_DATA = "0" + "00" + "00" + "1" + "00" + "0" * 8 + f"{27:07b}" + "0" * 39
"""One envelope, flat and quiet: four noise bands without inverse filtering, and zeros in Huffman's code."""
PARAMETRIC_STEREO = "1" + f"{7:04b}" + "10" + "11000000010" + "01001111111011011001101010111110110100110110"
"""Extension 2: ten bands of intensity differences, most of them to one side."""


def samples_of(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(float)


def best_lag(reference: np.ndarray, heard: np.ndarray, reach: int) -> int:
    """By how many samples `heard` comes late, within `reach`."""
    middle = reference[reach:30_000]
    lags = range(-reach, reach + 1)
    return max(lags, key=lambda lag: np.dot(heard[reach + lag : reach + lag + len(middle)], middle))


def with_fill(message: bytes, content: str) -> bytes:
    """The frame with a fill element of these bits before its end (ISO/IEC 14496-3 §4.4.2.7)."""
    bits = "".join(f"{byte:08b}" for byte in message[7:]).rstrip("0")
    assert bits.endswith("111")
    count = -(-len(content) // 8)
    counted = f"{count:04b}" if count < 15 else f"1111{count - 14:08b}"
    bits = bits[:-3] + "110" + counted + content.ljust(8 * count, "0") + "111"
    bits += "0" * (-len(bits) % 8)
    payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return sized(message[:7], 7 + len(payload)) + payload


def sized(header: bytes, size: int, blocks: int = 1) -> bytes:
    """The header of a frame with another length and number of blocks."""
    value = int.from_bytes(header, "big") & ~(0x1FFF << 13 | 3)
    return (value | size << 13 | blocks - 1).to_bytes(7, "big")


def decode(messages: list[bytes], rate: int) -> bytes:
    decoder = AacDecoder(rate)
    pcm = b"".join(map(decoder.decode, messages))
    assert decoder.spoiled == 0
    return pcm


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_speech_lies_where_it_was_said(speech, encode_aac, rate, channels):
    messages = encode_aac(speech[:128_000], rate, channels)
    pcm = decode(messages, rate)
    assert len(pcm) == 2 * 1_024 * len(messages)
    source, heard = samples_of(speech), samples_of(pcm)[PRIMING:]
    size = min(len(source), len(heard))
    assert best_lag(source, heard, 40) == 0
    noise = source[:size] - heard[:size]
    assert 10 * np.log10((source[:size] ** 2).sum() / (noise**2).sum()) > 12


def test_he_aac_gives_twice_the_headers_rate(speech, encode_aac):
    core = encode_aac(speech, 24_000, 1)[:60]
    messages = [with_fill(message, SBR_START + SBR_DATA) for message in core]
    pcm = samples_of(decode(messages, 48_000))
    assert len(pcm) == 2_048 * len(messages)
    low = samples_of(decode(core, 24_000))
    doubled = np.interp(np.arange(2 * len(low)) / 2, np.arange(len(low)), low)
    assert best_lag(doubled, pcm[SBR_DELAY:], 40) == 0
    spectrum = np.abs(np.fft.rfft(pcm)) ** 2
    plain = np.abs(np.fft.rfft(samples_of(decode(core, 48_000)))) ** 2
    upper = slice(len(spectrum) * 6 // 10, None)
    assert spectrum[upper].sum() > 10 * plain[upper].sum()


def test_the_same_stream_at_the_headers_rate_is_its_lower_half(speech, encode_aac):
    core = encode_aac(speech, 24_000, 1)[:40]
    messages = [with_fill(message, SBR_START + SBR_DATA) for message in core]
    assert decode(messages, 24_000) == decode(core, 24_000)


def test_a_stream_without_the_upper_half_is_stretched_where_it_was_announced(speech, encode_aac):
    messages = encode_aac(speech, 16_000, 2)[:40]
    assert len(decode(messages, 32_000)) == 2 * 2_048 * len(messages)


def test_parametric_stereo_is_mixed_down(speech, encode_aac):
    core = encode_aac(speech, 24_000, 1)[:40]
    messages = [with_fill(message, SBR_START + SBR_DATA + PARAMETRIC_STEREO) for message in core]
    pcm, mono = decode(messages, 48_000), decode([with_fill(m, SBR_START + SBR_DATA) for m in core], 48_000)
    assert len(pcm) == len(mono)
    assert pcm != mono
    assert np.corrcoef(samples_of(pcm), samples_of(mono))[0, 1] > 0.9


@pytest.mark.parametrize("profile", ["aac_main", "aac_low", "aac_ltp", "mpeg2_aac_low"])
def test_ffmpegs_profiles(speech, program, tmp_path, profile):
    path = tmp_path / "speech.aac"
    source = ["-f", "s16le", "-ar", "16000", "-ac", "1", "-i", "-"]
    encode = ["-c:a", "aac", "-profile:a", profile, "-strict", "-2", "-b:a", "48k", "-f", "adts", str(path)]
    done = subprocess.run(
        [program("ffmpeg"), "-v", "error", *source, *encode], input=speech, check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip(f"this ffmpeg does not encode {profile}")
    data, messages = path.read_bytes(), []
    while data:
        size = int.from_bytes(data[3:6], "big") >> 5 & 0x1FFF
        messages.append(data[:size])
        data = data[size:]
    heard = samples_of(decode(messages, 16_000))[PRIMING:]
    assert best_lag(samples_of(speech), heard, 40) == 0


def test_several_frames_in_a_message_are_the_same_as_one_by_one(speech, encode_aac):
    messages = encode_aac(speech, 16_000, 1)[:24]
    together = [b"".join(messages[at : at + 8]) for at in range(0, 24, 8)]
    assert decode(together, 16_000) == decode(messages, 16_000)


@pytest.mark.parametrize("protected", [False, True])
def test_several_blocks_in_a_frame_are_the_same_as_one_by_one(speech, encode_aac, protected):
    messages = encode_aac(speech, 16_000, 1)[:24]
    packed = []
    for at in range(0, 24, 3):
        blocks = [message[7:] + b"##" * protected for message in messages[at : at + 3]]
        payload = b"".join(blocks)
        if protected:
            ends = np.cumsum([len(block) for block in blocks])[:2]
            payload = b"".join(int(end).to_bytes(2, "big") for end in ends) + b"##" + payload
        header = bytearray(sized(messages[at][:7], 7 + len(payload), blocks=3))
        header[1] &= 0xFE if protected else 0xFF
        packed.append(bytes(header) + payload)
    assert adts_frames(packed[0])[0].samples == 3_072
    assert decode(packed, 16_000) == decode(messages, 16_000)


def spoil(message: bytes, payload: bytes) -> bytes:
    return sized(message[:7], 7 + len(payload)) + payload


@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_a_spoiled_frame_is_silence_of_its_length_and_the_rest_is_as_ever(speech, encode_aac, rate, capfd):
    messages = encode_aac(speech, 24_000, 1)[:40]
    clean, samples = decode(messages, rate), 1_024 * rate // 24_000
    decoder = AacDecoder(rate)
    pieces = []
    for number, message in enumerate(messages):
        bad = {20: b"\xff" * 30, 21: message[7:12], 30: b"\0"}.get(number)
        pieces.append(decoder.decode(message if bad is None else spoil(message, bad)))
    assert {len(piece) for piece in pieces} == {2 * samples}
    assert decoder.spoiled == 3
    assert not any(pieces[20] + pieces[21] + pieces[30])
    expected = [clean[at : at + 2 * samples] for at in range(0, len(clean), 2 * samples)]
    assert pieces[:20] == expected[:20]
    if rate == 24_000:  # after one frame's overlap; the filters of the upper half remember longer
        assert pieces[23:30] + pieces[32:] == expected[23:30] + expected[32:]
    assert capfd.readouterr() == ("", "")


def test_more_blocks_than_were_told_are_silence(speech, encode_aac):
    messages = encode_aac(speech, 16_000, 1)[:20]
    decoder = AacDecoder(16_000)
    for message in messages[:10]:
        decoder.decode(message)
    assert decoder.decode(spoil(messages[10], messages[10][7:] + messages[11][7:])) == bytes(2_048)
    assert decoder.spoiled == 1


def program_config(pairs: int) -> bytes:
    """A program config element (ISO/IEC 14496-3 §4.4.1.1): a channel in front, and so many pairs in front and beside."""
    front = min(pairs, 14)
    bits = f"1010000010110{1 + front:04b}{pairs - front:04b}" + "0" * 16
    bits += "00000" + "".join(f"1{number % 16:04b}" for number in range(pairs))
    bits += "0" * (-len(bits) % 8) + "0" * 8
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.mark.parametrize("pairs", [1, 2, 4, 12])
@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_channels_that_only_the_audio_tells_of_spoil_one_frame_and_no_more(speech, encode_aac, pairs, rate):
    messages = encode_aac(speech, 24_000, 1)[20:30]
    decoder, samples = AacDecoder(rate), 1_024 * rate // 24_000
    made_up = spoil(messages[1], program_config(pairs) + messages[1][7:])
    pieces = [decoder.decode(message) for message in (messages[0], made_up, *messages[2:])]
    assert {len(piece) for piece in pieces} == {2 * samples}
    assert decoder.spoiled == 1
    assert not any(pieces[1])
    assert all(np.std(samples_of(piece)) > 0 for piece in pieces[2:])


def test_a_stream_may_go_from_mono_to_stereo_and_back(speech, encode_aac):
    mono, stereo = encode_aac(speech, 16_000, 1)[10:20], encode_aac(speech, 16_000, 2)[20:30]
    decoder = AacDecoder(16_000)
    pcm = b"".join(map(decoder.decode, [*mono, *stereo, *mono]))
    assert (len(pcm), decoder.spoiled) == (2 * 1_024 * 30, 0)


@pytest.mark.parametrize("rate", [8_000, 12_000, 44_100, 64_000])
def test_frames_of_another_rate_are_refused_and_nothing_is_decoded(speech, encode_aac, rate):
    messages = encode_aac(speech, 16_000, 1)
    decoder = AacDecoder(rate)
    with pytest.raises(BadAdtsError, match=f"16000 Hz, where {rate} Hz or half of it"):
        decoder.decode(messages[0])
    with pytest.raises(BadAdtsError, match="no sync word"):
        decoder.decode(b"no ADTS frame")
    assert decoder.spoiled == 0


@pytest.mark.parametrize("rate", [0, 8_001, 192_000])
def test_rates_that_adts_has_not(rate):
    with pytest.raises(BadAdtsError, match="ADTS has"):
        AacDecoder(rate)


def test_each_rate_and_its_double_make_a_decoder(speech, encode_aac):
    message = encode_aac(speech, 16_000, 1)[5]
    for index, rate in enumerate(SAMPLE_RATES):
        header = bytearray(message[:7])
        header[2] = header[2] & 0b11000011 | index << 2
        for output in {rate, 2 * rate} & set(SAMPLE_RATES):
            assert len(AacDecoder(output).decode(bytes(header) + message[7:])) == 2_048 * output // rate


def test_decoders_in_other_threads(speech, encode_aac):
    messages = encode_aac(speech, 16_000, 2)[:40]
    with ThreadPoolExecutor(4) as pool:
        results = set(pool.map(lambda _: decode(messages, 16_000), range(8)))
    assert results == {decode(messages, 16_000)}


@settings(max_examples=60)
@given(data=st.data())
def test_damaged_frames_keep_their_length(speech, encode_aac, data):
    decoder = AacDecoder(data.draw(st.sampled_from([24_000, 48_000])))
    messages = [
        with_fill(m, SBR_START + SBR_DATA + PARAMETRIC_STEREO) for m in encode_aac(speech, 24_000, 1)[30:34]
    ]
    for message in messages:
        damaged = bytearray(message)
        for _ in range(data.draw(st.integers(0, 6))):
            damaged[data.draw(st.integers(7, len(message) - 1))] = data.draw(st.integers(0, 255))
        assert len(decoder.decode(bytes(damaged))) == 2_048 * decoder._sample_rate // 24_000


def test_load_brings_pyav_and_the_package_alone_does_not():
    load()
    program = "import sys, audiocodec.aac; print('numpy' in sys.modules, 'av' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]
