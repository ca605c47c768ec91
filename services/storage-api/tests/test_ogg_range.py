"""`GET …/{cid}/audio`: `Range` on `ogg` where the lengths are known without opening every object, else `Accept-Ranges: none`."""

import random
from dataclasses import replace

import httpx
import msgspec
import pytest
import pytest_asyncio

from audiocodec import read_ogg_opus
from audiostore import open_store

T0 = 1_700_000_000_000


class Told:
    """A store that counts what is opened, and may have other lengths in its metadata, or none."""

    def __init__(self, store) -> None:
        self._store = store
        self.opened: list[str] = []
        self.told: str | None = "as it is"

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def get(self, name):
        self.opened.append(name)
        return await self._store.get(name)

    async def list(self, prefix, after=""):
        async for info in self._store.list(prefix, after):
            metadata = dict(info.metadata)
            if self.told != "as it is":
                del metadata["tapedeck-pages"]
            if self.told and self.told != "as it is":
                metadata["tapedeck-pages"] = self.told
            yield replace(info, metadata=metadata)


@pytest_asyncio.fixture
async def store():
    """One that keeps metadata, as buckets in the cloud do."""
    opened = Told(open_store("memory:"))
    yield opened
    await opened.close()


@pytest.fixture
def little_ahead(monkeypatch):
    """Only the first object is looked at before the first byte."""
    monkeypatch.setattr("storage_api.audio_plan.AHEAD_BYTES", 1)
    monkeypatch.setattr("storage_api.audio_plan.AHEAD_AT_ONCE", 1)


def shifted(chunks, offset: int):
    return [
        (msgspec.structs.replace(chunk, first_offset=chunk.first_offset + offset), end + offset)
        for chunk, end in chunks
    ]


async def recorded(tape, encode, pcm_tone) -> None:
    """40 s in 10 objects, a gap of 75 s, 20 s in one object with a gap of 3 s in it, and 5 s that wait."""
    await tape.open()
    await tape.append(encode(pcm_tone(40)))
    at = 40 * 32_000
    for start, seconds in ((115, 10), (128, 10), (140, 5)):
        await tape.append(shifted(encode(pcm_tone(seconds), run_start_ms=T0 + start * 1000), at))
        at += seconds * 32_000
    forty = next(number for number, (_, end) in enumerate(tape.chunks, 1) if end >= 40 * 32_000)
    sixty = next(number for number, (_, end) in enumerate(tape.chunks, 1) if end >= 60 * 32_000)
    for first in range(0, forty, 4):
        await tape.drain(first, min(forty, first + 4))
    await tape.drain(forty, sixty)


@pytest.mark.parametrize(
    "query", [{}, {"fill_gaps": "false"}, {"start": T0 / 1000 + 3.21, "end": T0 / 1000 + 130.5}]
)
async def test_ranges_of_ogg_are_pieces_of_the_whole(
    api, store, tape, conversation, encode, pcm_tone, little_ahead, query
):
    await recorded(tape, encode, pcm_tone)
    whole = await api.get(conversation, "/audio", **query)
    size = len(whole.content)
    assert (whole.headers["content-length"], whole.headers["accept-ranges"]) == (str(size), "bytes")
    assert read_ogg_opus(whole.content).packets
    random.seed(7)
    ranges = [(0, 1), (0, size), (size - 1, size), (300, 301), (size - 400, size)]
    ranges += [tuple(sorted(random.sample(range(size), 2))) for _ in range(12)]
    for first, end in ranges:
        asked = {"Range": f"bytes={first}-{end - 1}", "If-Range": whole.headers["etag"]}
        part = await api.get(conversation, "/audio", headers=asked, **query)
        assert (part.status_code, part.headers["content-range"]) == (206, f"bytes {first}-{end - 1}/{size}")
        assert part.content == whole.content[first:end]
    for asked, content in (("bytes=-100", whole.content[-100:]), (f"bytes={size - 7}-", whole.content[-7:])):
        assert (await api.get(conversation, "/audio", headers={"Range": asked}, **query)).content == content
    refused = await api.get(conversation, "/audio", headers={"Range": f"bytes={size}-"}, **query)
    assert (refused.status_code, refused.headers["content-range"]) == (416, f"bytes */{size}")


async def test_the_length_opens_few_objects_and_a_piece_those_that_it_needs(
    api, store, tape, conversation, encode, pcm_tone, little_ahead
):
    await recorded(tape, encode, pcm_tone)
    headers = {"Authorization": "Bearer all-token"}
    head = await api.http.head(api.path(conversation, "/audio"), headers=headers)
    assert head.headers["accept-ranges"] == "bytes"
    assert len(set(store.opened)) == 1
    store.opened.clear()
    size = int(head.headers["content-length"])
    await api.get(conversation, "/audio", headers={"Range": f"bytes={size - 200}-"})
    assert len(set(store.opened)) <= 2
    store.opened.clear()
    whole = await api.get(conversation, "/audio")
    assert len(whole.content) == size
    assert len(set(store.opened)) == 12


async def test_objects_that_tell_nothing_have_ranges_only_where_they_are_few(
    api, serve, one_bus, store, tmp_path, tape, conversation, encode, pcm_tone, little_ahead
):
    await recorded(tape, encode, pcm_tone)
    told = await api.get(conversation, "/audio")
    store.told = None
    (tmp_path / "other").mkdir()
    async with serve(one_bus, store, tmp_path / "other") as other:
        answer = await other.get(conversation, "/audio", headers={"Range": "bytes=0-9"})
        few = {"end": T0 / 1000 + 20}
        short = await other.get(conversation, "/audio", headers={"Range": "bytes=0-9"}, **few)
    assert (answer.status_code, answer.headers["accept-ranges"]) == (200, "none")
    assert "content-length" not in answer.headers
    assert answer.content == told.content
    assert answer.headers["etag"] == told.headers["etag"]
    assert (short.status_code, len(short.content)) == (206, 10)


async def test_an_object_that_told_a_wrong_length_breaks_the_answer(
    api, store, tape, conversation, encode, pcm_tone, little_ahead
):
    await tape.record(pcm_tone(20))
    count = len(tape.chunks)
    await tape.drain(0, count // 2)
    await tape.drain(count // 2, count)
    store.told = "9/1234"
    with pytest.raises(httpx.RemoteProtocolError):
        await api.get(conversation, "/audio")
    assert api.services.downloads.running == 0


async def test_a_piece_of_objects_that_tell_nothing_is_checked_all_the_same(
    api, serve, one_bus, store, tmp_path, tape, tape_for, conversation, encode, pcm_tone, little_ahead
):
    """Its end is not that of the answer, so only what its sounds take shows that everything is shifted."""
    await tape.record(pcm_tone(20))
    count = len(tape.chunks)
    names = [await tape.drain(count * part // 4, count * (part + 1) // 4) for part in range(4)]
    other = tape_for(conversation)
    other.store, other.epoch = open_store("memory:"), tape.epoch
    other.chunks = [
        (msgspec.structs.replace(chunk, packets=tuple(packet + b"\0" for packet in chunk.packets)), end)
        for chunk, end in tape.chunks
    ]
    await other.put(count // 4, count * 2 // 4)
    store.told = None
    (tmp_path / "other").mkdir()
    async with serve(one_bus, store, tmp_path / "other") as served:
        whole = await served.get(conversation, "/audio")
        third = len(whole.content) * 2 // 3
        asked = {"Range": f"bytes={third}-{third + 99}"}
        assert (await served.get(conversation, "/audio", headers=asked)).content == whole.content[third:][
            :100
        ]
        real, fetched = store.get, []

        async def get(name):
            fetched.append(name)
            twice = fetched.count(name) > 1 and name == names[1][0]
            return await (other.store.get if twice else real)(name)

        store.get = get
        asked = {"Range": f"bytes={len(whole.content) // 3}-{len(whole.content) // 2}"}
        with pytest.raises(httpx.RemoteProtocolError):
            await served.get(conversation, "/audio", headers=asked)
