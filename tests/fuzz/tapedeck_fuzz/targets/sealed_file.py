"""`audiostore.sealing`: opening what may have been changed, cut, rearranged, spliced or moved to another user."""

import contextlib
from collections.abc import Iterator
from hashlib import sha256
from random import Random

from audiostore import sealing
from audiostore.errors import SealError, TamperedError, UnknownKeyError
from audiostore.key_ring import KeyRing
from tapedeck_fuzz import sealed_by_hand
from tapedeck_fuzz.sealed_by_hand import KEYS, UID
from tapedeck_fuzz.target import Raw, Target, demand

RECORD_BYTES = 48
"""Instead of 65,536 while an input is looked at: so files of many records are small, and many of them are tried."""
RING = KeyRing(KEYS)


@contextlib.contextmanager
def small_records() -> Iterator[None]:
    """The module with the small record size, and as it was again."""
    kept = sealing.RECORD_BYTES, sealing._FULL_BYTES
    sealing.RECORD_BYTES, sealing._FULL_BYTES = RECORD_BYTES, RECORD_BYTES + sealing._OVERHEAD_BYTES
    try:
        yield
    finally:
        sealing.RECORD_BYTES, sealing._FULL_BYTES = kept


def check(data: bytes) -> int | None:
    """Taken exactly if the specification, written down a second time, takes it; nothing else is ever handed out."""
    with small_records():
        return _check(data)


def _check(data: bytes) -> int | None:
    file, why_not = sealed_by_hand.split(data, RECORD_BYTES)
    authentic = b"".join(record.plain for record in file.records)
    with contextlib.suppress(TamperedError):
        demand(file.key_id in ("", sealing.sealed_key_id(data)), "another key id")
    _check_head(data, file, why_not)
    noise = sha256(data).digest()
    _check_stream(data, noise, authentic, whole=why_not is None)
    try:
        plain = sealing.open_sealed(data, RING, UID)
    except SealError as error:
        demand(why_not is not None, "a good file is refused")
        demand(
            isinstance(error, TamperedError | UnknownKeyError), f"{type(error).__name__} for a broken file"
        )
        return None
    demand(why_not is None, f"opened, though: {why_not}")
    demand(plain == authentic, "another plaintext than was sealed")
    _check_sealing(data, plain, file)
    at = int.from_bytes(noise[:4], "big") % len(data)
    for what, broken in (
        ("a changed byte", data[:at] + bytes((data[at] ^ (noise[4] or 1),)) + data[at + 1 :]),
        ("a missing byte", data[:at] + data[at + 1 :]),
        ("a missing end", data[:at]),
        ("a byte too much", data + b"\0"),
    ):
        demand(_refused(broken, UID), f"{what} at {at} was not noticed")
    demand(_refused(data, "user-2"), "another user opens it")
    return len(plain)


def _check_head(data: bytes, file: sealed_by_hand.File, why_not: str | None) -> None:
    try:
        head = sealing.open_head(data, RING, UID)
    except SealError:
        demand(not file.records or why_not is not None, "the head of a good file is refused")
        return
    demand(
        bool(file.records) and head == file.records[0].plain,
        "a head that is not the first record's plaintext",
    )


def _check_stream(data: bytes, noise: bytes, authentic: bytes, *, whole: bool) -> None:
    """In pieces: as in one go; and before the refusal nothing but what authenticates comes out."""
    opener = sealing.Opener(RING, UID)
    out = b""
    at = 0
    try:
        for number in range(len(data) + 1):
            piece = data[at : at + 1 + noise[number % 32]]
            out += opener.update(piece)
            at += len(piece)
            demand(authentic.startswith(out), "handed out what does not authenticate")
            if at >= len(data):
                break
        opener.finish()
        demand(whole and out == authentic, "a broken file opened in pieces")
    except SealError:
        demand(not whole, "a good file is refused in pieces")
        with contextlib.suppress(SealError):
            opener.update(data)
            demand(holds=False, what="opens more after it refused")


def _check_sealing(data: bytes, plain: bytes, file: sealed_by_hand.File) -> None:
    """Sealed again with the same file id and key: the very same bytes, however it was cut for the writer."""
    full = len(file.records) > 1 and not file.records[-1].plain
    sealer = sealing.Sealer(KeyRing({file.key_id: KEYS[file.key_id]}), UID, file_id=file.file_id)
    half = len(plain) // 3
    again = sealer.update(plain[:half]) + sealer.update(plain[half:]) + sealer.finish()
    # An empty last record after a full one opens too, though our writer marks the full one as the last.
    demand(again == data or full, "sealed again it is another file")


def _refused(data: bytes, uid: str) -> bool:
    try:
        sealing.open_sealed(data, RING, uid)
    except SealError:
        return True
    return False


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """Changed behind the encryption, with the right keys."""
    return sealed_by_hand.mutate(data, random, raw, RECORD_BYTES)


TARGET = Target(
    check,
    mutate,
    max_bytes=2048,
    words=(b"TDSEAL01\x02k2", b"TDSEAL01\x02k1", b"\x00\x00\x00\x4c", b"\x00\x01\x00\x1c"),
)
