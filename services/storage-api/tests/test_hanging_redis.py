"""A Redis that takes connections and never answers: each wait for it costs seconds, so the number of waits must not grow with what is listed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from audiobus import Bus, Conversation
from tapedeck_testing.free_ports import free_port

SERVICE = {"Authorization": "Bearer all-token"}
USER = "waiting"


class Silent:
    """It, and how often it was asked for something: whoever gives up waiting takes another connection."""

    def __init__(self) -> None:
        self.asked = 0
        self.port = free_port()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        self.asked += 1
        with suppress(ConnectionError):
            while await reader.read(65_536):
                pass
        writer.close()


@pytest.fixture
async def silent(monkeypatch) -> AsyncIterator[tuple[Silent, Bus]]:
    monkeypatch.setattr("audiobus.connection.COMMAND_TIMEOUT_S", 0.1)
    redis = Silent()
    async with (
        await asyncio.start_server(redis.take, "127.0.0.1", redis.port),
        Bus(f"redis://127.0.0.1:{redis.port}") as bus,
    ):
        yield redis, bus


async def test_a_list_waits_for_it_as_often_as_a_list_of_one(
    serve, silent, store, tape_for, tmp_path, pcm_tone
):
    for number in range(12):
        tape = tape_for(Conversation(USER, f"c{number}"))
        await tape.record(pcm_tone(1))
        await tape.drain(0, len(tape.chunks))
    redis, bus = silent
    async with serve(bus, store, tmp_path) as api:
        asked = []
        for size in (1, 12):
            before = redis.asked
            url = f"/v1/users/{USER}/conversations?page_size={size}"
            answer = await api.http.get(url, headers=SERVICE)
            assert (answer.status_code, answer.headers["tapedeck-live"]) == (200, "unavailable")
            assert [row["recorded_seconds"] for row in answer.json()["conversations"]] == [1.0] * size
            asked.append(redis.asked - before)
    assert asked == [1, 1]


async def test_the_tail_and_what_is_deleted_are_waited_for_side_by_side(
    serve, silent, store, tape, conversation, tmp_path, pcm_tone, monkeypatch, until
):
    await tape.record(pcm_tone(1))
    await tape.drain(0, len(tape.chunks))
    monkeypatch.setattr("audiobus.connection.COMMAND_TIMEOUT_S", 600.0)
    redis, _ = silent
    async with (
        Bus(f"redis://127.0.0.1:{redis.port}") as patient,
        serve(patient, store, tmp_path) as api,
    ):
        before = redis.asked
        asking = asyncio.create_task(api.services.recordings.find(conversation))
        await until(lambda: redis.asked - before == 2)
        asking.cancel()
        await asyncio.wait([asking])


@pytest.mark.parametrize("rest", ["", "/chunks", "/recordings", "/audio", "/waveform"])
async def test_what_is_read_waits_for_the_tail_and_for_what_is_deleted(
    serve, silent, store, tape, conversation, tmp_path, pcm_tone, rest
):
    await tape.record(pcm_tone(1))
    await tape.drain(0, len(tape.chunks))
    redis, bus = silent
    async with serve(bus, store, tmp_path) as api:
        before = redis.asked
        answer = await api.get(conversation, rest)
        assert (answer.status_code, answer.headers["tapedeck-live"]) == (200, "unavailable")
        assert redis.asked - before <= 2
        if rest == "/audio":
            assert answer.headers["cache-control"] == "private, no-store"
