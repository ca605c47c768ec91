"""Text messages, of both sides."""

import asyncio
import json
import time

import httpx
import pytest
import websockets

from tapedeck_testing.account import flush
from tapedeck_testing.protocol.asyncapi import document
from tapedeck_testing.protocol.socket_client import SocketClient


@pytest.mark.parametrize(
    "text", ['{"type":"hello"}', '{"type":7}', "{}", '{"type":"keepalive","and":{"more":[1]}}']
)
async def test_unknown_types(listen, text):
    """text.unknown, keepalive: they are ignored."""
    async with listen.connect() as client:
        await client.ready()
        await client.socket.send(text)
        await client.answered()
        assert client.errors == ["bad_json"]  # of `answered`


@pytest.mark.parametrize("text", ["", "hello", "[]", "7", '"mark"', "{", '{"type":"mark"', "[" * 5_000])
async def test_malformed_json(listen, second, text):
    """text.malformed, error: `bad_json`, and the session goes on."""
    async with listen.connect() as client:
        await client.ready()
        await client.socket.send(text)
        await client.hear("error", code="bad_json")
        await client.send(second)
        await client.acked(1)


async def test_marks(listen, second):
    """mark, time.mark: the next payload byte was captured then; at the start, and after a hole."""
    start = int(time.time() * 1000) - 3_600_000
    async with listen.connect(conversation_id="marks") as client:
        await client.ready()
        await client.say(type="mark", at_ms=start)
        await client.send(second)
        await client.say(type="mark", at_ms=start + 5_000)
        await client.send(second)
        await client.say(type="close")
        assert await client.closed() == 1000
    runs = sorted({(chunk.run_start_ms - start) for chunk in await listen.chunks("marks")})
    assert runs == [0, 5_000]


async def test_marks_are_sent_again(listen, second):
    """mark.again, client.lost_bytes: marks at or after `resume_offset` once more; the timeline is the same as without the cut."""
    start = int(time.time() * 1000) - 3_600_000
    async with listen.connect(conversation_id="again") as client:
        session = (await client.ready())["session"]
        await client.say(type="mark", at_ms=start)
        await client.send(second)
        await client.acked(30_000)
    async with listen.connect(conversation_id="again", session=session) as client:
        offset = (await client.ready())["resume_offset"]
        await client.send(second[offset:])
        for _ in range(2):  # sent again though nothing was lost: no second run
            await client.say(type="mark", at_ms=start + 60_000)
        await client.send(second)
        await client.say(type="close")
        assert await client.closed() == 1000
    chunks = await listen.chunks("again")
    assert sorted({chunk.run_start_ms - start for chunk in chunks}) == [0, 60_000]
    assert sum(chunk.samples for chunk in chunks) == 2 * 48_000


async def test_a_client_that_lost_its_bytes(listen, second):
    """client.lost_bytes: it opens a fresh session with a mark; what it lost is a gap."""
    start = int(time.time() * 1000) - 3_600_000
    for at_ms in (start, start + 4_000):
        async with listen.connect(conversation_id="lost") as client:
            await client.ready()
            await client.say(type="mark", at_ms=at_ms)
            await client.send(second)
            await client.say(type="close")
            assert await client.closed() == 1000
    spans = await listen.spans("lost")
    assert len({span.epoch for span in spans}) == 2
    assert sorted({chunk.run_start_ms - start for chunk in await listen.chunks("lost")}) == [0, 4_000]


async def test_another_conversation(listen, second):
    """conversation, close: what came before is finalized, a fresh session begins, its `ready` answers."""
    async with listen.connect(conversation_id="one") as client:
        first = await client.ready()
        await client.send(second)
        await client.say(type="conversation", conversation_id="two")
        ready = await client.hear("ready")
        last = client.heard("ack")[-1]
        assert (last["conversation_id"], last["offset"]) == ("one", len(second))
        assert (ready["conversation_id"], ready["resume_offset"]) == ("two", 0)
        await client.send(second * 2)
        await client.say(type="close")
        assert await client.closed() == 1000
    assert client.heard("ack")[-1]["conversation_id"] == "two"
    assert sum(chunk.samples for chunk in await listen.chunks("one")) == 48_000
    assert sum(chunk.samples for chunk in await listen.chunks("two")) == 2 * 48_000
    async with listen.connect(conversation_id="one", session=first["session"]) as client:
        assert (await client.ready())["previous_offset"] == len(second)


@pytest.mark.parametrize("cid", ["../etc", "", None, 7])
async def test_another_conversation_without_an_id(listen, second, cid):
    """conversation, error: `bad_parameter`, and the session goes on."""
    async with listen.connect() as client:
        session = (await client.ready())["session"]
        await client.say(type="conversation", conversation_id=cid)
        await client.hear("error", code="bad_parameter")
        await client.send(second)
        await client.acked(1)
        assert [ready["session"] for ready in client.heard("ready")] == [session]


async def test_finalize_where_nothing_waits(listen):
    """finalize.nothing: it is answered at once."""
    async with listen.connect() as client:
        await client.ready()
        await client.say(type="finalize")
        assert await client.hear("finalized") == {"type": "finalized", "offset": 0, "stored": True}


async def test_keepalive(listen):
    """keepalive: nothing comes of it."""
    async with listen.connect() as client:
        await client.ready()
        await client.say(type="keepalive")
        await client.answered()
        assert [text["type"] for text in client.texts] == ["ready", "error"]


async def test_close(listen, second):
    """close, code.done: everything is safe, the last `ack` says so, 1000."""
    client = await listen.record(second[:12_345], conversation_id="close")
    assert client.texts[-1]["type"] == "ack"
    assert client.texts[-1]["offset"] == 12_345


async def test_acks(listen, second):
    """ack: payload bytes of this session that are safe, growing, while the client sends."""
    async with listen.connect(conversation_id="acks") as client:
        await client.ready()
        for n in range(1, 4):
            await client.send(second)
            ack = await client.acked(n * len(second) - 2_000)
            assert ack["stored"] == 0
            assert ack["offset"] <= n * len(second)
            assert sum(chunk.samples for chunk in await listen.chunks("acks")) * 2 // 3 == ack["offset"]
    acks = [ack["offset"] for ack in client.heard("ack")]
    assert acks == sorted(acks)


async def test_plain_clients_get_acks(listen, second):
    """ack.plain, keepalive: they get them too."""
    async with listen.connect(plain=True, conversation_id="plain-acks") as client:
        await client.send(second[:16_000])
        assert (await client.acked(8_000 - 300))["conversation_id"] == "plain-acks"
        await client.say(type="close")
        assert await client.closed() == 1000


async def test_every_error_has_its_shape(listen):
    """error, error.codes: a code of the list, and a text for people."""
    codes = document().at("components", "schemas", "errorCode", "enum")
    async with listen.connect() as client:
        await client.ready()
        await client.say(type="mark", at_ms="soon")
        await client.socket.send("x")
        await client.hear("error", code="bad_json")
    for error in client.heard("error"):
        assert set(error) == {"type", "code", "message"}
        assert error["code"] in codes
        assert len(error["message"]) > 10


# -- with a pusher ---------------------------------------------------------------------------------------------------


class Recorded:
    """A socket into a whole system."""

    def __init__(self, stack, uid):
        self.facts, self.uid, self.token = stack.facts, uid, stack.user_token(uid)

    def connect(self, cid):
        return websockets.connect(
            f"{self.facts['listen']}/v4/listen?conversation_id={cid}",
            additional_headers={"Authorization": f"Bearer {self.token}"},
            subprotocols=[websockets.Subprotocol("tapedeck.v1")],
            compression=None,
            proxy=None,
            close_timeout=1,
        )


async def test_finalize(stack, second):
    """finalize.stored, finalize.nothing, ack.stored: `finalized` comes when all that was taken before it is in the bucket."""
    async with Recorded(stack, "fin").connect("finalize") as socket:
        client = SocketClient(socket)
        await client.ready()
        await client.send(second * 2)
        await client.say(type="finalize")
        await client.send(second)
        assert await client.hear("finalized") == {
            "type": "finalized",
            "offset": 2 * len(second),
            "stored": True,
        }
        assert max(ack["stored"] for ack in client.heard("ack")) >= 2 * len(second)
        await client.say(type="finalize")
        assert await client.hear("finalized") == {
            "type": "finalized",
            "offset": 3 * len(second),
            "stored": True,
        }
        await client.say(type="finalize")  # nothing waits
        assert await client.hear("finalized") == {
            "type": "finalized",
            "offset": 3 * len(second),
            "stored": True,
        }
    async with stack.http() as http:
        about = (await http.get("/v1/users/fin/conversations/finalize")).json()
    assert about["stored_seconds"] == 3


async def test_what_is_stored_is_told(stack, second):
    """ack.stored: the prefix that is settled, also where nobody asked for it on this socket."""
    async with Recorded(stack, "told").connect("told") as socket:
        client = SocketClient(socket)
        await client.ready()
        await client.send(second * 2)
        offset = (await client.acked(60_000))["offset"]
        async with stack.http() as http:
            await flush(http, "told", "told")
        await client.send(second * 2)
        assert offset <= (await client.acked(100_000))["stored"] <= 2 * len(second)


async def test_what_came_before_is_finalized(stack, second):
    """conversation, close: both store what there is; nobody waits for the minute to be full."""
    async with Recorded(stack, "moves").connect("before") as socket:
        client = SocketClient(socket)
        await client.ready()
        await client.send(second * 2)
        await client.say(type="conversation", conversation_id="after")
        await client.hear("ready")
        await client.send(second)
        await client.say(type="close")
        assert await client.closed() == 1000
    async with stack.http() as http, asyncio.timeout(60):
        for cid, seconds in (("before", 2), ("after", 1)):
            while (await http.get(f"/v1/users/moves/conversations/{cid}")).json()["stored_seconds"] < seconds:
                await asyncio.sleep(0.05)


async def test_two_sessions_at_once(stack, second):
    """time.overlap: the one that starts earlier is played, the other is marked `overlapped`."""
    start = int(time.time() * 1000) - 3_600_000
    for at_ms in (start, start + 500):
        async with Recorded(stack, "over").connect("overlap") as socket:
            client = SocketClient(socket)
            await client.ready()
            await client.say(type="mark", at_ms=at_ms)
            await client.send(second * 2)
            await client.say(type="close")
            assert await client.closed() == 1000
    async with stack.http() as http:
        await flush(http, "over", "overlap")
        answer = await http.get("/v1/users/over/conversations/overlap/chunks")
    rows = answer.json()
    rows = rows.get("chunks", rows.get("items", rows)) if isinstance(rows, dict) else rows
    assert sorted(row["overlapped"] for row in rows) == [False, True], json.dumps(rows)[:500]


def test_http_answers(stack):
    """upgrade: the path is for WebSockets only."""
    answer = httpx.get(stack.facts["listen"].replace("ws://", "http://") + "/v4/listen")
    assert answer.status_code in (404, 405, 426)
