import msgspec
import pytest

from audiobus import Appended, EntryId
from audiobus.chunk import VERSION, Chunk
from listen.chunker import ReadyChunk
from listen.outbox import CHUNK_BYTES, TAIL_SAMPLES, Outbox


def chunk(end: int, size: int = 100, samples: int = 48_000) -> ReadyChunk:
    return ReadyChunk(
        Chunk(VERSION, 1, "pcm16", 16_000, 1, 1, end, samples, 0, 0, False, end - size, ()), end
    )


def answer(end: int, settled: int | None = None, dead: int | None = None) -> Appended:
    return Appended(EntryId(7, end), None if settled is None else EntryId(7, settled), dead, 0, 1)


@pytest.fixture
def outbox() -> Outbox:
    """Five chunks of 100 bytes are safe."""
    outbox = Outbox(EntryId(7, 0))
    outbox.put([chunk(end) for end in range(100, 600, 100)])
    for end in range(100, 600, 100):
        outbox.appended(answer(end))
    return outbox


def test_chunks_go_out_in_order_each_onto_the_one_before():
    outbox = Outbox(EntryId(7, 0))
    outbox.put([chunk(100), chunk(200)])
    assert outbox.next is not None
    assert outbox.next.end_offset == 100
    outbox.appended(answer(100, settled=50))
    assert (outbox.newest, outbox.acked, outbox.stored) == (EntryId(7, 100), 100, 50)
    assert outbox.next is not None
    assert outbox.next.end_offset == 200
    outbox.appended(answer(200, settled=200, dead=150))
    assert outbox.empty
    assert (outbox.acked, outbox.stored, outbox.appended_samples) == (200, 150, 96_000)


def test_stored_never_goes_back(outbox):
    outbox.settled(EntryId(7, 300), None)
    outbox.settled(EntryId(7, 100), None)
    assert outbox.stored == 300


def test_a_redis_that_lost_writes_gets_its_tail_again_in_order(outbox):
    outbox.put([chunk(600)])
    assert outbox.misplaced(EntryId(7, 200))
    assert outbox.acked == 500
    assert outbox.newest == EntryId(7, 200)
    again = []
    while outbox.next is not None:
        again.append(outbox.next.end_offset)
        outbox.appended(answer(outbox.next.end_offset))
    assert again == [300, 400, 500, 600]
    assert outbox.appended_samples == 6 * 48_000
    assert (outbox.acked, outbox.lost_bytes) == (600, 0)


def test_what_is_no_longer_here_is_a_gap_and_counted():
    outbox = Outbox(EntryId(7, 0))
    count = 2 * TAIL_SAMPLES // 48_000
    outbox.put([chunk(100 * (index + 1)) for index in range(count)])
    for index in range(count):
        outbox.appended(answer(100 * (index + 1)))
    assert outbox.misplaced(EntryId(7, 300))
    assert outbox.next is not None
    assert outbox.lost_bytes == outbox.next.chunk.first_offset - 300
    assert outbox.lost_bytes > 0


def test_what_was_here_once_and_is_no_more_the_client_may_still_have():
    outbox = Outbox(EntryId(7, 100))
    outbox.put([chunk(end, samples=TAIL_SAMPLES + 1) for end in (200, 300, 400)])
    outbox.appended(answer(200))
    outbox.appended(answer(300))
    assert not outbox.misplaced(EntryId(7, 100), gaps=False)
    assert outbox.misplaced(EntryId(7, 200), gaps=False)  # all of it is here
    assert outbox.lost_bytes == 0


def test_where_the_client_may_still_have_it_nothing_is_left_out():
    outbox = Outbox(EntryId(7, 200))
    outbox.put([chunk(300), chunk(400)])
    outbox.appended(answer(300))
    assert not outbox.misplaced(EntryId(7, 100), gaps=False)
    assert (outbox.newest, outbox.lost_bytes) == (EntryId(7, 300), 0)
    outbox.settled(EntryId(7, 200), None)  # nothing is lost that lies in the bucket
    assert outbox.misplaced(EntryId(7, 100), gaps=False)
    assert outbox.lost_bytes == 0


@pytest.mark.parametrize("newest", [None, EntryId(7, 700), EntryId(8, 200), EntryId(7, 250)])
def test_anything_else_is_a_doubt(outbox, newest):
    assert not outbox.misplaced(newest)


def test_what_is_in_the_bucket_is_not_lost_with_redis():
    outbox = Outbox(EntryId(7, 0))
    count = 2 * TAIL_SAMPLES // 48_000
    outbox.put([chunk(100 * (index + 1)) for index in range(count)])
    for index in range(count):
        outbox.appended(answer(100 * (index + 1)))
    outbox.settled(EntryId(7, 400), None)
    assert outbox.misplaced(EntryId(7, 300))
    assert outbox.next is not None
    assert outbox.lost_bytes == outbox.next.chunk.first_offset - 400


@pytest.mark.parametrize(("stands", "lost"), [(None, 300), (250, 250), (100, 300), (900, 0)])
def test_what_a_session_that_cannot_go_on_had_acked_is_lost_but_for_the_bucket_and_redis(
    outbox, stands, lost
):
    outbox.settled(EntryId(7, 200), None)
    outbox.gone(stands)
    assert outbox.acked == 500
    assert outbox.lost_bytes == lost


def big(end: int) -> ReadyChunk:
    ready = chunk(end)
    return ReadyChunk(msgspec.structs.replace(ready.chunk, packets=(bytes(1_000),)), end)


def test_what_is_written_again_is_the_same_entry(outbox):
    first = chunk(600)
    outbox.put([first])
    outbox.appended(answer(600))
    for _ in range(2):  # lost, written again, and lost again
        assert outbox.misplaced(EntryId(7, 500))
        assert outbox.next is not None
        again = outbox.next
        assert again.chunk.encode() == first.chunk.encode()
        assert (again.end_offset, again.position, again.size) == (600, first.position, first.size)
        outbox.appended(answer(600))


def test_the_tail_is_bounded_in_bytes_and_what_it_no_longer_has_is_lost():
    outbox = Outbox(EntryId(7, 0))
    outbox.put([big(end) for end in range(100, 900, 100)])
    for end in range(100, 900, 100):
        outbox.appended(answer(end))
    assert outbox.kept_bytes == 8 * (1_000 + CHUNK_BYTES)
    outbox.keep_at_most(2_999)
    assert outbox.kept_bytes == 2 * (1_000 + CHUNK_BYTES)
    assert outbox.misplaced(EntryId(7, 100))
    assert outbox.next is not None
    assert (outbox.next.end_offset, outbox.lost_bytes) == (700, 500)


def test_without_room_no_tail_is_kept():
    outbox = Outbox(EntryId(7, 0))
    outbox.keep_at_most(0)
    outbox.put([big(100)])
    outbox.appended(answer(100))
    assert outbox.kept_bytes == 0


def test_while_acked_chunks_are_written_again_it_says_how_far_it_is(outbox):
    assert (outbox.rewriting, outbox.written) == (False, 500)
    assert outbox.misplaced(EntryId(7, 300))
    for end in (300, 400):
        assert (outbox.rewriting, outbox.written) == (True, end)
        outbox.appended(answer(end + 100))
    assert (outbox.rewriting, outbox.written) == (False, 500)
