"""However much there is to list, the event loop is there for others: long work is done in short turns, or in threads."""

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest

from audiobus import Conversation
from audiostore.legacy import parse_audio_name
from audiostore.memory_store import MemoryStore
from audiostore.store import ObjectInfo
from audiostore.waveform_names import waveform_name
from storage_api.bucket import Bucket
from storage_api.catalogue import read_catalogue
from storage_api.fetching import LOOKS_AT_ONCE
from storage_api.listing import list_objects
from storage_api.pcm_rendering import PcmForm
from storage_api.recording import Recording
from storage_api.turns import RUNNERS, TURN, by_turns, in_turns, side_by_side
from storage_api.waveforms.drawing import Drawing
from storage_api.waveforms.keeping import Keeper
from storage_api.waveforms.kept_peaks import KeptPeaks
from storage_api.waveforms.pixels import Pixels

MANY = 10 * TURN


@asynccontextmanager
async def turns_of_others():
    """How often others had their turn inside; a list of one number."""
    counted = [0]

    async def other():
        while True:
            counted[0] += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await asyncio.sleep(0)
    yield counted
    task.cancel()


@pytest.mark.parametrize("count", [0, 1, TURN - 1, TURN, TURN + 1, MANY])
async def test_all_come_in_order_and_others_in_between(count):
    async with turns_of_others() as turns:
        assert [one async for one in in_turns(range(count))] == list(range(count))
        assert [one async for some in by_turns(range(count)) for one in some] == list(range(count))
    assert turns[0] >= count // (TURN + 1)


@pytest.mark.parametrize("count", [0, 1, RUNNERS, RUNNERS + 1, MANY])
async def test_each_is_done_once_and_others_come_in_between(count):
    done = []

    async def work(one):
        done.append(one)

    async with turns_of_others() as turns:
        await side_by_side(range(count), work)
    assert sorted(done) == list(range(count))
    assert turns[0] >= count // RUNNERS


async def test_so_many_wait_at_the_same_time_and_an_error_ends_all():
    waiting, gate = 0, asyncio.Event()

    async def work(one):
        nonlocal waiting
        waiting += 1
        try:
            await gate.wait()
            raise KeyError(one)
        finally:
            waiting -= 1

    working = asyncio.create_task(side_by_side(range(MANY), work))
    while waiting < RUNNERS:
        await asyncio.sleep(0)
    assert waiting > LOOKS_AT_ONCE  # the bucket bounds itself
    gate.set()
    with pytest.raises(KeyError):
        await working
    assert not waiting


@pytest.mark.parametrize("told", [False, True])
async def test_a_long_listing_is_judged_in_turns(api, store, told):
    """At first, where each object is looked at, and once all is known."""
    info = await store.put("chunks/u/c/1.000.bin", bytes(32), content_type="audio/x", metadata={})
    infos = [
        ObjectInfo(f"chunks/u/c/{number}.000.bin", info.size, number, {"other": "x"} if told else None)
        for number in range(1, MANY + 1)
    ]
    listed = [(parse_audio_name(one.name), one) for one in infos]
    for _ in range(2):
        async with turns_of_others() as turns:
            judged = await api.services.bucket.with_facts(listed)
        assert [one.info for one in judged.objects] == infos
        assert turns[0] >= 2 * MANY // TURN


class Prompt(MemoryStore):
    """Tells many objects without a pause: as when the parts of a listing have all come."""

    async def list(self, prefix, after=""):
        for number in range(1, MANY + 1):
            yield ObjectInfo(f"chunks/user-1/c/{number}.000.bin", 32_000, number, None)


async def test_names_that_come_at_once_are_taken_in_turns():
    async with turns_of_others() as turns:
        listing = await list_objects(Prompt(), "chunks/user-1/c/", None)
    assert len(listing.listed) == MANY
    assert turns[0] >= MANY // TURN


async def test_so_are_those_of_all_conversations(api):
    bucket = Bucket(Prompt(), api.services.metrics, api.services.workers)
    async with turns_of_others() as turns:
        catalogue = await read_catalogue(
            api.services.bus, bucket, "user-1", api.services.recordings.letters, asked=False
        )
    assert catalogue.entries["c"].objects == MANY
    assert turns[0] >= MANY // TURN


async def test_kept_waveforms_are_joined_in_turns(api):
    """And what is kept of what is sorted."""
    bucket, conversation = (
        Bucket(Prompt(), api.services.metrics, api.services.workers),
        Conversation("user-1", "c"),
    )
    recording = Recording(conversation, None, tuple(await bucket.objects(*conversation)))
    pixels = Pixels.of(PcmForm(16_000, 1), 1024, *recording.extent_48k)
    keeper = Keeper(
        bucket.store,
        bucket.keys.ring,
        api.services.bus,
        conversation,
        api.services.metrics,
        clear=True,
        puts=False,
    )
    names = [waveform_name(stored.info.name, sealed=False) for stored in recording.objects]
    async with turns_of_others() as turns:
        await keeper.sort(names, recording.objects)
    assert turns[0] >= MANY // TURN
    drawing = Drawing(api.services, recording, pixels, keeper)
    kept, since, most = KeptPeaks(pixels.form, 0, b"", bytes(32)), 0, 0

    async def other():
        nonlocal since
        while True:
            since = 0
            await asyncio.sleep(0)

    def counted(*_) -> None:
        nonlocal since, most
        since += 1
        most = max(most, since)

    async def read(*_):
        return kept

    drawing.row.add, keeper.read = counted, read
    task = asyncio.create_task(other())
    assert await drawing._add_kept() == []
    task.cancel()
    assert 0 < most <= TURN


@pytest.fixture
def elsewhere(monkeypatch):
    """Notes where these are called; a set of their names is what was."""
    loop, seen = threading.get_ident(), set()

    def watched(module: str, name: str) -> None:
        real = getattr(__import__(module, fromlist=[name]), name)

        def noted(*args, **kwargs):
            assert threading.get_ident() != loop, name
            seen.add(f"{module.rpartition('.')[2]}.{name}")
            return real(*args, **kwargs)

        monkeypatch.setattr(f"{module}.{name}", noted)

    watched("storage_api.recording", "timeline")
    watched("storage_api.live_tail", "parse_entries")
    watched("storage_api.live_tail", "absorbed")
    watched("storage_api.chunk_page", "chunk_rows")
    watched("storage_api.chunk_list", "page_of_all")
    watched("storage_api.recordings", "chunk_rows")
    watched("storage_api.recordings", "stretches")
    watched("storage_api.conversations", "summary")
    watched("storage_api.usage", "by_day")
    return seen


async def test_what_takes_long_for_a_list_is_done_in_a_thread(api, tape, conversation, pcm_tone, elsewhere):
    await tape.record(pcm_tone(6))
    await tape.drain(0, 3)
    common = {"recording.timeline", "live_tail.parse_entries", "live_tail.absorbed"}
    lists = f"/v1/users/{conversation.uid}"
    for path, called in (
        (api.path(conversation, "/chunks"), {"chunk_page.chunk_rows", "chunk_list.page_of_all"} | common),
        (api.path(conversation, "/recordings"), {"recordings.chunk_rows", "recordings.stretches"} | common),
        (api.path(conversation), {"conversations.summary"} | common),
        (lists + "/conversations", {"conversations.summary"} | common),
        (lists + "/usage?from=2023-11-14&to=2023-11-15", {"usage.by_day"}),
    ):
        elsewhere.clear()
        answer = await api.http.get(path, headers={"Authorization": "Bearer all-token"})
        assert answer.status_code == 200, answer.text
        assert elsewhere == called
    assert await api.pcm(Conversation(*conversation))
