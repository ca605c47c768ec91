"""Processes whose clocks stand apart, and a clock that is set while people record."""

import asyncio
import os
import struct
from pathlib import Path

import pytest

from tapedeck_testing import set_clock


class Clock:
    """The wall clock of one process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.stand(0)
        self.environ = {
            "TAPEDECK_TEST_CLOCK": str(path),
            "PYTHONPATH": os.pathsep.join([*set_clock.__path__, os.environ.get("PYTHONPATH", "")]).rstrip(
                os.pathsep
            ),
        }

    def stand(self, ahead_s: float) -> None:
        """From now on so far ahead of the machine's."""
        with self._path.open("r+b" if self._path.exists() else "wb") as file:
            file.write(struct.pack("<q", int(ahead_s * 1e9)))


@pytest.fixture
def clock(tmp_path) -> Clock:
    return Clock(tmp_path / "clock")


@pytest.fixture
def other(start_listen, clock, listen):
    """Another process of the same system, with a clock of its own."""
    return start_listen(TAPEDECK_REDIS_PREFIX=listen.prefix, **clock.environ)


@pytest.mark.parametrize("ahead_s", [-15, 15])
async def test_a_client_resumes_at_a_process_whose_clock_stands_apart(listen, other, clock, packets, ahead_s):
    clock.stand(ahead_s)
    async with listen.connect(codec="opus", uid="clocks", conversation_id="c") as client:
        session = (await client.ready())["session"]
        await client.send(*packets[:50])
        await client.acked(1)
    for process in [other, listen, other]:
        async with process.connect(
            codec="opus", uid="clocks", conversation_id="c", session=session
        ) as client:
            assert (await client.ready())["session"] == session


@pytest.mark.parametrize("ahead_s", [-15, 15])
async def test_a_plain_device_records_after_one_that_closed_elsewhere(listen, other, clock, packets, ahead_s):
    clock.stand(ahead_s)
    for process in [listen, other, listen]:
        async with process.connect(plain=True, codec="opus", uid="clocks", conversation_id="p") as client:
            await client.ready()
            await client.send(*packets[:20])
            await client.say(type="close")
            await client.closed()


async def test_a_clock_that_is_set_back_stops_nothing(other, clock, packets):
    async with other.connect(codec="opus", uid="clocks", conversation_id="c") as client:
        session = (await client.ready())["session"]
        await client.send(*packets[:50])
        await client.acked(1)
        acks = len(client.heard("ack"))
        clock.stand(-3600)
        await client.send(*packets[50:60])
        async with asyncio.timeout(60):
            while len(client.heard("ack")) == acks:
                await client.hear("ack")
    async with other.connect(codec="opus", uid="clocks", conversation_id="c", session=session) as client:
        assert (await client.ready())["session"] == session
