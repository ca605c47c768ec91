"""The cutter: every rule of where and when a batch ends, without a server or a clock."""

import dataclasses
import random
import struct

import pytest

from audiobus.cut import Stored
from audiobus.entry_id import EntryId
from audiocodec import Encoder
from pusher.cutter import Limits, ReadOn, Take, Wait, context_after, decide
from pusher.reason import Reason
from pusher.seam import CONTEXT_SAMPLES, LONGEST_SAMPLES

LIMITS = Limits()


@pytest.fixture
def ask(clock, new_state):
    """Decides over entries, now, with everything unusual given by name."""

    def decided(arrived, *, more=False, limits=LIMITS, phase=1.0, exclude=(), since_ms=None, **state):
        state.setdefault("last_ms", clock())
        return decide(
            arrived,
            new_state(**state),
            more=more,
            now_ms=clock(),
            limits=limits,
            phase=phase,
            exclude=exclude,
            since_ms=since_ms,
        )

    return decided


@pytest.fixture
def session(new_session, clock):
    session = new_session()
    session.begin(clock())
    return session


def test_an_empty_buffer_waits_for_nothing(ask):
    assert ask([]) == Wait(None)


def test_what_may_still_grow_waits_for_age_or_idleness(ask, session, clock):
    entries = list(session.speech(5))
    first_at = entries[0].chunk.at_ms
    assert ask(entries) == Wait(min(first_at + 60_000, clock() + 60_000))


def test_what_says_that_it_was_made_later_than_it_was_seen_waits_since_then(ask, session, clock):
    clock.pass_s(3_600)
    entries = list(session.speech(5))
    last_ms = clock()
    clock.pass_s(-3_600)
    since = clock()
    assert ask(entries, since_ms=since, last_ms=last_ms) == Wait(since + 60_000)
    clock.pass_s(60)
    assert ask(entries, since_ms=since, last_ms=last_ms).reason is Reason.AGE


def test_what_fits_whole_is_read_to_the_end_first(ask, session, clock):
    entries = list(session.speech(5))
    assert ask(entries, more=True, flush=entries[-1].id) == ReadOn()


def test_a_batch_never_lasts_longer_than_its_limit(ask, session):
    entries = list(session.speech(65))
    decision = ask(entries, more=True)
    assert decision.reason is Reason.SIZE
    # The lead-in of the first chunk leaves room for nothing more than 60 chunks.
    assert decision.count == 60
    assert (decision.first, decision.last) == (entries[0].id, entries[59].id)
    assert decision.start_ms == entries[0].span.start_ms
    assert decision.end_ms == entries[59].span.end_ms


def sized(entries, size_bytes):
    return [dataclasses.replace(one, size_bytes=size_bytes) for one in entries]


@pytest.mark.parametrize("asked", [False, True])
def test_a_batch_never_has_more_bytes_than_its_limit(ask, session, asked):
    entries = sized(session.speech(30), 1024 * 1024)
    state = {"flush": entries[-1].id, "flush_reason": "end"} if asked else {}
    for more in (False, True):
        decision = ask(entries, more=more, **state)
        assert (decision.reason, decision.count) == (Reason.SIZE, 6)


def test_bytes_that_find_no_room_are_not_waited_for(ask, session):
    entries = sized(session.speech(6), 1024 * 1024)
    assert isinstance(ask(entries[:5]), Wait)
    assert ask(entries).reason is Reason.SIZE
    assert ask(entries, more=True) == ReadOn()


def test_an_entry_that_is_larger_than_a_batch_makes_one_alone(ask, session):
    entries = sized(session.speech(3), 9 * 1024 * 1024)
    decision = ask(entries, flush=entries[-1].id)
    assert (decision.reason, decision.count) == (Reason.SIZE, 1)


def test_a_batch_without_room_for_another_chunk_is_cut_at_once(ask, session):
    entries = list(session.speech(60))
    assert isinstance(ask(entries[:59]), Wait)
    decision = ask(entries)
    # Its last chunk stays back: how it goes on is not known yet.
    assert (decision.reason, decision.count) == (Reason.SIZE, 59)
    # What comes next is there already: whether it fits is seen, not guessed.
    assert ask(entries, more=True) == ReadOn()
    # What was asked for is not shortened to spread the writes.
    assert ask(entries, phase=0.0).count < 60
    asked = ask(entries, phase=0.0, flush=entries[-1].id, flush_reason="flush")
    assert (asked.reason, asked.count) == (Reason.FLUSH, 60)


def test_one_chunk_alone_is_taken_however_long_it_is(ask, session):
    entries = [*session.speech(90, chunk_s=90), *session.speech(1)]
    assert ask(entries).count == 1


def test_gaps_count_as_time_of_the_file(ask, session, clock):
    entries = list(session.speech(20, end=True))
    clock.pass_s(30)
    session.begin_run()
    entries += session.speech(20)
    decision = ask(entries)
    assert decision.reason is Reason.SIZE
    assert decision.count == 20 + 10


def test_a_gap_longer_than_a_batch_ends_it(ask, session, clock):
    entries = list(session.speech(2, end=True))
    clock.pass_s(100)
    session.begin_run()
    entries += session.speech(1)
    assert ask(entries).count == 2


def test_runs_are_limited(ask, session, clock):
    entries = []
    for _ in range(30):
        entries += session.speech(0.2, end=True)
        clock.pass_s(0.1)
        session.begin_run()
    decision = ask(entries)
    assert (decision.reason, decision.count) == (Reason.SIZE, 24)


@pytest.mark.parametrize(
    "other", [{"source": "pcm16"}, {"channels": 2}], ids=["another codec", "other channels"]
)
def test_another_format_begins_another_batch(ask, session, new_session, clock, other):
    entries = list(session.speech(2, end=True))
    clock.pass_s(1)
    second = new_session(**other)
    entries += [second.begin(clock()), *second.speech(1)]
    decision = ask(entries)
    assert (decision.reason, decision.count) == (Reason.BOUNDARY, 3)
    assert decision.last == EntryId(second.newest.epoch, 0)


def test_an_encoder_that_starts_anew_without_a_gap_begins_another_batch(ask, session):
    entries = [*session.speech(2, end=True), *session.speech(2)]
    assert entries[2].span.start_48k == entries[1].span.end_48k
    assert (ask(entries).reason, ask(entries).count) == (Reason.BOUNDARY, 2)


def test_it_does_so_even_where_it_has_no_lead_in(ask, new_session, clock):
    session = new_session(lead=0)
    session.begin(clock())
    entries = list(session.speech(2))
    session.starts = True
    entries += session.speech(2)
    assert (ask(entries).reason, ask(entries).count) == (Reason.BOUNDARY, 2)


def test_a_gap_that_cannot_hold_the_lead_in_begins_another_batch(ask, session):
    entries = list(session.speech(2, end=True))
    session.next_sample += 240 + 311
    entries += session.speech(1)
    assert ask(entries).count == 2
    # One sample more, and it fits.
    entries = list(session.speech(2, end=True))
    session.next_sample += 240 + 312
    entries += session.speech(1)
    assert isinstance(ask(entries), Wait)


def test_an_overlap_begins_another_batch(ask, session, clock):
    entries = list(session.speech(3, end=True))
    session.begin_run()
    session.run_start_ms -= 1500
    entries += session.speech(1)
    assert (ask(entries).reason, ask(entries).count) == (Reason.BOUNDARY, 3)


@pytest.mark.parametrize("reason", ["finalize", "end", "switch", "flush"])
def test_what_was_asked_for_is_cut_at_once(ask, session, reason):
    entries = list(session.speech(5))
    decision = ask(entries, flush=entries[2].id, flush_reason=reason)
    assert (decision.reason, decision.count) == (reason, 3)


def test_an_unknown_reason_to_store_counts_as_flush(ask, session):
    entries = list(session.speech(1))
    assert ask(entries, flush=entries[0].id, flush_reason="whim").reason is Reason.FLUSH


def test_what_was_asked_for_before_these_entries_is_done(ask, session):
    entries = list(session.speech(5))
    assert isinstance(ask(entries[3:], flush=entries[2].id, flush_reason="end"), Wait)


def test_the_oldest_chunk_waits_no_longer_than_its_age(ask, session, clock):
    entries = list(session.speech(5))
    clock.ms = entries[0].chunk.at_ms + 59_999
    assert ask(entries, last_ms=clock()) == Wait(clock() + 1)
    clock.ms += 1
    decision = ask(entries, last_ms=clock())
    # The newest one has not.
    assert (decision.reason, decision.count) == (Reason.AGE, 4)


def test_an_idle_conversation_is_stored_whatever_it_has(ask, session, clock):
    entries = list(session.speech(5))
    last_ms = clock()
    clock.pass_s(20)
    decision = ask(entries, last_ms=last_ms, limits=Limits(idle_ms=20_000))
    assert (decision.reason, decision.count) == (Reason.IDLE, 5)


def test_openings_and_empty_chunks_enter_cuts_but_no_object(ask, new_session, clock):
    session = new_session()
    entries = [session.begin(clock()), session.chunk((), size=7)]
    decision = ask(entries, flush=entries[-1].id, flush_reason="end")
    assert (decision.count, decision.start_ms, decision.end_ms) == (2, None, None)
    clock.pass_s(60)
    assert ask(entries[:1], last_ms=clock() - 60_000).reason is Reason.IDLE
    assert ask(entries[:1], last_ms=clock()) == Wait(clock() + 60_000)


def test_an_empty_chunk_does_not_end_a_run(ask, session):
    entries = [*session.speech(1), session.chunk((), size=3), *session.speech(1)]
    assert entries[2].span.first_offset == entries[1].id.offset
    assert isinstance(ask(entries), Wait)


def test_the_number_of_entries_is_limited(ask, session):
    entries = [session.chunk((), size=1) for _ in range(10)]
    decision = ask(entries, limits=Limits(entries=4), more=True)
    assert (decision.reason, decision.count) == (Reason.SIZE, 4)


def stored(*entries):
    return tuple(Stored(one.id.epoch, one.chunk.first_offset, one.id.offset) for one in entries)


def test_what_lies_in_the_bucket_names_no_object(ask, session):
    entries = list(session.speech(5))
    decision = ask(entries, exclude=stored(*entries), flush=entries[-1].id, flush_reason="end")
    assert (decision.count, decision.start_ms) == (5, None)
    decision = ask(entries, exclude=stored(*entries[:2]), flush=entries[-1].id, flush_reason="end")
    assert (decision.count, decision.start_ms) == (5, entries[2].span.start_ms)


def test_what_lies_in_the_bucket_ends_a_batch_in_its_middle(ask, session):
    entries = list(session.speech(5))
    decision = ask(entries, exclude=stored(entries[2]))
    assert (decision.reason, decision.count) == (Reason.BOUNDARY, 2)


@pytest.mark.parametrize("phase", [0.0, 0.5, 1.0])
def test_the_first_batch_is_shortened_to_spread_the_writes(ask, session, clock, phase):
    entries = list(session.speech(62))
    decision = ask(entries, phase=phase)
    assert decision.end_ms - decision.start_ms == pytest.approx(60_000 * (0.25 + 0.75 * phase), abs=1000)
    # Only the first one, and only where it was recorded as it happened.
    assert ask(entries, phase=phase, settled=EntryId(1, 0)).count == 60
    # So is the first after one that was stored early, together with many others perhaps.
    hurried = ask(entries, phase=phase, settled=EntryId(1, 0), hurried=True)
    assert hurried.count == decision.count
    clock.ms = entries[0].chunk.at_ms
    assert ask(entries, phase=phase).count == 60


def test_it_takes_something_always(ask, session, clock):
    entries = list(session.speech(50, chunk_s=50))
    clock.pass_s(60)
    decision = ask(entries, phase=0.0, last_ms=clock())
    assert isinstance(decision, Take)
    assert decision.count == 1


# -- where a decoder would be heard to begin anew ----------------------------------------------------------------------------


@pytest.fixture
def talk(session):
    """Chunks of a second: real packets, and in some of them none (DTX), where decoders make up noise of their own."""
    chance = random.Random(7)
    pcm = struct.pack("<16000h", *(int(chance.gauss(0, 2000)) for _ in range(16_000)))
    voice = tuple(Encoder(16_000, complexity=0).encode(pcm))

    def make(kinds):
        for kind in kinds:
            session.clock.pass_s(1)
            yield session.chunk(voice if kind == "v" else (voice[0][:1],) * 50)

    return make


def test_a_batch_ends_where_a_decoder_can_go_on(ask, talk):
    entries = list(talk("v" * 57 + "-----"))
    # Nobody could within silence, nor where it begins.
    assert ask(entries, more=True).count == 56
    assert ask(entries[:60], more=False).count == 56
    # What was asked for is cut just there.
    assert ask(entries[:60], flush=entries[59].id, flush_reason="flush").count == 60
    # A shorter batch by more than a quarter is none.
    assert ask(list(talk("v" * 10 + "-" * 52)), more=True).count == 60


def test_a_chunk_stays_back_where_what_follows_it_is_not_known(ask, talk, clock):
    entries = list(talk("v" * 60))
    assert (ask(entries).reason, ask(entries).count) == (Reason.SIZE, 59)
    assert ask([*entries, *talk("v")]).count == 60
    few, now = entries[:5], Limits(age_ms=4_000)
    clock.ms = few[4].chunk.at_ms
    assert (ask(few, limits=now).reason, ask(few, limits=now).count) == (Reason.AGE, 4)
    assert ask(few[:1], limits=now).count == 1
    # Not where nothing comes any more.
    assert ask(few, limits=now, last_ms=clock() - 5_000).count == 5


def test_an_unknown_seam_is_better_than_bad_ones(ask, talk):
    entries = list(talk("v" * 10 + "-" * 52))
    # Of seams that are known, none of them good, one is taken that lets the batch be longest.
    assert ask(entries, more=True).count == 60
    # What follows the sixtieth is not there yet, and may be good.
    assert ask(entries[:60], more=False).count == 60
    assert ask(entries[:60]).context_samples == CONTEXT_SAMPLES


def test_an_encoder_that_ends_leaves_no_seam(ask, talk, session, clock):
    entries = list(talk("v" * 58))
    entries += session.speech(1, end=True)
    assert ask([*entries, *talk("vvv")]).count == 59
    entries = list(talk("v" * 59))
    entries.append(session.begin(clock()))
    assert ask([*entries, *talk("vvv")], more=True).count == 60


def test_only_so_many_places_are_looked_at(ask, talk):
    entries = list(talk("v" * 40 + "-" * 22))
    assert ask(entries, more=True).count == 60


def test_much_is_kept_only_where_the_seam_may_be_heard_and_the_session_goes_on(ask, talk, clock):
    entries = list(talk("v" * 61))
    assert ask(entries).context_samples == LONGEST_SAMPLES
    assert ask(list(talk("v" * 10 + "-" * 52)), more=True).context_samples == CONTEXT_SAMPLES
    asked = {"flush": entries[0].id}
    for reason in ("finalize", "flush", "of a later build"):
        assert ask(entries[:9], flush_reason=reason, **asked).context_samples == CONTEXT_SAMPLES
    for reason in ("end", "switch"):
        assert ask(entries[:9], flush_reason=reason, **asked).context_samples == LONGEST_SAMPLES
    assert ask(entries[:9], last_ms=clock() - 60_000).context_samples == LONGEST_SAMPLES
    assert context_after("size") == CONTEXT_SAMPLES
    assert context_after("boundary") == LONGEST_SAMPLES


def test_where_memory_is_short_what_is_there_is_cut(ask, session, clock):
    entries = list(session.speech(6))
    short = Limits(early=True)
    assert isinstance(ask(entries), Wait)
    decision = ask(entries, limits=short, last_ms=clock() - 5_000)
    assert (decision.reason, decision.count) == (Reason.PRESSURE, 6)
    # Where the session goes on, the last chunk may stay for its seam; little is kept for the next batch, as memory is short.
    assert ask(entries, limits=short).count >= 3
    assert context_after("pressure") == LONGEST_SAMPLES
    # A few seconds free nothing worth a write to the bucket.
    assert isinstance(ask(entries[:4], limits=short), Wait)


def test_where_memory_is_short_what_is_full_or_asked_for_keeps_its_reason(ask, session, clock):
    short, entries = Limits(early=True), list(session.speech(62))
    assert ask(entries, limits=short).reason is Reason.SIZE
    assert ask(entries[:9], limits=short, flush=entries[0].id, flush_reason="end").reason is Reason.END
    assert ask(entries[:9], limits=short, last_ms=clock() - 60_000).reason is Reason.IDLE
