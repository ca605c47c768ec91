"""`--check` of the services: every mistake, all of them together, with no secret in any, and before anything connects."""

import os
import subprocess
import sys

import pytest

from servicekit.errors import SettingsError
from servicekit.settings import load
from storage_api.settings import StorageSettings

SERVICES = ("listen", "pusher", "storage_api")
BIND = {"listen": "TAPEDECK_LISTEN_BIND", "storage_api": "TAPEDECK_STORAGE_BIND"}


@pytest.fixture
def check(tmp_path):
    """The mistakes that a service tells of settings that are right but for those given."""
    (tmp_path / "secret").write_text("a secret that is long enough to sign with")

    def run(module: str, *, start: bool = False, **settings: str) -> list[str]:
        environ = {
            "PATH": os.environ["PATH"],
            "TAPEDECK_REDIS_URL": "redis://127.0.0.1:1",
            "TAPEDECK_STORE_URL": "memory:",
            "TAPEDECK_JWT_SECRET_FILE": str(tmp_path / "secret"),
            **settings,
        }
        command = [sys.executable, "-m", module, *([] if start else ["--check"])]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
        head, *lines = done.stderr.splitlines() or [""]
        assert done.returncode == (2 if lines else 0), done.stderr
        assert not lines or head == f"{module}: settings are wrong:"
        assert "hush" not in done.stdout + done.stderr
        return [line.strip() for line in lines]

    return run


def named(lines: list[str]) -> list[str]:
    """The variables that lines begin with."""
    return sorted(line.split(" ")[0].rstrip(":") for line in lines)


@pytest.mark.parametrize("module", SERVICES)
def test_all_together(check, tmp_path, module):
    assert check(module) == []
    (tmp_path / "none").write_text("nothing that anybody could use, hush")
    wrong = {
        "TAPEDECK_REDIS_URL": "redis://:hush@h/1/2",
        "TAPEDECK_REDIS_PREFIX": "td*",
        "TAPEDECK_LIBOPUS": "/nonexistent",
    }
    if module != "listen":
        wrong |= {
            "TAPEDECK_STORE_URL": "s3://key:hu/sh@bucket",
            "TAPEDECK_FALLBACK_STORE_URL": "https://me:hush@h",
        }
    if module != "pusher":
        wrong |= {
            "TAPEDECK_JWT_SECRET_FILE": "",
            "TAPEDECK_JWT_PUBLIC_KEY_FILE": str(tmp_path / "none"),
            BIND[module]: "127.0.0.1:9090",
        }
    if module == "storage_api":
        wrong["TAPEDECK_SERVICE_TOKENS_FILE"] = str(tmp_path / "none")
    if module == "listen":
        wrong["TAPEDECK_ALLOWED_ORIGINS"] = "https://me:hush@a"
    expected = sorted(name for name, value in wrong.items() if value)
    assert named(check(module, **wrong)) == expected


@pytest.mark.parametrize("module", SERVICES)
def test_the_start_tells_the_same(check, module):
    (line,) = check(module, start=True, TAPEDECK_LIBOPUS="/nonexistent")
    assert line.startswith("TAPEDECK_LIBOPUS names '/nonexistent', which is no libopus: ")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("TAPEDECK_REDIS_URL", "http://me:hush@h"),
        ("TAPEDECK_REDIS_URL", "redis://me:hush@h:port?token=hush"),
        ("TAPEDECK_REDIS_URL", "redis://me:hush/@h"),
        ("TAPEDECK_STORE_URL", "https://me:hush@h"),
        ("TAPEDECK_STORE_URL", "s3://me:hush@bucket"),
        ("TAPEDECK_STORE_URL", "s3://me:hush/more@bucket"),
        ("TAPEDECK_STORE_URL", "s3://-?key=hush"),
        ("TAPEDECK_FALLBACK_STORE_URL", "gs://me:hush@bucket"),
        ("TAPEDECK_JWT_JWKS_URL", "http://me:hush@h/jwks?token=hush"),
        ("TAPEDECK_JWT_JWKS_URL", "https://me:hush@h:port/jwks"),
        ("TAPEDECK_JWT_JWKS_URL", "https://me:hush℀@h/jwks"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://me:hush@h"),
        ("TAPEDECK_STORAGE_BIND", "http://me:hush@h:80"),
        ("TAPEDECK_ADMIN_BIND", "me:hush@h"),
    ],
)
def test_no_password_of_an_address_is_told(tmp_path, setting, value):
    (tmp_path / "secret").write_text("a secret that is long enough to sign with")
    environ = {
        "TAPEDECK_REDIS_URL": "redis://127.0.0.1:1",
        "TAPEDECK_STORE_URL": "memory:",
        "TAPEDECK_JWT_SECRET_FILE": "" if "JWKS" in setting else str(tmp_path / "secret"),
        setting: value,
    }
    with pytest.raises(SettingsError) as caught:
        load(StorageSettings, environ)
    assert named(list(caught.value.mistakes)) == [setting]
    assert "hush" not in str(caught.value)
