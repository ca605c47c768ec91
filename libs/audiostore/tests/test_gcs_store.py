import asyncio
import os

import pytest

from audiostore import gcs_client, open_store
from audiostore.attempts import Patience
from audiostore.errors import (
    AlreadyExistsError,
    ChecksumError,
    NotFoundError,
    StoreConfigurationError,
    TransientStoreError,
)
from tapedeck_testing.faulty_line import FORBID, TAKEN, Answer

SCHEMES = ["gs"]

TYPE = "audio/ogg; codecs=opus"
META = {"tapedeck-runs": "1:0-2@3+4"}


async def put(store, name, data=b"audio", metadata=META):
    return await store.put(name, data, content_type=TYPE, metadata=metadata)


async def test_a_put_is_one_request_create_only_with_its_checksum(remote):
    await put(remote.store, "a")
    assert len(remote.line.requests) == 1
    assert "uploadType=multipart" in remote.line.requests[0]
    assert "ifGenerationMatch=0" in remote.line.requests[0]


async def test_a_wrong_checksum_in_the_answer_is_not_believed(remote):
    """Somebody else may have found the object by now, and rely on it: it must not be taken away for a word."""
    remote.line.faults.append(("POST", "crc"))
    info = await put(remote.store, "a")
    assert not remote.line.faults
    assert remote.line.counted("DELETE") == 0
    assert await remote.store.head("a") == info
    remote.line.faults.append(("rewriteTo", "crc"))
    copied = await remote.store.copy("a", "b")
    assert await remote.store.head("b") == copied
    assert remote.line.counted("DELETE") == 0


async def test_what_seems_to_differ_stays(remote):
    """Here it is whole, and both answers were wrong: whoever has seen that lets the other copy go."""
    remote.line.faults.extend([("POST", "crc"), ("GET", "bytes")])
    with pytest.raises(ChecksumError, match="stays") as caught:
        await put(remote.store, "a")
    assert caught.value.retryable
    assert remote.line.counted("DELETE") == 0
    assert await remote.store.get("a") == b"audio"
    with pytest.raises(AlreadyExistsError):
        await put(remote.store, "a")
    remote.line.faults.extend([("rewriteTo", "crc"), ("GET", "bytes")])
    with pytest.raises(ChecksumError, match="stays"):
        await remote.store.copy("a", "b")
    assert await remote.store.get("b") == b"audio"


async def test_what_is_not_there_and_a_bucket_that_is_not_are_told_apart(remote):
    """Google answers 404 for either, and nothing is deleted in a bucket that is not to be seen for now."""
    await put(remote.store, "some/a")
    await put(remote.store, "some/ab")
    remote.line.faults.append(("DELETE", Answer(404)))
    with pytest.raises(TransientStoreError, match="lists it"):
        await remote.store.delete("some/a")
    await remote.store.delete("some/a")
    await remote.store.delete("some/a")
    remote.line.faults.extend([("DELETE", Answer(404)), ("GET", Answer(404))])
    with pytest.raises(StoreConfigurationError, match="no such bucket"):
        await remote.store.delete("some/a")
    assert (await remote.store.head("some/ab")).size > 0


async def test_what_cannot_be_looked_at_after_a_wrong_checksum_is_tried_again(remote, monkeypatch):
    monkeypatch.setattr(remote.store, "_patience", Patience(0.01, 0.02, 0.05))
    remote.line.faults.append(("POST", "crc"))
    remote.line.faults.extend([("GET", "lose")] * 20)
    with pytest.raises(TransientStoreError):
        await put(remote.store, "a")
    remote.line.faults.clear()
    assert (await remote.store.head("a")).size > 0


async def test_ones_own_copy_is_no_conflict_after_a_lost_reply(remote):
    await put(remote.store, "a")
    # The emulator knows no precondition on rewrites: the proxy answers as Google does.
    remote.line.faults.extend([("rewriteTo", "lose"), ("rewriteTo", TAKEN)])
    copied = await remote.store.copy("a", "b")
    assert await remote.store.head("b") == copied
    assert remote.line.counted("rewriteTo") == remote.line.counted("ifGenerationMatch=0") - 1 == 2


async def test_a_copy_that_loses_a_race_is_a_conflict(remote):
    await put(remote.store, "a")
    remote.line.faults.append(("rewriteTo", TAKEN))
    with pytest.raises(AlreadyExistsError):
        await remote.store.copy("a", "b")


async def test_a_refusal_is_the_operators(remote):
    remote.line.faults.append(("POST", FORBID))
    with pytest.raises(StoreConfigurationError, match=r"storage\.objectUser") as caught:
        await put(remote.store, "a")
    assert not caught.value.retryable


async def test_a_stalled_bucket_ends_at_the_deadline(remote, monkeypatch):
    monkeypatch.setattr(remote.store._threads, "_deadline_s", 0.2)
    remote.line.faults.append(("POST", "stall"))
    with pytest.raises(TransientStoreError, match=r"put a: not done after 0\.2 s"):
        await put(remote.store, "a")
    await remote.store.close()
    assert remote.line.counted("POST") == 1  # its thread does not try again for nobody


async def test_a_silent_connection_is_given_up_and_tried_again(remote, monkeypatch):
    monkeypatch.setattr("audiostore.gcs_store.TIMEOUT", (1.0, 0.2))
    remote.line.faults.append(("POST", "stall"))
    await put(remote.store, "a")
    assert remote.line.counted("POST") == 2


async def test_every_thread_keeps_its_connection(remote, caplog):
    await asyncio.gather(*(put(remote.store, f"n/{number}") for number in range(80)))
    adapter = remote.store._client._http.get_adapter(remote.line.url)
    pool = adapter.poolmanager.connection_from_url(remote.line.url)
    assert pool.num_connections <= gcs_client.CONNECTIONS
    assert "discarding" not in caplog.text


async def test_nothing_is_asked_in_the_background_on_a_404(remote):
    assert os.environ["DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"] == "true"
    with pytest.raises(NotFoundError):
        await remote.store.head("nothing")
    with pytest.raises(NotFoundError):
        await remote.store.get("nothing")
    assert len(remote.line.requests) == 2


async def test_the_bucket_keeps_type_and_metadata(remote):
    store = open_store(f"{remote.url}/pre")
    await put(store, "a")
    blob = store._client.bucket(remote.url.removeprefix("gs://")).get_blob("pre/a")
    assert (blob.content_type, blob.metadata) == (TYPE, META)
    await store.close()
