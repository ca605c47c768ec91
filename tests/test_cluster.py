"""The whole system on a Redis Cluster of three masters, which are restarted under it."""

import asyncio
import contextlib

import httpx
import pytest

from tapedeck_testing.account import assert_stored_once, flush, objects, packets_back
from tapedeck_testing.protocol_client import ProtocolClient
from tapedeck_testing.recordings import opus_packets
from tapedeck_testing.redis_binary import any_server
from tapedeck_testing.redis_process import KEEPS_ALL, make_cluster


@pytest.fixture
def cluster(tmp_path):
    """Three masters that share the slots."""
    nodes = make_cluster(any_server(), tmp_path / "cluster", KEEPS_ALL)
    yield nodes
    for node in nodes:
        node.stop()


async def test_masters_are_restarted_in_mid_stream(start_stack, cluster):
    stack = start_stack(
        *("--redis-url", f"redis+cluster://127.0.0.1:{cluster[0].port}", "--pushers", "2"),
        environ={"TAPEDECK_BATCH_SECONDS": "4"},
    )
    recordings = {f"c-{n}": opus_packets(25, seed=n) for n in range(8)}
    clients = {
        cid: ProtocolClient(
            stack.facts["listen"], stack.user_token("u"), cid, packets, codec="opus", pace_s=0.02
        )
        for cid, packets in recordings.items()
    }

    async def restarts():
        for node in cluster:
            first = next(iter(clients.values()))
            before = first.acked_messages
            async with asyncio.timeout(60):
                while first.acked_messages < min(before + 150, len(first.messages)):
                    await asyncio.sleep(0.05)
            node.kill()
            await asyncio.sleep(1.5)  # the fault itself: a master that is away
            await asyncio.to_thread(node.start)

    async with asyncio.timeout(250), asyncio.TaskGroup() as group:
        group.create_task(restarts())
        for client in clients.values():
            group.create_task(client.run())

    for cid, packets in recordings.items():
        async with asyncio.timeout(60), stack.http() as http:
            while True:
                with contextlib.suppress(httpx.TransportError, AssertionError):
                    await flush(http, "u", cid)
                    break
                await asyncio.sleep(0.5)
            assert await packets_back(http, "u", cid) == packets
        assert_stored_once(stack.store, "u", cid)
        assert objects(stack.store, "u", cid)
