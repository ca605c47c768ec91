"""What is Azure's own; everything else runs in test_store and test_remote_stores."""

import base64
import traceback

import pytest

from audiostore import open_store
from audiostore.errors import ChecksumError, NotFoundError, StoreConfigurationError

SCHEMES = ["az"]
META = {"tapedeck-runs": "1:0-2@3+4", "tapedeck-pre-skip": "312"}


async def put(store, name, data=b"audio", metadata=META):
    return await store.put(name, data, content_type="audio/ogg", metadata=metadata)


async def test_a_put_is_read_back(remote):
    await put(remote.store, "a")
    assert [request.split()[0] for request in remote.line.requests] == ["PUT", "GET"]


async def test_bytes_that_change_on_the_way_back_cost_no_object(remote):
    """Somebody else may have found it by now, and rely on it."""
    remote.line.faults.append(("GET", "bytes"))
    await put(remote.store, "a")
    assert not remote.line.faults
    assert await remote.store.get("a") == b"audio"


async def test_what_was_stored_wrongly_is_taken_away_again(remote):
    remote.line.faults.extend([("GET", "bytes")] * 2)
    with pytest.raises(ChecksumError, match="removed again") as caught:
        await put(remote.store, "a")
    assert caught.value.retryable
    with pytest.raises(NotFoundError):
        await remote.store.head("a")


async def test_the_checksum_is_what_the_writer_said(remote):
    """What arrived was never compared with it where the writer died before it could read it back."""
    await put(remote.store, "a")
    assert (await remote.store.head("a")).claimed


async def test_metadata_keys_are_identifiers_in_the_container(remote):
    await put(remote.store, "a")
    result = await remote.store._client.get_async("a", options={"head": True})
    assert {key for key in result.attributes if key.islower()} == {
        "tapedeck_runs", "tapedeck_pre_skip", "content_crc32c"
    }  # fmt: skip
    assert all(key.isidentifier() for key in result.attributes if key.islower())
    assert (await remote.store.head("a")).metadata == META


async def test_a_wrong_key_is_the_operators_and_is_not_told(remote, monkeypatch):
    wrong = base64.b64encode(b"a wrong key of no account at all").decode()
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", wrong)
    store = open_store(remote.url)
    for call in (put(store, "a"), store.get("a"), store.delete("a"), store.head("a"), store.copy("a", "b")):
        with pytest.raises(StoreConfigurationError, match="Storage Blob Data Contributor") as caught:
            await call
        assert wrong not in "".join(traceback.format_exception(caught.value))


async def test_a_signature_in_the_settings_works_and_is_not_told(remote, monkeypatch):
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", remote.server.signature())
    store = open_store(remote.url)
    await put(store, "a")
    assert await store.get("a") == b"audio"
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", remote.server.signature(permissions="r"))
    store = open_store(remote.url)
    with pytest.raises(StoreConfigurationError) as caught:
        await put(store, "b")
    assert "sig" not in "".join(traceback.format_exception(caught.value)).replace("signature", "")


async def test_a_long_listing_is_read_page_by_page(remote, monkeypatch):
    """Azure gives 5,000 names at once; here the line asks for three."""
    every = [f"u/{number}" for number in range(8)]
    for name in every:
        await put(remote.store, name)
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")  # which would sign how many names are asked for
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", remote.server.signature())
    remote.line.rewrite = lambda target: target.replace("comp=list", "comp=list&maxresults=3")
    store = open_store(remote.url)
    remote.line.requests.clear()
    assert [info.name async for info in store.list("u/")] == every
    assert remote.line.counted("marker=") == 2
    assert [info.name async for info in store.list("u/", "u/2")] == every[3:]
    assert [folder async for folder in store.list_folders("")] == ["u/"]


async def test_the_names_that_azures_own_tools_use_are_known_too(remote, monkeypatch):
    for name, usual in (("ACCOUNT_NAME", "ACCOUNT"), ("ACCOUNT_KEY", "KEY")):
        monkeypatch.setenv(f"AZURE_STORAGE_{usual}", remote.server.settings()[f"AZURE_STORAGE_{name}"])
        monkeypatch.delenv(f"AZURE_STORAGE_{name}")
    store = open_store(remote.url)
    await put(store, "a")
    assert (await store.head("a")).size == 5


def test_settings_that_cannot_work_are_told_when_the_store_is_opened(no_settings, monkeypatch):
    with pytest.raises(StoreConfigurationError, match="AZURE_"):
        open_store("az://container")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "no base64!")
    with pytest.raises(StoreConfigurationError, match="AZURE_") as caught:
        open_store("az://container")
    assert "base64!" not in str(caught.value)
