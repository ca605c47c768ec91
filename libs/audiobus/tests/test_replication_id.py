"""Which history of Redis this is."""

import uuid

import pytest

from audiobus import Bus, Conversation
from audiobus.errors import BusUnavailableError
from audiobus.replication_id import replication_id


@pytest.mark.parametrize("kind", ["redis_url", "redis_62_url", "redis_cluster_url"])
async def test_it_stays_as_long_as_the_server_lives(kind, request):
    async with Bus(request.getfixturevalue(kind), prefix=f"t{uuid.uuid4().hex[:12]}:") as bus:
        first = await replication_id(bus, Conversation("u", "c"))
        assert len(first) == 40
        assert await replication_id(bus, Conversation("u", "c")) == first


async def test_a_restart_is_another_history(redis_process):
    async with Bus(redis_process.url) as bus:
        first = await replication_id(bus, Conversation("u", "c"))
        redis_process.kill()
        with pytest.raises(BusUnavailableError):
            await replication_id(bus, Conversation("u", "c"))
        redis_process.start()
        assert await replication_id(bus, Conversation("u", "c")) != first
