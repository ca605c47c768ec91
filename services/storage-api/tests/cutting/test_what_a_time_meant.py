"""A deletion by a time means the same each time that it is asked for, wherever the one before it ended, and however its audio lies by then."""

from array import array

import pytest

from audiobus import Bus, Conversation
from audiobus.meant import VERSION, Meant, note, notes
from audiostore.memory_store import MemoryStore
from storage_api.cutting.place import Place
from tapedeck_testing.draining.inside import drained
from tapedeck_testing.draining.steps import Stepping
from tapedeck_testing.mortal import DiesError

ZERO = {"deleted_objects": 0, "deleted_seconds": 0}
READS = {
    "GET",
    "EXISTS",
    "HGETALL",
    "HGETALL+HGETALL",
    "HMGET",
    "HKEYS",
    "XRANGE",
    "get",
    "get_range",
    "head",
    "list",
}
"""What only reads leaves everything as it was after the step before."""


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


class Dying:
    """A process that dies before the n-th step of its request that changes something, and does nothing from then on."""

    def __init__(self) -> None:
        self.left = 10**9
        self.did: list[str] = []

    def begins(self, steps: int) -> None:
        self.left, self.did = steps, []

    async def step(self, name: str) -> None:
        if name not in READS:
            self.left -= 1
        if self.left < 0:
            raise DiesError
        self.did.append(name)


@pytest.fixture
def killed_at_each_step(serve, one_bus, store, tmp_path, api, cutter):
    """Makes a conversation, has the request of a process killed at each step, and then asks again twice."""

    async def run(prepare, ask, meanwhile, check) -> int:
        dying = Dying()
        async with (
            Bus(one_bus.url, prefix=one_bus.keys.prefix) as own,
            serve(own, Stepping(store, dying.step), tmp_path) as other,
        ):
            client = own.client
            own.client = Stepping(client, dying.step)
            at = 0
            while True:
                conversation = cutter.conversation = Conversation("user-1", f"conv-{at}")
                made = await prepare(conversation)
                dying.begins(at)
                first = await ask(other, made)
                did = list(dying.did)
                dying.begins(10**9)
                await one_bus.command("DEL", one_bus.keys.replacing_lease(conversation))
                # Before that nothing had happened.
                if "note_meant" in did:
                    await meanwhile(conversation)
                    for _ in range(2):
                        again = await ask(api, made)
                        assert again.status_code == 200, (at, again.text)
                    assert again.json() == ZERO, at
                    await check(conversation, made, at)
                if first.status_code == 200:
                    break
                at += 1
            own.client = client
        return at

    return run


async def put_older(store, conversation: Conversation, name: str, seconds: int) -> None:
    pcm = array("h", [1000] * 16_000 * seconds).tobytes()
    await store.put(
        f"chunks/{conversation.uid}/{conversation.cid}/{name}", pcm, content_type="x/y", metadata={}
    )


async def listed(api, conversation) -> list[dict]:
    return (await api.get(conversation, "/chunks")).json()["chunks"]


def every(chunks) -> set[bytes]:
    return {packet for chunk, _ in chunks for packet in chunk.packets}


async def nothing(_conversation) -> None:
    pass


async def test_what_lies_under_it_stays_wherever_it_is_killed(killed_at_each_step, store, cutter, names):
    """Two recordings at one time: the one that is heard goes."""

    async def prepare(conversation):
        await put_older(store, conversation, "1700000000.000.bin", 30)
        await put_older(store, conversation, "1700000010.000.bin", 30)

    async def check(conversation, _made, at):
        left = await names(store, f"chunks/user-1/{conversation.cid}/")
        assert [name.rpartition("/")[2] for name in left] == ["1700000010.000.bin"], at

    steps = await killed_at_each_step(prepare, lambda api, _: cutter.chunks(api, 15.5), nothing, check)
    assert steps > 8


@pytest.fixture
def two_at_once(tape_for, one_bus, store, encode, speech, batches):
    """A recording of which all waits, and another of the same time, which is stored; and what is left of both."""
    mine, other = (
        encode(speech[: 4 * 32_000]),
        encode(speech[5 * 32_000 : 9 * 32_000], run_start_ms=1_700_000_000_250),
    )

    async def prepare(conversation) -> str:
        under = tape_for(conversation)
        await under.open()
        await under.append(other)
        await one_bus.ask(conversation, "end", owner=under.owner, ends=True)
        await drained(one_bus, store, conversation)
        tape = tape_for(conversation)
        await tape.open()
        await tape.append(mine)
        return f"{mine[2][0].span('x', 1, 1).start_ms / 1000:.3f}"

    async def stored(conversation) -> None:
        await one_bus.ask(conversation, "flush")
        await drained(one_bus, store, conversation)

    async def check(conversation, _made, at) -> None:
        await stored(conversation)
        found = set()
        for batch in await batches(store, prefix=f"chunks/user-1/{conversation.cid}/"):
            found |= {packet for span in batch.spans for packet in span.packets}
        assert found == every(mine) - every(mine[2:3]) | every(other), at

    return prepare, stored, check


@pytest.mark.parametrize("early", [True, False], ids=["stored by then", "waiting"])
async def test_of_a_chunk_that_waits_nothing_goes_but_it(killed_at_each_step, two_at_once, cutter, early):
    """By the time that it is asked for again it is the middle of a batch."""
    prepare, stored, check = two_at_once
    meanwhile = stored if early else nothing
    steps = await killed_at_each_step(prepare, cutter.chunks, meanwhile, check)
    assert steps > 5


async def test_a_chunk_that_is_stored_before_it_is_dropped_goes_alone(
    api, two_at_once, cutter, conversation, monkeypatch
):
    """And where the rest fails then, the request that is asked again takes no more of its batch, nor what was recorded at the same time."""
    prepare, stored, check = two_at_once
    at = await prepare(conversation)
    real = note

    async def noted(replacing, meant, leaving=(), *, keep=False):
        answer = await real(replacing, meant, leaving, keep=keep)
        await stored(conversation)
        return answer

    async def fails(*_):
        raise DiesError

    with monkeypatch.context() as patch:
        patch.setattr("storage_api.cutting.request.note", noted)
        patch.setattr(Place, "replace", fails)
        assert (await cutter.chunks(api, at)).status_code == 500
    assert (await cutter.chunks(api, at)).json()["deleted_objects"] == 1
    assert (await cutter.chunks(api, at)).json() == ZERO
    await check(conversation, at, "once")


async def test_what_others_left_of_it_goes_too(
    api, tape, cutter, conversation, store, speech, names, monkeypatch
):
    """It failed, and meanwhile others have cut something out of the batch: what is left of that has another name, and another start."""
    await tape.record(speech[: 6 * 32_000])
    await tape.drain(0, len(tape.chunks))

    async def fails(*_):
        raise DiesError

    with monkeypatch.context() as patch:
        patch.setattr(Place, "begin", fails)
        assert (await cutter.chunks(api, 0.0)).status_code == 500
    assert (await cutter.stretch(api, 0.0, 1.0)).status_code == 200
    assert (await cutter.stretch(api, 3.0, 4.0)).status_code == 200
    assert await names(store) != []
    assert (await cutter.chunks(api, 0.0)).status_code == 200
    assert await names(store) == []
    assert (await cutter.balance()).stored == 0


async def bring_home(store, name: str) -> str:
    """As movers do where the name is taken at home."""
    moved = name.removesuffix(".batch.bin")[:-1] + "9.batch.bin"
    assert moved != name
    data, info = await store.get(name), await store.head(name)
    await store.put(moved, data, content_type="audio/ogg", metadata=dict(info.metadata or {}))
    return moved


@pytest.mark.parametrize("when", ["before it is asked for again", "after the look"])
async def test_what_is_brought_under_another_name_goes_too(
    api, tape, cutter, store, speech, names, monkeypatch, when
):
    await tape.record(speech[: 4 * 32_000])
    [name] = await tape.drain(0, len(tape.chunks))
    begin = Place.begin

    async def meanwhile(self):
        await bring_home(store, name)
        await store.delete(name)
        if when == "before it is asked for again":
            raise DiesError
        return await begin(self)

    with monkeypatch.context() as patch:
        patch.setattr(Place, "begin", meanwhile)
        answer = await cutter.chunks(api, 1.5)
    if when == "before it is asked for again":
        assert answer.status_code == 500
        answer = await cutter.chunks(api, 1.5)
    assert answer.json()["deleted_objects"] == 1
    assert await names(store) == []
    assert (await cutter.balance()).stored == 0


async def test_what_lies_under_two_names_goes_as_a_whole(api, tape, cutter, store, speech, names):
    await tape.record(speech[: 4 * 32_000])
    [name] = await tape.drain(0, len(tape.chunks))
    await bring_home(store, name)
    assert (await cutter.chunks(api, 1.5)).json()["deleted_seconds"] > 3.9
    assert await names(store) == []
    assert (await cutter.balance()).stored == 0


@pytest.fixture
async def meant_and_stored(api, tape, cutter, conversation, one_bus, store, pcm_tone, monkeypatch) -> None:
    """Four seconds in a batch, of whose first a deletion was asked for and failed while it waited."""
    await tape.record(pcm_tone(4))

    async def fails(*_):
        raise DiesError

    with monkeypatch.context() as patch:
        patch.setattr("storage_api.cutting.request.drop_chunk", fails)
        assert (await cutter.chunks(api, 0.0)).status_code == 500
    await one_bus.ask(conversation, "end")
    await drained(one_bus, store, conversation)


async def test_a_batch_that_begins_with_what_was_meant_and_cannot_be_read_goes_by_its_time(
    api, cutter, store, names, meant_and_stored
):
    """Nothing can be cut out of it, and nobody could delete it otherwise."""
    [name] = await names(store)
    await store.delete(name)
    await store.put(name, b"x" * 999, content_type="x/y", metadata={})
    assert (await cutter.chunks(api, 0.0)).json()["deleted_objects"] == 1
    assert await names(store) == []


async def test_of_a_batch_that_begins_with_what_was_meant_the_rest_goes_by_its_own_time(
    api, cutter, conversation, store, names, meant_and_stored
):
    assert 0.9 < (await cutter.chunks(api, 0.0)).json()["deleted_seconds"] < 1.1
    [row] = await listed(api, conversation)
    assert row["timestamp"] > "1700000000.900"
    assert (await cutter.chunks(api, row["timestamp"])).json()["deleted_objects"] == 1
    assert await names(store) == []


async def test_what_is_recorded_at_that_time_later_is_deleted_by_its_own(
    api, tape_for, cutter, store, conversation, encode, speech, one_bus
):
    """A client may bring older times: what was meant is gone, and by that time goes only what begins right then."""
    first = tape_for(conversation)
    await first.open()
    await first.append(encode(speech[: 4 * 32_000]))
    at = (await listed(api, conversation))[2]["timestamp"]
    assert (await cutter.chunks(api, at)).json()["deleted_seconds"] == 1
    later = tape_for(conversation)
    await later.open()
    ms = round(float(at) * 1000)
    await later.append(encode(speech[9 * 32_000 : 12 * 32_000], run_start_ms=ms - 500))
    mine = [row["timestamp"] for row in await listed(api, conversation)]
    assert at not in mine
    # A chunk of the later one is heard then.
    assert (await cutter.chunks(api, at)).json() == ZERO
    assert [row["timestamp"] for row in await listed(api, conversation)] == mine
    own = f"{(ms - 500) / 1000:.3f}"
    assert own in mine
    assert (await cutter.chunks(api, own)).json()["deleted_seconds"] > 0.9
    again = tape_for(conversation)
    await again.open()
    await again.append(encode(speech[:32_000], run_start_ms=ms))
    assert at in [row["timestamp"] for row in await listed(api, conversation)]
    assert (await cutter.chunks(api, at)).json()["deleted_seconds"] > 0.9
    assert (await cutter.chunks(api, at)).json() == ZERO


async def test_by_the_time_of_a_letter_that_went_with_a_stretch_nothing_else_goes(
    api, tape_for, cutter, conversation, one_bus, store, encode, pcm_tone, names
):
    """Who was shown the letter may ask for it yet: what was recorded at the same time stays."""
    for run_start_ms in (1_699_999_999_500, 1_700_000_000_000):
        tape = tape_for(conversation)
        await tape.open()
        await tape.append(encode(pcm_tone(4), run_start_ms=run_start_ms))
    entries = [one for one in await one_bus.read(conversation, count=20) if one.chunk is not None]
    first = next(one for one in entries if one.id.epoch == tape.epoch)
    await one_bus.bury(conversation, first, reason="t", first_offset=0, samples=47_688, now_ms=1)
    rows = await listed(api, conversation)
    assert [row["timestamp"] for row in rows if row["unreadable"]] == ["1700000000.000"]
    await one_bus.ask(conversation, "flush")
    await drained(one_bus, store, conversation)
    assert (await cutter.stretch(api, 0.5, 0.6)).status_code == 200
    assert not await one_bus.command("EXISTS", one_bus.keys.dead(conversation))
    before = await names(store)
    assert (await cutter.chunks(api, 0.0)).json() == ZERO
    assert await names(store) == before
    # Another time inside of it is nobody's but the batch's.
    assert (await cutter.chunks(api, 0.2)).json()["deleted_objects"] == 1


async def test_who_has_lost_the_turn_notes_nothing(
    api, tape, cutter, conversation, one_bus, pcm_tone, monkeypatch
):
    await tape.record(pcm_tone(2))

    async def noted(replacing, meant, leaving=(), *, keep=False):
        await one_bus.command("SET", one_bus.keys.replacing_lease(conversation), "another")
        return await note(replacing, meant, leaving, keep=keep)

    with monkeypatch.context() as patch:
        patch.setattr("storage_api.cutting.request.note", noted)
        answer = await cutter.chunks(api, 0.0)
    assert (answer.status_code, answer.json()["code"]) == (503, "deleting")
    assert (await notes(one_bus, conversation)).meant == {}
    assert (await cutter.balance()).deleted == 0


async def test_a_note_of_another_version_is_told_and_hinders_no_other_time(
    api, tape, cutter, conversation, one_bus, pcm_tone
):
    await tape.record(pcm_tone(3))
    rows = await listed(api, conversation)
    at = round(float(rows[1]["timestamp"]) * 1000)
    unknown = Meant(VERSION + 1, 1, (), (), ()).encode()
    await one_bus.command("HSET", one_bus.keys.meant(conversation), at, unknown)
    answer = await cutter.chunks(api, rows[1]["timestamp"])
    assert (answer.status_code, answer.json()["code"]) == (503, "live_unavailable")
    assert (await cutter.chunks(api, rows[0]["timestamp"])).json()["deleted_seconds"] > 0.9


async def test_a_time_at_which_there_is_nothing_is_not_noted(
    api, tape, cutter, conversation, one_bus, pcm_tone
):
    await tape.record(pcm_tone(2))
    assert (await cutter.chunks(api, 99.0)).json() == ZERO
    assert await one_bus.command("EXISTS", one_bus.keys.meant(conversation)) == 0


async def test_a_time_noted_by_an_older_build_selects_nothing_beside(
    api, tape, cutter, conversation, one_bus, store, pcm_tone, names
):
    await tape.record(pcm_tone(3))
    await tape.drain(0, len(tape.chunks))
    await one_bus.command("HSET", one_bus.keys.gone(conversation), "time/1700000001500", "0")
    before = await names(store)
    assert (await cutter.chunks(api, 1.5)).json() == ZERO
    assert await names(store) == before
    assert (await cutter.chunks(api, 1.6)).json()["deleted_objects"] == 1
