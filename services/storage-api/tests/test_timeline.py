"""The timeline, as arithmetic: no audio, no server."""

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from audiocodec.span import Span
from storage_api.timeline import (
    Gap,
    Live,
    Older,
    Piece,
    Source,
    Stored,
    Timeline,
    older_piece,
    timeline,
)

T0 = 1_700_000_000_000
TICK = 960  # samples of one packet
BYTES = 100  # payload of one packet


def span(
    first: int, last: int, *, epoch: int = T0, start_ms: int = T0, conversation: str = "c", offset: int = 0
) -> Span:
    """Packets `first` to before `last` of a run whose first byte lies at `offset`."""
    return Span(
        conversation, epoch, offset + first * BYTES, offset + last * BYTES, start_ms, first * TICK,
        (last - first) * TICK, 0, 0, first == 0, (),
    )  # fmt: skip


def at(number: int) -> Source:
    return Stored("o", number)


def heard(line: Timeline) -> list[tuple[int, int, int, int]]:
    """(start, end, epoch, run start) of what is played, stretches that follow one another joined."""
    joined: list[tuple[int, int, int, int]] = []
    for play in line.plays:
        run = (play.piece.span.epoch, play.piece.span.run_start_ms)
        if joined and joined[-1][1] == play.start_48k and joined[-1][2:] == run:
            joined[-1] = (joined[-1][0], play.end_48k, *run)
        else:
            joined.append((play.start_48k, play.end_48k, *run))
    return joined


def test_nothing_is_an_empty_timeline():
    line = timeline([])
    assert line.plays == ()
    assert line.samples == 0
    assert line.gaps == ()


def test_pieces_of_one_run_follow_one_another_without_a_seam():
    line = timeline([Piece(span(10, 20), at(1)), Piece(span(0, 10), at(0)), Piece(span(20, 21), Live(0))])
    assert [play.piece.source for play in line.plays] == [at(0), at(1), Live(0)]
    assert heard(line) == [(T0 * 48, T0 * 48 + 21 * TICK, T0, T0)]
    assert line.gaps == ()


def test_the_same_bytes_in_the_bucket_and_in_the_tail_are_played_once_from_the_bucket():
    line = timeline([Piece(span(n, n + 1), Live(n)) for n in range(5)] + [Piece(span(0, 4), at(0))])
    assert [play.piece.source for play in line.plays] == [at(0), Live(4)]
    assert line.overlapped == frozenset()


def test_bytes_that_lie_in_two_objects_partly_are_cut_to_the_sample():
    line = timeline([Piece(span(0, 10), at(0)), Piece(span(7, 15), at(1))])
    assert [(play.start_48k - T0 * 48, play.end_48k - T0 * 48) for play in line.plays] == [
        (0, 10 * TICK),
        (10 * TICK, 15 * TICK),
    ]
    assert not line.plays[1].whole


def test_the_same_bytes_on_another_clock_are_cut_by_their_share():
    line = timeline([Piece(span(0, 10), at(0)), Piece(span(5, 15, start_ms=T0 + 1000), at(1))])
    assert line.samples == 15 * TICK
    assert line.gaps == (Gap(T0 * 48 + 10 * TICK, (T0 + 1000) * 48 + 10 * TICK),)


def test_a_copy_in_another_conversation_is_other_audio_but_a_merged_one_is_not():
    copied = Piece(span(0, 10), Stored("other/o", 0))
    assert timeline([Piece(span(0, 10), at(0)), copied]).samples == 10 * TICK
    foreign = Piece(span(0, 10, conversation="d", start_ms=T0 + 10_000), at(1))
    assert timeline([Piece(span(0, 10), at(0)), foreign]).samples == 20 * TICK


def test_of_two_recordings_of_one_time_the_earlier_is_played_whole():
    early = [Piece(span(n, n + 10), at(n)) for n in range(0, 50, 10)]
    late = [Piece(span(n, n + 10, epoch=T0 + 1, start_ms=T0 + 500), Live(n)) for n in range(0, 50, 10)]
    line = timeline(early + late)
    assert heard(line) == [
        (T0 * 48, T0 * 48 + 50 * TICK, T0, T0),
        (T0 * 48 + 50 * TICK, (T0 + 500) * 48 + 50 * TICK, T0 + 1, T0 + 500),
    ]
    assert line.overlapped == {Live(0), Live(10), Live(20)}


def test_a_recording_inside_another_is_left_out():
    line = timeline([Piece(span(0, 100), at(0)), Piece(span(0, 10, epoch=T0 + 1, start_ms=T0 + 100), at(1))])
    assert heard(line) == [(T0 * 48, T0 * 48 + 100 * TICK, T0, T0)]
    assert line.overlapped == {at(1)}


def test_a_piece_with_nothing_but_a_lead_in_stays_in_its_place():
    lead_in = Span("c", T0, 0, 10, T0, 0, 0, 120, 0, True, ())
    after = Span("c", T0, 10, 100, T0, 0, TICK, 192, 0, False, ())
    line = timeline([Piece(after, Live(1)), Piece(lead_in, Live(0))])
    assert [play.piece.source for play in line.plays] == [Live(0), Live(1)]


def test_holes_are_what_plays_leave_of_a_time():
    line = timeline([Piece(span(2, 4), at(0)), Piece(span(6, 8), at(1)), Piece(span(8, 9), at(2))])
    zero = T0 * 48

    def holes(first: int, last: int) -> list[tuple[int, int]]:
        found = line.holes(zero + first * TICK, zero + last * TICK)
        return [((gap.start_48k - zero) // TICK, (gap.end_48k - zero) // TICK) for gap in found]

    assert holes(0, 12) == [(0, 2), (4, 6), (9, 12)]
    assert holes(3, 7) == [(4, 6)]
    assert holes(2, 4) == holes(6, 9) == holes(7, 7) == []
    assert (holes(4, 6), holes(5, 5), holes(10, 11), holes(0, 1)) == ([(4, 6)], [], [(10, 11)], [(0, 1)])
    assert timeline([]).holes(1, 3) == (Gap(1, 3),)


def test_gaps_are_exact():
    line = timeline([Piece(span(0, 10), at(0)), Piece(span(0, 10, start_ms=T0 + 5000, offset=1000), at(1))])
    assert line.gaps == (Gap(T0 * 48 + 10 * TICK, (T0 + 5000) * 48),)


def test_a_window_cuts_to_the_sample():
    line = timeline([Piece(span(0, 10), at(0)), Piece(span(10, 20), at(1))])
    cut = line.window(T0 * 48 + 1, T0 * 48 + 10 * TICK + 7)
    assert (cut.start_48k, cut.end_48k, cut.samples) == (T0 * 48 + 1, T0 * 48 + 10 * TICK + 7, 10 * TICK + 6)
    assert line.window(None, None) is line
    assert line.window((T0 - 10) * 48, T0 * 48).plays == ()
    assert line.window(line.end_48k, None).plays == ()


def test_what_is_playing():
    line = timeline([Piece(span(0, 10), at(0)), Piece(span(20, 30), at(1))])
    (first, second) = line.plays
    for play in (first, second):
        assert line.playing(play.start_48k) == line.playing(play.end_48k - 1) == play.piece.source
    assert [line.playing(one) for one in (first.start_48k - 1, first.end_48k, second.end_48k)] == [None] * 3


RUNS = st.lists(
    st.tuples(st.integers(0, 3_000), st.integers(1, 60)),  # ms after the end of the run before, and packets
    min_size=1,
    max_size=4,
)
SESSIONS = st.lists(
    st.tuples(st.integers(0, 4_000), RUNS), min_size=1, max_size=3
)  # ms after T0, and its runs


def whole_runs(sessions: list[tuple[int, list[tuple[int, int]]]]) -> list[Span]:
    """Each run as one span."""
    spans = []
    for number, (delay_ms, runs) in enumerate(sessions):
        start_ms, offset = T0 + delay_ms, 0
        for pause_ms, packets in runs:
            start_ms += pause_ms
            spans.append(span(0, packets, epoch=T0 + number, start_ms=start_ms, offset=offset))
            offset += packets * BYTES
            start_ms += packets * 20
    return spans


def cut_anyhow(whole: list[Span], chance: random.Random) -> list[Piece]:
    """The same audio in pieces of any size, some of it twice, in the bucket and in the tail, in any order."""
    pieces = []
    for number, run in enumerate(whole):
        packets = run.samples // TICK
        cuts = sorted({0, packets, *(chance.randrange(packets + 1) for _ in range(chance.randrange(5)))})
        ranges = list(itertools.pairwise(cuts))
        for _ in range(chance.randrange(4)):
            first = chance.randrange(packets)
            ranges.append((first, chance.randrange(first + 1, packets + 1)))
        for index, (first, last) in enumerate(ranges):
            part = span(first, last, epoch=run.epoch, start_ms=run.run_start_ms, offset=run.first_offset)
            live = chance.random() < 0.5
            place = number * 100 + index
            pieces.append(Piece(part, Live(place) if live else Stored(f"o{place}", 0)))
    chance.shuffle(pieces)
    return pieces


@given(SESSIONS, st.randoms(use_true_random=False))
def test_any_batching_split_and_doubling_plays_the_same(sessions, chance):
    whole = whole_runs(sessions)
    wanted = heard(timeline(Piece(run, at(number)) for number, run in enumerate(whole)))
    line = timeline(cut_anyhow(whole, chance))
    assert heard(line) == wanted
    ends = [(play.start_48k, play.end_48k) for play in line.plays]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(ends))


@given(SESSIONS, st.randoms(use_true_random=False), st.integers(0, 6_000), st.integers(1, 6_000))
def test_windows_side_by_side_are_the_whole(sessions, chance, begin_ms, length_ms):
    line = timeline(cut_anyhow(whole_runs(sessions), chance))
    first, second = (T0 + begin_ms) * 48, (T0 + begin_ms + length_ms) * 48
    parts = [line.window(None, first), line.window(first, second), line.window(second, None)]
    assert sum(part.samples for part in parts) == line.samples


def older(start_ms: int, length_ms: int, rank: int = 3, name: str = "") -> Piece:
    return older_piece(name or f"{start_ms}.{rank}", T0 + start_ms, length_ms * 48, rank)


def played(line: Timeline) -> list[tuple[str, int, int]]:
    """What is played from where, in ms since T0."""
    return [
        (play.piece.source.name, play.start_48k // 48 - T0, play.end_48k // 48 - T0) for play in line.plays
    ]


def test_of_older_objects_that_overlap_the_earlier_wins_to_the_sample():
    line = timeline([older(4_500, 5_000), older(0, 5_000), older(9_500, 100), older(9_550, 10)])
    assert played(line) == [("0.3", 0, 5_000), ("4500.3", 5_000, 9_500), ("9500.3", 9_500, 9_600)]
    assert line.overlapped == {Older("4500.3"), Older("9550.3")}
    assert line.gaps == ()


def test_of_older_objects_that_start_together_the_best_is_played():
    pieces = [older(0, 5_000, rank) for rank in (3, 1, 0, 2)]
    line = timeline(pieces)
    assert played(line) == [("0.0", 0, 5_000)]
    assert line.overlapped == {Older("0.1"), Older("0.2"), Older("0.3")}
    # What the best does not hold any more is not lost.
    line = timeline([older(0, 4_000, 0), older(0, 5_000, 3), older(4_500, 1_000)])
    assert played(line) == [("0.0", 0, 4_000), ("0.3", 4_000, 5_000), ("4500.3", 5_000, 5_500)]


def test_older_and_newer_recordings_of_one_time():
    newer = Piece(span(0, 100), at(0))
    assert played(timeline([older(-500, 1_000), newer])) == [("-500.3", -500, 500), ("o", 500, 2_000)]
    assert played(timeline([older(1_500, 1_000), newer])) == [("o", 0, 2_000), ("1500.3", 2_000, 2_500)]
    assert played(timeline([older(500, 1_000), newer])) == [("o", 0, 2_000)]


OLDER = st.lists(
    st.tuples(st.integers(0, 3_000), st.integers(1, 1_000), st.sampled_from([0, 1, 2, 3])), max_size=8
)


@given(OLDER, SESSIONS, st.randoms(use_true_random=False))
def test_each_moment_that_any_object_holds_is_played_once_and_from_the_first_that_began(
    objects, sessions, chance
):
    pieces = [older(start, length, rank, f"{number}") for number, (start, length, rank) in enumerate(objects)]
    newer = cut_anyhow(whole_runs(sessions), chance)
    both = pieces + newer
    chance.shuffle(both)
    line = timeline(both)
    times = [(play.start_48k, play.end_48k) for play in line.plays]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))
    assert all(start < end for start, end in times)
    # Nothing that was recorded is missing, and nothing is played that was not.
    held = [(piece.span.start_48k, piece.span.end_48k) for piece in both]
    edges = sorted({edge for pair in (*held, *times) for edge in pair})
    for low, high in itertools.pairwise(edges):
        there = any(start <= low and high <= end for start, end in held)
        assert there == any(start <= low and high <= end for start, end in times)
    # Of older objects alone, the one that plays at any moment began no later than any other that holds it.
    alone = timeline(pieces)
    for play in alone.plays:
        for piece in pieces:
            if piece.span.start_48k < play.end_48k and piece.span.end_48k > play.start_48k:
                key = (piece.span.start_48k, piece.span.epoch)
                assert key >= (play.piece.span.start_48k, play.piece.span.epoch)
