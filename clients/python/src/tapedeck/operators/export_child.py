"""Runs the pusher's export as a child process: what files the bucket would get is the pusher's to know."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tapedeck import ready_file
from tapedeck.commands.terminal import ERR
from tapedeck.errors import OperatorError, SystemNotFoundError
from tapedeck.operators import reach
from tapedeck.operators.spans import length


class Exported(msgspec.Struct, frozen=True):
    """What came of one conversation."""

    conversation: str
    """UID/CID."""
    objects: int = 0
    seconds: float = 0.0
    found: int = 0
    """Of the objects, those that were in the folder already."""
    letters: int = 0
    """Dead letters that were written down as they lie there."""
    unreadable: int = 0
    """Entries that do not parse: they are in no object."""
    deleted: bool = False
    """A tombstone stands: nothing was written."""
    problem: str = ""
    """Why not everything was written."""
    server: str = ""
    """Of a cluster, host:port: a master that does not answer, instead of a conversation."""

    @property
    def tells(self) -> bool:
        """Whether there is anything to tell of it."""
        return bool(self.objects or self.unreadable or self.problem or self.deleted)


def export(
    conversations: list[str] | None,
    directory: Path,
    redis_url: str | None,
    *,
    letters: tuple[str, ...] | None = None,
) -> list[Exported]:
    """Writes buffers (or, where `letters` is given, dead letters: those ids, or all) into a folder.

    Args:
        conversations: `UID/CID` each; None for every one.
        directory: where to.
        redis_url: as the option of that name.
        letters: ids of dead letters; empty for all of them.

    Raises:
        SystemNotFoundError: it is not known where Redis is.
        OperatorError: it did not even begin.
    """
    target = reach.folder(directory)
    address = reach.redis_address(redis_url)
    environ = {**os.environ, **_key_of_up(os.environ, address), "TAPEDECK_REDIS_URL": address}
    command = [sys.executable, "-P", "-m", "pusher.export", "--directory", str(target)]
    if letters is not None:
        command.append("--dead")
        command += [f"--id={one}" for one in letters]
    command += ["--all"] if conversations is None else ["--", *conversations]
    found: list[Exported] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with (
        Progress(*columns, console=ERR, disable=not ERR.is_terminal, transient=True) as progress,
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as child,  # noqa: S603 - our own module
    ):
        task = progress.add_task("exporting", total=None)
        for line in child.stdout or ():
            found.append(msgspec.json.decode(line, type=Exported))
            seconds = sum(one.seconds for one in found)
            progress.update(task, description=f"{len(found)} conversations, {length(seconds)} written")
    if child.returncode and not any(one.problem for one in found):
        raise OperatorError(
            f"the export ended with exit code {child.returncode}",
            hint="what it said stands above; what was written so far is whole",
        )
    return found


def _key_of_up(environ: Mapping[str, str], redis_url: str) -> dict[str, str]:
    """The ring that `tapedeck up` made, where the environment gives none and what is exported is that system's: what another one has would be sealed with a key that it does not know."""
    given = any(environ.get(name) for name in ("TAPEDECK_ENCRYPTION_KEYS", "TAPEDECK_ENCRYPTION_KEYS_FILE"))
    try:
        ready = ready_file.read(ready_file.chosen_path())
    except SystemNotFoundError:
        return {}
    ours = ready.encryption_keys_file and ready.redis == redis_url and not given
    return {"TAPEDECK_ENCRYPTION_KEYS_FILE": ready.encryption_keys_file} if ours else {}
