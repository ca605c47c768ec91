"""Whatever a device's encoder may send: facts, decoder and span, against libopus alone."""

import ctypes

import numpy as np
import pytest

from audiocodec.decoder import Decoder
from audiocodec.native import bound
from audiocodec.ogg import OggOpusWriter, OpusHead, OpusTags, read_ogg_opus
from audiocodec.packet import packet_facts
from audiocodec.pcm import SAMPLE_RATES, interleave
from audiocodec.resampler import resample
from audiocodec.span import PREROLL_SAMPLES, Span, decode, join, preroll_after

AUDIO, LOW_DELAY = 2049, 2051
MODES = {
    "silk": {"mode": 1000, "bandwidth": 1103},
    "hybrid": {"mode": 1001, "bandwidth": 1105},
    "celt": {"mode": 1002, "bandwidth": 1105},
}


def span_of(packets, lead=0, first_sample=0, first_offset=0, trim=0) -> Span:
    total = sum(packet_facts(packet).samples for packet in packets)
    end = first_offset + sum(map(len, packets))
    starts = first_offset == 0
    samples = total - lead - trim
    return Span("c", 1, first_offset, end, 0, first_sample, samples, lead, trim, starts, tuple(packets))


def by_libopus(packets, rate: int, channels: int) -> bytes:
    """All packets through one decoder of libopus, and nothing of ours around it."""
    lib, opus = bound(), bound().opuslib
    state = opus.api.decoder.create_state(rate, channels)
    room = 5_760 * rate // 48_000
    out, pieces = ctypes.create_string_buffer(room * 2 * channels), []
    for packet in packets:
        samples = lib.decode(state, packet, len(packet), out, room, 0)
        pieces.append(out.raw[: samples * 2 * channels])
    opus.api.decoder.destroy(state)
    return b"".join(pieces)


@pytest.fixture(scope="module")
def wide(speech) -> bytes:
    """Four seconds at 48 kHz."""
    return resample(speech[:128_000], 16_000, 48_000)


@pytest.fixture(scope="module")
def stereo(wide) -> bytes:
    return interleave(wide, bytes(9_600) + wide[:-9_600])


@pytest.fixture(scope="module")
def streams(speech, wide, stereo, encode_opus):
    """Each kind of stream that a device may send, by name."""
    narrow, pause = resample(speech, 16_000, 8_000), speech[:64_000] + bytes(64_000) + speech[64_000:128_000]
    made = {
        f"{ms} ms": encode_opus(speech, 16_000, 1, ms, bitrate=24_000)
        for ms in (2.5, 5, 10, 20, 40, 60, 80, 100, 120)
    }
    made |= {
        f"wide {ms} ms": encode_opus(wide, 48_000, 1, ms, AUDIO, bitrate=64_000) for ms in (2.5, 10, 60, 120)
    }
    made |= {
        f"only {name}": encode_opus(wide, 48_000, 1, 20, bitrate=32_000, **mode)
        for name, mode in MODES.items()
    }
    made["narrow"] = encode_opus(narrow, 8_000, 1, 20, bitrate=12_000)
    made["constant rate"] = encode_opus(speech, 16_000, 1, 20, bitrate=64_000, vbr=0)
    made["low delay"] = encode_opus(wide, 48_000, 1, 20, LOW_DELAY, bitrate=64_000)
    for ms in (20, 60):
        lossy = {"in_band_fec": 1, "packet_loss_percent": 20}
        made[f"fec {ms} ms"] = encode_opus(speech, 16_000, 1, ms, bitrate=24_000, **lossy)
        made[f"dtx {ms} ms"] = encode_opus(pause, 16_000, 1, ms, bitrate=16_000, dtx=1)
    made["modes"] = encode_opus(
        wide, 48_000, 1, 20, bitrate=32_000, changes=lambda n: MODES[("silk", "celt", "hybrid")[n // 15 % 3]]
    )
    made["channels"] = encode_opus(
        stereo, 48_000, 2, 20, AUDIO, bitrate=48_000, changes=lambda n: {"force_channels": 1 + n // 25 % 2}
    )
    return made


NAMES = (
    *(f"{ms} ms" for ms in (2.5, 5, 10, 20, 40, 60, 80, 100, 120)),
    *(f"wide {ms} ms" for ms in (2.5, 10, 60, 120)),
    *("only silk", "only hybrid", "only celt", "narrow", "constant rate", "low delay"),
    *("fec 20 ms", "fec 60 ms", "dtx 20 ms", "dtx 60 ms", "modes", "channels"),
)


def test_the_streams_are_what_they_are_called(streams):
    facts = {name: [packet_facts(packet) for packet in stream.packets] for name, stream in streams.items()}
    assert set(facts) == set(NAMES)
    for name, ms in [(name, float(name.split()[-2])) for name in NAMES if name.endswith("ms")]:
        assert {one.samples for one in facts[name]} == {ms * 48}
    for name in MODES:
        assert {one.mode for one in facts[f"only {name}"]} == {name}
    assert {one.mode for one in facts["modes"]} == set(MODES)
    assert {one.channels for one in facts["channels"]} == {1, 2}
    assert max(one.frames for one in facts["120 ms"]) > 1
    assert {len(packet) for packet in streams["dtx 20 ms"].packets} & {1, 2}


@pytest.mark.parametrize("name", NAMES)
def test_decoding_is_libopus_own_at_every_rate(streams, name):
    stream = streams[name]
    span = span_of(stream.packets, stream.lead)
    for rate in SAMPLE_RATES:
        for channels in (1, 2):
            expected = by_libopus(stream.packets, rate, channels)
            assert len(expected) == (span.samples + span.lead) * rate // 48_000 * 2 * channels
            skip = span.lead * rate // 48_000
            count = (span.samples * rate + 24_000) // 48_000
            pcm = b"".join(decode(span, (), rate, channels))
            assert pcm == expected[skip * 2 * channels : (skip + count) * 2 * channels]


@pytest.mark.parametrize("name", NAMES)
def test_pieces_join_and_go_on_after_their_preroll(streams, name):
    """Cut anywhere, the pieces have as many samples as the whole, and after the seam what was heard before."""
    stream = streams[name]
    whole = span_of(stream.packets, stream.lead)
    through = np.frombuffer(b"".join(decode(whole, (), 48_000, 1)), "<i2").astype(float)
    durations = [packet_facts(packet).samples for packet in stream.packets]
    noise = []
    for place in range(1, len(durations), max(1, len(durations) // 12)):
        head = span_of(stream.packets[:place], min(stream.lead, sum(durations[:place])))
        tail = Span(
            *("c", 1, head.end_offset, whole.end_offset, 0, head.samples, whole.samples - head.samples),
            *(whole.lead - head.lead, 0, False, stream.packets[place:]),
        )
        assert join([head, tail]) == [whole]
        preroll = preroll_after((), head)
        have = sum(packet_facts(packet).samples for packet in preroll)
        assert have == min(have, sum(durations[:place]))
        assert len(preroll) == place or PREROLL_SAMPLES <= have < PREROLL_SAMPLES + max(durations)
        heard = np.frombuffer(b"".join(decode(tail, preroll, 48_000, 1)), "<i2").astype(float)
        assert len(heard) == tail.samples
        expected = through[head.samples :][:960]
        if np.std(expected) > 100:
            difference = expected - heard[:960]
            noise.append(10 * np.log10((expected**2).sum() / max(1, (difference**2).sum())))
    assert np.median(noise) > 40


@pytest.mark.parametrize("name", ["20 ms", "120 ms", "dtx 20 ms", "modes", "channels", "2.5 ms"])
def test_a_file_gives_the_packets_back(streams, name):
    stream = streams[name]
    writer = OggOpusWriter(OpusHead(1, 312, 16_000), OpusTags("test"), 7)
    pages = [writer.start()]
    pages += [writer.packet(packet, packet_facts(packet).samples) for packet in stream.packets]
    data = b"".join([*pages, writer.finish()])
    assert tuple(read_ogg_opus(data).packets) == stream.packets


def test_dtx_does_not_stop_the_clock(streams):
    stream = streams["dtx 20 ms"]
    short = [number for number, packet in enumerate(stream.packets) if len(packet) <= 2]
    decoder = Decoder(16_000, 1)
    sizes = [len(decoder.decode(packet)) for packet in stream.packets]
    assert len(short) > 20
    assert set(sizes) == {640}


def test_a_stream_may_begin_with_dtx(streams):
    packets = [packet for packet in streams["dtx 20 ms"].packets if len(packet) <= 2]
    pcm = b"".join(decode(span_of(packets), (), 16_000, 1))
    assert pcm == bytes(640 * len(packets))


def test_a_mono_decoder_hears_both_sides(stereo, encode_opus):
    packets = encode_opus(stereo, 48_000, 2, 20, AUDIO, bitrate=96_000, force_channels=2).packets
    both = np.frombuffer(by_libopus(packets, 48_000, 2), "<i2").reshape(-1, 2).astype(float)
    mono = np.frombuffer(b"".join(decode(span_of(packets), (), 48_000, 1)), "<i2")
    off = np.abs(mono - both.mean(axis=1))
    # But for a few milliseconds where the encoder changes its mode: there libopus mixes before it fades over.
    assert (off > 2).mean() < 0.002
