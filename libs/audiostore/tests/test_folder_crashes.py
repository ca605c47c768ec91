"""What is durable in a folder when a writer is killed, or the disk fails, between a name and the sync of its folder."""

import errno
import os
from pathlib import Path

import pytest

from audiostore.errors import AlreadyExistsError, TransientStoreError
from audiostore.folder import Folder

NAME = "chunks/u/c/1.000-2.000.batch.bin"
ABOVE = ("", "chunks", "chunks/u", "chunks/u/c")


class Killed(BaseException):
    """The process was killed here."""


class Disk:
    """Which folders were synced since they last changed by what this process did; it fails at the n-th sync of a folder."""

    def __init__(self, monkeypatch, root: Path) -> None:
        self.synced: list[str] = []
        self.fails_at: dict[int, BaseException] = {}
        self._root = root
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_dir():
            if error := self.fails_at.pop(len(self.synced), None):
                raise error
            self.synced.append("" if path == self._root else str(path.relative_to(self._root)))
        self._fsync(descriptor)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def disk(monkeypatch, root):
    Folder(root)
    return Disk(monkeypatch, root)


@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize(
    "error", [Killed(), OSError(errno.EIO, "Input/output error")], ids=["killed", "broken"]
)
def test_whoever_hears_that_a_name_is_there_or_taken_can_rely_on_it(*, root, disk, step, error):
    disk.fails_at[step] = error
    with pytest.raises((Killed, TransientStoreError)):
        Folder(root).create(NAME, b"audio", {})
    disk.synced.clear()
    another = Folder(root)
    try:
        another.create(NAME, b"audio", {})
    except AlreadyExistsError:
        assert step == len(ABOVE) - 1
    assert set(disk.synced) == set(ABOVE)
    assert another.read(NAME) == b"audio"


def test_a_folder_that_is_known_costs_one_sync(root, disk):
    folder = Folder(root)
    folder.create(NAME, b"audio", {})
    disk.synced.clear()
    folder.create("chunks/u/c/2.000-3.000.batch.bin", b"audio", {})
    assert disk.synced == ["chunks/u/c"]


def test_a_folder_that_was_pruned_is_made_durable_again(root, disk):
    folder = Folder(root)
    folder.create(NAME, b"audio", {})
    folder.remove(NAME)
    disk.synced.clear()
    folder.create(NAME, b"audio", {})
    assert set(disk.synced) == set(ABOVE)
