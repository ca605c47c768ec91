"""What a correct history is: the promises, as a check of what was sent and told against what lies in the bucket. Pure; an empty list is a pass.

Small enough to be read whole. The identity of a recorded byte is (conversation, epoch, offset); every packet carries its tape's
number and its own, so that what is stored says by itself where it belongs.

At rest, when all faults have ended:

1. every acked byte is stored (`_complete`), and nothing that was not sent; where Redis loses what it had confirmed, and nobody waits for
   replicas, every byte of which the device was told that it is `stored` (`_stored`);
2. no byte lies in two objects (`doubled`), and no packet is stored twice (`packets`);
3. each run begins when its first packet was captured, by the sample clock (`packet_times`), and an object's name, tags and metadata say what
   lies in it (`opened`);
4. of what was deleted nothing is left, and everywhere else nothing waits, no cut stands, and received = stored + waiting + dead + deleted (`at_rest`).

Only what was given up may be missing: chunks that nobody can read, what an operator dropped, what its user deleted (`Given`).

At every moment, from script to script, what is settled never goes back and is never cut again (`standing.stepped_back`), and whoever reads the live
tail first and the bucket second finds every byte that was acked before (`readable`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audiostore.batch import batch_end_ms, batch_facts, batch_start_ms, read_batch
from audiostore.names import parse_name
from audiostore.sealing import open_sealed
from tapedeck_testing.simulation.tape import LEAD, PACKET_MS, PCM_BYTES_MS, number_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from audiobus.census import Balance
    from audiocodec.span import Span
    from audiostore.key_ring import KeyRing
    from tapedeck_testing.simulation.bucket import Held
    from tapedeck_testing.simulation.recorder import Spell, Story

RENAMED_MS: Final = 30
"""Where a name is taken by other runs, `end` grows by a millisecond until it is free."""
TOLERANCE: Final = 48
"""A millisecond: starts are said in whole ones."""


@dataclass(frozen=True, slots=True)
class Books:
    """What Redis says of one conversation at rest."""

    waits: bool
    """An entry lies in the buffer, or a cut stands."""
    balance: Balance


@dataclass(frozen=True, slots=True)
class Given:
    """Bytes of a session that somebody gave up, or may have: they need not be there."""

    epoch: int
    first_offset: int
    end_offset: int


def opened(
    held: Held, uid: str, cid: str, ring: KeyRing, *, copied: bool = False
) -> tuple[list[Span], Sequence[bytes], list[str]]:
    """The spans of an object, its pre-roll, and what its name, tags and metadata say wrongly. `copied`: it may be of another conversation."""
    name = parse_name(held.info.name)
    if name is None:
        return [], [], [f"{held.info.name} is no name of a batch"]
    data = open_sealed(held.data, ring, uid) if name.sealed else held.data
    batch = read_batch(data)
    found = []
    if (name.uid, name.conversation_id) != (uid, cid) or (batch.conversation_id != cid and not copied):
        found.append(f"{held.info.name} holds audio of {batch.conversation_id}")
    if name.start_ms != batch_start_ms(batch):
        found.append(f"{held.info.name} begins at {batch_start_ms(batch)}")
    if not batch_end_ms(batch) <= name.end_ms <= batch_end_ms(batch) + RENAMED_MS:
        found.append(f"{held.info.name} ends at {batch_end_ms(batch)}")
    told = [
        (span.epoch, span.first_offset, span.end_offset, span.start_48k, span.samples)
        for span in batch_facts(held.info.metadata or {}).spans
    ]
    if told != [
        (span.epoch, span.first_offset, span.end_offset, span.start_48k, span.samples) for span in batch.spans
    ]:
        found.append(f"{held.info.name}: its metadata say something else than its tags")
    return list(batch.spans), batch.preroll, found


def wrong(
    story: Story,
    spans: Iterable[Span],
    books: Books,
    *,
    lossy: bool,
    given: Sequence[Given] = (),
    chunks: Sequence[Given] = (),
    late: Sequence[Span] = (),
) -> list[str]:
    """What is wrong with one recording at rest.

    `lossy`: Redis lost what it had confirmed, and the device kept what was not stored: then it may send again what lies in the bucket
    already, under another session; readers play it once. So they do where the server, after such a loss, makes other `chunks` of the same bytes: one of
    which only a part lies in the bucket is stored again whole; and what is stored anew because nobody could see those that are `late`: of
    objects that landed when Redis had lost their cuts.
    """
    ordered = sorted(spans, key=lambda span: (span.epoch, span.first_offset, span.end_offset))
    found = [
        *story.violations,
        *doubled(ordered, chunks if lossy else (), late if lossy else ()),
        *packet_times(story, ordered),
        *at_rest(books),
    ]
    if story.deleted:
        return [*found, *(["it was deleted, and something of it lies in the bucket"] if ordered else [])]
    if not story.done:
        found.append(f"its device never ended: acked {story.acked} of {story.tape.total}")
    if books.balance.deleted and not given:
        found.append(f"{books.balance.deleted} samples were deleted, and nobody did")
    if lossy:
        found += _stored(story, ordered, given)
    else:
        found += _complete(story, ordered, given)
        there = sum(span.samples for span in ordered)
        if books.balance.stored != there:
            found.append(f"{books.balance.stored} samples are counted as stored, {there} are")
    return found + packets(story, ordered, given, lossy=lossy)


def wrong_plain(
    story: Story,
    spans: Iterable[Span],
    books: Books,
    appended: Sequence[Given],
    given: Sequence[Given],
    *,
    whole: bool,
) -> list[str]:
    """What is wrong with what a plain device sent: all that Redis took of it is stored, once and in order.

    `whole`: nothing broke, so that Redis took all of it.
    """
    ordered = sorted(spans, key=lambda span: (span.epoch, span.first_offset, span.end_offset))
    found = [*doubled(ordered, ()), *at_rest(books)]
    if story.deleted:
        return [*found, *(["it was deleted, and something of it lies in the bucket"] if ordered else [])]
    there = [Given(span.epoch, span.first_offset, span.end_offset) for span in ordered]
    for chunk in appended:
        at = chunk.first_offset
        for part in sorted((*there, *given), key=lambda part: part.first_offset):
            if part.epoch == chunk.epoch and part.first_offset <= at:
                at = max(at, part.end_offset)
        if at < chunk.end_offset:
            found.append(f"missing: {at}-{chunk.end_offset} of session {chunk.epoch}")
    if story.tape.pcm:
        return found
    indices = [number_of(packet)[1] for span in ordered for packet in span.packets]
    if [packet for span in ordered for packet in span.packets] != [story.tape.packets[at] for at in indices]:
        found.append("a packet has changed, or is another device's")
    if any(two <= one for one, two in itertools.pairwise(indices)):
        found.append(f"packets twice or out of order: {len(indices)} of {len(story.tape.packets)}")
    if whole and len(indices) < len(story.tape.packets):
        found.append(f"{len(story.tape.packets) - len(indices)} packets are missing, and nothing broke")
    return found


def at_rest(books: Books) -> list[str]:
    """Nothing waits, nothing is dead, and the sums are right."""
    found = []
    balance = books.balance
    if books.waits or balance.waiting or balance.dead:
        found.append(f"it does not come to rest: {balance}")
    if balance.difference:
        found.append(f"the books do not balance by {balance.difference} samples: {balance}")
    return found


def readable(spells: Sequence[tuple[int, int]], spans: Iterable[Span]) -> list[str]:
    """What of the acked bytes (epoch, and how many of its bytes) cannot be read in these spans."""
    reached = dict.fromkeys((epoch for epoch, _ in spells), 0)
    for span in sorted(spans, key=lambda span: (span.epoch, span.first_offset)):
        if span.first_offset <= reached.get(span.epoch, -1):
            reached[span.epoch] = max(reached[span.epoch], span.end_offset)
    return [
        f"session {epoch}: {acked} bytes were acked, and from {reached[epoch]} on they cannot be read"
        for epoch, acked in spells
        if reached[epoch] < acked
    ]


def doubled(spans: Sequence[Span], chunks: Sequence[Given], late: Sequence[Span] = ()) -> list[str]:
    """Bytes that two of the spans hold, which are in order."""
    return [
        f"stored twice: session {one.epoch}, {one.first_offset}-{one.end_offset} and {two.first_offset}-{two.end_offset}"
        for one, two in itertools.combinations(spans, 2)
        if _meet(one, two)
        and not any(_in_part(one, two, chunk) for chunk in chunks)
        and one not in late
        and two not in late
    ]


def _meet(one: Span, two: Span) -> bool:
    """Whether both hold a byte; `two` is the later one, in order of where they begin."""
    return one.epoch == two.epoch and two.first_offset < one.end_offset


def _in_part(one: Span, two: Span, chunk: Given) -> bool:
    """Whether what both hold lies in that chunk, and one of them has only a part of it."""
    first, end = two.first_offset, min(one.end_offset, two.end_offset)
    inside = chunk.epoch == one.epoch and chunk.first_offset <= first and end <= chunk.end_offset
    wholes = [
        span.first_offset <= chunk.first_offset and chunk.end_offset <= span.end_offset for span in (one, two)
    ]
    return inside and not all(wholes)


def _complete(story: Story, spans: Sequence[Span], given: Sequence[Given]) -> list[str]:
    """Every acked byte of every session is there, without a hole, up to where the next session went on."""
    known = {spell.epoch for spell in story.spells}
    found = [
        f"session {epoch} is nobody's"
        for epoch in sorted({span.epoch for span in spans if span.packets} - known)
    ]
    for spell in story.spells:
        pieces = [span for span in spans if span.epoch == spell.epoch]
        found += _session(story, spell, pieces, given_in(spell, given))
    return found


def _stored(story: Story, spans: Sequence[Span], given: Sequence[Given]) -> list[str]:
    """What the device was told to be stored is there, in whichever session: it no longer has it.

    Each session speaks for itself: where Redis lost the end of one together with the beginning of the next, which is written again, nobody
    knows what that one stood upon (docs/redis.md).
    """
    held = [Given(span.epoch, span.first_offset, span.end_offset) for span in spans]
    places = sorted(place for spell in story.spells for place in given_in(spell, [*held, *given]))
    found = []
    for spell in story.spells:
        at = spell.base
        for first, end in places:
            if first > at:
                break
            at = max(at, end)
        if at < spell.stored:
            found.append(f"missing: {at}-{spell.stored}, of which it was told that it is stored")
    return found


def given_in(spell: Spell, given: Sequence[Given]) -> list[tuple[int, int]]:
    """What was given up of a session, or is there, counted from the start of its tape, in order."""
    return sorted(
        (spell.base + one.first_offset, spell.base + one.end_offset)
        for one in given
        if one.epoch == spell.epoch
    )


def _session(
    story: Story, spell: Spell, pieces: Sequence[Span], given: Sequence[tuple[int, int]]
) -> list[str]:
    def passed(at: int, until: int) -> int:
        """How far one gets from there over what was given up."""
        for first, end in given:
            if first <= at < min(end, until):
                at = min(end, until)
        return at

    at, found = spell.base, []
    for piece in pieces:
        at = passed(at, spell.base + piece.first_offset)
        if spell.base + piece.first_offset > at:
            found.append(f"missing: {at}-{spell.base + piece.first_offset} of {story.tape.total}")
        at = spell.base + piece.end_offset
    promised = spell.acked if story.forgot or spell.end is None else max(spell.acked, spell.end)
    at = passed(at, promised)
    if at < promised:
        found.append(f"missing: {at}-{promised} of {story.tape.total}, at the end of session {spell.epoch}")
    most = spell.furthest if spell.end is None else spell.end
    if at > most:
        found.append(f"session {spell.epoch} holds up to {at}, and the next one begins at {most}")
    return found


def packets(story: Story, spans: Sequence[Span], given: Sequence[Given], *, lossy: bool) -> list[str]:
    """The packets are those that were sent, in order, and each is there once."""
    tape = story.tape
    if tape.pcm:
        return []  # what the server encoded says not where it belongs: bytes and times have to do
    packets = [packet for span in spans for packet in span.packets]
    numbers = [number_of(packet) for packet in packets]
    if any(number != tape.number for number, _ in numbers):
        return [f"packets of others: {sorted({number for number, _ in numbers})}"]
    indices = [index for _, index in numbers]
    if any(tape.packets[index] != packet for index, packet in zip(indices, packets, strict=True)):
        return ["a packet has changed"]
    missing = sorted(set(range(len(tape.packets))) - set(indices))
    gone = [one for spell in story.spells for one in given_in(spell, given)]
    missing = [at for at in missing if not any(first <= tape.begins[at] < end for first, end in gone)]
    if story.forgot:
        missing = []
    found = [f"{len(missing)} packets are missing: {missing[:5]}"] if missing else []
    if not lossy and any(two <= one for one, two in itertools.pairwise(indices)):
        found.append(f"packets twice or out of order: {len(indices)} of {len(tape.packets)}")
    return found


def packet_times(story: Story, spans: Iterable[Span]) -> list[str]:
    """Each run begins when its first packet was captured, and lasts as long as its packets."""
    found = []
    for span in spans:
        if not span.packets:
            continue
        if story.tape.pcm:
            found += _pcm_times(story, span)
            continue
        index = number_of(span.packets[0])[1]
        expected = story.tape.captured_ms[index] * 48 - (0 if span.lead else LEAD)
        if abs(span.start_48k - expected) > TOLERANCE:
            found.append(f"packet {index} is played {(span.start_48k - expected) / 48:.1f} ms off")
        if span.samples + span.lead + span.trim != len(span.packets) * PACKET_MS * 48:
            found.append(
                f"the run of packet {index} lasts {span.samples} samples with {len(span.packets)} packets"
            )
    return found


def _pcm_times(story: Story, span: Span) -> list[str]:
    """Each sample is played when it was captured, and none is lost or made by the encoder."""
    found = []
    base = next((spell.base for spell in story.spells if spell.epoch == span.epoch), None)
    if base is not None:
        off = span.start_48k - story.tape.at_ms(base + span.first_offset) * 48
        if abs(off) > TOLERANCE:
            found.append(f"byte {base + span.first_offset} is played {off / 48:.1f} ms off")
    size = span.end_offset - span.first_offset
    if span.samples * PCM_BYTES_MS != size * 48:
        found.append(f"the {size} bytes from {span.first_offset} on last {span.samples} samples")
    return found


def by_conversation(objects: Mapping[str, Held]) -> dict[tuple[str, str], list[Held]]:
    """The objects of each conversation, as their names say."""
    grouped: dict[tuple[str, str], list[Held]] = {}
    for held in objects.values():
        _root, uid, cid, _ = held.info.name.split("/")
        grouped.setdefault((uid, cid), []).append(held)
    return grouped
