"""A part is deleted while it is stored, recorded on, or deleted by others, between any two steps of either: nothing of it stays, nothing else goes, and the books close."""

import itertools
from functools import partial

import pytest

from audiobus import Bus, Conversation
from audiobus.replacing import Replacing
from audiostore.memory_store import MemoryStore
from tapedeck_testing.draining.inside import again_and_again, drained, drained_in_steps
from tapedeck_testing.draining.steps import Killed, Meanwhile, Stepping
from tapedeck_testing.touched_packets import touched

ZERO = {"deleted_objects": 0, "deleted_seconds": 0}
STRIDE = 9
"""Of its own steps each test takes so many apart, another one first."""


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def every(chunks) -> set[bytes]:
    return {packet for chunk, _ in chunks for packet in chunk.packets}


ASKED = {
    # Some of it is stored, and some waits.
    "a stretch": (lambda cutter, api: cutter.stretch(api, 1.7, 3.3), lambda chunks: [(1.7, 3.3)]),
    "a batch": (lambda cutter, api: cutter.chunks(api, 0.0), lambda chunks: [chunks[:4]]),
    # It waits, or goes with its batch where it is stored by then.
    "a chunk": (
        lambda cutter, api: cutter.chunks(api, 3.9935),
        lambda chunks: [chunks[8:9], chunks[4:10], chunks[4:9]],
    ),
}


def doomed(chunks, part) -> set[bytes]:
    return set(touched(chunks, *part)) if isinstance(part, tuple) else every(part)


@pytest.fixture
def half_stored(tape_for, store, one_bus):
    """A batch with what comes after it still waiting."""

    async def record(cid: str, chunks):
        tape = tape_for(Conversation("user-1", cid))
        await tape.open()
        await tape.append(chunks[:4])
        await one_bus.ask(tape.conversation, "flush")
        await drained(one_bus, store, tape.conversation)
        await tape.append(chunks[4:10])
        return tape

    return record


@pytest.fixture
def closes(cutter, store, one_bus, batches):
    """What must hold when everything is stored."""

    async def check(chunks, gone: list[set[bytes]], answers, where) -> None:
        where = (where, [answer.text for answer in answers])
        found, spans = set(), []
        for batch in await batches(store, prefix=f"chunks/user-1/{cutter.conversation.cid}/"):
            found.update(batch.preroll)
            for span in batch.spans:
                found.update(span.packets)
                spans.append((span.first_sample, span.first_sample + span.samples))
        assert any(found == every(chunks) - one for one in gone), where
        spans.sort()
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans)), where
        balance = await cutter.balance()
        stored = sum(end - start for start, end in spans)
        assert (balance.waiting, balance.stored) == (0, stored), where
        told = round(sum(answer.json().get("deleted_seconds", 0) for answer in answers) * 48_000)
        # What one has deleted that lost its turn afterwards is told by nobody.
        assert told <= balance.deleted, where
        assert told == balance.deleted or any(answer.is_error for answer in answers), where
        assert await Replacing(one_bus, cutter.conversation).unfinished() == {}, where

    return check


@pytest.mark.parametrize(
    ("what", "dies"), [("a stretch", False), ("a stretch", True), ("a batch", True), ("a chunk", False)]
)
async def test_of_a_flush(api, half_stored, cutter, store, one_bus, encode, speech, closes, what, dies):
    """A pusher is paused for longer than its lease while another carries on; then it goes on with what it had in hand."""
    chunks = encode(speech[: 8 * 32_000], chunk_s=0.5)
    ask, parts = ASKED[what]
    for at in itertools.count(1):
        tape = await half_stored(f"conv-{at}", chunks)
        conversation = cutter.conversation = tape.conversation
        await one_bus.ask(conversation, "flush")
        answers = []

        async def delete(conversation=conversation, answers=answers) -> None:
            async with again_and_again(partial(drained, one_bus, store, conversation, "b"), 0.005):
                answers.append(await ask(cutter, api))

        meanwhile = Meanwhile(at, delete)

        async def step(name, meanwhile=meanwhile) -> None:
            if dies and meanwhile.taken > meanwhile.at:
                raise Killed
            await meanwhile.step(name)

        await drained_in_steps(one_bus, store, conversation, step)
        if not meanwhile.happened:
            break
        [answer] = answers
        assert answer.status_code == 200, (at, answer.text)
        await tape.append(chunks[10:])
        await one_bus.ask(conversation, "end")
        await drained(one_bus, store, conversation)
        gone = [doomed(chunks, part) for part in parts(chunks)]
        await closes(chunks, gone, answers, at)
        assert (await ask(cutter, api)).json() == ZERO, at
    assert at > 8


@pytest.mark.parametrize("act", ["recorded on", "deleted", "cut", "overlapping"])
@pytest.mark.parametrize("what", ["a stretch", "a batch"])
async def test_of_a_deletion(
    api, serve, tmp_path, half_stored, cutter, store, one_bus, encode, speech, closes, what, act
):
    """It is stopped for longer than its turn, while a device and a pusher go on, the whole goes, or another deletes the same, or what overlaps it."""
    chunks = encode(speech[: 8 * 32_000], chunk_s=0.5)
    ask, parts = ASKED[what]
    current = []
    number = ["recorded on", "deleted", "cut", "overlapping"].index(act)

    async def step(name) -> None:
        await current[0].step(name)

    async with (
        Bus(one_bus.url, prefix=one_bus.keys.prefix) as own,
        serve(own, Stepping(store, step), tmp_path) as other,
    ):
        own.client, client = Stepping(own.client, step), own.client
        statuses = set()
        for at in itertools.count(1 + number, STRIDE):
            tape = await half_stored(f"conv-{at}", chunks)
            conversation = cutter.conversation = tape.conversation
            answers = []

            async def happens(tape=tape, conversation=conversation, answers=answers) -> None:
                if act == "recorded on":
                    await tape.append(chunks[10:12])
                elif act == "deleted":
                    headers = {"Authorization": "Bearer all-token"}
                    answers.append(await api.http.delete(api.path(conversation), headers=headers))
                else:
                    await one_bus.command("DEL", one_bus.keys.replacing_lease(conversation))
                    answers.append(
                        await (ask(cutter, api) if act == "cut" else cutter.stretch(api, 0.3, 2.5))
                    )

            meanwhile = Meanwhile(at, happens)
            current[:] = [meanwhile]
            async with again_and_again(partial(drained, one_bus, store, conversation, "b"), 0.005):
                answers.append(await ask(cutter, other))
                statuses.add(answers[-1].status_code)
                if answers[-1].status_code == 503 and act != "deleted":
                    answers.append(await ask(cutter, api))
            if not meanwhile.happened:
                break
            if act == "deleted":
                await drained(one_bus, store, conversation)
                assert [info.name async for info in store.list(f"chunks/user-1/conv-{at}/")] == []
                balance = await cutter.balance()
                assert balance.deleted == balance.received, at
                continue
            await tape.append(chunks[len(tape.chunks) :])
            await one_bus.ask(conversation, "end")
            await drained(one_bus, store, conversation)
            gone = [doomed(chunks, part) for part in parts(chunks)]
            if act == "overlapping":
                gone = [one | set(touched(chunks, 0.3, 2.5)) for one in gone]
            await closes(chunks, gone, answers, at)
            assert (await ask(cutter, api)).json() == ZERO, at
        own.client = client
    assert at > 30
    assert 200 in statuses
