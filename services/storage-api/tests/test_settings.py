"""The settings."""

import pytest

from servicekit.bind import Bind
from servicekit.errors import SettingsError
from servicekit.settings import load
from storage_api.settings import StorageSettings


@pytest.fixture
def environ(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x" * 32)
    return {
        "TAPEDECK_REDIS_URL": "redis://127.0.0.1",
        "TAPEDECK_STORE_URL": "memory:",
        "TAPEDECK_JWT_SECRET_FILE": str(secret),
    }


def test_what_must_be_given_is_asked_for_all_at_once():
    with pytest.raises(SettingsError) as caught:
        load(StorageSettings, {})
    text = str(caught.value)
    assert all(name in text for name in ("TAPEDECK_REDIS_URL", "TAPEDECK_STORE_URL", "TAPEDECK_JWT_"))


def test_defaults(environ):
    assert load(StorageSettings, environ).bind == Bind("0.0.0.0", 8081)
    dev = load(StorageSettings, {**environ, "TAPEDECK_AUTH": "dev"})
    assert (dev.bind, dev.admin.bind) == (Bind("127.0.0.1", 8081), Bind("127.0.0.1", 9090))


def test_dev_mode_serves_this_machine_only(environ):
    with pytest.raises(SettingsError):
        load(StorageSettings, {**environ, "TAPEDECK_AUTH": "dev", "TAPEDECK_STORAGE_BIND": "0.0.0.0:8081"})
