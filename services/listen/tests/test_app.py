"""The routes beside the sockets: tickets, and what is not there."""

import json

import httpx
import pytest
from websockets.exceptions import InvalidStatus


@pytest.fixture
async def http(service):
    async with httpx.AsyncClient(base_url=service.http) as client:
        yield client


async def test_a_ticket_needs_a_token(http):
    for headers in ({}, {"Authorization": "Bearer x"}):
        answer = await http.post("/v1/tickets", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["code"] == "unauthorized"


async def test_an_allowed_origin_may_ask_across_sites_and_no_other(http, sign):
    allowed = {"Origin": "https://app.example"}
    before = await http.options("/v1/tickets", headers=allowed)
    assert before.status_code == 204
    assert before.headers["access-control-allow-origin"] == "https://app.example"
    assert "authorization" in before.headers["access-control-allow-headers"]
    answer = await http.post("/v1/tickets", headers={**allowed, "Authorization": f"Bearer {sign()}"})
    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["cache-control"] == "no-store"
    foreign = await http.post(
        "/v1/tickets", headers={"Origin": "https://evil.example", "Authorization": f"Bearer {sign()}"}
    )
    assert foreign.status_code == 403
    assert "access-control-allow-origin" not in foreign.headers


async def test_what_is_not_there_is_a_problem_too(http):
    answer = await http.get("/nowhere")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await http.get("/v1/tickets")).status_code == 405


@pytest.mark.parametrize("path", ["/", "/v4/nothing", "/v4/listen/", "/v1/tickets"])
async def test_a_handshake_where_nothing_is_gets_the_same_answer(service, http, path):
    with pytest.raises(InvalidStatus) as caught:
        async with service.connect(path=path):
            pass
    response = caught.value.response
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    problem, plain = json.loads(response.body), (await http.get("/nowhere")).json()
    assert {**problem, "request_id": ""} == {**plain, "request_id": ""}
