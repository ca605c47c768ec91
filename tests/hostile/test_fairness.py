"""Clients flood the process with tiny frames, one or a crowd: the others are served between them."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from tapedeck_testing.hostile.frames import CONTINUATION, PING, PONG, TEXT, frame
from tapedeck_testing.hostile.vitals import metrics

pytestmark = pytest.mark.asyncio(loop_scope="session")

LEAST_HANDSHAKES = 5
"""While the flood is taken. Without turns all of it is taken before the first or the second."""
FLOODS = {
    "finalize": frame(TEXT, b'{"type":"finalize"}') * 15_000,
    "empty continuations": frame(TEXT, b"", fin=False)
    + frame(CONTINUATION, b"", fin=False) * 150_000
    + frame(CONTINUATION, b"{}"),
    "pongs": frame(PONG) * 150_000,
}


CROWD = 40
CROWDS = {
    "keepalives": frame(TEXT, b'{"type":"keepalive"}') * 15_000,
    "pongs": frame(PONG) * 60_000,
}
ROUND_TRIPS = 40
MOST_TURNS = 4
"""Of the crowd, for each `finalize` that is answered. Where they do not wait for each other it is some eight and more."""


@pytest.mark.parametrize("flood", FLOODS)
async def test_others_are_served_while_one_floods(bench, flood):
    server = bench.server
    async with await server.session() as flooder:
        sending = asyncio.create_task(flooder.send(FLOODS[flood] + frame(PING, b"done")))
        taken = asyncio.create_task(flooder.hear(lambda heard: b"done" in heard.pongs, within_s=60))
        handshakes = 0
        while not taken.done():
            async with await server.session():
                handshakes += 1
        assert await sending
        assert b"done" in taken.result().pongs
    assert handshakes >= LEAST_HANDSHAKES


@pytest.mark.parametrize("flood", CROWDS)
async def test_others_wait_for_a_few_of_a_crowd_that_floods_and_not_for_all(bench, flood):
    server = bench.server

    async def rests() -> float:
        return (await metrics(server.admin_port))["tapedeck_floods_total"]

    async with AsyncExitStack() as connections:
        neighbour = await connections.enter_async_context(await server.session())
        crowd = [await connections.enter_async_context(await server.session()) for _ in range(CROWD)]
        quiet = await rests()
        sending = [asyncio.create_task(flooder.send(CROWDS[flood], within_s=60)) for flooder in crowd]
        while await rests() < quiet + CROWD:
            assert not server.process_ended
        began = await rests()
        for _ in range(ROUND_TRIPS):
            await neighbour.send(frame(TEXT, b'{"type":"finalize"}'))
            assert await neighbour.text("finalized") is not None
        turns = await rests() - began
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
    assert turns > 0, "the crowd was through before"
    assert turns <= ROUND_TRIPS * MOST_TURNS
