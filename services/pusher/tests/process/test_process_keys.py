"""The keys of a pusher process: missing, wrong, rotated without a restart."""

import asyncio
import base64
import re
import time

from audiostore.sealing import HEADER_BYTES, sealed_key_id
from tapedeck_testing.draining.pusher_process import STARTS_WITHIN_S, drained, objects


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
        await eventually(drained(bus, device.conversation), "it is stored", STARTS_WITHIN_S)

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
