"""One client floods the process with tiny frames: the others are served between them."""

import asyncio

import pytest

from tapedeck_testing.hostile.frames import CONTINUATION, PING, PONG, TEXT, frame

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
