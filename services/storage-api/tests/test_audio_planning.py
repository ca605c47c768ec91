"""What is done before the first byte of an answer: for a client that is there, and not on the event loop."""

import asyncio
import threading

import pytest

from audiostore.errors import NotFoundError


class Wrapped:
    """A store in the place of another, for all that it does not do itself."""

    def __init__(self, store) -> None:
        self._store = store
        self.gets = 0

    def __getattr__(self, name):
        return getattr(self._store, name)


class Stuck(Wrapped):
    """A store whose objects do not come."""

    async def get(self, name):
        self.gets += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.gets -= 1


@pytest.mark.parametrize("query", [{"format": "wav"}, {}, {"strict": "true"}])
async def test_a_client_that_goes_away_stops_the_planning(
    serve, one_bus, store, tape, conversation, pcm_tone, until, tmp_path, query
):
    await tape.record(pcm_tone(10))
    await tape.drain(0, 5)
    stuck = Stuck(store)
    async with serve(one_bus, stuck, tmp_path) as api:
        asking = asyncio.create_task(api.get(conversation, "/audio", **query))
        await until(lambda: stuck.gets == 1)
        assert api.services.downloads.running == 1
        asking.cancel()
        await asyncio.wait([asking])
        await until(lambda: stuck.gets == 0 and api.services.downloads.running == 0)


@pytest.mark.parametrize(("ahead_bytes", "at_once"), [(3 << 20, 20), (1, 16)])
async def test_what_is_looked_at_before_the_first_byte_is_asked_for_at_once(
    serve, one_bus, store, tape, conversation, pcm_tone, until, tmp_path, monkeypatch, ahead_bytes, at_once
):
    monkeypatch.setattr("storage_api.audio_plan.AHEAD_BYTES", ahead_bytes)
    await tape.record(pcm_tone(20))
    for number in range(20):
        await tape.drain(number, number + 1)
    stuck = Stuck(store)
    async with serve(one_bus, stuck, tmp_path) as api:
        asking = asyncio.create_task(api.get(conversation, "/audio"))
        await until(lambda: stuck.gets >= at_once)
        await asyncio.sleep(0)
        assert stuck.gets == at_once
        asking.cancel()
        await asyncio.wait([asking])


async def test_little_that_is_left_of_it_is_not_worth_another_wait(
    serve, one_bus, store, tape, conversation, pcm_tone, tmp_path, monkeypatch
):
    monkeypatch.setattr("storage_api.audio_plan.AHEAD_AT_ONCE", 1)
    monkeypatch.setattr("storage_api.audio_plan.AHEAD_MOST", 2)
    await tape.record(pcm_tone(6))
    for number in range(6):
        await tape.drain(number, number + 1)
    told = Counted(store)
    async with serve(one_bus, told, tmp_path) as api:
        path, key = api.path(conversation, "/audio"), {"Authorization": "Bearer all-token"}
        for worth, gets in ((1, 6), (3 << 20, 2)):
            monkeypatch.setattr("storage_api.audio_plan.WORTH_BYTES", worth)
            told.gets = 0
            answer = await api.http.head(path, params={"format": "wav"}, headers=key)
            assert (answer.status_code, told.gets) == (200, gets)


class Counted(Wrapped):
    """A store that counts what is opened."""

    async def get(self, name):
        self.gets += 1
        return await self._store.get(name)


class Vanishing(Wrapped):
    """A store that lists what it does not have."""

    async def get(self, name):
        self.gets += 1
        raise NotFoundError(f"get {name}: it is gone")


@pytest.mark.parametrize("kind", ["wav", "ogg"])
async def test_audio_that_keeps_moving_is_asked_for_later(
    serve, one_bus, store, tape, conversation, pcm_tone, tmp_path, kind
):
    await tape.record(pcm_tone(10))
    await tape.drain(0, len(tape.chunks))
    vanishing = Vanishing(store)
    async with serve(one_bus, vanishing, tmp_path) as api:
        answer = await api.get(conversation, "/audio", format=kind)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"
    assert 1 < vanishing.gets < 10


@pytest.mark.parametrize("query", [{"format": "wav"}, {}, {"format": "pcm", "timestamps": "1700000000.000"}])
async def test_what_takes_long_for_a_day_of_audio_is_done_in_a_thread(
    api, tape, conversation, pcm_tone, monkeypatch, query
):
    loop = threading.get_ident()
    seen = set()

    def watched(module: str, name: str) -> None:
        real = getattr(__import__(module, fromlist=[name]), name)

        def noted(*args, **kwargs):
            seen.add(name)
            assert threading.get_ident() != loop, name
            return real(*args, **kwargs)

        monkeypatch.setattr(f"{module}.{name}", noted)

    watched("storage_api.recording", "timeline")
    watched("storage_api.audio_planning", "plan")
    watched("storage_api.audio_planning", "selection")
    watched("storage_api.audio_headers", "audio_tag")
    watched("storage_api.ogg_length", "_told")
    await tape.record(pcm_tone(10))
    await tape.drain(0, 3)
    await tape.drain(3, 6)
    assert (await api.get(conversation, "/audio", **query)).status_code == 200
    assert seen >= {"timeline", "plan", "selection", "audio_tag"}
    assert ("_told" in seen) == (not query)
