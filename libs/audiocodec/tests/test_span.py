from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodec.errors import BadPacketError, BadPcmError, CodecError
from audiocodec.silence import silent_packets
from audiocodec.span import PREROLL_SAMPLES, Span, decode, join, preroll_after

FRAME = 960


def cut(span: Span, *places: int) -> list[Span]:
    """A run that starts with `lead`, cut before these packets."""
    pieces = []
    bounds = [0, *places, len(span.packets)]
    for first, end in pairwise(bounds):
        starts, ends = first == 0, end == len(span.packets)
        lead = span.lead if starts else 0
        trim = span.trim if ends else 0
        pieces.append(
            replace(
                span,
                first_offset=first * 640,
                end_offset=span.end_offset if ends else end * 640,
                first_sample=span.first_sample + (0 if starts else first * FRAME - span.lead),
                samples=(end - first) * FRAME - lead - trim,
                lead=lead,
                trim=trim,
                starts=starts,
                packets=span.packets[first:end],
            )
        )
    return pieces


def snr_db(reference: np.ndarray, heard: np.ndarray) -> float:
    noise = ((reference - heard) ** 2).sum()
    return float("inf") if noise == 0 else 10 * np.log10((reference**2).sum() / noise)


@pytest.fixture(scope="module")
def quiet() -> Span:
    """Ten packets of silence in the middle of a run."""
    return Span(
        conversation="c",
        epoch=7,
        first_offset=100,
        end_offset=200,
        run_start_ms=1_000,
        first_sample=500,
        samples=10 * FRAME,
        lead=0,
        trim=0,
        starts=False,
        packets=tuple(silent_packets(10 * FRAME, 1)),
    )


def test_where_it_lies(quiet):
    assert quiet.start_48k == 48_500
    assert quiet.end_48k == 48_500 + 9_600
    assert (quiet.start_ms, quiet.end_ms) == (1_010, 1_210)  # 1010.4 and 1210.4


def test_before_the_run_began():
    early = Span("c", 1, 0, 1, 1_000, -312, 120, 0, 0, True, ())
    assert early.start_ms == 993


@given(places=st.sets(st.integers(1, 200), max_size=6))
def test_what_was_cut_joins_again(speech_span, places):
    assert join(cut(speech_span, *sorted(places))) == [speech_span]


def test_joining_keeps_order_and_strangers_apart(speech_span, quiet):
    one, two = cut(speech_span, 100)
    assert join([one, quiet, two]) == [one, quiet, two]
    assert join([]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"conversation": "d"},
        {"epoch": 8},
        {"run_start_ms": 1_001},
        {"first_sample": 500 + 9_601},
        {"first_offset": 201},
        {"starts": True},
        {"lead": 312},
    ],
)
def test_what_does_not_continue(quiet, change):
    after = replace(quiet, first_offset=200, end_offset=300, first_sample=500 + 9_600)
    assert after.continues(quiet)
    assert not replace(after, **change).continues(quiet)


def test_nothing_continues_a_flushed_encoder(quiet):
    after = replace(quiet, first_offset=200, first_sample=500 + 9_600)
    assert not after.continues(replace(quiet, trim=10, samples=quiet.samples - 10, first_sample=510))


def test_an_empty_span_moves_only_the_offset(quiet):
    empty = replace(quiet, first_offset=200, end_offset=250, first_sample=500 + 9_600, samples=0, packets=())
    (joined,) = join([quiet, empty])
    assert joined == replace(quiet, end_offset=250)


def test_a_lead_may_reach_over_several_spans(quiet):
    """Packets of 2.5 ms: the encoder's lead-in of 312 samples lies in the first three."""
    short = silent_packets(120, 1)[0]
    first = replace(quiet, samples=0, lead=120, starts=True, packets=(short,))
    second = replace(first, first_offset=200, end_offset=300, starts=False)
    third = replace(second, first_offset=300, end_offset=400, samples=168, lead=72, packets=(short, short))
    (joined,) = join([first, second, third])
    assert (joined.lead, joined.samples, len(joined.packets), joined.starts) == (312, 168, 4, True)


def test_preroll_is_the_last_320_ms(speech_span):
    head, tail = cut(speech_span, 100)
    assert preroll_after((), head) == speech_span.packets[84:100]
    assert PREROLL_SAMPLES == 16 * FRAME
    middle, _ = cut(speech_span, 100, 105)[1:]
    assert preroll_after(preroll_after((), head), middle) == speech_span.packets[89:105]
    assert preroll_after((), tail) == ()  # flushed


def test_preroll_is_shorter_where_the_encoder_began_later(speech_span):
    head, _ = cut(speech_span, 5)
    assert preroll_after(speech_span.packets[50:100], head) == speech_span.packets[:5]


def test_preroll_of_other_packet_lengths(quiet):
    long = b"\x18x"  # 60 ms
    assert preroll_after((), replace(quiet, packets=(long,) * 10)) == (long,) * 6
    assert preroll_after((long,) * 2, replace(quiet, packets=()), samples=2_881) == (long,) * 2


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_decodes_to_exactly_its_samples(speech_span, rate, channels):
    pcm = b"".join(decode(speech_span, (), rate, channels))
    assert len(pcm) == speech_span.samples * rate // 48_000 * 2 * channels


@settings(max_examples=60)
@given(
    lead=st.integers(0, 4_000),
    cut=st.integers(0, 4_000),
    trim=st.integers(0, 959),
    rate=st.sampled_from([8_000, 12_000, 16_000, 24_000, 48_000]),
)
def test_any_cut_takes_the_nearest_sample(speech_span, lead, cut, trim, rate):
    """Both sides of a cut are the whole, without a sample that is in both or in none."""
    ten = replace(speech_span, packets=speech_span.packets[100:110], starts=True)

    def between(start: int, end: int) -> bytes:
        span = replace(ten, lead=start, trim=10 * FRAME - end, samples=end - start)
        return b"".join(decode(span, (), rate, 1))

    raw = between(0, 10 * FRAME)
    assert len(set(raw)) > 50

    end = 10 * FRAME - trim
    first, last = ((at * rate + 24_000) // 48_000 for at in (lead, end))
    assert between(lead, end) == raw[2 * first : 2 * last]
    assert between(lead, lead + cut) + between(lead + cut, end) == between(lead, end)


def test_the_lead_is_dropped_and_the_rest_is_the_decoders(speech_span):
    whole = replace(speech_span, lead=0, trim=0, samples=len(speech_span.packets) * FRAME)
    raw = b"".join(decode(whole, (), 16_000, 1))
    assert b"".join(decode(speech_span, (), 16_000, 1)) == raw[208 : 208 + speech_span.samples // 3 * 2]


def test_preroll_makes_seams_inaudible(speech_span):
    """The first 20 ms after a cut are within 35 dB of a decoder that ran through; without pre-roll they are not."""
    through = np.frombuffer(b"".join(decode(speech_span, (), 16_000, 1)), "<i2").astype(float)
    with_preroll, without = [], []
    for place in range(20, len(speech_span.packets) - 1, 7):
        head, first, _ = cut(speech_span, place, place + 1)
        start = first.first_sample // 3
        expected = through[start : start + 320]
        if (expected**2).mean() < 100**2:
            continue  # between the words there is nothing to compare
        for preroll, results in ((preroll_after((), head), with_preroll), ((), without)):
            heard = np.frombuffer(b"".join(decode(first, preroll, 16_000, 1)), "<i2").astype(float)
            results.append(snr_db(expected, heard))
    assert len(with_preroll) > 20
    assert min(with_preroll) >= 35
    assert np.median(without) < 20


def test_preroll_is_ignored_where_the_encoder_began(speech_span):
    head, _ = cut(speech_span, 10)
    assert list(decode(head, speech_span.packets[50:60], 16_000, 1)) == list(decode(head, (), 16_000, 1))


def test_an_empty_span_decodes_to_nothing(quiet):
    assert list(decode(replace(quiet, samples=0, packets=()), (), 16_000, 1)) == []


def test_packets_that_are_too_short_for_the_span(quiet):
    with pytest.raises(CodecError, match="320 sample frames too short"):
        list(decode(replace(quiet, samples=11 * FRAME), (), 16_000, 1))


def test_a_bad_packet_and_a_bad_rate(quiet):
    with pytest.raises(BadPacketError):
        list(decode(replace(quiet, packets=(b"",)), (), 16_000, 1))
    with pytest.raises(BadPcmError):
        list(decode(quiet, (), 44_100, 1))
