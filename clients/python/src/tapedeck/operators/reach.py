"""How operators' commands reach Redis and the buckets by themselves: options, else the environment, else the ready file.

They must work while every service is down, so nothing here asks one. Imports of libraries stand in functions: see the package.
"""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tapedeck import ready_file
from tapedeck.errors import (
    BucketError,
    NoSuchThingError,
    OperatorError,
    RedisAwayError,
    SystemNotFoundError,
    UsageError,
)

if TYPE_CHECKING:
    from audiobus import Bus, Conversation
    from servicekit.groups import RedisSettings

RedisOption = Annotated[
    str | None,
    typer.Option("--redis-url", envvar="TAPEDECK_REDIS_URL", help="Redis; else the one of the ready file."),
]
StoreOption = Annotated[
    str | None,
    typer.Option("--store", envvar="TAPEDECK_STORE_URL", help="The bucket; else the one of the ready file."),
]
FallbackOption = Annotated[
    str | None,
    typer.Option(
        "--fallback-store",
        envvar="TAPEDECK_FALLBACK_STORE_URL",
        help="The second bucket; else the one of the ready file, if any.",
    ),
]
ConversationArgument = Annotated[str, typer.Argument(metavar="UID/CID", help="User and conversation.")]

REDIS_HINT = "is TAPEDECK_REDIS_URL the one of the services, and does Redis run?"
DOCTOR_HINT = " `tapedeck doctor` says more"
"""For all commands but that one."""
ADDRESS_HINT = (
    "TAPEDECK_REDIS_URL (or --redis-url) is redis://host:6379/0, redis+sentinel://host:26379/mymaster or "
    "redis+cluster://host:6379; rediss for TLS. See docs/redis.md"
)
NO_NAME = "this is too long to name a conversation"
STORE_HINT = "is TAPEDECK_STORE_URL the one of the services?"


def redis_address(given: str | None) -> str:
    """Raises SystemNotFoundError."""
    return given or _ready("--redis-url").redis


def store_address(given: str | None) -> str:
    """Raises SystemNotFoundError, BucketError."""
    url = given or _ready("--store").store
    if url == "memory:":
        raise BucketError(
            "a store in memory cannot be seen from outside", hint="say which bucket with --store"
        )
    return url


def usable(url: str) -> str:
    """The address of a bucket, where it can be one. Whether there is a bucket is not looked at. Raises UsageError."""
    from audiostore.errors import StoreConfigurationError  # noqa: PLC0415 - see the package
    from audiostore.opening import check_address  # noqa: PLC0415 - see the package

    try:
        check_address(url)
    except StoreConfigurationError as error:
        raise UsageError(f"the address of the bucket cannot be used: {error}", hint=STORE_HINT) from error
    return url


def fallback_address(given: str | None, first: str | None) -> str | None:
    """The second bucket, if there is any: the one given, else the ready file's, where `first` is its first one too.

    Args:
        given: the option of that name.
        first: the first bucket; None where it is not known.
    """
    if given or first is None:
        return given or None
    try:
        ready = ready_file.read(ready_file.chosen_path())
    except SystemNotFoundError:
        return None
    return ready.fallback_store or None if ready.store == first else None


def redis_settings(given: str | None, environ: Mapping[str, str] | None = None) -> "RedisSettings":
    """Address, prefix and partitions, as the services have them. Raises SystemNotFoundError, UsageError."""
    from servicekit.errors import SettingsError  # noqa: PLC0415 - not needed for --help
    from servicekit.groups import RedisSettings  # noqa: PLC0415 - not needed for --help
    from servicekit.settings import load  # noqa: PLC0415 - not needed for --help

    found = {**(os.environ if environ is None else environ), "TAPEDECK_REDIS_URL": redis_address(given)}
    try:
        return load(RedisSettings, found)
    except SettingsError as error:
        raise UsageError(f"the settings of Redis cannot be used: {error}", hint=ADDRESS_HINT) from error


@asynccontextmanager
async def redis(given: str | None) -> "AsyncIterator[Bus]":
    """The bus, which connects on first use; its errors become this package's. Raises OperatorError and below."""
    from audiobus import Bus  # noqa: PLC0415 - see the package

    settings = redis_settings(given)
    with told():
        async with Bus(
            settings.url,
            prefix=settings.prefix,
            partitions=settings.partitions,
            wait_replicas=settings.wait_replicas,
        ) as bus:
            yield bus


@contextmanager
def told() -> Iterator[None]:
    """Turns the bus' errors into this package's, which say what to do."""
    from audiobus.errors import BadUrlError, BusError, BusRefusedError, BusUnavailableError  # noqa: PLC0415 - see the package

    try:
        yield
    except BusRefusedError as error:
        raise RedisAwayError(
            f"Redis refuses this: {error}", hint="are user, password and rights in TAPEDECK_REDIS_URL right?"
        ) from error
    except BusUnavailableError as error:
        raise RedisAwayError(f"Redis does not answer: {error}", hint=REDIS_HINT + DOCTOR_HINT) from error
    except BadUrlError as error:
        raise UsageError(f"the address of Redis cannot be used: {error}", hint=ADDRESS_HINT) from error
    except BusError as error:
        raise OperatorError(
            str(error), hint="does the prefix (TAPEDECK_REDIS_PREFIX) belong to Tapedeck?"
        ) from error


def conversation(text: str) -> "Conversation":
    """From `UID/CID`. Raises UsageError."""
    from audiobus import Conversation  # noqa: PLC0415 - see the package
    from servicekit.ids import MAX_ID_LENGTH, valid_id  # noqa: PLC0415 - not needed for --help

    try:
        found = Conversation.from_tag(text)
    except ValueError as error:
        raise UsageError(
            f"{text!r} names no conversation" if len(text) <= 2 * MAX_ID_LENGTH + 1 else NO_NAME,
            hint="write the user, a slash, and the conversation's id",
        ) from error
    if not (valid_id(found.uid) and valid_id(found.cid)):
        raise UsageError(
            f"{text!r} names no conversation" if len(text) <= 2 * MAX_ID_LENGTH + 1 else NO_NAME,
            hint=f"an id has up to {MAX_ID_LENGTH} letters, digits and ._@-, and begins with a letter or a digit",
        )
    return found


async def must_be_known(bus: "Bus", one: "Conversation") -> None:
    """Raises NoSuchThingError where Redis knows nothing of the conversation."""
    keys = bus.keys
    for key in (keys.conv(one), keys.audio(one), keys.dead(one), keys.tomb(one)):
        if await bus.command("EXISTS", key):
            return
    raise NoSuchThingError(
        f"nobody has recorded into {one.tag}, as far as Redis knows",
        hint="`tapedeck where` asks the bucket too; a quiet conversation is forgotten by Redis after thirty days",
    )


def _ready(option: str) -> ready_file.Ready:
    try:
        return ready_file.read(ready_file.chosen_path())
    except SystemNotFoundError as error:
        raise SystemNotFoundError(
            str(error), hint=f"start one with `tapedeck up`, or say where it is with {option}"
        ) from error


def folder(path: Path) -> Path:
    """The folder to export to, made if it is missing. Raises OperatorError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be made: {error.strerror}", hint="name a folder that you may write to"
        ) from error
    return path.absolute()
