"""An enhanced user through everything that `tapedeck up` starts: sealed in the bucket, and the same audio to whoever has the key."""

import asyncio
import base64
import hashlib
import itertools
import os
import subprocess
import sys

import pytest

from audiobus import Bus
from audiostore.batch import read_batch
from audiostore.errors import TamperedError
from audiostore.key_ring import KeyRing
from audiostore.names import parse_name
from audiostore.sealed_batch import check_start, sealed_facts
from audiostore.sealing import HEAD_BYTES, open_sealed
from tapedeck_testing.account import flush, objects, packets_back
from tapedeck_testing.protocol_client import ProtocolClient
from tapedeck_testing.recordings import opus_packets
from tapedeck_testing.stack import Stack


def entry(key_id: str) -> str:
    return f"{key_id}:{base64.b64encode(hashlib.sha256(key_id.encode()).digest()).decode()}"


KEYS = f"{entry('k2')},{entry('k1')}"
RING = KeyRing.parse(KEYS)
UID = "enhanced-user"


@pytest.fixture(scope="module")
def sealing_stack(tmp_path_factory):
    """A system with keys, where batches are short."""
    environ = {"TAPEDECK_ENCRYPTION_KEYS": KEYS, "TAPEDECK_BATCH_SECONDS": "4"}
    running = Stack(tmp_path_factory.mktemp("sealing"), environ=environ).start()
    yield running
    assert running.stop() == 0


async def set_level(stack, level: str, uid: str = UID) -> None:
    async with Bus(stack.facts["redis"]) as bus:
        await bus.command("HSET", bus.keys.user(uid), "protection", level)


async def record(stack, uid, cid, packets, pace_s=0.0):
    client = ProtocolClient(
        stack.facts["listen"], stack.user_token(uid), cid, packets, codec="opus", pace_s=pace_s
    )
    await client.run()
    assert client.acked == client.total


def opened(path, uid=UID):
    return read_batch(open_sealed(path.read_bytes(), RING, uid))


async def test_what_is_sealed_shows_nothing_and_holds_all(sealing_stack):
    packets = opus_packets(14, seed=21)
    await set_level(sealing_stack, "enhanced")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(record(sealing_stack, UID, "sealed", packets, 0.005))
        tasks.create_task(record(sealing_stack, "plain-user", "plain", opus_packets(5, seed=22)))
    async with sealing_stack.http() as http:
        await flush(http, UID, "sealed")
        await flush(http, "plain-user", "plain")
    sealed = objects(sealing_stack.store, UID, "sealed")
    assert len(sealed) >= 3
    for path in sealed:
        data = path.read_bytes()
        assert path.name.endswith(".batch.enc")
        assert data.startswith(b"TDSEAL01")
        for mark in (b"OggS", b"OpusHead", b"TAPEDECK", *packets):
            assert mark not in data
        name = parse_name(path.relative_to(sealing_stack.store).as_posix())
        check_start(sealed_facts(data[:HEAD_BYTES], RING, name).start_ms, name)
    assert [one for path in sealed for span in opened(path).spans for one in span.packets] == packets
    assert all(path.name.endswith(".bin") for path in objects(sealing_stack.store, "plain-user", "plain"))


async def test_whoever_may_read_gets_the_same_audio(sealing_stack):
    packets = opus_packets(6, seed=23)
    await set_level(sealing_stack, "enhanced")
    await record(sealing_stack, UID, "read", packets)
    async with sealing_stack.http() as http:
        assert await packets_back(http, UID, "read") == packets  # from Redis
        await flush(http, UID, "read")
        assert all(path.name.endswith(".enc") for path in objects(sealing_stack.store, UID, "read"))
        assert await packets_back(http, UID, "read") == packets  # from the bucket


async def test_a_level_that_changes_while_a_device_records(sealing_stack):
    packets = opus_packets(24, seed=24)
    await set_level(sealing_stack, "standard", "changing-user")
    recording = asyncio.create_task(record(sealing_stack, "changing-user", "c", packets, 0.005))
    # Each change is followed by the next batch: a minute at the most, four seconds here.
    async with asyncio.timeout(60):
        for next_level, suffix in (("enhanced", ".bin"), ("standard", ".enc")):
            while not any(
                path.suffix == suffix for path in objects(sealing_stack.store, "changing-user", "c")
            ):
                await asyncio.sleep(0.02)
            await set_level(sealing_stack, next_level, "changing-user")
    assert not recording.done()
    await recording
    async with sealing_stack.http() as http:
        await flush(http, "changing-user", "c")
        assert await packets_back(http, "changing-user", "c") == packets
    kinds = [path.suffix for path in objects(sealing_stack.store, "changing-user", "c")]
    assert [kind for kind, _objects in itertools.groupby(kinds)] == [".bin", ".enc", ".bin"]


async def test_a_copy_opens_for_the_same_user_only(sealing_stack, tmp_path):
    await set_level(sealing_stack, "enhanced")
    await record(sealing_stack, UID, "copied", opus_packets(2, seed=25))
    async with sealing_stack.http() as http:
        await flush(http, UID, "copied")
    (path,) = objects(sealing_stack.store, UID, "copied")
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    assert opened(copy).conversation_id == "copied"
    with pytest.raises(TamperedError):
        opened(copy, "another-user")


async def test_keys_stand_nowhere_and_are_found_to_be_in_use(sealing_stack):
    secrets = [part.partition(":")[2].encode() for part in KEYS.split(",")]
    for path in sealing_stack.directory.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(secret in data for secret in secrets), path
    await set_level(sealing_stack, "enhanced")
    await record(sealing_stack, UID, "counted", opus_packets(1, seed=26))
    async with sealing_stack.http() as http:
        await flush(http, UID, "counted")
    environ = {**os.environ, "TAPEDECK_READY_FILE": str(sealing_stack.ready_file)}
    for ring, code in ((KEYS, 0), (entry("k1"), 1)):
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "tapedeck", "keys", "check"],
            env={**environ, "TAPEDECK_ENCRYPTION_KEYS": ring},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "k2" in done.stdout
