"""Every route of the table while Redis, the bucket or both are away: an answer that says so and when to come back, never a 500.

That the row lists it is checked with every answer (see conftest).
"""

import re

import pytest

from audiobus import Bus
from audiostore.errors import TransientStoreError
from storage_api.routes import TABLE

V1 = [row for row in TABLE if row.path.startswith("/v1/")]


class AwayStore:
    """A bucket that answers nothing."""

    def __getattr__(self, name):
        async def fails(*_args, **_kwargs):
            raise TransientStoreError("away")

        async def fails_to_list(*_args, **_kwargs):
            raise TransientStoreError("away")
            yield

        return fails_to_list if name.startswith("list") else fails


@pytest.mark.parametrize("away", ["redis", "store", "both"])
async def test_what_is_away_is_said(
    serve, redis_process, store, tmp_path, tape_for, conversation, pcm_tone, monkeypatch, away
):
    monkeypatch.setattr("storage_api.flush.DEADLINE_S", 0.2)
    async with Bus(redis_process.url) as bus:
        tape = tape_for(conversation)
        tape.bus = bus
        await tape.record(pcm_tone(3))
        await tape.drain(0, 2)
        async with serve(bus, store if away == "redis" else AwayStore(), tmp_path) as api:
            if away != "store":
                redis_process.kill()
            for row in V1:
                for cid in (conversation.cid, "nothing"):
                    path = row.path.replace("{uid}", conversation.uid).replace("{cid}", cid)
                    path = re.sub(r"\{\w+\}", "some-id", path)
                    headers = {"Authorization": "Bearer all-token"}
                    answer = await api.http.request(row.method, path, headers=headers)
                    assert answer.status_code != 500
                    if answer.status_code == 503:
                        assert answer.headers["retry-after"].isdigit()
