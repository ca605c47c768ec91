"""`audiostore.key_ring.KeyRing.parse`: what an operator writes into a setting or a file."""

import base64
import re
from random import Random

from audiostore.errors import KeyRingError, UnknownKeyError
from audiostore.key_ring import KEY_BYTES, MAX_KEYS, KeyRing
from tapedeck_fuzz import edits
from tapedeck_fuzz.target import Raw, Target, demand

_LEAK = 12
"""So many characters of what was given in an error's text are a leak, unless they are words of ours."""


def check(data: bytes) -> int | None:
    """Taken: the ids in their order, each key 32 bytes and none twice. Refused: without a word of what stands there."""
    text = data.decode("utf-8", "replace")
    try:
        ring = KeyRing.parse(text)
    except KeyRingError as error:
        said = str(error)
        demand(said.startswith("key ring"), f"the error names no structure: {said}")
        for entry in text.split(","):
            secret = entry.partition(":")[2].strip() or entry.strip()
            leaks = len(secret) >= _LEAK and any(
                secret[at : at + _LEAK] in said and secret[at : at + _LEAK] not in _WORDS
                for at in range(len(secret) - _LEAK + 1)
            )
            demand(not leaks, "the error quotes a key")
        return None
    demand(0 < len(ring.ids) <= MAX_KEYS, f"{len(ring.ids)} keys")
    demand(
        all(re.fullmatch(r"[!-+\--9;-~]{1,64}", key_id) for key_id in ring.ids),
        f"ids that cannot be: {ring.ids}",
    )
    keys = [ring.key(key_id) for key_id in ring.ids]
    demand(all(len(key) == KEY_BYTES for key in keys), "a key of another length")
    demand(len(set(keys)) == len(keys), "one key under two ids")
    demand(ring.sealing == (ring.ids[0], keys[0]), "another key than the first seals")
    pairs = [f"{key_id}:{base64.b64encode(key).decode()}" for key_id, key in zip(ring.ids, keys, strict=True)]
    written = [entry.strip() for entry in re.split(r"[,\n]", text) if entry.strip()]
    demand(written == pairs, "another ring is written than was read")
    demand(repr(ring) == f"KeyRing({', '.join(ring.ids)})", "its repr shows more than the ids")
    try:
        ring.key(text[:70] + "?")
    except UnknownKeyError:
        return sum(map(len, ring.ids)) + KEY_BYTES * len(keys)
    demand(holds=False, what="a key that is not in the ring")
    return None


def mutate(data: bytes, random: Random, raw: Raw) -> bytes:
    """An entry left out, doubled or moved, another id, or another key in right base64."""
    entries = data.decode("utf-8", "replace").split(",")
    at = random.randrange(len(entries))
    key_id, _, encoded = entries[at].partition(":")
    match random.randrange(6):
        case 0:
            entries = edits.items(entries, random)
        case 1:
            entries *= random.choice((2, 9, 300))
        case 2:
            entries[at] = edits.characters(key_id, random) + ":" + encoded
        case 3:
            key = random.randbytes(random.choice((32, 32, 32, 31, 33, 0)))
            entries.append(f"k{random.randrange(300)}:{base64.b64encode(key).decode()}")
        case 4:
            entries[at] = random.choice((" ", "\n", "\t", "\xa0", "\u2028", "\0")).join(("", entries[at], ""))
        case _:
            entries[at] = key_id + ":" + edits.characters(encoded, random)
    return ",".join(entries).encode("utf-8", "replace")


_WORDS = (
    "key ring: the id of entry must be 1 to 64 printable ASCII characters without comma, colon or space "
    "is not the 44 characters of base64 that 32 bytes make is not of the form id:base64 has the id of one before it "
    "two entries have the same key, so one of them was never rotated is no standard base64 of 32 bytes"
)

TARGET = Target(
    check,
    mutate,
    max_bytes=8192,
    words=(b"k1:", b",", b"=", b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", b"\xc2\xa0", b"\n"),
)
