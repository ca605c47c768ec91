import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audiostore.errors import (
    AlreadyExistsError,
    BadNameError,
    NotFoundError,
    StoreConfigurationError,
    TransientStoreError,
)
from audiostore.folder import STALE_SECONDS, Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "store")


def temporary(folder):
    return list((folder.root / ".tmp").iterdir())


def test_files_lie_at_exactly_their_names(folder):
    folder.create("chunks/u/c/1.000-2.000.batch.bin", b"OggS")
    path = folder.root / "chunks/u/c/1.000-2.000.batch.bin"
    assert path.read_bytes() == b"OggS"
    assert path.stat().st_mode & 0o777 == 0o600
    assert not temporary(folder)


@pytest.fixture
def small_disk():
    """No file may grow over 64 KiB: the write that crosses it is cut short, and the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_leaves_no_name_and_no_rest(folder, small_disk):
    with pytest.raises(TransientStoreError, match=r"put u/c/large: File too large") as caught:
        folder.create("u/c/large", bytes(100_000))
    assert caught.value.retryable
    assert not temporary(folder)
    assert not (folder.root / "u").exists()
    folder.create("u/c/small", bytes(1000))


def test_writes_that_take_a_part_are_gone_on_with(folder, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    data = bytes(range(100))
    folder.create("a", data)
    assert folder.read("a") == data


WRITER = """
import sys
from pathlib import Path
from audiostore.folder import Folder
folder = Folder(Path(sys.argv[1]))
for number in range(1_000_000):
    folder.create(f"u/c/{number:07d}", number.to_bytes(4, "big") * 50_000)
"""


def test_a_writer_that_is_killed_leaves_only_whole_objects(folder):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder.root)])
    try:
        deadline = time.monotonic() + 30
        while len(folder.entries("u/c/")) < 20:
            assert time.monotonic() < deadline
    finally:
        writer.kill()
        writer.wait(10)
    for name, _is_folder in folder.entries("u/c/"):
        assert folder.read(name) == int(Path(name).name).to_bytes(4, "big") * 50_000
    assert folder.entries("") == [("u/", True)]


def test_what_dead_writers_left_is_swept_when_it_is_old(folder):
    old, young = folder.root / ".tmp/old", folder.root / ".tmp/young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, time.time() - STALE_SECONDS - 60))
    Folder(folder.root)
    assert temporary(folder) == [young]


def test_a_folder_that_cannot_be_written_is_the_operators(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreConfigurationError, match="folder of its own"):
        Folder(tmp_path / "file" / "store")


def test_a_name_below_a_file_is_the_operators(folder):
    folder.create("u/c", b"1")
    with pytest.raises(StoreConfigurationError):
        folder.create("u/c/d", b"2")
    assert not temporary(folder)


def test_a_name_of_a_folder_is_taken(folder):
    folder.create("u/c/d", b"1")
    with pytest.raises(AlreadyExistsError):
        folder.create("u/c", b"2")


def test_a_root_that_lies_too_deep_says_so(folder):
    with pytest.raises(BadNameError, match="too deep"):
        folder.create("/".join(["x" * 250] * 20), b"1")


def test_links_that_somebody_laid_lead_nowhere(folder, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    folder.create("u/c/1", b"1")
    (folder.root / "u/c/2").symlink_to(secret)
    (folder.root / "u/d").symlink_to(tmp_path)
    os.mkfifo(folder.root / "u/c/3")
    assert folder.entries("u/c/") == [("u/c/1", False)]
    assert folder.entries("u/") == [("u/c/", True)]
    for name in ("u/c/2", "u/c/3"):
        with pytest.raises((NotFoundError, TransientStoreError)):
            folder.read(name)


def test_files_that_no_store_put_are_not_listed(folder):
    (folder.root / os.fsdecode(b"bad\xff")).write_bytes(b"")
    (folder.root / "good").write_bytes(b"")
    assert folder.entries("") == [("good", False)]


def test_empty_folders_are_none(folder):
    (folder.root / "u/c/deep").mkdir(parents=True)
    assert not folder.holds_file("u/")
    folder.create("u/c/deep/1", b"1")
    assert folder.holds_file("u/")
    folder.remove("u/c/deep/1")
    assert not (folder.root / "u").exists()
    assert folder.root.is_dir()


def test_a_copy_shares_the_bytes_and_outlives_its_source(folder):
    folder.create("a", b"bytes")
    folder.copy("a", "u/b")
    folder.remove("a")
    assert folder.read("u/b") == b"bytes"


def test_files_that_are_gone_meanwhile_are_left_out_of_a_listing(folder):
    folder.create("a", b"1")
    assert [info.name for info in folder.sizes(["a", "b", "a/c"])] == ["a"]
