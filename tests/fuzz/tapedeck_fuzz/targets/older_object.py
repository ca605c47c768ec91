"""`audiostore.legacy`: an object by its name and its bytes, whatever of the six formats it claims to be."""

from random import Random

from audiostore.errors import LegacyFormatError
from audiostore.legacy import is_ours, parse_audio_name, read_legacy, samples_by_size, told_samples
from audiostore.names import parse_name
from tapedeck_fuzz import edits, fields, records_by_hand
from tapedeck_fuzz.records_by_hand import SECRET
from tapedeck_fuzz.sealed_by_hand import UID
from tapedeck_fuzz.target import Raw, Target, demand


def check(data: bytes) -> int | None:
    """A name and bytes. Taken: never more audio than the bytes can hold, never none, and as much as was told before reading."""
    path, body = ((value or b"") for value in fields.split(data, 2))
    text = path.decode("utf-8", "replace")
    name = parse_audio_name(text)
    if name is None:
        demand(parse_name(text) is None, "a name of ours that is not taken for audio")
        return None
    demand(name.path == text, "another name")
    ours = is_ours(name, body)
    told, by_size = told_samples(name, body), samples_by_size(name, len(body))
    demand(
        0 <= told <= 960 * len(body) and (by_size is None or 0 <= by_size <= len(body)),
        "a length out of bounds",
    )
    try:
        audio = read_legacy(name, body, SECRET)
    except LegacyFormatError:
        return None
    demand(not ours or name.extension == "batch.bin", "sealed by us, and opened as an older object")
    demand(audio.pcm_bytes > 0 and audio.pcm_bytes % 2 == 0, f"{audio.pcm_bytes} bytes of PCM")
    if name.codec == "pcm":
        demand(len(audio.pcm()) == audio.pcm_bytes, "its PCM has another length than it says")
        demand(told == audio.pcm_bytes // 2, "another length is told than it has")
    return audio.pcm_bytes


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """The name changed, or what is in the object, as far down as it goes."""
    values = fields.split(data, 2)
    path, body = values[0] or b"", values[1] or b""
    if random.randrange(4) == 0:
        return fields.join((edits.numbers_in(path.decode("utf-8", "replace"), random).encode(), body))
    if random.randrange(8) == 0:
        stem, _, _ = path.rpartition(b"/")
        kind = random.choice((b"bin", b"enc", b"opus", b"opus.enc", b"batch.bin", b"batch.enc"))
        return fields.join((stem + b"/1700000000.000." + kind, body))
    plains = records_by_hand.split(body) if path.endswith(b"enc") else None
    if plains is None:
        change = records_by_hand.mutate_blob if path.endswith(b".opus") else records_by_hand.mutate
        return fields.join((path, change(body, random, raw)))
    if path.endswith(b".opus.enc") and random.randrange(2):
        blob = records_by_hand.mutate_blob(b"".join(plains), random, raw)
        cut = random.randrange(len(blob) + 1)
        return fields.join((path, records_by_hand.join([blob[:cut], blob[cut:]])))
    return fields.join((path, records_by_hand.mutate(body, random, raw)))


FOLDER = f"chunks/{UID}/c-1/"

TARGET = Target(
    check,
    mutate,
    growth=1921,
    max_bytes=4096,
    words=(b".opus.enc", b".batch.bin", b".enc", b"OggS", b"TDSEAL01", FOLDER.encode()),
)
