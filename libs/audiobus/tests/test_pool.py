"""Handing over connections: at once where one is free, in turn where none is, and never one that something lies on."""

import asyncio

import pytest
from redis import exceptions as redis_errors
from redis.asyncio import Redis

from audiobus.packing import PackingConnection
from audiobus.pool import PromptPool


@pytest.fixture
async def pool(redis_url):
    pool = PromptPool.from_url(
        redis_url, connection_class=PackingConnection, max_connections=2, timeout=5, protocol=2
    )
    yield pool
    await pool.disconnect()


def at_once(coroutine):
    """What it returns without waiting for anything."""
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    return ended.value.value


async def asks(connection, *command):
    await connection.send_command(*command)
    return await connection.read_response()


async def under_way(count, pool):
    """That many ask for a connection, and have to wait."""
    tasks = []
    for number in range(count):
        tasks.append(asyncio.create_task(pool.get_connection(), name=str(number)))
        while pool._asking < len(tasks):
            await asyncio.sleep(0)
    return tasks


async def test_one_that_lies_free_is_handed_over_and_taken_back_whoever_holds_the_lock(pool):
    connection = await pool.get_connection()
    await pool.release(connection)
    async with pool._condition:
        assert at_once(pool.get_connection()) is connection
        at_once(pool.release(connection))
    assert await asks(await pool.get_connection(), "PING") == b"PONG"


async def test_each_gets_its_own_answer_and_there_are_no_more_connections_than_may_be(pool):
    client = Redis(connection_pool=pool)

    async def one(number):
        for turn in range(20):
            assert await client.execute_command("ECHO", f"{number}/{turn}") == f"{number}/{turn}".encode()

    await asyncio.gather(*map(one, range(20)))
    assert len(pool._available_connections) == 2
    assert not pool._in_use_connections


async def test_who_waits_is_served(pool):
    held = [await pool.get_connection(), await pool.get_connection()]
    first, second = await under_way(2, pool)
    await pool.release(held[0])
    latecomer = asyncio.create_task(pool.get_connection())
    assert await first is held[0]
    assert not second.done()
    await pool.release(held[1])
    assert await second is held[1]
    assert not latecomer.done()
    await pool.release(held[0])
    assert await latecomer is held[0]


async def test_nobody_takes_one_at_once_while_another_waits(pool):
    await pool.release(await pool.get_connection())
    pool._asking += 1
    async with pool._condition:
        latecomer = asyncio.create_task(pool.get_connection())
        while pool._asking < 2:
            assert not latecomer.done()
            await asyncio.sleep(0)
    await latecomer


async def test_who_stops_waiting_leaves_nothing_behind(pool):
    held = [await pool.get_connection(), await pool.get_connection()]
    (waits,) = await under_way(1, pool)
    waits.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waits
    at_once(pool.release(held[0]))
    assert at_once(pool.get_connection()) is held[0]


async def test_too_long_is_told(redis_url):
    pool = PromptPool.from_url(redis_url, connection_class=PackingConnection, max_connections=1, timeout=0.01)
    held = await pool.get_connection()
    with pytest.raises(redis_errors.ConnectionError, match="No connection available"):
        await pool.get_connection()
    at_once(pool.release(held))
    assert at_once(pool.get_connection()) is held
    await pool.disconnect()


async def test_one_that_the_server_has_closed_is_opened_anew(pool):
    connection = await pool.get_connection()
    number = await asks(connection, "CLIENT", "ID")
    await pool.release(connection)
    other = Redis(connection_pool=PromptPool.from_url(pool_url(pool)))
    assert await other.execute_command("CLIENT", "KILL", "ID", number) == 1
    await other.connection_pool.disconnect()
    while not connection._reader.at_eof():
        await asyncio.sleep(0)
    again = await pool.get_connection()
    assert again is connection
    assert await asks(again, "CLIENT", "ID") != number


async def test_one_on_which_an_answer_was_left_is_never_handed_over_with_it(pool):
    connection = await pool.get_connection()
    await connection.send_command("ECHO", "somebody else's")
    while not connection._reader._buffer:
        await asyncio.sleep(0)
    await pool.release(connection)
    again = await pool.get_connection()
    assert await asks(again, "ECHO", "mine") == b"mine"


async def test_one_that_cannot_be_opened_goes_back(pool):
    connection = await pool.get_connection()
    await connection.disconnect()
    await pool.release(connection)
    port, connection.port = connection.port, 1
    with pytest.raises(redis_errors.ConnectionError):
        await pool.get_connection()
    connection.port = port
    assert await asks(await pool.get_connection(), "PING") == b"PONG"


async def test_one_that_shall_be_opened_anew_is_closed_when_it_comes_back(pool):
    connection = await pool.get_connection()
    connection.mark_for_reconnect()
    await pool.release(connection)
    assert not connection.is_connected
    assert await asks(await pool.get_connection(), "PING") == b"PONG"


def pool_url(pool):
    options = pool.connection_kwargs
    return f"redis://{options['host']}:{options['port']}"
