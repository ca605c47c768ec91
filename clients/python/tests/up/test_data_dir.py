import hashlib
import json
import os
import stat

import pytest

from tapedeck.errors import AlreadyRunningError
from tapedeck.up import data_dir
from tapedeck.up.data_dir import DataDir


def test_a_second_lock_is_refused_and_names_the_holder(tmp_path):
    with DataDir(tmp_path / "d").lock(), pytest.raises(AlreadyRunningError, match=str(os.getpid())) as caught:
        DataDir(tmp_path / "d").lock()
    assert "--data-dir" in caught.value.hint
    DataDir(tmp_path / "d").lock().close()


def test_what_a_killed_holder_left_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(data_dir, "TAKEOVER_S", 0.2)
    folder = DataDir(tmp_path)
    with folder.lock():
        (tmp_path / "up.lock").write_text("999999999\n")  # nobody: only its Redis still holds the lock
        with pytest.raises(AlreadyRunningError):
            folder.lock()


def test_secrets_are_made_once_for_their_owner_only(tmp_path):
    folder = DataDir(tmp_path)
    path, secret = folder.jwt_secret()
    tokens, token = folder.service_tokens()
    assert len(secret) >= 32
    assert path.read_text() == secret
    (entry,) = json.loads(tokens.read_text())
    assert entry["sha256"] == hashlib.sha256(token.encode()).hexdigest()
    assert "ops:admin" in entry["scopes"]
    for file in (tmp_path / "secrets").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    again = DataDir(tmp_path)
    assert again.jwt_secret() == (path, secret)
    assert again.service_tokens() == (tokens, token)


def test_ports_are_kept_and_a_damaged_note_is_no_harm(tmp_path):
    folder = DataDir(tmp_path)
    assert folder.kept_ports() == {}
    folder.keep_ports({"redis": 12345})
    assert DataDir(tmp_path).kept_ports() == {"redis": 12345}
    (tmp_path / "ports.json").write_text("{")
    assert folder.kept_ports() == {}


def test_a_log_that_has_grown_large_is_moved_away(tmp_path, monkeypatch):
    monkeypatch.setattr(data_dir, "MAX_LOG_BYTES", 10)
    folder = DataDir(tmp_path)
    folder.log_path("listen-1").write_text("much has been said")
    assert not folder.log_path("listen-1").exists()
    assert (tmp_path / "logs" / "listen-1.log.1").read_text() == "much has been said"
