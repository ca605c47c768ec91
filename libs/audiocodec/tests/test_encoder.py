import gc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodec.decoder import Decoder
from audiocodec.encoder import Encoder
from audiocodec.errors import BadPcmError, CodecError, LibopusError
from audiocodec.packet import packet_facts

RATES = [8_000, 12_000, 16_000, 24_000, 48_000]


def at_rate(pcm: bytes, rate: int, channels: int) -> bytes:
    """The 16 kHz recording at another rate; as stereo it runs backwards on the far side."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    if rate < 16_000:  # a crude low-pass is enough: only the lag is measured
        samples = np.convolve(samples, np.ones(3) / 3, "same")
    places = np.arange(len(samples) * rate // 16_000) * (16_000 / rate)
    near = np.interp(places, np.arange(len(samples)), samples)
    sides = [near, near[::-1]][:channels]
    return np.stack(sides, axis=1).round().astype("<i2").tobytes()


def through(pcm: bytes, rate: int, channels: int, **settings_) -> np.ndarray:
    """PCM after encoder and decoder, lead and trim dropped: one row a sample."""
    encoder = Encoder(rate, channels, **settings_)
    packets = encoder.encode(pcm)
    last, trim = encoder.finish()
    decoder = Decoder(rate, channels)
    out = np.frombuffer(b"".join(map(decoder.decode, packets + last)), "<i2").reshape(-1, channels)
    lead = encoder.lookahead * rate // 48_000
    return out[lead : len(out) - trim * rate // 48_000]


def lag(reference: np.ndarray, heard: np.ndarray) -> int:
    """Samples by which `heard` comes late, by cross-correlation."""
    size = 2 * len(reference)
    spectrum = np.fft.rfft(heard.astype(float), size) * np.conj(np.fft.rfft(reference.astype(float), size))
    best = int(np.argmax(np.fft.irfft(spectrum, size)))
    return best if best < len(reference) else best - size


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_sample_comes_back_at_its_place(speech, rate, channels):
    pcm = at_rate(speech[: 4 * 32_000 + 246], rate, channels)
    heard = through(pcm, rate, channels)
    source = np.frombuffer(pcm, "<i2").reshape(-1, channels)
    assert len(heard) == len(source)
    for side in range(channels):
        late = lag(source[:, side], heard[:, side])
        # At 24 and 48 kHz libopus codes speech as a hybrid, whose low band is early by nature, by less than 0.1 ms.
        assert (0 if rate <= 16_000 else -0.0001) <= late / rate <= 0


@pytest.mark.parametrize("rate", [24_000, 48_000])
def test_without_a_low_band_high_rates_are_exact_too(speech, rate):
    pcm = at_rate(speech, rate, 1)
    heard = through(pcm, rate, 1, bitrate=96_000, application="audio")
    assert lag(np.frombuffer(pcm, "<i2"), heard[:, 0]) == 0


@pytest.mark.parametrize("samples", [1, 2, 103, 104, 215, 216, 217, 319, 320, 321, 640, 16_000, 16_001])
def test_exactly_as_many_samples_as_were_given(speech, samples):
    encoder = Encoder(16_000)
    packets = encoder.encode(speech[: 2 * samples])
    last, trim = encoder.finish()
    total = sum(packet_facts(packet).samples for packet in packets + last)
    assert total - encoder.lookahead - trim == samples * 3
    assert 0 <= trim < 960


def test_the_end_is_heard(speech):
    """The padding pushes the last samples out of the encoder: a late beep is there to its end."""
    tone = (8_000 * np.sin(np.arange(16_000) * 0.3)).astype("<i2")
    heard = through(tone.tobytes(), 16_000, 1)[-80:, 0].astype(float)
    assert np.sqrt((heard**2).mean()) > 3_000


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("application", ["voip", "audio"])
def test_lookahead_is_six_and_a_half_ms(rate, application):
    assert Encoder(rate, application=application).lookahead == 312


def test_lookahead_of_low_delay():
    assert Encoder(48_000, application="restricted_lowdelay").lookahead == 120


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 16_000), max_size=12))
def test_the_cuts_between_calls_do_not_matter(speech, cuts):
    pcm = speech[: 2 * 16_000]
    whole = Encoder(16_000, complexity=0)
    expected = (whole.encode(pcm), whole.finish())
    pieces = Encoder(16_000, complexity=0)
    places = [0, *sorted(cuts), 16_000]
    packets = [
        packet for start, end in pairwise(places) for packet in pieces.encode(pcm[2 * start : 2 * end])
    ]
    assert (packets, pieces.finish()) == expected


def test_less_than_a_frame_is_kept():
    encoder = Encoder(16_000)
    assert encoder.encode(bytes(638)) == []
    assert len(encoder.encode(bytes(2))) == 1
    assert encoder.encode(b"") == []


@pytest.mark.parametrize(("channels", "size"), [(1, 1), (1, 641), (2, 2), (2, 6)])
def test_half_samples_are_refused_and_nothing_is_taken(channels, size):
    encoder = Encoder(16_000, channels)
    with pytest.raises(BadPcmError, match="multiple of"):
        encoder.encode(bytes(size))
    assert encoder.finish() == ([], 0)


def test_nothing_in_nothing_out():
    assert Encoder(16_000).finish() == ([], 0)


@pytest.mark.parametrize("given_pcm", [b"", bytes(640)])
def test_a_finished_encoder_is_used_up(given_pcm):
    encoder = Encoder(16_000)
    encoder.encode(given_pcm)
    encoder.finish()
    with pytest.raises(CodecError, match="finished"):
        encoder.encode(bytes(640))
    with pytest.raises(CodecError, match="finished"):
        encoder.finish()


def test_about_the_bitrate_that_was_asked_for(speech):
    sizes = {
        bitrate: sum(map(len, Encoder(16_000, bitrate=bitrate).encode(speech)))
        for bitrate in (12_000, 24_000)
    }
    seconds = len(speech) / 32_000
    for bitrate, size in sizes.items():
        assert size * 8 / seconds == pytest.approx(bitrate, rel=0.25)


@pytest.mark.parametrize(
    "settings_", [{"complexity": 11}, {"complexity": -1}, {"bitrate": -5}, {"bitrate": 0}]
)
def test_settings_that_libopus_refuses(settings_):
    with pytest.raises(LibopusError, match="libopus refused"):
        Encoder(16_000, **settings_)


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (96_000, 1), (16_000, 0), (16_000, 3)])
def test_formats_that_opus_has_not(rate, channels):
    with pytest.raises(BadPcmError):
        Encoder(rate, channels)


def test_silence_and_noise_encode_without_dtx():
    """Every packet is more than a TOC: a decoder never has to invent a frame."""
    noise = np.random.default_rng(1).integers(-32768, 32768, 16_000, dtype="<i2").tobytes()
    for pcm in (bytes(32_000), noise):
        assert min(map(len, Encoder(16_000).encode(pcm))) > 1


def test_many_encoders_come_and_go():
    for _ in range(200):
        Encoder(16_000, complexity=0).encode(bytes(640))
    gc.collect()


@pytest.mark.parametrize(("channels", "signal"), [(1, -1_000), (2, 3_001)])  # OPUS_AUTO, OPUS_SIGNAL_VOICE
def test_two_voices_are_not_taken_for_music(channels, signal):
    get_signal = 4_025  # OPUS_GET_SIGNAL
    assert Encoder(48_000, channels)._get(get_signal) == signal
