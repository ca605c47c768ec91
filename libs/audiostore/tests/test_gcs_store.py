import asyncio
import os

import pytest

from audiostore import gcs_client, open_store
from audiostore.errors import (
    AlreadyExistsError,
    ChecksumError,
    NotFoundError,
    StoreConfigurationError,
    TransientStoreError,
)

TYPE = "audio/ogg; codecs=opus"
META = {"tapedeck-runs": "1:0-2@3+4"}


async def put(store, name, data=b"audio", metadata=META):
    return await store.put(name, data, content_type=TYPE, metadata=metadata)


def counted(proxy, text):
    return sum(text in request for request in proxy.requests)


async def test_a_put_is_one_request_create_only_with_its_checksum(gcs_over_proxy, proxy):
    await put(gcs_over_proxy, "a")
    assert len(proxy.requests) == 1
    assert "uploadType=multipart" in proxy.requests[0]
    assert "ifGenerationMatch=0" in proxy.requests[0]


async def test_ones_own_object_is_no_conflict_after_a_lost_reply(gcs_over_proxy, proxy):
    proxy.faults.append(("POST", "lose"))
    info = await put(gcs_over_proxy, "a")
    assert counted(proxy, "POST") == 2
    assert await gcs_over_proxy.head("a") == info


@pytest.mark.parametrize(("data", "metadata"), [(b"other", META), (b"audio", {"tapedeck-runs": "2:0-2@3+4"})])
async def test_anothers_object_is_a_conflict_after_a_refused_try(gcs_over_proxy, proxy, data, metadata):
    await put(gcs_over_proxy, "a", data, metadata)
    proxy.faults.append(("POST", "refuse"))
    with pytest.raises(AlreadyExistsError):
        await put(gcs_over_proxy, "a")
    assert await gcs_over_proxy.get("a") == data


async def test_a_taken_name_needs_no_second_look(gcs_over_proxy, proxy):
    await put(gcs_over_proxy, "a")
    proxy.requests.clear()
    with pytest.raises(AlreadyExistsError):
        await put(gcs_over_proxy, "a")
    assert len(proxy.requests) == 1


async def test_a_wrong_checksum_in_the_answer_takes_the_object_away_again(gcs_over_proxy, proxy):
    proxy.faults.append(("POST", "crc"))
    with pytest.raises(ChecksumError) as caught:
        await put(gcs_over_proxy, "a")
    assert caught.value.retryable
    with pytest.raises(NotFoundError):
        await gcs_over_proxy.head("a")
    await put(gcs_over_proxy, "a")


async def test_bytes_that_change_on_the_way_are_not_handed_out(gcs_over_proxy, proxy):
    await put(gcs_over_proxy, "a")
    proxy.faults.append(("GET", "bytes"))
    with pytest.raises(ChecksumError):
        await gcs_over_proxy.get("a")
    assert await gcs_over_proxy.get("a") == b"audio"


async def test_a_lost_reply_is_made_good_everywhere(gcs_over_proxy, proxy):
    await put(gcs_over_proxy, "u/a")
    proxy.faults.append(("GET", "lose"))
    assert await gcs_over_proxy.get("u/a") == b"audio"
    proxy.faults.append(("GET", "refuse"))
    assert (await gcs_over_proxy.head("u/a")).size == 5
    proxy.faults.append(("GET", "lose"))
    assert [info.name async for info in gcs_over_proxy.list("u/")] == ["u/a"]
    proxy.faults.append(("DELETE", "lose"))
    await gcs_over_proxy.delete("u/a")
    assert not proxy.faults


async def test_ones_own_copy_is_no_conflict_after_a_lost_reply(gcs_over_proxy, proxy):
    await put(gcs_over_proxy, "a")
    # The emulator knows no precondition on rewrites: the proxy answers as Google does.
    proxy.faults.extend([("rewriteTo", "lose"), ("rewriteTo", "taken")])
    copied = await gcs_over_proxy.copy("a", "b")
    assert await gcs_over_proxy.head("b") == copied
    assert counted(proxy, "rewriteTo") == counted(proxy, "ifGenerationMatch=0") - 1 == 2


async def test_a_copy_that_loses_a_race_is_a_conflict(gcs_over_proxy, proxy):
    await put(gcs_over_proxy, "a")
    proxy.faults.append(("rewriteTo", "taken"))
    with pytest.raises(AlreadyExistsError):
        await gcs_over_proxy.copy("a", "b")


async def test_a_refusal_is_the_operators(gcs_over_proxy, proxy):
    proxy.faults.append(("POST", "forbid"))
    with pytest.raises(StoreConfigurationError, match=r"storage\.objectUser") as caught:
        await put(gcs_over_proxy, "a")
    assert not caught.value.retryable


async def test_a_missing_bucket_is_the_operators(gcs_bucket):
    store = open_store("gs://no-such-bucket")
    with pytest.raises(StoreConfigurationError, match="no such bucket"):
        await put(store, "a")
    with pytest.raises(StoreConfigurationError, match="no such bucket"):
        _ = [info async for info in store.list("")]
    await store.close()


async def test_a_bucket_that_is_away_is_transient(gcs_bucket, proxy, monkeypatch):
    monkeypatch.setattr(gcs_client, "_RETRY", gcs_client._RETRY.with_timeout(0.3))
    proxy.close()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
    store = open_store(f"gs://{gcs_bucket}")
    for attempt in (
        put(store, "a"),
        store.get("a"),
        store.get_range("a", 0, 1),
        store.head("a"),
        store.delete("a"),
    ):
        with pytest.raises(TransientStoreError) as caught:
            await attempt
        assert caught.value.retryable
    await store.close()


async def test_a_stalled_bucket_ends_at_the_deadline(gcs_over_proxy, proxy, monkeypatch):
    monkeypatch.setattr(gcs_over_proxy._threads, "_deadline_s", 0.2)
    proxy.faults.append(("POST", "stall"))
    with pytest.raises(TransientStoreError, match=r"put a: not done after 0\.2 s"):
        await put(gcs_over_proxy, "a")


async def test_a_silent_connection_is_given_up_and_tried_again(gcs_over_proxy, proxy, monkeypatch):
    monkeypatch.setattr("audiostore.gcs_store.TIMEOUT", (1.0, 0.2))
    proxy.faults.append(("POST", "stall"))
    await put(gcs_over_proxy, "a")
    assert counted(proxy, "POST") == 2


async def test_every_thread_keeps_its_connection(gcs_over_proxy, proxy, caplog):
    await asyncio.gather(*(put(gcs_over_proxy, f"n/{number}") for number in range(80)))
    adapter = gcs_over_proxy._client._http.get_adapter(proxy.url)
    pool = adapter.poolmanager.connection_from_url(proxy.url)
    assert pool.num_connections <= gcs_client.CONNECTIONS
    assert "discarding" not in caplog.text


async def test_nothing_is_asked_in_the_background_on_a_404(gcs_over_proxy, proxy):
    assert os.environ["DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"] == "true"
    with pytest.raises(NotFoundError):
        await gcs_over_proxy.head("nothing")
    with pytest.raises(NotFoundError):
        await gcs_over_proxy.get("nothing")
    assert len(proxy.requests) == 2


async def test_the_bucket_keeps_type_and_metadata(gcs_bucket):
    store = open_store(f"gs://{gcs_bucket}/pre")
    await put(store, "a")
    blob = store._client.bucket(gcs_bucket).get_blob("pre/a")
    assert (blob.content_type, blob.metadata) == (TYPE, META)
    await store.close()
