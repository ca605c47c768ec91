"""`python -m pusher.export`: writes buffers or dead letters into a folder. `tapedeck buffers export` and `tapedeck dead export` run it.

Settings come from the environment, as the pusher's do; of them it needs Redis and, for users whose audio is sealed, the keys. A line of
JSON is written to stdout for each conversation. Exit code 1 where something could not be written.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated
from urllib.parse import quote

import msgspec

from audiobus.bus import Bus
from audiobus.cluster import Cluster
from audiobus.conversation import Conversation
from audiobus.errors import BusError, BusUnavailableError
from audiobus.servers import servers
from audiostore import open_store
from audiostore.errors import AudiostoreError
from audiostore.key_ring import KeySource
from pusher.cutter import Limits
from pusher.errors import PusherError
from pusher.exporter import Exported, Exporter
from pusher.maker import Maker
from servicekit.errors import SettingsError
from servicekit.groups import EncryptionSettings, RedisSettings
from servicekit.parsers import number
from servicekit.settings import Setting, load


class ExportSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What an export needs to know."""

    redis: RedisSettings
    encryption: EncryptionSettings
    batch_seconds: Annotated[
        float, Setting("TAPEDECK_BATCH_SECONDS", number(1, 60), "seconds in a batch")
    ] = 60.0


async def export(settings: ExportSettings, options: argparse.Namespace) -> int:
    """Exports; the exit code."""
    batch_ms = int(settings.batch_seconds * 1000)
    folder = open_store(f"file://{quote(options.directory)}")
    maker = Maker(KeySource(settings.encryption.keys_text, settings.encryption.keys_file))
    redis = settings.redis
    failed = False
    try:
        async with Bus(redis.url, prefix=redis.prefix, partitions=redis.partitions) as bus:
            exporter = Exporter(
                bus, folder, maker, Limits(batch_ms=batch_ms, age_ms=batch_ms), time.time_ns() // 1_000_000
            )
            away = await _away(bus) if options.all else {}
            seen: set[Conversation] = set()
            async for conversation in _conversations(bus, options, away):
                if conversation in seen:
                    continue
                seen.add(conversation)
                exported = Exported(conversation.tag)
                try:
                    _known_protection(bus, conversation, away)
                    if options.dead:
                        await exporter.letters(conversation, options.id, exported)
                    else:
                        await exporter.buffer(conversation, exported)
                except (AudiostoreError, PusherError, BusError) as error:
                    exported.problem = str(error)
                failed = failed or bool(exported.problem)
                _tell(exported)
            for server, why in away.items():
                _tell(Exported("", problem=why, server=server))
            failed = failed or bool(away)
    finally:
        await maker.close()
        await folder.close()
    return int(failed)


def _tell(exported: Exported) -> None:
    sys.stdout.write(msgspec.json.encode(exported).decode() + "\n")
    sys.stdout.flush()


async def _away(bus: Bus) -> dict[str, str]:
    """The masters of a cluster that do not answer, and why.

    Raises:
        BusUnavailableError: there is one server, and it does not.
    """
    found: dict[str, str] = {}
    for server in await servers(bus):
        try:
            await server.command("PING")
        except BusUnavailableError as error:
            if not server.name:
                raise
            found[server.name] = str(error)
    return found


def _known_protection(bus: Bus, conversation: Conversation, away: Mapping[str, str]) -> None:
    """Raises BusUnavailableError where it cannot be known whether the audio must be sealed: at once, not after a time-out each."""
    lane = bus.client.lane(bus.keys.user(conversation.uid)) if isinstance(bus.client, Cluster) else ""
    if lane in away:
        raise BusUnavailableError(f"{lane} does not answer, and it knows whether this user's audio is sealed")


async def _conversations(
    bus: Bus, options: argparse.Namespace, away: dict[str, str]
) -> AsyncIterator[Conversation]:
    """Whose audio is to be exported, of the masters that are not away. One that stops answering is added to those.

    Raises:
        BusUnavailableError: there is one server, and it does not answer.
    """
    for tag in options.conversations:
        yield Conversation.from_tag(tag)
    if not options.all:
        return
    match, kind = (bus.keys.dead_pattern(), "hash") if options.dead else (bus.keys.audio_pattern(), "stream")
    for server in await servers(bus):
        if server.name in away:
            continue
        try:
            async for keys in server.keys(match, kind):
                for key in keys:
                    found = bus.keys.conversation_of(key)
                    if found is not None:
                        yield found
        except BusUnavailableError as error:
            if not server.name:
                raise
            away[server.name] = str(error)


def main(arguments: Sequence[str]) -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pusher.export", description=__doc__)
    parser.add_argument("--directory", required=True, help="folder to write to")
    parser.add_argument("--all", action="store_true", help="every conversation")
    parser.add_argument("--dead", action="store_true", help="dead letters instead of buffers")
    parser.add_argument("--id", action="append", default=[], help="of a dead letter; without it all of them")
    parser.add_argument("conversations", nargs="*", metavar="UID/CID")
    options = parser.parse_args(arguments)
    try:
        settings = load(ExportSettings, os.environ)
        return asyncio.run(export(settings, options))
    except (SettingsError, AudiostoreError, BusError, ValueError) as error:
        sys.stderr.write(f"export: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
