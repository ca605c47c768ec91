"""What `strict` has checked it does not fetch again."""

from itertools import pairwise

import pytest

from storage_api.checked_objects import CHECKED_FOR_S, CheckedObjects
from storage_api.passage import passages


@pytest.fixture
def fetched(store, monkeypatch):
    """The names that were fetched."""
    names: list[str] = []
    get = store.get

    async def noted(name):
        names.append(name)
        return await get(name)

    monkeypatch.setattr(store, "get", noted)
    return names


@pytest.fixture
def little_ahead(monkeypatch):
    monkeypatch.setattr("storage_api.audio_plan.AHEAD_BYTES", 1)
    monkeypatch.setattr("storage_api.audio_plan.AHEAD_AT_ONCE", 1)


async def in_batches(tape, pcm: bytes, batches: int) -> list[str]:
    await tape.record(pcm)
    count = len(tape.chunks)
    bounds = [count * number // batches for number in range(batches + 1)]
    return [name for first, last in pairwise(bounds) for name in await tape.drain(first, last)]


async def test_a_piece_fetches_only_what_it_plays(api, tape, conversation, pcm_tone, fetched, little_ahead):
    await in_batches(tape, pcm_tone(60), 10)
    first = {"headers": {"Range": "bytes=0-99"}, "format": "wav", "strict": "true"}
    assert (await api.get(conversation, "/audio", **first)).status_code == 206
    assert len(set(fetched)) == 10
    fetched.clear()
    last = {"headers": {"Range": "bytes=-100"}, "format": "wav", "strict": "true"}
    assert (await api.get(conversation, "/audio", **last)).status_code == 206
    assert len(fetched) <= 2


async def test_what_turned_out_to_be_bad_stays_missing(
    api, tape, conversation, pcm_tone, little_ahead, tmp_path
):
    names = await in_batches(tape, pcm_tone(60), 10)
    path = tmp_path / "store" / names[7]
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)
    for _ in range(3):
        answer = await api.get(conversation, "/audio", strict="true")
        assert (answer.status_code, answer.json()["code"]) == (502, "incomplete")
        assert (await api.get(conversation, "/audio")).headers["tapedeck-missing"] == "1"


async def test_it_is_forgotten_after_a_while_and_with_other_keys(
    api, tape, conversation, pcm_tone, monkeypatch
):
    await in_batches(tape, pcm_tone(6), 3)
    recording = await api.services.recordings.find(conversation)
    now = [100.0]
    checked = CheckedObjects(lambda: now[0])
    first, second, third = passages(recording.timeline.plays)
    checked.add(recording, first, 1)
    assert checked.hold(recording, first, 1)
    assert not checked.hold(recording, second, 1)
    assert not checked.hold(recording, first, 2)
    now[0] += CHECKED_FOR_S
    assert not checked.hold(recording, first, 1)
    monkeypatch.setattr("storage_api.checked_objects.MAX_CHECKED", 2)
    for one in (first, second, third):
        checked.add(recording, one, 1)
    assert [checked.hold(recording, one, 1) for one in (first, second, third)] == [False, True, True]
