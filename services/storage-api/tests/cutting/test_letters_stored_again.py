"""Dead letters of a stretch that are stored after all between any two steps of its deletion, and a deletion between any two steps of that: nothing of them stays."""

import contextlib
import itertools

import pytest

from audiobus import Bus, Conversation, Hints, dead_letters
from audiostore.memory_store import MemoryStore
from pusher.cutter import Limits
from pusher.metrics import PusherMetrics
from pusher.worker import Worker
from tapedeck_testing.draining.steps import Killed, Meanwhile, Stepping

ZERO = {"deleted_objects": 0, "deleted_seconds": 0}


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def drained(bus, store, conversation, over=None) -> None:
    await bus.command("DEL", bus.keys.lease(conversation))
    over = over or bus
    await Worker(over, Hints(over), store, PusherMetrics(), "a", Limits()).drain(conversation)


@pytest.fixture
def letter(tape_for, store, one_bus, encode, pcm_tone, cutter):
    """Of four seconds the third lies in the dead letters, and is to be tried again; the others are stored."""

    async def bury(cid: str):
        conversation = cutter.conversation = Conversation("user-1", cid)
        tape, chunks = tape_for(conversation), encode(pcm_tone(4))
        await tape.open()
        await tape.append(chunks)
        entry = [one for one in await one_bus.read(conversation, count=20) if one.chunk is not None][2]
        first, samples = chunks[2][0].first_offset, chunks[2][0].samples
        assert await one_bus.bury(
            conversation, entry, reason="t", first_offset=first, samples=samples, now_ms=1
        )
        await one_bus.ask(conversation, "end")
        await drained(one_bus, store, conversation)
        assert await dead_letters.mark(one_bus, conversation, entry.id, 1_700_000_100_000)
        return conversation

    return bury


@pytest.fixture
def check(api, cutter, batches, store, one_bus):
    async def run(answer, at) -> None:
        conversation = cutter.conversation
        await drained(one_bus, store, conversation)
        assert answer.status_code == 200, (at, answer.text)
        # As a whole, or what of it the stretch holds, where it is stored by then.
        assert round(answer.json()["deleted_seconds"], 2) in {1, 0.82}, at
        left = await batches(store, prefix=f"chunks/user-1/{conversation.cid}/")
        spans = [(span.first_sample, span.first_sample + span.samples) for one in left for span in one.spans]
        assert not any(low < 2.9 * 48_000 and high > 2.1 * 48_000 for low, high in spans), (at, spans)
        balance = await cutter.balance()
        assert (balance.stored, balance.dead) == (sum(high - low for low, high in spans), 0), at
        assert balance.deleted == round(answer.json()["deleted_seconds"] * 48_000), at
        assert (await cutter.stretch(api, 2.1, 2.9)).json() == ZERO, at

    return run


async def test_of_a_deletion(serve, one_bus, store, tmp_path, letter, cutter, check):
    current = []

    async def step(name) -> None:
        await current[0].step(name)

    async with (
        Bus(one_bus.url, prefix=one_bus.keys.prefix) as own,
        serve(own, Stepping(store, step), tmp_path) as api,
    ):
        client, own.client = own.client, Stepping(own.client, step)
        for at in itertools.count(1):
            conversation = await letter(f"conv-{at}")

            async def stored(conversation=conversation) -> None:
                await drained(one_bus, store, conversation)

            meanwhile = Meanwhile(at, stored)
            current[:] = [meanwhile]
            answer = await cutter.stretch(api, 2.1, 2.9)
            if not meanwhile.happened:
                break
            await check(answer, at)
        own.client = client
    assert at > 20


@pytest.mark.parametrize("dies", [False, True], ids=["goes on", "is killed then"])
async def test_of_storing_them(api, one_bus, store, letter, cutter, check, dies):
    for at in itertools.count(1):
        conversation = await letter(f"conv-{at}")
        answers = []

        async def delete(conversation=conversation, answers=answers) -> None:
            answers.append(await cutter.stretch(api, 2.1, 2.9))

        meanwhile = Meanwhile(at, delete)

        async def step(_name, meanwhile=meanwhile) -> None:
            if dies and meanwhile.happened:
                raise Killed
            await meanwhile.step(_name)

        async with Bus(one_bus.url, prefix=one_bus.keys.prefix) as own:
            client, own.client = own.client, Stepping(own.client, step)
            with contextlib.suppress(Killed):
                await drained(one_bus, Stepping(store, step), conversation, own)
            own.client = client
        if not meanwhile.happened:
            break
        await check(answers[0], at)
    assert at > 8
