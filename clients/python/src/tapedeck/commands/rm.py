"""`tapedeck rm`."""

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from tapedeck.commands.confirming import YesOption, confirm
from tapedeck.commands.operating import Numbers, TimeoutOption, WaitOption, busy, follow
from tapedeck.commands.terminal import (
    ERR,
    FAILED,
    JsonOption,
    TokenOption,
    UrlOption,
    UserOption,
    print_json,
    print_result,
    print_table,
    report,
)
from tapedeck.commands.times import typed_time
from tapedeck.errors import ConflictError, NotFoundError, StorageError, UsageError
from tapedeck.operators.spans import length, several
from tapedeck.storage_types import Deleted
from tapedeck.system import System

if TYPE_CHECKING:
    from tapedeck import StorageClient


class _Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of one conversation: what was deleted, or why nothing was."""

    conversation_id: str
    deleted_objects: int | None = None
    deleted_seconds: float | None = None
    code: str | None = None
    detail: str | None = None


def rm(  # noqa: PLR0913 - options of a command
    *,
    conversations: Annotated[list[str] | None, typer.Argument(help="Which ones.")] = None,
    timestamps: Annotated[
        list[str] | None,
        typer.Option(
            help="Only the chunks of one conversation that begin at these times, or hold them: RFC 3339 or unix seconds,"
            " with commas between them or given again.",
        ),
    ] = None,
    all_of_user: Annotated[
        bool,
        typer.Option(
            "--all-of-user",
            help="Everything that the user recorded up to now; it takes ten minutes to be sure of.",
        ),
    ] = False,
    yes: YesOption = False,
    wait: WaitOption = True,
    timeout: TimeoutOption = 0,
    user: UserOption = None,
    url: UrlOption = None,
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Delete conversations for good; or chunks of one, or everything of a user."""
    from tapedeck.commands.storage import conversation_names, storage_client  # noqa: PLC0415 - not needed for --help

    wanted = conversation_names(conversations or [])
    _check(wanted, timestamps, all_of_user=all_of_user, wait=wait, timeout_s=timeout)
    system = System(url, token, user)
    if all_of_user and system.told_uid is None:
        raise UsageError(
            "--all-of-user deletes everything of somebody, and nobody is named",
            hint="name the user with --user; only the token of a user says it by itself",
        )
    with storage_client(system) as client:
        if all_of_user:
            confirm(f"Delete everything that {system.uid} recorded up to now, for good?", yes=yes)
            _everything(client, system.uid, wait=wait, timeout_s=timeout, json=json)
        elif timestamps:
            times = ",".join(timestamps)
            confirm(f"Delete the chunks at {times} of {wanted[0]} of {system.uid} for good?", yes=yes)
            with busy(f"deleting chunks of {wanted[0]}"):
                deleted = client.delete_chunks(system.uid, wanted[0], timestamps)
            print_deleted(deleted, json=json)
        else:
            confirm(f"Delete {', '.join(wanted)} of {system.uid} for good?", yes=yes)
            _conversations(client, system.uid, wanted, json=json)


def print_deleted(deleted: Deleted, *, json: bool) -> None:
    """What a part of a conversation came to."""
    if json:
        print_json(deleted)
    elif not deleted.deleted_objects and not deleted.deleted_seconds:
        ERR.print("there was nothing of that time (any more)", markup=False)
    else:
        print_result(f"{length(deleted.deleted_seconds)} deleted")


def _check(
    wanted: list[str], timestamps: list[str] | None, *, all_of_user: bool, wait: bool, timeout_s: float
) -> None:
    """Raises UsageError for what can't be meant together."""
    if all_of_user and (wanted or timestamps):
        raise UsageError("--all-of-user is everything: it takes no conversations and no times")
    if not all_of_user and not wanted:
        raise UsageError(
            "nothing is named that is to be deleted",
            hint="name conversations (`tapedeck ls` shows them), or give --all-of-user",
        )
    if timestamps is not None and (len(wanted) != 1 or not any(one.strip(", ") for one in timestamps)):
        raise UsageError(
            "--timestamps needs times, and the one conversation that they are of",
            hint="`tapedeck ls CONVERSATION` shows when its chunks begin",
        )
    for one in ",".join(timestamps or ()).split(","):
        if one.strip():
            typed_time(one.strip())
    if not all_of_user and (not wait or timeout_s):
        raise UsageError(
            "--no-wait and --timeout belong to --all-of-user: all else is deleted when it is answered"
        )


def _everything(client: "StorageClient", uid: str, *, wait: bool, timeout_s: float, json: bool) -> None:
    operation = client.delete_user_audio(uid)

    def told(result: Numbers) -> str:
        kept = [
            f"; {result[name]} {what} kept, which nobody can read or which hold later audio"
            for name, what in (("kept_objects", "objects"), ("kept_dead_letters", "dead letters"))
            if result.get(name)
        ]
        objects = several(int(result.get("deleted_objects", 0)), "object", "objects")
        return f"{objects}, {length(float(result.get('deleted_seconds', 0)))} deleted{''.join(kept)}"

    later = f"GET /v1/operations/{operation.id} tells when it is done"
    follow(client, operation, told, wait=wait, timeout_s=timeout_s, later=later, json=json)


def _conversations(client: "StorageClient", uid: str, wanted: list[str], *, json: bool) -> None:
    """One after another: what is not there, or is held by a merge, keeps none of the others. What was deleted is told however it ends."""
    outcomes: list[_Outcome] = []
    codes: list[int] = []
    left = list(wanted)
    try:
        with busy("") as show:
            while left:
                show(f"deleting {left[0]} ({len(wanted) - len(left) + 1} of {len(wanted)})")
                try:
                    deleted = client.delete_conversation(uid, left[0])
                except StorageError as error:
                    conversation_id = left.pop(0)
                    code, detail = error.code or type(error).__name__, error.detail or str(error)
                    outcomes.append(_Outcome(conversation_id, code=code, detail=detail))
                    error.args = (f"{conversation_id}: {error}",)
                    codes.append(report(error))
                    if not isinstance(error, (NotFoundError, ConflictError)):
                        break
                else:
                    outcomes.append(_Outcome(left.pop(0), deleted.deleted_objects, deleted.deleted_seconds))
    except BaseException:  # Ctrl-C above all
        if left:
            under_way, *left = left
            detail = "broken off: it is not known whether it is deleted"
            outcomes.append(_Outcome(under_way, code="not_known", detail=detail))
            ERR.print(f"{under_way}: {detail}", markup=False, highlight=False)
        raise
    finally:
        if left:
            ERR.print(f"not asked for: {', '.join(left)}", markup=False, highlight=False)
        _print_outcomes(uid, outcomes, json=json)
    if codes:
        raise typer.Exit(codes[0] if len(set(codes)) == 1 else FAILED)


def _print_outcomes(uid: str, outcomes: list[_Outcome], *, json: bool) -> None:
    if json:
        objects = sum(one.deleted_objects or 0 for one in outcomes)
        seconds = sum(one.deleted_seconds or 0 for one in outcomes)
        print_json(
            {
                "user": uid,
                "deleted_objects": objects,
                "deleted_seconds": seconds,
                "conversations": outcomes,
            }
        )
    elif rows := [
        [one.conversation_id, str(one.deleted_objects), f"{one.deleted_seconds:.1f}"]
        for one in outcomes
        if one.code is None
    ]:
        print_table(["deleted", "objects", "seconds"], rows, empty="")
