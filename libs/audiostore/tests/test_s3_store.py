"""What is S3's own; everything else runs in test_store and test_remote_stores."""

import traceback

import pytest

from audiostore import open_store
from audiostore.errors import AlreadyExistsError, NotFoundError, StoreConfigurationError
from audiostore.s3_store import is_amazon
from tapedeck_testing.faulty_line import TAKEN, Answer

SCHEMES = ["s3"]
META = {"tapedeck-runs": "1:0-2@3+4"}
NOTHING = Answer(404, b"")
DONE = Answer(200, b"", (("ETag", '"0"'),))


async def put(store, name, data=b"audio", metadata=META):
    return await store.put(name, data, content_type="audio/ogg", metadata=metadata)


async def test_a_put_is_one_request_once_the_server_is_known(remote):
    await put(remote.store, "a")
    assert len(remote.line.requests) == 1


async def test_the_first_put_of_a_process_makes_sure_that_the_server_refuses(remote):
    store = open_store(remote.url)
    await put(store, "a")
    assert [request.split()[0] for request in remote.line.requests] == ["HEAD", "PUT", "PUT"]
    with pytest.raises(AlreadyExistsError):
        await put(open_store(remote.url), "a", b"other")  # not known yet: it looks, and writes nothing
    assert remote.line.counted("PUT") == 2
    assert await store.get("a") == b"audio"


async def test_a_server_that_overwrites_is_refused(remote):
    remote.line.faults.extend([("HEAD", NOTHING), ("PUT", DONE), ("PUT", DONE), ("PUT", DONE)])
    store = open_store(remote.url)
    with pytest.raises(StoreConfigurationError, match="If-None-Match"):
        await put(store, "a")
    remote.line.faults.append(
        ("HEAD", Answer(200, b"", (("ETag", '"0"'), ("Last-Modified", "Sat, 21 Nov 2026 00:00:00 GMT"))))
    )
    with pytest.raises(AlreadyExistsError):  # and what lies there was not touched
        await put(store, "a")


async def test_a_server_that_knows_create_only_copies_copies_itself(remote):
    await put(remote.store, "a")
    store = open_store(remote.url)
    remote.line.faults.append(("PUT", TAKEN))
    remote.line.requests.clear()
    assert (await store.copy("a", "b")).metadata == META
    assert [request.split()[0] for request in remote.line.requests] == ["HEAD", "PUT", "PUT", "HEAD"]
    assert "/a" in remote.line.requests[1]  # onto itself: nothing can change by it
    remote.line.faults.append(("PUT", TAKEN))
    with pytest.raises(AlreadyExistsError):
        await store.copy("a", "b")


async def test_where_it_knows_none_the_bytes_are_put_create_only(remote):
    await put(remote.store, "a")
    remote.line.requests.clear()
    await remote.store.copy("a", "b")
    assert [request.split()[0] for request in remote.line.requests] == ["HEAD", "GET", "HEAD", "PUT", "HEAD"]
    with pytest.raises(AlreadyExistsError):
        await remote.store.copy("a", "b")
    with pytest.raises(NotFoundError):
        await remote.store.copy("none", "c")


async def test_a_wrong_secret_is_the_operators_and_is_not_told(remote, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")
    for token in ("", "a-session-token"):
        if token:
            monkeypatch.setenv("AWS_SESSION_TOKEN", token)
        store = open_store(remote.url)
        for call in (store.put, store.get, store.delete, store.head):
            given = {"data": b"x", "content_type": "audio/ogg", "metadata": {}} if call == store.put else {}
            with pytest.raises(StoreConfigurationError, match="400" if token else "403") as caught:
                await call("a", **given)
            told = "".join(traceback.format_exception(caught.value))
            assert "a-wrong-secret" not in told
            assert "a-session-token" not in told


async def test_a_wrong_key_is_the_operators(remote, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "NOBODY")
    store = open_store(remote.url)
    with pytest.raises(StoreConfigurationError, match="s3:PutObject"):
        await store.get("a")
    with pytest.raises(StoreConfigurationError):
        _ = [info async for info in store.list("")]


def test_settings_that_cannot_work_are_told_when_the_store_is_opened(no_settings, monkeypatch):
    monkeypatch.setenv("AWS_COPY_IF_NOT_EXISTS", "multipart")
    with pytest.raises(StoreConfigurationError, match="loses metadata"):
        open_store("s3://bucket")
    monkeypatch.delenv("AWS_COPY_IF_NOT_EXISTS")
    monkeypatch.setenv("AWS_CHECKSUM_ALGORITHM", "secret-typo")
    with pytest.raises(StoreConfigurationError, match="AWS_") as caught:
        open_store("s3://bucket")
    assert "secret-typo" not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "amazon"),
    [
        (None, True),
        ("https://s3.eu-central-1.amazonaws.com", True),
        ("https://bucket.vpce-1.s3.cn-north-1.amazonaws.com.cn", True),
        ("http://127.0.0.1:9000", False),
        ("https://amazonaws.com.example.org", False),
    ],
)
def test_amazon_is_known_by_its_name(no_settings, monkeypatch, endpoint, amazon):
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert is_amazon() is amazon


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_of_a_key_is_refused(no_settings, monkeypatch, name):
    monkeypatch.setenv(name, "something")
    with pytest.raises(StoreConfigurationError, match="belong together, and only one is set"):
        open_store("s3://bucket")
