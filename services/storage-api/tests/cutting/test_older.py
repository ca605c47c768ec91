"""Cutting the six older formats: to the sample, heard as before, and sealed where it was."""

import pytest

from audiobus import Conversation
from audiostore import open_store
from audiostore.legacy import parse_audio_name, read_legacy
from storage_api.keys import Keys
from tapedeck_testing.golden_bucket import golden_objects, manifest

START = 1_700_000_000
RATE = 16_000


@pytest.fixture
async def golden():
    """The golden bucket, in a store of its own."""
    store = open_store("memory:")
    for one in golden_objects():
        await store.put(one.name, one.data, content_type="application/octet-stream", metadata={})
    yield store
    await store.close()


@pytest.mark.parametrize("cid", ["plain", "enhanced"])
@pytest.mark.parametrize(("start", "end"), [(4.5, 6.25), (11.0001, 12.00007), (0, 4.9999), (None, 5.0)])
async def test_it_is_cut_to_the_sample_and_the_rest_is_heard_as_before(
    serve, one_bus, golden, cutter, tmp_path, names, cid, start, end
):
    uid, secret = manifest()["uid"], manifest()["secret"]
    conversation = cutter.conversation = Conversation(uid, cid)
    prefix = f"chunks/{uid}/{cid}/"
    before = await names(golden, prefix)
    async with serve(one_bus, golden, tmp_path, Keys(legacy_secret=secret)) as api:
        heard = await api.pcm(conversation)
        rows = (await api.get(conversation, "/chunks")).json()
        first_s = float(rows["chunks"][0]["timestamp"]) - START
        query = {name: f"{START + at:.5f}" for name, at in (("start", start), ("end", end)) if at is not None}
        answer = await cutter.send(api, "/audio", query)
        assert answer.status_code == 200
        low = max(0, round(((start or 0) - first_s) * RATE - 0.5))
        high = -(-round((end - first_s) * 48_000) // 3)
        after = await api.pcm(conversation, start=rows["chunks"][0]["start"])
        # Both clocks begin with the first sample that there was; what is left behind the cut begins at a whole millisecond.
        later = len(heard) - len(after)
        assert later >= 0
        assert all(after[at - later] == heard[at] for at in range(later, min(low, len(heard)), 97))
        assert not any(after[max(0, low - later) : max(0, high - later)])
        whole_ms = -(-high // 16) * 16
        assert after[whole_ms - later :] == heard[whole_ms:]
        assert answer.json()["deleted_seconds"] == pytest.approx(end - (start or 0), abs=0.0012)
        left = await names(golden, prefix)
        fresh = [parse_audio_name(name) for name in set(left) - set(before)]
        assert all(name.extension == ("batch.enc" if cid == "enhanced" else "batch.bin") for name in fresh)
        for name in fresh:
            assert read_legacy(name, await golden.get(name.path), secret).pcm_bytes
        again = await cutter.send(api, "/audio", query)
        assert again.json() == {"deleted_objects": 0, "deleted_seconds": 0}
        assert await names(golden, prefix) == left
        assert (await cutter.balance()).deleted == 0  # it never went through Redis


async def test_without_the_secret_nothing_is_cut_out(serve, one_bus, golden, cutter, tmp_path, names):
    uid = manifest()["uid"]
    cutter.conversation = Conversation(uid, "enhanced")
    before = await names(golden)
    async with serve(one_bus, golden, tmp_path, Keys()) as api:
        answer = await cutter.stretch(api, 4.5, 6.25)
        assert (answer.status_code, answer.json()["code"]) == (409, "unreadable")
        assert await names(golden) == before
        assert (await cutter.stretch(api)).status_code == 200
        assert await names(golden, f"chunks/{uid}/enhanced/") == []


async def test_a_damaged_object_goes_with_the_one_beside_it_that_can_be_read(
    serve, one_bus, golden, cutter, tmp_path, names
):
    uid, secret = manifest()["uid"], manifest()["secret"]
    conversation = cutter.conversation = Conversation(uid, "mixed")
    async with serve(one_bus, golden, tmp_path, Keys(legacy_secret=secret)) as api:
        heard = await api.pcm(conversation)
        # Two objects of that time overlap: what was cut out of the one is not played out of the other.
        answer = await cutter.stretch(api, 4.0, 4.75)
        assert (answer.status_code, answer.json()["deleted_objects"]) == (200, 3)
        after = await api.pcm(conversation)
        assert after[: 4 * RATE] == heard[: 4 * RATE]
        assert not any(after[4 * RATE : 4 * RATE + RATE * 3 // 4])
        assert after[5 * RATE : 18 * RATE] == heard[5 * RATE : 18 * RATE]
        # Nothing beside this one holds its audio.
        assert (await cutter.stretch(api, 19.0, 19.75)).status_code == 409
    left = await names(golden, f"chunks/{uid}/mixed/")
    assert f"chunks/{uid}/mixed/{START}.000.opus" not in left
    assert f"chunks/{uid}/mixed/notes.bin" in left
