from audiobus import Lag
from listen.audio_format import SOURCE_SAMPLE_TICKS, AudioFormat
from listen.encoding_job import Encoded, Place
from listen.stretch import Stretch

FORMAT = AudioFormat("pcm16", 44_100)
STEP = FORMAT.step_ticks


def stretch(samples: int, first_sample: int = 960) -> Stretch:
    """One that holds so many samples."""
    made = Stretch(FORMAT, 5, first_sample, 100, (b"",))
    made.place(0, made.start, made.start)
    made.feeds[0].add(bytes(2 * samples), made.start)
    made.ledger.add_pcm(0, 100, 100 + 2 * samples, made.start, samples, 0, b"")
    return made


def test_after_n_packets_n_frames_less_the_lookahead_are_stored():
    made = stretch(44_100)
    job = made.job(made.start + 44_100 * SOURCE_SAMPLE_TICKS)
    assert job.channels[0] == (Place(0, 0), bytes(88_200))
    assert (job.fresh, job.end) == (True, None)
    stored = 49 * 960 - 312
    offset = made.encoded(Encoded((b"",) * 49, 0, 312), last=False)
    assert offset == 100 + 2 * (stored * 44_100 // 48_000)
    (lag,) = made.lags((made.start + 44_100 * SOURCE_SAMPLE_TICKS,))
    assert lag.ticks == stored * 44_100 % 48_000 > 0


def test_it_ends_at_a_whole_sample_and_says_where_the_next_byte_lies():
    made = stretch(1_001)
    end = made.start + 1_001 * SOURCE_SAMPLE_TICKS
    tick = made.end_tick(end)
    assert abs(tick - end) <= STEP // 2
    made.finish(tick, 2_102, resumable=False, before=(end,), after=(end,))
    job = made.job(None)
    assert job.end == (tick - made.start) // STEP == 1_090
    assert made.encoded(Encoded((b"", b""), 518, 312), last=True) == 2_102
    assert made.lags(()) == (Lag(tick - end),)


def test_it_never_ends_before_it_begins():
    made = stretch(0)
    assert made.end_tick(made.start - 10 * STEP) == made.start
    assert Stretch(FORMAT, None, 0, 0, (b"",)).empty


def test_what_lies_before_its_beginning_is_not_played():
    made = stretch(0)
    made.place(0, made.start - 10 * STEP, made.start)
    assert made.feeds[0].take(None)[-1] == Place(-10, 0)
    made.place(0, made.start + 3 * STEP, made.start + 7 * STEP)
    assert made.feeds[0].take(None) == (Place(3, 7),)
