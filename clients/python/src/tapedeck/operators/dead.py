"""`tapedeck dead`: what could not be stored, and what becomes of it."""

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

from tapedeck.commands.confirming import YesOption, confirm
from tapedeck.commands.terminal import ERR, FAILED, OUT, JsonOption, print_json, print_result, print_table
from tapedeck.errors import NoSuchThingError, OperatorError, UsageError
from tapedeck.operators import reach
from tapedeck.operators.buffers import FolderArgument, TimeoutOption, name_away, name_strange
from tapedeck.operators.export_child import export as run_export
from tapedeck.operators.reach import ConversationArgument, RedisOption
from tapedeck.operators.spans import length, several

if TYPE_CHECKING:
    from audiobus.masters import Away, Strange
    from tapedeck.operators.letters import DeadLetter
    from tapedeck.operators.retrying import Retried, Retry

app = typer.Typer(help="Dead letters: entries that cannot be stored, with their audio.", no_args_is_help=True)

IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[ID]...", help="Of letters, as `list` shows them; else all.")
]
NO_LETTER = "no, and it never will be: it is no dead letter; `tapedeck dead drop` takes it away"
NO_SUCH_HINT = "`tapedeck dead list` shows what there is"


@app.command("list")
def list_letters(
    conversation: Annotated[
        str | None, typer.Argument(metavar="[UID/CID]", help="Of this conversation only.")
    ] = None,
    *,
    redis_url: RedisOption = None,
    json: JsonOption = False,
) -> None:
    """Show the dead letters, with the reasons."""
    found, away = asyncio.run(_letters(redis_url, conversation, must_be_known=True))
    strange = asyncio.run(_strange(redis_url)) if conversation is None else ()
    if json:
        seconds = sum(one.seconds for one in found)
        print_json({"dead_letters": found, "seconds": seconds, "away": away, "strange": strange})
        if away:
            raise typer.Exit(FAILED)
        return
    rows = [
        [
            one.conversation,
            one.id,
            f"{one.seconds:.3f}",
            one.buried_at or "?",
            one.reason if not one.state else f"{one.reason} ({one.state})",
        ]
        for one in found
    ]
    columns = ["conversation", "id", "seconds", "since", "reason"]
    print_table(columns, rows, empty="no dead letters are seen" if away else "there are no dead letters")
    name_strange(strange)
    name_away(away, "what it holds is not shown")


@app.command()
def show(
    conversation: ConversationArgument,
    id_: Annotated[str | None, typer.Argument(metavar="[ID]", help="Of a letter; else all.")] = None,
    *,
    redis_url: RedisOption = None,
    json: JsonOption = False,
) -> None:
    """Show all that is known of dead letters of a conversation."""
    found, _ = asyncio.run(_letters(redis_url, conversation))
    shown = [one for one in found if id_ in (None, one.id)]
    if not shown:
        raise _no_such(conversation, [id_] if id_ else [])
    if json:
        print_json({"dead_letters": shown})
        return
    for number, one in enumerate(shown):
        rows = [
            ["letter", f"{one.conversation} {one.id}"],
            ["since", one.buried_at],
            ["reason", one.reason],
            [
                "audio",
                f"{length(one.seconds)}, {one.bytes} bytes{f', from {one.start}' if one.start else ''}",
            ],
            ["readable now", "yes: try it again" if one.parses else "no" if one.is_letter else NO_LETTER],
            ["second try", one.state or "never asked for"],
        ]
        if number:
            OUT.print()
        for name, value in rows:
            OUT.print(f"{name:<14}{value}", markup=False, highlight=False)


@app.command()
def retry(
    conversation: Annotated[
        str | None, typer.Argument(metavar="[UID/CID]", help="Whose letters; else --all.")
    ] = None,
    ids: IdsArgument = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every dead letter there is.")] = False,
    timeout: TimeoutOption = 300,
    redis_url: RedisOption = None,
    json: JsonOption = False,
) -> None:
    """Have dead letters tried again, and wait for it. Exit code 1 where one is still not stored, or lost."""
    if (conversation is None) != everything:
        raise UsageError(
            "it is not said which letters", hint="name a conversation, or give --all and no conversation"
        )
    retried = asyncio.run(_retry(redis_url, conversation, ids or [], timeout or None))
    if json:
        print_json(retried)
    else:
        _tell(retried)
    if retried.failed or retried.waiting or retried.lost or retried.not_asked or retried.away:
        raise typer.Exit(FAILED)


@app.command("export")
def export(
    conversation: ConversationArgument,
    directory: FolderArgument,
    ids: IdsArgument = None,
    *,
    redis_url: RedisOption = None,
    json: JsonOption = False,
) -> None:
    """Write dead letters to a folder: as they lie there, and as audio files where they can be read. Nothing leaves Redis."""
    one = reach.conversation(conversation)
    there, _ = asyncio.run(_letters(redis_url, conversation))
    missing = sorted(set(ids or ()) - {letter.id for letter in there})
    if missing or not there:
        raise _no_such(conversation, missing)
    exported = run_export([one.tag], directory, redis_url, letters=tuple(ids or ()))
    problems = [found.problem for found in exported if found.problem]
    if json:
        print_json({"directory": str(directory), "conversations": exported})
    else:
        rows = [
            [
                found.conversation,
                f"{found.seconds:.3f}",
                str(found.objects),
                str(found.letters),
                found.problem,
            ]
            for found in exported
        ]
        print_table(["conversation", "seconds", "objects", "letters", ""], rows, empty="nothing was written")
    if problems:
        raise typer.Exit(FAILED)


@app.command()
def drop(
    conversation: ConversationArgument,
    ids: IdsArgument = None,
    *,
    yes: YesOption = False,
    redis_url: RedisOption = None,
    json: JsonOption = False,
) -> None:
    """Delete dead letters, with their audio, for good. `stored` goes on past them."""
    found, _ = asyncio.run(_letters(redis_url, conversation))
    there = {one.id: one for one in found}
    wanted = list(dict.fromkeys(ids)) if ids else list(there)
    missing = [one for one in wanted if one not in there]
    if missing or not wanted:
        raise _no_such(conversation, missing)
    seconds = sum(there[one].seconds for one in wanted)
    letters = several(len(wanted), "dead letter", "dead letters")
    confirm(f"Delete {letters} of {conversation}, {length(seconds)} of audio, for good?", yes=yes)
    dropped, samples = asyncio.run(_drop(redis_url, conversation, [there[one] for one in wanted]))
    if json:
        print_json({"dropped": dropped, "seconds": samples / 48_000})
    else:
        print_result(f"{dropped} deleted, {length(samples / 48_000)}")


def _tell(retried: "Retried") -> None:
    """What came of another try, for people."""
    if not retried.asked and not retried.not_asked and not retried.away:
        ERR.print("there are no dead letters", markup=False)
        return
    deleted = f", {retried.deleted} deleted meanwhile" if retried.deleted else ""
    print_result(f"{retried.stored} stored, {retried.failed} failed{deleted}")
    if retried.failed:
        ERR.print("`tapedeck dead list` says why.", style="red", markup=False)
    if retried.lost:
        lost = several(retried.lost, "letter is", "letters are")
        ERR.print(f"{lost} gone, and the books do not say where", style="red", markup=False)
    if retried.waiting:
        ERR.print(
            f"{retried.waiting} wait still, and go on without this command. `tapedeck dead list` says what is in the way; "
            "is a pusher at work?",
            style="red",
            markup=False,
        )
    for one in retried.not_asked:
        ERR.print(f"not tried: {one}", style="red", markup=False, highlight=False)
    if retried.problem:
        ERR.print(f"Redis does not answer: {retried.problem}", style="red", markup=False)
    name_away(retried.away, "what it holds was not tried")


def _no_such(conversation: str, ids: list[str]) -> NoSuchThingError:
    which = f"no dead letter {', '.join(ids)}" if ids else "no dead letters"
    return NoSuchThingError(f"{conversation} has {which}", hint=NO_SUCH_HINT)


async def _letters(
    redis_url: str | None, conversation: str | None, *, must_be_known: bool = False
) -> "tuple[list[DeadLetter], tuple[Away, ...]]":
    from audiobus.masters import Masters  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.letters import dead  # noqa: PLC0415 - not needed for --help

    one = reach.conversation(conversation) if conversation is not None else None
    async with reach.redis(redis_url) as bus:
        masters = Masters(bus)
        found = await dead(masters, one)
        if one is not None and not found and must_be_known:
            await reach.must_be_known(bus, one)
        return found, masters.away


async def _strange(redis_url: str | None) -> "tuple[Strange, ...]":
    from audiobus.masters import Masters  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.strange_keys import find_letters  # noqa: PLC0415 - not needed for --help

    async with reach.redis(redis_url) as bus:
        return await find_letters(Masters(bus))


async def _retry(
    redis_url: str | None, conversation: str | None, ids: list[str], within_s: float | None
) -> "Retried":
    from audiobus import Conversation  # noqa: PLC0415 - see the package
    from audiobus.masters import Masters  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.letters import dead  # noqa: PLC0415 - not needed for --help
    from tapedeck.operators.retrying import Retry  # noqa: PLC0415 - not needed for --help

    one = reach.conversation(conversation) if conversation is not None else None
    async with reach.redis(redis_url) as bus:
        masters = Masters(bus)
        retry = Retry(masters)
        found = await dead(masters, one)
        known = {(letter.conversation, letter.id) for letter in found}
        missing = [id_ for id_ in ids if (conversation, id_) not in known]
        if missing or (conversation is not None and not found):
            raise _no_such(conversation or "", missing)
        for letter in found:
            if not ids or letter.id in ids:
                whose = Conversation.from_tag(letter.conversation)
                if letter.is_letter:
                    await retry.ask(whose, letter)
                else:
                    retry.leave(whose, letter.id, letter.reason)
        with ERR.status("trying again") as status:

            def seen(now: "Retry") -> None:
                status.update(f"{now.stored} stored, {now.failed} failed, {now.waiting} waiting")

            if not ERR.is_terminal:
                status.stop()
            return await retry.wait(within_s, seen)


async def _drop(redis_url: str | None, conversation: str, letters: "list[DeadLetter]") -> tuple[int, int]:
    """How many are deleted, and their audio in samples at 48 kHz."""
    from audiobus import EntryId  # noqa: PLC0415 - see the package
    from audiobus.dead_fields import discard_field  # noqa: PLC0415 - see the package
    from audiobus.deletions import discard  # noqa: PLC0415 - see the package
    from audiobus.errors import BadEntryError  # noqa: PLC0415 - see the package

    one = reach.conversation(conversation)
    dropped = total = 0
    async with reach.redis(redis_url) as bus:
        # Those that cannot be read first: beside one it cannot be told where `stored` goes on after the others.
        for letter in sorted(letters, key=lambda each: each.is_letter):
            now_ms = time.time_ns() // 1_000_000
            try:
                if letter.is_letter:
                    samples = await discard(bus, one, EntryId.parse(letter.id), now_ms)
                else:
                    samples = await discard_field(bus, one, letter.id, now_ms)
            except BadEntryError as error:
                raise OperatorError(
                    f"{letter.id} is not deleted: beside it lies what cannot be read ({error})",
                    hint="delete that first, or all of them: name no letter",
                ) from error
            dropped += samples is not None
            total += samples or 0
    return dropped, total
