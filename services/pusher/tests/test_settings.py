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


def test_redis_and_a_store_are_required():
    with pytest.raises(SettingsError) as error:
        load(PusherSettings, {})
    assert len(error.value.mistakes) == 2
