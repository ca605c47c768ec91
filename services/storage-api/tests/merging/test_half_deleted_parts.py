"""A merge of what a part is just being deleted of: what that deletion put and never made count is not copied beside the original."""

import pytest
from google_crc32c import value as crc32c

from audiobus import Conversation
from audiobus.replacing import Replacing
from storage_api.cutting.place import Place

T0 = 1_700_000_000_000
A, ALL = Conversation("user-1", "a"), Conversation("user-1", "all")
HEADERS = {"Authorization": "Bearer all-token"}
PART = {"start": str(T0 // 1000 + 3), "end": str(T0 // 1000 + 6)}


@pytest.mark.parametrize("delete", [True, False], ids=["sources go", "sources stay"])
async def test_while_it_is_carried_out(api, merging, recorded, monkeypatch, delete):
    await recorded("a", T0, 10.0)
    before = await merging.files("a")
    operation_id = await merging.begin(["a"], "all", delete=delete)
    replace = Place.replace

    async def slow(self, old):
        assert len(await merging.files("a")) > 1
        assert not (await merging.turn(operation_id)).done
        return await replace(self, old)

    monkeypatch.setattr(Place, "replace", slow)
    answer = await api.http.delete(api.path(A, "/audio"), params=PART, headers=HEADERS)
    assert (answer.status_code, answer.json()["code"]) == (409, "merging")
    operation = await merging.turn(operation_id)
    assert operation.done
    assert not operation.error
    assert await merging.files("all") == before


@pytest.mark.parametrize("delete", [True, False], ids=["sources go", "sources stay"])
async def test_after_it_was_killed(api, merging, recorded, one_bus, store, delete):
    await recorded("a", T0, 10.0)
    before = await merging.files("a")

    [data] = before.values()
    replacing = Replacing(one_bus, A)
    assert await replacing.hold()
    name = f"chunks/user-1/a/{T0 // 1000}.000-{T0 // 1000 + 3}.000.batch.bin"
    assert await replacing.announce(name, f"{crc32c(data[:99])}:99")
    await store.put(name, data[:99], content_type="a/b", metadata={})
    await replacing.release()
    assert len(await merging.files("a")) > 1
    operation = await merging.run(["a"], "all", delete=delete)
    assert operation.done
    assert not operation.error
    assert await merging.files("all") == before
    assert await one_bus.command("EXISTS", one_bus.keys.replacing_lease(A)) == 0
