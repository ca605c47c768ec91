"""A disk that hangs for longer than anybody sweeps: what was deleted or given up meanwhile does not come to lie there when it goes on."""

import threading

import pytest

from audiobus.cut import decode_cut
from audiobus.deletions import drop_cut, set_tombstone
from audiostore import open_store
from pusher.sweeper import UNTIL_MS


async def names(store):
    return [info.name async for info in store.list("chunks/")]


@pytest.fixture
def hung(tmp_path, monkeypatch):
    """A store whose disk hangs before a file gets its name, and the event that lets it go on."""
    store = open_store(f"file://{tmp_path}/s")
    monkeypatch.setattr(store._threads, "_deadline_s", 0.3)
    go, make_folders = threading.Event(), store._folder._make_folders

    def hangs(folder):
        go.wait(30)
        make_folders(folder)

    monkeypatch.setattr(store._folder, "_make_folders", hangs)
    yield store, go
    go.set()


@pytest.mark.parametrize("what", ["conversation deleted", "cut given up"])
async def test_a_file_gets_no_name_after_its_time(
    *, device, bus, new_worker, clock, tmp_path, hung, what, packets_of
):
    hung_store, go = hung
    well = open_store(f"file://{tmp_path}/s")
    await device.open()
    await device.say(61)
    await new_worker(hung_store, holder="hung").drain(device.conversation)
    await bus.client.delete(bus.keys.lease(device.conversation))  # that process does nothing more
    if what == "conversation deleted":
        await set_tombstone(bus, device.conversation, clock())
    else:
        cut = (await bus.state(device.conversation)).cut
        assert await drop_cut(bus, device.conversation, cut, decode_cut(cut).name, clock())
    living, begun = new_worker(well, holder="living"), clock()
    while clock() < begun + UNTIL_MS + 120_000:
        clock.pass_s(60)
        await living.drain(device.conversation)
    stored = await names(well)
    go.set()
    await hung_store.close()  # its thread has come to its end
    assert await names(well) == stored
    assert await packets_of(well) == ([] if what == "conversation deleted" else device.sent)
    await well.close()
