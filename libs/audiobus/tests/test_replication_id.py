"""Which histories Redis has."""

import uuid

import pytest

from audiobus import Bus
from audiobus.replication_id import histories
from audiobus.turn import take


@pytest.mark.parametrize("kind", ["redis_url", "redis_62_url", "redis_cluster_url"])
async def test_the_history_stays_as_long_as_the_server_lives(kind, request, conversation):
    async with Bus(request.getfixturevalue(kind), prefix=f"t{uuid.uuid4().hex[:12]}:") as bus:
        first = await take(bus, conversation, "me", 30_000, entries=1)
        assert len(first.history) == 40
        assert {first.history} <= await histories(bus)
        assert (await take(bus, conversation, "me", 30_000, entries=1)).history == first.history
