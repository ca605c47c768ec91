"""Auth, tickets, and how a handshake is refused."""

import json
import time

import httpx
import pytest

from tapedeck_testing.protocol.asyncapi import document
from tapedeck_testing.protocol.listen_process import ORIGIN

PAGE = {"Origin": ORIGIN}


async def ticket_of(listen, uid="alice", **headers):
    async with httpx.AsyncClient() as http:
        headers = {"Authorization": f"Bearer {listen.token(uid)}", **headers}
        answer = await http.post(f"{listen.http}/v1/tickets", headers=headers)
    assert answer.status_code == 201
    return answer


async def test_a_header(listen):
    """auth.header: `Authorization: Bearer <token>`."""
    async with listen.connect(token=listen.token("alice", exp=time.time() + 60)) as client:
        await client.ready()


@pytest.mark.parametrize("token_first", [False, True])
async def test_a_subprotocol(listen, second, token_first):
    """auth.subprotocol: offered beside `tapedeck.v1`; the server selects only the latter."""
    offered = ("tapedeck.v1", f"tapedeck.bearer.{listen.token('dora')}")
    offered = offered[::-1] if token_first else offered
    async with listen.connect(token="", subprotocols=offered, conversation_id=f"sub-{token_first}") as client:
        assert client.socket.subprotocol == "tapedeck.v1"
        await client.ready()
        await client.send(second)
        await client.say(type="close")
        assert await client.closed() == 1000
    assert await listen.chunks(f"sub-{token_first}", "dora")


async def test_a_ticket(listen):
    """ticket.param, ticket.issue: a user's bearer and no body get 201 and a ticket, which opens one socket."""
    answer = await ticket_of(listen)
    document().check(answer.json(), document().at("components", "messages", "ticket", "payload"))
    assert set(answer.json()) == {"ticket", "expires_in_s"}
    assert answer.json()["expires_in_s"] == 30
    async with listen.connect(token="", ticket=answer.json()["ticket"]) as client:
        await client.ready()


async def test_tickets_across_sites(listen):
    """ticket.issue: to allowed origins across sites too."""
    answer = await ticket_of(listen, **PAGE)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    async with httpx.AsyncClient() as http:
        asked = {
            **PAGE,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        preflight = await http.options(f"{listen.http}/v1/tickets", headers=asked)
    assert preflight.is_success
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()


async def test_tickets_for_a_foreign_origin(listen):
    """ticket.issue, refusing.origin: 403."""
    async with httpx.AsyncClient() as http:
        headers = {"Authorization": f"Bearer {listen.token()}", "Origin": "https://evil.example"}
        assert (await http.post(f"{listen.http}/v1/tickets", headers=headers)).status_code == 403


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic YTpi"}]
)
async def test_tickets_without_a_token(listen, headers):
    """ticket.issue, refusing.http: 401 with problem+json."""
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{listen.http}/v1/tickets", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


async def test_tickets_that_are_none(listen):
    """ticket.refused, refusing.browser: used, unknown or expired is 401, which whoever brings a ticket sees as 4401."""
    used = (await ticket_of(listen)).json()["ticket"]
    async with listen.connect(token="", ticket=used) as client:
        await client.ready()
    expired = (await ticket_of(listen)).json()["ticket"]
    async with listen.bus() as bus:
        for key in await bus.command("KEYS", f"{listen.prefix}ticket:*"):
            assert 0 < await bus.command("TTL", key) <= 30
            await bus.command("PEXPIRE", key, 0)
    for ticket in (used, expired, "unknown", "x" * 5_000):
        async with listen.connect(token="", ticket=ticket) as client:
            assert await client.closed() == 4401
            assert client.errors == ["unauthorized"]


async def test_a_first_message(listen, second):
    """auth.first_message: on `/v4/web/listen` the token may come in the first text message."""
    async with listen.connect("/v4/web/listen", token="", headers=PAGE, conversation_id="web") as client:
        await client.say(type="auth", token=listen.token("erin"))
        await client.ready()
        await client.send(second)
        await client.say(type="close")
        assert await client.closed() == 1000
    assert await listen.chunks("web", "erin")


async def test_other_ways_on_the_web_path(listen):
    """auth.first_message: who has sent a token already is not asked for it."""
    async with listen.connect("/v4/web/listen") as client:
        await client.ready()
    ticket = (await ticket_of(listen)).json()["ticket"]
    async with listen.connect("/v4/web/listen", token="", ticket=ticket) as client:
        await client.ready()


@pytest.mark.parametrize(
    "first",
    [
        '{"type":"auth","token":"nonsense"}',
        '{"type":"auth"}',
        '{"type":"keepalive"}',
        "no JSON",
        b"\x00" * 640,
    ],
)
async def test_a_first_message_that_is_no_token(listen, first):
    """auth.first_message, refusing.browser: 4401."""
    async with listen.connect("/v4/web/listen", token="") as client:
        await client.socket.send(first)
        assert await client.closed() == 4401
        assert client.errors == ["unauthorized"]


async def test_no_first_message_elsewhere(listen):
    """auth.first_message: not on `/v4/listen`."""
    assert (await listen.refusal(token="")).status_code == 401


def wrong_tokens(listen):
    valid = listen.token()
    head, body, _ = valid.split(".")
    none = "eyJhbGciOiJub25lIn0"
    return {
        "nonsense": "unauthorized",
        f"{head}.{body}.AAAA": "unauthorized",
        f"{none}.{body}.": "unauthorized",
        listen.token(exp=time.time() - 60): "token_expired",
    }


async def test_wrong_tokens_over_http(listen):
    """refusing.http: who is no browser gets the status, with problem+json."""
    for token, code in wrong_tokens(listen).items():
        answer = await listen.refusal(token=token)
        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer.headers["content-type"] == "application/problem+json"
        document().check(answer.json(), document().at("components", "messages", "problem", "payload"))
    answer = await listen.refusal(token="")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize("way", ["origin", "subprotocol", "first message"])
async def test_wrong_tokens_of_browsers(listen, way):
    """refusing.browser, code.token: accepted, `error`, 401→4401."""
    for token, code in wrong_tokens(listen).items():
        options = {
            "origin": {"token": token, "headers": PAGE},
            "subprotocol": {"token": "", "subprotocols": ("tapedeck.v1", f"tapedeck.bearer.{token}")},
            "first message": {"token": "", "path": "/v4/web/listen", "headers": PAGE},
        }[way]
        async with listen.connect(**options) as client:
            assert client.socket.subprotocol == "tapedeck.v1"
            if way == "first message":
                await client.say(type="auth", token=token)
            assert await client.closed() == 4401
            assert client.errors == [code]


async def test_refusals_both_ways(listen):
    """refusing.browser, refusing.http, storing_off: 403→4403; `Retry-After` is only where trying again can help."""
    await listen.set_user("off", store_audio="false")
    answer = await listen.refusal(uid="off")
    assert (answer.status_code, answer.json()["code"]) == (403, "storing_off")
    assert "retry-after" not in answer.headers
    async with listen.connect(uid="off", headers=PAGE) as client:
        assert await client.closed() == 4403
        assert client.errors == ["storing_off"]
    ticket = (await ticket_of(listen, "off")).json()["ticket"]
    async with listen.connect(token="", ticket=ticket) as client:
        assert await client.closed() == 4403


@pytest.mark.parametrize("options", [{}, {"token": ""}, {"path": "/v4/web/listen", "token": ""}], ids=str)
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://app.example.evil.example", "http://app.example"]
)
async def test_a_foreign_origin(listen, options, origin):
    """refusing.origin: HTTP 403, whoever asks."""
    answer = await listen.refusal(headers={"Origin": origin}, **options)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_a_path_that_there_is_not(listen):
    """upgrade: 404 elsewhere, in the same shape."""
    answer = await listen.refusal("/v4/other")
    assert answer.status_code == 404
    assert json.loads(answer.content)["code"] == "not_found"
