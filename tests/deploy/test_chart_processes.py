"""The three services start from the commands, users, environment and probes that the chart renders, record, play back, and end in time."""

import base64
import copy
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from listen.settings import ListenSettings
from pusher.settings import PusherSettings
from servicekit.settings import load
from storage_api.settings import StorageSettings
from tapedeck_testing.chart import processes
from tapedeck_testing.chart.processes import Node, Running, can_change_user
from tapedeck_testing.chart.rendering import CI_VALUES, containers, pods, rendered
from tapedeck_testing.redis_binary import any_server

SETTINGS = {"listen": ListenSettings, "pusher": PusherSettings, "storage-api": StorageSettings}
SERVICES = ("tapedeck-storage-api", "tapedeck-pusher", "tapedeck-listen")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that users of pods may enter, as pytest's own may not be."""
    made = Path(tempfile.mkdtemp(prefix="tapedeck-chart-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def _secrets() -> dict[str, dict[str, str]]:
    """What an operator would have put into the Secrets that the examples name."""
    pem = generate_private_key(SECP256R1()).public_key()
    public = pem.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    ring = f"k1:{base64.b64encode(bytes(32)).decode()}"
    tokens = '[{"name": "player", "sha256": "' + "0" * 64 + '", "scopes": ["audio:read"]}]'
    return {
        "tapedeck-redis": {"url": "redis://redis.data:6379"},
        "redis-ca": {"ca.crt": "a certificate"},
        "company-ca": {"ca.crt": "certificates"},
        "tapedeck-jwt": {"public.pem": public, "shared": "x" * 32},
        "tapedeck-service-tokens": {"tokens.json": tokens},
        "tapedeck-keys": {"keys": ring},
        "tapedeck-legacy": {"secret": "an old secret"},
        "tapedeck-google": {"key.json": "{}"},
        "tapedeck-s3": {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"},
        "tapedeck-azure": {"AZURE_STORAGE_ACCOUNT_KEY": "eA=="},
        "tapedeck-test-token": {"token": "x"},
    }


@pytest.mark.parametrize("name", CI_VALUES)
def test_the_environment_of_every_service_is_good_settings(name, folder):
    """As `python -m listen --check` would read it."""
    node = Node(rendered(name), folder, _secrets())
    found = {container["name"]: (called, container) for called, container in containers(name)}
    manifests = dict(pods(name))
    for service, struct in SETTINGS.items():
        called, _ = found[service]
        load(struct, node.environment(called, manifests[called]))


class Cluster:
    """The pods of the example with the embedded Redis."""

    def __init__(self, folder: Path, *options: str, secrets: dict[str, dict[str, str]] | None = None) -> None:
        self.folder = folder
        self.node = Node(rendered("embedded-redis", *options), folder, secrets)
        self.manifests = dict(pods("embedded-redis", *options))
        self.running: dict[str, Running] = {}

    def start(self, name: str) -> Running:
        started = self.node.start(name, self.manifests[name], self.folder / f"{name}.log")
        self.running[name] = started
        return started

    def test(self) -> tuple[int, str]:
        """`helm test`: its exit code, and what it says."""
        run = self.start("tapedeck-test")
        return run.process.wait(60), run.log.read_text()

    def execute(self, name: str, *command: str) -> tuple[int, str]:
        """A command in the environment of a pod, as `kubectl exec` runs it: its exit code, and what it says."""
        pod = copy.deepcopy(self.manifests[name])
        pod["spec"]["containers"][0]["command"] = list(command)
        run = self.node.start(name, pod, self.folder / "exec.log")
        self.running["exec"] = run
        return run.process.wait(60), run.log.read_text()


@pytest.fixture
def cluster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setitem(processes.PROGRAMS, "valkey-server", any_server())
    made = Cluster(folder)
    yield made
    for one in made.running.values():
        one.kill()


def test_services_start_from_what_the_chart_says_record_play_back_and_end(cluster):
    cluster.start("tapedeck-redis")
    for name in SERVICES:
        cluster.start(name)
    for name in SERVICES:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            cluster.running[name].probe(probe)
    if can_change_user():
        for name in SERVICES:
            assert Path(f"/proc/{cluster.running[name].process.pid}").stat().st_uid == 65532

    code, said = cluster.test()
    assert code == 0, said + "".join(one.log.read_text()[-1500:] for one in cluster.running.values())
    assert "recorded 32000 bytes" in said
    assert "read 16000 samples of 16000" in said

    code, said = cluster.execute("tapedeck-storage-api", "python", "-m", "tapedeck", "doctor")
    assert code == 0, said

    for name in reversed(SERVICES):
        assert cluster.running[name].end() == 0, cluster.running[name].log.read_text()[-2000:]


def test_the_embedded_redis_and_the_services_take_the_password_of_a_secret(folder, monkeypatch):
    monkeypatch.setitem(processes.PROGRAMS, "valkey-server", any_server())
    made = Cluster(
        folder,
        "--set=redis.embedded.password=,redis.embedded.existingSecret.name=mine",
        secrets={"mine": {"password": "known-to-few"}},
    )
    try:
        server = made.start("tapedeck-redis")
        made.start("tapedeck-pusher").probe("readinessProbe")
        port = made.node.port("tapedeck-redis", 6379)
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis(port=port, password="known-to-few") as client:
            assert client.ping()
        assert "known-to-few" not in Path(f"/proc/{server.process.pid}/cmdline").read_text()
        # SIGTERM reaches the server, which then writes down what it has.
        assert server.end() == 0
        assert "bye bye" in server.log.read_text()
    finally:
        for one in made.running.values():
            one.kill()


def test_a_service_lives_without_redis_and_is_not_ready(cluster):
    """Nobody kills a pod because Redis is away."""
    listen = cluster.start("tapedeck-listen")
    listen.probe("startupProbe")
    listen.probe("livenessProbe")
    admin = cluster.node.port("tapedeck-listen", 9090)
    assert processes.status(f"http://127.0.0.1:{admin}/readyz", 5) == 503
    assert listen.end() == 0


def test_the_test_says_what_is_missing_without_a_token(folder):
    documents = rendered("minimal")
    node = Node(documents, folder)
    run = node.start("tapedeck-test", dict(pods("minimal"))["tapedeck-test"], folder / "test.log")
    assert run.process.wait(60) == 1
    assert "set tests.existingSecret.name" in run.log.read_text()
