"""How commands are packed, what of redis-py's own packing must stay, and what a server that refuses us is taken for."""

import asyncio
import re

import pytest
from redis.asyncio import Connection
from redis.exceptions import RedisClusterException

from audiobus import Appended, Bus, Conversation, Writer
from audiobus.connection import PackingConnection, translate_response, wrong_address
from audiobus.errors import BusContractError, BusRefusedError, BusUnavailableError
from tapedeck_testing.redis_binary import any_server, bundled
from tapedeck_testing.redis_process import RedisProcess


@pytest.mark.parametrize(
    "command",
    [
        ("PING",),
        (b"PING",),
        ("CONFIG GET", "maxmemory"),
        (b"SCRIPT LOAD", "return 1"),
        ("EVALSHA", "0" * 40, 1, "td:conv:{ü/ö}", b"\x00\r\n\xff", -5, 1.5, ""),
        ("XADD", "key", "1-1", "c", bytes(100_000)),
    ],
)
async def test_hiredis_packs_what_redis_py_would(command):
    expected = b"".join(Connection().pack_command(*command))
    assert b"".join(PackingConnection().pack_command(*command)) == expected


@pytest.fixture(params=[any_server, bundled])
def guarded(request, tmp_path):
    server = RedisProcess(request.param(), tmp_path).start()
    yield server
    server.stop()


@pytest.mark.parametrize(
    "rule", ["-xadd", "-hset", "-evalsha", "-@all", "resetkeys", "off"], ids=lambda rule: rule.strip("-@")
)
async def test_a_right_that_is_missing_is_no_defect_of_ours(guarded, recorder_on, rule):
    async with Bus(guarded.url) as admin, Bus(guarded.url) as bus:
        await admin.command("ACL", "SETUSER", "default", rule, *(["+acl"] if rule == "-@all" else []))
        with pytest.raises(BusRefusedError):
            await recorder_on(bus).open()
        await admin.command("ACL", "SETUSER", "default", "on", "+@all", "allkeys")
        assert await comes_back(recorder_on(bus))


async def test_an_append_that_may_not_be_is_done_once_it_may(guarded, recorder_on):
    async with Bus(guarded.url) as bus:
        recorder, writer = recorder_on(bus), Writer(bus)
        await recorder.open()
        running = asyncio.create_task(writer.run())
        await bus.command("ACL", "SETUSER", "default", "-xadd")
        with pytest.raises(BusRefusedError):
            await writer.append(recorder.request(10))
        await bus.command("ACL", "SETUSER", "default", "+xadd")
        answer = await writer.append(recorder.request(10))
        assert isinstance(answer, Appended)
        writer.close()
        await running


async def test_a_password_that_has_changed_is_no_defect_of_ours(guarded, recorder_on):
    def with_password(word: str) -> Bus:
        return Bus(guarded.url.replace("//", f"//:{word}@"))

    async with Bus(guarded.url) as admin, with_password("old") as old, Bus(guarded.url) as without:
        with pytest.raises(BusRefusedError):  # none is set yet
            await old.ping()
        await admin.command("CONFIG", "SET", "requirepass", "old")
        await recorder_on(old).open()
        await admin.command("CONFIG", "SET", "requirepass", "new")
        await admin.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert await refused(recorder_on(old).open)
        assert await refused(recorder_on(without).open)
        async with with_password("new") as new:
            await recorder_on(new).open()
        await admin.command("CONFIG", "SET", "requirepass", "old")
        assert await comes_back(recorder_on(old))


async def test_a_cluster_that_does_not_take_the_password_is_no_defect_of_ours(redis_cluster_url, recorder_on):
    url = redis_cluster_url.replace("//", "//:none-is-set@")
    async with Bus(url) as bus:
        with pytest.raises(BusRefusedError):
            await recorder_on(bus).open()


@pytest.mark.parametrize(
    "said", ["Authentication required.", "invalid username-password pair or user is disabled."]
)
def test_what_the_cluster_client_wraps_is_known_too(said):
    error = RedisClusterException(
        f"Redis Cluster cannot be connected. Please provide at least one node: {said}"
    )
    assert isinstance(translate_response("open", error), BusRefusedError)


async def refused(call) -> bool:
    """Whether it is; a connection that the server has closed is found out first."""
    for _ in range(3):
        with pytest.raises(BusUnavailableError) as caught:
            await call()
        if isinstance(caught.value, BusRefusedError):
            return True
    return False


async def comes_back(recorder) -> bool:
    """Whether it works again; a connection that the server has closed is found out first."""
    for _ in range(3):
        try:
            await recorder.open()
        except BusUnavailableError as error:
            assert not isinstance(error, BusRefusedError)
        else:
            return True
    return False


@pytest.fixture
async def impostor(redis_url):
    """In front of a Redis, and its voice for as long as `speaks` is set."""
    host, port = redis_url.removeprefix("redis://").split("/")[0].split(":")
    speaks = asyncio.Event()

    async def pump(reader, writer, *, answers=None):
        while data := await reader.read(65_536):
            if answers is not None and speaks.is_set():
                answers.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
            else:
                writer.write(data)
        writer.close()

    async def serve(reader, writer):
        there, to_there = await asyncio.open_connection(host, int(port))
        await asyncio.gather(
            pump(reader, to_there, answers=writer), pump(there, writer), return_exceptions=True
        )

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", speaks


async def test_what_is_no_redis_counts_as_one_that_is_away(impostor, recorder_on):
    url, speaks = impostor
    async with Bus(url, prefix="impostor:") as bus:
        recorder, writer = recorder_on(bus), Writer(bus)
        await recorder.open()
        running = asyncio.create_task(writer.run())
        speaks.set()
        with pytest.raises(BusUnavailableError, match="no Redis"):
            await bus.ping()
        with pytest.raises(BusUnavailableError, match="no Redis"):
            await writer.append(recorder.request(10))
        speaks.clear()
        assert isinstance(await writer.append(recorder.request(10)), Appended)
        writer.close()
        await running


async def test_one_conversation_that_was_changed_by_hand_breaks_no_others_answer(bus, recorder_for):
    ours, theirs = recorder_for(Conversation("u", "ours")), recorder_for(Conversation("u", "theirs"))
    opened = await ours.open()
    await theirs.open()
    await bus.command("HSET", bus.keys.conv(ours.conversation), f"dead:{opened.epoch}", "spoiled")
    writer = Writer(bus)
    running = asyncio.create_task(writer.run())
    answers = await asyncio.gather(
        *(writer.append(one.request(10)) for one in (ours, theirs)), return_exceptions=True
    )
    assert isinstance(answers[0], BusContractError)
    assert isinstance(answers[1], Appended)
    writer.close()
    await running


@pytest.mark.parametrize("kind", ["redis_7_url", "redis_cluster_url"])
async def test_whoever_is_cancelled_ends(kind, request):
    """In whatever it just was: redis-py 8.1 on Python 3.11 loses it most of the time where commands follow each other."""
    async with Bus(request.getfixturevalue(kind)) as bus:

        async def go_on() -> None:
            while True:
                await bus.command("SET", "key", "value")

        for _ in range(20):
            going = asyncio.create_task(go_on())
            for _ in range(50):
                await bus.command("GET", "key")
            going.cancel()
            _, pending = await asyncio.wait({going}, timeout=60)
            assert not pending


@pytest.mark.parametrize(
    "url",
    [
        "redis://redis:6379/3",
        "redis://:secret@redis?health_check_interval=5",
        "rediss://user:secret@redis?ssl_ca_certs=/etc/ca.crt&ssl_cert_reqs=required",
        "redis+cluster://a,b:7001",
        "rediss+cluster://a?ssl_check_hostname=false",
        "redis+sentinel://:secret@a,b:26380/mymaster/1?sentinel_password=other",
        "unix:///run/redis.sock",
    ],
)
def test_a_good_address_is_no_mistake(url):
    assert list(wrong_address("URL", url)) == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "redis://redis:99999",
            "URL: redis://: 'redis:99999': it must be host or host:port, with a port from 1 to 65535",
        ),
        ("redis://:secret@redis?bogus=1", "URL: .*the option 'bogus' is not known; there are "),
        ("redis://redis?socket_timeout=soon", "URL: redis://: "),
        ("rediss://redis?ssl_cert_reqs=perhaps", "URL: "),
        ("redis+sentinel://a", "URL: redis[+]sentinel://: the master's name is missing"),
        ("redis+cluster://a?bogus=1", "URL: .*the option 'bogus' is not known; there are "),
    ],
)
def test_a_wrong_address_is_told_before_anything_connects_and_without_its_password(url, said):
    (line,) = wrong_address("URL", url)
    assert re.match(said, line)
    assert "secret" not in line
