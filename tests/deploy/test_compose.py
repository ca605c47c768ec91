"""docker-compose.yml: what Compose's own loader makes of it, and that the pieces that it names fit together. No Docker is needed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from audiobus import Bus
from audiobus.redis_settings import complaints
from listen.settings import ListenSettings
from pusher.settings import PusherSettings
from servicekit.service_tokens import ServiceTokens
from servicekit.settings import load
from storage_api.settings import StorageSettings
from tapedeck import ready_file
from tapedeck_testing.bucket_servers import GcsServer, missing
from tapedeck_testing.prometheus import ALERTS
from tapedeck_testing.redis_process import RedisProcess

ROOT = Path(__file__).parents[2]
LOADER = "github.com/compose-spec/compose-go/v2/cmd"
"""What `docker compose config` loads files with: schema, merging, interpolation, consistency. A tool of tools/go.mod."""
SETTINGS = {"listen": ListenSettings, "pusher": PusherSettings, "storage-api": StorageSettings}


@pytest.fixture(scope="module")
def compose():
    """The file as Compose understands it."""
    go = shutil.which("go")
    if go is None:
        missing("no Go here, which Compose's loader is built with")
    built = subprocess.run(
        [go, "-C", "tools", "tool", "-n", LOADER],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    if built.returncode != 0:
        missing(f"Compose's loader cannot be built: {built.stderr[-300:]}")
    command = [built.stdout.strip(), "-format", "json", "docker-compose.yml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_there_is_what_the_system_needs(compose):
    services = compose["services"]
    built = {service["image"] for service in services.values() if "build" in service}
    always = {name for name, service in services.items() if not service.get("profiles")}
    assert always == {"redis", "bucket", "setup", *SETTINGS}
    assert {name for name in services if services[name].get("profiles") == ["monitoring"]} == {
        "prometheus",
        "grafana",
    }
    for name, service in services.items():
        own = name in SETTINGS  # the images have theirs
        assert own or service["healthcheck"].get("disable") or service["healthcheck"]["test"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        for port in service.get("ports", []):
            assert port["host_ip"] == "127.0.0.1", f"{name}: {port}"
        assert not re.search(r":latest$|^[^:]+$", service["image"]) or service["image"] in built, name


def test_no_image_is_built_twice_or_looked_for_elsewhere(compose):
    services = compose["services"]
    built = [service["image"] for service in services.values() if "build" in service]
    assert len(built) == len(set(built)) == len(SETTINGS)
    for name, service in services.items():
        if service["image"] in built and "build" not in service:
            assert service["pull_policy"] == "never", name


def test_logs_end_somewhere_and_no_proxy_stands_between(compose):
    for name, service in compose["services"].items():
        assert service["logging"]["options"].keys() == {"max-size", "max-file"}, name
        if name != "redis":  # which knows no HTTP
            given = {variable.lower(): value for variable, value in service["environment"].items()}
            assert (given["http_proxy"], given["https_proxy"]) == ("", ""), name


@pytest.mark.parametrize("name", [*SETTINGS, "setup"])
def test_our_own_containers_may_do_nothing_that_they_need_not(compose, name):
    service = compose["services"][name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["tmpfs"] == ["/tmp"]
    assert "user" not in service  # the image's own


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_are_settings(compose, name, tmp_path):
    service = compose["services"][name]
    environ = dict(service["environment"])
    for variable in ("TAPEDECK_JWT_SECRET_FILE", "TAPEDECK_SERVICE_TOKENS_FILE"):
        if variable in environ:
            assert environ[variable].startswith("/var/lib/tapedeck/")
            (tmp_path / variable).write_text("x" * 48 if "JWT" in variable else "[]")
            environ[variable] = str(tmp_path / variable)
    loaded = load(SETTINGS[name], environ)
    assert int(re.sub(r"\D", "", service["stop_grace_period"])) >= loaded.process.drain_seconds + 5
    needs = service["depends_on"]
    assert needs["redis"]["condition"] == "service_healthy"
    assert needs["setup"]["condition"] == "service_completed_successfully"


def test_each_is_built_from_its_target(compose):
    for name in SETTINGS:
        build = compose["services"][name]["build"]
        assert Path(build["context"]).resolve() == ROOT
        assert build["target"] == name
        assert f" AS {name}\n" in (ROOT / build["dockerfile"]).read_text()
        assert compose["services"][name]["image"] == f"tapedeck-{name}"


def test_files_that_are_mounted_are_there(compose):
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            assert volume["type"] == "volume" or Path(volume["source"]).is_file(), volume


async def test_redis_is_set_up_so_that_it_keeps_what_it_confirmed(compose, program, tmp_path):
    options = compose["services"]["redis"]["command"][1:]
    running = RedisProcess(program("redis-server"), tmp_path / "redis", options=tuple(options))
    try:
        running.start()
        async with Bus(running.url) as bus:
            assert await complaints(bus) == []
    finally:
        running.stop()


def test_setup_makes_secrets_and_a_bucket_once(compose, tmp_path):
    server = GcsServer.started(tmp_path / "gcs")
    state = tmp_path / "state"
    state.mkdir()
    script = ROOT / "deploy/docker/compose_setup.py"
    environ = os.environ | {"STATE": str(state), "STORAGE_EMULATOR_HOST": server.url, "BUCKET": "tapedeck"}
    assert compose["services"]["pusher"]["environment"]["TAPEDECK_STORE_URL"] == "gs://tapedeck"
    try:
        seen = []
        for _ in range(2):
            subprocess.run([sys.executable, script], env=environ, check=True, timeout=60)
            seen.append({path.name: path.read_text() for path in state.iterdir()})
    finally:
        server.stop()
    assert seen[0] == seen[1]
    assert len(seen[0]["jwt-secret"]) >= 32
    assert all(path.stat().st_mode & 0o077 == 0 for path in state.iterdir())
    identity = ServiceTokens(state / "service-tokens.json").verify(seen[0]["service-token"])
    assert identity is not None
    assert "ops:admin" in identity.scopes
    ready = ready_file.read(state / "ready.json")
    assert (ready.jwt_secret, ready.service_token) == (seen[0]["jwt-secret"], seen[0]["service-token"])
    storing = compose["services"]["storage-api"]["environment"]
    assert (ready.redis, ready.store) == (storing["TAPEDECK_REDIS_URL"], storing["TAPEDECK_STORE_URL"])
    assert Path(storing["TAPEDECK_READY_FILE"]).parent == Path(storing["TAPEDECK_JWT_SECRET_FILE"]).parent


def test_prometheus_takes_its_configuration(program, tmp_path):
    config = yaml.safe_load((ROOT / "deploy/monitoring/prometheus.yaml").read_text())
    assert config["rule_files"] == ["alerts.yaml"]
    (tmp_path / "alerts.yaml").write_text(ALERTS.read_text())
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
    command = [program("promtool"), "check", "config", tmp_path / "prometheus.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_its_dashboard_and_prometheus(compose):
    mounts = {
        volume["target"]: Path(volume["source"]) for volume in compose["services"]["grafana"]["volumes"]
    }
    (provider,) = yaml.safe_load((ROOT / "deploy/monitoring/grafana/dashboards.yaml").read_text())[
        "providers"
    ]
    folder = provider["options"]["path"]
    assert mounts[f"{folder}/tapedeck.json"] == ROOT / "deploy/helm/tapedeck/files/dashboard.json"
    (source,) = yaml.safe_load((ROOT / "deploy/monitoring/grafana/datasources.yaml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    home = compose["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/tapedeck.json"
