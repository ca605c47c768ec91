"""Where the peaks of `GET …/{cid}/waveform` come from when not all is as usual: older objects, clients that go, what is away."""

import asyncio
import struct

import pytest

from audiocodec import Encoder
from audiostore.errors import TransientStoreError
from audiostore.waveform_names import audio_name

T0 = 1_700_000_000_000


def blob(pcm: bytes) -> bytes:
    packets = Encoder(16_000, complexity=0).encode(pcm)
    head = struct.pack("<II", len(packets), len(pcm))
    return head + b"".join(struct.pack("<H", len(packet)) + packet for packet in packets)


@pytest.fixture
async def older(store, speech):
    """Older objects: raw PCM with a gap, a blob of Opus, and a batch of 100 s."""

    async def put(start_ms: int, suffix: str, data: bytes) -> None:
        at = T0 + start_ms
        name = f"chunks/user-1/conv-1/{at // 1000}.{at % 1000:03d}{suffix}"
        await store.put(name, data, content_type="x/y", metadata={})

    await put(5, ".bin", speech[:160_000])
    await put(5_005, ".bin", speech[160_000:320_001])
    await put(12_000, ".opus", blob(speech[320_000:480_000]))
    await put(12_000, ".bin", speech[320_000:480_000])
    await put(20_000, f"-{(T0 + 100_000) // 1000}.000.batch.bin", (speech + speech)[: 100 * 32_000])


@pytest.mark.parametrize("then", [None, (24_000, 2)])
async def test_older_audio_has_peaks_of_its_own(
    api, older, tape, conversation, pcm_tone, draw, plainly, kept, then
):
    if then:
        await tape.record(pcm_tone(4, *then[:1], channels=then[1]), *then, start_ms=T0 + 130_000)
        await tape.drain(0, 2)
    wanted = plainly(await api.pcm(conversation), 1, 256, (T0 + 5) * 48 % 768 // 3)
    for _ in range(2):
        got = await draw(api, conversation, samples_per_pixel=256)
        assert got.peaks.shape == wanted.shape
        assert abs(got.peaks - wanted).max() <= 1
    names = await kept()
    assert len(names) == (5 if then else 4)
    assert not any(audio_name(name).endswith("12.000.bin") for name in names)  # the blob is played there


async def test_older_audio_in_the_form_of_a_newer_first_run(
    api, older, tape, conversation, pcm_tone, draw, plainly
):
    await tape.record(pcm_tone(4, 24_000, channels=2), 24_000, 2, start_ms=T0 - 6_000)
    await tape.drain(0, len(tape.chunks))
    wanted = plainly(await api.pcm(conversation), 2, 256, (T0 - 6_000) * 48 % 512 // 2)
    for _ in range(2):
        got = await draw(api, conversation, samples_per_pixel=256)
        # Resampled object by object here, and across their seams there.
        assert (abs(got.peaks - wanted).max(axis=(1, 2)) > 1).sum() <= 6


class Stuck:
    """A store whose objects do not come."""

    def __init__(self, store) -> None:
        self._store = store
        self.reading = 0
        self.error: Exception | None = None

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def get(self, name):
        if self.error:
            raise self.error
        self.reading += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.reading -= 1


async def test_a_client_that_goes_away_stops_the_work(
    serve, one_bus, store, tape, conversation, speech, until, tmp_path
):
    await tape.record(speech[:320_000])
    await tape.drain(0, 5)
    stuck = Stuck(store)
    async with serve(one_bus, stuck, tmp_path) as api:
        asking = asyncio.create_task(api.get(conversation, "/waveform"))
        await until(lambda: stuck.reading == 1)
        assert api.services.downloads.running == 1
        asking.cancel()
        await asyncio.wait([asking])
        await until(lambda: stuck.reading == 0 and api.services.downloads.running == 0)


async def test_a_bucket_that_is_away_is_a_503(serve, one_bus, store, tape, conversation, speech, tmp_path):
    await tape.record(speech[:320_000])
    await tape.drain(0, 5)
    stuck = Stuck(store)
    stuck.error = TransientStoreError("away")
    async with serve(one_bus, stuck, tmp_path) as api:
        answer = await api.get(conversation, "/waveform")
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")


async def test_audio_that_is_stored_while_it_is_drawn_is_drawn_once(
    api, tape, conversation, speech, draw, plainly
):
    await tape.record(speech[:320_000])
    wanted = plainly(await api.pcm(conversation), 1, 256, T0 * 48 % 768 // 3)
    read = api.services.recordings.find

    async def find_and_store(one):
        found = await read(one)
        await tape.drain(0, 5)
        return found

    api.services.recordings.find = find_and_store
    got = await draw(api, conversation, samples_per_pixel=256)
    api.services.recordings.find = read
    assert abs(got.peaks - wanted).max() <= 1
    assert abs((await draw(api, conversation, samples_per_pixel=256)).peaks - wanted).max() <= 1


async def test_as_many_downloads_as_there_may_be_are_all(api, tape, conversation, speech):
    await tape.record(speech[:32_000])
    api.services.downloads._limit = 0
    answer = await api.get(conversation, "/waveform")
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
