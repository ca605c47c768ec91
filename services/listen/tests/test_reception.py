"""From a handshake to a session: what is accepted when, and what the first message may be."""

import asyncio
import json

import pytest
from websockets.exceptions import InvalidStatus

from listen import reception

WEB = "/v4/web/listen"


async def test_on_the_web_path_the_token_may_come_in_the_head_too(service):
    async with service.connect(path=WEB) as client:
        assert (await client.hear("ready"))["resume_offset"] == 0


async def test_without_a_first_message_it_is_401_in_time(service, monkeypatch):
    monkeypatch.setattr(reception, "FIRST_MESSAGE_S", 0.1)
    async with service.connect(path=WEB, bearer="") as client:
        assert await client.closed() == 4401
        assert client.codes == ["unauthorized"]
    await service.until_empty()


async def test_what_follows_the_first_message_waits_for_the_session(service, sign):
    async with service.connect("codec=opus&conversation_id=first", path=WEB, bearer="") as client:
        await client.say(type="auth", token=sign("bob"))
        await client.say(type="finalize")
        await client.say(type="close")
        await client.hear("ready")
        assert await client.closed() == 1000
    assert any(text["type"] == "finalized" for text in client.texts)


async def test_a_first_message_that_breaks_the_protocol_ends_it(service):
    async with service.connect(path=WEB, bearer="") as client:
        await client.socket.ping()
        client.socket.transport.write(b"\xc2\x80\x00\x00\x00\x00")
        assert await client.closed() == 1002
        assert client.codes == ["bad_parameter"]
    async with service.connect(path=WEB, bearer="") as client:
        await client.send(b"audio is no token")
        assert await client.closed() == 4401


async def test_who_leaves_before_the_first_message_leaves_no_place_and_no_task(service):
    async with service.connect(path=WEB, bearer="") as client:
        async with asyncio.timeout(60):
            while not (await service.metrics())["tapedeck_strangers"]:
                await asyncio.sleep(0.01)
        assert (await service.metrics())["tapedeck_connections"] == 0  # pods are scaled by who was let in
        client.socket.transport.abort()
        await service.until_empty()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "admission"]


@pytest.mark.parametrize("given", ["the-id-of-this-1", "no"])
async def test_a_refusal_carries_its_request_id(service, given):
    with pytest.raises(InvalidStatus) as caught:
        async with service.connect(bearer="x", headers={"X-Request-Id": given}):
            pass
    response = caught.value.response
    request_id = response.headers["x-request-id"]
    assert json.loads(response.body)["request_id"] == request_id
    assert (request_id == given) is (given != "no")


async def test_only_v1_is_selected_and_no_extension(raw):
    _, answer = await raw(headers="Sec-WebSocket-Extensions: permessage-deflate\r\n")
    assert "Sec-WebSocket-Protocol: tapedeck.v1\r\n" in answer
    assert "extensions" not in answer.lower()
