"""Which setting reaches which child."""

import pytest

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
