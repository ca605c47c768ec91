"""Sealed, plain and older objects in one merge, of both buckets, and what of it is played."""

import base64
from array import array

import pytest
import pytest_asyncio

from audiobus import Conversation
from audiostore import open_store, sealing
from audiostore.key_ring import KeyRing, KeySource
from audiostore.paired_store import PairedStore, copy_over
from storage_api.keys import Keys
from tapedeck_testing.golden_bucket import golden_objects, manifest

T0 = 1_700_000_000_000
RING = "k1:" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture
def run(merging):
    """A whole merge over the services of an api."""

    async def merge(api, sources, target):
        operation_id = await merging.begin(sources, target)
        operation = await merging.turn(operation_id, services=api.services)
        assert operation.done
        assert not operation.error

    return merge


@pytest_asyncio.fixture
async def second(tmp_path):
    opened = open_store(f"file://{tmp_path}/second")
    yield opened
    await opened.close()


async def test_sealed_and_plain_sources_of_both_buckets(
    serve, one_bus, store, second, tmp_path, recorded, run
):
    ring, heard = KeyRing.parse(RING), array("h")
    pair, names = PairedStore(store, second), []
    async with serve(one_bus, pair, tmp_path, Keys(KeySource(RING))) as api:
        for number, cid in enumerate(("plain", "sealed", "away")):
            await recorded(cid, T0 + number * 60_000, hertz=300.0 + 100 * number)
            names += [info.name async for info in store.list(f"chunks/user-1/{cid}/")]
        _, to_seal, away = names
        info = await store.head(to_seal)
        data = sealing.seal(await store.get(to_seal), ring, "user-1")
        sealed = to_seal.replace(".bin", ".enc")
        await store.put(sealed, data, content_type=sealing.CONTENT_TYPE, metadata=info.metadata or {})
        await store.delete(to_seal)
        await copy_over(store, second, away, away)
        await store.delete(away)
        for cid in ("plain", "sealed", "away"):
            heard += await api.pcm(Conversation("user-1", cid))
        await run(api, ["plain", "sealed", "away"], "all")
        assert [info.name async for info in second.list("chunks/")] == []
        assert await store.get(sealed.replace("/sealed/", "/all/")) == data
        assert await api.pcm(Conversation("user-1", "all"), fill_gaps="false", strict="true") == heard


async def test_older_formats_sealed_and_plain(serve, one_bus, store, tmp_path, merging):
    uid = manifest()["uid"]
    for golden in golden_objects():
        await store.put(golden.name, golden.data, content_type="application/octet-stream", metadata={})
    async with serve(one_bus, store, tmp_path, Keys(legacy_secret=manifest()["secret"])) as api:
        heard = await api.pcm(Conversation(uid, "enhanced"))
        count = len([info async for info in store.list(f"chunks/{uid}/enhanced/")])
        answer = await merging.run(["enhanced"], "all", uid=uid, services=api.services)
        assert answer.done
        assert not answer.error
        assert await api.pcm(Conversation(uid, "all")) == heard
        await merging.run(["plain"], "all", uid=uid, services=api.services)
        names = [info.name async for info in store.list(f"chunks/{uid}/all/")]
        assert len(names) > count
        # Of the same time: each second is played once.
        assert len(await api.pcm(Conversation(uid, "all"))) == len(heard)
        assert [info async for info in store.list(f"chunks/{uid}/plain/")] == []
