import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodec.decoder import Decoder
from audiocodec.errors import BadPcmError
from audiocodec.packet import packet_facts
from audiocodec.silence import MAX_SILENCE_SAMPLES, silent_packets


@pytest.mark.parametrize("samples", [960, 480, 240, 120])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_each_size_decodes_to_zeros(samples, channels, rate):
    (packet,) = silent_packets(samples, channels)
    facts = packet_facts(packet)
    assert (facts.samples, facts.channels, facts.mode) == (samples, channels, "celt")
    decoder = Decoder(rate, channels)
    size = samples * rate // 48_000 * 2 * channels
    assert [decoder.decode(packet) for _ in range(5)] == [bytes(size)] * 5


def test_after_speech_it_fades_to_zeros(speech_span):
    decoder = Decoder(16_000, 1)
    for packet in speech_span.packets[:120]:
        decoder.decode(packet)
    faded = [decoder.decode(packet) for packet in silent_packets(48_000, 1)]
    assert not any(b"".join(faded[5:]))


@pytest.mark.parametrize(
    ("samples", "durations"),
    [
        (0, []),
        (59, []),
        (60, [120]),
        (179, [120]),
        (180, [240]),
        (1800, [960, 480, 240, 120]),
        (1900, [960, 960]),
        (48_000, [960] * 50),
    ],
)
def test_rounded_to_the_nearest_step(samples, durations):
    assert [packet_facts(packet).samples for packet in silent_packets(samples, 1)] == durations


@given(st.integers(0, 10_000_000), st.sampled_from([1, 2]))
def test_lasts_what_was_asked(samples, channels):
    packets = silent_packets(samples, channels)
    total = sum(packet_facts(packet).samples for packet in set(packets) for _ in range(packets.count(packet)))
    assert abs(total - samples) <= 60
    assert len(packets) <= total // 960 + 3


@pytest.mark.parametrize(("samples", "channels"), [(-1, 1), (MAX_SILENCE_SAMPLES + 1, 1), (960, 0), (960, 3)])
def test_refused(samples, channels):
    with pytest.raises(BadPcmError, match="silence of"):
        silent_packets(samples, channels)
