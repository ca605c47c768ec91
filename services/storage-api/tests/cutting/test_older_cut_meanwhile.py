"""Objects of the older formats that were meant by a time, and cut by others before it is asked for again: only their names tell what they are."""

from array import array

from audiobus.meant import VERSION, Meant, decode_meant, note, notes
from audiobus.replacing import Replacing
from storage_api.cutting.meaning import renamed
from storage_api.cutting.place import Place
from tapedeck_testing.mortal import DiesError

ZERO = {"deleted_objects": 0, "deleted_seconds": 0}


async def fails(*_):
    raise DiesError


async def put_older(store, conversation, name: str, seconds: int) -> None:
    pcm = array("h", [1000] * 16_000 * seconds).tobytes()
    path = f"chunks/{conversation.uid}/{conversation.cid}/{name}"
    await store.put(path, pcm, content_type="x/y", metadata={})


async def test_what_others_left_of_one_goes_too(api, cutter, conversation, store, names, monkeypatch):
    await put_older(store, conversation, "1700000000.000.bin", 30)
    await put_older(store, conversation, "1700000100.000.bin", 30)
    with monkeypatch.context() as patch:
        patch.setattr(Place, "begin", fails)
        assert (await cutter.chunks(api, 15.5)).status_code == 500
    assert (await cutter.stretch(api, 3.0, 4.0)).status_code == 200
    assert (await cutter.stretch(api, 20.0, 21.0)).status_code == 200
    assert len(await names(store)) == 4
    assert (await cutter.chunks(api, 15.5)).json() == {"deleted_objects": 3, "deleted_seconds": 28}
    assert [name.rpartition("/")[2] for name in await names(store)] == ["1700000100.000.bin"]
    assert (await cutter.chunks(api, 15.5)).json() == ZERO


async def test_it_is_noted_before_what_is_left_takes_its_place(
    api, cutter, conversation, one_bus, store, names, monkeypatch
):
    """Whoever is killed right after that has lost nothing, and before it nothing counts that is noted too early."""
    await put_older(store, conversation, "1700000000.000.bin", 30)
    with monkeypatch.context() as patch:
        patch.setattr(Place, "begin", fails)
        assert (await cutter.chunks(api, 15.5)).status_code == 500
    for step in ("replace", "delete"):
        owner = Replacing if step == "replace" else Place
        with monkeypatch.context() as patch:
            patch.setattr(owner, step, fails)
            assert (await cutter.stretch(api, 3.0, 4.0)).status_code == 500
        [meant] = (await notes(one_bus, conversation)).meant.values()
        told = decode_meant(meant).names
        assert len(told) == 3
    assert (await cutter.chunks(api, 15.5)).status_code == 200
    assert await names(store) == []


async def test_who_has_lost_the_turn_replaces_nothing(
    api, cutter, conversation, one_bus, store, names, monkeypatch
):
    await put_older(store, conversation, "1700000000.000.bin", 30)
    turn = Replacing(one_bus, conversation)
    assert await turn.hold()
    [name] = await names(store)
    assert await note(turn, {15_500: Meant(VERSION, 1, (name,), (), ())})
    await turn.release()

    async def lost(replacing, meant, leaving=(), *, keep=False):
        await one_bus.command("SET", one_bus.keys.replacing_lease(conversation), "another", "PX", 1)
        return False

    with monkeypatch.context() as patch:
        patch.setattr("storage_api.cutting.place.note", lost)
        answer = await cutter.stretch(api, 3.0, 4.0)
    assert (answer.status_code, answer.json()["code"]) == (503, "deleting")
    assert name in await names(store)


def test_names_of_what_is_deleted_leave_the_note_when_others_come():
    def meant(*names: str) -> Meant:
        return Meant(VERSION, 7, names, ("1-2",), ())

    some = {1: meant("a", "b").encode(), 2: meant("c").encode(), 3: b"\x93", 4: meant("d").encode()}
    new = {"a": ("a1", "a2"), "c": (), "x": ("x1",)}
    assert renamed(some, new, ["b", "d"]) == {1: meant("a", "a1", "a2")}
    assert renamed(some, {"c": ()}, []) == {}
