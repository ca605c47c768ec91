"""Whoever waited for a bucket is looked at when it is back."""

import asyncio

from audiobus.conversation import Conversation
from audiobus.errors import BusUnavailableError
from pusher import comeback
from pusher.circuit import OPENS_AFTER
from pusher.retries import Retries
from servicekit.stop import Stop


def away(buckets, clock):
    for _ in range(OPENS_AFTER):
        buckets.first.circuit.failed(clock(), clock(), "away", operators=False)


async def test_those_who_waited_and_those_who_failed_are_due_one_after_another(
    bus, hints, new_buckets, memory_store, clock
):
    buckets, retries = new_buckets(memory_store), Retries()
    away(buckets, clock)
    waited = [Conversation("u", f"w{number}") for number in range(5)]
    for one in waited:
        buckets.give_back(one)
    failed, own = Conversation("u", "failed"), Conversation("u", "own")
    retries.failed(failed, clock(), of_store=True)
    retries.failed(own, clock())
    assert await comeback.look_again(buckets, retries, hints, clock) == 6
    rows = dict(await bus.client.zrange(bus.keys.due(0), 0, -1, withscores=True))
    assert {name.decode() for name in rows} == {one.tag for one in [failed, *waited]}
    assert sorted(rows.values()) == [clock() + number * comeback.APART_MS for number in range(6)]
    assert retries.not_before_ms(failed, clock()) == 0
    # Trouble of its own goes on as before.
    assert retries.not_before_ms(own, clock()) > clock()


async def test_it_does_so_each_time_a_bucket_is_back_and_outlives_redis(
    hints, new_buckets, memory_store, clock, eventually, monkeypatch
):
    monkeypatch.setattr(comeback, "WAIT_S", 0.01)
    buckets, retries, stop = new_buckets(memory_store), Retries(), Stop(5.0)
    seen = []

    class Hints:
        fails = True

        async def due(self, conversation, at_ms):
            if self.fails:
                self.fails = False
                raise BusUnavailableError("away")
            seen.append(conversation)

    running = asyncio.create_task(comeback.run(buckets, retries, Hints(), clock, stop))
    for number in range(3):
        away(buckets, clock)
        buckets.give_back(Conversation("u", f"c{number}"))
        buckets.first.circuit.worked(clock())
        buckets.back.set()

        async def looked(number=number) -> bool:
            return not buckets.back.is_set() and len(seen) >= number

        await eventually(looked, "they are looked at")
    stop.set()
    await running
    assert [one.cid for one in seen] == ["c1", "c2"]
