"""The account of a soak: what each device sent and was told, against what lies in the store.

Pure: takes spans and numbers, answers what is wrong. An empty list is a pass.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from audiocodec.packet import packet_durations
from audiocodec.span import Span
from audiostore.batch import read_batch
from tapedeck_testing.account import objects
from tapedeck_testing.faults.load import Seen
from tapedeck_testing.faults.numbered import number_of
from tapedeck_testing.faults.tape import RATE, Tape

LEAD: Final = 312
"""Samples at 48 kHz that the devices' encoder looks ahead: not played where a run begins."""
TOLERANCE: Final = 48
"""A millisecond: starts are said in whole ones."""
WARM_UP_MS: Final = 320
"""What a decoder of a resumed session must hear before it goes on (docs/inputs.md)."""
ALIKE: Final = 0.5
"""Correlation of a second of speech with itself after coding; with another place of the speech it is about 0."""


@dataclass(slots=True)
class Account:
    """One device's recording as it is stored."""

    seen: Seen
    spans: list[Span]
    counts: Mapping[str, int]

    @property
    def samples(self) -> int:
        """Stored, at 48 kHz."""
        return sum(span.samples for span in self.spans)


def stored_spans(store: Path, uid: str, cid: str) -> list[Span]:
    """What lies in the store, by session and offset."""
    spans = [span for path in objects(store, uid, cid) for span in read_batch(path.read_bytes()).spans]
    return sorted(spans, key=lambda span: (span.epoch, span.first_offset, span.end_offset))


def wrong(tape: Tape, account: Account, *, lossy: bool = False) -> list[str]:
    """What is wrong with one recording.

    `lossy`: Redis lost what it had confirmed, which a device that keeps nothing cannot make good.
    """
    seen, found = account.seen, list(account.seen.violations)
    found += [f"stored twice: {text}" for text in _doubled(account.spans)]
    if seen.outcome != "done":
        found.append(f"the device ended as {seen.outcome!r}, acked {seen.acked} of {seen.total}")
        return found + ([] if tape.plain else _offsets(account, tape))
    # What Redis lost, its counters have lost too: they still add up, and need not be what lies in the store.
    found += _settled(account) + _balanced(account) if lossy else _conserved(account) + _used(account)
    if tape.plain:
        return found + _plain(tape, account, lossy=lossy)
    found += _offsets(account, tape)
    if tape.numbered:
        found += _numbered(tape, account)
    else:
        found += _lengths(tape, account)
    return found


def _doubled(spans: Sequence[Span]) -> list[str]:
    return [
        f"session {one.epoch}: {one.first_offset}-{one.end_offset} and {two.first_offset}-{two.end_offset}"
        for one, two in itertools.pairwise(spans)
        if one.epoch == two.epoch and two.first_offset < one.end_offset
    ]


def _settled(account: Account) -> list[str]:
    counts = account.counts
    if counts["entries"] or counts["dead"]:
        return [f"{counts['entries']} entries still wait, {counts['dead']} samples are dead"]
    return []


def _balanced(account: Account) -> list[str]:
    """received = stored + dead + deleted, once nothing waits."""
    counts = account.counts
    if not _settled(account) and counts["received"] != counts["stored"] + counts["deleted"]:
        return [
            f"received {counts['received']} = stored {counts['stored']} + deleted {counts['deleted']}: not so"
        ]
    return []


def _conserved(account: Account) -> list[str]:
    """received = stored + waiting + dead, and what is counted as stored lies there."""
    counts = account.counts
    if waits := _settled(account):
        return waits
    if not counts["received"] == counts["stored"] == account.samples:
        return [
            f"received {counts['received']} = stored {counts['stored']} = in the store {account.samples}: not so"
        ]
    return []


def _used(account: Account) -> list[str]:
    """Usage is what was recorded, whoever of several processes wrote it down; each session's day is rounded to a ms."""
    used_ms, stored_ms = account.counts["used_ms"], account.samples / 48
    rounded = len({span.epoch for span in account.spans}) + 2
    if abs(used_ms - stored_ms) > rounded:
        return [f"usage says {used_ms} ms, stored are {stored_ms:.0f}"]
    return []


def _offsets(account: Account, tape: Tape) -> list[str]:
    """Every acked byte of every session, from its start to where the next one goes on, without a hole."""
    found = []
    sessions = account.seen.sessions
    whole = account.seen.outcome == "done"
    ends = [*(base for _, base in sessions[1:]), account.seen.acked]
    known = {epoch for epoch, _ in sessions}
    found += [
        f"session {epoch} is nobody's" for epoch in sorted({span.epoch for span in account.spans} - known)
    ]
    for (epoch, base), end in zip(sessions, ends, strict=True):
        pieces = [span for span in account.spans if span.epoch == epoch]
        at = base
        for piece in pieces:
            if base + piece.first_offset > at and not _warms_up(tape, account, at, base + piece.first_offset):
                found.append(
                    f"missing: {base + piece.first_offset - at} bytes at {at} of {account.seen.total}"
                )
            at = max(at, base + piece.end_offset)
        if at < end:
            found.append(
                f"missing: {end - at} bytes at {at} of {account.seen.total}, at the end of session {epoch}"
            )
        if at > end and (whole or epoch != sessions[-1][0]):
            found.append(f"stored twice: session {epoch} holds up to {at}, the next one begins at {end}")
    return found


def _warms_up(tape: Tape, account: Account, at: int, end: int) -> bool:
    """Whether these bytes may be what a resumed decoder only warms up with: their audio was stored before.

    Where the audio after them is late they are a chunk without any, and no file names them. `_lengths` counts every sample.
    """
    if tape.kind != "opus2" or not account.seen.resumed or len(account.seen.sessions) > 1:
        return False
    messages = -(-WARM_UP_MS // tape.message_ms) * tape.channels
    return tape.index_at(end) - tape.index_at(at) <= messages


def _numbered(tape: Tape, account: Account) -> list[str]:
    found = []
    packets = [packet for span in account.spans for packet in span.packets]
    numbers = [number_of(packet) for packet in packets]
    if foreign := [number for number in numbers if number[0] != tape.device]:
        found.append(f"{len(foreign)} packets of others")
    indices = [index for _, index in numbers]
    if indices != list(range(tape.messages)):
        found.append(f"packets: {_described(indices, tape.messages)}")
    for packet, index in zip(packets, indices, strict=True):
        if packet != tape.message(index):
            found.append(f"packet {index} has changed")
            break
    return found + _times(tape, account.spans)


def _described(indices: Sequence[int], total: int) -> str:
    missing = sorted(set(range(total)) - set(indices))
    twice = len(indices) - len(set(indices))
    order = sum(two < one for one, two in itertools.pairwise(indices))
    return f"{len(missing)} of {total} missing ({missing[:5]}…), {twice} there twice, {order} out of order"


def _times(tape: Tape, spans: Sequence[Span]) -> list[str]:
    """Each span begins when its first packet was captured, by the sample clock."""
    found = []
    for span in spans:
        index = number_of(span.packets[0])[1]
        expected = tape.captured_ms(index) * 48 - (0 if span.lead else LEAD)
        if abs(span.start_48k - expected) > TOLERANCE:
            found.append(f"packet {index} is played {(span.start_48k - expected) / 48:.1f} ms off")
    runs = {span.run_start_ms for span in spans}
    if missing := [start for start, _ in tape.runs() if tape.captured_ms(start) not in runs]:
        found.append(f"no run begins at {missing}: marks are not kept")
    return found


def _lengths(tape: Tape, account: Account) -> list[str]:
    """What was encoded anew: each run from its mark on, and as long as it was recorded, to the sample."""
    if len(account.seen.sessions) > 1:
        return []  # where a session was superseded a run begins anew; offsets tell the rest
    found = []
    lead = LEAD if tape.codec == "opus" else 0
    for first, after in tape.runs():
        spans = [span for span in account.spans if span.run_start_ms == tape.captured_ms(first)]
        expected = (after - first) // tape.channels * tape.message_ms * 48 - lead
        got = sum(span.samples for span in spans)
        # Where a run begins in a stall, nobody can tell one channel that comes late from one that spoke later (docs/inputs.md).
        apart = 2 * tape.message_ms * 48 if tape.channels == 2 else 0
        if not expected <= got <= expected + apart:
            found.append(f"the run of message {first} has {got} samples, and {expected} were recorded")
        at = 0
        for span in sorted(spans, key=lambda span: span.first_sample):
            if span.first_sample != at:
                found.append(f"in the run of message {first} sample {span.first_sample} follows {at}")
            at = span.first_sample + span.samples
    return found


def _plain(tape: Tape, account: Account, *, lossy: bool) -> list[str]:
    """Of a plain device: what was acked is there, nothing twice, and in order."""
    found = []
    indices = [number_of(packet)[1] for span in account.spans for packet in span.packets]
    if any(two <= one for one, two in itertools.pairwise(indices)):
        found.append(f"plain packets: {_described(indices, tape.messages)}")
    stored = set(indices)
    for first, acked in () if lossy else account.seen.plain_sessions:
        promised = range(first, tape.index_at(tape.begin(first) + acked))
        if lost := [index for index in promised if index not in stored]:
            found.append(f"acked and not stored: {len(lost)} packets from {lost[0]} on")
    for one, two in itertools.pairwise(sorted(account.spans, key=lambda span: span.start_48k)):
        if two.start_48k < one.end_48k - TOLERANCE and one.epoch == two.epoch:
            found.append(f"{one.start_ms} and {two.start_ms} overlap")
    return found


def heard(sent: bytes, back: bytes) -> list[str]:
    """What is wrong with decoded speech, second by second: s16le mono at 16 kHz of the same length."""
    one, two = (np.frombuffer(data, "<i2").astype(float) for data in (sent, back))
    size = min(len(one), len(two))
    bad = []
    for at in range(0, size - RATE + 1, RATE):
        first, second = one[at : at + RATE], two[at : at + RATE]
        power = float(np.sqrt((first @ first) * (second @ second)))
        if first @ first > 1e9 and first @ second < ALIKE * power:
            bad.append(at // RATE)
    return [f"{len(bad)} seconds sound like others, from {bad[0]} on"] if bad else []


def seconds(samples: int) -> float:
    """Of samples at 48 kHz."""
    return samples / 48_000


def durations(packets: Sequence[bytes]) -> int:
    """Samples at 48 kHz in packets."""
    return sum(packet_durations(packets))
