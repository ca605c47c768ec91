"""`storage_api.reading`: any object of a conversation's folder, by name, metadata and bytes, sealed or not, ours or older."""

import base64
from random import Random

from audiostore.batch import BatchFacts
from audiostore.key_ring import KeySource
from audiostore.legacy import AudioName, parse_audio_name
from audiostore.store import ObjectInfo
from storage_api.errors import REASONS, UnreadableError
from storage_api.keys import Keys
from storage_api.reading import facts_in_metadata, head_bytes, judge_head, judge_older, older_pcm, open_batch
from storage_api.stored_object import MAX_NAMED_MS, OlderFacts, StoredObject, Verdict
from tapedeck_fuzz import edits, fields, records_by_hand, sealed_by_hand
from tapedeck_fuzz.target import Raw, Target, demand
from tapedeck_fuzz.targets import batch_facts, batch_file

_RING = ",".join(f"{key_id}:{base64.b64encode(key).decode()}" for key_id, key in sealed_by_hand.KEYS.items())
KEYS = Keys(KeySource(_RING), records_by_hand.SECRET)
RECORD_BYTES = 65_536


def check(data: bytes) -> int | None:
    """Read, or told to be unreadable for one of the reasons; what is told from the head is what then comes out of the whole."""
    path, said, body = ((value or b"") for value in fields.split(data, 3))
    name = parse_audio_name(path.decode("utf-8", "replace"))
    if name is None:
        return None
    metadata = (
        dict(line.partition("=")[::2] for line in said.decode("utf-8", "replace").split("\n"))
        if said
        else None
    )
    try:
        told, verdict, size = _judged(name, metadata, body)
    except UnreadableError as error:
        demand(error.reason in REASONS and error.name == name.path, f"unreadable for {error.reason!r}")
        told, verdict, size = None, Verdict(None, error.reason), None
    stored = StoredObject(ObjectInfo(name.path, len(body), None, metadata), name, verdict)
    demand(stored.end_48k >= stored.start_48k >= 0, "time runs back")
    demand(bool(stored.pieces) <= (stored.reason is None), "pieces of what cannot be read")
    if told is None and verdict.facts is None:
        demand(
            stored.end_48k - stored.start_48k <= MAX_NAMED_MS * 48,
            "a name that makes a conversation too long",
        )
    return size


def _judged(
    name: AudioName, metadata: dict[str, str] | None, body: bytes
) -> tuple[BatchFacts | None, Verdict, int | None]:
    """What metadata and head tell, and the size of what is then read."""
    told = verdict = None
    if name.is_batch:
        told = facts_in_metadata(name, metadata)
        verdict = judge_head(name, body[: head_bytes(name, told)], told, KEYS)
    if verdict is None:
        return told, *_older(name, body)
    try:
        batch = open_batch(name, body, KEYS.ring)
    except UnreadableError as error:
        demand(error.reason in REASONS, f"unreadable for {error.reason!r}")
        return told, verdict, None
    if told is None and isinstance(verdict.facts, BatchFacts):
        ends = [(span.start_48k, span.end_48k) for span in verdict.facts.spans]
        demand(
            [(span.start_48k, span.end_48k) for span in batch.spans] == ends, "other runs than its head tells"
        )
    return told, verdict, sum(len(packet) for span in batch.spans for packet in span.packets)


def _older(name: AudioName, body: bytes) -> tuple[Verdict, int | None]:
    verdict, detail = judge_older(name, body, KEYS.legacy_secret)
    demand(
        (verdict.reason is None) == (not detail), "a reason without a detail, or a detail without a reason"
    )
    if verdict.reason is not None or not isinstance(verdict.facts, OlderFacts):
        return verdict, None
    if len(body) % 8 and name.codec == "opus":  # decoding costs many times what parsing does
        return verdict, 0
    try:
        pcm = older_pcm(name, body, KEYS.legacy_secret)
    except UnreadableError as error:
        demand(name.codec == "opus" and error.reason == "damaged", f"well at first, then {error.reason!r}")
        return verdict, None
    demand(len(pcm) // 2 * 3 == verdict.facts.samples, "another length than was told")
    return verdict, len(pcm)


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """The name, the metadata or the bytes changed; bytes from inside, whatever they are sealed with."""
    path, said, body = ((value or b"") for value in fields.split(data, 3))
    match random.randrange(6):
        case 0:
            path = edits.numbers_in(path.decode("utf-8", "replace"), random).encode("utf-8", "replace")
        case 1:
            said = batch_facts.mutate(said, random, raw)
        case _:
            body = _body(body, random, raw)
    return fields.join((path, said, body))


def _body(body: bytes, random: Random, raw: Raw) -> bytes:
    if body[:4] == b"OggS":
        return batch_file.mutate(body, random, raw)
    file, _ = sealed_by_hand.split(body, RECORD_BYTES)
    if file.records:
        if random.randrange(3) == 0:
            return sealed_by_hand.mutate(body, random, raw, RECORD_BYTES)
        plain = batch_file.mutate(b"".join(record.plain for record in file.records), random, raw)
        return sealed_by_hand.whole(file, plain, RECORD_BYTES)
    plains = records_by_hand.split(body)
    if plains is not None:
        return records_by_hand.mutate(body, random, raw)
    return records_by_hand.mutate_blob(body, random, raw)


TARGET = Target(
    check,
    mutate,
    growth=1921,
    max_bytes=6144,
    words=(b".batch.enc", b".batch.bin", b".opus.enc", b"OggS", b"TDSEAL01"),
)
