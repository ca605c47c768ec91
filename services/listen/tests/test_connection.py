"""Whole sessions over real sockets, into a real Redis."""

import asyncio
import itertools

import pytest

from audiobus import Conversation
from audiocodec.span import decode, join


def pcm_of(spans, rate=16_000):
    return b"".join(piece for span in join(spans) for piece in decode(span, (), rate, 1))


async def test_pcm_is_acked_and_lies_in_redis_to_the_sample(service, second):
    async with service.connect("codec=pcm16&sample_rate=16000&conversation_id=a") as client:
        ready = await client.hear("ready")
        assert (ready["conversation_id"], ready["resume_offset"]) == ("a", 0)
        for at in range(0, len(second), 999):
            await client.send(second[at : at + 999])
        await client.say(type="close")
        assert await client.closed() == 1000
    assert client.texts[-1]["offset"] == len(second)
    assert len(pcm_of(await service.spans("a"))) == len(second)
    state = await service.bus.state(Conversation("alice", "a"))
    assert state.flush_reason == "end"
    assert state.flush == state.newest
    hints = await service.bus.command("XRANGE", service.bus.keys.ready(0), "-", "+")
    assert [row[1] for row in hints] == [{b"c": b"alice/a", b"r": b"end"}]
    assert await service.bus.live("alice") == [Conversation("alice", "a")]
    assert await service.bus.command("ZSCORE", service.bus.keys.due(0), "alice/a")


async def test_opus_comes_back_byte_for_byte(service, packets):
    async with service.connect("codec=opus&conversation_id=b") as client:
        await client.hear("ready")
        for packet in packets:
            await client.send(packet)
        await client.acked(sum(map(len, packets[:400])))
        await client.say(type="close")
        assert await client.closed() == 1000
    spans = await service.spans("b")
    assert [packet for span in spans for packet in span.packets] == packets
    assert len(join(spans)) == 1


async def test_a_plain_client_needs_to_read_nothing(service):
    async with service.connect("client_conversation_id=old", plain=True) as client:
        assert client.socket.subprotocol is None
        for _ in range(50):
            await client.send(bytes([128]) * 160)
        await client.send(b"\x00\x00")
    conversation = Conversation("alice", "old")
    async with asyncio.timeout(60):
        while (await service.bus.state(conversation)).received_samples < 48_000:
            await asyncio.sleep(0.02)
    spans = await service.spans("old")
    assert sum(span.samples for span in spans) == 48_000
    state = await service.bus.state(conversation)
    assert (state.format, state.flush) == ("pcm8:8000:1:312", None)


@pytest.mark.parametrize("plain", [False, True])
async def test_two_channels_lie_left_and_right(service, second, plain):
    query = "codec=pcm16&sample_rate=44100&channels=2&conversation_id=two"
    async with service.connect(query, plain=plain) as client:
        await client.hear("ready")
        for at in range(0, len(second), 1_764):
            await client.send(b"\x01" + second[at : at + 1_764])
            await client.send(b"\x02" + bytes(len(second[at : at + 1_764])))
        await client.say(type="close")
        assert await client.closed() == 1000
    spans = await service.spans("two")
    decoded = b"".join(piece for span in join(spans) for piece in decode(span, (), 48_000, 2))
    loud = [max(map(abs, memoryview(decoded).cast("h")[side::2])) for side in (0, 1)]
    assert loud[0] > 3_000
    assert loud[1] < 300
    assert abs(len(decoded) // 4 - 16_000 * 48_000 / 44_100) < 1


async def test_aac_whose_header_says_another_rate_ends_the_socket(service, aac_messages):
    async with service.connect("codec=aac&sample_rate=44100") as client:
        await client.hear("ready")
        await client.send(aac_messages[0])
        assert (await client.hear("error"))["code"] == "bad_parameter"
        assert await client.closed() == 1003


async def test_what_does_not_decode_is_counted(service, aac_messages):
    broken = aac_messages[5][:9] + bytes(len(aac_messages[5]) - 9)
    async with service.connect("codec=aac&sample_rate=16000") as client:
        await client.hear("ready")
        for message in (*aac_messages[:5], broken, *aac_messages[6:20]):
            await client.send(message)
        await client.say(type="close")
        assert await client.closed() == 1000
    metrics = await service.metrics()
    assert metrics["tapedeck_messages_spoiled_total"] == 1
    assert metrics["tapedeck_audio_received_seconds_total"] == pytest.approx(19 * 1_024 / 16_000)


async def test_a_client_that_breaks_off_resumes_to_the_sample(service, second):
    query = "conversation_id=c"
    async with service.connect(query) as client:
        session = (await client.hear("ready"))["session"]
        await client.send(second[:20_001])
        await client.acked(1)
        client.socket.transport.abort()
    async with service.connect(f"{query}&session={session}") as client:
        ready = await client.hear("ready")
        assert ready["session"] == session
        assert 0 < ready["resume_offset"] <= 20_000
        await client.send(second[ready["resume_offset"] :])
        await client.say(type="close")
        assert await client.closed() == 1000
    spans = await service.spans("c")
    assert len(pcm_of(spans)) == len(second)
    assert all(a.end_offset == b.first_offset for a, b in itertools.pairwise(spans))
    async with service.connect(f"{query}&session={session}") as client:
        ready = await client.hear("ready")
        assert ready["session"] != session
        assert ready["previous_offset"] == len(second)


async def test_a_newer_socket_takes_the_session_over(service, second):
    async with service.connect("conversation_id=d") as old:
        session = (await old.hear("ready"))["session"]
        await old.send(second)
        await old.acked(1)
        async with service.connect(f"conversation_id=d&session={session}") as new:
            await new.hear("ready")
            assert await old.closed() == 4409
            assert old.codes == ["replaced"]
            await new.say(type="close")
            assert await new.closed() == 1000


async def test_another_format_cannot_resume(service, second):
    async with service.connect("conversation_id=e") as client:
        session = (await client.hear("ready"))["session"]
        await client.send(second)
        await client.acked(1)
    async with service.connect(f"conversation_id=e&session={session}&sample_rate=8000") as client:
        assert await client.closed() == 4400
        assert client.codes == ["bad_parameter"]


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://app.example"}])
async def test_a_session_to_resume_without_its_conversation_is_accepted_and_closed_with_4400(
    service, headers
):
    for query in ("session=1732147200123", "session=nonsense&conversation_id=e"):
        async with service.connect(query, headers=headers) as client:
            assert await client.closed() == 4400
            assert client.codes == ["bad_parameter"]


async def test_a_deleted_conversation_is_told(service, second):
    conversation = Conversation("alice", "f")
    async with service.connect("conversation_id=f") as client:
        await client.hear("ready")
        await service.bus.command("SET", service.bus.keys.tomb(conversation), "1")
        await client.send(second)
        assert await client.closed() == 4404
        assert client.codes == ["conversation_deleted"]
    async with service.connect("conversation_id=f") as client:
        assert await client.closed() == 4404


async def test_finalize_is_answered_when_it_is_settled(service, second):
    conversation = Conversation("alice", "g")
    async with service.connect("conversation_id=g") as client:
        session = (await client.hear("ready"))["session"]
        await client.send(second)
        await client.say(type="finalize")
        await client.acked(len(second))
        async with asyncio.timeout(60):
            while (await service.bus.state(conversation)).flush_reason != "finalize":
                await asyncio.sleep(0.02)
        settled = f"{session}-{len(second)}"
        await service.bus.command("HSET", service.bus.keys.conv(conversation), "settled", settled)
        assert await client.hear("finalized") == {
            "type": "finalized",
            "offset": len(second),
            "stored": True,
        }


async def test_close_right_after_finalize_waits_for_the_bucket(service, second):
    conversation = Conversation("alice", "gc")
    async with service.connect("conversation_id=gc") as client:
        session = (await client.hear("ready"))["session"]
        await client.send(second)
        await client.say(type="finalize")
        await client.say(type="close")
        async with asyncio.timeout(60):
            while (await service.bus.state(conversation)).flush_reason != "end":
                await asyncio.sleep(0.02)
        settled = f"{session}-{len(second)}"
        await service.bus.command("HSET", service.bus.keys.conv(conversation), "settled", settled)
        assert await client.closed() == 1000
    offset = {"offset": len(second)}
    assert client.texts[-2:] == [
        {"type": "finalized", **offset, "stored": True},
        {"type": "ack", "conversation_id": "gc", **offset, "stored": len(second)},
    ]


async def test_another_conversation_on_the_same_socket(service, second):
    async with service.connect("conversation_id=h1") as client:
        await client.hear("ready")
        await client.send(second)
        await client.say(type="conversation", conversation_id="h2")
        await client.hear("ready", conversation_id="h2")
        await client.send(second[:3_200])
        await client.say(type="close")
        assert await client.closed() == 1000
    assert len(pcm_of(await service.spans("h1"))) == len(second)
    assert len(pcm_of(await service.spans("h2"))) == 3_200


async def test_a_message_that_is_too_big_closes(service, second):
    async with service.connect("conversation_id=i") as client:
        await client.hear("ready")
        await client.send(second)
        await client.send(bytes(65_537))
        assert await client.closed() == 1009
        assert client.codes == ["too_big"]


async def test_fifty_bad_packets_close(service):
    async with service.connect("codec=opus") as client:
        await client.hear("ready")
        for _ in range(50):
            await client.send(b"\xff\xff\xff")
        assert await client.closed() == 1007
    metrics = await service.metrics()
    assert metrics['tapedeck_messages_rejected_total{reason="bad_audio"}'] == 50
    assert metrics['tapedeck_closes_total{code="1007"}'] == 1


async def test_large_bad_packets_are_not_waited_for(service):
    async with service.connect("codec=opus") as client:
        await client.hear("ready")
        for _ in range(50):
            await client.send(b"\x48" + bytes(65_000))
        assert await client.closed() == 1007


async def test_faster_than_redis_takes_it_nothing_is_dropped(service, packets):
    async with service.connect("codec=opus&conversation_id=j") as client:
        await client.hear("ready")

        async def send() -> None:
            for _ in range(12):
                for packet in packets:
                    await client.send(packet)
            await client.say(type="close")

        sending = asyncio.create_task(send())
        assert await client.closed() == 1000
        await sending
    spans = await service.spans("j")
    assert [packet for span in spans for packet in span.packets] == 12 * packets


async def test_a_session_costs_about_one_command_a_second(service, packets):
    async def processed() -> int:
        info = await service.bus.command("INFO", "commandstats")
        text = info.decode() if isinstance(info, bytes) else str(info)
        return sum(
            int(line.split("calls=")[1].split(",")[0])
            for line in text.replace("{", "\n").splitlines()
            if line.startswith(("cmdstat_evalsha", "cmdstat_eval:"))
        )

    async with service.connect("codec=opus&conversation_id=k") as client:
        await client.hear("ready")
        before = await processed()
        for packet in packets:
            await client.send(packet)
        await client.acked(sum(map(len, packets)))
        assert await processed() - before <= 12


async def test_the_audio_that_redis_has_is_counted(service, second):
    async with service.connect("conversation_id=l") as client:
        await client.hear("ready")
        await client.send(second)
        await client.say(type="close")
        await client.closed()
    metrics = await service.metrics()
    assert metrics["tapedeck_audio_received_seconds_total"] == pytest.approx(1.0)
    assert metrics['tapedeck_closes_total{code="1000"}'] == 1
    assert metrics['tapedeck_resumes_total{outcome="fresh"}'] == 1
    assert metrics['tapedeck_refused_total{reason="unauthorized"}'] == 0
    assert metrics["tapedeck_append_seconds_count"] == metrics["tapedeck_ack_seconds_count"] >= 2
