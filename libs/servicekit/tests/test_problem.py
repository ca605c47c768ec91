import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from servicekit.problem import EXCEPTION_HANDLERS, ProblemError, RequestIds, problem, request_id


async def fine(request):
    return PlainTextResponse(request_id())


async def refuses(request):
    raise ProblemError(
        409, "merging", "a merge holds it", headers={"Retry-After": "5"}, extra={"target": "c"}
    )


async def direct(request):
    return problem(401, "unauthorized", "who are you")


async def bug(request):
    raise ZeroDivisionError("secret detail")


@pytest.fixture
async def client(served):
    app = Starlette(
        routes=[
            Route("/fine", fine),
            Route("/refuses", refuses),
            Route("/direct", direct),
            Route("/bug", bug),
        ],
        exception_handlers=dict(EXCEPTION_HANDLERS),
    )
    async with served(RequestIds(app)) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


async def test_a_refusal(client):
    answer = await client.get("/refuses", headers={"X-Request-Id": "given-id-1"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "code": "merging",
        "detail": "a merge holds it",
        "request_id": "given-id-1",
        "target": "c",
    }
    assert answer.status_code == 409


async def test_401_names_its_scheme(client):
    assert (await client.get("/direct")).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/direct", "/none", "/bug"])
async def test_no_cache_keeps_a_refusal(client, path):
    assert (await client.get(path)).headers["cache-control"] == "no-store"


async def test_unknown_routes_and_methods(client):
    missing = await client.get("/nowhere")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    wrong = await client.post("/fine")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in wrong.headers["allow"]


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "short", "in\tjection"])
async def test_a_request_id_that_is_not_well_formed_is_replaced(client, given):
    answer = await client.get("/fine", headers={"X-Request-Id": given})
    assert answer.headers["x-request-id"] == answer.text
    assert len(answer.text) == 16


async def test_a_bug_is_told_without_its_details(client, caplog):
    answer = await client.get("/bug")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "secret detail" not in answer.text
    (failed,) = [record for record in caplog.records if record.exc_info]
    assert (failed.getMessage(), failed.handler) == ("a request failed", "bug")
