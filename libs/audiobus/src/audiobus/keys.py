"""The names of every key in Redis: the only place that knows them.

`{…}` is a Redis Cluster hash tag: everything about one conversation lies in one slot, and so do the two keys of a partition.
"""

import re
import zlib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from audiobus.conversation import Conversation

GROUP = "pusher"
"""The consumer group of every `ready` stream."""

_GLOB: Final = re.compile(r"[*?\[\]\\]")
"""What means more than itself in a pattern of SCAN."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys under one prefix."""

    prefix: str = "td:"
    partitions: int = 1
    """How many `ready` streams and `due` sets there are: 1 on a single Redis, 16 by default on a cluster."""

    def audio(self, conversation: Conversation) -> str:
        """Stream: the conversation's buffer, one entry a chunk, its only copy until it is stored."""
        return f"{self.prefix}audio:{{{conversation.tag}}}"

    def audio_pattern(self) -> str:
        """What SCAN matches to find every buffer."""
        return f"{_literal(self.prefix)}audio:{{*}}"

    def conv_pattern(self) -> str:
        """What SCAN matches to find everything known of conversations."""
        return f"{_literal(self.prefix)}conv:{{*}}"

    def dead_pattern(self) -> str:
        """What SCAN matches to find all dead letters."""
        return f"{_literal(self.prefix)}dead:{{*}}"

    def users_pattern(self) -> str:
        """What SCAN matches to find what is set for users."""
        return f"{_literal(self.prefix)}user:{{*}}"

    def any_pattern(self) -> str:
        """What SCAN matches to find everything that is about a conversation, a user or a partition."""
        return f"{_literal(self.prefix)}*:{{*}}"

    def user_pattern(self, uid: str) -> str:
        """What SCAN matches to find everything about conversations of a user; more than one key of each."""
        return f"{_literal(self.prefix)}*:{{{_literal(uid)}/*}}"

    def conversation_of(self, key: str | bytes) -> Conversation | None:
        """The conversation that a key found by one of these patterns speaks of; None where it speaks of none."""
        text = key.decode(errors="replace") if isinstance(key, bytes) else key
        start = text.find("{", len(self.prefix))
        if not text.startswith(self.prefix) or start < 0 or not text.endswith("}"):
            return None
        try:
            return Conversation.from_tag(text[start + 1 : -1])
        except ValueError:
            return None

    def conversation_of_audio(self, key: str | bytes) -> Conversation:
        """The conversation whose buffer has this key.

        Raises:
            ValueError: the key is no buffer's.
        """
        text = key.decode() if isinstance(key, bytes) else key
        head = f"{self.prefix}audio:{{"
        if not (text.startswith(head) and text.endswith("}")):
            raise ValueError(f"{text!r} is no buffer's key")
        return Conversation.from_tag(text[len(head) : -1])

    def conv(self, conversation: Conversation) -> str:
        """Hash: see `audiobus.state`."""
        return f"{self.prefix}conv:{{{conversation.tag}}}"

    def dead(self, conversation: Conversation) -> str:
        """Hash: entry id to what could not be stored, with the reason and the audio."""
        return f"{self.prefix}dead:{{{conversation.tag}}}"

    def lease(self, conversation: Conversation) -> str:
        """String: the pusher that drains the conversation, with a time limit."""
        return f"{self.prefix}lease:{{{conversation.tag}}}"

    def tomb(self, conversation: Conversation) -> str:
        """String: the conversation is deleted (or merged: then it holds the target)."""
        return f"{self.prefix}tomb:{{{conversation.tag}}}"

    def user_tomb(self, uid: str) -> str:
        """String: what the user recorded before this time is deleted."""
        return f"{self.prefix}tomb:{{{uid}}}"

    def gone(self, conversation: Conversation) -> str:
        """Hash: name of an object that was deleted, or must not stay, to unix ms. Whoever puts it looks here afterwards; 30 days."""
        return f"{self.prefix}gone:{{{conversation.tag}}}"

    def gone_since(self, conversation: Conversation) -> str:
        """Sorted set: of those names the ones that were seen to, by when that was, unix ms: each is noted for 30 days from then."""
        return f"{self.prefix}gone_since:{{{conversation.tag}}}"

    def meant(self, conversation: Conversation) -> str:
        """Hash: time by which something was to be deleted, unix ms, to what it meant; see `audiobus.meant`."""
        return f"{self.prefix}meant:{{{conversation.tag}}}"

    def replacing(self, conversation: Conversation) -> str:
        """Hash: name of an object that is being put in the place of another, to what tells it from others; see `audiobus.replacing`."""
        return f"{self.prefix}replacing:{{{conversation.tag}}}"

    def replacing_lease(self, conversation: Conversation) -> str:
        """String: who may put objects in the place of others, with a time limit."""
        return f"{self.prefix}replacer:{{{conversation.tag}}}"

    def lost(self, conversation: Conversation) -> str:
        """Hash: epoch of a session to the bytes of it that are counted as lost, so that nobody counts them again; some hours."""
        return f"{self.prefix}lost:{{{conversation.tag}}}"

    def user(self, uid: str) -> str:
        """Hash: protection, store_audio, daily_limit_ms."""
        return f"{self.prefix}user:{{{uid}}}"

    def usage(self, uid: str, day: int) -> str:
        """Hash: `<conversation>/<epoch>` to the ms of audio that this session sent on that UTC day (counted since 1970)."""
        return f"{self.prefix}usage:{{{uid}}}:{_date(day)}"

    def usage_sum(self, uid: str, day: int) -> str:
        """String: the sum of that hash, made from it where it is missing."""
        return f"{self.prefix}used:{{{uid}}}:{_date(day)}"

    def live(self, uid: str) -> str:
        """Sorted set: the user's conversations that have a buffer, by the time they were opened last (an index; the buffers rule)."""
        return f"{self.prefix}live:{{{uid}}}"

    def partition(self, conversation: Conversation) -> int:
        """The partition of a conversation, 0 to partitions - 1."""
        return zlib.crc32(conversation.tag.encode()) % self.partitions

    def ready(self, partition: int) -> str:
        """Stream: hints, conversations to look at now."""
        return f"{self.prefix}ready:{{{partition}}}"

    def operation(self, operation_id: str) -> str:
        """Hash: see `audiobus.operations`. All operations share a slot: they are few, and each is begun and put on the list in one step."""
        return f"{self.prefix}op:{{ops}}:{operation_id}"

    def operations(self) -> str:
        """Sorted set: operation to the unix ms, by Redis' clock, at which it must be looked at."""
        return f"{self.prefix}ops:{{ops}}"

    def operations_of(self, kind: str, uid: str) -> str:
        """Sorted set: operations of this kind for this user, by when they were begun; those that are not among `operations` are done."""
        return f"{self.prefix}opsof:{{ops}}:{kind}:{uid}"

    def frozen(self) -> str:
        """Stream: conversations that were frozen, or went into another one, some 10,000; see `audiobus.frozen`."""
        return f"{self.prefix}frozen:{{ops}}"

    def operations_failing(self) -> str:
        """Set: operations whose last try failed."""
        return f"{self.prefix}opsfailing:{{ops}}"

    def census_lease(self) -> str:
        """String: the pusher that adds up the books, with a time limit."""
        return f"{self.prefix}census:{{lease}}"

    def pressure_lease(self) -> str:
        """String: the pusher that makes room while memory is short, with a time limit."""
        return f"{self.prefix}pressure:{{lease}}"

    def homecoming_lease(self) -> str:
        """String: the pusher that moves the second bucket's objects home, with a time limit."""
        return f"{self.prefix}homecoming:{{lease}}"

    def homecoming_teller(self) -> str:
        """String: the pusher that shows how many objects the second bucket has: the one that looked last."""
        return f"{self.prefix}homecoming:{{teller}}"

    def homecoming_role(self, bucket: str) -> str:
        """String: `first` or `second`, what pushers take this bucket for, with a time limit."""
        return f"{self.prefix}homecoming:{{role}}:{bucket}"

    def due(self, partition: int) -> str:
        """Sorted set: conversation to the unix ms at which it must be looked at, at the latest."""
        return f"{self.prefix}due:{{{partition}}}"


def _literal(text: str) -> str:
    """A pattern of SCAN that only this text matches."""
    return _GLOB.sub(r"\\\g<0>", text)


def _date(day: int) -> str:
    return f"{date(1970, 1, 1) + timedelta(days=day):%Y%m%d}"
