"""Devices that write everything they have and wait for nothing, over real sockets: each conversation has what was sent for it."""

import asyncio
import json

import pytest

from audiobus import Conversation

BINARY, TEXT = 2, 1


def audio(client, seconds: float) -> bytes:
    return client.frame(BINARY, bytes([128]) * int(8_000 * seconds))


def text(client, **message: str) -> bytes:
    return client.frame(TEXT, json.dumps(message).encode())


def change(client, cid: str) -> bytes:
    return text(client, type="conversation", conversation_id=cid)


async def stored(service, **seconds: float) -> None:
    """Waits until the conversations hold so much."""
    async with asyncio.timeout(60):
        while True:
            found = {cid: sum(span.samples for span in await service.spans(cid)) / 48_000 for cid in seconds}
            if found == seconds:
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("leaves", [False, True])
async def test_all_that_comes_right_after_the_handshake(service, raw, leaves):
    for turn in range(5):
        a, b, c = (f"{name}{turn}" for name in "abc")
        client, _ = await raw(f"conversation_id={a}", plain=True)
        client.writer.write(
            audio(client, 0.2)
            + change(client, b)
            + audio(client, 0.1)
            + change(client, c)
            + audio(client, 0.15)
        )
        if leaves:
            client.writer.close()
        else:
            client.writer.write(text(client, type="close"))
        await stored(service, **{a: 0.2, b: 0.1, c: 0.15})


async def test_all_that_comes_with_the_handshake(service, raw):
    frames, _ = await raw("conversation_id=other", plain=True)
    sent = change(frames, "b") + audio(frames, 0.2) + change(frames, "c") + audio(frames, 0.1)
    client, _ = await raw("conversation_id=a", plain=True, after=sent)
    client.writer.close()
    await stored(service, a=0, b=0.2, c=0.1)


async def test_later_ones_do_not_wait_for_a_finalize(service, raw):
    """Nobody stores here: the first one's `finalize` would wait for 15 s."""
    client, _ = await raw("conversation_id=a", plain=True)
    client.writer.write(
        audio(client, 0.5) + text(client, type="finalize") + change(client, "b") + change(client, "c")
    )
    await stored(service, a=0.5)
    client.writer.write(audio(client, 0.5) + change(client, "d") + audio(client, 0.25))
    client.writer.close()
    await stored(service, a=0.5, b=0, c=0.5, d=0.25)


async def test_more_conversations_than_wait_are_all_opened_in_their_order(service, raw):
    client, _ = await raw("conversation_id=a", plain=True)
    names = [f"next-{number}" for number in range(40)]
    client.writer.write(b"".join(change(client, name) + audio(client, 0.1) for name in names))
    client.writer.write(text(client, type="close"))
    await stored(service, **dict.fromkeys(names, 0.1))
    epochs = [(await service.bus.state(Conversation("alice", name))).newest.epoch for name in names]
    assert epochs == sorted(epochs)
