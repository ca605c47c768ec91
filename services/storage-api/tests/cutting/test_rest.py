"""What is left of a batch when something is cut out of it: every packet that the cut touches goes, and everything else stays where it was."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocodec.packet import packet_facts
from audiocodec.span import Span
from audiostore.batch import MAX_RUNS, Batch, batch_file, read_batch
from storage_api.cutting.rest import cut_from, older_rest, rest_of
from storage_api.cutting.stretches import Stretches
from storage_api.cutting.wanted import Wanted

T0 = 1_700_000_000_000
FRAME = 960


def packet(number: int) -> bytes:
    """20 ms, unlike any other."""
    return b"\xb8\xff\xfe" + number.to_bytes(8, "big")


def span_of(
    packets: int, *, first: int = 0, start_ms: int = T0, lead: int = 0, trim: int = 0, starts: bool = False
) -> Span:
    made = tuple(packet(first + number) for number in range(packets))
    samples = packets * FRAME - lead - trim
    return Span(
        "conv", 5, 640 * first, 640 * (first + packets), start_ms, 0, samples, lead, trim, starts, made
    )


def batch_of(*spans: Span, preroll: tuple[bytes, ...] = ()) -> Batch:
    return Batch("conv", "pcm16", 16_000, 1, preroll, spans)


def at(samples: int) -> int:
    return T0 * 48 + samples


def window(start: int, end: int) -> Wanted:
    return Wanted(((at(start), at(end)),))


def packets_of(batches: list[Batch]) -> list[bytes]:
    return [packet for batch in batches for span in batch.spans for packet in span.packets]


@settings(max_examples=150, deadline=None)
@given(
    packets=st.integers(3, 30),
    lead=st.sampled_from((0, 312, 1_500)),
    trim=st.sampled_from((0, 500, 959)),
    start=st.integers(-2_000, 30_000),
    length=st.integers(1, 12_000),
)
def test_each_packet_that_is_touched_goes_and_no_other(packets, lead, trim, start, length):
    span = span_of(packets, lead=lead, trim=trim, starts=lead > 0)
    batch, wanted = batch_of(span), window(start, start + length)
    rest = rest_of(batch, wanted)
    ends, position = {}, -lead
    for one in span.packets:
        ends[one] = (max(position, 0), min(position + FRAME, span.samples))
        position += FRAME
    kept = set(packets_of(rest))
    for one, (first, last) in ends.items():
        if first < last:
            assert (one in kept) == (last <= start or start + length <= first)
    pieces = [piece for one in rest for piece in one.spans]
    for piece in pieces:
        # It lies where it lay: so many samples before its first packet's end.
        first = ends[next(one for one in piece.packets if ends[one][0] < ends[one][1])][0]
        assert piece.first_sample == first
        decoded = sum(packet_facts(one).samples for one in piece.packets)
        assert decoded == piece.samples + piece.lead + piece.trim
        assert span.first_offset <= piece.first_offset < piece.end_offset <= span.end_offset
    for before, after in pairwise(pieces):
        assert before.end_offset <= after.first_offset
        assert before.first_sample + before.samples <= after.first_sample
    assert cut_from([span], rest).samples() == span.samples - sum(piece.samples for piece in pieces)
    for one in rest:
        assert read_batch(batch_file(one).data) == one
    again = [left for one in rest for left in rest_of(one, wanted)]
    assert packets_of(again) == packets_of(rest)


def test_the_pre_roll_stays_with_the_first_packet_and_only_as_far_as_it_is_clear():
    before = tuple(packet(1_000 + number) for number in range(16))
    batch = batch_of(span_of(50, first=100), preroll=before)
    [rest] = rest_of(batch, window(30_000, 31_000))
    assert rest.preroll == before
    [rest] = rest_of(batch, window(-5_000, -4_000), 3 * FRAME)
    assert (rest.preroll, rest.spans) == (before[-3:], batch.spans)
    [rest] = rest_of(batch, window(-5_000, -4_000), 3 * FRAME - 1)
    assert rest.preroll == before[-2:]
    [rest] = rest_of(batch, window(0, 1))
    assert rest.preroll == ()


def test_more_pieces_than_a_batch_holds_become_two():
    spans = [span_of(10, first=20 * number, start_ms=T0 + 400 * number) for number in range(MAX_RUNS)]
    wanted = Wanted(tuple((span.start_48k + 4_000, span.start_48k + 4_001) for span in spans))
    rest = rest_of(batch_of(*spans), wanted)
    assert [len(one.spans) for one in rest] == [MAX_RUNS, MAX_RUNS]
    assert sum(len(span.packets) for one in rest for span in one.spans) == 9 * MAX_RUNS
    for one in rest:
        assert read_batch(batch_file(one).data) == one


def test_a_packet_that_plays_nothing_goes_with_its_neighbour():
    lead_in = span_of(5, lead=FRAME + 100, starts=True)
    [rest] = rest_of(batch_of(lead_in), window(0, 10))
    assert rest.spans[0].packets == lead_in.packets[2:]
    assert (rest.spans[0].lead, rest.spans[0].starts) == (0, False)
    [rest] = rest_of(batch_of(lead_in), window(3_000, 3_001))
    assert rest.spans[0].packets[:2] == lead_in.packets[:2]
    assert rest.spans[0].starts


def test_a_span_that_only_begins_an_encoder_goes_with_its_moment():
    empty = Span("conv", 5, 0, 10, T0, 0, 0, FRAME, 0, True, (packet(1),))
    assert rest_of(batch_of(empty), window(0, 1)) == []
    assert rest_of(batch_of(empty), window(1, 2)) == [batch_of(empty)]


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (((-100, 100_000_000),), []),
        (((48_000, 96_000),), [(0, 16_000), (32_000, 48_000)]),
        (((48_001, 48_002),), [(0, 16_000), (16_016, 48_000)]),
        (((1, 2),), [(16, 48_000)]),
        (((143_998, 143_999),), [(0, 47_999)]),
        (((144_000, 150_000),), [(0, 48_000)]),
        (((3_000, 4_000), (3_500, 6_000)), [(0, 1_000), (2_000, 48_000)]),
    ],
)
def test_older_audio_is_cut_to_its_samples_and_begins_again_at_a_millisecond(wanted, left):
    pcm = b"".join((number % 30_000).to_bytes(2, "little") for number in range(48_000))
    pieces = older_rest(T0, pcm, Wanted(tuple((at(start), at(end)) for start, end in wanted)))
    assert [(piece.start_ms, piece.pcm) for piece in pieces] == [
        (T0 + first // 16, pcm[2 * first : 2 * last]) for first, last in left
    ]


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=12),
)
def test_stretches_are_sets_of_samples(some, others):
    run = ("conv", 1, 2)

    def made(pairs) -> tuple[Stretches, set[int]]:
        stretches, plain = Stretches(), set()
        for start, length in pairs:
            stretches.add(run, start, start + length)
            plain |= set(range(start, start + length))
        return stretches, plain

    (one, plain), (other, plain_other) = made(some), made(others)
    assert {sample for _, start, end in one for sample in range(start, end)} == plain
    assert one.samples() == len(plain)
    assert one.samples({"another"}) == 0
    left = one.without(other)
    assert {sample for _, start, end in left for sample in range(start, end)} == plain - plain_other
    inside = [sample + 1 for sample in plain if 10 <= sample < 40]
    assert one.last_end(run, 10, 40) == (max(inside) if inside else None)
