"""Objects that do not come as they were stored: the store says so by a wrong checksum, be it the object or the line."""

import pytest

from audiostore import open_store
from audiostore.errors import ChecksumError, TransientStoreError
from audiostore.paired_store import PairedStore
from storage_api.bucket import Bucket
from storage_api.errors import UnreadableError

WHO = ("user-1", "conv-1")
OPUS = b"\1\0\0\0\x80\2\0\0\1\0\x48"


class Garbling:
    """A store behind which some objects are damaged, or the line to them is."""

    def __init__(self, real, bad=(), error=ChecksumError) -> None:
        self._real = real
        self.bad = set(bad)
        self.error = error
        self.times: int | None = None
        """So often yet; None for ever."""

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def get(self, name):
        if name in self.bad and self.times != 0:
            self.times = self.times and self.times - 1
            raise self.error("the bytes that came do not have the size and CRC32C that were stored")
        return await self._real.get(name)


@pytest.fixture(autouse=True)
def once(monkeypatch):
    monkeypatch.setattr("storage_api.patience.READ_TRIES", 1)


@pytest.fixture
async def second(tmp_path):
    opened = open_store(f"file://{tmp_path}/second")
    yield opened
    await opened.close()


@pytest.fixture
async def halves(tape, speech):
    """Names of the objects of the first 10 s of 20, and of the rest."""
    await tape.record(speech[: 20 * 32_000])
    return await tape.drain(0, 10), await tape.drain(10, len(tape.chunks))


async def put(store, name, data):
    await store.put(name, data, content_type="x/y", metadata={})


@pytest.mark.parametrize("ahead", [True, False])
async def test_what_lies_beside_is_heard(
    *, serve, one_bus, halves, store, second, conversation, tmp_path, ahead, monkeypatch
):
    if not ahead:
        monkeypatch.setattr("storage_api.audio_plan.AHEAD_BYTES", 0)
    for name in halves[0]:
        await put(second, name, await store.get(name))
    garbling = Garbling(store)
    async with serve(one_bus, PairedStore(garbling, second), tmp_path) as both:
        before = await both.pcm(conversation)
        garbling.bad = set(halves[0])
        assert await both.pcm(conversation) == before
        rows = (await both.get(conversation, "/chunks")).json()["chunks"]
        assert [row["unreadable"] for row in rows if row["unreadable"]] == []
        # Nothing is believed of the first one's: it may have been the line, and now it is the other's.
        garbling.bad = set()
        for name in halves[0]:
            await second.delete(name)
            await put(second, name, bytes(100))
        assert await both.pcm(conversation) == before


async def test_where_both_do_not_come_it_is_missing_and_soon_tried_again(
    store, second, metrics, workers, halves
):
    now_s = 0.0
    for name in halves[0]:
        await put(second, name, await store.get(name))
    first, other = (Garbling(one, halves[0]) for one in (store, second))
    bucket = Bucket(PairedStore(first, other), metrics, workers, clock=lambda: now_s)
    found = await bucket.objects(*WHO)
    with pytest.raises(UnreadableError):
        await bucket.batch(found[0])
    assert (await bucket.objects(*WHO))[0].reason == "damaged"
    other.bad = set()
    assert (await bucket.objects(*WHO))[0].reason == "damaged"
    now_s += 60
    row = (await bucket.objects(*WHO))[0]
    assert (row.reason, row.second) == (None, True)
    assert (await bucket.batch(row)).spans


async def test_one_object_is_missing_and_the_rest_is_heard(
    *, serve, one_bus, halves, store, conversation, tmp_path
):
    garbling = Garbling(store)
    async with serve(one_bus, garbling, tmp_path) as api:
        before = await api.pcm(conversation)
        garbling.bad = set(halves[0])
        answer = await api.get(conversation, "/audio", format="pcm", strict="true")
        assert (answer.status_code, answer.json()["code"]) == (502, "incomplete")
        answer = await api.get(conversation, "/audio", format="pcm")
        assert (answer.status_code, answer.headers["tapedeck-missing"]) == (200, str(len(halves[0])))
        assert len(answer.content) == len(before) * 2
        assert answer.content[-9 * 32_000 :] == before.tobytes()[-9 * 32_000 :]
        rows = (await api.get(conversation, "/chunks")).json()["chunks"]
        reasons = {row["path"]: row["unreadable"] for row in rows}
        assert reasons == dict.fromkeys(halves[0], "damaged") | dict.fromkeys(halves[1])


async def test_a_bucket_that_is_away_is_no_missing_object(
    *, serve, one_bus, halves, store, conversation, tmp_path
):
    away = Garbling(store, halves[0], TransientStoreError)
    async with serve(one_bus, away, tmp_path) as api:
        answer = await api.get(conversation, "/audio", format="pcm")
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        away.bad = set()
        assert (await api.get(conversation, "/audio", format="pcm")).headers["tapedeck-missing"] == "0"


async def test_a_line_that_garbles_now_and_then_is_no_damage(store, metrics, workers, halves, monkeypatch):
    monkeypatch.setattr("storage_api.patience.READ_TRIES", 3)
    garbling = Garbling(store, halves[0])
    bucket = Bucket(garbling, metrics, workers)
    found = await bucket.objects(*WHO)
    garbling.times = 2
    assert (await bucket.batch(found[0])).spans
    assert garbling.times == 0
    assert [row.reason for row in await bucket.objects(*WHO)] == [None] * len(found)


@pytest.mark.parametrize("url", ["file", "memory"])  # no checksum in a listing, and one that is told
async def test_it_is_believed_for_a_minute_whatever_its_checksum_says(store, metrics, workers, halves, url):
    if url == "memory":
        memory = open_store("memory:")
        for name in (*halves[0], *halves[1]):
            await put(memory, name, await store.get(name))
        store = memory
    now_s = 0.0
    garbling = Garbling(store, halves[0])
    bucket = Bucket(garbling, metrics, workers, clock=lambda: now_s)
    well = await bucket.objects(*WHO)
    with pytest.raises(UnreadableError):
        await bucket.batch(well[0])
    for _ in range(2):  # doubted after a minute, read again, and refused again
        now_s += 60
        row = (await bucket.objects(*WHO))[0]
        assert (row.reason, row.start_48k, row.end_48k) == ("damaged", well[0].start_48k, well[0].end_48k)
    garbling.bad = set()
    assert (await bucket.objects(*WHO))[0].reason == "damaged"
    now_s += 60
    assert await bucket.objects(*WHO) == well


async def test_an_older_object_that_must_be_read_to_know_it_is_a_row_with_its_reason(store, metrics, workers):
    names = [f"chunks/user-1/conv-1/{number}.000.opus" for number in (1, 2)]
    for name in names:
        await put(store, name, OPUS)
    garbling = Garbling(store, names[:1])
    bucket = Bucket(garbling, metrics, workers)
    rows = await bucket.objects(*WHO)
    assert [row.reason for row in rows] == ["damaged", None]
    garbling.bad = set(names)
    with pytest.raises(UnreadableError):
        await bucket.older(rows[1])
    assert [row.reason for row in await bucket.objects(*WHO)] == ["damaged", "damaged"]
