"""`:flush`: asked for durably, answered when it is stored."""

import asyncio

import pytest

from audiobus import Conversation
from audiobus.deletions import expunge
from audiobus.hints import Hints


async def flushed(api, conversation, token: str = "all-token", content=None):
    headers = {"Authorization": f"Bearer {token}"}
    return await api.http.post(api.path(conversation, ":flush"), headers=headers, content=content)


async def in_parts(size: int):
    """A body whose length is not announced."""
    for _ in range(0, size, 4096):
        yield bytes(4096)


async def test_a_flush_is_noted_hinted_and_answered_when_all_is_stored(
    api, tape, conversation, one_bus, pcm_tone
):
    await tape.record(pcm_tone(5))
    await Hints(one_bus).make_group(0)
    asking = asyncio.create_task(flushed(api, conversation))
    hints = await Hints(one_bus).take(one_bus.client, 0, "test", count=1, block_ms=4000)
    assert [(hint.conversation, hint.reason) for hint in hints] == [(conversation, "flush")]
    state = await one_bus.state(conversation)
    assert (state.flush, state.flush_reason) == (tape.newest, "flush")
    await tape.drain(0, 3)
    assert not asking.done()
    await tape.drain(3, len(tape.chunks))
    answer = await asking
    assert (answer.status_code, answer.json()) == (200, {"stored_seconds": 5.0})
    assert (await flushed(api, conversation)).json() == {"stored_seconds": 0.0}


async def test_what_is_recorded_meanwhile_is_not_waited_for(
    api, tape, conversation, one_bus, encode, pcm_tone, until
):
    chunks = encode(pcm_tone(6))
    await tape.open()
    await tape.append(chunks[:3])
    asking = asyncio.create_task(flushed(api, conversation))
    async with asyncio.timeout(60):
        while (await one_bus.state(conversation)).flush is None:
            await asyncio.sleep(0.01)
    await tape.append(chunks[3:])
    await tape.drain(0, 3)
    answer = await asking
    assert answer.json()["stored_seconds"] == pytest.approx(3.0, abs=0.01)


async def test_audio_that_cannot_be_stored_is_not_counted(api, tape, conversation, one_bus, pcm_tone):
    await tape.record(pcm_tone(3))
    asking = asyncio.create_task(flushed(api, conversation))
    async with asyncio.timeout(60):
        while (await one_bus.state(conversation)).flush is None:
            await asyncio.sleep(0.01)
    entries = await one_bus.read(conversation, count=10)
    last = entries[-1]
    chunk, _ = tape.chunks[-1]
    assert await one_bus.bury(
        conversation, last, reason="test", first_offset=chunk.first_offset, samples=chunk.samples, now_ms=1
    )
    await tape.drain(0, len(tape.chunks) - 1)
    assert (await asking).json()["stored_seconds"] == pytest.approx(3 - chunk.samples / 48_000, abs=1e-4)


async def test_audio_that_is_deleted_meanwhile_is_not_counted(api, tape, conversation, one_bus, pcm_tone):
    await tape.record(pcm_tone(3))
    asking = asyncio.create_task(flushed(api, conversation))
    async with asyncio.timeout(60):
        while (await one_bus.state(conversation)).flush is None:
            await asyncio.sleep(0.01)
    last = (await one_bus.read(conversation, count=10))[-1]
    samples = {last.id: last.counted_samples}
    assert await expunge(one_bus, conversation, samples, cut=None, name="", preroll=False, now_ms=1)
    await tape.drain(0, len(tape.chunks) - 1)
    assert (await asking).json()["stored_seconds"] == pytest.approx(
        3 - last.counted_samples / 48_000, abs=1e-4
    )


async def test_nobody_stores_and_the_answer_is_a_timeout(api, tape, conversation, pcm_tone, monkeypatch):
    monkeypatch.setattr("storage_api.flush.DEADLINE_S", 0.3)
    await tape.record(pcm_tone(1))
    answer = await flushed(api, conversation)
    assert (answer.status_code, answer.json()["code"]) == (504, "flush_timeout")


async def test_a_small_body_is_fine_and_one_over_the_limit_is_refused(
    api, tape, conversation, one_bus, pcm_tone
):
    await tape.record(pcm_tone(1))
    for content in (bytes(65_537), in_parts(69_632)):
        answer = await flushed(api, conversation, content=content)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_big")
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await one_bus.state(conversation)).flush is None
    await tape.drain(0, len(tape.chunks))
    for content in (None, b"", b"{}", bytes(65_536), in_parts(65_536)):
        assert (await flushed(api, conversation, content=content)).status_code == 200


async def test_nothing_recorded_is_not_found(api, tape, conversation, one_bus, pcm_tone):
    assert (await flushed(api, Conversation("user-1", "never"))).status_code == 404
    await tape.open()
    assert (await flushed(api, conversation)).status_code == 404
    await one_bus.command("SET", one_bus.keys.tomb(conversation), "1")
    assert (await flushed(api, conversation)).status_code == 404


async def test_a_flush_leaves_an_audit_line_without_the_user(api, tape, conversation, pcm_tone, caplog):
    caplog.set_level("INFO")
    await tape.record(pcm_tone(1))
    await tape.drain(0, len(tape.chunks))
    assert (await flushed(api, conversation, api.token(conversation.uid))).status_code == 200
    (line,) = [record for record in caplog.records if getattr(record, "audit", False)]
    assert (line.message, line.operation) == ("flushed", "post_flush")
    assert (line.actor, line.conversation_id) == ("user", conversation.cid)
    assert conversation.uid not in str(vars(line))


async def test_a_flush_that_is_not_done_in_time_leaves_one_too(
    api, tape, conversation, pcm_tone, caplog, monkeypatch
):
    caplog.set_level("INFO")
    monkeypatch.setattr("storage_api.flush.DEADLINE_S", 0.05)
    await tape.record(pcm_tone(1))
    assert (await flushed(api, conversation)).status_code == 504
    (line,) = [record for record in caplog.records if getattr(record, "audit", False)]
    assert (line.message, line.operation) == ("flush asked for", "post_flush")
    assert line.conversation_id == conversation.cid


async def test_only_post(api, conversation):
    answer = await api.http.get(
        api.path(conversation, ":flush"), headers={"Authorization": "Bearer all-token"}
    )
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
