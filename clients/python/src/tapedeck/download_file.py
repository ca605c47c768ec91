"""A download into a file, which can be taken up again by a later run. Plans only.

What has come lies in `….part`, and beside it in `….part.etag` what it was a part of. The file itself appears whole, or not at all.
One download at a time holds the part: another of the same file is refused. That takes locks of POSIX; elsewhere audio can be streamed.
"""

import os
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from tapedeck.errors import TargetFileError
from tapedeck.storage.audio import AudioFacts, Wanted
from tapedeck.storage.caller import Caller
from tapedeck.storage.collecting import Progress, collect
from tapedeck.storage.plan import Plan, on_disk


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file that is whole."""

    path: Path
    bytes: int
    facts: AudioFacts


@dataclass(frozen=True, slots=True)
class ToFile:
    """The job of getting audio into a file."""

    wanted: Wanted
    target: Path
    progress: Progress | None

    def plan(self, caller: Caller) -> Plan[Downloaded]:
        """All of it; what an earlier run left is gone on with where the server allows it. Raises StorageError."""
        query = sorted(self.wanted.audio.query())
        names = f"{caller.base_url}/{self.wanted.uid}/{self.wanted.conversation_id}?{query}"
        try:
            part = yield from on_disk(lambda: PartFile(self.target, names))
        except OSError as error:
            raise _unwritable(self.target, error) from error
        try:
            earlier = yield from on_disk(part.earlier)
            facts = yield from collect(caller, self.wanted, part, self.progress, earlier)
            size = yield from on_disk(part.finish)
        except OSError as error:
            raise _unwritable(self.target, error) from error
        finally:
            part.close()
        return Downloaded(self.target, size, facts)


class PartFile:
    """What has come so far, held by one download."""

    def __init__(self, target: Path, names: str) -> None:
        """`names`: what is downloaded. Raises TargetFileError where another download has it, OSError."""
        self._target = target
        self._path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.etag")
        self._names = names.replace("\n", "%0A")
        if target.is_dir():
            raise TargetFileError(f"{target} is a folder", hint="name a file in it")
        self._file = self._hold()

    def earlier(self) -> tuple[int, str] | None:
        """How much an earlier run left of the same, and its ETag. Raises OSError."""
        try:
            names, _, etag = self._note.read_text("utf-8").partition("\n")
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        size = os.fstat(self._file.fileno()).st_size
        return (size, etag) if size and etag and names == self._names else None

    def start(self, offset: int, facts: AudioFacts) -> Plan[None]:
        """What comes next lies at `offset`. Raises OSError."""
        yield from on_disk(lambda: self._start(offset, facts.etag))

    def write(self, part: bytes) -> Plan[None]:
        """What comes next. Raises OSError."""
        yield from on_disk(lambda: self._write(part))

    def finish(self) -> int:
        """Give it its name: bytes. Raises OSError."""
        os.fsync(self._file.fileno())  # before the name: or a power cut leaves half a file under it
        size = os.fstat(self._file.fileno()).st_size
        self._path.replace(self._target)
        self._note.unlink(missing_ok=True)
        return size

    def close(self) -> None:
        """Let go of it."""
        self._file.close()

    def _hold(self) -> FileIO:
        try:
            import fcntl  # noqa: PLC0415 - without it everything but this works
        except ImportError as error:
            raise TargetFileError(
                f"{self._target} can't be written: this system has no file locks of POSIX",
                hint="use audio or stream_audio, and write what comes",
            ) from error
        while True:
            file = FileIO(self._path, "a+")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_there(file):
                    return file
            except BlockingIOError as error:
                file.close()
                raise TargetFileError(
                    f"another download writes {self._target}", hint="wait for it, or name another file"
                ) from error
            except BaseException:
                file.close()
                raise
            file.close()  # it was finished, and renamed, between the opening and the lock

    def _is_there(self, file: FileIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def _start(self, offset: int, etag: str | None) -> None:
        self._note.unlink(missing_ok=True)  # first: a part without a note is never gone on with
        self._file.truncate(offset)  # it is open for appending: what is written next goes there
        if etag is not None:
            self._note.write_text(f"{self._names}\n{etag}", "utf-8")

    def _write(self, part: bytes) -> None:
        left = memoryview(part)
        while left:
            left = left[self._file.write(left) or 0 :]


def _unwritable(target: Path, error: OSError) -> TargetFileError:
    return TargetFileError(
        f"{target} can't be written: {error.strerror or error}",
        hint="name a file in a folder that is there, has room, and can be written to",
    )
