"""A part is cut out of an object while the conversation is listed, its parts side by side: nobody is told less than what is left."""

import asyncio

import pytest

from audiostore.names import timestamp
from storage_api.listing import LISTINGS, Stretch

T0 = 1_700_000_000_000
NAMES = 4
"""That a call gives."""
LONG, SHORT = 4, 44
"""Objects of 4 seconds; and those of one second that follow, more than were expected."""
WHOLE_S = LONG * 4 + SHORT


class Paged:
    """A store over a network. What happens meanwhile does so when the second part has its first names, before the one before it goes on."""

    lists_from_anywhere = True

    def __init__(self, store) -> None:
        self._store = store
        self.meanwhile = None
        self.border = ""
        self._began = asyncio.Event()

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def list(self, prefix, after=""):
        if after > f"{prefix}{timestamp(T0)}" and not after.endswith(".bin"):
            self.border = self.border or after
        while True:
            page = [info async for info in self._store.list(prefix, after)][:NAMES]
            if after == self.border:
                self._began.set()
            for info in page:
                yield info
            if len(page) < NAMES:
                return
            after = page[-1].name
            if self.meanwhile and self.border > after:
                happen, self.meanwhile = self.meanwhile, None
                await self._began.wait()
                await happen()


@pytest.fixture
async def paged(store, tape, pcm_tone, monkeypatch):
    monkeypatch.setattr("storage_api.listing.PART_NAMES", NAMES)
    monkeypatch.setattr("storage_api.listing.MEANT_NAMES", 3.2)
    await tape.record(pcm_tone(WHOLE_S))
    at = 0
    for seconds in [4] * LONG + [1] * (SHORT - 1):
        await tape.drain(at, at + seconds)
        at += seconds
    await tape.drain(at, len(tape.chunks))
    return Paged(store)


@pytest.mark.parametrize("stretch", [None, Stretch(T0, T0, 1_000, 8_000_000)], ids=["all", "a part"])
async def test_what_is_left_of_an_object_across_a_border_is_in_the_answer(
    serve, one_bus, paged, tmp_path, conversation, cutter, stretch
):
    async with serve(one_bus, paged, tmp_path) as api:
        happened = []

        async def cut():
            border_s = (int(paged.border.split("/")[-1].replace(".", "")) - T0) / 1000
            answer = await cutter.stretch(api, border_s - 0.7, border_s + 0.15)
            happened.append(answer.status_code)

        paged.meanwhile = cut
        recording = await api.services.recordings.part(conversation, stretch)
        assert happened == [200]
        left = await api.services.recordings.look(conversation)
        assert WHOLE_S - 1 < left.timeline.samples / 48_000 < WHOLE_S
        assert recording.timeline.samples >= left.timeline.samples


async def test_who_cuts_or_deletes_lists_one_name_after_another(
    serve, one_bus, paged, tmp_path, conversation
):
    async with serve(one_bus, paged, tmp_path) as api:
        assert len(await api.services.bucket.objects(*conversation)) == LONG + SHORT
        assert not paged.border


async def test_where_redis_is_away_it_is_listed_so_too(serve, one_bus, paged, tmp_path, conversation):
    async with serve(one_bus, paged, tmp_path) as api:
        assert len((await api.services.recordings.look_without_redis(conversation)).objects) == LONG + SHORT
        assert not paged.border


async def test_where_a_note_cannot_be_understood_it_is_listed_so_too(
    serve, one_bus, paged, tmp_path, conversation
):
    async with serve(one_bus, paged, tmp_path) as api:
        await one_bus.command("HSET", one_bus.keys.gone(conversation), "some name", "some day")
        assert len((await api.services.recordings.look(conversation)).objects) == LONG + SHORT
        assert not paged.border


async def test_what_is_cut_beside_a_note_that_cannot_be_understood_is_in_the_answer(
    serve, one_bus, paged, tmp_path, conversation, cutter
):
    """The note came meanwhile: the parts that were listed by then may have passed what is left."""
    async with serve(one_bus, paged, tmp_path) as api:
        happened = []

        async def cut():
            border_s = (int(paged.border.split("/")[-1].replace(".", "")) - T0) / 1000
            happened.append((await cutter.stretch(api, border_s - 0.7, border_s + 0.15)).status_code)
            await one_bus.command("HSET", one_bus.keys.gone(conversation), "some name", "some day")

        paged.meanwhile = cut
        recording = await api.services.recordings.look(conversation)
        assert happened == [200]
        assert WHOLE_S - 1 < recording.timeline.samples / 48_000 < WHOLE_S


async def test_names_that_come_at_each_look_end_in_an_answer(
    serve, one_bus, paged, tmp_path, conversation, monkeypatch
):
    async with serve(one_bus, paged, tmp_path) as api:
        looks = 0

        async def another(*_):
            nonlocal looks
            looks += 1
            return frozenset({f"a name of look {number}" for number in range(looks)})

        monkeypatch.setattr(api.services.recordings, "_deleted", another)
        recording = await api.services.recordings.look(conversation)
        assert len(recording.objects) == LONG + SHORT
        assert looks == 1 + LISTINGS


async def test_after_the_listing_tombstone_and_names_are_asked_for_side_by_side(
    serve, one_bus, paged, tmp_path, conversation, monkeypatch
):
    """Where Redis hangs each takes seconds. And where it went away meanwhile, the answer says so: nobody knows what was cut beside the listing."""
    async with serve(one_bus, paged, tmp_path) as api:
        recordings, both = api.services.recordings, asyncio.Barrier(2)

        async def names(_):
            await both.wait()

        async def tombstone(_):
            await both.wait()
            return False

        before = await recordings._known_to_redis(conversation)
        monkeypatch.setattr(recordings, "_went", tombstone)
        monkeypatch.setattr(recordings, "_deleted", names)
        async with asyncio.timeout(60):
            recording = await recordings._found(conversation, *before)
        assert before[0] is not None
        assert recording.tail is None
        assert len(recording.objects) == LONG + SHORT
