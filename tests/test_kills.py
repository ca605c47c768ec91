"""A killed service, at any moment, loses nothing and doubles nothing."""

import asyncio
import contextlib
import itertools
import random

import httpx
import pytest

from audiobus import Bus
from tapedeck_testing.account import assert_stored_once, flush, objects, packets_back, pcm_back
from tapedeck_testing.books import books_close
from tapedeck_testing.protocol_client import ProtocolClient
from tapedeck_testing.recordings import in_messages, noisy_pcm, opus_packets

SERVICES = ("listen", "pusher", "storage_api", "redis")


def client_of(stack, uid, cid, messages, codec, pace_s=0.02):
    return ProtocolClient(
        stack.facts["listen"], stack.user_token(uid), cid, messages, codec=codec, pace_s=pace_s
    )


async def wait_for_acks(client, messages):
    async with asyncio.timeout(60):
        while client.acked_messages < messages:
            await asyncio.sleep(0.01)  # polled: the client is driven by real sockets


async def settle(stack, uid, cid):
    """Flushes, through whatever restarts are still going on."""
    async with asyncio.timeout(90), stack.http() as http:
        while True:
            with contextlib.suppress(httpx.TransportError, AssertionError):
                await flush(http, uid, cid)
                return
            await asyncio.sleep(0.2)


async def stored_unasked(stack, uid, cid, count):
    """The pusher makes so many batches by itself, before anybody asks for a flush."""
    async with asyncio.timeout(120):
        while len(objects(stack.store, uid, cid)) < count:
            await asyncio.sleep(0.2)  # polled: it is a process, which may just have been started again


async def all_is_in_the_books(stack):
    async with Bus(stack.facts["redis"]) as bus:
        await books_close(bus, stored=True)


@pytest.mark.parametrize("victim", SERVICES)
async def test_sigkill_in_mid_stream(start_stack, victim):
    stack = start_stack(environ={"TAPEDECK_BATCH_SECONDS": "4"})
    packets = opus_packets(20, seed=1)
    pcm = noisy_pcm(20, seed=2)
    opus = client_of(stack, "user-1", "opus", packets, "opus", 0.01)
    raw = client_of(stack, "user-1", "raw", in_messages(pcm, 641), "pcm16", 0.01)

    async def killer():
        for at in (150, 450, 800):
            await wait_for_acks(opus, at)
            while not stack.kill(victim):  # it is being started still
                await asyncio.sleep(0.05)

    async with asyncio.timeout(250), asyncio.TaskGroup() as group:
        group.create_task(killer())
        group.create_task(opus.run())
        group.create_task(raw.run())

    for cid in ("opus", "raw"):
        await stored_unasked(stack, "user-1", cid, 2)
        await settle(stack, "user-1", cid)
        assert_stored_once(stack.store, "user-1", cid)
    async with stack.http() as http:
        assert await packets_back(http, "user-1", "opus") == packets
        assert len(await pcm_back(http, "user-1", "raw")) == len(pcm)
    assert opus.fresh_sessions == raw.fresh_sessions == 1
    await all_is_in_the_books(stack)


class Dying:
    """Services that are killed one after the other, while somebody reads what was acked."""

    def __init__(self, stack, clients, recordings, chance):
        self._stack = stack
        self._clients = clients
        self._recordings = recordings
        self._chance = chance
        self.hits = dict.fromkeys(SERVICES, 0)
        self.reads = 0
        self.over = asyncio.Event()

    def _acked(self):
        return sum(client.acked_messages for client in self._clients.values())

    async def kill(self):
        for victim in itertools.cycle(self._chance.sample(SERVICES, len(SERVICES))):
            before = self._acked()
            self.hits[victim] += self._stack.kill(victim)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), self._chance.uniform(1, 2))
            # Where a service takes longer to start than the others live, nothing would ever come to an end.
            while self._acked() < before + 50 and not self.over.is_set():
                await asyncio.sleep(0.05)
            if self.over.is_set():
                return

    async def read(self):
        async with self._stack.http() as http:
            while not self.over.is_set():
                cid = self._chance.choice(list(self._recordings))
                safe = self._clients[cid].acked_messages
                with contextlib.suppress(httpx.TransportError, AssertionError):
                    back = await packets_back(http, "user-1", cid)
                    if back[:safe] != self._recordings[cid][:safe]:
                        pytest.fail(f"{cid}: {safe} packets were acked, and the answer begins otherwise")
                    self.reads += 1
                await asyncio.sleep(0.3)

    async def record(self):
        async with asyncio.TaskGroup() as recording:
            for client in self._clients.values():
                recording.create_task(client.run())
        while self.reads < 5:
            await asyncio.sleep(0.05)
        self.over.set()


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_eight_clients_while_services_die_for_half_a_minute(start_stack):
    """Nothing is lost, doubled or out of order, and what was acked can be read at once."""
    seconds = 30
    stack = start_stack(environ={"TAPEDECK_BATCH_SECONDS": "7"})
    recordings = {f"opus-{n}": opus_packets(seconds, seed=n) for n in range(6)}
    sounds = {f"raw-{n}": noisy_pcm(seconds, seed=100 + n) for n in range(2)}
    clients = {cid: client_of(stack, "user-1", cid, packets, "opus") for cid, packets in recordings.items()}
    clients |= {
        cid: client_of(stack, "user-1", cid, in_messages(pcm, 640), "pcm16") for cid, pcm in sounds.items()
    }
    dying = Dying(stack, clients, recordings, random.Random(20_261_121))
    async with asyncio.timeout(400), asyncio.TaskGroup() as group:
        group.create_task(dying.kill())
        group.create_task(dying.read())
        group.create_task(dying.record())

    for cid in clients:
        await stored_unasked(stack, "user-1", cid, 3)
        await settle(stack, "user-1", cid)
        assert_stored_once(stack.store, "user-1", cid)
    async with stack.http() as http:
        for cid, packets in recordings.items():
            assert await packets_back(http, "user-1", cid) == packets, cid
        for cid, pcm in sounds.items():
            assert len(await pcm_back(http, "user-1", cid)) == len(pcm), cid
    await all_is_in_the_books(stack)
    assert min(dying.hits.values()) >= 2, dying.hits
    assert sum(client.connections for client in clients.values()) > len(clients)
