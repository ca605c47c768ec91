"""A pusher process that is started while Redis or a bucket are away, or are not as they should be."""

import asyncio
import signal
import time

from audiobus import Bus, Hints
from audiostore import open_store
from tapedeck_testing.draining.pusher_process import STARTS_WITHIN_S, drained, objects


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
        await eventually(drained(bus, device.conversation), "it is stored", STARTS_WITHIN_S)
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


async def test_a_second_bucket_that_cannot_be_opened_keeps_it_from_nothing(
    *, device, bus, hints, new_pusher, bucket, packets_of, eventually, tmp_path
):
    """It says so meanwhile, opens it when that can be done, and is then as if nothing had been."""
    (tmp_path / "in the way").write_text("a file where a folder should be")
    await device.open()
    await device.say(5)
    await bus.ask(device.conversation, "end")
    pusher = new_pusher(TAPEDECK_FALLBACK_STORE_URL=f"file://{tmp_path}/in%20the%20way/store")
    await pusher.start()
    await hints.ready(device.conversation, "end")

    async def says_so() -> bool:
        status, text = await asyncio.to_thread(pusher.get, "/readyz?verbose")
        return status == 503 and "fallback store failed" in text and "open the store in" in text

    await eventually(says_so, "it says so", STARTS_WITHIN_S)
    assert any("cannot be opened" in line["message"] for line in pusher.lines())
    await eventually(drained(bus, device.conversation), "it is stored", STARTS_WITHIN_S)
    assert await packets_of(bucket) == device.sent
    (tmp_path / "in the way").unlink()
    await eventually(pusher.ready, "it is open, and all is well", STARTS_WITHIN_S)
    assert await pusher.end(signal.SIGTERM) == 0


async def test_an_address_that_no_store_can_have_ends_it_at_once(new_pusher):
    pusher = new_pusher(TAPEDECK_FALLBACK_STORE_URL="gs://UPPER")
    await pusher.start()
    assert await pusher.process.wait() == 2
    assert "TAPEDECK_FALLBACK_STORE_URL: store address gs://UPPER" in pusher.log.read_text()


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
    await eventually(drained(bus, device.conversation), "it is stored", STARTS_WITHIN_S)
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
