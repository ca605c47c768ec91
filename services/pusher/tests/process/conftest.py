"""Pusher processes that share a Redis and a folder."""

import os
import signal

import pytest

from audiostore import open_store
from tapedeck_testing.draining.pusher_process import Pusher


@pytest.fixture
async def new_pusher(redis_url, prefix, tmp_path):
    made = []

    def make(name="pusher-1", **environ) -> Pusher:
        full = {
            **{key: value for key, value in os.environ.items() if not key.startswith("TAPEDECK_")},
            "TAPEDECK_REDIS_URL": redis_url,
            "TAPEDECK_REDIS_PREFIX": prefix,
            "TAPEDECK_STORE_URL": f"file://{tmp_path}/bucket",
            "TAPEDECK_ADMIN_BIND": "127.0.0.1:0",
            "TAPEDECK_PUSHER_NAME": name,
            **environ,
        }
        pusher = Pusher(full, tmp_path / f"{name}.log")
        made.append(pusher)
        return pusher

    yield make
    for pusher in made:
        if pusher.process is not None:
            await pusher.end(signal.SIGKILL)


@pytest.fixture
async def bucket(tmp_path):
    store = open_store(f"file://{tmp_path}/bucket")
    yield store
    await store.close()
