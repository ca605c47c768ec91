"""`audio_deleted_seconds_total`: each way of deleting counts what it takes out of the books, once."""

import re

import pytest

from audiobus import Conversation
from audiobus.census import exact

ALL = {"Authorization": "Bearer all-token"}


@pytest.fixture
def counted(api):
    def seconds() -> float:
        text = api.services.metrics.process.render().decode()
        (found,) = re.findall(r"^tapedeck_audio_deleted_seconds_total (\S+)$", text, re.MULTILINE)
        return float(found)

    return seconds


async def in_books(bus, conversation) -> float:
    return (await exact(bus, conversation)).deleted / 48_000


async def test_a_conversation(api, tape, conversation, one_bus, pcm_tone, counted):
    await tape.record(pcm_tone(5))
    await tape.drain(0, 3)
    for _ in range(2):
        await api.http.delete(api.path(conversation), headers=ALL)
        assert counted() == await in_books(one_bus, conversation) == 5


async def test_a_part(api, tape, conversation, one_bus, pcm_tone, counted):
    await tape.record(pcm_tone(5), start_ms=1_700_000_000_000)
    await tape.drain(0, 5)
    url = f"{api.path(conversation)}/audio?start=1700000001&end=1700000002"
    assert (await api.http.delete(url, headers=ALL)).json()["deleted_seconds"] > 0.9
    assert counted() == pytest.approx(await in_books(one_bus, conversation))


async def test_all_of_a_user(api, tape_for, one_bus, leaving, stored, pcm_tone, counted):
    conversations = [Conversation("user-1", f"conv-{number}") for number in (1, 2)]
    for one in conversations:
        await stored(tape_for(one), pcm_tone(2), parts=1)
    operation_id = await leaving.begin(api)
    await leaving.turn(api.services, operation_id)
    assert counted() == sum([await in_books(one_bus, one) for one in conversations]) == 4
