"""What `tapedeck keys check` says: the keys in use beside the keys at hand. Pure; its fields are those of `--json`."""

from typing import TYPE_CHECKING

import msgspec

from tapedeck.operators.key_usage import KeyUsage, Usage

if TYPE_CHECKING:
    from audiostore.key_ring import KeyRing


class Row(msgspec.Struct, frozen=True):
    """One key."""

    id: str
    in_ring: bool
    seals: bool
    objects: int
    oldest: str
    newest: str

    @property
    def state(self) -> str:
        """In a word or two, for people."""
        if not self.in_ring:
            return "NOT IN THE RING"
        if self.seals:
            return "seals"
        return "opens" if self.objects else "not in use"


class Older(msgspec.Struct, frozen=True):
    """The secret of the older formats."""

    secret_set: bool
    objects: int
    oldest: str
    newest: str


class Report(msgspec.Struct, frozen=True):
    """What was found."""

    keys: tuple[Row, ...]
    """Those of the ring in its order, then those that it lacks."""
    missing: tuple[str, ...]
    """Key ids that objects need and the ring lacks."""
    older: Older
    damaged: int
    """Objects whose header names no key."""
    damaged_objects: tuple[str, ...]
    """The first of them."""
    ok: bool
    """Whatever seals an object is at hand."""


def report(usage: KeyUsage, ring: "KeyRing", *, older_secret: bool) -> Report:
    """The keys in use beside those of the ring. `older_secret`: the secret of the older formats is at hand."""
    missing = tuple(sorted(set(usage.keys) - set(ring.ids)))
    rows = []
    for key_id in (*ring.ids, *missing):
        found = usage.keys.get(key_id, Usage())
        in_ring, seals = key_id in ring.ids, key_id in ring.ids[:1]
        rows.append(Row(key_id, in_ring, seals, found.objects, found.oldest, found.newest))
    older = usage.older
    return Report(
        keys=tuple(rows),
        missing=missing,
        older=Older(older_secret, older.objects, older.oldest, older.newest),
        damaged=usage.damaged,
        damaged_objects=tuple(usage.damaged_names),
        ok=not missing and (older_secret or not older.objects),
    )
