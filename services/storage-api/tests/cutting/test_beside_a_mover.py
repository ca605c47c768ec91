"""A part is deleted between any two steps of a mover that brings a batch home, and a mover comes between any two steps of a deletion."""

import contextlib
import itertools

import pytest

from audiobus import Bus, Conversation
from audiobus.errors import BusError
from audiostore.errors import StoreError
from audiostore.key_ring import KeySource
from audiostore.memory_store import MemoryStore
from audiostore.paired_store import PairedStore
from pusher.homecoming import Homecoming
from tapedeck_testing.draining.steps import Killed, Meanwhile, Stepping


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def second() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def away(tape_for, store, second, one_bus, cutter, names, encode, speech, pcm_tone):
    """A batch in the second bucket; the first has its name already where another recording began in the same instant."""

    async def record(cid: str, *, taken: bool) -> str:
        for bucket in (store, second):
            for name in await names(bucket):
                await bucket.delete(name)
        conversation = cutter.conversation = Conversation("user-1", cid)
        tape = tape_for(conversation)
        tape.store = second
        await tape.open()
        chunks = encode(speech[: 2 * 32_000])
        await tape.append(chunks)
        [name] = await tape.drain(0, len(chunks))
        if taken:
            other = tape_for(conversation)
            await other.open()
            other_chunks = encode(pcm_tone(2))
            await other.append(other_chunks)
            assert await other.put(0, len(other_chunks)) == [name]
            state = await one_bus.state(conversation)
            await one_bus.command("DEL", one_bus.keys.audio(conversation))
            await one_bus.command("HSET", one_bus.keys.conv(conversation), "out", state.received_samples)
        return name

    return record


async def all_home(bus, store, second) -> None:
    for info in [info async for info in second.list("")]:
        await Homecoming(bus, store, second, KeySource()).move(info)


@pytest.fixture
def check(one_bus, store, second, cutter, batches, names):
    """The cut is in neither bucket, the rest of each session is in the first, once, and the books say so."""

    async def run(where, *, sessions: int) -> None:
        assert await names(second) == [], where
        spans = heard(await batches(store))
        assert not any(low < 48_000 and high > 24_000 for _, low, high in spans), (where, spans)
        assert all(a[0] != b[0] or a[2] <= b[1] for a, b in itertools.pairwise(spans)), (where, spans)
        assert len({one[0] for one in spans}) == sessions, where
        assert (await cutter.balance()).stored == sum(high - low for _, low, high in spans), where

    return run


def heard(tape_batches) -> list[tuple[int, int, int]]:
    return sorted(
        (span.epoch, span.first_sample, span.first_sample + span.samples)
        for batch in tape_batches
        for span in batch.spans
    )


@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "is killed then"])
@pytest.mark.parametrize("taken", [False, True], ids=["free name", "taken name"])
async def test_of_a_move(serve, one_bus, store, tmp_path, away, cutter, check, second, taken, dies):
    async with serve(one_bus, PairedStore(store, second), tmp_path) as api:
        for at in itertools.count(1):
            name = await away(f"conv-{at}", taken=taken)
            answers = []

            async def delete(answers=answers) -> None:
                answers.append(await cutter.stretch(api, 0.5, 1.0))

            meanwhile = Meanwhile(at, delete)

            async def step(_name, meanwhile=meanwhile) -> None:
                if dies and meanwhile.happened:
                    raise Killed
                await meanwhile.step(_name)

            async with Bus(one_bus.url, prefix=one_bus.keys.prefix) as own:
                client, own.client = own.client, Stepping(own.client, step)
                mover = Homecoming(own, Stepping(store, step), Stepping(second, step), KeySource())
                info = await second.head(name)
                with contextlib.suppress(Killed, StoreError, BusError):
                    await mover.move(info)
                own.client = client
            if not meanwhile.happened:
                break
            assert answers[0].status_code == 200, (at, answers[0].text)
            again = await cutter.stretch(api, 0.5, 1.0)
            assert again.json()["deleted_objects"] == 0 or dies, at
            await all_home(one_bus, store, second)
            await check(at, sessions=2 if taken else 1)
    assert at > 10


@pytest.mark.parametrize("taken", [False, True], ids=["free name", "taken name"])
async def test_of_a_deletion(serve, one_bus, store, tmp_path, away, cutter, names, check, second, taken):
    """Every other step, and those between them where the name is taken."""
    current = []

    async def step(name) -> None:
        await current[0].step(name)

    async with Bus(one_bus.url, prefix=one_bus.keys.prefix) as own:
        paired = PairedStore(Stepping(store, step), Stepping(second, step))
        async with serve(own, paired, tmp_path) as api:
            client, own.client = own.client, Stepping(own.client, step)
            for at in itertools.count(1 + taken, 2):
                await away(f"conv-{at}", taken=taken)
                meanwhile = Meanwhile(at, lambda: all_home(one_bus, store, second))
                current[:] = [meanwhile]
                answer = await cutter.stretch(api, 0.5, 1.0)
                if not meanwhile.happened:
                    break
                assert answer.status_code == 200, (at, answer.text)
                assert (await cutter.stretch(api, 0.5, 1.0)).json()["deleted_objects"] == 0, at
                await all_home(one_bus, store, second)
                await check(at, sessions=2 if taken else 1)
            own.client = client
    assert at > 30
