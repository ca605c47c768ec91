import msgspec
import pytest

from servicekit.bind import Bind
from servicekit.errors import SettingsError
from servicekit.groups import (
    AdminSettings,
    ApiAuthSettings,
    EncryptionSettings,
    ProcessSettings,
    RedisSettings,
    StoreSettings,
    read_secret,
)
from servicekit.secret import Secret
from servicekit.settings import describe, load, usage


class Everything(msgspec.Struct, frozen=True, kw_only=True):
    redis: RedisSettings
    store: StoreSettings
    admin: AdminSettings
    process: ProcessSettings
    auth: ApiAuthSettings


@pytest.fixture
def environ(tmp_path):
    (tmp_path / "secret").write_text("s" * 32)
    return {
        "TAPEDECK_REDIS_URL": "redis://:pass@127.0.0.1:6379/0",
        "TAPEDECK_STORE_URL": "file:///data/store",
        "TAPEDECK_JWT_SECRET_FILE": str(tmp_path / "secret"),
    }


def test_the_defaults_of_the_specification(environ):
    settings = load(Everything, environ)
    assert settings.redis == RedisSettings(url="redis://:pass@127.0.0.1:6379/0")
    assert (settings.redis.wait_replicas, settings.redis.prefix) == (0, "td:")
    assert settings.admin.bind == Bind("0.0.0.0", 9090)
    assert settings.process.drain_seconds == 25
    assert (settings.auth.mode, settings.auth.uid_claim) == ("jwt", "sub")
    assert settings.auth.leeway_seconds == 2


def test_dev_mode(environ):
    settings = load(Everything, {**environ, "TAPEDECK_AUTH": "dev"})
    assert settings.admin.bind == Bind("127.0.0.1", 9090)
    del environ["TAPEDECK_JWT_SECRET_FILE"]
    with pytest.raises(SettingsError, match="TAPEDECK_AUTH=dev needs TAPEDECK_JWT_SECRET_FILE"):
        load(Everything, {**environ, "TAPEDECK_AUTH": "dev"})


def test_no_key_no_start(environ):
    del environ["TAPEDECK_JWT_SECRET_FILE"]
    with pytest.raises(SettingsError, match="no key for user tokens: set one of TAPEDECK_JWT_JWKS_URL"):
        load(Everything, environ)


def test_one_source_of_keys(environ):
    environ["TAPEDECK_JWT_JWKS_URL"] = "https://issuer.example/jwks"
    with pytest.raises(SettingsError, match="set one of them"):
        load(Everything, environ)


def test_a_secret_has_32_bytes_without_the_white_space(environ, tmp_path):
    (tmp_path / "secret").write_text("s" * 31 + "\n\n")
    with pytest.raises(SettingsError, match="must hold at least 32 bytes"):
        load(Everything, environ)
    (tmp_path / "secret").write_text(" " + "s" * 32 + "\n")
    assert read_secret(tmp_path / "secret") == b"s" * 32


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"TAPEDECK_SERVICE_TOKENS_FILE": "/nowhere"}, ["TAPEDECK_SERVICE_TOKENS_FILE", "no"]),
        ({"TAPEDECK_AUTH": "none"}, ["TAPEDECK_AUTH", "no"]),
        ({"TAPEDECK_JWT_LEEWAY_SECONDS": "x"}, ["TAPEDECK_JWT_LEEWAY_SECONDS", "no"]),
        (
            {"TAPEDECK_AUTH": "dev", "TAPEDECK_JWT_UID_CLAIM": "", "TAPEDECK_JWT_LEEWAY_SECONDS": "x"},
            ["TAPEDECK_JWT_LEEWAY_SECONDS", "TAPEDECK_AUTH=dev"],
        ),
        ({"TAPEDECK_JWT_SECRET_FILE": "/nowhere"}, ["TAPEDECK_JWT_SECRET_FILE"]),
        ({"TAPEDECK_JWT_JWKS_URL": "http://far"}, ["TAPEDECK_JWT_JWKS_URL"]),
        ({"TAPEDECK_AUTH": "dev", "TAPEDECK_JWT_SECRET_FILE": "/nowhere"}, ["TAPEDECK_JWT_SECRET_FILE"]),
    ],
)
def test_a_missing_key_is_told_beside_other_mistakes_but_not_where_it_is_one_of_them(environ, wrong, told):
    del environ["TAPEDECK_JWT_SECRET_FILE"]
    with pytest.raises(SettingsError) as caught:
        load(Everything, {**environ, **wrong})
    assert [mistake.split(" ")[0] for mistake in caught.value.mistakes] == told


def test_a_short_secret_is_told_beside_other_mistakes(environ, tmp_path):
    (tmp_path / "secret").write_text("short")
    with pytest.raises(SettingsError) as caught:
        load(Everything, {**environ, "TAPEDECK_SERVICE_TOKENS_FILE": "/nowhere", "TAPEDECK_REDIS_URL": ""})
    assert [mistake.split(" ")[0] for mistake in caught.value.mistakes] == [
        "TAPEDECK_REDIS_URL",
        "TAPEDECK_SERVICE_TOKENS_FILE",
        "TAPEDECK_JWT_SECRET_FILE",
    ]


def test_unknown_modes_and_missing_files(environ):
    environ |= {"TAPEDECK_AUTH": "none", "TAPEDECK_SERVICE_TOKENS_FILE": "/nowhere/at/all"}
    with pytest.raises(SettingsError) as caught:
        load(Everything, environ)
    assert [mistake.split()[0] for mistake in caught.value.mistakes] == [
        "TAPEDECK_AUTH",
        "TAPEDECK_SERVICE_TOKENS_FILE",
    ]


def test_keys_come_from_one_place(tmp_path):
    (tmp_path / "keys").write_text("k1:hush")
    ring, file = "k1:hush-hush", str(tmp_path / "keys")
    nothing = load(EncryptionSettings, {})
    assert (nothing.keys_text, nothing.keys_file, nothing.legacy_secret) == (None, None, None)
    assert load(EncryptionSettings, {"TAPEDECK_ENCRYPTION_KEYS": ring}).keys_text == ring
    assert load(EncryptionSettings, {"TAPEDECK_ENCRYPTION_KEYS_FILE": file}).keys_file == tmp_path / "keys"
    both = {"TAPEDECK_ENCRYPTION_KEYS": ring, "TAPEDECK_ENCRYPTION_KEYS_FILE": file}
    with pytest.raises(SettingsError, match="one source") as caught:
        load(EncryptionSettings, both)
    assert "hush" not in str(caught.value)
    with pytest.raises(SettingsError) as caught:
        load(EncryptionSettings, {**both, "TAPEDECK_ENCRYPTION_KEYS_FILE": "/nowhere"})
    (mistake,) = caught.value.mistakes
    assert mistake.startswith("TAPEDECK_ENCRYPTION_KEYS_FILE must name a file")


def test_secrets_are_shown_nowhere():
    environ = {"TAPEDECK_ENCRYPTION_KEYS": "k1:hush", "TAPEDECK_LEGACY_SECRET": "hush-hush"}
    settings = load(EncryptionSettings, environ)
    assert settings.legacy_secret == Secret("hush-hush")
    assert "hush" not in repr(settings) + str(describe(EncryptionSettings)) + usage("it", EncryptionSettings)
    for variable in environ:
        with pytest.raises(SettingsError) as caught:
            load(EncryptionSettings, {variable: "hush\udc80"})
        assert "hush" not in str(caught.value)
        assert "must be UTF-8" in str(caught.value)
