"""Pages out of parts of a conversation hold what one page of the whole would: random conversations with whatever makes that hard."""

import random
from dataclasses import dataclass, field, replace

import msgspec
import pytest

from audiobus import Conversation, EntryId
from audiocodec.span import Span
from audiostore import facts as facts_of
from audiostore.batch import BatchFacts, fill
from audiostore.memory_store import MemoryStore
from audiostore.names import BatchName, conversation_prefix, timestamp
from audiostore.paired_store import PairedStore
from servicekit.metrics import Metrics
from storage_api.bucket import Bucket
from storage_api.chunk_list import find_page
from storage_api.chunk_page import Wanted, page_of
from storage_api.live_tail import LiveChunk, LiveTail
from storage_api.metrics import StorageMetrics
from storage_api.recording import Recordings
from storage_api.workers import Workers

CONVERSATION = Conversation("user-1", "conv-1")
PREFIX = conversation_prefix(*CONVERSATION)
BEGINNINGS = [1_700_000_000_000] * 6 + [999_999_960_000, 5_000, 1_000_000_030_000]
SEEDS = 120


class Quiet(Recordings):
    """Without Redis: the tail is what it is given."""

    tail: LiveTail | None = None

    def __init__(self, bucket) -> None:
        super().__init__(None, bucket)
        self.parts = 0

    async def part(self, conversation, stretch):
        self.parts += stretch is not None
        return await super().part(conversation, stretch)

    async def _tail(self, _conversation):
        return self.tail

    async def _went(self, _conversation):
        return False

    async def _deleted(self, _conversation):
        return frozenset()


class Over:
    """What the list of chunks needs of the services."""

    def __init__(self, store, workers) -> None:
        metrics = StorageMetrics(Metrics("storage-api", "test"))
        self.recordings = Quiet(Bucket(store, metrics, workers))

    async def protection_of(self, _recording):
        return "standard"


class Far(MemoryStore):
    """A bucket over a network: parts of a listing are asked for side by side."""

    lists_from_anywhere = True


@dataclass
class Maker:
    """Makes a conversation out of a seed. `now` is where the next object begins, at 48 kHz."""

    chance: random.Random
    store: PairedStore = field(default_factory=lambda: PairedStore(MemoryStore(), MemoryStore()))
    now: int = 0
    epoch: int = 1
    offset: int = 0
    run_ms: int = 0
    spans: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.run_ms = self.chance.choice(BEGINNINGS)
        self.now = self.run_ms * 48
        self.epoch = self.run_ms

    def span(self, samples: int) -> Span:
        """The next one of the session."""
        first, self.offset = self.offset, self.offset + samples // 3 + 1
        made = Span(
            CONVERSATION.cid, self.epoch, first, self.offset, self.run_ms,
            self.now - self.run_ms * 48, samples, 0, 0, first == 0, (),
        )  # fmt: skip
        self.now += samples
        self.spans.append(made)
        return made

    def session(self, at_48k: int) -> None:
        """Another one, that begins there."""
        self.run_ms, self.offset = at_48k // 48, 0
        self.epoch, self.now = max(self.epoch, self.run_ms) + 1, at_48k

    async def batch(self, *spans: Span, late_ms: int = 0, named_ms: int | None = None, home: bool = True):
        """An object of ours that holds these; `named_ms` is another start than its own."""
        start_ms = spans[0].start_ms if named_ms is None else named_ms
        end_ms = max(start_ms, spans[-1].end_ms + late_ms)
        counted = tuple((0, 1) for _ in spans)
        facts = BatchFacts(CONVERSATION.cid, "pcm16", 16_000, 1, 120, spans, counted, None)
        name = BatchName(*CONVERSATION, start_ms, end_ms).path
        await self.put(name, b"OggS", facts_of.metadata(facts, b"OggS"), home=home)

    async def put(self, name: str, data: bytes, metadata=None, *, home: bool = True) -> None:
        store = self.store.first if home else self.store.second
        if name not in store._objects:
            await store.put(name, data, content_type="audio/x", metadata=metadata or {})

    async def older(self, seconds: float, extension: str, data: bytes | None = None) -> None:
        pcm = bytes(round(seconds * 16_000) * 2) if data is None else data
        await self.put(f"{PREFIX}{timestamp(self.now // 48)}{extension}", pcm)

    def length(self) -> int:
        """Samples of a span: not always whole milliseconds."""
        return self.chance.choice([48_000, 960 * 7, 48_000 * 3 + 17, 48_000 * 20, 1_001])


async def ordinary(maker):
    await maker.batch(maker.span(maker.length()))


async def with_gap_before(maker):
    maker.now += maker.chance.choice([1, 30, 48, 480, 48_000, 48_000 * 200])
    await ordinary(maker)


async def several_runs(maker):
    made = [maker.span(maker.length())]
    for _ in range(maker.chance.randrange(1, 4)):
        maker.now += maker.chance.choice([0, 480, 48_000 * 5])
        following = maker.span(maker.length())
        if fill(made[-1], following) is None or following.end_48k - made[0].start_48k > 48_000 * 110:
            break
        made.append(following)
    await maker.batch(*made)


async def another_session_over_it(maker):
    at = maker.now - maker.chance.choice([0, 1, 960, 48_000, 48_000 * 30])
    maker.session(max(at, 0))
    await ordinary(maker)


async def another_session_beside_it(maker):
    """It begins with an object of the one before, which goes on; some are older than that."""
    former = maker.run_ms, maker.offset, maker.epoch, maker.now
    maker.run_ms, maker.offset, maker.now = maker.now // 48, 0, maker.now // 48 * 48
    maker.epoch = maker.epoch + 1 if maker.chance.random() < 0.5 else maker.chance.randrange(1, 1_000)
    await ordinary(maker)
    maker.run_ms, maker.offset, maker.epoch, maker.now = former
    await ordinary(maker)


async def the_same_twice(maker):
    if maker.spans:
        await maker.batch(maker.spans[-1], late_ms=1)


async def bytes_once_more(maker):
    """The same bytes under another time: of whatever was before."""
    if maker.spans:
        maker.now += maker.chance.choice([0, 48_000 * 200])
        former = maker.chance.choice(maker.spans)
        again = replace(former, run_start_ms=maker.now // 48 + 1, first_sample=0)
        await maker.batch(again)
        maker.now = again.end_48k


async def moved(maker):
    """Cannot be read: its name is another time's."""
    span = maker.span(maker.length())
    await maker.batch(span, named_ms=span.start_ms + maker.chance.choice([1, 500]))


async def older_pcm(maker):
    await maker.older(seconds := maker.chance.choice([0.5, 5.0, 0.0001]), ".bin")
    maker.now += round(seconds * 48_000)


async def older_and_long(maker):
    await maker.older(maker.chance.choice([150.0, 300.0]), maker.chance.choice([".bin", ".batch.bin"]))
    maker.now += 48_000 * maker.chance.choice([1, 150, 400])


async def older_that_cannot_be_read(maker):
    maker.now += maker.chance.choice([0, 48_000, 48_000 * 200])
    await maker.older(2, maker.chance.choice([".enc", ".opus.enc", ".opus", ".batch.enc"]))
    maker.now += maker.chance.choice([0, 960, 48_000 * 2])


async def older_with_two_times(maker):
    last = timestamp(maker.now // 48 + maker.chance.choice([0, 1_000, 900_000]))
    await maker.put(f"{PREFIX}{timestamp(maker.now // 48)}-{last}.batch.bin", bytes(32_000))
    maker.now += 48_000


async def in_the_second_bucket(maker):
    await maker.batch(maker.span(maker.length()), home=False)


async def in_both(maker):
    span = maker.span(maker.length())
    await maker.batch(span)
    other = replace(span, epoch=span.epoch + maker.chance.choice([0, 1]), first_offset=span.first_offset)
    await maker.batch(other, home=False)


async def no_audio(maker):
    await maker.put(f"{PREFIX}{timestamp(maker.now // 48)}.json", b"{}")


async def of_another_age(maker):
    at = maker.chance.choice(["5.000", "170000000.500", "17000000000.000", "0900000000.000"])
    await maker.put(f"{PREFIX}{at}.bin", bytes(32_000))


KINDS = [
    with_gap_before, several_runs, in_the_second_bucket, no_audio, another_session_over_it, another_session_beside_it,
    older_pcm, older_and_long, older_that_cannot_be_read, the_same_twice, bytes_once_more, moved, older_with_two_times,
    in_both, of_another_age,
]  # fmt: skip


def tail_of(maker: Maker) -> LiveTail | None:
    """What waits: it goes on, begins anew, or lies in the last object too."""
    chance, waiting = maker.chance, []
    how = chance.randrange(5)
    if how == 4:  # and others were stored since
        maker.session(chance.choice(maker.spans).end_48k - chance.choice([960, 48_000]))
    if how == 1 and maker.spans:
        waiting.append(maker.spans[-1])
    if how == 2:
        maker.session(maker.now + chance.choice([0, 48_000, -960]))
    if how:
        waiting += [maker.span(48_000) for _ in range(chance.randrange(1, 4))]
    chunks = tuple(
        LiveChunk(EntryId(span.epoch, span.end_offset), 16_000, 1, span, empty=False) for span in waiting
    )
    return LiveTail(None, chunks) if how != 3 else None


async def made(seed: int, workers) -> Over:
    chance = random.Random(seed)
    kind = Far if seed % 2 else MemoryStore
    maker, kinds = Maker(chance, PairedStore(kind(), kind())), chance.sample(KINDS, chance.randrange(1, 4))
    await ordinary(maker)
    for _ in range(chance.randrange(3, 30)):
        await (chance.choice(kinds) if chance.random() < 0.6 else ordinary)(maker)
    over = Over(maker.store, workers)
    over.recordings.tail = tail_of(maker)
    return over


async def walk(over: Over, window, size: int, place=None) -> tuple[list, list]:
    """All pages; each is compared with the same page out of the whole."""
    chunks, gaps = [], []
    while True:
        wanted = Wanted(window, place, size)
        _, page = await find_page(over, CONVERSATION, wanted)
        same = page_of(await over.recordings.find(CONVERSATION), "standard", wanted)
        assert (page.chunks, page.gaps) == (same.chunks, same.gaps), place
        assert len(page.chunks) == size or page.place is None
        chunks += page.chunks
        gaps += page.gaps
        place = page.place
        if place is None:
            return chunks, gaps


@pytest.fixture(scope="module")
def workers():
    opened = Workers()
    yield opened
    opened.close()


async def test_pages_of_every_size_are_the_whole_list(workers, monkeypatch):
    monkeypatch.setattr("storage_api.listing.PART_NAMES", 4)
    monkeypatch.setattr("storage_api.listing.MEANT_NAMES", 3.8)
    parts = 0
    for seed in range(SEEDS):
        over = await made(seed, workers)
        whole = await over.recordings.find(CONVERSATION)
        chance = random.Random(-seed)
        row = chance.choice(whole.objects)
        windows = [(None, None), (row.start_48k, None), (None, row.end_48k)]
        for window in windows if seed % 4 == 0 else windows[:1]:
            every = page_of(whole, "standard", Wanted(window, None, 1_000))
            for size in (1, 4):
                walked = await walk(over, window, size)
                assert walked == (every.chunks, every.gaps), (seed, window, size)
        parts += over.recordings.parts
    assert parts > 500


class Counting(MemoryStore):
    """Counts what is listed."""

    calls = names = 0

    async def list(self, prefix, after=""):
        self.calls += 1
        async for info in super().list(prefix, after):
            self.names += 1
            yield info


async def long_one(workers, odd=None) -> tuple[Over, Counting]:
    """Of 1,500 objects of a second, one after another; `odd` makes one more in the midst of it."""
    store = Counting()
    maker = Maker(random.Random(0), PairedStore(store, MemoryStore()))
    maker.session(1_700_000_000_000 * 48)
    for number in range(1_500):
        if number == 700 and odd is not None:
            await odd(maker)
        await maker.batch(maker.span(48_000))
    return Over(store, workers), store


@pytest.mark.parametrize("size", [1, 100])
async def test_a_page_lists_what_it_needs(workers, size):
    over, store = await long_one(workers)
    place, shown = None, 0
    while shown < 300:
        calls, names = store.calls, store.names
        _, page = await find_page(over, CONVERSATION, Wanted((None, None), place, size))
        shown += len(page.chunks)
        if place is not None:
            # Two minutes before it, the one at its place, the one after it, and one more that ends the listing.
            assert (store.calls - calls, store.names - names <= size + 120 + 3) == (1, True)
        place = page.place


async def test_a_page_with_a_long_older_object_lists_from_there(workers):
    over, store = await long_one(workers, older_and_long)
    place = None
    for _ in range(15):
        calls, names = store.calls, store.names
        _, page = await find_page(over, CONVERSATION, Wanted((None, None), place, 100))
        if place is not None:
            assert (store.calls - calls, store.names - names <= 100 + 120 + 3 + 300) == (1, True)
        place = page.place


async def test_what_cannot_be_told_from_a_part_is_told_from_all(workers):
    """The other end of a gap lies far behind the page; or the token knows of no part."""
    over, store = await long_one(workers)
    _, page = await find_page(over, CONVERSATION, Wanted((None, None), None, 100))
    for former in (None, page.place.watershed_48k + 1, page.place.watershed_48k - 48_000 * 100_000):
        names = store.names
        place = msgspec.structs.replace(page.place, watershed_48k=former)
        _, second = await find_page(over, CONVERSATION, Wanted((None, None), place, 100))
        assert store.names - names >= 1_500
        assert [chunk.path for chunk in second.chunks] == sorted(store._objects)[100:200]
        assert second.place.watershed_48k is not None


async def test_what_comes_into_a_gap_between_two_pages_is_on_the_next(workers):
    maker = Maker(random.Random(0))
    maker.session(1_700_000_000_000 * 48)
    for _ in range(10):
        await maker.batch(maker.span(48_000 * 60))
    gap = maker.now
    maker.session(gap + 48_000 * 600)
    for _ in range(10):
        await maker.batch(maker.span(48_000 * 60))
    over = Over(maker.store, workers)
    _, first = await find_page(over, CONVERSATION, Wanted((None, None), None, 10))
    maker.session(gap + 48_000 * 60)
    await maker.batch(maker.span(48_000 * 60))
    chunks, _ = await walk(over, (None, None), 10, first.place)
    assert len({chunk.path for chunk in first.chunks + chunks}) == 21
