"""Objects that lie in both buckets: which of the two is asked, and what is said of which."""

import dataclasses

import pytest

from audiostore.memory_store import MemoryStore
from audiostore.names import CONTENT_TYPE, parse_name
from audiostore.paired_store import PairedStore
from storage_api.bucket import Bucket, Judged
from storage_api.errors import UnreadableError
from storage_api.recording import Recording, Recordings

WHO = ("user-1", "conv-1")


def cut_short(data: bytes) -> bytes:
    """Its head looks well."""
    return data[:-10]


@pytest.fixture
def first(new_counting):
    return new_counting(MemoryStore())


@pytest.fixture
def second(new_counting):
    return new_counting(MemoryStore())


@pytest.fixture
async def batch(tape, second, pcm_tone):
    """Name and bytes of one that the second bucket has."""
    await tape.record(pcm_tone(2))
    tape.store = MemoryStore()
    [name] = await tape.put(0, 3)
    data = await tape.store.get(name)
    await put(second, name, data)
    return name, data


@pytest.fixture
def both(first, second, metrics, workers):
    return Bucket(PairedStore(first, second), metrics, workers)


async def put(store, name, data):
    await store.put(name, data, content_type=CONTENT_TYPE, metadata={})


async def test_where_both_are_damaged_both_are_known_to_be(both, first, second, batch):
    name, data = batch
    await second.delete(name)
    await put(first, name, data[:100])
    await put(second, name, cut_short(data))
    [stored] = await both.objects(*WHO)
    assert (stored.second, stored.reason) == (True, None)
    with pytest.raises(UnreadableError):
        await both.batch(stored)
    [stored] = await both.objects(*WHO)
    assert (stored.second, stored.reason) == (False, "not_a_batch")
    first.asked.clear()
    second.asked.clear()
    await both.objects(*WHO)
    assert first.asked == second.asked == []


async def test_a_failed_look_at_a_good_one_is_no_look_at_the_damaged_one_beside_it(
    both, first, second, batch
):
    name, data = batch
    await second.delete(name)
    await put(first, name, data)
    await put(second, name, data[:100])
    first.failures = 1
    [stored] = await both.objects(*WHO)
    assert (stored.second, stored.reason, first.asked) == (False, None, ["get_range"] * 2)
    assert second.asked == ["get_range"]  # its own


async def test_one_that_is_gone_from_the_first_since_it_was_listed_is_read_in_the_second(both, first, batch):
    name, data = batch
    await put(first, name, data[:100])
    [(audio_name, info, _)] = [listed async for listed in both.names("user-1")]
    await first.delete(name)
    judged = await both.with_facts([(audio_name, info)])
    [stored] = judged.objects
    assert (stored.second, stored.reason, judged.gone) == (True, None, frozenset())
    assert len((await both.batch(stored)).spans) == 1


async def test_what_is_gone_when_it_is_judged_again_is_looked_for_under_another_name(
    both, first, second, batch, one_bus, conversation
):
    """The answer was about to be planned anew, for the first one's turned out to be damaged; meanwhile the other one is brought home."""
    name, data = batch
    await put(first, name, cut_short(data))
    recordings = Recordings(one_bus, both)
    objects = await both.objects(*WHO)
    recording = Recording(conversation, None, tuple(objects))
    both.refuse(objects[0], "damaged", "its end is missing")
    both._beside.verdicts._known.clear()  # pushed out by what else was looked at
    parsed = parse_name(name)
    other = dataclasses.replace(parsed, end_ms=parsed.end_ms + 1).path
    await put(first, other, data)
    await first.delete(name)
    await second.delete(name)
    assert await both.with_facts([(objects[0].name, objects[0].info)]) == Judged(
        [dataclasses.replace(objects[0], verdict=dataclasses.replace(objects[0].verdict, reason="damaged"))],
        frozenset({name}),
    )
    again = await recordings.judged_again(recording)
    assert [(stored.info.name, stored.reason) for stored in again.objects] == [(other, None)]
