"""`python -m pusher`, as a process: killed at any moment, ended in order, refused where its settings are wrong."""

import asyncio
import random
import signal
import socket
import sys
import time

from tapedeck_testing.draining.pusher_process import STARTS_WITHIN_S, drained, objects


async def test_it_stores_and_ends_in_order(device, bus, hints, new_pusher, bucket, packets_of, eventually):
    pusher = new_pusher()
    await pusher.start()
    await device.open()
    await device.say(70)
    await bus.ask(device.conversation, "end")
    await hints.ready(device.conversation, "end")
    await eventually(drained(bus, device.conversation), "it is stored", STARTS_WITHIN_S)
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
    await eventually(
        drained(bus, *(device.conversation for device in devices)), "everything is stored", STARTS_WITHIN_S
    )
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
    await eventually(
        drained(bus, *(device.conversation for device in devices)), "everything is stored", STARTS_WITHIN_S
    )
    for device in devices:
        assert await packets_of(bucket, device.conversation) == device.sent


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


async def test_one_bucket_under_both_names_is_a_mistake(new_pusher, tmp_path):
    pusher = new_pusher(TAPEDECK_FALLBACK_STORE_URL=f"file://{tmp_path}/bucket/")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pusher", env=pusher.environ, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"TAPEDECK_FALLBACK_STORE_URL is TAPEDECK_STORE_URL" in said
