"""The process: `python -m storage_api`."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from audiostore import open_store
from audiostore.attempts import Patience
from servicekit.settings import load
from servicekit.stop import Stop
from storage_api.running import run
from storage_api.settings import StorageSettings
from tapedeck_testing.bucket_servers import GcsServer
from tapedeck_testing.free_ports import free_port
from tapedeck_testing.storage_process import StorageProcess


@pytest.fixture
def service(tmp_path, redis_url, one_bus):
    started = StorageProcess(tmp_path, redis_url, one_bus.keys.prefix)
    yield started
    started.process.kill()
    started.process.wait()


async def test_it_serves_says_that_it_is_ready_and_ends_when_asked(
    service, api, tape, conversation, pcm_tone
):
    await tape.record(pcm_tone(1))
    assert (await service.answers(f"{service.admin}/readyz")).status_code == 200
    async with httpx.AsyncClient() as http:
        headers = {"Authorization": f"Bearer {api.token(conversation.uid)}"}
        answer = await http.get(service.url + api.path(conversation, "/audio?format=pcm"), headers=headers)
        assert len(answer.content) == 32_000
        verbose = (await http.get(f"{service.admin}/readyz?verbose")).text
        assert "[+]store ok" in verbose
        assert "[+]keys ok" in verbose
        metrics = (await http.get(f"{service.admin}/metrics")).text
    assert 'tapedeck_http_requests_total{method="GET",route="audio",status="200"} 1.0' in metrics
    assert 'tapedeck_bucket_requests_total{code="ok",op="list"}' in metrics
    assert 'tapedeck_jwks_fetches_total{outcome="failed"} 0.0' in metrics
    assert 'tapedeck_unreadable_chunks_total{reason="no_key"} 0.0' in metrics
    assert conversation.uid not in metrics
    service.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(service.process.wait, 15) == 0
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert {line["service"] for line in lines} == {"storage-api"}
    assert "ended" in [line["message"] for line in lines]


async def test_it_carries_out_operations(service, api, tape, conversation, store, pcm_tone):
    await tape.record(pcm_tone(1))
    await tape.put(0, len(tape.chunks))
    await service.answers(f"{service.admin}/readyz")
    headers = {"Authorization": f"Bearer {api.token(conversation.uid)}"}
    async with httpx.AsyncClient(headers=headers) as http, asyncio.timeout(60):
        answer = await http.delete(f"{service.url}/v1/users/{conversation.uid}/audio")
        while not (progress := (await http.get(service.url + answer.headers["location"])).json()["progress"]):
            await asyncio.sleep(0.05)
        while [info async for info in store.list("chunks/")]:
            await asyncio.sleep(0.05)
    assert progress["conversations"] == 1


async def test_it_reads_the_second_bucket_that_its_settings_name(
    tmp_path, redis_url, one_bus, tape, conversation, api, pcm_tone
):
    second = open_store(f"file://{tmp_path}/second")
    tape.store = second
    await tape.record(pcm_tone(3))
    await tape.drain(0, 3)
    await second.close()
    where = {"TAPEDECK_FALLBACK_STORE_URL": f"file://{tmp_path}/second"}
    service = StorageProcess(tmp_path, redis_url, one_bus.keys.prefix, **where)
    try:
        assert (await service.answers(f"{service.admin}/readyz")).status_code == 200
        async with httpx.AsyncClient() as http:
            headers = {"Authorization": f"Bearer {api.token(conversation.uid)}"}
            url = service.url + api.path(conversation, "/audio?format=pcm")
            assert len((await http.get(url, headers=headers)).content) == 3 * 32_000
    finally:
        service.process.kill()
        service.process.wait()


async def test_a_bucket_that_goes_away_leaves_it_ready_and_one_that_never_came_does_not(
    tmp_path, redis_url, one_bus, api, conversation
):
    """All pods would be unready together: refused connections, where clients can be told to come again."""
    gcs = await asyncio.to_thread(GcsServer.started, tmp_path / "gcs")
    where = {"TAPEDECK_STORE_URL": f"gs://{gcs.make_bucket()}", **gcs.settings()}
    services = [StorageProcess(tmp_path, redis_url, one_bus.keys.prefix, **where)]
    headers = {"Authorization": f"Bearer {api.token(conversation.uid)}"}
    try:
        assert (await services[0].answers(f"{services[0].admin}/readyz")).status_code == 200
        await asyncio.to_thread(gcs.stop)
        services.append(StorageProcess(tmp_path, redis_url, one_bus.keys.prefix, **where))
        async with httpx.AsyncClient(headers=headers, timeout=60) as http, asyncio.timeout(60):
            while "[!]store warning" not in (await http.get(f"{services[0].admin}/readyz?verbose")).text:
                await asyncio.sleep(0.1)
            assert (await http.get(f"{services[0].admin}/readyz")).status_code == 200
            answer = await http.get(services[0].url + api.path(conversation, "/audio"))
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            assert "retry-after" in answer.headers
            settings = await http.get(f"{services[0].url}/v1/users/{conversation.uid}/settings")
            assert settings.status_code == 200
            while "[-]store failed" not in await _verbose(http, services[1]):
                await asyncio.sleep(0.1)
    finally:
        gcs.stop()
        for one in services:
            one.process.kill()
            one.process.wait()


async def _verbose(http: httpx.AsyncClient, service: StorageProcess) -> str:
    """Empty until it answers."""
    try:
        return (await http.get(f"{service.admin}/readyz?verbose")).text
    except httpx.TransportError:
        return ""


async def test_a_keys_file_that_breaks_is_a_warning_soon_and_until_it_is_put_right(
    tmp_path, redis_url, one_bus
):
    keys = tmp_path / "keys"
    keys.write_text(f"k1:{base64.b64encode(bytes(32)).decode()}")
    service = StorageProcess(
        tmp_path, redis_url, one_bus.keys.prefix, TAPEDECK_ENCRYPTION_KEYS_FILE=str(keys)
    )

    async def says(line: str) -> None:
        deadline = time.monotonic() + 45  # far less than the minute between two looks at other settings
        while line not in (said := (await service.answers(f"{service.admin}/readyz?verbose")).text):
            assert time.monotonic() < deadline, said
            await asyncio.sleep(0.1)

    try:
        await says("[+]keys ok")
        keys.write_text("no ring")
        await says("[!]keys warning: the keys stay as they were")
        keys.write_text(f"k2:{base64.b64encode(bytes(range(32))).decode()}")
        await says("[+]keys ok")
    finally:
        service.process.kill()
        service.process.wait()


async def test_it_comes_back_at_once_after_a_kill(service, tmp_path, redis_url, one_bus):
    await service.answers(f"{service.url}/")
    service.process.kill()
    service.process.wait()
    again = StorageProcess(tmp_path, redis_url, one_bus.keys.prefix)
    try:
        assert (await again.answers(f"{again.url}/")).status_code == 404
    finally:
        again.process.kill()
        again.process.wait()


def test_without_a_key_it_does_not_start(tmp_path):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TAPEDECK_")}
    environ |= {"TAPEDECK_REDIS_URL": "redis://127.0.0.1", "TAPEDECK_STORE_URL": "memory:"}
    done = subprocess.run(
        [sys.executable, "-m", "storage_api"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "no key for user tokens" in done.stderr


def test_google_is_imported_only_where_it_is_used():
    code = "import sys, storage_api.running; sys.exit(any(name.startswith('google') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0


async def test_it_ends_when_it_is_asked_before_it_serves(tmp_path, redis_url, one_bus):
    """Its first looks at Redis are under way then, and redis-py may lose a cancellation that comes while it connects."""
    (tmp_path / "secret").write_text("storage-api-test-secret-of-32-bytes!")
    environ = {
        "TAPEDECK_AUTH": "dev",
        "TAPEDECK_JWT_SECRET_FILE": str(tmp_path / "secret"),
        "TAPEDECK_REDIS_URL": redis_url,
        "TAPEDECK_REDIS_PREFIX": one_bus.keys.prefix,
        "TAPEDECK_STORE_URL": f"file://{tmp_path}/store",
        "TAPEDECK_STORAGE_BIND": "127.0.0.1:0",
        "TAPEDECK_ADMIN_BIND": "127.0.0.1:0",
    }
    settings, stop = load(StorageSettings, environ), Stop(5)
    stop.set()
    async with asyncio.timeout(60):
        await run(settings, stop)


async def test_of_a_bucket_that_refuses_whoever_asks_hears_soon(
    tmp_path, redis_url, one_bus, monkeypatch, api, conversation
):
    (tmp_path / "secret").write_text("storage-api-test-secret-of-32-bytes!")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("storage_api.running.PATIENCE", Patience(longest_pause_s=0.1, away_for_s=0.0))
    port = free_port()
    environ = {
        "TAPEDECK_AUTH": "dev",
        "TAPEDECK_JWT_SECRET_FILE": str(tmp_path / "secret"),
        "TAPEDECK_REDIS_URL": redis_url,
        "TAPEDECK_REDIS_PREFIX": one_bus.keys.prefix,
        "TAPEDECK_STORE_URL": "gs://bucket",
        "TAPEDECK_STORAGE_BIND": f"127.0.0.1:{port}",
        "TAPEDECK_ADMIN_BIND": "127.0.0.1:0",
    }
    stop = Stop(5)
    serving = asyncio.create_task(run(load(StorageSettings, environ), stop))
    headers = {"Authorization": f"Bearer {api.token(conversation.uid)}"}
    try:
        # Sooner than a store gives up by itself.
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http,
            asyncio.timeout(60),
        ):
            while True:
                try:
                    answer = await http.get(api.path(conversation, "/audio"), headers=headers)
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        assert answer.headers["retry-after"] == "2"
    finally:
        stop.set()
        await serving


async def test_a_store_that_cannot_be_opened_is_told_and_opened_later(tmp_path, redis_url, one_bus):
    """It lives meanwhile, answers 503, and needs no restart."""
    (tmp_path / "in the way").write_text("a file where a folder should be")
    service = StorageProcess(
        tmp_path,
        redis_url,
        one_bus.keys.prefix,
        TAPEDECK_STORE_URL=f"file://{tmp_path}/in%20the%20way/store",
    )
    try:
        deadline = time.monotonic() + 60
        async with httpx.AsyncClient() as http:
            assert (await service.answers(f"{service.admin}/livez")).status_code == 200
            while (
                "open the store in" not in (answer := await http.get(f"{service.admin}/readyz?verbose")).text
            ):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            assert answer.status_code == 503
        (tmp_path / "in the way").unlink()
        assert (await service.answers(f"{service.admin}/readyz")).status_code == 200
    finally:
        service.process.kill()
        service.process.wait()
