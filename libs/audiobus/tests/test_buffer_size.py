"""How much memory buffers take, on every kind of Redis."""

from dataclasses import replace

from audiobus import Bus, Conversation
from audiobus.buffer_size import SECOND_BYTES, buffer_sizes


async def test_sizes_and_what_waits(bus, recorder_for, now_ms):
    large, small, gone = (Conversation("u", name) for name in ("large", "small", "gone"))
    for conversation, count in ((large, 50), (small, 2)):
        recorder = recorder_for(conversation)
        await recorder.open()
        for number in range(count):
            request = recorder.request(1000 * (number + 1), now_ms=now_ms + 1000 * number)
            await bus.append(replace(request, chunk=bytes(3000)))
            recorder.newest = request.id
    sizes = {size.conversation: size for size in await buffer_sizes(bus, [large, small, gone])}
    assert set(sizes) == {large, small}
    assert sizes[large].size_bytes > 5 * sizes[small].size_bytes > 0
    assert (sizes[large].waiting_ms, sizes[small].waiting_ms) == (50_000, 2_000)
    assert sizes[large].oldest_ms == now_ms - 1_000
    assert await buffer_sizes(bus, []) == []


async def test_where_the_server_does_not_say_it_is_reckoned(redis_process, recorder_on, conversation):
    async with Bus(redis_process.url) as bus:
        recorder = recorder_on(bus)
        await recorder.open()
        await recorder.append(2000)
        await bus.command("ACL", "SETUSER", "default", "-memory")
        (size,) = await buffer_sizes(bus, [conversation])
        assert size.size_bytes == 2 * SECOND_BYTES
