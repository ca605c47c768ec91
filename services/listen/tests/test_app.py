"""The routes beside the sockets: tickets, and what is not there."""

import httpx
import pytest


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
