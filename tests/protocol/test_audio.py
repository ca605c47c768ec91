"""Sending audio: messages, offsets, and what is no audio."""

import time

import pytest

from tapedeck_testing.recordings import aac_messages, noisy_pcm


def offsets(client):
    return [ack["offset"] for ack in client.heard("ack")]


async def test_pcm_cut_anywhere(listen, second):
    """binary, binary.cut: at any size, also in the middle of a sample, up to 64 KiB a message."""
    pcm = second * 5
    cuts, at = [], 0
    for size in [1, 1, 3, 641, 65_536, 2, 9_999, 0, 65_535, len(pcm)]:
        cuts.append(pcm[at : at + size])
        at += size
    client = await listen.record(*(cut for cut in cuts if len(cut) <= 65_536), conversation_id="cut")
    assert offsets(client)[-1] == min(at, len(pcm))
    assert sum(chunk.samples for chunk in await listen.chunks("cut")) == 5 * 48_000


async def test_one_packet_a_message(listen, packets):
    """binary.packet, offset.between: acks of a compressed codec lie between messages."""
    client = await listen.record(*packets, codec="opus", conversation_id="between")
    ends = {sum(map(len, packets[:n])) for n in range(len(packets) + 1)}
    assert set(offsets(client)) <= ends
    assert offsets(client)[-1] == max(ends)


async def test_offsets_of_aac(listen):
    """offset.between: of AAC, too."""
    sent = aac_messages(noisy_pcm(2, seed=6), 16_000)
    client = await listen.record(*sent, codec="aac", conversation_id="between-aac")
    assert set(offsets(client)) <= {sum(map(len, sent[:n])) for n in range(len(sent) + 1)}


async def test_a_plain_keepalive(listen, second):
    """binary.keepalive: in the plain dialect at most 2 bytes are no audio."""
    pcm = second[:24_000]
    client = await listen.record(
        b"\0", pcm[:8_000], b"", b"\0\0", pcm[8_000:], plain=True, conversation_id="alive"
    )
    assert offsets(client)[-1] == len(pcm)
    assert sum(chunk.samples for chunk in await listen.chunks("alive")) == 3 * 48_000


async def test_every_v1_message_is_audio(listen, packets):
    """binary.dtx, binary.keepalive: a 1-byte Opus packet is DTX, and one or two bytes of PCM are samples."""
    dtx = packets[0][:1]
    sent = [*packets[:10], dtx, dtx, *packets[10:20]]
    client = await listen.record(*sent, codec="opus", conversation_id="dtx")
    assert offsets(client)[-1] == sum(map(len, sent))
    assert [packet for span in await listen.spans("dtx") for packet in span.packets] == sent
    client = await listen.record(b"\1", b"\2\3", b"\4", conversation_id="small")
    assert offsets(client)[-1] == 4


async def test_bad_packets_count(listen, packets):
    """offset.counts, bad_audio: bad packets are counted in the offset, left out of the audio, and said so."""
    bad = b"\xff\xff\xff"
    sent = [*packets[:10], bad, *packets[10:20]]
    client = await listen.record(*sent, codec="opus", conversation_id="bad")
    assert client.errors == ["bad_audio"]
    assert offsets(client)[-1] == sum(map(len, sent))
    assert [packet for span in await listen.spans("bad") for packet in span.packets] == packets[:20]


@pytest.mark.parametrize(("bad", "code"), [(49, 1000), (50, 1007)])
async def test_bad_packets_in_a_row(listen, packets, bad, code):
    """bad_audio.in_a_row, code.stop: 50 in a row close with 1007; a good one in between begins the count anew."""
    async with listen.connect(codec="opus", conversation_id=f"row-{bad}") as client:
        await client.ready()
        await client.send(packets[0], *[b"\xff\xff\xff"] * bad)
        if code == 1000:
            await client.send(packets[1], *[b"\xff\xff\xff"] * bad, packets[2])
            await client.say(type="close")
        assert await client.closed() == code
    assert set(client.errors) == {"bad_audio"}
    assert len(client.errors) == (98 if code == 1000 else 50)


async def test_the_newest_pcm_waits_for_the_encoder(listen, second):
    """offset.lookahead: whole frames less the lookahead; up to 30 ms of the newest PCM stay un-acked until more comes."""
    async with listen.connect(conversation_id="newest") as client:
        await client.ready()
        await client.send(second + second[:100])
        first = (await client.hear("ack"))["offset"]
        # n frames of 20 ms, less 6.5 ms
        assert (first + 208) % 640 == 0
        assert len(second) - 960 <= first < len(second) + 100
        await client.send(second)
        assert (await client.acked(len(second)))["offset"] >= 2 * len(second) + 100 - 960


@pytest.mark.parametrize("flusher", ["mark", "finalize", "conversation", "close"])
async def test_what_flushes_the_encoder(listen, second, flusher):
    """offset.flush: `mark` that begins a run, `finalize`, `conversation` and `close` bring out all that was taken."""
    async with listen.connect(conversation_id=f"flush-{flusher}") as client:
        await client.ready()
        await client.send(second[:10_000])
        match flusher:
            case "mark":
                await client.say(type="mark", at_ms=int(time.time() * 1000) + 10_000)
            case "conversation":
                await client.say(type="conversation", conversation_id="flush-next")
            case _:
                await client.say(type=flusher)
        await client.acked(10_000)


async def test_an_odd_last_byte(listen, second):
    """offset.odd: at `close` half a sample is dropped, and counted."""
    client = await listen.record(second, b"\x07", conversation_id="odd")
    assert offsets(client)[-1] == len(second) + 1
    assert sum(chunk.samples for chunk in await listen.chunks("odd")) == 48_000


async def test_a_message_of_64_kib(listen, second):
    """too_big: 64 KiB of payload are taken; beside them the channel's byte."""
    pcm = (second * 3)[:65_536]
    assert offsets(await listen.record(pcm, conversation_id="max"))[-1] == 65_536
    both = await listen.record(b"\x01" + pcm, b"\x02" + pcm, channels=2, conversation_id="max-two")
    assert offsets(both)[-1] == 131_072


@pytest.mark.parametrize("kind", ["binary", "text", "fragments"])
async def test_more_than_64_kib(listen, second, kind):
    """too_big, code.stop: close 1009, after an error."""
    async with listen.connect(conversation_id=f"big-{kind}") as client:
        await client.ready()
        match kind:
            case "binary":
                await client.send(bytes(65_537))
            case "text":
                await client.socket.send('{"type":"keepalive","x":"' + "y" * 65_536 + '"}')
            case "fragments":
                await client.socket.send([bytes(30_000)] * 3)
        assert await client.closed() == 1009
        assert client.errors == ["too_big"]
