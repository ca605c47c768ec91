"""Story 1 of docs/interleavings.md over sockets: the old socket of a session hangs at one process while the new one resumes at another."""

from itertools import accumulate


async def test_1_an_old_socket_flushes_after_a_new_one_has_resumed_elsewhere(make_service, packets):
    end = [0, *accumulate(map(len, packets))]
    async with (
        make_service().here() as one,
        make_service(TAPEDECK_REDIS_PREFIX=one.prefix).here() as other,
        one.connect("conversation_id=a&codec=opus") as old,
    ):
        session = (await old.hear("ready"))["session"]
        for packet in packets[:50]:
            await old.send(packet)
        await old.say(type="finalize")
        await old.acked(end[50])
        # What it still holds is not appended yet, and its client has given it up.
        for packet in packets[50:90]:
            await old.send(packet)
        async with other.connect(f"conversation_id=a&codec=opus&session={session}") as new:
            assert (await new.hear("ready"))["resume_offset"] == end[50]
            for packet in packets[50:95]:
                await new.send(packet)
            await old.say(type="finalize")
            assert await old.closed() == 4409
            assert old.codes == ["replaced"]
            for packet in packets[95:150]:
                await new.send(packet)
            await new.say(type="finalize")
            await new.acked(end[150])
        spans = await one.spans("a")
    assert [packet for span in spans for packet in span.packets] == packets[:150]
    assert [(span.first_offset, span.end_offset) for span in spans][-1][1] == end[150]
