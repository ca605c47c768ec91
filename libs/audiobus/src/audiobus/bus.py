"""The bus: what the services say to each other through Redis, one method for each thing said.

Every method is one command or one script, on one slot, and safe to repeat. Nothing here retries, and nothing sleeps.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final, Self, cast

from redis.asyncio import RedisCluster

from audiobus.answers import (
    Asked,
    ConversationGone,
    CutStands,
    Marks,
    Misplaced,
    NameGone,
    Opened,
    OtherCutStands,
    Replaced,
    SettledMoved,
    Standing,
    read_open_answer,
)
from audiobus.append import AppendAnswer, AppendRequest, read_append_answer
from audiobus.connection import Client, is_cluster, open_client, translated
from audiobus.conversation import Conversation
from audiobus.cut import Cut
from audiobus.entry import Entry, entries_of
from audiobus.entry_id import EntryId
from audiobus.errors import BusContractError
from audiobus.keys import Keys
from audiobus.letter import encode_letter
from audiobus.redis_clock import RedisClock
from audiobus.script import Argument, script
from audiobus.state import STATE_FIELDS, ConversationState, PreRoll
from audiobus.usage import UsageTotal, UserRequest, UserState, conversation_totals

RESUMABLE_MS: Final = 24 * 3_600_000
"""A session is resumable this long after its last byte."""
ENDS_KEPT_MS: Final = 30 * 24 * 3_600_000
"""Where sessions ended is known this long."""
ENDS_KEPT: Final = 2_048
"""And of so many sessions of a conversation: a plain device begins one with each reconnect."""
QUIET_MS: Final = 24 * 3_600_000
"""A conversation is forgotten this long after its last append."""
CLUSTER_PARTITIONS: Final = 16


class Bus:
    """One process' connection to everything that the services share."""

    def __init__(
        self, url: str, *, prefix: str = "td:", partitions: int | None = None, wait_replicas: int = 0
    ) -> None:
        """A bus that connects on first use.

        Args:
            url: see `audiobus.connection.open_client`.
            prefix: what every key begins with.
            partitions: number of `ready` streams; 1 on a single Redis and 16 on a cluster where not given.
            wait_replicas: replicas that must confirm what others rely on from then on: each append, what `open` answers to be there,
                each cut, burial, tombstone and deletion (docs/redis.md).
        """
        self.url = url
        self.keys = Keys(prefix, partitions or (CLUSTER_PARTITIONS if is_cluster(url) else 1))
        self.wait_replicas = wait_replicas
        self.client: Client = open_client(url)
        self.clock = RedisClock(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self.client.aclose()

    async def ping(self) -> None:
        """Answers if Redis does.

        Raises:
            BusUnavailableError: it does not.
        """
        await self.command("PING")

    async def command(self, *args: Argument) -> Any:
        """One plain command, with this package's errors."""
        with translated(str(args[0])):
            if isinstance(self.client, RedisCluster) and args[0] in ("PING", "INFO"):
                return await cast(
                    "Awaitable[Any]", self.client.execute_command(*args, target_nodes=RedisCluster.PRIMARIES)
                )
            return await cast("Awaitable[Any]", self.client.execute_command(*args))

    async def run(self, name: str, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """The answer of one script that this class has no method for, with this package's errors."""
        return await script(name).run(self.client, keys, args)

    # -- recording -----------------------------------------------------------------------------------------------

    async def open(
        self,
        conversation: Conversation,
        *,
        owner: str,
        format: str,  # noqa: A002 - the word of the protocol
        now_ms: int,
        resume: int | None = None,
        own: bool = False,
        arrived_ms: int | None = None,
    ) -> Opened:
        """Makes the socket `owner` the conversation's only writer, resuming the session `resume` where that can be.

        Args:
            conversation: what to record into.
            owner: a name that no other socket has.
            format: `source:sample_rate:channels:pre_skip`; who resumes must agree in all but the last.
            now_ms: unix ms.
            resume: epoch of a session to go on with.
            own: the socket opens its own session again, however long it was silent.
            arrived_ms: when the socket connected, unix ms of Redis (`clock`); `now_ms` where not given. It never displaces one that
                came later.

        Raises:
            ConversationDeletedError, MergingError: nothing may be recorded into it.
            MergedError: it went into another one, in which the session `resume` can go on.
            FormatMismatchError: `resume` was recorded with another codec, rate or channels.
            StaleSocketError: a socket that arrived later owns the conversation.
        """
        keys = [self.keys.conv(conversation), self.keys.audio(conversation), self.keys.tomb(conversation)]
        args: list[Argument] = [
            owner,
            now_ms,
            format,
            "" if resume is None else str(resume),
            "1" if own else "0",
            RESUMABLE_MS,
            ENDS_KEPT_MS,
            now_ms if arrived_ms is None else arrived_ms,
            ENDS_KEPT,
        ]
        # What it answers to be there is acknowledged with that, also what another socket appended and no replica has confirmed yet.
        answer = await script("open").run(self.client, keys, args, wait_replicas=self.wait_replicas)
        return read_open_answer(conversation, answer)

    async def append(self, request: AppendRequest) -> AppendAnswer:
        """Appends one chunk by itself. Services append through `audiobus.writer.Writer`, which groups."""
        keys, args = request.command(self.keys)
        return read_append_answer(await script("append").run(self.client, keys, args))

    async def ask(
        self,
        conversation: Conversation,
        reason: str,
        *,
        owner: str | None = None,
        ends: bool = False,
        newest: EntryId | None = None,
    ) -> Asked | Replaced | Misplaced | None:
        """Notes durably that everything appended so far shall be stored now; None if nobody ever recorded into it.

        Args:
            conversation: whose buffer.
            reason: why; ends up as the batch's reason.
            owner: ask only as this socket; else `Replaced` is answered.
            ends: the owner's session is over and cannot be resumed.
            newest: the last id known to be there; below it Redis has lost writes, and `Misplaced` is answered.
        """
        keys = [self.keys.conv(conversation), self.keys.audio(conversation)]
        args: list[Argument] = [reason, owner or "", "1" if ends else "0", str(newest) if newest else ""]
        answer = await script("ask").run(self.client, keys, args)
        match answer:
            case [b"ok", newest, settled, entries]:
                return Asked(EntryId.parse(newest), EntryId.parse_or_none(settled), int(entries))
            case [b"owner", other_owner]:
                return Replaced(other_owner.decode(), None)
            case [b"newest", stands]:
                return Misplaced(EntryId.parse(stands))
            case [b"none"]:
                return None
            case other:
                raise BusContractError(f"ask answered {other!r}")

    # -- reading -------------------------------------------------------------------------------------------------

    async def state(self, conversation: Conversation) -> ConversationState:
        """What stands in `td:conv`.

        Raises:
            BadEntryError: a field that no script of ours wrote.
        """
        return ConversationState.from_values(
            await self.command("HMGET", self.keys.conv(conversation), *STATE_FIELDS)
        )

    async def used(self, conversation: Conversation) -> tuple[UsageTotal, ...]:
        """What its newest session and the one before it used, by days.

        Raises:
            BadEntryError: a field that no script of ours wrote.
        """
        key = self.keys.conv(conversation)
        return conversation_totals(
            conversation.cid, *await self.command("HMGET", key, "newest", "used", "used_was")
        )

    async def stored(self, conversation: Conversation, epoch: int) -> Standing:
        """The newest id, the settled one, and the first dead byte of the session `epoch`."""
        key = self.keys.conv(conversation)
        newest, settled, dead = await self.command("HMGET", key, "newest", "settled", f"dead:{epoch}")
        return Standing(
            EntryId.parse_or_none(newest), EntryId.parse_or_none(settled), int(dead) if dead else None
        )

    async def read(
        self,
        conversation: Conversation,
        *,
        count: int,
        after: EntryId | None = None,
        last: EntryId | None = None,
    ) -> list[Entry]:
        """The buffer's entries in order, at most `count`, from the start or after `after`, up to and with `last`."""
        start = str(after.next()) if after else "-"
        return entries_of(
            await self.command(
                "XRANGE", self.keys.audio(conversation), start, str(last) if last else "+", "COUNT", count
            )
        )

    async def buffered(self, conversation: Conversation) -> bool:
        """Whether the conversation has a buffer, be it empty."""
        return bool(await self.command("EXISTS", self.keys.audio(conversation)))

    async def tombstone(self, conversation: Conversation) -> bool:
        """Whether the conversation is deleted."""
        return bool(await self.command("EXISTS", self.keys.tomb(conversation)))

    async def marks(self, conversation: Conversation) -> Marks:
        """What is deleted of the conversation, as of now. Whoever cannot know it must not put.

        Raises:
            BadEntryError: a user's tombstone that is no time.
        """
        tomb, before = self.keys.tomb(conversation), self.keys.user_tomb(conversation.uid)
        if isinstance(self.client, RedisCluster):  # in two slots
            found = [await self.command("GET", tomb), await self.command("GET", before)]
        else:
            found = await self.command("MGET", tomb, before)
        return Marks.from_values(*found)

    async def user_settings(self, uid: str) -> dict[str, str]:
        """What is set for the user: `protection`, `store_audio`, `daily_limit_ms`; missing where nothing is."""
        rows = await self.command("HGETALL", self.keys.user(uid))
        pairs = rows.items() if isinstance(rows, dict) else zip(rows[::2], rows[1::2], strict=True)
        return {key.decode(): value.decode() for key, value in pairs}

    async def look_up_user(self, request: UserRequest) -> UserState:
        """What is set for a user, and what they have used, once the request's totals are written."""
        keys, args = request.command(self.keys)
        return request.read(await script(request.script_name).run(self.client, keys, args))

    async def note_live(self, conversation: Conversation, now_ms: int) -> None:
        """Puts the conversation on its user's list of those with a buffer."""
        await self.command("ZADD", self.keys.live(conversation.uid), now_ms, conversation.cid)

    async def note_not_live(self, conversation: Conversation) -> None:
        """Takes it off that list."""
        await self.command("ZREM", self.keys.live(conversation.uid), conversation.cid)

    async def live(self, uid: str) -> list[Conversation]:
        """The user's conversations that have a buffer, or had dead letters when they lost it, the one opened last first."""
        members = await self.command("ZREVRANGE", self.keys.live(uid), 0, -1)
        return [Conversation(uid, member.decode()) for member in members]

    # -- draining ------------------------------------------------------------------------------------------------

    async def cut(
        self,
        conversation: Conversation,
        cut: Cut,
        *,
        settled: EntryId | None,
        replaces: bytes | None = None,
        history: str = "",
        fence: int | None = None,
    ) -> CutStands | OtherCutStands | SettledMoved | ConversationGone | NameGone:
        """Writes down the next batch.

        Args:
            conversation: whose buffer.
            cut: the batch.
            settled: the settled id as it was read together with the buffer.
            replaces: the cut that stands and gives way (its name was taken by other audio).
            history: the replication id of that moment, where the answer shall be `SettledMoved` if Redis has another one now;
            fence: so with `ConversationState.fence`.
        """
        keys = [self.keys.conv(conversation), self.keys.tomb(conversation)]
        keys += [self.keys.gone(conversation), self.keys.replacing(conversation)]
        args: list[Argument] = [str(settled or ""), replaces or b"", cut.encode(), cut.name, history]
        args.append("" if fence is None else fence)
        match await script("cut").run(self.client, keys, args, wait_replicas=self.wait_replicas):
            case [b"ok"]:
                return CutStands()
            case [b"standing", other]:
                return OtherCutStands(other)
            case [b"settled", moved]:
                return SettledMoved(EntryId.parse_or_none(moved))
            case [b"deleted"]:
                return ConversationGone()
            case [b"name"]:
                return NameGone()
            case other:
                raise BusContractError(f"cut answered {other!r}")

    async def finish(
        self,
        conversation: Conversation,
        cut: bytes,
        *,
        last: EntryId,
        preroll: PreRoll | None,
        samples: int,
        ends: Mapping[int, int],
        now_ms: int,
        hurried: bool = False,
    ) -> bool:
        """The cut is stored: its entries go and the settled id moves. False where that cut no longer stands.

        Args:
            conversation: whose buffer.
            cut: the very bytes that stand.
            last: id of the last entry of the cut.
            preroll: what the next batch may begin with.
            samples: audio that the cut settles, at 48 kHz.
            ends: for each session in the cut the end offset reached.
            now_ms: unix ms.
            hurried: it was stored before its time, perhaps together with many others (`ConversationState.hurried`).
        """
        keys = [self.keys.conv(conversation), self.keys.audio(conversation)]
        args: list[Argument] = [
            cut,
            str(last),
            str(last.next()),
            preroll.encode() if preroll else b"",
            samples,
            now_ms,
            "1" if hurried else "0",
        ]
        for epoch, offset in ends.items():
            args += [str(epoch), str(offset)]
        answer = await script("finish").run(self.client, keys, args)
        return bool(answer[0] == b"ok")

    async def bury(
        self,
        conversation: Conversation,
        entry: Entry,
        *,
        reason: str,
        first_offset: int,
        samples: int,
        now_ms: int,
    ) -> bool:
        """Moves an entry that can never be stored into the dead letters; False if it is gone, or a cut stands over it.

        Args:
            conversation: whose buffer.
            entry: the entry as it was read.
            reason: why it cannot be stored.
            first_offset: payload bytes of its session before it.
            samples: how much audio was counted when it was appended (`Entry.counted_samples`).
            now_ms: unix ms.
        """
        letter = encode_letter(entry, reason=reason, at_ms=now_ms, first_offset=first_offset, samples=samples)
        keys = [self.keys.conv(conversation), self.keys.audio(conversation), self.keys.dead(conversation)]
        args: list[Argument] = [str(entry.id), letter, first_offset, str(entry.id.epoch), samples]
        answer = await script("bury").run(self.client, keys, args, wait_replicas=self.wait_replicas)
        return bool(answer[0] == b"ok")

    async def forget(self, conversation: Conversation, now_ms: int) -> bool:
        """Removes buffer and hash if nothing has needed them for a day."""
        keys = [self.keys.conv(conversation), self.keys.audio(conversation), self.keys.dead(conversation)]
        return bool(await script("forget").run(self.client, keys, [now_ms, QUIET_MS, ENDS_KEPT_MS]))

    async def take_lease(self, conversation: Conversation, holder: str, ttl_ms: int) -> bool:
        """Takes or renews the right to drain the conversation. Thrift: two holders would do the work twice, not wrongly."""
        return bool(await script("lease").run(self.client, [self.keys.lease(conversation)], [holder, ttl_ms]))

    async def release_lease(self, conversation: Conversation, holder: str) -> None:
        """Gives it back, if it is still the holder's."""
        await script("release").run(self.client, [self.keys.lease(conversation)], [holder])
