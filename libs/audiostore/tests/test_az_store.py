"""What is Azure's own; everything else runs in test_store and test_remote_stores."""

import asyncio
import base64
import traceback

import pytest

from audiostore import open_store
from audiostore.errors import (
    ChecksumError,
    NotFoundError,
    StoreConfigurationError,
    TransientStoreError,
)

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


async def test_what_was_stored_wrongly_is_put_right_in_its_place(remote):
    remote.line.faults.append(("PUT", "break"))
    info = await put(remote.store, "a")
    assert [request.split()[0] for request in remote.line.requests] == ["PUT", "GET", "GET", "PUT", "GET"]
    assert await remote.store.get("a") == b"audio"
    assert await remote.store.head("a") == info
    assert info.metadata == META
    result = await remote.store._client.get_async("a")
    assert result.attributes["Content-Type"] == "audio/ogg"


async def test_what_only_seems_to_be_stored_wrongly_stays(remote):
    remote.line.faults.extend([("GET", "bytes")] * 2)
    await put(remote.store, "a")
    assert await remote.store.get("a") == b"audio"


async def test_what_is_listed_does_not_count_as_deleted(remote, monkeypatch):
    """A container that is not to be seen for a moment says of each object that it is not there."""
    await put(remote.store, "some/a")
    client = remote.store._client

    class NotToBeSeen:
        def __getattr__(self, name):
            return getattr(client, name)

        async def delete_async(self, name):
            raise FileNotFoundError(name)

    with monkeypatch.context() as patched:
        patched.setattr(remote.store, "_client", NotToBeSeen())
        with pytest.raises(TransientStoreError, match="lists it"):
            await remote.store.delete("some/a")
        await remote.store.delete("some/b")
    await remote.store.delete("some/a")
    await remote.store.delete("some/a")


async def test_a_lost_reply_does_not_matter_where_it_is_put_right(remote):
    remote.line.faults.append(("PUT", "break"))
    remote.line.faults.extend([("GET", ""), ("GET", ""), ("PUT", "lose")])
    await put(remote.store, "a")
    assert not remote.line.faults
    assert await remote.store.get("a") == b"audio"


async def test_what_is_stored_wrongly_every_time_stays_and_is_told(remote):
    remote.line.faults.extend([("PUT", "break"), ("GET", ""), ("GET", ""), ("PUT", "break")])
    with pytest.raises(ChecksumError, match="stays") as caught:
        await put(remote.store, "a")
    assert caught.value.retryable
    with pytest.raises(ChecksumError):
        await remote.store.get("a")


async def test_a_copy_that_is_damaged_is_put_right_too(remote):
    await put(remote.store, "a")
    remote.line.requests.clear()
    remote.line.faults.extend([("GET", "bytes")] * 2)
    copied = await remote.store.copy("a", "b")
    assert remote.line.counted("PUT") == 2
    assert await remote.store.get("b") == b"audio"
    assert await remote.store.head("b") == copied
    assert copied.metadata == META


@pytest.mark.parametrize("what", ["other", "same", "nothing"])
async def test_what_somebody_put_there_meanwhile_is_not_touched(remote, what, monkeypatch):
    """Nothing is removed by its name alone: it may be another object by then, which somebody relies on."""
    for name, value in remote.server.settings().items():
        monkeypatch.setenv(name, value)
    somebody = open_store(remote.url)  # not over the line
    entered = remote.line.next_fault

    async def meanwhile():
        await somebody.delete("a")
        if what != "nothing":
            await put(somebody, "a", *([b"other", {"k": "v"}] if what == "other" else []))

    def before_it_is_put_right(request):
        if request.startswith("PUT") and remote.line.counted("PUT"):
            asyncio.run(meanwhile())
        return entered(request)

    remote.line.next_fault = before_it_is_put_right
    remote.line.faults.append(("PUT", "break"))
    if what == "same":
        await put(remote.store, "a")
        assert await somebody.get("a") == b"audio"
        return
    with pytest.raises(TransientStoreError, match="gone again"):
        await put(remote.store, "a")
    if what == "other":
        assert await somebody.get("a") == b"other"
    else:
        with pytest.raises(NotFoundError):
            await somebody.get("a")


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
