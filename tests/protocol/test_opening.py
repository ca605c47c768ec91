"""Opening: the query's parameters, one by one."""

import re

import numpy as np
import pytest

from audiocodec.span import decode, join
from tapedeck_testing.recordings import aac_messages, noisy_pcm


async def test_an_upgrade(listen, second):
    """upgrade, dialect.v1: the subprotocol is negotiated, and the socket carries a session of the user."""
    async with listen.connect(conversation_id="upgrade") as client:
        assert client.socket.subprotocol == "tapedeck.v1"
        assert (await client.ready())["conversation_id"] == "upgrade"
        await client.send(second)
        await client.say(type="close")
        assert await client.closed() == 1000
    assert len(await listen.spans("upgrade", "alice")) > 0


async def test_no_subprotocol(listen, second):
    """dialect.plain: who offers none connects, sends binary audio and never reads; the audio is there."""
    async with listen.connect(plain=True, conversation_id="plain") as client:
        assert client.socket.subprotocol is None
        await client.send(*[second[at : at + 1_600] for at in range(0, 32_000, 1_600)])
    await listen.appended("plain", 4)  # the device has gone; what it sent is brought into Redis all the same


@pytest.mark.parametrize(
    ("plain", "source", "rate"), [(False, "pcm16", 16_000), (True, "pcm8", 8_000)], ids=["v1", "plain"]
)
async def test_defaults(listen, second, plain, source, rate):
    """codec.default, rate.default, channels.default: as the dialect has them."""
    cid = f"defaults-{source}"
    await listen.record(second, plain=plain, conversation_id=cid)
    chunk = (await listen.chunks(cid))[0]
    assert (chunk.source, chunk.sample_rate, chunk.channels) == (source, rate, 1)


@pytest.mark.parametrize("codec", ["pcm8", "pcm16"])
async def test_pcm(listen, codec):
    """codec.pcm8, codec.pcm16: unsigned 8-bit, or signed 16-bit little-endian; what is stored sounds as what was sent."""
    pcm = np.frombuffer(noisy_pcm(2, seed=4), "<i2")
    sent = (pcm // 256 + 128).astype("u1").tobytes() if codec == "pcm8" else pcm.tobytes()
    client = await listen.record(sent[:20_001], sent[20_001:], codec=codec, conversation_id=codec)
    assert client.heard("ack")[-1]["offset"] == len(sent)
    spans = await listen.spans(codec)
    back = np.frombuffer(b"".join(x for span in join(spans) for x in decode(span, (), 16_000, 1)), "<i2")
    assert len(back) == len(pcm)
    assert np.corrcoef(pcm, back)[0, 1] > 0.5


@pytest.mark.parametrize("codec", ["opus", "opus_fs320"])
@pytest.mark.parametrize("together", [1, 3, 6], ids=["20ms", "60ms", "120ms"])
async def test_opus(listen, packets, codec, together):
    """codec.opus, codec.opus_fs320: one packet a message, of any frame size up to 120 ms, stored as it came."""
    sent = [_longer(packets[at : at + together]) for at in range(0, 96, together)]
    cid = f"{codec}-{together}"
    client = await listen.record(*sent, codec=codec, conversation_id=cid)
    assert [packet for span in await listen.spans(cid) for packet in span.packets] == sent
    assert client.heard("ack")[-1]["offset"] == sum(map(len, sent))


def _longer(packets):
    """One packet of several frames (RFC 6716 §3.2.5): VBR, no padding."""
    if len(packets) == 1:
        return packets[0]
    assert len({packet[0] & 0xFC for packet in packets}) == 1
    frames = [packet[1:] for packet in packets]
    assert all(packet[0] & 3 == 0 for packet in packets)
    lengths = b"".join(_length(len(frame)) for frame in frames[:-1])
    return bytes([packets[0][0] | 3, 0x80 | len(frames)]) + lengths + b"".join(frames)


def _length(size):
    return bytes([size]) if size < 252 else bytes([252 + (size & 3), (size - 252 - (size & 3)) // 4])


# TOC configurations (RFC 6716 §3.1, table 2), and the samples of a frame at 48 kHz: CELT, SILK, hybrid.
FRAME_SIZES = [(16, 120), (17, 240), (14, 480), (15, 960), (18, 480), (19, 960), (2, 1_920), (3, 2_880)]


@pytest.mark.parametrize(("configuration", "samples"), FRAME_SIZES)
async def test_opus_frame_sizes(listen, configuration, samples):
    """codec.opus: any frame size, from 2.5 to 60 ms; the timeline has each packet's own length."""
    sent = [bytes([configuration << 3, n, 7, 7]) for n in range(100)]
    cid = f"frames-{configuration}"
    client = await listen.record(*sent, codec="opus", conversation_id=cid)
    assert client.errors == []
    assert [packet for span in await listen.spans(cid) for packet in span.packets] == sent
    assert sum(chunk.samples for chunk in await listen.chunks(cid)) == 100 * samples - 312


async def test_an_opus_packet_of_more_than_120_ms(listen, packets):
    """codec.opus: what is longer than 120 ms is no packet."""
    async with listen.connect(codec="opus") as client:
        await client.ready()
        await client.send(_longer(packets[:7]))
        await client.hear("error", code="bad_audio")


async def test_aac(listen):
    """codec.aac: ADTS frames, decoded and encoded anew."""
    sent = aac_messages(noisy_pcm(2, seed=3), 16_000)
    client = await listen.record(*sent, codec="aac", conversation_id="aac")
    assert client.heard("ack")[-1]["offset"] == sum(map(len, sent))
    played = sum(chunk.samples for chunk in await listen.chunks("aac"))
    assert played == (len(sent) * 1_024 - 1_024) * 3  # all but the encoder's priming


async def test_aac_of_another_rate(listen):
    """codec.aac, code.stop: header and `sample_rate` must agree, else 1003."""
    sent = aac_messages(noisy_pcm(0.5, seed=3), 16_000)
    async with listen.connect(codec="aac", sample_rate=44_100) as client:
        await client.ready()
        await client.send(sent[0])
        assert await client.closed() == 1003
        assert client.errors == ["bad_parameter"]


async def test_an_unknown_codec(listen):
    """codec.unknown, refusing.http: what is none of the five is refused."""
    answer = await listen.refusal(codec="mp3")
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_parameter"
    async with listen.connect(codec="mp3", headers={"Origin": "https://app.example"}) as client:
        assert await client.closed() == 1003
        assert client.errors == ["bad_parameter"]


@pytest.mark.parametrize("rate", ["7999", "48001", "0", "-16000", "16000.0", "many", "99999999999999999999"])
async def test_rates_out_of_bounds(listen, rate):
    """rate.bounds: 8000 to 48000 Hz, a whole number."""
    assert (await listen.refusal(sample_rate=rate)).status_code == 400


@pytest.mark.parametrize("rate", [8_000, 12_000, 16_000, 24_000, 48_000, 11_025, 22_050, 44_100, 47_999])
async def test_rates(listen, rate):
    """rate.bounds, rate.resampled: Opus rates are kept, others resampled; a second stays a second."""
    pcm = noisy_pcm(1, seed=rate, sample_rate=rate)
    cid = f"rate-{rate}"
    await listen.record(
        *[pcm[at : at + 60_000] for at in range(0, len(pcm), 60_000)], sample_rate=rate, conversation_id=cid
    )
    chunks = await listen.chunks(cid)
    assert {chunk.sample_rate for chunk in chunks} == {rate}
    assert abs(sum(chunk.samples for chunk in chunks) - 48_000) <= 6


async def test_two_channels(listen, second):
    """channels.two, offset.counts: near is left and far is right; the channel's byte is no payload."""
    silence = bytes(len(second))
    messages = []
    for at in range(0, len(second), 1_600):
        messages += [b"\x01" + second[at : at + 1_600], b"\x02" + silence[at : at + 1_600]]
    client = await listen.record(*messages, channels=2, conversation_id="two-channels")
    assert client.heard("ack")[-1]["offset"] == 2 * len(second)
    assert {chunk.channels for chunk in await listen.chunks("two-channels")} == {2}
    back = b"".join(
        x for span in join(await listen.spans("two-channels")) for x in decode(span, (), 16_000, 2)
    )
    near, far = np.abs(np.frombuffer(back, "<i2").reshape(-1, 2).astype(float)).mean(axis=0)
    assert near > 20 * far


@pytest.mark.parametrize("channel", [0, 3])
async def test_a_channel_that_there_is_not(listen, channel):
    """channels.two, bad_audio: the first byte is 1 or 2."""
    async with listen.connect(channels=2) as client:
        await client.ready()
        await client.send(bytes([channel]) + bytes(640))
        await client.hear("error", code="bad_audio")


@pytest.mark.parametrize("channels", ["0", "3", "two"])
async def test_channels_out_of_bounds(listen, channels):
    """channels.two: 1 or 2."""
    assert (await listen.refusal(channels=channels)).status_code == 400


async def test_a_conversation_of_the_servers_making(listen):
    """conversation_id.made: a UUIDv7 (RFC 9562 §5.7)."""
    async with listen.connect() as client:
        made = (await client.ready())["conversation_id"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made)


@pytest.mark.parametrize("name", ["conversation_id", "client_conversation_id"])
async def test_a_conversation_of_the_clients(listen, name):
    """conversation_id.given: under both names."""
    async with listen.connect(**{name: "its.own@1"}) as client:
        assert (await client.ready())["conversation_id"] == "its.own@1"


@pytest.mark.parametrize("cid", ["../etc", "a/b", ".hidden", "a\0b", "a b", "x" * 129, "ä", "a\n"])
async def test_no_id(listen, cid):
    """conversation_id.given, code.stop: what is no id is refused."""
    answer = await listen.refusal(conversation_id=cid)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parameter")
    async with listen.connect(conversation_id=cid, headers={"Origin": "https://app.example"}) as client:
        assert await client.closed() == 4400


async def test_what_the_encoder_put_before(listen, packets):
    """pre_skip: 312 for opus, or what the client says; at least 120, at most what OpusHead can say."""
    for name, query, lead in [
        ("its", {"pre_skip": 624}, 624),
        ("usual", {}, 312),
        ("least", {"pre_skip": 120}, 120),
    ]:
        await listen.record(*packets[:50], codec="opus", conversation_id=f"skip-{name}", **query)
        chunks = await listen.chunks(f"skip-{name}")
        assert chunks[0].lead == lead
        assert sum(chunk.samples for chunk in chunks) == 48_000 - lead
    for wrong in ("119", "65536", "-1", "x"):
        assert (await listen.refusal(codec="opus", pre_skip=wrong)).status_code == 400


async def test_what_an_aac_encoder_put_before(listen):
    """pre_skip: 1024 for aac, or what the client says."""
    sent = aac_messages(noisy_pcm(1, seed=9), 16_000)
    for cid, query, skipped in [
        ("usual", {}, 1_024),
        ("two-blocks", {"pre_skip": 2_048}, 2_048),
        ("none", {"pre_skip": 0}, 0),
    ]:
        await listen.record(*sent, codec="aac", conversation_id=f"aac-{cid}", **query)
        played = sum(chunk.samples for chunk in await listen.chunks(f"aac-{cid}"))
        assert played == (len(sent) * 1_024 - skipped) * 3


async def test_parameters_that_nobody_knows(listen):
    """unknown_parameters: they are ignored."""
    async with listen.connect(language="de", sampleRate="x", v="9") as client:
        await client.ready()


async def test_who_speaks(listen, second):
    """who_speaks: the token says it, whatever the query says."""
    await listen.record(
        second,
        uid="carol",
        user="mallory",
        uid_="mallory",
        user_id="mallory",
        sub="mallory",
        conversation_id="whose",
    )
    assert await listen.chunks("whose", "carol")
    assert not await listen.chunks("whose", "mallory")
