"""Services whose issuer cannot be asked for its keys: `python -m listen` and `python -m storage_api`."""

import asyncio
import json
import os
import subprocess
import sys

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from jwt.algorithms import OKPAlgorithm

from servicekit.bind import Bind, bind_socket
from servicekit.http import serving
from tapedeck_testing.free_ports import free_port

BINDS = {"listen": "TAPEDECK_LISTEN_BIND", "storage_api": "TAPEDECK_STORAGE_BIND"}


async def issuer(scope, _receive, send):
    """Serves one key."""
    if scope["type"] != "http":
        return
    key = json.loads(OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key()))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps({"keys": [key]}).encode()})


@pytest.mark.parametrize("module", BINDS)
async def test_it_is_not_ready_before_it_has_keys_and_tells_no_password(module, tmp_path, redis_url, one_bus):
    port, admin = free_port(), free_port()
    environ = {
        **os.environ,
        "TAPEDECK_REDIS_URL": redis_url,
        "TAPEDECK_REDIS_PREFIX": one_bus.keys.prefix,
        "TAPEDECK_STORE_URL": f"file://{tmp_path}/store",
        "TAPEDECK_JWT_JWKS_URL": f"http://me:hush@127.0.0.1:{port}/jwks",
        BINDS[module]: "127.0.0.1:0",
        "TAPEDECK_ADMIN_BIND": f"127.0.0.1:{admin}",
    }
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: ASYNC220 - it does not wait
            [sys.executable, "-m", module], env=environ, stdout=out, stderr=out
        )

    async def says(status: int, line: str) -> None:
        async with httpx.AsyncClient() as http, asyncio.timeout(60):
            while True:
                assert process.poll() is None, log.read_text()
                try:
                    answer = await http.get(f"http://127.0.0.1:{admin}/readyz?verbose")
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                    continue
                if line in answer.text and "not checked yet" not in answer.text:
                    break
                await asyncio.sleep(0.05)
        assert (answer.status_code, "[-]" in answer.text) == (status, status != 200), answer.text

    try:
        where = f"http://…@127.0.0.1:{port}/jwks"
        await says(
            503,
            f"[-]user token keys failed: none was ever fetched, so every user token is refused: {where}: ",
        )
        async with serving(issuer, bind_socket(Bind("127.0.0.1", port))):
            await says(200, "[+]user token keys ok")
    finally:
        process.kill()
        process.wait()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["service"] for line in lines} == {module.replace("_", "-")}
    assert "could not fetch the JWKS" in {line["message"] for line in lines}
    assert "hush" not in log.read_text()
