"""The kinds of faults, where each applies, and when which comes: a list that follows from a seed. Does nothing by itself.

Faults of one lane never overlap, those of different lanes do: Redis may be away while a pusher stands still and the bucket refuses.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

Topology = Literal["single", "sentinel", "cluster"]
StoreKind = Literal["gcs", "file"]


class Lane(Enum):
    """What a fault takes hold of."""

    REDIS = "redis"
    BUCKET = "bucket"
    PUSHER = "pusher"
    LISTEN = "listen"
    API = "storage-api"
    CLIENTS = "clients"
    WISHES = "wishes"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    name: str
    lane: Lane
    hit_when: str
    """What must have been seen for it to count."""
    lasts_s: tuple[float, float] = (0.0, 0.0)
    """How long it is kept up at least; 0 where it is a moment, or ends when it has hit."""
    topologies: frozenset[Topology] = frozenset({"single", "sentinel", "cluster"})
    stores: frozenset[StoreKind] = frozenset({"gcs", "file"})
    needs_fallback: bool = False
    needs_lose: bool = False


def _bucket(name: str, hit_when: str, lasts_s: tuple[float, float] = (1.0, 3.0)) -> Kind:
    return Kind(name, Lane.BUCKET, hit_when, lasts_s, stores=frozenset({"gcs"}))


_UNANSWERED: Final = "services asked it something meanwhile, and it was silent"
_ALL: Final = (
    Kind("redis paused", Lane.REDIS, _UNANSWERED, (0.3, 4.0)),
    Kind("redis killed", Lane.REDIS, "lines of services to it were cut or refused meanwhile", (0.2, 3.0)),
    Kind("redis slow", Lane.REDIS, "its relay held back what came", (1.0, 4.0)),
    Kind("redis client pause", Lane.REDIS, _UNANSWERED, (0.5, 3.0)),
    Kind("redis loses replies", Lane.REDIS, "its relay took replies away after the work was done"),
    Kind("redis refuses memory", Lane.REDIS, "it counted refusals (errorstat_OOM)", (1.0, 3.0)),
    Kind("redis forgets scripts", Lane.REDIS, "it counted unknown scripts (errorstat_NOSCRIPT)"),
    Kind("redis forgets the groups", Lane.REDIS, "a consumer group was there and was destroyed"),
    Kind(
        "listen cut off from redis",
        Lane.REDIS,
        "what one listen process and Redis said was held back",
        (1.0, 7.0),
    ),
    Kind(
        "pusher cut off from redis",
        Lane.REDIS,
        "what one pusher and Redis said was held back",
        (1.0, 7.0),
    ),
    Kind(
        "storage-api cut off from redis",
        Lane.REDIS,
        "what storage-api and Redis said was held back",
        (1.0, 4.0),
    ),
    Kind(
        "failover forced",
        Lane.REDIS,
        "another server is the master now, while the former one lived",
        topologies=frozenset({"sentinel"}),
    ),
    Kind(
        "master killed until failover",
        Lane.REDIS,
        "another server is the master now",
        topologies=frozenset({"sentinel"}),
    ),
    Kind(
        "master stopped until failover",
        Lane.REDIS,
        "another server was the master when it woke up",
        topologies=frozenset({"sentinel"}),
    ),
    Kind(
        "replica killed",
        Lane.REDIS,
        "WAIT on the master found no replica",
        (0.5, 3.0),
        topologies=frozenset({"sentinel"}),
    ),
    Kind(
        "slots moved",
        Lane.REDIS,
        "keys with audio in them went to another master",
        topologies=frozenset({"cluster"}),
    ),
    Kind(
        "redis loses the end of its log",
        Lane.REDIS,
        "bytes were cut off the log of a Redis that was killed",
        (0.2, 2.0),
        topologies=frozenset({"single"}),
        needs_lose=True,
    ),
    Kind("pusher killed", Lane.PUSHER, "it held the lease of a conversation"),
    Kind("pusher stopped beyond its lease", Lane.PUSHER, "another took over a conversation that it held"),
    Kind("pusher restarted", Lane.PUSHER, "it held the lease of a conversation when it was asked to end"),
    Kind("listen killed", Lane.LISTEN, "it had clients"),
    Kind("listen stopped", Lane.LISTEN, "sessions of its clients were taken over meanwhile"),
    Kind("listen restarted", Lane.LISTEN, "it had clients"),
    Kind("storage-api killed", Lane.API, "it had clients"),
    Kind("lines cut", Lane.CLIENTS, "devices lost their lines"),
    Kind("finalize storm", Lane.WISHES, "devices asked in mid-recording"),
    Kind("flush storm", Lane.WISHES, "conversations were flushed"),
    Kind("conversation deleted", Lane.WISHES, "acked audio of it was there when the tombstone was set"),
    _bucket("bucket 429", "uploads were answered so"),
    _bucket("bucket 500", "uploads were answered so"),
    _bucket("bucket 503", "uploads were answered so"),
    _bucket("bucket 403", "requests were answered so"),
    _bucket("bucket 404", "requests were answered so, as if the bucket were not there"),
    _bucket("bucket holds replies", "uploads were done, and their replies came seconds later", (2.0, 5.0)),
    _bucket("bucket loses replies", "uploads were done, and their replies never came"),
    _bucket("bucket resets lines", "lines were reset before an upload was read to its end"),
    _bucket("bucket cuts replies", "answers ended in the middle"),
    _bucket("bucket garbles checksums", "answers to uploads named another checksum"),
    _bucket("bucket slow", "uploads took seconds", (2.0, 4.0)),
    _bucket("bucket away", "services that connected were turned away", (1.0, 6.0)),
    Kind(
        "bucket away for minutes",
        Lane.BUCKET,
        "objects were put into the second bucket",
        (70.0, 80.0),
        stores=frozenset({"gcs"}),
        needs_fallback=True,
    ),
    Kind("disk full", Lane.BUCKET, "a pusher's file did not fit", (1.0, 5.0), stores=frozenset({"file"})),
)
UNDER_WAY_S: Final = 10.0
"""Before this Redis loses nothing that it confirmed. A session that it has forgotten altogether is answered without `previous_offset`, and the
protocol has a client then send only what was never acked."""
KINDS: Final = {kind.name: kind for kind in _ALL}


@dataclass(frozen=True, slots=True)
class Blow:
    """One fault of a run."""

    at_s: float
    """Since the devices began; later where its lane is still taken."""
    kind: Kind
    lasts_s: float
    share: float
    """Of the devices, conversations or requests that it reaches, where it reaches some."""
    seed: int
    """For what is left to chance in it."""


def applicable(topology: Topology, store: StoreKind, *, fallback: bool, lose: bool) -> list[Kind]:
    """The kinds of such a run."""
    return [
        kind
        for kind in _ALL
        if topology in kind.topologies
        and store in kind.stores
        and (fallback or not kind.needs_fallback)
        and (lose or not kind.needs_lose)
    ]


def plan(seed: int, seconds: float, kinds: Iterable[Kind], every_s: tuple[float, float]) -> list[Blow]:
    """Faults for so many seconds, each kind once before any comes again."""
    chance = random.Random(seed)
    kinds = list(kinds)
    blows: list[Blow] = []
    bag: list[Kind] = []
    at_s = chance.uniform(*every_s)
    while at_s < seconds and kinds:
        if not bag:
            bag = list(kinds)
            chance.shuffle(bag)
        kind = bag.pop()
        share = chance.uniform(0.3, 1.0) if kind.lane is Lane.BUCKET else chance.uniform(0.1, 0.6)
        begins_s = max(at_s, UNDER_WAY_S) if kind.needs_lose else at_s
        blows.append(Blow(begins_s, kind, chance.uniform(*kind.lasts_s), share, chance.randrange(2**31)))
        at_s += chance.uniform(*every_s)
    return sorted(blows, key=lambda blow: blow.at_s)
