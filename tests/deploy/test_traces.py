"""One span for each batch, linked to the sessions that it was recorded in, from the processes as they run."""

import asyncio

import websockets

from tapedeck_testing.account import flush
from tapedeck_testing.otlp_sink import OtlpSink
from tapedeck_testing.protocol_client import ProtocolClient
from tapedeck_testing.recordings import in_messages

CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def record(stack, cid: str, **headers: str) -> None:
    client = ProtocolClient(
        stack.facts["listen"],
        stack.user_token("alice"),
        cid,
        in_messages(bytes(2 * 16_000 * 3), 3_200),
        codec="pcm16",
        headers=headers,
    )
    await client.run()
    assert client.acked == client.total
    async with stack.http() as http:
        await flush(http, "alice", cid)


async def test_batches_are_linked_to_their_sessions(start_stack):
    with OtlpSink() as sink:
        stack = start_stack(
            environ={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        )
        await record(stack, "one")
        await record(stack, "two")
        assert await asyncio.to_thread(stack.stop) == 0
        sessions = {span.span_id: span for span in sink.spans if span.name == "session"}
        batches = [span for span in sink.spans if span.name == "batch"]
        assert {span.service for span in sessions.values()} == {"listen"}
        assert {span.service for span in batches} == {"pusher"}
        assert sum(span.attributes["audio_seconds"] for span in batches) == 6
        assert {span.attributes["outcome"] for span in batches} <= {"stored", "nothing_to_put"}
        for span in batches:
            for linked in span.links:
                assert sessions[linked].attributes["conversation_id"] == span.attributes["conversation_id"]
        assert {linked for span in batches for linked in span.links} == sessions.keys()
        assert len(sessions) == 2
        assert "alice" not in repr(sink.spans)
        for span in sessions.values():  # it lasts as long as the socket
            assert span.end_ns - span.start_ns > 0
            assert span.parent_id == ""


async def test_the_clients_own_trace_holds_its_session_and_is_named_by_its_batches(start_stack):
    with OtlpSink() as sink:
        stack = start_stack(
            environ={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        )
        await record(stack, "named", traceparent=CLIENT)
        await record(stack, "unkept", traceparent=CLIENT[:-2] + "00")
        await record(stack, "odd", traceparent=CLIENT + "-more")
        assert await asyncio.to_thread(stack.stop) == 0
        sessions = {span.attributes["conversation_id"]: span for span in sink.spans if span.name == "session"}
        assert sessions.keys() == {"named", "odd"}
        assert (sessions["named"].trace_id, sessions["named"].parent_id) == (CLIENT[3:35], CLIENT[36:52])
        assert sessions["odd"].parent_id == ""
        batches = [span for span in sink.spans if span.name == "batch"]
        linked = {span.attributes["conversation_id"]: span.linked_traces for span in batches}
        assert linked["named"] == {CLIENT[3:35]}
        assert linked["unkept"] == frozenset()


async def test_sessions_that_a_process_ends_are_told(start_stack):
    with OtlpSink() as sink:
        stack = start_stack(environ={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url})
        header = {"Authorization": f"Bearer {stack.user_token('alice')}", "traceparent": CLIENT}
        url = f"{stack.facts['listen']}/v4/listen?conversation_id=open"
        async with websockets.connect(url, additional_headers=header, compression=None, proxy=None) as socket:
            await socket.send(bytes(16_000))
            async with stack.http() as http:
                while (await http.get("/v1/users/alice/conversations/open")).status_code != 200:
                    await asyncio.sleep(0.05)
            assert await asyncio.to_thread(stack.stop) == 0
        assert [span.parent_id for span in sink.spans if span.name == "session"] == [CLIENT[36:52]]


async def test_a_request_is_in_its_clients_trace(start_stack):
    with OtlpSink() as sink:
        stack = start_stack(
            environ={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        )
        async with stack.http() as http:
            await http.get("/v1/users/alice/conversations", headers={"traceparent": CLIENT})
            await http.get("/v1/users/alice/conversations", headers={"traceparent": CLIENT.upper()})
        assert await asyncio.to_thread(stack.stop) == 0
        named = [
            span
            for span in sink.spans
            if span.attributes.get("http.route") == "/v1/users/{uid}/conversations"
        ]
        assert {span.service for span in named} == {"storage-api"}
        assert [span.parent_id for span in named] == [CLIENT[36:52], ""]
        assert named[0].trace_id == CLIENT[3:35]
        assert "alice" not in repr(sink.spans)
