"""Story 11 of docs/interleavings.md over a socket: a conversation that is forgotten while it is silent goes on as if nothing had been."""

import time

from audiobus import Conversation, Cut, CutStands, EntryId
from audiobus.bus import QUIET_MS
from audiocodec.span import join

SECOND = 32_000


async def test_11_an_open_socket_that_was_silent_for_a_day_goes_on(service, second):
    conversation = Conversation("alice", "a")
    bus = service.bus
    async with service.connect("conversation_id=a") as client:
        session = (await client.hear("ready"))["session"]
        await client.send(second)
        await client.say(type="finalize")
        await client.acked(SECOND)
        # Stored, as a pusher does it; a day later nothing needs its buffer.
        newest = (await bus.state(conversation)).newest
        assert newest == EntryId(int(session), SECOND)
        cut = Cut(
            1, f"{session}-0", str(newest), "chunks/alice/a/1.000-2.000.batch.bin", "standard", "finalize"
        )
        assert await bus.cut(conversation, cut, settled=None) == CutStands()
        assert await bus.finish(
            conversation, cut.encode(), last=newest, preroll=None, samples=48_000, ends={}, now_ms=0
        )
        a_day_on = time.time_ns() // 1_000_000 + QUIET_MS
        assert await bus.forget(conversation, a_day_on)
        assert not await bus.buffered(conversation)
        await client.send(second)
        await client.say(type="finalize")
        await client.acked(2 * SECOND)
        assert client.codes == []
        assert await bus.command("PTTL", bus.keys.conv(conversation)) == -1
    spans = join(await service.spans("a"))
    assert {span.epoch for span in spans} == {int(session)}
    assert (spans[0].first_offset, spans[-1].end_offset) == (SECOND, 2 * SECOND)
