import pytest

from listen.allowance import Allowance
from listen.settings import ListenSettings
from servicekit.bind import Bind
from servicekit.errors import SettingsError
from servicekit.settings import load


@pytest.fixture
def environ(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x" * 40)
    return {"TAPEDECK_REDIS_URL": "redis://r", "TAPEDECK_JWT_SECRET_FILE": str(secret)}


def test_the_defaults_are_those_of_the_operators_page(environ):
    settings = load(ListenSettings, environ)
    assert settings.bind == Bind("0.0.0.0", 8080)
    assert (settings.chunk_ms, settings.opus_bitrate, settings.opus_complexity) == (1_000, 24_000, 10)
    assert (settings.max_sockets, settings.max_sockets_per_user, settings.allowed_origins) == (5_000, 20, ())
    assert (settings.max_sockets_per_address, settings.max_handshakes) == (0, 1_000)
    assert (settings.max_waiting_mib, settings.redis_high_water) == (256, 0.75)
    assert settings.allowance == Allowance(0, "warn", 55_000)
    assert (settings.process.drain_seconds, settings.batch_seconds) == (25, 60)


def test_dev_mode_serves_this_machine_only(environ):
    dev = {**environ, "TAPEDECK_AUTH": "dev"}
    assert load(ListenSettings, dev).bind == Bind("127.0.0.1", 8080)
    with pytest.raises(SettingsError, match="TAPEDECK_LISTEN_BIND"):
        load(ListenSettings, {**dev, "TAPEDECK_LISTEN_BIND": "0.0.0.0:80"})


def test_all_mistakes_are_told_at_once(environ):
    wrong = {"TAPEDECK_CHUNK_MS": "1", "TAPEDECK_OPUS_COMPLEXITY": "11", "TAPEDECK_MAX_SOCKETS": "x"}
    with pytest.raises(SettingsError) as caught:
        load(ListenSettings, {**wrong, "TAPEDECK_JWT_SECRET_FILE": environ["TAPEDECK_JWT_SECRET_FILE"]})
    assert len(caught.value.mistakes) == 4


def test_a_mistake_elsewhere_does_not_hide_a_missing_key():
    wrong = {"TAPEDECK_REDIS_URL": "redis://r", "TAPEDECK_JWT_LEEWAY_SECONDS": "x"}
    with pytest.raises(SettingsError) as caught:
        load(ListenSettings, wrong)
    assert [mistake.split(" ")[0] for mistake in caught.value.mistakes] == [
        "TAPEDECK_JWT_LEEWAY_SECONDS",
        "no",
    ]
