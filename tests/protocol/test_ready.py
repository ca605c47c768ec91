"""`ready`, resuming, and sessions that cannot be resumed."""

import asyncio
import itertools
import json

import pytest

from audiobus import Conversation
from tapedeck_testing.protocol.raw_socket import RawSocket, handshake, masked


async def begun(listen, cid, *messages, **options):
    """A session with the messages in it, left without a close. Answers its name and what is safe."""
    async with listen.connect(conversation_id=cid, **options) as client:
        ready = await client.ready()
        await client.send(*messages)
        total = sum(map(len, messages))
        ack = await client.acked(total - 2_000)  # the newest 30 ms of PCM may be open yet
    return ready["session"], ack["offset"]


async def test_ready(listen):
    """ready: the first message, with these fields."""
    async with listen.connect(conversation_id="first") as client:
        ready = await client.ready()
    assert ready.pop("session").isdigit()
    assert ready == {
        "type": "ready",
        "conversation_id": "first",
        "resume_offset": 0,
        "chunk_ms": 1_000,
        "keepalive_s": 20,
    }


async def test_ready_in_the_plain_dialect(listen):
    """ready, dialect.plain: it comes there, too."""
    async with listen.connect(plain=True) as client:
        await client.ready()


async def test_resuming(listen, second):
    """session.resumed, ready.resume_offset: from `resume_offset` on the client goes on, and every byte is there once."""
    session, acked = await begun(listen, "resumed", second * 2)
    async with listen.connect(conversation_id="resumed", session=session) as client:
        ready = await client.ready()
        assert ready["session"] == session
        assert acked <= ready["resume_offset"] <= 2 * len(second)
        assert "previous_offset" not in ready
        await client.send((second * 3)[ready["resume_offset"] :][:60_000])
        await client.say(type="close")
        assert await client.closed() == 1000
    spans = await listen.spans("resumed")
    assert spans[0].first_offset == 0
    assert all(one.end_offset == next_.first_offset for one, next_ in itertools.pairwise(spans))
    assert spans[-1].end_offset == ready["resume_offset"] + min(60_000, 96_000 - ready["resume_offset"])


async def test_the_latter_of_two_sockets_has_the_session(listen, second):
    """session.resumed, code.replaced: a half-open old socket is closed with 4409."""
    async with listen.connect(conversation_id="half-open") as old:
        session = (await old.ready())["session"]
        await old.send(second)
        await old.hear("ack")
        async with listen.connect(conversation_id="half-open", session=session) as new:
            assert (await new.ready())["session"] == session
            assert await old.closed() == 4409
            assert old.errors == ["replaced"]
            await new.say(type="close")
            assert await new.closed() == 1000


@pytest.mark.parametrize(
    "other", [{"codec": "pcm8"}, {"sample_rate": 8_000}, {"channels": 2}], ids=["codec", "rate", "channels"]
)
async def test_resuming_as_another(listen, second, other):
    """session.mismatch, code.stop: another codec, rate or number of channels is 4400."""
    cid = f"other-{next(iter(other))}"
    session, _ = await begun(listen, cid, second)
    async with listen.connect(conversation_id=cid, session=session, **other) as client:
        assert await client.closed() == 4400
        assert client.errors == ["bad_parameter"]


@pytest.mark.parametrize("query", [{"session": "1732147200123"}, {"session": "x", "conversation_id": "c"}])
async def test_a_session_without_its_conversation(listen, query):
    """session.mismatch: `session` needs `conversation_id`, and must be one that `ready` named; else 4400."""
    async with listen.connect(**query) as client:
        assert await client.closed() == 4400
        assert client.errors == ["bad_parameter"]


async def test_session_is_for_v1(listen, second):
    """session.resumed, dialect.plain: the plain dialect looks at no `session`."""
    session, _ = await begun(listen, "v1-only", second)
    async with listen.connect(
        plain=True, codec="pcm16", sample_rate=16_000, conversation_id="v1-only", session=session
    ) as client:
        assert (await client.ready())["session"] != session


async def test_after_close(listen, second):
    """resumable.closed, previous_offset: a fresh session, and up to where the old one is safe."""
    client = await listen.record(second, conversation_id="closed")
    session = client.texts[0]["session"]
    async with listen.connect(conversation_id="closed", session=session) as again:
        ready = await again.ready()
    assert int(ready["session"]) > int(session)
    assert (ready["resume_offset"], ready["previous_offset"]) == (0, len(second))


async def test_a_newer_session(listen, second):
    """previous_offset: a newer session took its place; the older one's end is told."""
    session, acked = await begun(listen, "newer", second)
    newer, _ = await begun(listen, "newer", second)
    assert int(newer) > int(session)
    async with listen.connect(conversation_id="newer", session=session) as client:
        ready = await client.ready()
    assert ready["session"] not in (session, newer)
    assert ready["resume_offset"] == 0
    assert acked <= ready["previous_offset"] <= len(second)


async def test_a_session_that_nobody_knows(listen):
    """previous_offset.unknown: the field is missing."""
    async with listen.connect(conversation_id="unknown", session="1732147200123") as client:
        ready = await client.ready()
    assert ready["session"] != "1732147200123"
    assert "previous_offset" not in ready


@pytest.mark.parametrize(("hours", "resumed"), [(23.9, True), (24.1, False)])
async def test_a_day_later(listen, second, hours, resumed):
    """resumable.for, previous_offset: 24 hours after its last byte it is over, and its end is known for 30 days."""
    cid = f"day-{resumed}"
    session, acked = await begun(listen, cid, second)
    async with asyncio.timeout(60):  # what was on its way is brought in first
        while await listen.metric("tapedeck_connections"):
            await asyncio.sleep(0.02)
    async with listen.bus() as bus:  # what a day would do, done to Redis
        key = bus.keys.conv(Conversation("alice", cid))
        last_ms = int(await bus.command("HGET", key, "last_ms"))
        await bus.command("HSET", key, "last_ms", last_ms - int(hours * 3_600_000))
        async with listen.connect(conversation_id=cid, session=session) as client:
            ready = await client.ready()
        if resumed:
            assert (ready["session"], "previous_offset" in ready) == (session, False)
            return
        assert ready["session"] != session
        assert ready["previous_offset"] >= acked
        assert await bus.command("HGET", key, f"end:{session}") is not None
        assert await bus.command("PTTL", key) == -1


@pytest.mark.parametrize(("days", "known"), [(29.9, True), (30.1, False)])
async def test_a_month_later(listen, second, days, known):
    """previous_offset: the end of a session is known for 30 days, however many came after it; then the field is missing."""
    cid = f"month-{known}"
    session, acked = await begun(listen, cid, second)
    async with listen.connect(conversation_id=cid) as client:  # another session takes its place
        await client.ready()
    async with listen.bus() as bus:  # what a month would do, done to Redis
        key = bus.keys.conv(Conversation("alice", cid))
        offset, at_ms = (await bus.command("HGET", key, f"end:{session}")).decode().split(":")
        others = [(f"end:{number}", f"0:{at_ms}") for number in range(200)]
        await bus.command("HSET", key, *(word for pair in others for word in pair))
        await bus.command("HSET", key, f"end:{session}", f"{offset}:{int(at_ms) - int(days * 86_400_000)}")
        async with listen.connect(conversation_id=cid) as client:  # old ends go where there are many
            await client.ready()
        async with listen.connect(conversation_id=cid, session=session) as client:
            ready = await client.ready()
    assert ready["session"] != session
    assert ready.get("previous_offset", -1) >= acked if known else "previous_offset" not in ready


async def test_audio_before_ready(listen, second):
    """not_ready, ready: what comes together with the handshake is left out, and said so once; what comes after `ready` is taken."""
    audio = masked(0x82, second[:640], b"mask")
    query = "conversation_id=early"
    async with RawSocket.dial(listen) as raw:
        raw.writer.write(handshake(listen.port, listen.token(), query) + audio * 3)
        await raw.head()
        heard = [json.loads((await raw.frame())[1]) for _ in range(2)]
        assert [message["type"] for message in heard] == ["ready", "error"]  # `ready` is the first, always
        assert heard[1]["code"] == "not_ready"
        raw.writer.write(audio + masked(0x81, b'{"type":"close"}', b"mask"))
        while True:
            first, payload = await raw.frame()
            if first == 0x88:
                break
            heard.append(json.loads(payload))
    assert int.from_bytes(payload) == 1000
    assert [message["type"] for message in heard[2:]] == ["ack"] * (len(heard) - 2)
    assert heard[-1]["offset"] == 640


async def test_audio_before_the_next_ready(listen, second):
    """not_ready, conversation: the same after `conversation`."""
    async with listen.connect(conversation_id="before") as client:
        await client.ready()
        await client.send(second)
        await client.say(type="conversation", conversation_id="after")
        await client.send(second[:640])
        await client.hear("error", code="not_ready")
        await client.hear("ready", conversation_id="after")
        await client.send(second)
        await client.say(type="close")
        assert await client.closed() == 1000
    assert client.heard("ack")[-1] == {
        "type": "ack",
        "conversation_id": "after",
        "offset": len(second),
        "stored": 0,
    }
    assert sum(chunk.samples for chunk in await listen.chunks("after")) == 48_000


def changes(*cids):
    """A plain client's frames: each conversation is named, and 100 ms are sent for it."""
    audio = masked(0x82, bytes([128]) * 800, b"mask")
    names = (json.dumps({"type": "conversation", "conversation_id": cid}).encode() for cid in cids)
    return b"".join(masked(0x81, name, b"mask") + audio for name in names)


async def test_a_plain_client_that_waits_for_nothing(listen):
    """plain.ahead: all that comes together with the handshake belongs to the conversation that was named last, though the client leaves."""
    async with RawSocket.dial(listen) as raw:
        asked = handshake(listen.port, listen.token(), "conversation_id=ahead-0", plain=True)
        raw.writer.write(asked + changes("ahead-1", "ahead-2", "ahead-3"))
        await raw.head()
    for number in (1, 2, 3):
        await listen.appended(f"ahead-{number}", 0.1)
    samples = [sum(span.samples for span in await listen.spans(f"ahead-{number}")) for number in range(4)]
    assert samples == [0, 4_800, 4_800, 4_800]


async def test_more_conversations_named_ahead_than_wait(listen):
    """plain.ahead.limit, plain.ahead: the rest is read when those before it are open, and nothing is lost."""
    names = [f"many-{number}" for number in range(40)]
    async with RawSocket.dial(listen) as raw:
        raw.writer.write(handshake(listen.port, listen.token(), "conversation_id=many", plain=True))
        await raw.head()
        raw.writer.write(changes(*names) + masked(0x81, b'{"type":"close"}', b"mask"))
        for name in names:
            await listen.appended(name, 0.1)
