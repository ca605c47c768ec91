"""Copies lie under no name that a cut of the target speaks of, or that is noted there: what has such a name is deleted when the cut is given up."""

from functools import partial

import pytest

from audiobus import Conversation, Cut, EntryId
from audiobus.cut import VERSION, decode_cut
from audiobus.deletions import discard, noted, unstore
from audiobus.letters_cut import VERSION as LETTERS_VERSION
from audiobus.letters_cut import LettersCut
from audiobus.state import PreRoll
from storage_api.cutting.name_owner import own_name
from storage_api.cutting.waiting import drop_preroll
from storage_api.merging.copying import Copying

T0 = 1_700_000_000_000
A, ALL = Conversation("user-1", "a"), Conversation("user-1", "all")
HEADERS = {"Authorization": "Bearer all-token"}


def later_by_one_ms(name: str) -> str:
    assert ".000.batch" in name
    return name.replace(".000.batch", ".001.batch")


async def cut_of(tape, one_bus, name: str) -> bytes:
    """What a pusher writes down that is killed before it puts."""
    state = await one_bus.state(tape.conversation)
    last = str(EntryId(tape.epoch, tape.chunks[-1][1]))
    cut = Cut(VERSION, str(EntryId(tape.epoch, 0)), last, f"chunks/user-1/all/{name}", "standard", "age")
    await one_bus.cut(tape.conversation, cut, settled=state.settled)
    return cut.encode()


async def test_deleting_what_waits_of_the_target_deletes_no_copy(api, merging, recorded, one_bus):
    await recorded("a", T0)
    heard = await api.pcm(A)
    [name] = await merging.files("a")
    live = await recorded("all", T0, store=False, hertz=200.0)
    await cut_of(live, one_bus, name)
    assert not (await merging.run(["a"], "all")).error
    assert [*await merging.files("all")] == [later_by_one_ms(name)]
    rows = (await api.get(ALL, "/chunks")).json()["chunks"]
    waiting = [row["timestamp"] for row in rows if row["state"] == "live"][-1]
    path = api.path(ALL, "/chunks")
    answer = await api.http.delete(path, params={"timestamps": waiting}, headers=HEADERS)
    assert answer.status_code == 200
    assert [*await noted(one_bus, ALL)] == [f"chunks/user-1/all/{name}"]
    assert await api.pcm(ALL) == heard


async def test_nor_has_a_copy_the_name_of_what_is_made_of_dead_letters(merging, recorded, one_bus):
    await recorded("a", T0)
    [name] = await merging.files("a")
    cut = LettersCut(LETTERS_VERSION, ("1-100",), f"chunks/user-1/all/{name}", "standard")
    await one_bus.command("HSET", one_bus.keys.conv(ALL), "again_cut", cut.encode())
    assert not (await merging.run(["a"], "all")).error
    assert [*await merging.files("all")] == [later_by_one_ms(name)]


@pytest.mark.parametrize("how", ["noted", "cut"])
async def test_a_name_that_is_noted_or_cut_after_the_copy_was_found_keeps_the_source(
    merging, recorded, one_bus, monkeypatch, how
):
    """It is found again under another name, and only then the source goes."""
    await recorded("a", T0)
    live = await recorded("all", T0, store=False, hertz=200.0)
    [name] = await merging.files("a")
    run = Copying.run

    async def late(self, source, target, only=None):
        done = await run(self, source, target, only)
        if done.clean:
            monkeypatch.setattr(Copying, "run", run)
            if how == "cut":
                await cut_of(live, one_bus, name)
            else:
                await unstore(one_bus, ALL, {f"chunks/user-1/all/{name}": 0}, T0)
        return done

    monkeypatch.setattr(Copying, "run", late)
    operation_id = await merging.begin(["a"], "all")
    assert not (await merging.turn(operation_id)).done
    assert not await one_bus.tombstone(A)
    assert not (await merging.turn(operation_id)).error
    assert await one_bus.tombstone(A)
    assert later_by_one_ms(name) in await merging.files("all")


async def test_where_the_sources_stay_it_is_looked_at_too(merging, recorded, one_bus, monkeypatch):
    """The copy was found, and its name noted before the merge was done: it is made anew under another."""
    await recorded("a", T0)
    [name] = await merging.files("a")
    run = Copying.run

    async def late(self, source, target, only=None):
        done = await run(self, source, target, only)
        if done.clean:
            monkeypatch.setattr(Copying, "run", run)
            await unstore(one_bus, ALL, {f"chunks/user-1/all/{name}": 0}, T0)
        return done

    monkeypatch.setattr(Copying, "run", late)
    operation = await merging.run(["a"], "all", delete=False)
    assert operation.done
    assert not operation.error
    assert later_by_one_ms(name) in await merging.files("all")


async def copied_under_the_name_of_a_cut(merging, recorded, one_bus) -> tuple[str, bytes, object]:
    """The copy of a source that is gone, and afterwards a cut of the target with that name: name, contents, and what the cut is over."""
    await recorded("a", T0)
    assert not (await merging.run(["a"], "all")).error
    [(name, data)] = (await merging.files("all")).items()
    live = await recorded("all", T0, store=False, hertz=200.0)
    await cut_of(live, one_bus, name)
    return name, data, live


async def test_dropping_what_waits_takes_no_copy_with_it(api, merging, recorded, one_bus):
    name, data, _ = await copied_under_the_name_of_a_cut(merging, recorded, one_bus)
    rows = (await api.get(ALL, "/chunks")).json()["chunks"]
    waiting = [row["timestamp"] for row in rows if row["state"] == "live"][-1]
    path = api.path(ALL, "/chunks")
    answer = await api.http.delete(path, params={"timestamps": waiting}, headers=HEADERS)
    assert answer.status_code == 200, answer.text
    assert (await one_bus.state(ALL)).cut is None
    assert (await merging.files("all"))[name] == data
    assert await noted(one_bus, ALL) == {}


async def test_nor_does_dropping_a_pre_roll(api, merging, recorded, one_bus):
    name, data, live = await copied_under_the_name_of_a_cut(merging, recorded, one_bus)
    chunk, end = live.chunks[-1]
    kept = PreRoll(live.epoch, chunk.run_start_ms, chunk.first_sample + chunk.samples, end, chunk.packets)
    await one_bus.command("HSET", one_bus.keys.conv(ALL), "preroll", kept.encode())
    assert await drop_preroll(api.services, ALL, lambda _: True)
    state = await one_bus.state(ALL)
    assert (state.cut, state.preroll) == (None, None)
    assert (await merging.files("all"))[name] == data
    assert await noted(one_bus, ALL) == {}


async def test_nor_does_dropping_a_dead_letter(api, merging, recorded, one_bus):
    name, data, live = await copied_under_the_name_of_a_cut(merging, recorded, one_bus)
    await one_bus.command("HDEL", one_bus.keys.conv(ALL), "cut")
    letter = EntryId(live.epoch, live.chunks[-1][1])
    [entry] = await one_bus.read(ALL, count=1, after=EntryId(letter.epoch, letter.offset - 1))
    facts = {"first_offset": live.chunks[-1][0].first_offset, "samples": entry.counted_samples}
    assert await one_bus.bury(ALL, entry, reason="of a test", now_ms=T0, **facts)
    cut = LettersCut(LETTERS_VERSION, (str(letter),), f"chunks/user-1/all/{name}", "standard")
    await one_bus.command("HSET", one_bus.keys.conv(ALL), "again_cut", cut.encode())
    own = partial(own_name, api.services.bucket, ALL)
    assert await discard(one_bus, ALL, letter, T0, own_name=own) == entry.counted_samples
    assert not await one_bus.command("HEXISTS", one_bus.keys.conv(ALL), "again_cut")
    assert (await merging.files("all"))[name] == data
    assert await noted(one_bus, ALL) == {}


async def test_what_was_put_of_the_cut_keeps_no_name(api, recorded, one_bus):
    """Its put was done, and whoever did it was killed before it told."""
    live = await recorded("all", T0, store=False)
    [name] = await live.put(0, len(live.chunks))
    raw = await cut_of(live, one_bus, name.rpartition("/")[2])
    assert await own_name(api.services.bucket, ALL, decode_cut(raw)) == name
    letters = tuple(str(EntryId(live.epoch, end)) for _, end in live.chunks)
    assert (
        await own_name(api.services.bucket, ALL, LettersCut(LETTERS_VERSION, letters, name, "standard"))
        == name
    )
