"""Which setting reaches which child."""

import stat
from pathlib import Path

import pytest

from audiostore.key_ring import KeyRing
from tapedeck import ready_file
from tapedeck.up.data_dir import DataDir
from tapedeck.up.plan import UpOptions, make_plan
from tapedeck.up.redis_server import half_of_the_machine

SECRETS = {"TAPEDECK_ENCRYPTION_KEYS": "k1:hush", "TAPEDECK_LEGACY_SECRET": "hush-hush"}
FILE = {"TAPEDECK_ENCRYPTION_KEYS_FILE": "/keys"}


@pytest.fixture
def plan(tmp_path):
    options = UpOptions(data_dir=tmp_path, listen_port=0, storage_port=0, listen_workers=2, pushers=2)
    plan = make_plan(options, DataDir(tmp_path), 0, {"PATH": "/bin:/usr/bin", **SECRETS, **FILE})
    yield plan
    for port in plan.held:
        port.release()


def test_keys_reach_those_who_seal_and_open_and_nobody_else(plan):
    keys = {**SECRETS, **FILE}
    for child in (*plan.services, plan.redis):
        given = {name: value for name, value in child.environ.items() if name in keys}
        assert given == (keys if child.component in {"pusher", "storage_api"} else {}), child.name


def test_keys_are_written_nowhere(plan, tmp_path):
    ready_file.write(tmp_path / "ready.json", plan.ready)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"hush" not in file.read_bytes(), file
    assert not any("hush" in part for child in (*plan.services, plan.redis) for part in child.command)


def made(tmp_path, environ, **options):
    """The settings of each child, and what the ready file says."""
    up = UpOptions(data_dir=tmp_path, listen_port=0, storage_port=0, **options)
    plan = make_plan(up, DataDir(tmp_path), 0, {"PATH": "/bin:/usr/bin", **environ})
    for port in plan.held:
        port.release()
    return {child.component: child.environ for child in (*plan.services, plan.redis)}, plan.ready


def test_the_bucket_in_the_data_directory_has_a_key_of_its_own_which_stays(tmp_path):
    """Without one the audio of a user who wants it sealed would wait for ever."""
    of, ready = made(tmp_path, {})
    keys = Path(of["pusher"]["TAPEDECK_ENCRYPTION_KEYS_FILE"])
    assert of["storage_api"]["TAPEDECK_ENCRYPTION_KEYS_FILE"] == str(keys) == ready.encryption_keys_file
    assert "TAPEDECK_ENCRYPTION_KEYS_FILE" not in {**of["listen"], **of["redis"]}
    ring = KeyRing.parse(keys.read_text())
    assert len(ring.ids) == 1
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    made(tmp_path, {})
    assert KeyRing.parse(keys.read_text()).ids == ring.ids


@pytest.mark.parametrize("brought", [{"TAPEDECK_ENCRYPTION_KEYS": "k1:hush"}, FILE, {"elsewhere": "memory:"}])
def test_who_brings_keys_or_a_bucket_gets_none(tmp_path, brought):
    of, ready = made(tmp_path, brought, store=brought.get("elsewhere"))
    assert of["pusher"].get("TAPEDECK_ENCRYPTION_KEYS_FILE") == brought.get("TAPEDECK_ENCRYPTION_KEYS_FILE")
    assert ready.encryption_keys_file == ""
    assert not (tmp_path / "secrets" / "encryption-keys").exists()


def test_a_second_bucket_reaches_those_who_ask_for_it(tmp_path):
    options = UpOptions(data_dir=tmp_path, listen_port=0, storage_port=0, fallback_store="file:///second")
    plan = make_plan(options, DataDir(tmp_path), 0, {"PATH": "/bin:/usr/bin"})
    for child in plan.services:
        assert child.environ["TAPEDECK_FALLBACK_STORE_URL"] == "file:///second"
    assert plan.ready.fallback_store == "file:///second"
    for port in plan.held:
        port.release()


@pytest.mark.parametrize(("mib", "limit"), [(0, 0), (100, 100 * 2**20), (None, half_of_the_machine())])
def test_the_embedded_redis_has_an_end(tmp_path, mib, limit):
    options = UpOptions(data_dir=tmp_path, listen_port=0, storage_port=0, redis_mib=mib)
    plan = make_plan(options, DataDir(tmp_path), 0, {"PATH": "/bin:/usr/bin"})
    command = plan.redis.command
    assert command[command.index("--maxmemory") + 1] == str(limit)
    for port in plan.held:
        port.release()
