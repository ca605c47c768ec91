"""Pressure and faults: what happens, and the close codes that follow."""

import asyncio
import itertools
import signal
import time

import pytest

from audiobus import Conversation
from tapedeck_testing.protocol.listen_process import ORIGIN, ListenProcess

PAGE = {"Origin": ORIGIN}


async def test_faster_than_redis_takes(start_listen, redis_process, second):
    """pressure.bound, status: `buffering`, the server stops reading, TCP pushes back; nothing is dropped; then `ok`."""
    listen = start_listen(redis_process.url)
    big = (second * 3)[:65_536]
    async with listen.connect(conversation_id="fast") as client:
        await client.ready()
        redis_process.process.send_signal(signal.SIGSTOP)
        sent = 0
        try:
            await client.send(big)
            sending = asyncio.create_task(client.send(*[big] * 500))
            await client.hear("status", state="buffering")
            while True:
                # The task stands still where the server does not read: both kernels' buffers are full.
                done, _ = await asyncio.wait({sending}, timeout=0.5)
                assert not done, "500 messages were taken though Redis stands still"
                if await listen.metric('tapedeck_backpressure_total{action="paused"}') >= 1:
                    break
            held = await listen.metric("tapedeck_waiting_bytes")
            assert 0 < held < 2 * 1024 * 1024 + 2 * 65_536  # the bound, and the message that passed it
        finally:
            redis_process.process.send_signal(signal.SIGCONT)
        await client.hear("status", state="ok")
        while sent < 4:
            await client.hear("ack")
            sent += 1
        sending.cancel()
        await asyncio.wait({sending})
        acked = client.heard("ack")[-1]["offset"]
    spans = await listen.spans("fast")
    assert spans[0].first_offset == 0
    assert all(one.end_offset == two.first_offset for one, two in itertools.pairwise(spans))
    assert spans[-1].end_offset >= acked


async def test_nothing_is_dropped(start_listen, redis_process, second):
    """pressure.bound, pressure.away, status: all that was sent while Redis stood still is safe when it goes on."""
    listen = start_listen(redis_process.url)
    async with listen.connect(conversation_id="held") as client:
        await client.ready()
        await client.send(second)
        await client.acked(30_000)
        redis_process.process.send_signal(signal.SIGSTOP)
        try:
            await client.send(*[second] * 20)
            await client.hear("status", state="buffering")
        finally:
            redis_process.process.send_signal(signal.SIGCONT)
        await client.hear("status", state="ok")
        await client.say(type="close")
        assert await client.closed() == 1000
    assert client.heard("ack")[-1]["offset"] == 21 * len(second)
    assert sum(chunk.samples for chunk in await listen.chunks("held")) == 21 * 48_000


async def test_no_redis_at_the_handshake(start_listen, redis_process):
    """refusing.http, refusing.browser, pressure.away, error.before_close: 503 with `Retry-After`; 1013 with `retry_after_ms`."""
    listen = start_listen(redis_process.url)
    redis_process.kill()
    answer = await listen.refusal()
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    async with listen.connect(headers=PAGE) as client:
        assert await client.closed() == 1013
        assert client.heard("error")[0]["retry_after_ms"] > 0


async def test_places(start_listen):
    """places.user, places.process, refusing.http, refusing.browser: 429 and 503, with `Retry-After`; 4429 and 1013."""
    listen = start_listen(TAPEDECK_MAX_SOCKETS_PER_USER="2", TAPEDECK_MAX_SOCKETS="3")
    async with listen.connect() as one, listen.connect() as two:
        await one.ready()
        await two.ready()
        answer = await listen.refusal()
        assert (answer.status_code, answer.json()["code"]) == (429, "limit")
        assert int(answer.headers["retry-after"]) > 0
        async with listen.connect(headers=PAGE) as third:
            assert await third.closed() == 4429
            assert third.errors == ["limit"]
            assert third.heard("error")[0]["retry_after_ms"] > 0
        async with listen.connect(uid="bob") as other:
            await other.ready()
            answer = await listen.refusal(uid="carol")
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) > 0
            async with listen.connect(uid="carol", headers=PAGE) as fourth:
                assert await fourth.closed() == 1013
    async with asyncio.timeout(60):
        while await listen.metric("tapedeck_connections"):
            await asyncio.sleep(0.02)
    async with listen.connect() as again:
        await again.ready()


async def test_sigterm(start_listen, packets):
    """sigterm, going_away, going_away.before_1012, code.again: unready at once; everybody hears `going_away`, is brought safe and closed with 1012."""
    listen = start_listen(TAPEDECK_DRAIN_SECONDS="30")
    clients, sockets = [], []
    for n in range(4):
        sockets.append(listen.connect(codec="opus", conversation_id=f"drain-{n}"))
        clients.append(await sockets[-1].__aenter__())
        await clients[-1].ready()
        await clients[-1].send(*packets[:30])  # less than a chunk: not acked yet
    listen.send_signal(signal.SIGTERM)
    for client in clients:
        pause_ms = (await client.hear("going_away"))["reconnect_after_ms"]
        assert 500 <= pause_ms <= 5_000
        assert not listen.ready
    for client in clients:
        assert await client.closed() == 1012
        assert client.errors == []  # nothing was wrong: `going_away` is what announces it
        assert client.heard("ack")[-1]["offset"] == sum(map(len, packets[:30]))
    for socket in sockets:
        await socket.__aexit__(None, None, None)
    assert await asyncio.to_thread(listen.wait) == 0
    assert [packet for span in await listen.spans("drain-0") for packet in span.packets] == packets[:30]


async def test_a_token_that_expires(listen, packets):
    """token_expires, code.token: `error` `token_expired`, and 4401; what was sent is safe."""
    token = listen.token(exp=time.time() + 3)
    async with listen.connect(token=token, codec="opus", conversation_id="expires") as client:
        await client.ready()
        await client.send(*packets[:30])
        assert await client.closed() == 4401
        assert client.errors == ["token_expired"]
        assert client.heard("ack")[-1]["offset"] == sum(map(len, packets[:30]))
    session = client.texts[0]["session"]
    async with listen.connect(codec="opus", conversation_id="expires", session=session) as client:
        ready = await client.ready()  # with a new token the session goes on
        assert (ready["session"], ready["resume_offset"]) == (session, sum(map(len, packets[:30])))
    answer = await listen.refusal(token=listen.token(exp=time.time() - 60))
    assert (answer.status_code, answer.json()["code"]) == (401, "token_expired")


@pytest.mark.parametrize("value", ["false", "0"])
async def test_no_storing(listen, value):
    """storing_off, code.stop: 403, or 4403 for browsers."""
    await listen.set_user(f"off{value}", store_audio=value)
    assert (await listen.refusal(uid=f"off{value}")).json()["code"] == "storing_off"
    async with listen.connect(uid=f"off{value}", headers=PAGE) as client:
        assert await client.closed() == 4403


@pytest.fixture(scope="module")
def limited(redis_url, tmp_path_factory):
    """A process with a daily limit of two seconds, that looks often."""
    environ = {"TAPEDECK_USAGE_SECONDS": "0.3", "TAPEDECK_DAILY_LIMIT_MS": "2000"}
    running = ListenProcess(redis_url, tmp_path_factory.mktemp("limited"), **environ).start()
    yield running
    running.kill()


async def test_storing_that_is_switched_off(limited, second):
    """storing_off: an open session follows, too: `error` `storing_off`, and 4403; what was sent before is safe."""
    async with limited.connect(uid="dora", conversation_id="switched") as client:
        await client.ready()
        await client.send(second[:16_000])
        await limited.set_user("dora", store_audio="false")
        assert await client.closed() == 4403
        assert client.errors == ["storing_off"]
        assert client.heard("ack")[-1]["offset"] >= 16_000 - 960
    assert (await limited.refusal(uid="dora")).status_code == 403


async def test_the_daily_limit(limited, second):
    """usage, limit.warn: `near` at 90 %, `exceeded` at 100 %, each once; with the policy `warn` all goes on."""
    async with limited.connect(conversation_id="warned") as client:
        await client.ready()
        await client.send(second, second[:27_200])  # 1.85 s
        assert await client.hear("usage") == {"type": "usage", "state": "near"}
        await client.send(second)
        assert await client.hear("usage") == {"type": "usage", "state": "exceeded"}
        await client.send(second)
        await client.acked(3 * len(second))
        await client.say(type="close")
        assert await client.closed() == 1000
        assert len(client.heard("usage")) == 2
    async with limited.connect() as again:
        await again.ready()


async def test_the_daily_limit_of_a_user(limited, second):
    """usage, limit.warn: a user's own limit goes before the default."""
    await limited.set_user("bob", daily_limit_ms="3600000")
    async with limited.connect(uid="bob", conversation_id="more") as client:
        await client.ready()
        await client.send(second, second, second)
        await client.say(type="close")
        assert await client.closed() == 1000
    assert client.heard("usage") == []


async def test_the_daily_limit_with_the_policy_reject(start_listen, second):
    """limit.reject, usage, code.token, error.before_close: `exceeded`, `error` `limit` and 4429; new sockets get 429 and `Retry-After`."""
    reject = {"TAPEDECK_LIMIT_POLICY": "reject", "TAPEDECK_DAILY_LIMIT_MS": "1500"}
    listen = start_listen(TAPEDECK_USAGE_SECONDS="0.3", **reject)
    async with listen.connect(conversation_id="rejected") as client:
        session = (await client.ready())["session"]
        await client.send(second, second)
        assert await client.closed() == 4429
        assert client.errors == ["limit"]
        assert client.heard("usage")[-1]["state"] == "exceeded"
        assert client.heard("error")[0]["retry_after_ms"] > 0
        acked = client.heard("ack")[-1]["offset"]
        assert acked >= 2 * len(second) - 960  # what was taken is safe
    answer = await listen.refusal()
    assert (answer.status_code, answer.json()["code"]) == (429, "limit")
    assert int(answer.headers["retry-after"]) > 0
    async with listen.connect(headers=PAGE) as client:
        assert await client.closed() == 4429
        assert client.errors == ["limit"]
    async with listen.connect(uid="bob") as other:
        await other.ready()
    await listen.set_user("alice", daily_limit_ms="3600000")  # or another day begins
    async with listen.connect(conversation_id="rejected", session=session) as client:
        assert (await client.ready())["resume_offset"] >= acked


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_a_deleted_conversation(listen, second, when):
    """code.stop, error: 4404 `conversation_deleted`."""
    cid = f"deleted-{when}"
    async with listen.bus() as bus:
        tomb = bus.keys.tomb(Conversation("alice", cid))
        if when == "before":
            await bus.command("SET", tomb, "1")
        async with listen.connect(conversation_id=cid) as client:
            if when == "meanwhile":
                await client.ready()
                await bus.command("SET", tomb, "1")
                await client.send(second * 2)
            assert await client.closed() == 4404
            assert client.errors == ["conversation_deleted"]


async def test_a_conversation_that_is_being_merged(listen):
    """code.merging, error: 4409 `merging`."""
    async with listen.bus() as bus:
        await bus.command("HSET", bus.keys.conv(Conversation("alice", "merged")), "merging", "target")
        async with listen.connect(conversation_id="merged") as client:
            assert await client.closed() == 4409
            assert client.errors == ["merging"]
            assert "target" in client.heard("error")[0]["message"]


async def test_a_newer_session_takes_over(listen, second):
    """code.replaced, error: 4409 `replaced`, as soon as the newer one is ready."""
    async with listen.connect(conversation_id="taken") as old:
        await old.ready()
        await old.send(second)
        await old.hear("ack")
        async with listen.connect(conversation_id="taken") as new:
            await new.ready()
            assert await old.closed() == 4409
            assert old.errors == ["replaced"]
            await new.say(type="close")
            assert await new.closed() == 1000


async def test_a_defect_of_ours(listen):
    """code.again, error, error.before_close: 1011 `internal`, with an incident id that the log has too."""
    async with listen.bus() as bus:
        await bus.command("SET", bus.keys.conv(Conversation("alice", "broken")), "no hash")
    async with listen.connect(conversation_id="broken") as client:
        assert await client.closed() == 1011
        assert client.errors == ["internal"]
    incident = client.heard("error")[0]["message"].rpartition(" ")[2]
    assert len(incident) >= 8
    assert incident in listen.log
