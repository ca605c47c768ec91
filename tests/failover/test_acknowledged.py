"""What was acknowledged, over a failover: with `WAIT` all of it, without it what the replica had."""

import asyncio
import os
import signal

import pytest

from audiobus import Bus
from tapedeck_testing.books import books_close
from tapedeck_testing.failing_over import cut_replication


async def everybody(witnesses, more: int) -> None:
    await asyncio.gather(*(witness.wait_for(more) for witness in witnesses))


async def all_there(url, witnesses) -> None:
    async with Bus(url) as bus:
        for witness in witnesses:
            witness.bus = bus
            held = await witness.held()
            missing = witness.chunks.keys() - held.keys()
            assert not missing, (witness.conversation, len(missing))
            assert all(held[one] == chunk for one, chunk in witness.chunks.items())
        await books_close(bus)


async def test_with_wait_a_sentinels_failover_loses_nothing(sentinels, witnesses):
    async with witnesses(sentinels.url, 8, wait_replicas=1) as recording:
        await everybody(recording, 40)
        await asyncio.to_thread(sentinels.master.kill)
        await asyncio.to_thread(sentinels.wait_for_failover, sentinels.master)
        # The other replica follows the new master: the former one is not needed for what comes.
        await everybody(recording, 40)
    assert [witness.lost for witness in recording] == [[]] * 8
    assert all(witness.refused for witness in recording)  # else the fault hit nobody
    await all_there(sentinels.url, recording)


async def two_masters(sentinels, recording) -> None:
    """A master hangs together with a replica, is replaced, and wakes: for seconds both replicas have a master."""
    hung = [sentinels.master.process.pid, sentinels.replicas[1].process.pid]
    await everybody(recording, 40)
    for pid in hung:
        os.kill(pid, signal.SIGSTOP)
    await asyncio.to_thread(sentinels.wait_for_failover, sentinels.master)
    for pid in hung:
        os.kill(pid, signal.SIGCONT)
    await everybody(recording, 200)


@pytest.mark.long(in_ci=True)
async def test_a_former_master_that_wakes_with_a_replica_is_not_believed(sentinels, witnesses):
    async with witnesses(sentinels.url, 8, wait_replicas=2) as recording:
        await two_masters(sentinels, recording)
    assert [witness.lost for witness in recording] == [[]] * 8
    assert all(witness.refused for witness in recording)
    await all_there(sentinels.url, recording)


@pytest.mark.long
async def test_one_replica_of_two_confirms_to_it_what_is_lost(sentinels, witnesses):
    """Why `WAIT 1` is not enough there: docs/redis.md."""
    async with witnesses(sentinels.url, 8, wait_replicas=1) as recording:
        await two_masters(sentinels, recording)
        await asyncio.to_thread(sentinels.wait_for_demotion, sentinels.master)
        await everybody(recording, 40)
    assert all(witness.lost for witness in recording)


async def test_without_it_what_the_replica_lacks_is_lost_and_seen(sentinels, witnesses):
    async with witnesses(sentinels.url, 8, wait_replicas=0) as recording:
        await everybody(recording, 40)
        await asyncio.to_thread(cut_replication, sentinels)
        before = [len(witness.chunks) for witness in recording]
        await everybody(recording, 40)
        await asyncio.to_thread(sentinels.master.kill)
        await asyncio.to_thread(sentinels.wait_for_failover, sentinels.master)
        await everybody(recording, 40)
    for witness, count in zip(recording, before, strict=True):
        assert len(witness.lost) >= 40
        assert len(witness.chunks) >= count - 40
    await all_there(sentinels.url, recording)


async def test_with_wait_a_clusters_failover_loses_nothing(cluster, witnesses):
    async with witnesses(cluster.url, 12, wait_replicas=1) as recording:
        await everybody(recording, 40)
        master = cluster.masters[0]
        await asyncio.to_thread(master.kill)
        held_up, others = [], []
        for witness in recording:
            node = witness.bus.client.get_node_from_key(witness.bus.keys.conv(witness.conversation))
            (held_up if node.port == master.port else others).append(witness)
        assert held_up
        # One shard is away: the others' recordings go on meanwhile.
        await everybody(others, 40)
        await asyncio.to_thread(cluster.wait_for_failover, master)
        await asyncio.to_thread(master.start)
        await everybody(recording, 40)
    assert [witness.lost for witness in recording] == [[]] * 12
    assert all(witness.refused for witness in held_up)
    await all_there(cluster.url, recording)


async def test_slots_move_under_load(cluster, witnesses):
    async with witnesses(cluster.url, 24, wait_replicas=1) as recording:
        await everybody(recording, 20)
        bus = recording[0].bus
        slots = {bus.client.keyslot(bus.keys.conv(witness.conversation)) for witness in recording}
        first, second, third = cluster.masters
        moved = 0
        for source, target in ((first, second), (second, third), (third, first)):
            here = sorted(slots & cluster.owned(source))
            moved += await asyncio.to_thread(cluster.move, here, source, target)
            await everybody(recording, 5)
        assert moved >= 2 * len(slots)
        await everybody(recording, 20)
    assert [witness.lost for witness in recording] == [[]] * 24
    await all_there(cluster.url, recording)
