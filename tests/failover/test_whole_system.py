"""The whole system while masters are killed under it: real processes, real sentinels, a real cluster with replicas.

A minute each: run by `make chaos`, and with TAPEDECK_TEST_FAILOVER_LONG=1.
"""

import asyncio
import contextlib
from itertools import pairwise

import httpx
import pytest

from audiobus import Bus
from tapedeck_testing.account import assert_stored_once, flush, objects, packets_back, pcm_back
from tapedeck_testing.books import books_close
from tapedeck_testing.cluster_group import ClusterGroup
from tapedeck_testing.failing_over import cut_replication
from tapedeck_testing.faults.hand import Hand
from tapedeck_testing.faults.verdict import stored_spans
from tapedeck_testing.protocol_client import ProtocolClient
from tapedeck_testing.recordings import in_messages, noisy_pcm, opus_packets

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(300),
]
UID = "u"
QUICK = {"TAPEDECK_BATCH_SECONDS": "4", "TAPEDECK_REDIS_WAIT_REPLICAS": "1"}


def clients(stack, count: int, seconds: int) -> dict[ProtocolClient, list[bytes]]:
    """Devices that record as they speak, and what they say."""
    made = {}
    for number in range(count):
        packets = opus_packets(seconds, seed=number)
        client = ProtocolClient(
            stack.facts["listen"], stack.user_token(UID), f"c-{number}", packets, codec="opus", pace_s=0.02
        )
        made[client] = packets
    return made


async def acked(client, more: int) -> None:
    """Until so many more messages of the client were acked, or all."""
    least = min(client.acked_messages + more, len(client.messages))
    async with asyncio.timeout(90):
        while client.acked_messages < least:
            await asyncio.sleep(0.05)


async def stored_right(stack, recordings) -> None:
    """Every packet is back once and in order."""
    for client, packets in recordings.items():
        cid = client.conversation_id
        async with asyncio.timeout(90), stack.http() as http:
            while True:
                with contextlib.suppress(httpx.TransportError, AssertionError):
                    await flush(http, UID, cid)
                    break
                await asyncio.sleep(0.5)
            assert await packets_back(http, UID, cid) == packets
        assert_stored_once(stack.store, UID, cid)
        assert objects(stack.store, UID, cid)
    await all_is_in_the_books(stack)


async def all_is_in_the_books(stack) -> None:
    """What Redis says of the audio adds up."""
    async with Bus(stack.facts["redis"]) as bus:
        await books_close(bus, stored=True)


async def record(recordings, disturb) -> None:
    """All devices record while the disturbance goes on."""
    async with asyncio.timeout(240), asyncio.TaskGroup() as group:
        group.create_task(disturb(next(iter(recordings))))
        for client in recordings:
            group.create_task(client.run())


async def lost_seconds(stack) -> float:
    """`audio_lost_seconds_total`, over all processes of listen."""
    async with httpx.AsyncClient() as http:
        text = (await http.get(f"{stack.facts['admin']['listen']}/metrics")).text
    return sum(
        float(line.split()[-1])
        for line in text.splitlines()
        if line.startswith("tapedeck_audio_lost_seconds_total")
    )


async def test_two_masters_are_killed_one_after_the_other(start_stack, sentinels):
    stack = start_stack("--redis-url", sentinels.url, "--pushers", "2", environ=QUICK)
    recordings = clients(stack, 6, 40)

    async def disturb(first) -> None:
        master = sentinels.master
        for _ in range(2):
            await acked(first, 250)
            await asyncio.to_thread(master.kill)
            new = await asyncio.to_thread(sentinels.wait_for_failover, master)
            await asyncio.to_thread(master.start)  # it comes back as a replica
            master = new
            await acked(first, 100)

    await record(recordings, disturb)
    await stored_right(stack, recordings)
    assert await lost_seconds(stack) == 0


@pytest.mark.long(in_ci=True)
async def test_what_replication_had_not_taken_is_told_and_sent_again(start_stack, sentinels):
    """Half a minute that was acknowledged is gone, more than any process keeps: the client is told, and still has what was not stored."""
    stack = start_stack("--redis-url", sentinels.url, environ={"TAPEDECK_BATCH_SECONDS": "60"})
    pcm = noisy_pcm(30, seed=7)

    def connect(**options) -> Hand:
        host, port = stack.facts["listen"].removeprefix("ws://").split(":")
        return Hand((host, int(port)), stack.user_token(UID), "beyond", codec="pcm16", **options)

    async with connect() as socket:
        session = (await socket.ready())["session"]
        await socket.send(*in_messages(pcm[:64_000], 3_200))
        await socket.say("finalize")
        await socket.acked(64_000)
        await asyncio.to_thread(cut_replication, sentinels)
        await socket.send(*in_messages(pcm[64_000:-32_000], 3_200))
        await socket.acked(len(pcm) - 64_000)
        await asyncio.to_thread(sentinels.master.kill)
        await asyncio.to_thread(sentinels.wait_for_failover, sentinels.master)
        await socket.send(*in_messages(pcm[-32_000:], 3_200))
        assert await socket.closed() == 1013
        assert "unavailable" in str(socket.errors[-1])
    assert await lost_seconds(stack) == pytest.approx((len(pcm) - 96_000) / 32_000, abs=2)
    async with connect(session=session) as socket:
        stands = (await socket.ready())["resume_offset"]
        assert stands == 64_000
        await socket.send(*in_messages(pcm[stands:], 3_200))
        await socket.say("close")
        assert await socket.closed() == 1000
    async with stack.http() as http:
        await flush(http, UID, "beyond")
        back = await pcm_back(http, UID, "beyond")
    assert len(back) == pytest.approx(len(pcm), abs=2_000)
    spans = stored_spans(stack.store, UID, "beyond")
    assert all(before.end_offset == span.first_offset for before, span in pairwise(spans))
    await all_is_in_the_books(stack)


async def test_a_master_of_a_cluster_is_killed_and_slots_move(start_stack, cluster: ClusterGroup):
    stack = start_stack("--redis-url", cluster.url, "--pushers", "2", environ=QUICK)
    recordings = clients(stack, 8, 40)

    async def disturb(first) -> None:
        one, two, three = cluster.masters
        await acked(first, 200)
        await asyncio.to_thread(one.kill)
        await asyncio.to_thread(cluster.wait_for_failover, one)
        await asyncio.to_thread(one.start)
        await acked(first, 200)
        for source, target in ((two, three), (three, two)):
            slots = sorted(await asyncio.to_thread(cluster.owned, source))[::41]
            await asyncio.to_thread(cluster.move, slots, source, target)
            await acked(first, 100)

    await record(recordings, disturb)
    await stored_right(stack, recordings)
    assert await lost_seconds(stack) == 0
