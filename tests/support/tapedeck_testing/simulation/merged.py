"""What a correct history is where conversations were merged: every byte in the one where it went, once, and nothing of what went away. Pure.

Where a conversation went, its tombstone says. What a merge that failed, or that left its sources, has copied may lie in its target beside that, and what is there
twice as the same object counts once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tapedeck_testing.simulation.history import Books, at_rest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from audiocodec.span import Span


@dataclass(slots=True)
class Merge:
    """One that somebody wants."""

    uid: str
    sources: tuple[str, ...]
    target: str
    deletes: bool
    """Whether its sources go away."""
    begun_s: float = 0.0
    """When it was asked for first, by the loop's clock."""
    operation: str = ""
    ended: str | None = None
    """`succeeded`, or the code of its error; None where nobody was told."""

    @property
    def succeeded(self) -> bool:
        return self.ended == "succeeded"

    def __str__(self) -> str:
        how = "" if self.deletes else ", which stay,"
        return f"the merge of {self.uid}'s {' and '.join(self.sources)}{how} into {self.target}"


@dataclass(frozen=True, slots=True)
class Folder:
    """One conversation of a user."""

    spans: Sequence[Span]
    """Of its objects, those that are the same object once."""
    objects: int
    went: str | None
    """Into which it went, by its tombstone."""
    deleted: bool
    """Its tombstone says that it is deleted."""
    books: Books
    booked: Collection[str]
    """Ids of the conversations whose audio counts here."""
    held: bool
    """A merge holds it."""
    may_lose: bool
    """An operator dropped dead letters of it, or somebody deleted parts."""


def wrong_folders(folders: Mapping[str, Folder], merges: Iterable[Merge]) -> list[str]:
    """What is wrong with the conversations of a user at rest, whatever was recorded into them."""
    found = [
        f"{merge} succeeded, and {source} is there"
        for merge in merges
        for source in merge.sources
        if merge.succeeded and merge.deletes and source != merge.target and folders[source].went is None
    ]
    for cid, folder in folders.items():
        found += [f"{cid}: {text}" for text in at_rest(folder.books)]
        if folder.held:
            found.append(f"{cid} is held, and no merge is under way")
        if folder.went is not None and folder.objects:
            found.append(f"{cid} went into {folder.went}, and {folder.objects} objects of it are there")
        if folder.deleted:
            found += (
                [f"{cid} is deleted, and {folder.objects} objects of it are there"] if folder.objects else []
            )
            continue
        there = samples(span for span in folder.spans if span.conversation in folder.booked)
        if folder.went is None and folder.books.balance.stored != there:
            found.append(f"{cid}: {folder.books.balance.stored} samples are counted as stored, {there} are")
        if folder.books.balance.deleted and not folder.may_lose:
            found.append(f"{cid}: {folder.books.balance.deleted} samples were deleted, and nobody did")
    return found


def samples(spans: Iterable[Span]) -> int:
    """How many there are of recorded audio, each once however many of the spans hold it."""
    runs: dict[tuple[str, int, int], list[tuple[int, int]]] = {}
    for span in spans:
        run = runs.setdefault((span.conversation, span.epoch, span.run_start_ms), [])
        run.append((span.first_sample, span.first_sample + span.samples))
    found = 0
    for run in runs.values():
        at = -1 << 62
        for start, end in sorted(run):
            found += max(0, end - max(start, at))
            at = max(at, end)
    return found


def once(spans: Iterable[Span]) -> list[Span]:
    """The same without what lies in another one of them: copies, and what was left of one beside a whole copy."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.first_offset, -span.end_offset)):
        if not any(_holds(one, span) for one in kept):
            kept.append(span)
    return kept


def _holds(one: Span, other: Span) -> bool:
    same = (one.conversation, one.epoch) == (other.conversation, other.epoch)
    return same and one.first_offset <= other.first_offset and other.end_offset <= one.end_offset


def on_the_way(folders: Mapping[str, Folder], cid: str) -> list[str]:
    """Where a conversation has been."""
    found = [cid]
    while (went := folders[found[-1]].went if found[-1] in folders else None) and went not in found:
        found.append(went)
    return found
