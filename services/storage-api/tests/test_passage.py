"""Which packets a stretch needs: arithmetic over packets that are never decoded."""

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from audiocodec.packet import packet_facts
from audiocodec.span import Span
from storage_api.passage import (
    AROUND_SAMPLES,
    MAX_OLDER_OBJECTS,
    MAX_OLDER_SAMPLES,
    last_packets,
    narrow,
    passages,
)
from storage_api.timeline import Live, Piece, Play, Stored, older_piece, timeline

T0 = 1_700_000_000_000
NUMBERS = itertools.count()
TOCS = {120: 0xE0, 240: 0xE8, 480: 0xF0, 960: 0x48, 1920: 0x50, 2880: 0x58}


def packet(samples: int) -> bytes:
    """A packet of this duration unlike every other."""
    return bytes((TOCS[samples],)) + next(NUMBERS).to_bytes(6, "big")


def span_of(
    durations: list[int], *, lead: int = 0, trim: int = 0, starts: bool = False, first: int = 0
) -> Span:
    return Span(
        "c", T0, 0, 1000, T0, first, sum(durations) - lead - trim, lead, trim, starts,
        tuple(packet(samples) for samples in durations),
    )  # fmt: skip


def test_the_whole_span_is_itself():
    span = span_of([960] * 10, lead=312, starts=True)
    assert narrow(span, (b"x",), span.start_48k, span.end_48k).span is span
    assert narrow(span, (b"x",), span.start_48k, span.end_48k).preroll == ()
    later = span_of([960] * 10)
    assert narrow(later, (b"x",), later.start_48k, later.end_48k).preroll == (b"x",)


def test_a_cut_in_the_middle_takes_the_packets_that_hold_it_and_320_ms_before():
    span = span_of([960] * 50)
    sound = narrow(span, (), span.start_48k + 30 * 960 + 5, span.start_48k + 33 * 960 + 1)
    assert sound.span.packets == span.packets[30:34]
    assert (sound.span.lead, sound.span.trim, sound.span.samples) == (5, 959, 3 * 960 - 4)
    assert sound.span.start_48k == span.start_48k + 30 * 960 + 5
    assert sound.preroll == span.packets[14:30]
    assert not sound.span.starts


def test_near_the_front_the_pre_roll_reaches_into_what_came_before():
    before = tuple(packet(960) for _ in range(16))
    span = span_of([960] * 10)
    sound = narrow(span, before, span.start_48k + 2 * 960, span.end_48k)
    assert sound.preroll == before[2:] + span.packets[:2]
    begun = span_of([960] * 10, lead=312, starts=True)
    sound = narrow(begun, before, begun.start_48k + 2 * 960, begun.end_48k)
    assert sound.preroll == begun.packets[:2]
    assert narrow(begun, before, begun.start_48k + 1, begun.end_48k).span.starts


@given(
    st.lists(st.sampled_from(sorted(TOCS)), min_size=1, max_size=40),
    st.integers(0, 400),
    st.integers(0, 119),
    st.booleans(),
    st.data(),
)
def test_any_stretch_adds_up(durations, lead, trim, starts, data):
    total = sum(durations)
    lead = min(lead, total - trim) if total > trim else 0
    trim = min(trim, total - lead)
    span = span_of(durations, lead=lead, trim=trim, starts=starts, first=77)
    start = data.draw(st.integers(span.start_48k, span.end_48k))
    end = data.draw(st.integers(start, span.end_48k))
    sound = narrow(span, (), start, end)
    assert (sound.span.start_48k, sound.span.end_48k) == (start, end)
    lasts = sum(packet_facts(one).samples for one in sound.span.packets)
    assert lasts == sound.span.samples + sound.span.lead + sound.span.trim
    assert sound.span.lead >= 0
    assert sound.span.trim >= 0
    if end > start and (start, end) != (span.start_48k, span.end_48k):
        assert sound.span.lead < packet_facts(sound.span.packets[0]).samples
        assert sound.span.trim < packet_facts(sound.span.packets[-1]).samples
    if not sound.span.starts and sound.span.packets:
        at = span.packets.index(sound.span.packets[0])
        assert sound.preroll == last_packets(span.packets[:at])


def test_last_packets_are_as_few_as_do():
    packets = [packet(960) for _ in range(20)]
    assert last_packets(packets) == tuple(packets[4:])
    assert last_packets(packets[:3]) == tuple(packets[:3])
    assert last_packets([]) == ()


def play(source, at: int, length: int = 48_000) -> Play:
    span = Span("c", T0, 0, 1, T0, at, length, 0, 0, False, ())
    return Play(Piece(span, source), span.start_48k, span.end_48k)


def test_what_is_fetched_together_is_one_passage():
    plays = [
        play(Stored("a", 0), 0),
        play(Stored("a", 1), 48_000),
        play(Stored("b", 0), 96_000),
        *(play(Live(number), 144_000 + number * 48_000) for number in range(70)),
        play(Live(90), 144_000 + 70 * 48_000),
    ]
    found = list(passages(plays))
    assert [len(passage.plays) for passage in found] == [2, 1, 60, 10, 1]
    assert [one for passage in found for one in passage.plays] == plays
    assert found[0].source == Stored("a", 0)


def older(*stretches_ms: tuple[int, int]):
    """Passages of older objects, each from a time (ms after T0), for so many ms."""
    pieces = [
        older_piece(f"o{number}", T0 + start, length * 48, 3)
        for number, (start, length) in enumerate(stretches_ms)
    ]
    return list(passages(timeline(pieces).plays))


def test_older_objects_that_follow_one_another_are_one_passage_up_to_a_minute():
    found = older(*((number * 25_000, 25_000) for number in range(5)), (150_000, 1_000))
    assert [[play.piece.source.name for play in passage.plays] for passage in found] == [
        ["o0", "o1"], ["o2", "o3"], ["o4"], ["o5"],
    ]  # fmt: skip


def test_a_long_older_object_is_several_passages():
    found = older((0, 150_000))
    assert [passage.samples for passage in found] == [MAX_OLDER_SAMPLES, MAX_OLDER_SAMPLES, 30 * 48_000]
    assert [play.start_48k - T0 * 48 for passage in found for play in passage.plays] == [
        0,
        2_880_000,
        5_760_000,
    ]


def test_older_passages_know_what_lies_around_them():
    first, second, third = older((0, 50_000), (50_000, 50_000), (101_000, 1_000))
    assert first.before is None
    assert (first.after.piece.source.name, first.after.samples) == ("o1", AROUND_SAMPLES)
    assert first.after.start_48k == second.plays[0].start_48k
    assert (second.before.piece.source.name, second.before.end_48k) == ("o0", second.plays[0].start_48k)
    assert second.after is None
    assert (third.before, third.after) == (None, None)


def test_what_was_cut_off_an_older_object_lies_around_it():
    pieces = [older_piece("o", T0, 48_000, 3)]
    (passage,) = passages(timeline(pieces).window(T0 * 48 + 1_000, T0 * 48 + 40_000).plays)
    assert (passage.before.start_48k, passage.before.end_48k) == (T0 * 48, T0 * 48 + 1_000)
    assert (passage.after.start_48k, passage.after.samples) == (T0 * 48 + 40_000, AROUND_SAMPLES)
    assert passage.before.piece.source.name == "o"


def test_older_audio_and_ours_are_never_one_passage():
    span = span_of([960] * 10)
    pieces = [
        older_piece("o", T0 + 200, 48_000, 3),
        Piece(span, Stored("o", 0)),
        Piece(replace(span_of([960], first=200_000), epoch=T0 + 1), Live(0)),
    ]
    found = list(passages(timeline(pieces).plays))
    assert [type(passage.source).__name__ for passage in found] == ["Stored", "Older", "Live"]
    assert found[1].before is None


def test_many_tiny_older_objects_are_several_passages():
    found = older(*((number, 1) for number in range(MAX_OLDER_OBJECTS + 1)))
    assert [len(passage.plays) for passage in found] == [MAX_OLDER_OBJECTS, 1]
