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
    folder.create("chunks/u/c/1.000-2.000.batch.bin", b"OggS", {})
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
        folder.create("u/c/large", bytes(100_000), {})
    assert caught.value.retryable
    assert not temporary(folder)
    assert not (folder.root / "u").exists()
    folder.create("u/c/small", bytes(1000), {})


def test_writes_that_take_a_part_are_gone_on_with(folder, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    data = bytes(range(100))
    folder.create("a", data, {})
    assert folder.read("a") == data


WRITER = """
import sys
from pathlib import Path
from audiostore.folder import Folder
folder = Folder(Path(sys.argv[1]))
for number in range(1_000_000):
    folder.create(f"u/c/{number:07d}", number.to_bytes(4, "big") * 50_000, {})
"""


def test_a_writer_that_is_killed_leaves_only_whole_objects(folder):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder.root)])
    try:
        deadline = time.monotonic() + 30
        while len(folder.entries("u/c/")) < 20:
            assert time.monotonic() < deadline
    finally:
        writer.kill()
        writer.wait(60)
    for name in folder.entries("u/c/"):
        assert folder.read(name) == int(Path(name).name).to_bytes(4, "big") * 50_000
    assert folder.entries("") == ["u/"]


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
    folder.create("u/c", b"1", {})
    with pytest.raises(StoreConfigurationError):
        folder.create("u/c/d", b"2", {})
    assert not temporary(folder)


def test_a_name_of_a_folder_is_taken(folder):
    folder.create("u/c/d", b"1", {})
    with pytest.raises(AlreadyExistsError):
        folder.create("u/c", b"2", {})


def test_a_root_that_lies_too_deep_says_so(folder):
    with pytest.raises(BadNameError, match="too deep"):
        folder.create("/".join(["x" * 250] * 20), b"1", {})


def test_links_that_somebody_laid_lead_nowhere(folder, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    folder.create("u/c/1", b"1", {})
    (folder.root / "u/c/2").symlink_to(secret)
    (folder.root / "u/d").symlink_to(tmp_path)
    os.mkfifo(folder.root / "u/c/3")
    assert folder.entries("u/c/") == ["u/c/1"]
    assert folder.entries("u/") == ["u/c/"]
    for name in ("u/c/2", "u/c/3"):
        with pytest.raises((NotFoundError, TransientStoreError)):
            folder.read(name)


def test_files_that_no_store_put_are_not_listed(folder):
    (folder.root / os.fsdecode(b"bad\xff")).write_bytes(b"")
    (folder.root / "good").write_bytes(b"")
    assert folder.entries("") == ["good"]


def test_empty_folders_are_none(folder):
    (folder.root / "u/c/deep").mkdir(parents=True)
    assert not folder.holds_file("u/")
    folder.create("u/c/deep/1", b"1", {})
    assert folder.holds_file("u/")
    folder.remove("u/c/deep/1")
    assert not (folder.root / "u").exists()
    assert folder.root.is_dir()


def test_a_copy_shares_the_bytes_and_outlives_its_source(folder):
    folder.create("a", b"bytes", {})
    folder.copy("a", "u/b")
    folder.remove("a")
    assert folder.read("u/b") == b"bytes"


def test_a_listing_tells_which_names_are_of_one_file(folder):
    for name in ("a", "b"):
        folder.create(name, b"bytes", {})
    alone = folder.sizes(["a"])[0]
    assert alone.file is None
    for name in ("a", "b"):
        folder.copy(name, f"u/{name}")
    one, other, copy, other_copy = (info.file for info in folder.sizes(["a", "b", "u/a", "u/b"]))
    assert one == copy != other == other_copy
    # The number of a file that is gone is given to another one, which was written at another time.
    os.utime(folder.root / "u/a", ns=(1, 1))
    assert folder.sizes(["u/a"])[0].file not in (None, copy)


def test_files_that_are_gone_meanwhile_are_left_out_of_a_listing(folder):
    folder.create("a", b"1", {})
    assert [info.name for info in folder.sizes(["a", "b", "a/c"])] == ["a"]


def every_call(folder):
    """Each method, as a call that needs the root."""
    return {
        "create": lambda: folder.create("u/c/new", b"1", {}),
        "read": lambda: folder.read("u/c/one"),
        "read_range": lambda: folder.read_range("u/c/one", 0, 1),
        "head": lambda: folder.head("u/c/one"),
        "copy": lambda: folder.copy("u/c/one", "u/c/two"),
        "remove": lambda: folder.remove("u/c/one"),
        "entries": lambda: folder.entries("u/c/"),
        "root": lambda: folder.entries(""),
    }


@pytest.mark.parametrize(
    "call", ["create", "read", "read_range", "head", "copy", "remove", "entries", "root"]
)
def test_a_root_that_is_gone_is_no_empty_store(folder, call):
    """Nothing looks deleted, nothing counts as deleted, and nothing is put where the disk was."""
    folder.create("u/c/one", b"1", {})
    away = folder.root.rename(folder.root.with_name("unmounted"))
    with pytest.raises(StoreConfigurationError, match="is gone"):
        every_call(folder)[call]()
    assert not folder.root.exists()
    away.rename(folder.root)
    assert folder.read("u/c/one") == b"1"
    folder.create("u/c/new", b"1", {})


def test_a_root_that_was_emptied_by_hand_goes_on(folder):
    """The same file system: somebody removed everything. Nothing else can be meant than an empty store."""
    folder.create("u/c/one", b"1", {})
    away = folder.root.rename(folder.root.with_name("old"))
    folder.root.mkdir()
    assert folder.entries("") == []
    with pytest.raises(NotFoundError):
        folder.read("u/c/one")
    folder.create("u/c/one", b"2", {})
    assert folder.read("u/c/one") == b"2"
    assert (away / "u/c/one").read_bytes() == b"1"


DISK = """
import subprocess, sys
from pathlib import Path
from audiostore.errors import StoreError
from audiostore.folder import Folder

root = Path(sys.argv[1])
def mount(*how): subprocess.run(["mount", *how, str(root)], check=True)
def tried(call):
    try:
        call()
    except StoreError as error:
        print(type(error).__name__, error.retryable)
    else:
        print("worked")

mount("-t", "tmpfs", "-o", "size=256k", "tmpfs")
folder = Folder(root)
folder.create("u/c/small", bytes(1000), {})
tried(lambda: folder.create("u/c/large", bytes(400_000), {}))         # full
folder.create("u/c/fits", bytes(100_000), {})                         # nothing was left behind
mount("-o", "remount,ro")
tried(lambda: folder.create("u/c/new", b"1", {}))                     # read-only
tried(lambda: folder.remove("u/c/small"))
print(len(folder.read("u/c/small")))
mount("-o", "remount,rw")
tried(lambda: folder.create("u/c/new", b"1", {}))
subprocess.run(["umount", str(root)], check=True)
tried(lambda: folder.create("u/c/other", b"1", {}))                   # gone: an empty mount point
tried(lambda: folder.entries(""))
tried(lambda: folder.remove("u/c/small"))
print(sorted(path.name for path in root.iterdir()))
"""


def test_a_real_disk_that_is_full_read_only_and_gone(tmp_path):
    """A small file system of memory, in a mount namespace of its own."""
    root = tmp_path / "disk"
    root.mkdir()
    space = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        possible = subprocess.run(
            [*space, "mount", "-t", "tmpfs", "tmpfs", str(root)], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if possible.returncode:
        pytest.skip("mount namespaces are not allowed here")
    done = subprocess.run(
        [*space, sys.executable, "-c", DISK, str(root)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout.split("\n")) == (
        0,
        [
            "TransientStoreError True",
            "StoreConfigurationError False",
            "StoreConfigurationError False",
            "1000",
            "worked",
            "StoreConfigurationError False",
            "StoreConfigurationError False",
            "StoreConfigurationError False",
            "[]",
            "",
        ],
    ), done.stderr
