"""Audio that lies in two buckets, because the first was away for a while: readers hear it whole, also while it is moved home."""

import pytest

from audiostore import open_store
from audiostore.errors import TransientStoreError
from audiostore.paired_store import PairedStore, copy_over


@pytest.fixture
async def second(tmp_path):
    opened = open_store(f"file://{tmp_path}/second")
    yield opened
    await opened.close()


@pytest.fixture
async def stored(tape, second, speech):
    """Forty seconds of speech, every other batch in the second bucket; the names of those."""
    await tape.record(speech[: 40 * 32_000])
    first, away = tape.store, []
    for number in range(0, 40, 5):
        tape.store = second if number % 2 else first
        names = await tape.drain(number, len(tape.chunks) if number == 35 else number + 5)
        away += names if number % 2 else []
    tape.store = first
    return away


async def test_audio_in_two_buckets_is_one_recording_also_while_it_is_moved_home(
    serve, one_bus, store, second, stored, conversation, tmp_path
):
    assert len(stored) == 4
    async with serve(one_bus, PairedStore(store, second), tmp_path) as both:
        before = await both.pcm(conversation)
        assert len(before) == 40 * 16_000
        rows = (await both.get(conversation, "/chunks")).json()
        assert len(rows["chunks"]) == 8
        for name in stored:
            await copy_over(second, store, name, name)
            assert await both.pcm(conversation) == before  # it lies in both, and is played once
            await second.delete(name)
            assert await both.pcm(conversation) == before
    async with serve(one_bus, store, tmp_path) as alone:
        assert await alone.pcm(conversation) == before


async def test_a_bucket_that_cannot_be_listed_is_no_silence(
    serve, one_bus, store, second, stored, conversation, tmp_path
):
    class Away:
        def __getattr__(self, name):
            async def fails(*_args, **_kwargs):
                raise TransientStoreError("away")

            async def fails_to_list(*_args, **_kwargs):
                raise TransientStoreError("away")
                yield

            return fails_to_list if name.startswith("list") else fails

    for pair in (PairedStore(Away(), second), PairedStore(store, Away())):
        async with serve(one_bus, pair, tmp_path) as api:
            answer = await api.get(conversation, "/audio", format="pcm")
            assert answer.status_code == 503
