"""The relay before Redis and listen: what it holds back arrives late, and what it loses was done."""

import asyncio

import pytest_asyncio

from tapedeck_testing.faults.relay import Relay


class Echo:
    """A server that answers what it hears, and remembers it."""

    def __init__(self):
        self.heard = b""

    async def serve(self, reader, writer):
        while data := await reader.read(1000):
            self.heard += data
            writer.write(data)
        writer.close()


@pytest_asyncio.fixture
async def echo():
    told = Echo()
    server = await asyncio.start_server(told.serve, "127.0.0.1", 0)
    relay = await Relay("127.0.0.1", server.sockets[0].getsockname()[1]).start()
    yield told, relay
    await relay.stop()
    server.close()


async def connect(relay):
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    return reader, writer, writer.get_extra_info("sockname")[1]


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_what_was_held_back_arrives_also_where_its_sender_gave_up(echo):
    told, relay = echo
    _, writer, port = await connect(relay)
    relay.hold({port})
    writer.write(b"late")
    await until(lambda: relay.held == 1)
    writer.close()
    assert told.heard == b""
    relay.let_go()
    await until(lambda: told.heard == b"late")


async def test_others_are_not_held(echo):
    _, relay = echo
    _, held, port = await connect(relay)
    reader, writer, _ = await connect(relay)
    relay.hold({port})
    writer.write(b"now")
    assert await reader.readexactly(3) == b"now"
    held.close()
    writer.close()


async def test_a_lost_reply_is_one_to_work_that_was_done(echo):
    told, relay = echo
    reader, writer, _ = await connect(relay)
    writer.write(b"one")
    assert await reader.readexactly(3) == b"one"
    assert relay.lose_replies() == 1
    writer.write(b"two")
    assert await reader.read(100) == b""
    assert told.heard == b"onetwo"
    assert relay.eaten == 1
    writer.close()


async def test_a_server_that_is_away_is_counted(echo):
    _, relay = echo
    relay.retarget(1)  # nothing listens there
    reader, writer, _ = await connect(relay)
    assert await reader.read(100) == b""
    assert relay.broken == 1
    writer.close()
