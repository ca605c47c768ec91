"""From a passage to its packets: the pre-roll inside a batch."""

import threading
from dataclasses import replace

import pytest

from audiocodec.span import Span, preroll_after
from audiostore import sealing
from audiostore.batch import Batch, batch_end_ms, batch_start_ms, write_batch
from audiostore.key_ring import KeyRing
from audiostore.legacy import parse_audio_name
from audiostore.names import BatchName
from storage_api import loading
from storage_api.audio_plan import AudioPlan
from storage_api.errors import UnreadableError
from storage_api.loading import packed_sounds, quick_sounds, sounds_of, stored_sounds
from storage_api.ogg_length import OggLength, Rehearsal
from storage_api.ogg_rendering import OggRendering
from storage_api.passage import Passage
from storage_api.timeline import Piece, Play, Stored

T0 = 1_700_000_000_000
RING = KeyRing({"k1": bytes(range(32))})


def span(
    first: int, count: int, offset: int, *, epoch: int = T0, starts: bool = False, start_ms: int = T0
) -> Span:
    packets = tuple(b"\x48" + bytes((offset // 256, offset % 256, number)) for number in range(count))
    return Span("c", epoch, offset, offset + count, start_ms, first * 960, count * 960, 0, 0, starts, packets)


def passage_of(batch: Batch, *indices: int) -> Passage:
    plays = []
    for index in indices:
        one = batch.spans[index]
        facts = Span(*[getattr(one, name) for name in Span.__slots__[:-1]], ())
        plays.append(Play(Piece(facts, Stored("o", index)), one.start_48k, one.end_48k))
    return Passage(tuple(plays))


def test_the_first_span_follows_the_files_pre_roll_and_the_next_what_the_device_sent_before():
    preroll = tuple(b"\x48pre" + bytes((number,)) for number in range(16))
    first, second = span(100, 30, 0), span(0, 30, 30, start_ms=T0 + 9000)
    third = span(0, 30, 60, epoch=T0 + 1, start_ms=T0 + 19_000)
    fourth = span(0, 30, 90, epoch=T0 + 1, start_ms=T0 + 29_000, starts=True)
    batch = Batch("c", "opus", 16_000, 1, preroll, (first, second, third, fourth))
    sounds = stored_sounds(batch, passage_of(batch, 0, 1, 2, 3))
    assert [sound.preroll for sound in sounds] == [preroll, first.packets[-16:], (), ()]
    assert stored_sounds(batch, passage_of(batch, 1))[0].preroll == first.packets[-16:]


def test_a_batch_that_is_not_what_its_facts_told_is_none():
    batch = Batch("c", "opus", 16_000, 1, (), (span(0, 30, 0),))
    other = Batch("c", "opus", 16_000, 1, (), (span(0, 31, 0),))
    longer = Batch("c", "opus", 16_000, 1, (), (span(0, 30, 0), span(90, 30, 30)))
    assert stored_sounds(batch, passage_of(other, 0)) is None
    assert stored_sounds(batch, passage_of(longer, 1)) is None


def stored(batch: Batch, *, sealed: bool = False):
    """Its name, its bytes and the keys."""
    name = parse_audio_name(
        BatchName("u", batch.conversation_id, batch_start_ms(batch), batch_end_ms(batch), sealed=sealed).path
    )
    data = write_batch(batch)
    return name, sealing.seal(data, RING, "u") if sealed else data, RING


def three_batches() -> list[Batch]:
    """A run that goes on, and a batch of two runs after it."""
    first, second = span(0, 130, 0, starts=True), span(130, 130, 130)
    third = span(260, 70, 260)
    fourth = span(0, 60, 330, epoch=T0 + 1, starts=True, start_ms=T0 + 9_000)
    preroll = preroll_after((), second)
    return [
        Batch("c", "opus", 16_000, 1, (), (first,)),
        Batch("c", "opus", 16_000, 1, preroll_after((), first), (second,)),
        Batch("c", "opus", 16_000, 1, preroll, (third, fourth)),
    ]


@pytest.mark.parametrize("sealed", [False, True])
def test_packets_that_are_only_copied_are_not_parted_and_are_the_same(sealed):
    packed = 0
    for batch in three_batches():
        passage = passage_of(batch, *range(len(batch.spans)))
        parted = sounds_of(passage, *stored(batch, sealed=sealed))
        for copied, sound in zip(packed_sounds(passage, *stored(batch, sealed=sealed)), parted, strict=True):
            if copied.packed is None:
                assert copied == sound
                continue
            packed += 1
            assert copied.packed.parted() == sound.span.packets
            assert copied == replace(sound, span=replace(sound.span, packets=()), packed=copied.packed)
            assert copied.bytes_in_memory == sound.bytes_in_memory
    assert packed == 2


@pytest.mark.parametrize("fill_gaps", [True, False])
def test_an_answer_out_of_them_is_the_same_and_as_long_as_was_told(fill_gaps):
    first, end = T0 * 48, (T0 + 20_000) * 48
    form = {"channels": 1, "sample_rate": 16_000, "comments": [], "serial": 7, "fill_gaps": fill_gaps}

    def answers(how) -> tuple[bytes, OggLength]:
        parts = [how(passage_of(one, *range(len(one.spans))), *stored(one)) for one in three_batches()]
        rendering = OggRendering(**form)
        pages = [page for sounds in parts for sound in sounds for page in rendering.sound(sound, first)]
        if fill_gaps:
            pages += rendering.silence_until(first, end)
        pages.append(rendering.finish())
        length = Rehearsal(**form).length(parts, AudioPlan((), first, end, fill_gaps, 0, 0))
        return b"".join(pages), length

    copied, length = answers(packed_sounds)
    assert (copied, length) == answers(sounds_of)
    assert len(copied) == length.size


def test_a_copied_batch_that_is_not_what_was_told_is_none_and_one_at_another_time_is_refused():
    one, other, _ = three_batches()
    assert packed_sounds(passage_of(other, 0), *stored(one)) is None
    name, data, ring = stored(one)
    moved = parse_audio_name(BatchName("u", "c", T0 + 7, T0 + 3_000).path)
    assert packed_sounds(passage_of(one, 0), name, data, ring) is not None
    with pytest.raises(UnreadableError):
        packed_sounds(passage_of(one, 0), moved, data, ring)


@pytest.mark.parametrize("toc", [b"\x49\x00\x00", b"\x4b\x02\x00\x00"], ids=["code 1", "code 3"])
def test_what_must_be_parted_is_not_opened_quickly(toc):
    packets = (b"\x48first",) * 20 + (toc,)
    batch = Batch("c", "opus", 16_000, 1, (), (replace(span(0, 22, 0, starts=True), packets=packets),))
    batch = replace(batch, spans=(replace(batch.spans[0], end_offset=len(packets)),))
    passage, given = passage_of(batch, 0), stored(batch)
    assert quick_sounds(passage, *given) is None
    assert packed_sounds(passage, *given) == sounds_of(passage, *given) != None  # noqa: E711


@pytest.mark.parametrize("sealed", [False, True])
def test_what_is_opened_quickly_is_the_same(sealed):
    one, two, _ = three_batches()
    given = stored(one, sealed=sealed)
    sounds = quick_sounds(passage_of(one, 0), *given)
    assert sounds == packed_sounds(passage_of(one, 0), *given)
    assert sounds[0].packed is not None
    assert quick_sounds(passage_of(two, 0), *given) is None
    name, data, ring = given
    with pytest.raises(UnreadableError):
        quick_sounds(passage_of(one, 0), replace(name, start_ms=T0 + 7), data, ring)


@pytest.mark.parametrize("limit", [None, "QUICK_BYTES", "QUICK_PACKETS"])
async def test_what_takes_long_is_not_opened_between_two_messages_of_everybody_else(
    api, tape, conversation, pcm_tone, monkeypatch, limit
):
    await tape.record(pcm_tone(2))
    await tape.drain(0, len(tape.chunks))
    here = []

    def noted(how):
        def run(*given):
            sounds = how(*given)
            if sounds is not None:
                here.append(threading.current_thread() is threading.main_thread())
            return sounds

        return run

    for how in (quick_sounds, packed_sounds):
        monkeypatch.setattr(loading, how.__name__, noted(how))
    if limit:
        monkeypatch.setattr(loading, limit, 30)
    assert (await api.get(conversation, "/audio")).status_code == 200
    assert here == [limit is None]
