from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocodec import Span
from audiocodec.silence import silent_packets
from audiostore.errors import BatchFormatError
from audiostore.layout import (
    MAX_BATCH_MS,
    MAX_FILE_SAMPLES,
    MAX_PRE_SKIP_SAMPLES,
    MAX_RUNS,
    MIN_PLAYED_SAMPLES,
    durations,
    fill,
    lay_out,
)


def span(start_48k=48_000_000, packets=50, lead=0, trim=0, **changes):
    own = tuple(silent_packets(packets * 960, 1))
    made = Span(
        conversation="c",
        epoch=1,
        first_offset=0,
        end_offset=1,
        run_start_ms=start_48k // 48,
        first_sample=start_48k % 48,
        samples=packets * 960 - lead - trim,
        lead=lead,
        trim=trim,
        starts=lead > 0,
        packets=own,
    )
    return replace(made, **changes)


def test_pre_skip_is_preroll_and_lead():
    preroll = silent_packets(15_360, 1)
    assert lay_out([], [span(lead=312)], 1).pre_skip == 312
    assert lay_out(preroll, [span()], 1).pre_skip == 15_360
    assert lay_out(preroll, [replace(span(lead=200), starts=False)], 1).pre_skip == 15_560


def test_a_pre_skip_is_never_under_120():
    bare = lay_out([], [span()], 2)
    assert (bare.pre_skip, bare.packets) == (120, [*silent_packets(120, 2), *span().packets])
    assert lay_out([], [span(lead=119)], 1).pre_skip == 239
    assert lay_out([], [span(lead=120)], 1).packets == [*span().packets]
    preroll = silent_packets(120, 1)
    assert lay_out(preroll, [span()], 1).packets == [*preroll, *span().packets]


def test_a_gap_must_hold_padding_and_lead_in():
    first = span(trim=300)
    assert fill(first, span(first.end_48k + 300)) == 0
    assert fill(first, span(first.end_48k + 299)) is None
    assert fill(first, span(first.end_48k + 300 + 312, lead=312)) == 0
    assert fill(first, span(first.end_48k + 300 + 311, lead=312)) is None
    assert fill(first, span(first.start_48k)) is None


def test_every_fill_is_bounded():
    first = span()
    assert fill(first, span(first.end_48k + MAX_BATCH_MS * 48)) == MAX_BATCH_MS * 48
    assert fill(first, span(first.end_48k + MAX_BATCH_MS * 48 + 1)) is None


@given(
    st.lists(
        st.tuples(st.integers(1, 60), st.integers(0, 5000), st.integers(0, 312), st.integers(0, 959)),
        min_size=1,
        max_size=24,
    )
)
def test_rounding_never_adds_up(runs):
    spans = []
    at = 48_000_000
    for number, (packets, gap, lead, trim) in enumerate(runs):
        spans.append(span(at + (gap + lead if number else 0), packets, min(lead, packets * 960 - trim), trim))
        at = spans[-1].end_48k + trim
    layout = lay_out([], spans, 1)
    assert layout.samples == durations(layout.packets)
    total = sum(layout.samples)
    position = layout.pre_skip - spans[0].lead
    zero = spans[0].start_48k - layout.pre_skip
    for one, silence in zip(spans, layout.silences, strict=True):
        position += sum(durations(silence))
        assert abs(zero + position + one.lead - one.start_48k) <= 60
        position += sum(durations(one.packets))
    assert total - position in (0, 120)
    played = total - layout.trim - layout.pre_skip
    assert played > 0
    assert abs(played - (spans[-1].end_48k - spans[0].start_48k)) <= 120


def test_there_is_always_something_to_play():
    padded = lay_out([], [span(packets=1, lead=312, trim=648)], 1)
    assert (padded.samples, padded.trim) == ([960], 648 - MIN_PLAYED_SAMPLES)
    bare = lay_out([], [span(packets=1, lead=960)], 1)
    assert (bare.packets[1:], bare.trim) == (silent_packets(120, 1), 120 - MIN_PLAYED_SAMPLES)
    scarce = lay_out([], [span(packets=1, lead=950, trim=10)], 1)
    assert sum(scarce.samples) - scarce.trim - scarce.pre_skip == MIN_PLAYED_SAMPLES


def test_limits():
    with pytest.raises(BatchFormatError, match="0 runs"):
        lay_out([], [], 1)
    many = [span(48_000_000 + number * 48_000) for number in range(MAX_RUNS + 1)]
    assert lay_out([], many[:-1], 1)
    with pytest.raises(BatchFormatError, match="25 runs"):
        lay_out([], many, 1)
    with pytest.raises(BatchFormatError, match="longer than 120000 ms"):
        lay_out([], [span(), span(48_000_000 + MAX_FILE_SAMPLES)], 1)
    with pytest.raises(BatchFormatError, match=f"{MAX_PRE_SKIP_SAMPLES} are the most"):
        lay_out(silent_packets(MAX_PRE_SKIP_SAMPLES + 120, 1), [span()], 1)
    with pytest.raises(BatchFormatError, match="no packets"):
        lay_out([], [span(packets=0)], 1)


def test_a_gap_of_years_is_refused_before_it_is_filled():
    with pytest.raises(BatchFormatError, match="longer"):
        lay_out([], [span(), span(10**15)], 1)
    # … also where the last run is near, and one between is far away
    with pytest.raises(BatchFormatError, match="cannot share"):
        lay_out([], [span(), span(10**15), span(48_048_000)], 1)


def test_what_is_no_packet_is_named():
    with pytest.raises(BatchFormatError, match="no Opus packet"):
        durations([b""])
