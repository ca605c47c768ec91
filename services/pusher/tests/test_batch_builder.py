"""The builder, and cutter and builder together: whatever the cutting, every sample is stored once."""

import itertools

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiobus.cut import Stored
from audiobus.entry_id import EntryId
from audiobus.state import PreRoll
from audiocodec.packet import packet_facts
from audiocodec.span import PREROLL_SAMPLES, Span, join
from audiostore.batch import read_batch
from pusher.arrived import Arrived
from pusher.batch_builder import build
from pusher.cutter import Limits, ReadOn, Take, Wait, decide
from pusher.errors import BuildError


@pytest.fixture
def session(new_session, clock):
    session = new_session()
    session.begin(clock())
    return session


def kept(one) -> Stored:
    return Stored(one.id.epoch, one.chunk.first_offset, one.id.offset)


def test_chunks_that_follow_one_another_become_one_run(session, conversation):
    entries = list(session.speech(3, end=True))
    built = build(conversation.cid, entries, None)
    assert [span.packets for span in built.batch.spans] == [tuple(packet for _, packet in session.sent)]
    assert built.batch.preroll == ()
    assert built.samples == built.batch.spans[0].samples == 150 * 960 - 312 - 240
    assert built.ends == {session.newest.epoch: 15_000}
    assert read_batch(built.data) == built.batch
    # The encoder was flushed: nothing can go on from here.
    assert built.preroll is None


def test_what_goes_on_begins_with_the_packets_before_it(session, conversation):
    entries = list(session.speech(6))
    first = build(conversation.cid, entries[:3], None)
    assert first.preroll == PreRoll(
        session.newest.epoch,
        session.run_start_ms,
        3 * 48_000 - 312,
        15_000,
        tuple(packet for _, packet in session.sent[90:150]),
    )
    second = build(conversation.cid, entries[3:], first.preroll)
    assert second.batch.preroll == first.preroll.packets[-16:]
    assert second.batch.spans[0].start_48k == first.batch.spans[0].end_48k


def test_the_preroll_reaches_over_short_chunks_and_short_batches(session, conversation):
    entries = list(session.speech(1, chunk_s=0.1))
    preroll = None
    for number, one in enumerate(entries):
        built = build(conversation.cid, [one], preroll)
        before = tuple(packet for _, packet in session.sent[: number * 5])[-16:]
        assert built.batch.preroll == before
        preroll = built.preroll


def test_nothing_goes_on_from_another_encoder(session, conversation, clock):
    first = build(conversation.cid, list(session.speech(1)), None)
    session.begin_run()
    assert build(conversation.cid, list(session.speech(1)), first.preroll).batch.preroll == ()
    # Nor over missing bytes.
    session.newest = EntryId(session.newest.epoch, session.newest.offset + 1)
    assert build(conversation.cid, list(session.speech(1)), first.preroll).batch.preroll == ()


def test_an_encoder_goes_on_over_a_gap(session, conversation, clock):
    first = build(conversation.cid, list(session.speech(1)), None)
    clock.pass_s(100)
    session.begin_run()
    session.starts = False
    (one,) = session.speech(1)
    later = msgspec.structs.replace(one.chunk, lead=100, samples=one.chunk.samples - 100)
    span = later.span(conversation.cid, one.id.epoch, one.id.offset)
    batch = build(conversation.cid, [Arrived(one.id, later, span)], first.preroll).batch
    assert batch.preroll == tuple(packet for _, packet in session.sent[34:50])
    assert (batch.spans[0].lead, batch.spans[0].start_ms) == (100, later.run_start_ms)


def test_the_pre_roll_leaves_room_for_a_long_lead(session, conversation):
    first = build(conversation.cid, list(session.speech(1)), None)
    session.starts = False
    (one,) = session.speech(2, chunk_s=2)
    for lead, packets in ((65_535, 0), (65_535 - 120 - 959, 0), (65_535 - 120 - 960, 1), (60_000, 5)):
        later = msgspec.structs.replace(one.chunk, lead=lead, samples=96_000 - lead, run_start_ms=1)
        span = later.span(conversation.cid, one.id.epoch, one.id.offset)
        built = build(conversation.cid, [Arrived(one.id, later, span)], first.preroll)
        assert len(built.batch.preroll) == packets
        assert read_batch(built.data) == built.batch


def test_only_openings_and_empty_chunks_make_nothing_and_keep_the_preroll(session, conversation, clock):
    first = build(conversation.cid, list(session.speech(1)), None)
    built = build(conversation.cid, [session.chunk((), size=9)], first.preroll)
    assert (built.batch, built.data, built.metadata, built.samples) == (None, b"", {}, 0)
    # The run goes on after the bytes that held nothing.
    assert built.preroll == msgspec.structs.replace(first.preroll, next_offset=5009)
    assert build(conversation.cid, list(session.speech(1)), built.preroll).batch.preroll
    opened = build(conversation.cid, [session.begin(clock() + 1)], built.preroll)
    assert opened.preroll == built.preroll
    assert opened.ends == {clock() + 1: 0}


def test_what_is_stored_already_stays_out_but_gives_the_preroll(session, conversation):
    entries = list(session.speech(4))
    built = build(conversation.cid, entries, None, [kept(entries[0]), kept(entries[1])])
    assert built.batch.spans[0].first_offset == entries[1].id.offset
    assert built.batch.preroll == tuple(packet for _, packet in session.sent[84:100])
    assert built.samples == 4 * 48_000 - 312
    everything = build(conversation.cid, entries, None, [kept(one) for one in entries])
    assert everything.batch is None
    assert everything.preroll == built.preroll


def test_the_same_entries_give_the_same_bytes(session, conversation):
    entries = list(session.speech(3))
    assert build(conversation.cid, entries, None) == build(conversation.cid, list(entries), None)


def test_entries_that_cannot_share_a_file_are_refused(session, conversation):
    entries = [*session.speech(1, end=True), *session.speech(1)]
    with pytest.raises(BuildError, match="cannot share a file"):
        build(conversation.cid, entries, None)


# -- whatever the cutting ------------------------------------------------------------------------------------------------

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("speech"), st.integers(1, 40)),
        st.tuples(st.just("fine"), st.integers(1, 30)),
        st.tuples(st.just("end"), st.integers(1, 3)),
        st.tuples(st.just("gap"), st.integers(1, 90_000)),
        st.tuples(st.just("empty"), st.integers(1, 50)),
        st.tuples(st.just("session"), st.just(0)),
        st.tuples(st.just("lost"), st.integers(1, 5000)),
        st.tuples(st.just("stereo"), st.just(0)),
    ),
    min_size=1,
    max_size=25,
)


def record(session, clock, events):
    entries = [session.begin(clock())]
    for kind, number in events:
        if kind == "speech":
            entries += session.speech(number)
        elif kind == "fine":
            entries += session.speech(number / 10, chunk_s=0.1)
        elif kind == "end":
            entries += session.speech(number / 2, end=True)
        elif kind == "gap":
            clock.ms += number
            session.begin_run()
        elif kind == "empty":
            entries.append(session.chunk((), size=number))
        elif kind == "session":
            clock.ms += 1
            entries.append(session.begin(max(clock(), session.newest.epoch + 1)))
        elif kind == "lost":
            session.next_sample += number
            session.newest = EntryId(session.newest.epoch, session.newest.offset + number)
        else:
            session.channels = 3 - session.channels
            clock.ms += 1
            entries.append(session.begin(max(clock(), session.newest.epoch + 1)))
    return entries


def positions(spans: list[Span]) -> list[tuple[int, bytes, int]]:
    """(epoch, packet, where its first sample lies) of each packet."""
    found = []
    for span in spans:
        at = span.start_48k - span.lead
        for packet in span.packets:
            found.append((span.epoch, packet, at))
            at += packet_facts(packet).samples
    return found


# The fixtures make everything anew for each example.
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, data=st.data())
def test_every_packet_is_stored_once_in_its_place_whatever_the_cutting(
    events, data, fresh_session, conversation, new_state
):
    session, clock = fresh_session()
    entries = record(session, clock, events)
    limits = Limits(batch_ms=data.draw(st.sampled_from([5_000, 20_000, 60_000]), "limit"))
    phase = data.draw(st.floats(0, 1), "phase")
    batches, preroll, settled, at = [], None, None, 0
    visible = len(entries)
    while at < len(entries):
        now_ms = clock() + data.draw(st.sampled_from([0, 30_000, 70_000]), "now")
        visible = min(len(entries), max(at + 1, visible))
        flush = data.draw(st.none() | st.integers(at, len(entries) - 1).map(lambda i: entries[i].id), "flush")
        state = new_state(settled=settled, flush=flush, last_ms=clock())
        read = data.draw(st.integers(at + 1, visible), "read")
        decision = ReadOn()
        while isinstance(decision, ReadOn):
            decision = decide(
                entries[at:read],
                state,
                more=read < visible,
                now_ms=now_ms,
                limits=limits,
                phase=phase,
            )
            read = min(visible, read + 7)
        if isinstance(decision, Wait):
            assert decision.until_ms > now_ms
            decision = decide(
                entries[at:visible],
                state,
                more=False,
                now_ms=decision.until_ms,
                limits=limits,
                phase=phase,
            )
        assert isinstance(decision, Take)
        taken = entries[at : at + decision.count]
        assert (taken[0].id, taken[-1].id) == (decision.first, decision.last)
        built = build(conversation.cid, taken, preroll)
        assert (built.batch is None) == (decision.start_ms is None)
        if built.batch is not None:
            assert read_batch(built.data) == built.batch
            first, last = built.batch.spans[0], built.batch.spans[-1]
            assert (first.start_ms, last.end_ms) == (decision.start_ms, decision.end_ms)
            assert last.end_48k - first.start_48k <= max(limits.batch_ms * 48, 48_000)
            assert len(built.batch.spans) <= 24
            if not first.starts and batches and first.continues(batches[-1].spans[-1]):
                run = join(span for batch in batches for span in batch.spans)[-1]
                assert built.batch.preroll == run.packets[-PREROLL_SAMPLES // 960 :]
            batches.append(built.batch)
        preroll, settled, at = built.preroll, decision.last, at + decision.count
    spans = [span for batch in batches for span in batch.spans]
    assert positions(spans) == positions([one.audio for one in entries if one.audio])
    assert sum(span.samples for span in spans) == sum(one.samples for one in entries)
    for one, other in itertools.pairwise(spans):
        assert (one.epoch, one.end_offset) <= (other.epoch, other.first_offset)


@pytest.fixture
def fresh_session(new_session, clock):
    """A session of its own for each example: fixtures live longer than one."""

    def make():
        clock.ms = 1_700_000_000_000
        return new_session(), clock

    return make
