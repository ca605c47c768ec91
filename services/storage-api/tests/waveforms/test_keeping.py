"""What is kept of `GET …/{cid}/waveform`: where, how it is sealed, and that nothing of it outlives its audio."""

import asyncio
import base64

import numpy as np
import pytest

from audiobus import Bus
from audiobus.deletions import set_tombstone
from audiostore import open_store, sealing
from audiostore.errors import StoreConfigurationError
from audiostore.key_ring import KeyRing, KeySource
from audiostore.names import CONTENT_TYPE
from audiostore.paired_store import PairedStore
from audiostore.waveform_names import waveform_name, waveform_names
from storage_api.keys import Keys
from storage_api.pcm_rendering import PcmForm
from storage_api.waveforms.keeping import Keeper
from storage_api.waveforms.kept_peaks import KeptPeaks

T0 = 1_700_000_000_000
KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(range(1, 33))).decode()


class Watched:
    """A store that counts what is asked for, and does something on the way."""

    def __init__(self, store) -> None:
        self._store = store
        self.asked: list[str] = []
        self.before_put = self.after_put = self.before_head = self.before_delete = None
        self.gate = self.listings = None

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def get(self, name):
        self.asked.append(f"get {name.split('/')[0]}")
        if self.gate:
            await self.gate.wait()
        return await self._store.get(name)

    async def list(self, prefix, after=""):
        if self.listings:
            await self.listings.wait()
        async for info in self._store.list(prefix, after):
            yield info

    async def head(self, name):
        if self.before_head:
            await self.before_head(name)
        return await self._store.head(name)

    async def delete(self, name):
        self.asked.append("delete")
        if self.before_delete:
            await self.before_delete(name)
        await self._store.delete(name)

    async def put(self, name, data, **given):
        self.asked.append("put")
        if self.before_put:
            await self.before_put(name)
        answer = await self._store.put(name, data, **given)
        if self.after_put:
            await self.after_put(name)
        return answer


@pytest.fixture
def watched(store):
    return Watched(store)


@pytest.fixture
async def stored(tape, speech):
    """Twenty seconds in two objects; their names."""
    await tape.record(speech[: 20 * 32_000])
    return await tape.drain(0, 10) + await tape.drain(10, len(tape.chunks))


async def test_it_is_made_once_for_each_object_and_read_from_then_on(
    serve, one_bus, watched, stored, conversation, draw, kept, tmp_path
):
    async with serve(one_bus, watched, tmp_path) as api:
        first = await draw(api, conversation)
        assert await kept() == [waveform_name(name, sealed=False) for name in stored]
        assert sorted(watched.asked) == ["get chunks", "get chunks", "put", "put"]
        watched.asked.clear()
        counts = api.services.metrics.bucket_requests
        before = {labels: counts[labels]._value.get() for labels in (("get", "ok"), ("list", "ok"))}
        assert (await draw(api, conversation)).json == first.json
        assert watched.asked == ["get waveforms", "get waveforms"]
        # Of names the audio's, and what is kept.
        assert {labels: counts[labels]._value.get() - count for labels, count in before.items()} == {
            ("get", "ok"): 2,
            ("list", "ok"): 2,
        }
        watched.asked.clear()
        await draw(api, conversation, samples_per_pixel=256, end=T0 / 1000 + 5)
        assert watched.asked == ["get waveforms"]


async def test_the_live_tail_is_not_kept(api, tape, conversation, speech, draw, kept):
    await tape.record(speech[: 20 * 32_000])
    await tape.drain(0, 10)
    await draw(api, conversation)
    assert len(await kept()) == 1


async def test_only_the_objects_of_the_window_are_made(api, stored, conversation, draw, kept):
    await draw(api, conversation, start=T0 / 1000 + 12)
    assert await kept() == [waveform_name(stored[1], sealed=False)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:60] + bytes([data[60] ^ 4]) + data[61:],
        lambda data: data + b"\0",
        lambda data: b"OggS" + data[4:],
    ],
)
async def test_a_damaged_one_is_made_anew(api, store, stored, conversation, draw, damage):
    first = await draw(api, conversation)
    name = waveform_name(stored[0], sealed=False)
    good = await store.get(name)
    await store.delete(name)
    await store.put(name, damage(good), content_type="x/y", metadata={})
    assert (await draw(api, conversation)).json == first.json
    assert await store.get(name) == good


async def test_one_that_was_moved_to_another_object_is_made_anew(api, store, stored, conversation, draw):
    first = await draw(api, conversation)
    one, other = (waveform_name(name, sealed=False) for name in stored)
    good = await store.get(other)
    await store.delete(other)
    await store.copy(one, other)
    assert (await draw(api, conversation)).json == first.json
    assert await store.get(other) == good


async def test_audio_that_is_deleted_while_its_waveform_is_made_leaves_none(
    serve, one_bus, store, watched, stored, conversation, draw, kept, tmp_path
):
    async def delete_the_audio(name):
        for audio in stored:
            if name in waveform_names(audio):
                await store.delete(audio)
                for derived in waveform_names(audio):
                    await store.delete(derived)

    async with serve(one_bus, watched, tmp_path) as api:
        watched.before_put = delete_the_audio
        await draw(api, conversation)
        assert await kept() == []
        assert (await api.get(conversation, "/waveform")).status_code == 404


@pytest.mark.parametrize("when", ["before_put", "after_put"])
async def test_a_tombstone_leaves_none(
    serve, one_bus, watched, stored, conversation, draw, kept, tmp_path, when
):
    async def bury(_name):
        await set_tombstone(one_bus, conversation, T0)

    async with serve(one_bus, watched, tmp_path) as api:
        setattr(watched, when, bury)
        await draw(api, conversation)
        assert await kept() == []
        assert (await api.get(conversation, "/waveform")).status_code == 404


async def test_what_a_killed_process_left_goes_at_the_next_look(api, store, stored, conversation, draw, kept):
    await draw(api, conversation)
    await store.delete(stored[0])
    await draw(api, conversation)
    assert await kept() == [waveform_name(stored[1], sealed=False)]


async def test_two_who_ask_at_the_same_time_have_it_made_once(
    serve, one_bus, watched, stored, conversation, draw, until, tmp_path
):
    watched.gate = asyncio.Event()
    async with serve(one_bus, watched, tmp_path) as api:
        leaves, *stay = [asyncio.create_task(draw(api, conversation)) for _ in range(3)]
        making = api.services.drawn._under_way
        await until(lambda: [one.waiting for one in making.values()] == [3, 3])
        leaves.cancel()
        await asyncio.wait([leaves])
        watched.gate.set()
        first, second = await asyncio.gather(*stay)
        assert first.json == second.json
        assert sorted(watched.asked) == ["get chunks", "get chunks", "put", "put"]
        assert (await draw(api, conversation)).json == first.json


async def test_what_is_kept_is_listed_beside_the_audio(
    serve, one_bus, watched, stored, conversation, draw, tmp_path
):
    """Each listing takes a bucket its time."""
    async with serve(one_bus, watched, tmp_path) as api:
        await draw(api, conversation)
        watched.asked.clear()
        watched.listings = asyncio.Barrier(2)
        async with asyncio.timeout(20):
            await draw(api, conversation)
        assert watched.asked == ["get waveforms", "get waveforms"]


async def test_a_request_that_is_cancelled_at_every_step_leaves_none_of_what_was_deleted_meanwhile(
    api, watched, store, stored, conversation, one_bus, kept
):
    """The audio goes, and what is kept of it, just before the put lands: only who put it can know."""
    recording = await api.services.recordings.find(conversation)
    given = (api.services.bucket.keys.ring, one_bus, conversation, api.services.metrics)
    keeper = Keeper(watched, *given, clear=True, puts=True)

    async def delete_the_audio(_name):
        await store.delete(stored[0])

    async def cancelled(_name):
        keeping.cancel()
        await asyncio.sleep(0)

    watched.before_put = delete_the_audio
    watched.after_put = watched.before_head = watched.before_delete = cancelled
    peaks = KeptPeaks(PcmForm(16_000, 1), 0, b"\0\0", bytes(32))
    keeping = asyncio.create_task(keeper.keep(recording.objects[0], peaks))
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert watched.asked == ["put", "delete"]  # nothing of it goes on
    assert await kept() == []


async def test_two_processes_that_make_the_same_agree(
    serve, one_bus, store, watched, stored, conversation, draw, kept, tmp_path
):
    (tmp_path / "other").mkdir()
    async with serve(one_bus, watched, tmp_path) as api, serve(one_bus, store, tmp_path / "other") as other:
        answers = []

        async def ask_the_other(_name):
            if not answers:
                answers.append(None)
                answers[0] = (await draw(other, conversation)).json

        watched.before_put = ask_the_other
        assert (await draw(api, conversation)).json == answers[0]
        assert await kept() == [waveform_name(name, sealed=False) for name in stored]
        assert (await draw(other, conversation)).json == answers[0]


async def test_what_is_kept_follows_what_is_played(
    api, store, tape, tape_for, stored, conversation, encode, pcm_tone, draw, plainly
):
    """Another recording comes to light that has a part of the time, and begins earlier."""
    first = await draw(api, conversation)
    earlier = tape_for(conversation)
    earlier.epoch = 77
    earlier.chunks = encode(pcm_tone(5), run_start_ms=T0 - 1_203)
    names = await earlier.put(0, len(earlier.chunks))
    start = (T0 - 1_203) * 48 % 768 // 3
    for _ in range(2):
        got = await draw(api, conversation, samples_per_pixel=256)
        wanted = plainly(await api.pcm(conversation), 1, 256, start)
        assert abs(got.peaks - wanted).max() <= 1
    await store.delete(names[0])
    assert (await draw(api, conversation)).json == first.json


def ring(text: str) -> Keys:
    return Keys(KeySource(text))


async def test_of_sealed_audio_it_is_sealed(
    serve, one_bus, tape, conversation, speech, draw, store, kept, tmp_path
):
    plain = open_store("memory:")
    tape.store = plain
    await tape.record(speech[: 20 * 32_000])
    for name in await tape.drain(0, 10) + await tape.drain(10, 21):
        data = sealing.seal(await plain.get(name), KeyRing.parse(f"k1:{KEY}"), "user-1")
        await store.put(name.replace(".bin", ".enc"), data, content_type=sealing.CONTENT_TYPE, metadata={})
    async with serve(one_bus, store, tmp_path, ring(f"k1:{KEY}")) as api:
        first = await draw(api, conversation)
        assert (await draw(api, conversation)).json == first.json
    names = await kept()
    assert [name.endswith(".batch.enc.peaks.enc") for name in names] == [True, True]
    for name in names:
        data = await store.get(name)
        assert data.startswith(sealing.MAGIC)
        assert b"TDPEAKS" not in data
    # A ring of another process opens them, with another key in front; without the key there is neither audio nor waveform.
    async with serve(one_bus, store, tmp_path, ring(f"k2:{OTHER},k1:{KEY}")) as api:
        assert (await draw(api, conversation)).json == first.json
    assert await kept() == names
    async with serve(one_bus, store, tmp_path, ring(f"k2:{OTHER}")) as api:
        blind = await draw(api, conversation)
        assert (set(blind.json["data"]), blind.headers["tapedeck-missing"]) == ({0}, "2")
    assert await kept() == names


async def test_nothing_of_an_enhanced_user_is_kept_in_the_clear(
    serve, one_bus, stored, conversation, draw, store, kept, tmp_path
):
    """Their audio was stored while they were not enhanced."""
    key = one_bus.keys.user(conversation.uid)
    await one_bus.command("HSET", key, "protection", "enhanced")
    async with serve(one_bus, store, tmp_path) as without_keys:
        first = await draw(without_keys, conversation)
    assert await kept() == []
    async with serve(one_bus, store, tmp_path, ring(f"k1:{KEY}")) as api:
        for _ in range(2):
            assert (await draw(api, conversation)).json == first.json
    assert await kept() == [waveform_name(name, sealed=True) for name in stored]


async def test_where_two_buckets_have_a_name_none_is_kept_of_it(
    serve, one_bus, store, stored, conversation, draw, kept, tmp_path
):
    second = open_store("memory:")
    await second.put(stored[0], await store.get(stored[0]), content_type=CONTENT_TYPE, metadata={})
    await second.put(stored[1].replace(".bin", ".enc"), b"x", content_type="x/y", metadata={})
    async with serve(one_bus, PairedStore(store, second), tmp_path) as api:
        first = await draw(api, conversation)
        assert await kept() == [waveform_name(stored[1], sealed=False)]
        await second.delete(stored[0])
        assert np.array_equal((await draw(api, conversation)).peaks, first.peaks)
        assert len(await kept()) == 2


async def test_audio_in_the_second_bucket_has_its_waveform_in_the_first(
    serve, one_bus, store, stored, conversation, draw, kept, tmp_path
):
    second = open_store("memory:")
    await second.put(stored[0], await store.get(stored[0]), content_type=CONTENT_TYPE, metadata={})
    await store.delete(stored[0])
    async with serve(one_bus, PairedStore(store, second), tmp_path) as api:
        first = await draw(api, conversation)
        assert len(await kept()) == 2
        assert (await draw(api, conversation)).json == first.json


async def test_a_bucket_that_takes_nothing_still_gives_waveforms(
    serve, one_bus, watched, stored, conversation, draw, kept, tmp_path, caplog
):
    async def refuse(_name):
        raise StoreConfigurationError("put waveforms/user-1/…: not permitted")

    watched.before_put = refuse
    async with serve(one_bus, watched, tmp_path) as api:
        first = await draw(api, conversation)
        assert (await draw(api, conversation)).json == first.json
    assert await kept() == []
    assert "a waveform cannot be kept" in caplog.text
    assert "user-1" not in "".join(str(vars(record)) for record in caplog.records if "kept" in record.message)


async def test_an_object_that_cannot_be_read_is_zero_and_told(api, store, stored, conversation, draw, kept):
    data = await store.get(stored[0])
    await store.delete(stored[0])
    await store.put(stored[0], data[:-300], content_type=CONTENT_TYPE, metadata={})
    for _ in range(2):
        got = await draw(api, conversation, samples_per_pixel=256)
        assert got.headers["tapedeck-missing"] == "1"
        assert not got.peaks[:600].any()
        assert got.peaks[640:].any()
    assert await kept() == [waveform_name(stored[1], sealed=False)]


async def test_while_redis_is_away_nothing_is_kept(
    serve, redis_process, store, tape, conversation, speech, draw, kept, tmp_path
):
    async with Bus(redis_process.url) as bus:
        tape.bus = bus
        await tape.record(speech[: 12 * 32_000])
        await tape.drain(0, 10)
        async with serve(bus, store, tmp_path) as api:
            redis_process.kill()
            got = await draw(api, conversation)
            assert got.headers["tapedeck-live"] == "unavailable"
            assert got.peaks.any()
    assert await kept() == []
