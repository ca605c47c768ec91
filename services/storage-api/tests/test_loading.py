"""From a passage to its packets: the pre-roll inside a batch."""

from audiocodec.span import Span
from audiostore.batch import Batch
from storage_api.loading import stored_sounds
from storage_api.passage import Passage
from storage_api.timeline import Piece, Play, Stored

T0 = 1_700_000_000_000


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
