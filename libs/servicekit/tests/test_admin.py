import httpx
import pytest

from servicekit.admin import serve_admin
from servicekit.bind import bound_to
from servicekit.health import Health
from servicekit.metrics import Metrics


@pytest.fixture
async def admin(bound):
    health = Health("redis")
    async with (
        httpx.AsyncClient(base_url=bound_to(bound).url()) as client,
        serve_admin(bound, health, Metrics("listen", "1")),
    ):
        yield client, health


async def test_live_and_ready(admin):
    client, health = admin
    assert (await client.get("/livez")).status_code == 200
    unready = await client.get("/readyz")
    assert (unready.status_code, unready.text) == (503, "not ready\n")
    health.ok("redis")
    assert (await client.get("/readyz")).status_code == 200
    assert (await client.head("/readyz")).text == ""


@pytest.mark.parametrize("query", ["verbose", "verbose=1", "a=b&verbose"])
async def test_verbose(admin, query):
    client, health = admin
    health.warn("redis", "no AOF")
    answer = await client.get(f"/readyz?{query}")
    assert (answer.status_code, answer.text) == (200, health.text())
    assert "[!]redis warning: no AOF" in answer.text


async def test_metrics(admin):
    client, _ = admin
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "tapedeck_build_info" in answer.text


async def test_everything_else(admin):
    client, _ = admin
    assert (await client.get("/")).status_code == 404
    assert (await client.post("/livez")).status_code == 405
    assert "server" not in (await client.get("/livez")).headers
