"""`tapedeck keys`: what an operator does with the ring of keys that objects are sealed with."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tapedeck import ready_file, sealing_key
from tapedeck.commands.terminal import ERR, FAILED, JsonOption, print_json, print_table
from tapedeck.errors import BucketError, KeysError, SystemNotFoundError
from tapedeck.operators import reach

if TYPE_CHECKING:
    from audiostore.key_ring import KeyRing
    from tapedeck.operators.key_report import Report
    from tapedeck.operators.key_usage import KeyUsage

app = typer.Typer(help="The keys that objects are sealed with.", no_args_is_help=True)

RING_HINT = "set TAPEDECK_ENCRYPTION_KEYS or TAPEDECK_ENCRYPTION_KEYS_FILE as the services have it"


@app.command()
def check(
    *,
    store: Annotated[
        str | None,
        typer.Option(envvar="TAPEDECK_STORE_URL", help="The bucket; else the one of the ready file."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say which keys the bucket still needs. Exit code 1 where the ring lacks one of them."""
    from tapedeck.operators.key_report import report  # noqa: PLC0415 - not needed for --help

    keys = at_hand(os.environ)
    usage = _usage(reach.usable(_store_url(store)))
    found = report(usage, keys.ring, older_secret=bool(keys.legacy_secret))
    if json:
        print_json(found)
    else:
        _show(found)
    if not found.ok:
        raise typer.Exit(FAILED)


@app.command()
def new(
    *,
    key_id: Annotated[
        str | None, typer.Option("--id", help="Its id; else one is made from the date.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print a fresh entry of the ring. Put it first, and it seals from then on."""
    from audiostore.key_ring import MAX_KEY_ID_BYTES, valid_key_id  # noqa: PLC0415 - see the package

    if key_id is None:
        key_id = sealing_key.new_id()
    if not valid_key_id(key_id):
        raise KeysError(
            "a key cannot have this id",
            hint=f"use 1 to {MAX_KEY_ID_BYTES} printable ASCII characters, no comma, colon or space",
        )
    entry = sealing_key.new_entry(key_id)
    if json:
        print_json({"id": key_id, "entry": entry})
    else:
        typer.echo(entry)


def _store_url(given: str | None) -> str:
    """Raises SystemNotFoundError, BucketError."""
    url = given or ready_file.read(ready_file.chosen_path()).store
    if url == "memory:":
        raise BucketError(
            "a store in memory cannot be seen from outside", hint="say which bucket with --store"
        )
    return url


@dataclass(frozen=True, slots=True)
class KeysAtHand:
    """What opens sealed objects."""

    ring: "KeyRing" = field(repr=False)
    legacy_secret: str = field(repr=False)
    """That of the older formats; empty where there is none."""


def at_hand(environ: Mapping[str, str]) -> KeysAtHand:
    """The keys that the environment gives. Raises KeysError.

    Where it gives no ring, that is the one that `tapedeck up` made for its own bucket, if the ready file tells of one.
    """
    from audiostore.errors import KeyRingError  # noqa: PLC0415 - see the package
    from audiostore.key_ring import KeySource  # noqa: PLC0415 - see the package
    from servicekit.errors import SettingsError  # noqa: PLC0415 - not needed for --help
    from servicekit.groups import EncryptionSettings  # noqa: PLC0415 - not needed for --help
    from servicekit.settings import load  # noqa: PLC0415 - not needed for --help

    try:
        settings = load(EncryptionSettings, environ)
        keys_file = settings.keys_file if settings.keys_file or settings.keys_text else _keys_file_of_up()
        ring = KeySource(settings.keys_text, keys_file).ring()
    except (SettingsError, KeyRingError) as error:
        raise KeysError(f"the keys cannot be read: {error}", hint=RING_HINT) from error
    secret = settings.legacy_secret
    return KeysAtHand(ring, "" if secret is None else secret.reveal())


def _keys_file_of_up() -> Path | None:
    try:
        told = ready_file.read(ready_file.chosen_path()).encryption_keys_file
    except SystemNotFoundError:
        return None
    return Path(told) if told else None


def _usage(url: str) -> "KeyUsage":
    """Raises BucketError."""
    from audiostore.errors import AudiostoreError  # noqa: PLC0415 - see the package
    from tapedeck.operators.bucket_access import opened  # noqa: PLC0415 - see the package
    from tapedeck.operators.key_usage import look  # noqa: PLC0415 - not needed for --help

    async def walk() -> "KeyUsage":
        store = await opened(url)
        try:
            if not ERR.is_terminal:
                return await look(store, lambda _count: None)
            with ERR.status("looking at sealed objects") as status:
                return await look(store, lambda count: status.update(f"{count} sealed objects so far"))
        finally:
            await store.close()

    try:
        return asyncio.run(walk())
    except AudiostoreError as error:
        raise BucketError(
            f"the bucket cannot be read: {error}", hint="is TAPEDECK_STORE_URL the one of the services?"
        ) from error


def _show(found: "Report") -> None:
    older = found.older
    rows = [[row.id, str(row.objects), row.state, row.oldest, row.newest] for row in found.keys]
    if older.objects:
        state = "opens" if older.secret_set else "NOT SET"
        rows.append(["TAPEDECK_LEGACY_SECRET", str(older.objects), state, older.oldest, older.newest])
    columns = ["key", "objects", "", "oldest", "newest"]
    print_table(columns, rows, empty="no object is sealed, and the ring is empty")
    for name in found.damaged_objects:
        _say(f"damaged, its header names no key: {name}")
    if found.damaged > len(found.damaged_objects):
        _say(f"and {found.damaged - len(found.damaged_objects)} more like it")
    if found.missing:
        _say(
            f"the ring lacks {', '.join(found.missing)}: what was sealed with that cannot be opened; {RING_HINT}"
        )
    if older.objects and not older.secret_set:
        _say("TAPEDECK_LEGACY_SECRET is not set: sealed objects of the older formats cannot be opened")


def _say(line: str) -> None:
    ERR.print(line, style="red", markup=False, highlight=False)
