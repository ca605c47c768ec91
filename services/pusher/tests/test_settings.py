"""The settings of the pusher."""

import pytest

from pusher.settings import PusherSettings
from servicekit.errors import SettingsError
from servicekit.settings import load

REQUIRED = {"TAPEDECK_REDIS_URL": "redis://localhost", "TAPEDECK_STORE_URL": "memory:"}


def test_defaults():
    settings = load(PusherSettings, REQUIRED)
    assert (settings.batch_seconds, settings.idle_seconds, settings.process.drain_seconds) == (60, 60, 25)
    assert settings.consumer


def test_a_given_name_stays():
    assert load(PusherSettings, {**REQUIRED, "TAPEDECK_PUSHER_NAME": "p0"}).consumer == "p0"


@pytest.mark.parametrize("value", ["0", "61", "x", "nan"])
def test_a_batch_is_never_longer_than_a_minute(value):
    with pytest.raises(SettingsError, match="TAPEDECK_BATCH_SECONDS"):
        load(PusherSettings, {**REQUIRED, "TAPEDECK_BATCH_SECONDS": value})


@pytest.mark.parametrize("setting", ["TAPEDECK_STORE_URL", "TAPEDECK_FALLBACK_STORE_URL"])
def test_an_address_that_no_store_can_have_is_a_mistake(setting):
    with pytest.raises(SettingsError, match=f"{setting}: store address gs://UPPER: write gs://bucket"):
        load(PusherSettings, {**REQUIRED, setting: "gs://UPPER"})


def test_redis_and_a_store_are_required():
    with pytest.raises(SettingsError) as error:
        load(PusherSettings, {})
    assert len(error.value.mistakes) == 2


KEY = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="


def test_a_key_ring_is_checked_before_anything_starts(tmp_path):
    assert load(PusherSettings, REQUIRED).encryption.keys_text is None
    environ = {**REQUIRED, "TAPEDECK_ENCRYPTION_KEYS": f"k1:{KEY}"}
    settings = load(PusherSettings, environ)
    assert settings.encryption.keys_text == f"k1:{KEY}"
    assert KEY not in repr(settings)
    (tmp_path / "keys").write_text(f"k1:{KEY}\n")
    load(PusherSettings, {**REQUIRED, "TAPEDECK_ENCRYPTION_KEYS_FILE": str(tmp_path / "keys")})


@pytest.mark.parametrize("text", [KEY, f"k1:{KEY},k1:{KEY}", f"k 1:{KEY}", f"k1:{KEY[:-2]}", "\n"])
def test_what_is_no_ring_is_told_without_showing_it(text, tmp_path):
    (tmp_path / "keys").write_text(text)
    wrong = [{"TAPEDECK_ENCRYPTION_KEYS_FILE": str(tmp_path / "keys")}]
    wrong += [{"TAPEDECK_ENCRYPTION_KEYS": text}] if text.strip() else []
    for environ in wrong:
        with pytest.raises(SettingsError) as error:
            load(PusherSettings, {**REQUIRED, **environ, "TAPEDECK_BATCH_SECONDS": "x"})
        assert [mistake.split(": ")[0] for mistake in error.value.mistakes][1] == next(iter(environ))
        assert KEY[:-2] not in str(error.value)
