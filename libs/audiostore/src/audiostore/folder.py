"""Objects as files below one folder: create-only, durable, never half there. The blocking half of `file://`.

Owns everything under its root: files at exactly `<root>/<name>`, and `<root>/.tmp/` for files being written. Threads and other
processes may work in the same root at once. It does no I/O anywhere else, and never follows a name out of the root.
"""

from __future__ import annotations

import errno
import os
import stat
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

import google_crc32c

from audiostore import file_metadata
from audiostore.errors import (
    AlreadyExistsError,
    BadNameError,
    ChecksumError,
    NotFoundError,
    StoreConfigurationError,
    TransientStoreError,
)
from audiostore.store import MAX_OBJECT_BYTES, ObjectInfo, check_metadata, check_size
from audiostore.threads import under_way

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from audiostore.file_metadata import FileMetadata

TEMPORARY = ".tmp"
_TEMPORARY_FOLDER = f"{TEMPORARY}/"
STALE_SECONDS = 3600  # a temporary file of this age belongs to a process that died: no write takes so long
_READ_BYTES = 1 << 20
_REMEMBERED = 100_000
_CREATE_TRIES = 20  # a folder may be pruned by a delete between its making and the link, but not for ever
_OPERATOR_ERRNOS = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOTSUP, errno.EMLINK, errno.EXDEV}
)

Entries: TypeAlias = list[str]
"""Names below the root, those of folders with a slash at their end, in the order of full names."""


class Folder:
    """A root folder on a file system with hard links. Every method blocks, and raises StoreError only."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._temporary = root / TEMPORARY
        with _translated("open the store in", str(root)):
            self._temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._device = root.stat().st_dev
            self._sweep()
        self._durable: set[Path] = set()
        """Folders of which this process knows that they outlive a crash of the machine."""

    def create(self, name: str, data: bytes, metadata: Mapping[str, str]) -> ObjectInfo:
        """Write a temporary file, check it, make it durable, and only then give it its name. Metadata is kept where the file system has room."""
        crc32c = google_crc32c.value(data)
        temporary = self._temporary / uuid.uuid4().hex
        with _translated("put", name):
            self._require_root("put", name)
            try:
                descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "r+b", buffering=0) as file:
                    _write_all(file.fileno(), data)
                    kept = file_metadata.write(file.fileno(), crc32c, metadata)
                    os.fsync(file.fileno())
                    if _checksum(file.fileno(), len(data)) != crc32c:
                        raise ChecksumError(
                            f"put {name}: what was read back from {self.root} is not what was written"
                        )
                self._link(temporary, name)
            finally:
                # What stays behind is swept at a later start, and cannot be mistaken for an object.
                with suppress(OSError):
                    temporary.unlink()
        return ObjectInfo(name, len(data), crc32c, dict(metadata) if kept else None)

    def copy(self, source: str, target: str) -> ObjectInfo:
        """A second name for the same bytes, with their metadata: files here never change, so they can be shared."""
        info = self.head(source)
        with _translated("copy", f"{source} to {target}"):
            self._link(self._path(source), target)
        return ObjectInfo(target, info.size, info.crc32c, info.metadata)

    def read(self, name: str) -> bytes:
        """The whole file. Raises ChecksumError where it is known what was put, and this is something else."""
        with self._opened("get", name) as (descriptor, status):
            check_size(name, status.st_size)
            told = file_metadata.read(descriptor, status)
            data = _read_exactly(descriptor, status.st_size, name)
        if told is not None and google_crc32c.value(data) != told.crc32c:
            raise ChecksumError(
                f"get {name}: the bytes in {self.root} are not the ones that were put there; the disk may have spoilt them"
            )
        return data

    def read_range(self, name: str, start: int, end: int) -> bytes:
        """Bytes start to end, end excluded; fewer at the end of the file."""
        with self._opened("get a range of", name) as (descriptor, status):
            size = status.st_size
            os.lseek(descriptor, min(start, size), os.SEEK_SET)
            return _read_exactly(descriptor, max(0, min(end, size) - start), name)

    def head(self, name: str) -> ObjectInfo:
        """Size, the checksum of what lies there now, and metadata."""
        with self._opened("look at", name) as (descriptor, status):
            metadata = _given(file_metadata.read(descriptor, status))
            return ObjectInfo(name, status.st_size, _checksum(descriptor, status.st_size), metadata)

    def with_metadata(self, infos: Sequence[ObjectInfo]) -> list[ObjectInfo]:
        """The same, in order, with metadata where the file has it, and is as long as was listed. Raises nothing: a file that is gone has none."""
        root = os.path.join(self.root, "")  # noqa: PTH118 - as in `sizes`
        found = []
        for info in infos:
            told = None
            path = root + info.name
            try:
                status = os.lstat(path)
            except OSError:
                status = None
            if status is not None and status.st_size == info.size and stat.S_ISREG(status.st_mode):
                told = file_metadata.read(path, status)
            # Quicker than `replace`, which asks for each field by name.
            found.append(
                info
                if told is None
                else ObjectInfo(info.name, info.size, info.crc32c, told.metadata, info.claimed, info.file)
            )
        return found

    def remove(self, name: str) -> None:
        """Unlink, durably, and take empty folders away as a bucket would."""
        path = self._path(name)
        with _translated("delete", name):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                self._require_root("delete", name)
                return
            # Gone, too, where another delete has just pruned it: then that one made it durable.
            with suppress(FileNotFoundError):
                _sync_folder(path.parent)
            for folder in path.parents:
                if folder == self.root:
                    return
                self._durable.discard(folder)
                try:
                    folder.rmdir()
                except OSError:  # not empty, or gone already: either way there is nothing left to prune
                    return

    def entries(self, folder: str) -> Entries:
        """What lies in a folder (`""`, or ending with a slash); nothing where there is no such folder."""
        found: Entries = []
        with _translated("list", folder or "the root"):
            try:
                with os.scandir(self.root / folder) as entries:
                    for entry in entries:
                        if entry.is_file(follow_symlinks=False):
                            found.append(folder + entry.name)
                        elif entry.is_dir(follow_symlinks=False):
                            found.append(f"{folder}{entry.name}/")
            except (FileNotFoundError, NotADirectoryError):
                found = []
            if not found:
                self._require_root("list", folder or "the root")
        # A name that is no printable text was not put by a store.
        if not "".join(found).isprintable():
            found = [name for name in found if name.isprintable()]
        if not folder and _TEMPORARY_FOLDER in found:
            found.remove(_TEMPORARY_FOLDER)
        found.sort()
        return found

    def sizes(self, names: list[str]) -> list[ObjectInfo]:
        """What a listing says of these files; those that are gone meanwhile are left out."""
        infos = []
        root = os.path.join(self.root, "")  # noqa: PTH118 - a Path for each of 10,000 names takes longer than looking at them
        with _translated("list", names[0] if names else "nothing"):
            for name in names:
                try:
                    found = os.lstat(root + name)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                file = _identity(found) if found.st_nlink > 1 else None
                infos.append(ObjectInfo(name, found.st_size, None, None, file=file))
        return infos

    def holds_file(self, folder: str) -> bool:
        """True where there is a file at any depth: a folder that a crash left empty is none to a bucket."""
        return any(not name.endswith("/") or self.holds_file(name) for name in self.entries(folder))

    def _require_root(self, doing: str, what: str) -> None:
        """Nothing, if the root is there, with the folder that every store has in it.

        Where it is gone, unmounted most likely, nothing must look as if it had been deleted, and nothing be put below an empty mount point. Where
        only that folder was removed, on the same file system, it is made again.
        """
        if self._temporary.is_dir():
            return
        with suppress(OSError):
            if self.root.stat().st_dev == self._device:
                self._temporary.mkdir(mode=0o700, exist_ok=True)
                return
        raise StoreConfigurationError(
            f"{doing} {what}: the store's folder {self.root} is gone, or another file system lies there; mount it again, "
            f"or make the folder {TEMPORARY} in it if that is where the audio shall go from now on"
        )

    def _path(self, name: str) -> Path:
        return self.root / name

    def _link(self, source: Path, name: str) -> None:
        """Give the file its name, if nobody has it, and make the name durable.

        Raises TransientStoreError where its caller waits no more: whoever gave it up may have swept that name for good since then.
        """
        path = self._path(name)
        for attempt in range(_CREATE_TRIES):
            self._make_folders(path.parent)
            # The last look before it lies there: all that comes before may hang for as long as a disk does.
            if (call := under_way()) is not None and call.given_up:
                raise TransientStoreError(
                    f"put {name} into {self.root}: it took too long, and nobody waits for it any more"
                )
            try:
                os.link(source, path, follow_symlinks=False)
            except FileExistsError as error:
                # Whoever put it may have died, or failed, before the name was durable. Who hears that it is taken relies on it.
                with suppress(FileNotFoundError):
                    _sync_folder(path.parent)
                raise AlreadyExistsError(f"put {name} into {self.root}: the name is taken") from error
            except FileNotFoundError:
                if attempt + 1 == _CREATE_TRIES:
                    raise
            else:
                _sync_folder(path.parent)
                return

    def _make_folders(self, folder: Path) -> None:
        """The folder and its parents, each made durable in its own parent: also one that is there, for whoever made it may have died before that."""
        if folder in self._durable and folder.is_dir():
            return
        above = []
        path = folder
        while path != self.root:
            above.append(path)
            path = path.parent
        # A delete may prune the parent at this very moment: the link then fails, and all is made again.
        with suppress(FileNotFoundError):
            for path in reversed(above):
                with suppress(FileExistsError):
                    path.mkdir(mode=0o700)
                _sync_folder(path.parent)
            if len(self._durable) >= _REMEMBERED:
                self._durable.clear()
            self._durable.add(folder)

    @contextmanager
    def _opened(self, doing: str, name: str) -> Iterator[tuple[int, os.stat_result]]:
        with _translated(doing, name):
            try:
                # A Path for each of a day's objects takes as long as reading their heads.
                descriptor = os.open(
                    f"{self.root}/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
                )
            except (FileNotFoundError, NotADirectoryError) as error:
                self._require_root(doing, name)
                raise NotFoundError(f"{doing} {name} in {self.root}: no such object") from error
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise NotFoundError(f"{doing} {name} in {self.root}: that is no file")
                yield descriptor, status
            finally:
                os.close(descriptor)

    def _sweep(self) -> None:
        """Remove what writers that died left behind."""
        oldest = time.time() - STALE_SECONDS
        for path in self._temporary.iterdir():
            with suppress(FileNotFoundError):  # another process sweeps too
                if path.stat().st_mtime < oldest:
                    path.unlink()


@contextmanager
def _translated(doing: str, what: str) -> Iterator[None]:
    """OSErrors in, StoreErrors out; everything else passes."""
    try:
        yield
    except OSError as error:
        text = f"{doing} {what}: {error.strerror or error}"
        if error.errno == errno.ENAMETOOLONG:
            raise BadNameError(f"{text}; the folder of the store lies too deep") from error
        if error.errno in _OPERATOR_ERRNOS:
            raise StoreConfigurationError(
                f"{text}; the store needs a folder of its own that it may write, on a file system with hard links"
            ) from error
        raise TransientStoreError(
            f"{text}; nothing was left half done, free the disk and it goes on"
        ) from error


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    """What a file has alone among all; with the time of its bytes, for a number is given to another file when it is free."""
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _given(told: FileMetadata | None) -> dict[str, str] | None:
    """All metadata that was put; None where there is none, or what no store takes: this was not written here."""
    try:
        return None if told is None else check_metadata(told.metadata)
    except BadNameError:
        return None


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _checksum(descriptor: int, size: int) -> int:
    """CRC32C of the first `size` bytes of an open file, in pieces."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    crc32c = 0
    while size > 0 and (piece := os.read(descriptor, min(size, _READ_BYTES))):
        crc32c = google_crc32c.extend(crc32c, piece)
        size -= len(piece)
    return int(crc32c)


def _read_exactly(descriptor: int, size: int, name: str) -> bytes:
    """`size` bytes from where the file stands: at most MAX_OBJECT_BYTES, checked by the caller."""
    pieces = []
    missing = min(size, MAX_OBJECT_BYTES)
    while missing > 0:
        piece = os.read(descriptor, min(missing, _READ_BYTES))
        if not piece:
            raise ChecksumError(f"get {name}: the file ended {missing} bytes before its size")
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
