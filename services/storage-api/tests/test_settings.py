"""The settings."""

import base64

import pytest

from servicekit.bind import Bind
from servicekit.errors import SettingsError
from servicekit.settings import load
from storage_api.keys import Keys
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


@pytest.mark.parametrize("setting", ["TAPEDECK_STORE_URL", "TAPEDECK_FALLBACK_STORE_URL"])
def test_an_address_that_no_store_can_have_is_a_mistake(environ, setting):
    with pytest.raises(SettingsError, match=f"{setting}: store address file://data: write file:///folder"):
        load(StorageSettings, {**environ, setting: "file://data"})


def test_dev_mode_serves_this_machine_only(environ):
    with pytest.raises(SettingsError):
        load(StorageSettings, {**environ, "TAPEDECK_AUTH": "dev", "TAPEDECK_STORAGE_BIND": "0.0.0.0:8081"})


def test_keys_are_checked_before_anything_is_served(environ):
    key = base64.b64encode(bytes(range(32))).decode()
    settings = load(
        StorageSettings,
        {**environ, "TAPEDECK_ENCRYPTION_KEYS": f"k1:{key}", "TAPEDECK_LEGACY_SECRET": "an older secret"},
    )
    keys = Keys.of(settings.encryption)
    assert (keys.ring.ids, keys.legacy_secret) == (("k1",), "an older secret")
    with pytest.raises(SettingsError, match="TAPEDECK_ENCRYPTION_KEYS: key ring") as caught:
        load(StorageSettings, {**environ, "TAPEDECK_ENCRYPTION_KEYS": f"k1:{key[:-2]}"})
    assert key[:20] not in str(caught.value)


def test_how_older_audio_is_encoded(environ):
    settings = load(StorageSettings, environ)
    assert (settings.opus_bitrate, settings.opus_complexity) == (24_000, 10)
    chosen = {"TAPEDECK_OPUS_BITRATE": "16000", "TAPEDECK_OPUS_COMPLEXITY": "5"}
    settings = load(StorageSettings, {**environ, **chosen})
    assert (settings.opus_bitrate, settings.opus_complexity) == (16_000, 5)
