"""`python -m pusher`, as a process: killed at any moment, started while Redis or the bucket are away, ended in order."""

import asyncio
import base64
import json
import os
import random
import re
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from audiobus import Bus, Hints
from audiostore import open_store
from audiostore.sealing import HEADER_BYTES, sealed_key_id

STARTS_WITHIN_S = 30


@dataclass
class Pusher:
    """One process, and what it logs."""

    environ: dict[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None
    killed: int = field(default=0)

    async def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "pusher", env=self.environ, stdout=out, stderr=out
            )

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()

    def lines(self) -> list[dict]:
        text = self.log.read_text() if self.log.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of the admin port; 0 before it answers."""
        started = [line for line in self.lines() if line["message"] == "started"]
        if not started:
            return 0, ""
        try:
            with urllib.request.urlopen(started[-1]["admin"] + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    async def ready(self) -> bool:
        return (await asyncio.to_thread(self.get, "/readyz"))[0] == 200


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


async def objects(store) -> int:
    return len([info async for info in store.list("chunks/")])


def drained(bus, *devices):
    async def check() -> bool:
        states = [await bus.state(device.conversation) for device in devices]
        return all(state.settled == state.newest and not state.waiting_samples for state in states)

    return check


async def test_it_stores_and_ends_in_order(device, bus, hints, new_pusher, bucket, packets_of, eventually):
    pusher = new_pusher()
    await pusher.start()
    await device.open()
    await device.say(70)
    await bus.ask(device.conversation, "end")
    await hints.ready(device.conversation, "end")
    await eventually(drained(bus, device), "it is stored", STARTS_WITHIN_S)
    assert await packets_of(bucket) == device.sent
    status, text = await asyncio.to_thread(pusher.get, "/metrics")
    assert status == 200
    for line in (
        'tapedeck_batches_total{reason="end"} 1.0',
        'tapedeck_puts_total{outcome="failed"} 0.0',
        'tapedeck_dead_letters_total{reason="unreadable"} 0.0',
        "tapedeck_dead_letters 0.0",
        "tapedeck_oldest_unstored_age_seconds 0.0",
        'tapedeck_claims_total{kind="dead"} 0.0',
        f"tapedeck_audio_stored_seconds_total {70 - 312 / 48_000}",
    ):
        assert line in text
    assert await pusher.end(signal.SIGTERM) == 0
    assert await bus.command("KEYS", f"{bus.keys.prefix}lease:*") == []
    assert pusher.lines()[-1]["message"] == "ended"
    # No user is named in a log.
    assert "alice" not in pusher.log.read_text()


async def test_it_may_be_killed_at_any_moment(
    new_device, bus, hints, new_pusher, bucket, packets_of, eventually, clock
):
    chance = random.Random(7)
    # An hour ago: old enough to be stored whenever it is looked at, and not so old as to be forgotten.
    clock.ms = time.time_ns() // 1_000_000 - 3_600_000
    devices = [new_device(conversation=f"c{number}") for number in range(4)]
    pusher = new_pusher()
    for device in devices:
        await device.open()
        await hints.due(device.conversation, 0)

    async def record(device) -> None:
        async def keeps_up() -> bool:
            return (await bus.state(device.conversation)).waiting_samples < 40 * 48_000

        for _ in range(30):
            await device.say(chance.randrange(1, 20))
            await hints.ready(device.conversation, "test")
            await eventually(keeps_up, "the pushers keep up", STARTS_WITHIN_S)
        await bus.ask(device.conversation, "end")
        await hints.ready(device.conversation, "end")

    async with asyncio.TaskGroup() as tasks:
        recording = [tasks.create_task(record(device)) for device in devices]

        def over() -> bool:
            return all(task.done() for task in recording)

        while not over():
            target = await objects(bucket) + chance.randrange(1, 12)

            async def got_somewhere(target=target) -> bool:
                return over() or await objects(bucket) >= target

            await pusher.start()
            await eventually(got_somewhere, "it stores something", STARTS_WITHIN_S)
            await pusher.end(signal.SIGKILL)
    await pusher.start()
    await eventually(drained(bus, *devices), "everything is stored", STARTS_WITHIN_S)
    for device in devices:
        assert await packets_of(bucket, device.conversation) == device.sent
    assert len([line for line in pusher.lines() if line["message"] == "started"]) > 4


async def test_several_share_the_work_and_take_over_from_a_dead_one(
    new_device, bus, hints, new_pusher, bucket, packets_of, eventually
):
    devices = [new_device(conversation=f"c{number}") for number in range(12)]
    pushers = [new_pusher(f"pusher-{number}", TAPEDECK_PUSHER_LEASE_SECONDS="1") for number in range(3)]
    for pusher in pushers:
        await pusher.start()
    for device in devices:
        await device.open()
        await device.say(65)
        await bus.ask(device.conversation, "end")
        await hints.ready(device.conversation, "end")
        await hints.ready(device.conversation, "end")
        await hints.due(device.conversation, 0)
    await pushers[0].end(signal.SIGKILL)
    await eventually(drained(bus, *devices), "everything is stored", STARTS_WITHIN_S)
    for device in devices:
        assert await packets_of(bucket, device.conversation) == device.sent


async def test_it_starts_while_redis_is_away(
    redis_process, new_device, new_pusher, bucket, packets_of, eventually
):
    redis_process.kill()
    pusher = new_pusher(TAPEDECK_REDIS_URL=redis_process.url)
    await pusher.start()

    async def unready() -> bool:
        return (await asyncio.to_thread(pusher.get, "/readyz?verbose"))[0] == 503

    await eventually(unready, "it lives, and says that it is not ready", STARTS_WITHIN_S)
    redis_process.start()
    async with Bus(redis_process.url, prefix=pusher.environ["TAPEDECK_REDIS_PREFIX"]) as bus:
        device = new_device(bus=bus)
        await device.open()
        await device.say(3)
        await bus.ask(device.conversation, "end")
        await Hints(bus).ready(device.conversation, "end")
        await eventually(drained(bus, device), "it is stored", STARTS_WITHIN_S)
        assert await packets_of(bucket) == device.sent
        await eventually(pusher.ready, "it is ready")
        # Ending does not need Redis either.
        redis_process.kill()
        assert await pusher.end(signal.SIGTERM) == 0


async def test_it_starts_while_the_bucket_cannot_be_opened(new_pusher, tmp_path, eventually):
    (tmp_path / "file").write_text("a file where a folder should be")
    pusher = new_pusher(TAPEDECK_STORE_URL=f"file://{tmp_path}/file")
    await pusher.start()

    async def says_so() -> bool:
        return any(line["severity"] == "CRITICAL" for line in pusher.lines())

    await eventually(says_so, "it says so", STARTS_WITHIN_S)
    assert await pusher.end(signal.SIGTERM) == 0


async def test_it_waits_for_a_bucket_that_is_away(
    device, bus, hints, new_pusher, bucket, packets_of, eventually, tmp_path
):
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    # A file stands where the bucket's folder belongs.
    (tmp_path / "bucket" / "chunks").write_text("in the way")
    pusher = new_pusher()
    await pusher.start()
    await hints.ready(device.conversation, "end")

    async def failed() -> bool:
        return any("could not be stored" in line["message"] for line in pusher.lines())

    await eventually(failed, "it fails", STARTS_WITHIN_S)
    assert (await bus.state(device.conversation)).waiting_samples > 0
    (tmp_path / "bucket" / "chunks").unlink()
    await eventually(drained(bus, device), "it is stored", STARTS_WITHIN_S)
    assert await packets_of(bucket) == device.sent


async def test_it_shows_what_waits_though_it_never_looked_at_it(device, bus, hints, new_pusher, eventually):
    await device.open()
    await device.say(5)
    an_hour_on = time.time_ns() // 1_000_000 + 3_600_000
    await hints.push_due(device.conversation, an_hour_on)
    pusher = new_pusher()
    await pusher.start()

    async def shown() -> bool:
        return "tapedeck_audio_waiting_seconds 4.9935" in (await asyncio.to_thread(pusher.get, "/metrics"))[1]

    await eventually(shown, "what waits", STARTS_WITHIN_S)
    status, text = await asyncio.to_thread(pusher.get, "/metrics")
    assert status == 200
    age_s = next(float(line.split()[1]) for line in text.splitlines() if line.startswith("tapedeck_oldest"))
    assert age_s * 1000 > time.time_ns() // 1_000_000 - device.session.clock() > 0


async def test_a_redis_that_may_lose_audio_is_complained_about(redis_process, new_pusher, eventually):
    async with Bus(redis_process.url) as bus:
        await bus.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        pusher = new_pusher(TAPEDECK_REDIS_URL=redis_process.url)
        await pusher.start()

        async def warned() -> bool:
            status, text = await asyncio.to_thread(pusher.get, "/readyz?verbose")
            return status == 200 and "noeviction" in text

        await eventually(warned, "it warns, and works on", STARTS_WITHIN_S)


def ring_text(*ids):
    return ",".join(f"{one}:{base64.b64encode(one.encode().ljust(32)).decode()}" for one in ids)


async def test_without_a_key_it_says_so_and_puts_nothing(device, bus, hints, new_pusher, bucket, eventually):
    await bus.command("HSET", bus.keys.user(device.conversation.uid), "protection", "enhanced")
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    pusher = new_pusher()
    await pusher.start()
    await hints.ready(device.conversation, "end")

    async def warned() -> bool:
        status, text = await asyncio.to_thread(pusher.get, "/readyz?verbose")
        return (
            status == 200 and "[!]keys warning: 1 conversations kept back: the audio must be sealed" in text
        )

    await eventually(warned, "it warns, and works on", STARTS_WITHIN_S)
    assert await objects(bucket) == 0
    _status, text = await asyncio.to_thread(pusher.get, "/metrics")
    assert re.search(r"^tapedeck_unsealed_waits_total [1-9]", text, re.MULTILINE)


async def test_keys_are_rotated_without_a_restart(
    *, device, bus, hints, new_pusher, bucket, tmp_path, eventually, clock
):
    clock.ms = time.time_ns() // 1_000_000
    await bus.command("HSET", bus.keys.user(device.conversation.uid), "protection", "enhanced")
    mount = tmp_path / "mount"

    def mount_as_kubernetes_does(text: str) -> None:
        """A folder of its own for each version, and a link that is swapped in one step."""
        folder = mount / f"..{len(list(mount.glob('..[0-9]*')))}"
        folder.mkdir(parents=True)
        (folder / "keys").write_text(text)
        (mount / "..new").symlink_to(folder.name)
        (mount / "..new").rename(mount / "..data")

    mount_as_kubernetes_does(ring_text("k1"))
    (mount / "keys").symlink_to("..data/keys")
    pusher = new_pusher(TAPEDECK_ENCRYPTION_KEYS_FILE=str(mount / "keys"))
    await pusher.start()

    async def store_more() -> None:
        await device.say(5)
        await bus.ask(device.conversation, "flush")
        await hints.ready(device.conversation, "flush")
        await eventually(drained(bus, device), "it is stored", STARTS_WITHIN_S)

    async def keys_used() -> list[str]:
        return [
            sealed_key_id(await bucket.get_range(info.name, 0, HEADER_BYTES))
            async for info in bucket.list("chunks/")
        ]

    await device.open()
    await store_more()
    assert await keys_used() == ["k1"]
    mount_as_kubernetes_does("k2:no key at all")

    async def warned() -> bool:
        status, text = await asyncio.to_thread(pusher.get, "/readyz?verbose")
        return status == 200 and "[!]keys warning: the keys stay as they were" in text

    await eventually(warned, "it warns, and works on", STARTS_WITHIN_S)
    await store_more()
    assert await keys_used() == ["k1", "k1"]
    mount_as_kubernetes_does(ring_text("k2", "k1"))

    async def well() -> bool:
        status, text = await asyncio.to_thread(pusher.get, "/readyz?verbose")
        return status == 200 and "[+]keys ok" in text

    await eventually(well, "it has the new keys", STARTS_WITHIN_S)
    await store_more()
    assert await keys_used() == ["k1", "k1", "k2"]
    log = pusher.log.read_text()
    assert "the keys file cannot be used" in log
    assert not any(
        secret in log for secret in ("no key at all", *re.findall(r":([^,]+)", ring_text("k1", "k2")))
    )


async def test_wrong_settings_are_all_told_at_once(new_pusher, tmp_path):
    pusher = new_pusher(TAPEDECK_BATCH_SECONDS="90", TAPEDECK_STORE_URL="ftp://x")
    await pusher.start()
    assert pusher.process is not None
    assert await pusher.process.wait() == 2
    text = pusher.log.read_text()
    assert "TAPEDECK_BATCH_SECONDS" in text
    assert "TAPEDECK_STORE_URL" in text


async def test_an_admin_port_that_is_taken_is_an_error(new_pusher):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        pusher = new_pusher(TAPEDECK_ADMIN_BIND=f"127.0.0.1:{taken.getsockname()[1]}")
        await pusher.start()
        assert pusher.process is not None
        assert await pusher.process.wait() == 2


async def test_it_moves_home_what_lies_in_the_second_bucket_of_its_settings(
    new_pusher, bucket, tmp_path, eventually
):
    second = open_store(f"file://{tmp_path}/second")
    await second.put("chunks/u/c/1.000-2.000.batch.bin", b"audio", content_type="audio/ogg", metadata={})
    pusher = new_pusher(TAPEDECK_FALLBACK_STORE_URL=f"file://{tmp_path}/second")
    await pusher.start()

    async def home() -> bool:
        return await objects(bucket) == 1 and await objects(second) == 0

    await eventually(home, "it is home", STARTS_WITHIN_S)
    await second.close()
    await pusher.end(signal.SIGTERM)
    assert "ended" in [line["message"] for line in pusher.lines()]


async def test_one_bucket_under_both_names_is_a_mistake(new_pusher, tmp_path):
    pusher = new_pusher(TAPEDECK_FALLBACK_STORE_URL=f"file://{tmp_path}/bucket/")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pusher", env=pusher.environ, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"TAPEDECK_FALLBACK_STORE_URL is TAPEDECK_STORE_URL" in said
