"""Handshakes: who gets in, and who sees which refusal."""

import json
import time

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from audiobus import Conversation

APP = "https://app.example"


async def refusal(service, query="", **options) -> tuple[int, dict, dict]:
    """Status, problem and headers of a handshake that is refused over HTTP."""
    with pytest.raises(InvalidStatus) as caught:
        async with service.connect(query, **options):
            pass
    response = caught.value.response
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, json.loads(response.body), dict(response.headers)


async def test_without_a_token_nobody_gets_in(service):
    status, problem, headers = await refusal(service, bearer="")
    assert (status, problem["code"]) == (401, "unauthorized")
    assert headers["www-authenticate"] == "Bearer"
    status, problem, _ = await refusal(service, bearer="nonsense")
    assert (status, problem["code"]) == (401, "unauthorized")


async def test_an_expired_token_says_so(service, sign):
    status, problem, _ = await refusal(service, bearer=sign(exp=time.time() - 3_600))
    assert (status, problem["code"]) == (401, "token_expired")


async def test_a_token_that_expires_in_mid_session_closes_at_its_exp(make_service, sign, second):
    async with make_service(TAPEDECK_JWT_LEEWAY_SECONDS="60").here() as service:
        expires_at = int(time.time()) + 4
        async with service.connect(bearer=sign(exp=expires_at)) as client:
            await client.hear("ready")
            await client.send(second)
            assert await client.closed() == 4401
        assert 0 <= time.time() - expires_at < 50  # the leeway is not given twice
        assert client.codes == ["token_expired"]
        assert client.texts[-1]["offset"] == len(second)


@pytest.mark.parametrize(
    "query",
    [
        "codec=mp3",
        "channels=3",
        "sample_rate=96000",
        "sample_rate=x",
        "codec=aac&sample_rate=44101",
        "conversation_id=.x",
    ],
)
async def test_a_bad_parameter_is_400(service, query):
    status, problem, _ = await refusal(service, query)
    assert (status, problem["code"]) == (400, "bad_parameter")


async def test_a_browser_is_accepted_and_then_told(service, sign):
    async with service.connect(headers={"Origin": APP}, bearer="nonsense") as client:
        assert await client.closed() == 4401
        assert client.codes == ["unauthorized"]
    async with service.connect(
        "codec=mp3",
        headers={"Origin": APP},
        bearer="",
        subprotocols=["tapedeck.v1", f"tapedeck.bearer.{sign()}"],
    ) as client:
        assert client.socket.subprotocol == "tapedeck.v1"
        assert await client.closed() == 1003
    async with service.connect("ticket=unknown", bearer="") as client:
        assert await client.closed() == 4401


@pytest.mark.parametrize("path", ["/v4/listen", "/v4/web/listen"])
async def test_a_foreign_origin_is_always_403(service, path):
    status, problem, _ = await refusal(service, path=path, headers={"Origin": "https://evil.example"})
    assert (status, problem["code"]) == (403, "forbidden")


async def test_a_bearer_in_a_subprotocol(service, sign):
    async with service.connect(
        "conversation_id=a", bearer="", subprotocols=["tapedeck.v1", f"tapedeck.bearer.{sign('bob')}"]
    ) as client:
        assert client.socket.subprotocol == "tapedeck.v1"
        await client.hear("ready")
    assert (await service.bus.state(Conversation("bob", "a"))).newest is not None


async def test_a_bearer_beside_no_other_subprotocol_is_taken_and_none_is_selected(service, sign):
    async with service.connect(
        "conversation_id=alone", bearer="", subprotocols=[f"tapedeck.bearer.{sign('bob')}"]
    ) as client:
        assert client.socket.subprotocol is None
        assert "sec-websocket-protocol" not in client.socket.response.headers
        await client.hear("ready")
    assert (await service.bus.state(Conversation("bob", "alone"))).format == "pcm8:8000:1:312"


async def test_a_token_in_the_first_message(service, sign):
    async with service.connect("conversation_id=b", path="/v4/web/listen", bearer="") as client:
        await client.say(type="auth", token=sign("bob"))
        await client.hear("ready")
    assert (await service.bus.state(Conversation("bob", "b"))).newest is not None
    for first in ({"type": "auth", "token": "x"}, {"type": "keepalive"}):
        async with service.connect(path="/v4/web/listen", bearer="") as client:
            await client.say(**first)
            assert await client.closed() == 4401
            assert client.codes == ["unauthorized"]


async def test_a_first_message_may_be_long_but_not_too_big(service, sign):
    async with service.connect(path="/v4/web/listen", bearer="") as client:
        await client.say(type="auth", token=sign("bob"), more="x" * 60_000)
        await client.hear("ready")
    async with service.connect(path="/v4/web/listen", bearer="") as client:
        await client.say(type="auth", token=sign("bob"), more="x" * 65_536)
        assert await client.closed() == 1009
        assert client.codes == ["too_big"]


async def test_a_ticket_lets_in_once(service, sign):
    async with httpx.AsyncClient(base_url=service.http) as http:
        answer = await http.post("/v1/tickets", headers={"Authorization": f"Bearer {sign('bob')}"})
    assert answer.status_code == 201
    assert answer.json()["expires_in_s"] == 30
    query = f"conversation_id=c&ticket={answer.json()['ticket']}"
    async with service.connect(query, bearer="") as client:
        await client.hear("ready")
    assert (await service.bus.state(Conversation("bob", "c"))).newest is not None
    async with service.connect(query, bearer="") as client:
        assert await client.closed() == 4401


@pytest.mark.parametrize("value", ["0", "false"])
async def test_who_stores_nothing_does_not_get_in(service, value):
    await service.bus.command("HSET", service.bus.keys.user("alice"), "store_audio", value)
    status, problem, _ = await refusal(service)
    assert (status, problem["code"]) == (403, "storing_off")
    async with service.connect(headers={"Origin": APP}) as client:
        assert await client.closed() == 4403
        assert client.codes == ["storing_off"]


async def test_while_redis_is_away_handshakes_are_503(make_service, redis_process):
    async with make_service(url=redis_process.url, TAPEDECK_ALLOWED_ORIGINS=APP).here() as service:
        redis_process.kill()
        status, problem, headers = await refusal(service)
        assert (status, problem["code"]) == (503, "unavailable")
        assert int(headers["retry-after"]) > 0
        async with service.connect(headers={"Origin": APP}) as client:
            assert await client.closed() == 1013
            assert client.texts[0]["retry_after_ms"] > 0
        redis_process.start()


async def test_a_process_and_a_user_have_only_so_many_sockets(make_service, sign):
    environ = {"TAPEDECK_MAX_SOCKETS": "3", "TAPEDECK_MAX_SOCKETS_PER_USER": "2"}
    async with (
        make_service(**environ).here() as service,
        service.connect() as first,
        service.connect() as second,
    ):
        await first.hear("ready")
        await second.hear("ready")
        status, problem, headers = await refusal(service)
        assert (status, problem["code"]) == (429, "limit")
        assert int(headers["retry-after"]) > 0
        async with service.connect(bearer=sign("bob")) as third:
            await third.hear("ready")
            status, problem, _ = await refusal(service, bearer=sign("carol"))
            assert (status, problem["code"]) == (503, "unavailable")
            metrics = await service.metrics()
            assert metrics["tapedeck_connections"] == 3
            assert metrics['tapedeck_refused_total{reason="sockets_of_user"}'] == 1


async def test_ids_are_made_where_none_is_given(service):
    async with service.connect() as client:
        cid = (await client.hear("ready"))["conversation_id"]
        assert cid[14] == "7"


async def test_a_query_that_is_too_much_is_refused_as_everybody_can_see(service):
    status, problem, _ = await refusal(service, "&".join(f"a{number}=1" for number in range(101)))
    assert (status, problem["code"]) == (400, "bad_parameter")
    async with service.connect("ticket=" + "t" * 9_000, bearer="") as browser:
        assert await browser.closed() == 4400
        assert browser.codes == ["bad_parameter"]
