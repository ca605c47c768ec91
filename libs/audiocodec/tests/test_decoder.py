import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodec.decoder import Decoder
from audiocodec.encoder import Encoder
from audiocodec.errors import BadPacketError, BadPcmError
from audiocodec.native import bound
from audiocodec.packet import MAX_PACKET_BYTES, packet_facts


@pytest.mark.parametrize("rate", [8_000, 12_000, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_packet_gives_its_duration(speech_span, rate, channels):
    decoder = Decoder(rate, channels)
    assert {len(decoder.decode(packet)) for packet in speech_span.packets} == {rate // 50 * 2 * channels}


def test_the_same_as_opuslib(speech_span):
    ours = Decoder(16_000, 1)
    theirs = bound().opuslib.Decoder(16_000, 1)
    for packet in speech_span.packets[:100]:
        assert ours.decode(packet) == theirs.decode(packet, 320)


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_one_that_was_reset_has_heard_nothing(speech_span, rate):
    first, then = speech_span.packets[:50], speech_span.packets[50:100]
    used = Decoder(rate, 1, floats=True)
    used.hear(first)
    with pytest.raises(BadPacketError):
        used.hear([*then[:3], b""])
    used.reset()
    fresh = Decoder(rate, 1, floats=True)
    assert [used.decode(packet) for packet in then] == [fresh.decode(packet) for packet in then]


def test_what_nobody_wants_is_heard_all_the_same(speech_span):
    first, then = speech_span.packets[:50], speech_span.packets[50]
    one, other = Decoder(16_000, 1), Decoder(16_000, 1)
    one.hear(first)
    for packet in first:
        other.decode(packet)
    assert one.decode(then) == other.decode(then) != Decoder(16_000, 1).decode(then)


def test_mono_comes_out_on_both_sides(speech_span):
    decoder = Decoder(16_000, 2)
    pcm = np.frombuffer(b"".join(map(decoder.decode, speech_span.packets)), "<i2").reshape(-1, 2)
    assert (pcm[:, 0] == pcm[:, 1]).all()


def test_the_longest_packet_fits():
    packet = b"\x19" + bytes(2)  # two frames of 60 ms
    assert packet_facts(packet).samples == 5760
    assert len(Decoder(48_000, 2).decode(packet)) == 5760 * 4


def test_dtx_is_a_packet():
    assert len(Decoder(16_000, 1).decode(b"\x48")) == 640


@pytest.mark.parametrize("packet", [b"", b"\x09abc", b"\x1b\x03xxx", bytes(MAX_PACKET_BYTES + 1)])
def test_what_is_no_packet_is_refused_and_the_next_one_decodes(speech_span, packet):
    decoder = Decoder(16_000, 1)
    untouched = Decoder(16_000, 1)
    with pytest.raises(BadPacketError, match="Opus packet of"):
        decoder.decode(packet)
    assert decoder.decode(speech_span.packets[0]) == untouched.decode(speech_span.packets[0])


@given(st.lists(st.binary(max_size=80), max_size=8))
def test_any_bytes_decode_or_are_refused(packets):
    decoder = Decoder(16_000, 2)
    for packet in packets:
        try:
            decoder.decode(packet)
        except BadPacketError:
            continue


@settings(max_examples=50)
@given(data=st.data())
def test_damaged_packets_decode_or_are_refused(speech_span, data):
    decoder = Decoder(48_000, 1)
    for packet in speech_span.packets[50:60]:
        at = data.draw(st.integers(0, len(packet) - 1))
        damaged = packet[:at] + bytes((data.draw(st.integers(0, 255)),)) + packet[at + 1 :]
        try:
            decoder.decode(damaged)
        except BadPacketError:
            continue


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (16_000, 3)])
def test_formats_that_opus_has_not(rate, channels):
    with pytest.raises(BadPcmError):
        Decoder(rate, channels)


def test_many_decoders_come_and_go(speech_span):
    for _ in range(300):
        Decoder(16_000, 1).decode(speech_span.packets[0])
    gc.collect()


def test_floats_are_the_same_sound_before_rounding(speech):
    packets = Encoder(16_000).encode(speech[:64_000])
    whole, exact = Decoder(16_000, 1), Decoder(16_000, 1, floats=True)
    for packet in packets:
        rounded = np.frombuffer(whole.decode(packet), "<i2")
        floats = np.frombuffer(exact.decode(packet), np.float32)
        assert np.abs(floats * 32_768 - rounded).max() <= 1
