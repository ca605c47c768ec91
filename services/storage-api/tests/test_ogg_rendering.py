"""One clean stream out of many spans."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from audiocodec import BadPacketError, Decoder, read_ogg_opus
from audiocodec.packet import packet_facts
from audiocodec.span import Span
from storage_api.ogg_rendering import OggRendering, packet_samples
from storage_api.older_sound import OlderSound, nearest
from storage_api.older_stream import Encoding
from storage_api.passage import Sound, narrow
from storage_api.timeline import Piece, Stored, timeline

T0 = 1_700_000_000_000
START = T0 * 48
NUMBERS = itertools.count()


def span_at(first: int, count: int, *, lead: int = 0, trim: int = 0, starts: bool = False) -> Span:
    packets = tuple(b"\x48" + next(NUMBERS).to_bytes(6, "big") for _ in range(count))
    return Span("c", T0, 0, 1, T0, first, count * 960 - lead - trim, lead, trim, starts, packets)


def render(
    sounds: list[Sound | OlderSound], *, start: int = START, end: int | None = None, fill_gaps: bool = True
):
    rendering = OggRendering(
        channels=1,
        sample_rate=16_000,
        comments=[("A", "b")],
        serial=7,
        fill_gaps=fill_gaps,
        encoding=Encoding(complexity=0),
    )
    pages = [page for sound in sounds for page in rendering.sound(sound, start)]
    if fill_gaps:
        last = end if end is not None else sounds[-1].start_48k + sounds[-1].samples
        pages += rendering.silence_until(start, last)
    return read_ogg_opus(b"".join([*pages, rendering.finish()]))


def played(ogg) -> int:
    return ogg.end_granule - ogg.head.pre_skip


def test_a_run_in_pieces_is_its_packets_once_and_in_order():
    first = span_at(0, 50, lead=312, starts=True)
    second = span_at(first.samples, 50)
    third = span_at(first.samples + second.samples, 3, trim=100)
    ogg = render([Sound(first, ()), Sound(second, (b"\x48preroll",)), Sound(third, (b"\x48preroll",))])
    assert ogg.packets == [*first.packets, *second.packets, *third.packets]
    assert ogg.head.pre_skip == 312
    assert played(ogg) == first.samples + second.samples + third.samples


def test_the_pre_roll_of_the_first_goes_under_pre_skip():
    preroll = span_at(0, 16).packets
    span = span_at(16 * 960, 10, lead=7)
    ogg = render([Sound(span, preroll)], start=span.start_48k)
    assert ogg.packets == [*preroll, *span.packets]
    assert ogg.head.pre_skip == 16 * 960 + 7


def test_a_pre_skip_that_players_would_trip_over_gets_a_silent_packet():
    span = span_at(0, 10)
    ogg = render([Sound(span, ())])
    assert ogg.packets[1:] == list(span.packets)
    assert ogg.head.pre_skip == 960
    assert played(ogg) == span.samples


def test_gaps_are_silence_and_the_lead_in_lies_inside():
    first = span_at(0, 50, lead=312, trim=200, starts=True)
    second = span_at(100_000, 50, lead=312, starts=True)
    ogg = render([Sound(first, ()), Sound(second, ())])
    at = ogg.packets.index(second.packets[0])
    before = sum(packet_facts(packet).samples for packet in ogg.packets[:at])
    assert abs((before + 312 - ogg.head.pre_skip) - 100_000) <= 60
    assert abs(played(ogg) - (100_000 + second.samples)) <= 60


def test_rounding_of_gaps_does_not_add_up():
    sounds, at = [], 0
    for number in range(200):
        span = span_at(at, 2, lead=312 if not number else 0, starts=not number)
        sounds.append(Sound(span, ()))
        at = at + span.samples + 1000 + 59
    ogg = render(sounds)
    assert abs(played(ogg) - (sounds[-1].span.end_48k - START)) <= 60


def test_an_encoder_that_starts_anew_without_a_gap_is_made_good_in_the_next():
    first = span_at(0, 50, lead=312, trim=500, starts=True)
    second = span_at(first.samples, 50, lead=312, starts=True)
    third = span_at(first.samples + second.samples + 48_000, 50, lead=312, starts=True)
    ogg = render([Sound(first, ()), Sound(second, ()), Sound(third, ())])
    assert [packet for packet in ogg.packets if packet[0] == 0x48] == [
        *first.packets,
        *second.packets,
        *third.packets,
    ]
    assert abs(played(ogg) - (third.end_48k - START)) <= 60


def test_left_out_gaps_leave_nothing_but_packets():
    first = span_at(0, 50, lead=312, starts=True)
    second = span_at(500_000, 50, lead=312, trim=10, starts=True)
    ogg = render([Sound(first, ()), Sound(second, ())], fill_gaps=False)
    assert ogg.packets == [*first.packets, *second.packets]


def test_silence_before_and_after_and_nothing_else():
    span = span_at(48_000, 50, lead=312, starts=True)
    ogg = render([Sound(span, ())], end=START + 48_000 * 5)
    assert abs(played(ogg) - 48_000 * 5) <= 60
    rendering = OggRendering(channels=2, sample_rate=48_000, comments=[], serial=7, fill_gaps=True)
    ogg = read_ogg_opus(b"".join([*rendering.silence_until(START, START + 4800), rendering.finish()]))
    assert played(ogg) == 4800


def test_a_gap_of_a_day_comes_in_pieces():
    rendering = OggRendering(channels=1, sample_rate=16_000, comments=[], serial=7, fill_gaps=True)
    pages = rendering.silence_until(START, START + 86_400 * 48_000)
    assert all(len(next(pages)) < 100_000 for _ in range(100))


@pytest.mark.parametrize("start", [47_990, 47_700, 47_688, 47_600, 47_568, 47_500, 46_000, 1])
def test_a_start_inside_a_gap_is_exact(start):
    span = span_at(48_000, 50, lead=312, starts=True)
    ogg = render([Sound(span, ())], start=START + start)
    assert played(ogg) == span.end_48k - START - start
    assert clock_of(ogg, span.packets[0], START + start) == span.start_48k - 312
    assert ogg.head.pre_skip >= 120


@pytest.mark.parametrize("beyond", [1, 119, 120, 121, 480, 647, 648, 649, 700, 768, 5_000])
def test_an_end_inside_a_gap_is_exact(beyond):
    span = span_at(0, 50, lead=312, trim=648, starts=True)
    ogg = render([Sound(span, ())], end=span.end_48k + beyond)
    assert played(ogg) == span.samples + beyond


def clock_of(ogg, packet: bytes, start: int) -> int:
    """At which time, samples at 48 kHz, the output of a packet begins, in a file that begins at `start`."""
    before = itertools.takewhile(lambda other: other != packet, ogg.packets)
    return start - ogg.head.pre_skip + sum(packet_facts(one).samples for one in before)


@given(
    runs=st.lists(
        # Gap before it, with room for what cannot be skipped; packets; padding.
        st.tuples(st.integers(1_332, 10_000), st.integers(2, 40), st.integers(0, 959)),
        min_size=1,
        max_size=5,
    ),
    cut=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_what_is_heard_lies_where_the_clock_says(runs, cut):
    """For any runs and gaps and any part of them: to the sample up to the first inner gap, to 1.25 ms after it."""
    pieces, at = [], 0
    for index, (gap, count, padding) in enumerate(runs):
        span = span_at(at, count, lead=312, trim=padding, starts=True)
        pieces.append(Piece(span, Stored("a batch", index)))
        at = span.first_sample + span.samples + gap
    start, end = sorted(START + round(at * share) for share in cut)
    assume(start < end)
    plays = timeline(pieces).window(start, end).plays
    sounds = [narrow(play.piece.span, (), play.start_48k, play.end_48k) for play in plays]
    sounds = [sound for sound in sounds if sound.span.samples]
    if not sounds:
        rendering = OggRendering(channels=1, sample_rate=16_000, comments=[], serial=7, fill_gaps=True)
        ogg = read_ogg_opus(b"".join([*rendering.silence_until(start, end), rendering.finish()]))
        assert played(ogg) == end - start
        return
    ogg = render(sounds, start=start, end=end)
    ends_in_a_gap = end - sounds[-1].span.end_48k >= 60
    assert abs(played(ogg) - (end - start)) <= (0 if len(sounds) == 1 or ends_in_a_gap else 60)
    for number, sound in enumerate(sounds):
        late = clock_of(ogg, sound.span.packets[0], start) - (sound.span.start_48k - sound.span.lead)
        assert abs(late) <= (60 if number else 0)


def test_a_stream_of_nothing_cannot_be_finished():
    with pytest.raises(RuntimeError):
        OggRendering(channels=1, sample_rate=16_000, comments=[], serial=7, fill_gaps=True).finish()


def test_durations_are_read_off_any_packet_as_the_codec_reads_them():
    for toc in range(256):
        for rest in (b"", b"\x00\x00", b"\x01x", b"\x02ab", b"\x03abc"):
            packet = bytes((toc,)) + rest
            try:
                wanted = packet_facts(packet).samples
            except BadPacketError:
                continue
            assert packet_samples(packet) == wanted


CLICK = 400  # samples at 16 kHz of a tone burst by which a moment is found again


def older_at(first: int, samples: int) -> OlderSound:
    """Older audio at `first` (samples at 48 kHz after START): a burst at its start, and then silence."""
    begins = nearest(START + first)
    count = max(1, nearest(START + first + samples) - begins)
    burst = b"".join(
        int(20_000 * (-1) ** (at // 8)).to_bytes(2, "little", signed=True) for at in range(CLICK)
    )
    return OlderSound(START + first, samples, (burst + bytes(2 * count))[: 2 * count], begins)


def bursts(ogg, start: int) -> list[int]:
    """The times, at 48 kHz after `start`, at which a player of the file hears bursts begin, to a few samples."""
    decoder = Decoder(16_000, 1)
    pcm = memoryview(b"".join(decoder.decode(packet) for packet in ogg.packets)).cast("h")
    found, quiet_until = [], 0
    for at, value in enumerate(pcm):
        if abs(value) > 6_000:
            if at >= quiet_until:
                found.append(at * 3 - ogg.head.pre_skip)
            quiet_until = at + 1_000
    return found


def test_older_audio_alone_is_exact_from_its_first_to_its_last_sample():
    sounds = [older_at(0, 48_000), older_at(48_000, 9_600), older_at(57_600, 4_803)]
    ogg = render(sounds)
    assert ogg.head.pre_skip == 312
    assert played(ogg) == 62_403
    assert [round(at / 48) for at in bursts(ogg, START)] == pytest.approx([0, 1_000, 1_200], abs=1)
    # One stream: as many packets as its samples and the lookahead take.
    assert len(ogg.packets) == -(-(62_403 + 312) // 960)


@pytest.mark.parametrize("gap", [3, 48, 300, 312, 960, 9_600, 9_603, 48_003, 100_000])
def test_after_a_gap_older_audio_begins_exactly_in_time(gap):
    ogg = render([older_at(0, 30_000), older_at(30_000 + gap, 30_000)])
    assert played(ogg) == 60_000 + gap
    first, second = bursts(ogg, START)
    assert abs(second - first - 30_000 - gap) <= 6


@pytest.mark.parametrize("before", [1, 100, 312, 313, 400, 432, 959, 5_000])
def test_a_file_may_begin_in_the_gap_before_older_audio(before):
    ogg = render([older_at(0, 30_000)], start=START - before)
    assert played(ogg) == 30_000 + before
    assert ogg.head.pre_skip >= 120
    assert abs(bursts(ogg, START)[0] - before) <= 6


@pytest.mark.parametrize("beyond", [0, 1, 2, 3, 119, 647, 700, 5_000])
@pytest.mark.parametrize("cut", [0, 1, 2])
def test_an_end_after_older_audio_is_exact(beyond, cut):
    sound = older_at(0, 30_000 - cut)
    assert played(render([sound], end=START + 30_000 - cut + beyond)) == 30_000 - cut + beyond


def test_left_out_gaps_of_older_audio_leave_no_seam():
    ogg = render([older_at(0, 30_000), older_at(499_200, 30_000)], fill_gaps=False)
    assert played(ogg) == 60_000
    first, second = bursts(ogg, START)
    assert abs(second - first - 30_000) <= 6


def test_older_audio_between_ours_lies_in_the_gaps():
    before = span_at(0, 50, lead=312, trim=200, starts=True)
    after = span_at(200_000, 50, lead=312, starts=True)
    ogg = render([Sound(before, ()), older_at(100_000, 30_000), Sound(after, ())])
    (heard,) = [at for at in bursts(ogg, START) if 90_000 < at < 110_000]
    assert abs(heard - 100_000) <= 6
    assert abs(clock_of(ogg, after.packets[0], START) - (START + 200_000 - 312)) <= 60
    assert abs(played(ogg) - (after.end_48k - START)) <= 60


def test_where_older_audio_follows_ours_without_a_gap_the_next_gap_makes_it_good():
    before = span_at(0, 50, lead=312, trim=648, starts=True)
    ogg = render([Sound(before, ()), older_at(before.samples, 30_000), older_at(100_000, 30_000)])
    first, second = (at for at in bursts(ogg, START) if at > 40_000)
    assert 0 <= first - before.samples - (648 + 312) <= 6
    assert abs(second - 100_000) <= 6
    assert played(ogg) == 130_000


def test_ours_right_after_older_audio_is_late_by_what_must_stay():
    after = span_at(30_000, 50, lead=312, starts=True)
    ogg = render([older_at(0, 30_000), Sound(after, ())])
    late = clock_of(ogg, after.packets[0], START) - (after.start_48k - 312)
    assert 0 <= late <= 960 + 312


@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 30_000)), min_size=1, max_size=6),
    st.integers(0, 30_000),
)
def test_any_older_audio_lasts_as_long_as_the_clock_says(stretches, cut):
    sounds, at = [], 0
    for number, (gap, samples) in enumerate(stretches):
        at += gap // 48 * 48 if number else 0
        sounds.append(older_at(at, samples // 3 * 3 or 3))
        at += sounds[-1].samples
    end = min(cut, at) or at
    sounds = [sound for sound in sounds if sound.start_48k + sound.samples <= START + end] or sounds[:1]
    ogg = render(sounds, end=max(START + end, sounds[-1].end_48k))
    assert played(ogg) == max(end, sounds[-1].end_48k - START)
