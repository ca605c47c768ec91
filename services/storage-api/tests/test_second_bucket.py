"""Audio that lies in two buckets, because the first was away for a while: readers hear it whole, also while it is moved home."""

import dataclasses

import pytest

from audiocodec.ogg import read_ogg_headers
from audiostore import facts as facts_of
from audiostore import open_store
from audiostore.batch import batch_facts
from audiostore.errors import TransientStoreError
from audiostore.memory_store import MemoryStore
from audiostore.names import CONTENT_TYPE, parse_name
from audiostore.paired_store import PairedStore, copy_over


@pytest.fixture
async def second(tmp_path):
    opened = open_store(f"file://{tmp_path}/second")
    yield opened
    await opened.close()


@pytest.fixture
async def stored(tape, second, speech):
    """Forty seconds of speech, every other batch in the second bucket; the names of those."""
    await tape.record(speech[: 40 * 32_000])
    first, away = tape.store, []
    for number in range(0, 40, 5):
        tape.store = second if number % 2 else first
        names = await tape.drain(number, len(tape.chunks) if number == 35 else number + 5)
        away += names if number % 2 else []
    tape.store = first
    return away


async def test_audio_in_two_buckets_is_one_recording_also_while_it_is_moved_home(
    serve, one_bus, store, second, stored, conversation, tmp_path
):
    assert len(stored) == 4
    async with serve(one_bus, PairedStore(store, second), tmp_path) as both:
        before = await both.pcm(conversation)
        assert len(before) == 40 * 16_000
        rows = (await both.get(conversation, "/chunks")).json()
        assert len(rows["chunks"]) == 8
        for name in stored:
            await copy_over(second, store, name, name)
            assert await both.pcm(conversation) == before  # it lies in both, and is played once
            await second.delete(name)
            assert await both.pcm(conversation) == before
    async with serve(one_bus, store, tmp_path) as alone:
        assert await alone.pcm(conversation) == before


DAMAGE = {
    "cut short in its head": lambda data: data[:100],
    "zeros": lambda data: data[:2000] + bytes(len(data) - 2000),
    "one bit": lambda data: data[:50] + bytes([data[50] ^ 1]) + data[51:],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("tells", [True, False], ids=["metadata", "none"])
async def test_a_damaged_object_hides_no_good_one_of_its_name(
    *, serve, one_bus, store, second, stored, conversation, tmp_path, damage, tells
):
    """Its put into the first bucket went wrong, and could not be taken back; so the batch went into the second."""
    home = MemoryStore() if tells else store
    async for info in store.list("chunks/"):
        if tells:
            await copy_with_facts(store, home, info.name)
    async with serve(one_bus, PairedStore(home, second), tmp_path) as both:
        before = await both.pcm(conversation)
        assert len(before) == 40 * 16_000
        for name in stored:
            data = await second.get(name)
            facts = facts_of.metadata(*opened(data)) if tells else {}
            await home.put(name, damage(data), content_type=CONTENT_TYPE, metadata=facts)
        for _ in range(2):  # what was found out once is remembered
            assert await both.pcm(conversation) == before
        rows = (await both.get(conversation, "/chunks")).json()["chunks"]
        assert [row["unreadable"] for row in rows if row["unreadable"]] == []
        for name in stored:
            await second.delete(name)
        # What was found out of the first one's was remembered as that, and nothing of the other's.
        rows = (await both.get(conversation, "/chunks")).json()["chunks"]
        assert sorted(row["path"] for row in rows if row["unreadable"]) == sorted(stored)
        assert await both.pcm(conversation) != before
    async with serve(one_bus, home, tmp_path) as alone:
        assert await alone.pcm(conversation) != before


def opened(data):
    return batch_facts(read_ogg_headers(data)), data


async def copy_with_facts(source, target, name):
    data = await source.get(name)
    await target.put(name, data, content_type=CONTENT_TYPE, metadata=facts_of.metadata(*opened(data)))


async def test_a_bucket_that_cannot_be_listed_is_no_silence(
    serve, one_bus, store, second, stored, conversation, tmp_path
):
    class Away:
        def __getattr__(self, name):
            async def fails(*_args, **_kwargs):
                raise TransientStoreError("away")

            async def fails_to_list(*_args, **_kwargs):
                raise TransientStoreError("away")
                yield

            return fails_to_list if name.startswith("list") else fails

    for pair in (PairedStore(Away(), second), PairedStore(store, Away())):
        async with serve(one_bus, pair, tmp_path) as api:
            answer = await api.get(conversation, "/audio", format="pcm")
            assert answer.status_code == 503


async def test_a_damaged_object_is_found_out_while_it_is_played(
    serve, one_bus, store, second, stored, conversation, tmp_path, monkeypatch
):
    """Later than what is looked at before the answer begins; nothing can be planned anew by then."""
    monkeypatch.setattr("storage_api.audio_plan.AHEAD_BYTES", 0)
    async with serve(one_bus, PairedStore(store, second), tmp_path) as both:
        before = await both.pcm(conversation)
        for name in stored:
            damaged = DAMAGE["zeros"](await second.get(name))
            await store.put(name, damaged, content_type=CONTENT_TYPE, metadata={})
        assert await both.pcm(conversation) == before


class Moving:
    """The first bucket; just after it was listed, an object comes home under another name, as when a pusher gave its own up for a damaged one."""

    def __init__(self, real, second, name) -> None:
        self._real = real
        self._second = second
        self._name = name
        self.armed = False
        self.listings = 0

    def __getattr__(self, name):
        return getattr(self._real, name)

    async def list(self, prefix, after=""):
        self.listings += 1
        async for info in self._real.list(prefix, after):
            yield info
        if self.armed:
            self.armed = False
            parsed = parse_name(self._name)
            other = dataclasses.replace(parsed, end_ms=parsed.end_ms + 1).path
            data = await self._second.get(self._name)
            await self._real.put(other, data, content_type=CONTENT_TYPE, metadata={})
            await self._real.delete(self._name)
            await self._second.delete(self._name)


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known to be damaged"])
@pytest.mark.parametrize("ahead", [False, True], ids=["while it is sent", "before"])
async def test_what_is_brought_home_under_another_name_just_after_a_listing_is_heard(
    *, serve, one_bus, store, second, stored, conversation, tmp_path, known, ahead, monkeypatch
):
    if not ahead:
        monkeypatch.setattr("storage_api.audio_plan.AHEAD_BYTES", 0)
    name = stored[1]
    data = await second.get(name)
    home = Moving(store, second, name)
    async with serve(one_bus, PairedStore(home, second), tmp_path) as both:
        before = await both.pcm(conversation)
        await store.put(name, data[:100], content_type=CONTENT_TYPE, metadata={})
        if known:
            await second.delete(name)
            assert await both.pcm(conversation) != before
            # The other one nobody has looked at yet.
            await second.put(name, data, content_type=CONTENT_TYPE, metadata={})
        home.armed = True
        assert await both.pcm(conversation) == before
        assert not home.armed
        assert await both.pcm(conversation) == before


class Fickle(Moving):
    """One that names what it does not have, as a dangling link does."""

    async def list(self, prefix, after=""):
        self.listings += 1
        async for info in self._real.list(prefix, after):
            yield info
            if info.name == self._name:
                parsed = parse_name(info.name)
                yield dataclasses.replace(
                    info, name=dataclasses.replace(parsed, end_ms=parsed.end_ms + 1).path
                )


async def test_what_is_listed_and_never_there_is_looked_for_twice(
    serve, one_bus, store, second, stored, conversation, tmp_path
):
    async with serve(one_bus, PairedStore(store, second), tmp_path) as both:
        before = await both.pcm(conversation)
    [first, *_] = [info.name async for info in store.list("chunks/")]
    home = Fickle(store, second, first)
    async with serve(one_bus, PairedStore(home, second), tmp_path) as both:
        assert await both.pcm(conversation) == before
        assert home.listings == 2


async def test_one_failed_read_of_a_good_object_condemns_it_for_no_damaged_one_beside_it(
    serve, one_bus, store, second, stored, conversation, tmp_path
):
    class Fails:
        times = 0

        def __getattr__(self, name):
            return getattr(home, name)

        async def get(self, name):
            if name == stored[0] and self.times:
                self.times -= 1
                raise TransientStoreError("503")
            return await home.get(name)

    home, failing = MemoryStore(), Fails()
    async for info in store.list("chunks/"):
        await copy_with_facts(store, home, info.name)
    for name in stored:
        await copy_with_facts(second, home, name)
    async with serve(one_bus, home, tmp_path) as alone:
        before = await alone.pcm(conversation)
    data = await second.get(stored[0])
    await second.delete(stored[0])
    await second.put(stored[0], DAMAGE["zeros"](data), content_type=CONTENT_TYPE, metadata={})
    async with serve(one_bus, PairedStore(failing, second), tmp_path) as both:
        failing.times = 1
        assert await both.pcm(conversation) == before
        assert not failing.times
        rows = (await both.get(conversation, "/chunks")).json()["chunks"]
        assert [row["unreadable"] for row in rows if row["unreadable"]] == []
        await second.delete(stored[0])
        assert await both.pcm(conversation) == before


async def test_what_takes_the_place_of_a_damaged_one_is_heard_at_once(
    serve, one_bus, store, second, stored, conversation, tmp_path
):
    """An operator deleted the damaged one at home, and the other was moved there: of the same name and size, and no checksum tells."""
    damaged = DAMAGE["zeros"]
    for name in stored:
        await store.put(name, damaged(await second.get(name)), content_type=CONTENT_TYPE, metadata={})
    async with serve(one_bus, PairedStore(store, second), tmp_path) as both:
        before = await both.pcm(conversation)
        for name in stored[:-1]:
            await store.delete(name)
            await copy_over(second, store, name, name)
            await second.delete(name)
        assert await both.pcm(conversation) == before
        # Its head looks well, and it is known already that there is more to it.
        await second.delete(stored[-1])
        rows = (await both.get(conversation, "/chunks")).json()["chunks"]
        assert [row["path"] for row in rows if row["unreadable"]] == [stored[-1]]
