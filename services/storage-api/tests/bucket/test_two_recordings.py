"""Two recordings under one name, one in each bucket: as when another of the same start and end was stored at home meanwhile."""

import asyncio
import dataclasses

import pytest

from audiostore import open_store
from audiostore.batch import read_batch, write_batch
from audiostore.memory_store import MemoryStore
from audiostore.names import CONTENT_TYPE, parse_name
from audiostore.paired_store import PairedStore, copy_over
from storage_api.bucket import Bucket
from tapedeck_testing.switched_store import Switched

WHO = ("user-1", "conv-1")


@pytest.fixture
async def second(tmp_path):
    opened = open_store(f"file://{tmp_path}/second")
    yield opened
    await opened.close()


@pytest.fixture
async def name(tape, tape_for, conversation, second, speech, pcm_tone, store):
    """Of 10 s of speech in the second bucket, and of 3 s of a tone, of another session that began with it, in the first."""
    other = tape_for(conversation)
    await other.record(pcm_tone(3))
    [there] = await other.drain(0, len(other.chunks))
    await tape.record(speech[: 10 * 32_000])
    tape.store = second
    [here] = await tape.drain(0, len(tape.chunks))
    await copy_over(store, store, there, here)
    await store.delete(there)
    return here


def a_ms_later(name):
    parsed = parse_name(name)
    return dataclasses.replace(parsed, end_ms=parsed.end_ms + 1).path


async def put(store, name, data):
    await store.put(name, data, content_type=CONTENT_TYPE, metadata={})


@pytest.fixture
async def wanted(serve, one_bus, store, second, name, conversation, tmp_path):
    """What is heard where the two have names of their own in one bucket."""
    one = MemoryStore()
    await copy_over(store, one, name, name)
    await copy_over(second, one, name, a_ms_later(name))
    async with serve(one_bus, one, tmp_path) as alone:
        heard = await alone.pcm(conversation)
    assert len(heard) == 10 * 16_000
    return heard


async def rows_of(api, conversation, **query):
    return (await api.get(conversation, "/chunks", **query)).json()["chunks"]


async def test_both_are_listed_and_heard(
    *, serve, one_bus, store, second, name, conversation, tmp_path, wanted
):
    async with serve(one_bus, PairedStore(store, second), tmp_path) as both:
        for _ in range(2):
            assert await both.pcm(conversation) == wanted
        rows = await rows_of(both, conversation)
        sizes = [len(await one.get(name)) for one in (store, second)]
        assert [(row["path"], row["size"], row["unreadable"]) for row in rows] == [
            (name, size, None) for size in sizes
        ]
        assert {row["duration_ms"] for row in rows} == {3_000, 10_000}
        summary = (await both.get(conversation)).json()
        assert (summary["chunks"], summary["bytes"], summary["recorded_seconds"]) == (2, sum(sizes), 10.0)
        # Both begin at this time.
        assert await both.pcm(conversation, timestamps=rows[0]["timestamp"]) == wanted
        # Home it comes under another name, for its own is taken.
        await copy_over(second, store, name, a_ms_later(name))
        assert await both.pcm(conversation) == wanted
        await second.delete(name)
        assert await both.pcm(conversation) == wanted
        assert len(await rows_of(both, conversation)) == 2


async def test_a_page_of_one_gives_each_once(
    *, serve, one_bus, store, second, name, conversation, tmp_path, wanted
):
    async with serve(one_bus, PairedStore(store, second), tmp_path) as both:
        every, token = [], {}
        while True:
            page = (await both.get(conversation, "/chunks", page_size="1", **token)).json()
            every += page["chunks"]
            if page["next_page_token"] is None:
                break
            token = {"page_token": page["next_page_token"]}
        assert every == await rows_of(both, conversation)
        assert len(every) == 2


async def test_a_damaged_one_is_missing_and_the_other_is_heard(
    *, serve, one_bus, store, second, name, conversation, tmp_path, wanted
):
    data = await store.get(name)
    await store.delete(name)
    await put(store, name, data[:2000] + bytes(len(data) - 2000))
    async with serve(one_bus, second, tmp_path) as alone:
        speech = await alone.pcm(conversation)
    async with serve(one_bus, PairedStore(store, second), tmp_path) as both:
        for _ in range(2):
            answer = await both.get(conversation, "/audio", format="pcm")
            assert (answer.status_code, answer.headers["tapedeck-missing"]) == (200, "1")
            assert answer.content == speech.tobytes()
            reasons = [row["unreadable"] for row in await rows_of(both, conversation)]
            assert reasons == ["not_a_batch", None]


@pytest.mark.usefixtures("files_without_metadata")
async def test_the_same_runs_in_another_file_are_one(store, second, name, metrics, workers, new_counting):
    await store.delete(name)
    batch = read_batch(await second.get(name))
    await put(store, name, write_batch(dataclasses.replace(batch, source="of_another_writer")))
    first, counted = new_counting(store), new_counting(second)
    bucket = Bucket(PairedStore(first, counted), metrics, workers)
    for _ in range(2):
        [row] = await bucket.objects(*WHO)
        assert (row.second, row.reason) == (False, None)
    # A look at each, once.
    assert first.asked == counted.asked == ["get_range"]


async def test_where_size_and_checksum_are_the_same_no_second_look_is_taken(
    second, name, metrics, workers, new_counting
):
    first, counted = (new_counting(MemoryStore()) for _ in range(2))
    for one in (first, counted):
        await put(one, name, await second.get(name))
    bucket = Bucket(PairedStore(first, counted), metrics, workers)
    [row] = await bucket.objects(*WHO)
    assert (row.second, row.reason, counted.asked) == (False, None, [])


class _Slow(Switched):
    """Deletes nothing until it may."""

    def __init__(self, real) -> None:
        super().__init__(real)
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def delete(self, name):
        self.asked.set()
        await self.may.wait()
        await self.real.delete(name)


class _Torn(PairedStore):
    """Something happens within a listing: what was listed before it is as it was then, and the second bucket's page of the rest as it is afterwards."""

    happen = None

    async def list(self, prefix, after=""):
        if self.happen is None:
            async for info in super().list(prefix, after):
                yield info
            return
        happen, self.happen = self.happen, None
        listed = [info async for info in super().list(prefix, after)]
        await happen()
        there = {info.name async for info in self.second.list(prefix, after)}
        for info in listed:
            yield info if info.name in there else dataclasses.replace(info, beside=None)


async def test_what_is_cut_while_only_one_of_the_two_is_deleted_yet_is_heard_of_both(
    *, serve, one_bus, store, second, name, conversation, tmp_path, wanted
):
    """A part of the listing passed what is left before it was put, and another named what the first bucket still had."""
    slow = _Slow(store)
    torn = _Torn(slow, second)
    async with serve(one_bus, torn, tmp_path) as api:
        before = await api.services.recordings.look(conversation)
        assert {one.key for one in before.objects} == {(name, False), (name, True)}
        cuts = []

        async def cut() -> None:
            start_ms = parse_name(name).start_ms + 1_000
            query = {"start": f"{start_ms / 1000:.3f}", "end": f"{start_ms / 1000 + 1:.3f}"}
            headers = {"Authorization": "Bearer all-token"}
            path = api.path(conversation, "/audio")
            cuts.append(asyncio.create_task(api.http.delete(path, params=query, headers=headers)))
            await slow.asked.wait()

        torn.happen = cut
        meanwhile = await api.services.recordings.look(conversation)
        slow.may.set()
        assert (await cuts[0]).status_code == 200
        left = await api.services.recordings.look(conversation)
        assert {one.info.name for one in left.objects}.isdisjoint({name})
        spans = {(piece.span.epoch, piece.span.first_offset, piece.span.end_offset) for piece in left.pieces}
        assert len({epoch for epoch, _, _ in spans}) == 2
        found = {
            (piece.span.epoch, piece.span.first_offset, piece.span.end_offset) for piece in meanwhile.pieces
        }
        assert spans <= found
